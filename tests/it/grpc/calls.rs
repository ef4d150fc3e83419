//! What calls give: data of every kind, streams, and every status.

use serde_json::{Value, json};

use crate::support::dev::Dev;
use crate::support::grpc::{Server, definition, error, output, run, run_on};

#[tokio::test]
async fn a_message_goes_and_one_comes_back() {
    let (server, dev) = (Server::start().await, Dev::start().await);
    let said = run(&dev.api, "say", &server.call("Say", "{text: 'größer, €'}")).await;
    assert_eq!(output(&said), &json!({"text": "größer, €"}));
    let call = &server.told("call", "Say", 1).await[0];
    let metadata = |name: &str| Server::metadata(call, name);
    // As every call has them, beside the deadline.
    assert!(metadata("idempotency-key").unwrap().contains("/do/0/it"), "{call}");
    assert!(metadata("user-agent").unwrap().starts_with("windlass/"), "{call}");
    let left = call["left"].as_f64().unwrap();
    assert!((1.0..=300.0).contains(&left), "{call}");

    // A name without its package is enough where no other has it, and no arguments are an empty
    // message.
    let short = server.call("Say", "{}").replace("acme.echo.v1.Echo", "Echo");
    assert_eq!(output(&run(&dev.api, "short", &short).await), &json!({}));
}

/// A message with a value in each field, and nothing that JSON can write in two ways.
pub(super) fn everything() -> Value {
    json!({
        "small": -7, "large": "-9223372036854775808", "huge": "18446744073709551615",
        "signed": "-5", "fixed": "7", "single": 0.1, "exact": -1.5e-300, "flag": true,
        "text": "größer \"€\" \u{1f600}", "raw": "AAH+/w==", "mood": "MOOD_BUSY",
        "moods": ["MOOD_CALM", "MOOD_UNSPECIFIED"], "counts": {"a": "1", "b": "-2"},
        "points": {"-1": {"x": 1}}, "point": {"x": 1, "y": -1}, "present": 0,
        "at": "2026-11-29T22:30:00.250Z", "lasting": "-1.500s", "mask": "one.two,three.fourFive",
        "structure": {"a": [1.5, null, {"b": true}]}, "value": ["x", 1.5],
        "list": [null, "y"],
        "any": {"@type": "type.googleapis.com/acme.echo.v1.Point", "x": 3},
        "empty": {}, "boolValue": false, "int32Value": 0, "int64Value": "0",
        "uint32Value": 4294967295_u32, "uint64Value": "18446744073709551615", "floatValue": 0.5,
        "doubleValue": 0.25, "stringValue": "", "bytesValue": "",
        "paint": {"name": "sky", "color": "BLUE", "can": {"litres": 5}, "[acme.common.gloss]": "matt"},
        "otherName": "r", "inner": {"inner": {"small": 1}},
        "packed": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"},
    })
}

#[tokio::test]
async fn every_kind_of_value_goes_both_ways() {
    let (server, dev) = (Server::start().await, Dev::start().await);
    let call = server.call("All", "'${ . }'");
    let answer = run_on(&dev.api, "all", &call, &everything()).await;
    assert_eq!(output(&answer), &everything());

    // Other ways to write the same, which are all taken.
    let loose = json!({
        "large": 5, "huge": 6.0, "signed": "7", "small": "8", "raw": "AAH-_w", "mood": 2,
        "moods": [1, "MOOD_BUSY"], "int64_value": 9, "renamed": "r", "text": null,
        "single": "Infinity", "exact": "NaN", "doubleValue": 1, "at": "2026-11-29T23:30:00+01:00",
        "fixed": "1e3", "floatValue": "NaN", "nothing": 0, "any": {},
    });
    let answer = run_on(&dev.api, "loose", &call, &loose).await;
    let canonical = json!({
        "large": "5", "huge": "6", "signed": "7", "small": 8, "raw": "AAH+/w==",
        "mood": "MOOD_BUSY", "moods": ["MOOD_CALM", "MOOD_BUSY"], "int64Value": "9",
        "otherName": "r", "single": "Infinity", "exact": "NaN", "doubleValue": 1.0,
        "at": "2026-11-29T22:30:00Z", "fixed": "1000", "floatValue": "NaN", "any": {},
    });
    assert_eq!(output(&answer), &canonical);
}

#[tokio::test]
async fn every_status_is_an_error_that_names_it() {
    let (server, dev) = (Server::start().await, Dev::start().await);
    let call = server.call("Fail", "'${ . }'");
    let workflow = dev.api.deploy(&definition("fail", &call)).await;
    for (code, word, status) in [
        (1, "CANCELLED", 500),
        (2, "UNKNOWN", 500),
        (3, "INVALID_ARGUMENT", 400),
        (4, "DEADLINE_EXCEEDED", 504),
        (5, "NOT_FOUND", 404),
        (6, "ALREADY_EXISTS", 500),
        (7, "PERMISSION_DENIED", 403),
        (8, "RESOURCE_EXHAUSTED", 429),
        (9, "FAILED_PRECONDITION", 500),
        (10, "ABORTED", 500),
        (11, "OUT_OF_RANGE", 500),
        (12, "UNIMPLEMENTED", 501),
        (13, "INTERNAL", 500),
        (14, "UNAVAILABLE", 503),
        (15, "DATA_LOSS", 500),
        (16, "UNAUTHENTICATED", 401),
    ] {
        let input = json!({"status": code, "message": "so ist es: 100 % größer"});
        let (kind, found, detail) = error(&dev.api.run(&workflow, &input).await);
        assert_eq!((kind.as_str(), found), ("communication", status), "{code}: {detail}");
        let expected = format!("answered {word} (grpc-status {code}): so ist es: 100 % größer");
        assert!(detail.ends_with(&expected), "{detail}");
    }
}
