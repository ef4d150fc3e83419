#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use windlass_proto::value::Value;

use super::{Envelope, Incoming, Outgoing, at_location};
use crate::perform::asyncapi::description::MessageType;
use crate::seal::Seal;

fn told(content_type: Option<&str>, correlation: Option<&str>) -> MessageType {
    MessageType {
        content_type: content_type.map(str::to_owned),
        correlation: correlation.map(str::to_owned),
        key: None,
    }
}

fn value(json: &str) -> Value {
    Value::from_json(json).unwrap()
}

#[test]
fn payloads_are_read_by_what_is_said_of_them_and_as_they_are_where_that_is_wrong() {
    for (bytes, own, described, expected) in [
        (&b"{\"a\":1}"[..], Some("application/json"), None, "{\"a\":1}"),
        (b"{\"a\":1}", Some("text/plain"), Some("application/json"), "\"{\\\"a\\\":1}\""),
        (b"[1]", None, Some("application/vnd.x+json; charset=utf-8"), "[1]"),
        (b"[1]", None, None, "[1]"),
        (b"hello", None, None, "\"hello\""),
        (b"hello", Some("application/json"), None, "\"hello\""),
        (b"gr\xc3\xb6\xc3\x9fer", Some("text/plain"), None, "\"gr\u{f6}\u{df}er\""),
        (b"\x00\xff", None, None, "\"AP8=\""),
        (b"abc", Some("application/octet-stream"), None, "\"YWJj\""),
        (b"", Some("application/json"), None, "null"),
    ] {
        let content_type = own.map(str::to_owned);
        let payload = Bytes::from_static(bytes);
        let incoming = Incoming { payload, content_type, ..Incoming::default() };
        let read = incoming.value(&told(described, None), &mut Seal::default());
        assert_eq!(read.get("payload"), Some(&value(expected)), "{bytes:?}, {own:?}");
        assert_eq!(read.get("correlationId"), None);
    }
}

#[test]
fn a_header_says_what_the_protocol_cannot() {
    let mut incoming = Incoming { payload: Bytes::from_static(b"5"), ..Incoming::default() };
    incoming.add_header("Content-Type", "text/plain");
    incoming.add_header("trace", "1");
    incoming.add_header("trace", "2");
    let read = incoming.value(&told(Some("application/json"), None), &mut Seal::default());
    assert_eq!(
        read,
        value(
            "{\"payload\": \"5\", \"headers\": {\"Content-Type\": \"text/plain\", \"trace\": \"1, 2\"}}"
        )
    );
}

#[test]
fn the_correlation_id_is_where_the_description_says() {
    let mut incoming = Incoming {
        payload: Bytes::from_static(b"{\"a\": {\"id\": 7}, \"l\": [\"x\"]}"),
        correlation: Some("of the protocol".to_owned()),
        ..Incoming::default()
    };
    incoming.add_header("id", "h");
    for (place, expected) in [
        (Some("$message.payload#/a/id"), "7"),
        (Some("$message.payload#/l/0"), "x"),
        (Some("$message.header#/id"), "h"),
        (Some("$message.payload#/nowhere"), "of the protocol"),
        (Some("$elsewhere#/a"), "of the protocol"),
        (None, "of the protocol"),
    ] {
        let read = incoming.value(&told(None, place), &mut Seal::default());
        assert_eq!(read.get("correlationId"), Some(&Value::from(expected)), "{place:?}");
    }
    let whole = Envelope { payload: value("{\"a~/b\": 1}"), headers: Value::Null };
    assert_eq!(at_location(&whole, "$message.payload#/a~0~1b"), Some(Value::Int(1)));
}

#[test]
fn messages_go_out_as_what_they_are_said_to_be() {
    for (payload, headers, described, kind, bytes) in [
        ("{\"a\":1}", "{}", None, Some("application/json"), &b"{\"a\":1}"[..]),
        ("\"x\"", "{}", None, Some("text/plain; charset=utf-8"), b"x"),
        ("\"x\"", "{}", Some("application/json"), Some("application/json"), b"\"x\""),
        ("7", "{\"content-type\": \"text/plain\"}", Some("x/y"), Some("text/plain"), b"7"),
        ("{\"base64\": \"AP8=\"}", "{}", Some("image/png"), Some("image/png"), b"\x00\xff"),
        ("null", "{}", Some("application/json"), None, b""),
    ] {
        let message = Envelope { payload: value(payload), headers: value(headers) };
        let out = Outgoing::new(&message, &told(described, None)).unwrap();
        assert_eq!(out.content_type.as_deref(), kind, "{payload}");
        assert_eq!(out.payload, bytes, "{payload}");
        assert!(out.headers.is_empty());
    }
    let wrong = Envelope { payload: Value::Null, headers: Value::Int(1) };
    assert!(Outgoing::new(&wrong, &told(None, None)).is_err());
}
