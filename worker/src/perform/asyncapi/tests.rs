#![allow(clippy::unwrap_used)]

use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use super::wanted;
use crate::perform::http::was_refused;

#[test]
fn what_a_call_asks_for_is_read_as_text() {
    let with = "{\"operation\": \"op\", \"server\": {\"name\": \"s\", \"variables\": {\"port\": 7}}, \"protocol\": null}";
    let wanted = wanted(&Value::from_json(with).unwrap(), true);
    assert_eq!(wanted.operation.as_deref(), Some("op"));
    assert_eq!((wanted.server.as_deref(), wanted.protocol), (Some("s"), None));
    assert_eq!(wanted.variables.get("port"), Some(&Value::Int(7)));
}

#[test]
fn only_who_was_not_accepted_asks_again() {
    let failed = |kind, status| was_refused(&Err(Problem::new(kind, "it").with_status(status)));
    assert!(failed(Standard::Communication, 401) && failed(Standard::Communication, 403));
    assert!(failed(Standard::Authentication, 401));
    assert!(!failed(Standard::Communication, 503) && !failed(Standard::Authorization, 403));
    assert!(!was_refused(&Ok(Value::Null)));
}
