use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Event, Link, SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;

use super::varint;
use crate::testing::batch_of;

fn attributes() -> Vec<KeyValue> {
    let all: [(&str, Value); 14] = [
        ("text", "ä text".into()),
        ("empty", "".into()),
        ("long", "x".repeat(200).into()),
        ("longer", "y".repeat(20_000).into()),
        ("shared", Value::String(std::sync::Arc::<str>::from("shared").into())),
        ("true", true.into()),
        ("false", false.into()),
        ("zero", 0.into()),
        ("negative", (-7).into()),
        ("great", i64::MAX.into()),
        ("double", 0.0.into()),
        ("bools", Value::Array(Array::Bool(vec![true, false]))),
        ("numbers", Value::Array(Array::I64(vec![0, 1, -1, i64::MIN]))),
        ("doubles", Value::Array(Array::F64(vec![0.0, -1.5]))),
    ];
    let texts = Value::Array(Array::String(vec!["".into(), "b".into()]));
    let mut all: Vec<_> = all.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
    all.extend([
        KeyValue::new("texts", texts),
        KeyValue::new("", Value::Array(Array::I64(vec![]))),
    ]);
    all
}

fn context(is_remote: bool, state: &[(&str, &str)]) -> SpanContext {
    let state = TraceState::from_key_value(state.iter().copied()).unwrap();
    SpanContext::new((7 << 100).into(), 9.into(), TraceFlags::new(3), is_remote, state)
}

/// A span with something at every place.
fn full(kind: SpanKind, status: Status) -> SpanData {
    let at = |nanoseconds| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds);
    let mut span = crate::testing::span();
    span.span_context = context(false, &[("a", "1"), ("b", "2")]);
    (span.parent_span_id, span.parent_span_is_remote) = (0xf0.into(), true);
    (span.span_kind, span.status, span.name) = (kind, status, "n".repeat(300).into());
    (span.start_time, span.end_time) =
        (at(1_700_000_000_123_456_789), at(1_700_000_000_999_999_999));
    (span.attributes, span.dropped_attributes_count) = (attributes(), 300);
    span.events.events = vec![
        Event::new("happened", at(1_700_000_000_500_000_000), attributes(), 2),
        Event::new("", SystemTime::UNIX_EPOCH, Vec::new(), 0),
    ];
    span.events.dropped_count = 4;
    span.links.links = vec![
        Link::new(context(true, &[("c", "3")]), attributes(), 1),
        Link::new(context(false, &[]), Vec::new(), 0),
    ];
    span.links.dropped_count = 5;
    span
}

#[test]
fn what_is_written_is_what_the_generated_types_write() {
    let error = Status::error("went wrong");
    let mut spans = vec![
        crate::testing::span(),
        full(SpanKind::Server, Status::Ok),
        full(SpanKind::Client, Status::Unset),
        full(SpanKind::Producer, error),
        full(SpanKind::Consumer, Status::error("")),
        full(SpanKind::Internal, Status::Unset),
    ];
    for (number, span) in spans.iter_mut().enumerate().filter(|(number, _)| number % 2 == 1) {
        let scope = InstrumentationScope::builder("other").with_version("1").with_schema_url("s:u");
        let attributes = [KeyValue::new("of", "scope")];
        span.instrumentation_scope = scope.with_attributes(attributes).build();
        span.name = format!("{number}").into();
    }
    for schema in [None, Some("https://schema.example")] {
        let known = [KeyValue::new("service.name", "windlass")];
        let resource = match schema {
            None => Resource::builder_empty().with_attributes(known).build(),
            Some(url) => Resource::builder_empty().with_schema_url(known, url).build(),
        };
        let (written, of) = (super::Resource::from(&resource), (&resource).into());
        let resource_spans = group_spans_by_resource_and_scope(spans.clone(), &of);
        let expected = ExportTraceServiceRequest { resource_spans };
        let written = batch_of(&spans).request(&written);
        let read = ExportTraceServiceRequest::decode(written.as_slice()).unwrap();
        assert_eq!(read, expected);
        assert_eq!(written, expected.encode_to_vec(), "to the byte");
    }
}

#[test]
fn numbers_take_as_many_bytes_as_they_need() {
    for (number, more) in [(0, 0), (0x7f, 0), (0x80, 1), (0x3fff, 1), (0x4000, 2), (u64::MAX, 9)] {
        let (bytes, found) = varint(number);
        assert_eq!(found, more, "{number}");
        let mut expected = Vec::new();
        prost::encoding::encode_varint(number, &mut expected);
        assert_eq!(bytes[..=found], expected);
    }
}
