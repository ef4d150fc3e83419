//! A2A agents of the official Python SDK: 1.3, which speaks the version 1.0 of the protocol alone,
//! and a release of 0.3, which knows no later one.

mod ends;

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::process::Command;

use super::Server;
use super::tries::{assert_failed, outcomes};
use crate::support::dev::Dev;
use crate::support::{paths, tools};

/// Both, the newer one first.
const SDKS: [&str; 2] = ["a2a-sdk==1.3.0", "a2a-sdk==0.3.26"];

/// What both need to serve HTTP.
const HTTP: [&str; 3] = ["sse-starlette==3.7.0", "starlette==1.10.0", "uvicorn==0.54.0"];

/// A running agent.
async fn agent(sdk: &str) -> Server {
    let [sse, starlette, uvicorn] = HTTP;
    let python = tools::python(&[sdk, sse, starlette, uvicorn]).await;
    let program: PathBuf = paths::root().join("tests/it/servers/a2a/server.py");
    Server::start(|port, folder| {
        let mut command = Command::new(&python);
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(&program);
        command.arg(folder.join("log")).arg(port.to_string());
        command
    })
    .await
}

/// A call of a method of the agent that this card is of.
fn call(agent: &Server, method: &str, parameters: Value) -> Value {
    let card = format!("{}/.well-known/agent-card.json", agent.url());
    let mut with = json!({"method": method, "agentCard": {"endpoint": card}});
    if parameters != json!({}) {
        with["parameters"] = parameters;
    }
    with
}

/// The parameters that tell an agent this.
fn told(text: &str) -> Value {
    json!({"message": {"parts": [{"kind": "text", "text": text}]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn one_workflow_asks_agents_of_both_versions_everything() {
    let dev = Dev::start().await;
    for (at_work, sdk) in SDKS.iter().enumerate() {
        let agent = agent(sdk).await;
        let name = format!("everything-{at_work}");
        let got = outcomes(&dev.api, "a2a", &name, &everything(&agent)).await;
        assert_messages(&got);
        assert_tasks(&got, sdk.contains("==1."));
        assert_streams(&got);
        assert_push(&got);
        assert_eq!(got["card"]["name"], "tests", "{got}");
        assert_eq!(got["card"]["supportsAuthenticatedExtendedCard"], true, "{got}");
        assert_eq!(got["card"]["url"], format!("{}/rpc", agent.url()), "{got}");
        // Each was told each thing once, and not once more to find out how.
        let began = agent.logged("began", 10).await;
        let words: Vec<_> = began.iter().map(|it| it.split(' ').next().unwrap()).collect();
        let told = ["say", "say", "say", "work", "fail", "break", "ask", "work", "work", "say"];
        assert_eq!(words, told, "{sdk}");
    }
}

fn text(text: &str) -> Value {
    json!([{"kind": "text", "text": text}])
}

/// All parts come back as they were sent, in the form of 0.3.
fn assert_messages(got: &Value) {
    let parts = json!([
        {"kind": "text", "text": "größer"},
        {"kind": "data", "data": {"a": [null, true, "b"]}},
        {"kind": "file", "file": {"bytes": "AA==", "name": "n", "mimeType": "image/png"}},
        {"kind": "file", "file": {"uri": "http://localhost/a", "name": "a"}},
    ]);
    for name in ["said", "at_server", "in_newer_words"] {
        assert_eq!(got[name]["kind"], "message", "{name}: {got}");
        assert_eq!(got[name]["role"], "agent", "{name}: {got}");
        assert_eq!(got[name]["parts"], parts, "{name}: {got}");
    }
}

fn assert_tasks(got: &Value, can_list: bool) {
    assert_eq!(got["worked"]["kind"], "task", "{got}");
    assert_eq!(got["worked"]["status"]["state"], "completed", "{got}");
    assert_eq!(got["worked"]["artifacts"][0]["parts"], text("it is done"), "{got}");
    assert_eq!(got["worked"]["history"][0]["role"], "user", "{got}");
    assert_eq!(got["failed"]["status"]["state"], "failed", "{got}");
    assert_eq!(got["failed"]["status"]["message"]["parts"], text("no wind"), "{got}");
    assert_failed(got, "broken", "message/send with the error -32603: a text of its own");

    assert_eq!(got["asked"]["status"]["state"], "input-required", "{got}");
    for name in ["answered", "got"] {
        assert_eq!(got[name]["id"], got["asked"]["id"], "{name}: {got}");
        assert_eq!(got[name]["status"]["state"], "completed", "{name}: {got}");
    }
    assert_failed(got, "missing", "tasks/get with the error -32001: Task not found");
    assert_failed(got, "over", "tasks/cancel with the error -32002: ");
    if can_list {
        let listed = got["listed"]["tasks"].as_array().unwrap();
        assert_eq!(listed.len(), 1, "{got}");
        assert_eq!(listed[0]["id"], got["asked"]["id"], "{got}");
        assert_eq!(listed[0]["history"][0]["parts"], text("ask it"), "{got}");
    } else {
        assert_failed(got, "listed", "tasks/list with the error -32601: Method not found");
    }
}

fn assert_streams(got: &Value) {
    let kinds = |name: &str| -> Vec<(String, Value)> {
        let all = got[name].as_array().unwrap().iter();
        all.map(|it| (it["kind"].as_str().unwrap().into(), it["final"].clone())).collect()
    };
    let update = |last: bool| ("status-update".to_owned(), json!(last));
    let other = |kind: &str| (kind.to_owned(), Value::Null);
    let all = [other("task"), update(false), other("artifact-update"), update(true)];
    assert_eq!(kinds("streamed"), all, "{got}");
    assert_eq!(got["streamed"][3]["status"]["state"], "completed", "{got}");
    assert_eq!(kinds("said_as_stream"), [other("message")], "{got}");
}

fn assert_push(got: &Value) {
    let config = json!({"id": "p", "url": "http://localhost/push", "token": "t"});
    let set = json!({"taskId": got["asked"]["id"], "pushNotificationConfig": config});
    assert_eq!(got["set"], set, "{got}");
    assert_eq!(got["set_got"], set, "{got}");
    assert_eq!(got["set_listed"], json!([set]), "{got}");
    assert_eq!(got["set_deleted"], Value::Null, "{got}");
    assert_eq!(got["none_listed"], json!([]), "{got}");
}

/// Calls of all methods.
fn everything(agent: &Server) -> Vec<(&'static str, Value)> {
    let all = json!({"message": {"parts": [
        {"kind": "text", "text": "say größer"},
        {"kind": "data", "data": {"a": [null, true, "b"]}},
        {"kind": "file", "file": {"bytes": "AA==", "name": "n", "mimeType": "image/png"}},
        {"kind": "file", "file": {"uri": "http://localhost/a", "name": "a"}},
    ]}});
    let newer = json!({"message": {"role": "ROLE_USER", "parts": [
        {"text": "say größer"},
        {"data": {"a": [null, true, "b"]}},
        {"raw": "AA==", "filename": "n", "mediaType": "image/png"},
        {"url": "http://localhost/a", "filename": "a"},
    ]}});
    let at_server = json!({
        "method": "message/send", "parameters": all, "server": format!("{}/rpc", agent.url()),
    });
    let call = |method: &str, parameters| call(agent, method, parameters);
    let send = |parameters| call("message/send", parameters);
    let push = |method: &str, parameters| {
        call(&format!("tasks/pushNotificationConfig/{method}"), parameters)
    };
    let task = "${ $context.asked.id }";
    let mut answer = told("work it");
    answer["message"]["taskId"] = json!(task);
    answer["message"]["contextId"] = json!("${ $context.asked.contextId }");
    let config = json!({"id": "p", "url": "http://localhost/push", "token": "t"});
    let of_config = json!({"id": task, "pushNotificationConfigId": "p"});
    vec![
        ("said", send(all)),
        ("at_server", at_server),
        ("in_newer_words", send(newer)),
        ("worked", send(told("work it"))),
        ("failed", send(told("fail no wind"))),
        ("broken", send(told("break it"))),
        ("asked", send(told("ask it"))),
        ("answered", send(answer)),
        ("got", call("tasks/get", json!({"id": task}))),
        ("missing", call("tasks/get", json!({"id": "none"}))),
        ("over", call("tasks/cancel", json!({"id": task}))),
        ("listed", call("tasks/list", json!({"contextId": "${ $context.asked.contextId }"}))),
        ("streamed", call("message/stream", told("work it"))),
        ("said_as_stream", call("message/stream", told("say it"))),
        ("set", push("set", json!({"taskId": task, "pushNotificationConfig": config}))),
        ("set_got", push("get", of_config.clone())),
        ("set_listed", push("list", json!({"id": task}))),
        ("set_deleted", push("delete", of_config)),
        ("none_listed", push("list", json!({"id": task}))),
        ("card", call("agent/getAuthenticatedExtendedCard", json!({}))),
    ]
}
