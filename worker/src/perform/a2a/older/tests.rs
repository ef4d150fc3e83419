use super::{is_settled, result};
use crate::perform::a2a::method::Method;
use crate::testing::json;

const NEWER_TASK: &str = r#"{"id": "t", "contextId": "c",
    "status": {"state": "TASK_STATE_INPUT_REQUIRED", "timestamp": "2026-01-01T00:00:00Z",
        "message": {"messageId": "a", "role": "ROLE_AGENT", "parts": [{"text": "who?"}]}},
    "history": [{"messageId": "m", "role": "ROLE_USER", "parts": [
        {"text": "x", "filename": "", "mediaType": ""},
        {"text": "y", "mediaType": "text/markdown"}]}],
    "artifacts": [{"artifactId": "r", "name": "report", "parts": [
        {"data": [1, {"state": "TASK_STATE_WORKING"}]},
        {"raw": "AA==", "filename": "n", "mediaType": "t/s"}, {"url": "http://a"}]}],
    "metadata": {"role": "ROLE_USER"}}"#;

const OLDER_TASK: &str = r#"{"kind": "task", "id": "t", "contextId": "c",
    "status": {"state": "input-required", "timestamp": "2026-01-01T00:00:00Z",
        "message": {"kind": "message", "messageId": "a", "role": "agent",
            "parts": [{"kind": "text", "text": "who?"}]}},
    "history": [{"kind": "message", "messageId": "m", "role": "user", "parts": [
        {"kind": "text", "text": "x"},
        {"kind": "text", "text": "y", "mediaType": "text/markdown"}]}],
    "artifacts": [{"artifactId": "r", "name": "report", "parts": [
        {"kind": "data", "data": [1, {"state": "TASK_STATE_WORKING"}]},
        {"kind": "file", "file": {"bytes": "AA==", "name": "n", "mimeType": "t/s"}},
        {"kind": "file", "file": {"uri": "http://a"}}]}],
    "metadata": {"role": "ROLE_USER"}}"#;

/// Each is translated, and stays what it is then.
#[test]
fn results_of_newer_agents_read_as_those_of_older_ones() {
    let wrapped = format!(r#"{{"task": {NEWER_TASK}}}"#);
    let listed = format!(r#"{{"tasks": [{NEWER_TASK}], "nextPageToken": "n"}}"#);
    let listed_before = format!(r#"{{"tasks": [{OLDER_TASK}], "nextPageToken": "n"}}"#);
    for (method, newer, older) in [
        (Method::Send, &*wrapped, OLDER_TASK),
        (Method::Stream, &wrapped, OLDER_TASK),
        (Method::Get, NEWER_TASK, OLDER_TASK),
        (Method::Cancel, NEWER_TASK, OLDER_TASK),
        (Method::List, &listed, &listed_before),
        (
            Method::Send,
            r#"{"message": {"messageId": "a", "role": "ROLE_AGENT", "parts": [{"text": "x"}]}}"#,
            r#"{"kind": "message", "messageId": "a", "role": "agent",
                "parts": [{"kind": "text", "text": "x"}]}"#,
        ),
        (
            Method::Stream,
            r#"{"statusUpdate": {"taskId": "t", "status": {"state": "TASK_STATE_WORKING"}}}"#,
            r#"{"kind": "status-update", "taskId": "t", "status": {"state": "working"},
                "final": false}"#,
        ),
        (
            Method::Resubscribe,
            r#"{"statusUpdate": {"taskId": "t", "status": {"state": "TASK_STATE_CANCELED"}}}"#,
            r#"{"kind": "status-update", "taskId": "t", "status": {"state": "canceled"},
                "final": true}"#,
        ),
        (
            Method::Stream,
            r#"{"artifactUpdate": {"taskId": "t", "append": true,
                "artifact": {"artifactId": "r", "parts": [{"text": "x"}]}}}"#,
            r#"{"kind": "artifact-update", "taskId": "t", "append": true,
                "artifact": {"artifactId": "r", "parts": [{"kind": "text", "text": "x"}]}}"#,
        ),
        (
            Method::SetPush,
            r#"{"taskId": "t", "id": "p", "url": "http://a",
                "authentication": {"scheme": "Bearer", "credentials": "c"}}"#,
            r#"{"taskId": "t", "pushNotificationConfig": {"id": "p", "url": "http://a",
                "authentication": {"schemes": ["Bearer"], "credentials": "c"}}}"#,
        ),
        (
            Method::ListPush,
            r#"{"configs": [{"taskId": "t", "url": "http://a"}]}"#,
            r#"[{"taskId": "t", "pushNotificationConfig": {"url": "http://a"}}]"#,
        ),
        (Method::ListPush, "{}", "[]"),
        (Method::DeletePush, "{}", "null"),
        (Method::DeletePush, "null", "null"),
        (Method::Send, r#"{"later": {"a": 1}}"#, r#"{"later": {"a": 1}}"#),
        (
            Method::Stream,
            r#"{"status": {"state": "TASK_STATE_WORKING"}}"#,
            r#"{"status": {"state": "TASK_STATE_WORKING"}}"#,
        ),
    ] {
        assert_eq!(result(method, json(newer)), json(older), "{method:?}");
        assert_eq!(result(method, json(older)), json(older), "{method:?} again");
    }
}

#[test]
fn a_card_says_in_the_older_words_what_it_says_in_the_newer_ones() {
    let newer = r#"{"name": "a", "capabilities": {"extendedAgentCard": true},
        "supportedInterfaces": [
            {"url": "http://a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
            {"url": "http://b", "protocolBinding": "GRPC", "protocolVersion": "1.0"}]}"#;
    let card = result(Method::ExtendedCard, json(newer));
    for (key, expected) in [
        ("name", r#""a""#),
        ("url", r#""http://a""#),
        ("preferredTransport", r#""JSONRPC""#),
        ("protocolVersion", r#""1.0""#),
        ("supportsAuthenticatedExtendedCard", "true"),
        (
            "additionalInterfaces",
            r#"[{"url": "http://a", "transport": "JSONRPC"},
                {"url": "http://b", "transport": "GRPC"}]"#,
        ),
    ] {
        assert_eq!(card.get(key), Some(&json(expected)), "{key}");
    }
    let older = r#"{"name": "a", "url": "http://a", "protocolVersion": "0.3.0"}"#;
    assert_eq!(result(Method::ExtendedCard, json(older)), json(older));
}

#[test]
fn only_a_task_that_works_is_waited_for() {
    let task = |state: &str| json(&format!(r#"{{"status": {{"state": "{state}"}}}}"#));
    for state in ["submitted", "working", "unknown"] {
        assert!(!is_settled(&task(state)), "{state}");
    }
    for state in ["completed", "failed", "canceled", "rejected", "input-required", "auth-required"]
    {
        assert!(is_settled(&task(state)), "{state}");
    }
}
