//! What happens within a span: events and links, as many as are kept.

use opentelemetry::KeyValue;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::trace::TraceContext;
use windlass_telemetry::{SpanNote, opentelemetry};

/// Events and links of a span.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) events: Vec<SpanNote>,
    /// Events that found no room.
    pub(super) dropped: u32,
    pub(super) links: Vec<TraceContext>,
}

impl Notes {
    /// Takes an event, if there is room.
    pub(super) fn add(&mut self, name: &'static str, at: Timestamp, attributes: Vec<KeyValue>) {
        if self.events.len() < limits::SPAN_EVENTS {
            self.events.push(SpanNote { name, at, attributes });
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// Takes a link, if there is room.
    pub(super) fn link(&mut self, to: TraceContext) {
        if self.links.len() < limits::SPAN_EVENTS {
            self.links.push(to);
        }
    }
}
