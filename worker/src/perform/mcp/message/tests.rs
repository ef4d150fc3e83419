use windlass_proto::plan::McpVersion;
use windlass_proto::value::Value;

use super::{Ask, answer_to, cancelled};
use crate::testing::json;

fn ask(method: &str, parameters: &str) -> Ask {
    Ask {
        method: method.into(),
        parameters: json(parameters).into_members().unwrap_or_default(),
        client: json(r#"{"name": "me", "version": "1"}"#),
        traceparent: None,
        version: None,
    }
}

#[test]
fn a_request_without_a_session_says_all_about_itself() {
    let given = r#"{"name": "add", "_meta": {"mine": 1, "io.modelcontextprotocol/clientInfo": 2}}"#;
    let mut ask = ask("tools/call", given);
    ask.traceparent = Some("00-1-2-01".to_owned());
    let expected = r#"{
        "jsonrpc": "2.0", "id": 3, "method": "tools/call",
        "params": {"name": "add", "_meta": {
            "mine": 1,
            "io.modelcontextprotocol/clientInfo": {"name": "me", "version": "1"},
            "traceparent": "00-1-2-01",
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}
        }}
    }"#;
    assert_eq!(ask.stateless(), json(expected));
    let in_session =
        r#"{"mine": 1, "io.modelcontextprotocol/clientInfo": 2, "traceparent": "00-1-2-01"}"#;
    let meta = ask.in_session().get("params").and_then(|it| it.get("_meta").cloned());
    assert_eq!(meta, Some(json(in_session)));
}

#[test]
fn a_session_begins_with_version_and_client() {
    let message = ask("tools/list", "{}").initialize(2, McpVersion::V2025_03);
    let expected = r#"{
        "jsonrpc": "2.0", "id": 2, "method": "initialize",
        "params": {"protocolVersion": "2025-03-26", "capabilities": {},
                   "clientInfo": {"name": "me", "version": "1"}}
    }"#;
    assert_eq!(message, json(expected));
    let params = ask("tools/list", "{}").in_session();
    assert_eq!(params.get("params"), Some(&Value::empty_object()));
}

#[test]
fn only_what_has_a_name_is_named() {
    assert_eq!(ask("tools/call", r#"{"name": "add"}"#).name(), Some("add"));
    assert_eq!(ask("prompts/get", r#"{"name": "p"}"#).name(), Some("p"));
    assert_eq!(ask("resources/read", r#"{"uri": "a://b", "name": "n"}"#).name(), Some("a://b"));
    assert_eq!(ask("tools/list", r#"{"name": "add"}"#).name(), None);
    assert_eq!(ask("tools/call", r#"{"name": 1}"#).name(), None);
}

#[test]
fn a_server_is_told_what_this_client_does_not_do() {
    let ping = answer_to(&json(r#"{"jsonrpc": "2.0", "id": "x", "method": "ping"}"#));
    assert_eq!(ping, Some(json(r#"{"jsonrpc": "2.0", "id": "x", "result": {}}"#)));
    let asked = answer_to(&json(r#"{"id": 7, "method": "roots/list"}"#)).unwrap_or_default();
    assert_eq!(asked.get("error").and_then(|it| it.get("code")?.as_i64()), Some(-32_601));
    assert_eq!(answer_to(&cancelled()), None);
}
