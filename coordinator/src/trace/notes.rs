//! What happens within a span: events and links, as many as are kept.

use opentelemetry::{KeyValue, Value};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::trace::TraceContext;
use windlass_telemetry::{SpanLink, SpanNote, opentelemetry};

/// Events and links of a span.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) events: Vec<SpanNote>,
    /// Events that found no room.
    pub(super) dropped: u32,
    pub(super) links: Vec<SpanLink>,
    /// Links that found no room.
    pub(super) dropped_links: u32,
    /// About how many bytes these take.
    bytes: usize,
}

impl Notes {
    /// Takes an event, if there is room.
    pub(super) fn add(&mut self, name: &'static str, at: Timestamp, attributes: Vec<KeyValue>) {
        if self.events.len() < limits::SPAN_EVENTS {
            let texts = attributes.iter().map(|it| match &it.value {
                Value::String(text) => text.as_str().len(),
                _ => 0,
            });
            self.bytes += limits::RECORDED_NOTE_BYTES + texts.sum::<usize>();
            self.events.push(SpanNote { name, at, attributes });
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// Takes a link, if there is room; remote where a message has named it.
    pub(super) fn link(&mut self, to: TraceContext, is_remote: bool) {
        if self.links.len() < limits::SPAN_EVENTS {
            self.bytes += size_of::<SpanLink>() + to.state.as_ref().map_or(0, |it| it.len());
            self.links.push(SpanLink { to, is_remote });
        } else {
            self.dropped_links = self.dropped_links.saturating_add(1);
        }
    }

    /// About how many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
