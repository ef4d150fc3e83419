//! Which objects are events.

use super::CloudEvent;
use crate::value::Value;

/// What is said of an event that has `more` beside what it needs; empty when nothing is.
fn said(more: &str) -> String {
    let text = format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t"{more}}}"#);
    let event = CloudEvent::from_value(Value::from_json(&text).unwrap());
    event.err().map(|it| it.to_string()).unwrap_or_default()
}

#[test]
fn what_is_missing_is_named_all_at_once() {
    for (text, message) in [
        ("[]", "not a CloudEvent: it must be a JSON object"),
        ("{}", "not a CloudEvent: it has no `specversion`, no `id`, no `source`, no `type`"),
        (
            r#"{"id":"1","source":"s","type":null}"#,
            "not a CloudEvent: it has no `specversion`, no `type`",
        ),
        (
            r#"{"specversion":"1.0","id":1,"source":"s","type":"t"}"#,
            "not a CloudEvent: `id` must be a non-empty string",
        ),
        (
            r#"{"specversion":"1.0","id":"1","source":"","type":"t"}"#,
            "not a CloudEvent: `source` must be a non-empty string",
        ),
        (
            r#"{"specversion":"0.3","id":"1","source":"s","type":"t"}"#,
            "not a CloudEvent: `specversion` must be \"1.0\"",
        ),
    ] {
        let error = CloudEvent::from_value(Value::from_json(text).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_time_is_one_of_rfc_3339() {
    for time in [
        "2026-01-31T12:00:00Z",
        "2026-01-31t12:00:00.123456789z",
        "2024-02-29T23:59:59+05:30",
        "2016-12-31T23:59:60Z",
        "0001-01-01T00:00:00-00:00",
    ] {
        assert_eq!(said(&format!(r#","time":"{time}""#)), "", "{time}");
    }
    for time in [
        "yesterday",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00Z",
        "2026-01-31T12:00Z",
        "2026-02-30T12:00:00Z",
        "2026-01-31T25:00:00Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00,5Z",
        "2026-01-31T12:00:00+0100",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+01:00[Europe/Paris]",
        "1769860800",
        "２026-01-31T12:00:00Z",
    ] {
        assert!(said(&format!(r#","time":"{time}""#)).contains("`time` must be"), "{time}");
    }
    assert!(said(r#","time":1769860800"#).contains("`time` must be"));
    assert!(said(r#","time":"""#).contains("`time` must be"));
}

#[test]
fn optional_attributes_may_be_null_but_nothing_else_than_texts() {
    assert_eq!(said(r#","time":null,"subject":null,"dataschema":null,"data":null,"order":7"#), "");
    for name in ["datacontenttype", "dataschema", "subject"] {
        let message = format!("not a CloudEvent: `{name}` must be a non-empty string");
        assert_eq!(said(&format!(r#","{name}":[1]"#)), message);
        assert_eq!(said(&format!(r#","{name}":"""#)), message);
    }
}
