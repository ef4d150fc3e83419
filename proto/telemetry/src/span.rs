//! Spans whose ids and times the caller knows.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Event, Link, SpanKind, Status};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use windlass_proto::time::Timestamp;
use windlass_proto::trace::{SpanId, TraceContext, TraceId};

use crate::acknowledged::Acknowledged;
use crate::current::span_context;
use crate::names;
use crate::span_queue::SpanQueue;

/// A span that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedSpan {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// The span it is part of; none for the first of a trace.
    pub parent: Option<SpanId>,
    /// True where another program has the parent.
    pub is_parent_remote: bool,
    /// What it is called: few different names for many spans.
    pub name: Cow<'static, str>,
    /// What it is to those around it.
    pub kind: SpanKind,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// True where spans are inside whose times are finer than these: it is told as ending with the
    /// last moment of its last millisecond, so that they end inside it.
    pub encloses: bool,
    /// What vendors have added to its trace.
    pub state: Option<Arc<str>>,
    /// Whether the id of its trace is said to be random.
    pub random: bool,
    /// Whether it went well, where that is known.
    pub status: Status,
    /// What is known of it.
    pub attributes: Vec<KeyValue>,
    /// What happened within it.
    pub events: Vec<SpanNote>,
    /// Events that found no room.
    pub dropped_events: u32,
    /// Spans that it has to do with and is no part of.
    pub links: Vec<SpanLink>,
    /// Links that found no room.
    pub dropped_links: u32,
}

/// A span of another trace that a span has to do with.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanLink {
    /// Which.
    pub to: TraceContext,
    /// True where a message from outside has named it.
    pub is_remote: bool,
}

/// Something that happened within a span.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanNote {
    /// What.
    pub name: &'static str,
    /// When.
    pub at: Timestamp,
    /// What is known of it.
    pub attributes: Vec<KeyValue>,
}

/// Where spans go that are over. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Spans {
    queue: SpanQueue,
    scope: Arc<InstrumentationScope>,
}

impl Spans {
    pub(crate) fn new(queue: SpanQueue) -> Self {
        let scope = InstrumentationScope::builder(names::SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        Self { queue, scope: Arc::new(scope) }
    }

    /// Says who wants to know which of these spans a collector has taken. Only the first counts.
    pub fn acknowledge(&self, wants: Arc<dyn Acknowledged>) {
        self.queue.told().set(wants);
    }

    /// Counts as dropped what is not told now, and is to be told after the next start.
    pub fn missed(&self) {
        self.queue.missed();
    }

    /// Counts as dropped what cannot be told, now or later.
    pub fn untold(&self) {
        self.queue.untold();
    }

    /// Takes a span; never blocks. Where there is no room it is dropped and counted.
    pub fn record(&self, span: FinishedSpan) {
        self.queue.push(data(span, &self.scope));
    }
}

fn data(span: FinishedSpan, scope: &InstrumentationScope) -> SpanData {
    let links = span.links.into_iter();
    let links = links.map(|it| Link::new(span_context(&it.to, it.is_remote), Vec::new(), 0));
    let notes = span.events.into_iter();
    let notes = notes.map(|it| Event::new(it.name, time(it.at), it.attributes, 0));
    // Neither has a constructor with content.
    let (mut events, mut linked) = (SpanEvents::default(), SpanLinks::default());
    events.events = notes.collect();
    events.dropped_count = span.dropped_events;
    linked.links = links.collect();
    linked.dropped_count = span.dropped_links;
    let own = TraceContext {
        trace_id: span.trace_id,
        span_id: span.span_id,
        sampled: true,
        random: span.random,
        state: span.state,
    };
    // The last moment of a millisecond, from its begin.
    let rest = Duration::from_nanos(if span.encloses { 999_999 } else { 0 });
    SpanData {
        span_context: span_context(&own, false),
        parent_span_id: span
            .parent
            .map_or(opentelemetry::SpanId::INVALID, |it| opentelemetry::SpanId::from(it.number())),
        parent_span_is_remote: span.is_parent_remote,
        span_kind: span.kind,
        name: span.name,
        start_time: time(span.start),
        // A clock that was set back makes no span of negative length.
        end_time: time(span.end.max(span.start)) + rest,
        attributes: span.attributes,
        dropped_attributes_count: 0,
        events,
        links: linked,
        status: span.status,
        instrumentation_scope: scope.clone(),
    }
}

fn time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(at.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::{Duration, SystemTime};

    use opentelemetry::InstrumentationScope;
    use opentelemetry_proto::tonic::trace::v1::Span;
    use windlass_proto::trace::{SpanId, TraceContext};

    use super::{FinishedSpan, SpanLink, data};
    use crate::testing::finished_span;

    fn span(start: u64, end: u64) -> FinishedSpan {
        FinishedSpan { state: Some("a=1".into()), ..finished_span(start, end) }
    }

    fn scope() -> InstrumentationScope {
        InstrumentationScope::builder("test").build()
    }

    #[test]
    fn what_encloses_finer_times_ends_with_its_millisecond() {
        let ends = |encloses: bool, end: u64| {
            let data = data(FinishedSpan { encloses, ..span(5, end) }, &scope());
            assert_eq!(data.span_context.trace_state().header(), "a=1");
            data.end_time.duration_since(SystemTime::UNIX_EPOCH).unwrap()
        };
        assert_eq!(ends(false, 7), Duration::from_millis(7));
        assert_eq!(ends(true, 7), Duration::from_nanos(7_999_999));
        assert_eq!(ends(false, 3), Duration::from_millis(5), "a clock that was set back");
    }

    /// The flags as OTLP has them: 0x100 says that it is known whether it is remote, 0x200 that it
    /// is.
    #[test]
    fn flags_say_what_came_from_elsewhere() {
        let to: TraceContext =
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
        let link = |is_remote| SpanLink { to: to.clone(), is_remote };
        let told = FinishedSpan {
            parent: Some(SpanId::new(3)),
            is_parent_remote: true,
            random: true,
            links: vec![link(true), link(false)],
            dropped_links: 7,
            ..span(5, 7)
        };
        let told = Span::from(data(told, &scope()));
        let links: Vec<_> = told.links.iter().map(|it| it.flags).collect();
        assert_eq!((told.flags, links, told.dropped_links_count), (0x303, vec![0x301, 0x101], 7));
        assert_eq!(Span::from(data(span(5, 7), &scope())).flags, 0x101);
    }
}
