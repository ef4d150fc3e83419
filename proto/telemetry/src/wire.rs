//! Spans as OTLP has them, in protobuf's bytes, straight from what the SDK hands over.
//!
//! The types that are made of OTLP's description hold each name and text once more, a vector for
//! each id, and are measured at each level of nesting before they are written: that took more than
//! twice as long.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope as WireScope;
use opentelemetry_proto::tonic::resource::v1::Resource as WireResource;
use opentelemetry_proto::tonic::trace::v1::SpanFlags;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource as SdkResource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;
use windlass_proto::limits::SPAN_WRITTEN_BYTES;

/// A resource, written.
#[derive(Debug, Default)]
pub(crate) struct Resource {
    bytes: Vec<u8>,
    schema_url: String,
}

impl From<&SdkResource> for Resource {
    fn from(resource: &SdkResource) -> Self {
        let ResourceAttributesWithSchema { attributes, schema_url, .. } = resource.into();
        let resource = WireResource { attributes: attributes.0, ..WireResource::default() };
        Self { bytes: resource.encode_to_vec(), schema_url: schema_url.unwrap_or_default() }
    }
}

/// A span as it stands among those of its scope.
pub(crate) fn span(span: &SpanData) -> Vec<u8> {
    let mut wire = Wire(Vec::with_capacity(SPAN_WRITTEN_BYTES));
    wire.message(2, |wire| wire.span(span));
    wire.0
}

/// A request with the spans of these scopes, of a resource.
pub(crate) fn request(scopes: &[(InstrumentationScope, Vec<u8>)], resource: &Resource) -> Vec<u8> {
    let spans: usize = scopes.iter().map(|(_, spans)| spans.len()).sum();
    let mut wire = Wire(Vec::with_capacity(spans + resource.bytes.len() + SPAN_WRITTEN_BYTES));
    wire.message(1, |wire| {
        wire.bytes(1, &resource.bytes);
        for (scope, spans) in scopes {
            wire.message(2, |wire| {
                wire.bytes(1, &WireScope::from((scope, None)).encode_to_vec());
                wire.0.extend_from_slice(spans);
                wire.text(3, scope.schema_url().unwrap_or_default());
            });
        }
        wire.text(3, &resource.schema_url);
    });
    wire.0
}

/// What is written so far.
struct Wire(Vec<u8>);

/// How protobuf writes values.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const BYTES: u8 = 2;
const FIXED_32: u8 = 5;

impl Wire {
    fn span(&mut self, span: &SpanData) {
        let context = &span.span_context;
        self.context(context);
        if span.parent_span_id != SpanId::INVALID {
            self.bytes(4, &span.parent_span_id.to_bytes());
        }
        self.text(5, &span.name);
        let kind = match span.span_kind {
            SpanKind::Internal => 1,
            SpanKind::Server => 2,
            SpanKind::Client => 3,
            SpanKind::Producer => 4,
            SpanKind::Consumer => 5,
        };
        self.number(6, kind);
        self.fixed_64(7, nanoseconds(span.start_time));
        self.fixed_64(8, nanoseconds(span.end_time));
        self.attributes(9, &span.attributes);
        self.number(10, u64::from(span.dropped_attributes_count));
        span.events.iter().for_each(|it| self.message(11, |wire| wire.event(it)));
        self.number(12, u64::from(span.events.dropped_count));
        span.links.iter().for_each(|it| self.message(13, |wire| wire.link(it)));
        self.number(14, u64::from(span.links.dropped_count));
        self.message(15, |wire| match &span.status {
            Status::Unset => {}
            Status::Ok => wire.number(3, 1),
            Status::Error { description } => {
                wire.text(2, description);
                wire.number(3, 2);
            }
        });
        self.flags(16, context, span.parent_span_is_remote);
    }

    /// Trace, span and what vendors have added, which spans and links have at the same places.
    fn context(&mut self, context: &SpanContext) {
        self.bytes(1, &context.trace_id().to_bytes());
        self.bytes(2, &context.span_id().to_bytes());
        self.text(3, &context.trace_state().header());
    }

    fn flags(&mut self, field: u8, context: &SpanContext, is_remote: bool) {
        let mut flags =
            u32::from(context.trace_flags().to_u8()) | SpanFlags::ContextHasIsRemoteMask as u32;
        if is_remote {
            flags |= SpanFlags::ContextIsRemoteMask as u32;
        }
        self.tag(field, FIXED_32);
        self.0.extend_from_slice(&flags.to_le_bytes());
    }

    fn event(&mut self, event: &Event) {
        self.fixed_64(1, nanoseconds(event.timestamp));
        self.text(2, &event.name);
        self.attributes(3, &event.attributes);
        self.number(4, u64::from(event.dropped_attributes_count));
    }

    fn link(&mut self, link: &Link) {
        self.context(&link.span_context);
        self.attributes(4, &link.attributes);
        self.number(5, u64::from(link.dropped_attributes_count));
        self.flags(6, &link.span_context, link.span_context.is_remote());
    }

    fn attributes(&mut self, field: u8, attributes: &[KeyValue]) {
        for KeyValue { key, value, .. } in attributes {
            self.message(field, |wire| {
                wire.text(1, key.as_str());
                wire.message(2, |wire| wire.value(value));
            });
        }
    }

    /// One of several: written whatever it is.
    fn value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.bytes(1, text.as_str().as_bytes()),
            Value::Bool(it) => self.any_number(2, u64::from(*it)),
            Value::I64(it) => self.any_number(3, it.cast_unsigned()),
            Value::F64(it) => self.any_double(*it),
            Value::Array(all) => self.message(5, |wire| wire.array(all)),
            other => self.bytes(1, other.to_string().as_bytes()),
        }
    }

    fn array(&mut self, all: &Array) {
        let mut add = |write: &dyn Fn(&mut Self)| self.message(1, write);
        match all {
            Array::Bool(all) => {
                all.iter().for_each(|it| add(&|to| to.any_number(2, u64::from(*it))))
            }
            Array::I64(all) => {
                all.iter().for_each(|it| add(&|to| to.any_number(3, it.cast_unsigned())));
            }
            Array::F64(all) => all.iter().for_each(|it| add(&|to| to.any_double(*it))),
            Array::String(all) => {
                all.iter().for_each(|it| add(&|to| to.bytes(1, it.as_str().as_bytes())));
            }
            other => add(&|to| to.bytes(1, other.to_string().as_bytes())),
        }
    }

    /// A message within, whose length stands before it and is known after it: room is left for a
    /// short one, and a longer one moves on.
    fn message(&mut self, field: u8, fill: impl FnOnce(&mut Self)) {
        self.tag(field, BYTES);
        let at = self.0.len();
        self.0.push(0);
        fill(self);
        let end = self.0.len();
        let (length, more) = varint((end - at - 1) as u64);
        self.0.resize(end + more, 0);
        self.0.copy_within(at + 1..end, at + 1 + more);
        self.0[at..=at + more].copy_from_slice(&length[..=more]);
    }

    /// A text; the empty one is what is not there.
    fn text(&mut self, field: u8, text: &str) {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
    }

    fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.tag(field, BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A number; zero is what is not there.
    fn number(&mut self, field: u8, number: u64) {
        if number > 0 {
            self.any_number(field, number);
        }
    }

    fn any_number(&mut self, field: u8, number: u64) {
        self.tag(field, VARINT);
        self.varint(number);
    }

    fn any_double(&mut self, number: f64) {
        self.tag(4, FIXED_64);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn fixed_64(&mut self, field: u8, number: u64) {
        if number > 0 {
            self.tag(field, FIXED_64);
            self.0.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn tag(&mut self, field: u8, how: u8) {
        self.varint(u64::from(field) << 3 | u64::from(how));
    }

    fn varint(&mut self, number: u64) {
        let (bytes, more) = varint(number);
        self.0.extend_from_slice(&bytes[..=more]);
    }
}

/// Seven bits a byte, lowest first; and how many bytes follow the first.
fn varint(mut number: u64) -> ([u8; 10], usize) {
    let (mut bytes, mut more) = ([0; 10], 0);
    while number >= 0x80 {
        bytes[more] = number as u8 | 0x80;
        number >>= 7;
        more += 1;
    }
    bytes[more] = number as u8;
    (bytes, more)
}

fn nanoseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
