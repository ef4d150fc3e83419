//! Spans whose ids and times the caller knows.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Event, Link, SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use windlass_proto::time::Timestamp;
use windlass_proto::trace::{SpanId, TraceContext, TraceId};

use crate::acknowledged::{Acknowledged, Listener};
use crate::batch::SpanQueue;
use crate::names;

/// A span that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedSpan {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// The span it is part of; none for the first of a trace.
    pub parent: Option<SpanId>,
    /// What it is called: few different names for many spans.
    pub name: Cow<'static, str>,
    /// What it is to those around it.
    pub kind: SpanKind,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// Whether it went well, where that is known.
    pub status: Status,
    /// What is known of it.
    pub attributes: Vec<KeyValue>,
    /// What happened within it.
    pub events: Vec<SpanNote>,
    /// Events that found no room.
    pub dropped_events: u32,
    /// Spans that it has to do with and is no part of.
    pub links: Vec<TraceContext>,
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
    told: Listener,
}

impl Spans {
    pub(crate) fn new(queue: SpanQueue, told: Listener) -> Self {
        let scope = InstrumentationScope::builder(names::SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        Self { queue, scope: Arc::new(scope), told }
    }

    /// Says who wants to know which of these spans a collector has taken. Only the first counts.
    pub fn acknowledge(&self, wants: Arc<dyn Acknowledged>) {
        self.told.set(wants);
    }

    /// Counts what cannot be told as dropped.
    pub fn missed(&self) {
        self.queue.missed();
    }

    /// Takes a span; never blocks. Where there is no room it is dropped and counted.
    pub fn record(&self, span: FinishedSpan) {
        self.queue.push(data(span, &self.scope));
    }
}

fn data(span: FinishedSpan, scope: &InstrumentationScope) -> SpanData {
    let links = span.links.into_iter().map(|it| {
        let flags = if it.sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
        Link::new(context(it.trace_id, it.span_id, flags), Vec::new(), 0)
    });
    let notes = span.events.into_iter();
    let notes = notes.map(|it| Event::new(it.name, time(it.at), it.attributes, 0));
    // Neither has a constructor with content.
    let (mut events, mut linked) = (SpanEvents::default(), SpanLinks::default());
    events.events = notes.collect();
    events.dropped_count = span.dropped_events;
    linked.links = links.collect();
    SpanData {
        span_context: context(span.trace_id, span.span_id, TraceFlags::SAMPLED),
        parent_span_id: span
            .parent
            .map_or(opentelemetry::SpanId::INVALID, |it| opentelemetry::SpanId::from(it.number())),
        parent_span_is_remote: false,
        span_kind: span.kind,
        name: span.name,
        start_time: time(span.start),
        // A clock that was set back makes no span of negative length.
        end_time: time(span.end.max(span.start)),
        attributes: span.attributes,
        dropped_attributes_count: 0,
        events,
        links: linked,
        status: span.status,
        instrumentation_scope: scope.clone(),
    }
}

fn context(trace: TraceId, span: SpanId, flags: TraceFlags) -> SpanContext {
    let (trace, span) = (trace.number(), span.number());
    SpanContext::new(trace.into(), span.into(), flags, false, TraceState::NONE)
}

fn time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(at.0)
}
