//! MCP servers of the official Python SDK: 2.3, which keeps no sessions and speaks the newest
//! version of the protocol, and 1.30, which has sessions and does not.

mod ends;
mod http;
mod stdio;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::Command;

use super::Server;
use super::tries::{self, assert_failed};
use crate::support::client::Api;
use crate::support::{paths, tools};

/// Both, and what the first version without sessions is to them.
const SDKS: [&str; 2] = ["mcp==2.3.0", "mcp==1.30.0"];

/// The server's program.
fn program() -> PathBuf {
    paths::root().join("tests/it/servers/mcp/server.py")
}

/// A server over HTTP.
async fn http(sdk: &str) -> Server {
    let python = tools::python(&[sdk]).await;
    Server::start(|port, folder| {
        let mut command = Command::new(&python);
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(program()).arg("http");
        command.arg(folder.join("log")).arg(port.to_string());
        command
    })
    .await
}

/// The `transport` of a server over HTTP.
fn at(server: &Server) -> Value {
    json!({"http": {"endpoint": format!("{}/mcp", server.url())}})
}

/// The `transport` of a server that is a program, with its log in `folder`.
async fn started(sdk: &str, folder: &Path) -> Value {
    let python = tools::python(&[sdk]).await;
    json!({"stdio": {
        "command": python,
        "arguments": [program(), "stdio", folder.join("log")],
        "environment": {"PYTHONDONTWRITEBYTECODE": "1"},
    }})
}

/// A call of a tool.
fn tool(name: &str, arguments: Value) -> Value {
    json!({"method": "tools/call", "parameters": {"name": name, "arguments": arguments}})
}

/// The text of a workflow that makes these calls of `transport`; see [`tries::workflow`].
fn workflow(name: &str, transport: &Value, calls: &[(&str, Value)]) -> String {
    tries::workflow("mcp", name, &of(transport, calls))
}

/// Makes these calls of `transport`; gives what each gave.
async fn outcomes(api: &Api, name: &str, transport: &Value, calls: &[(&str, Value)]) -> Value {
    tries::outcomes(api, "mcp", name, &of(transport, calls)).await
}

fn of<'c>(transport: &Value, calls: &[(&'c str, Value)]) -> Vec<(&'c str, Value)> {
    let mut calls = calls.to_vec();
    for (_, with) in &mut calls {
        with["transport"] = transport.clone();
    }
    calls
}

fn read(uri: &str) -> Value {
    json!({"method": "resources/read", "parameters": {"uri": uri}})
}

/// What shows that a transport works, and how what fails is told.
fn some() -> Vec<(&'static str, Value)> {
    let prompt = json!({"name": "greet", "arguments": {"name": "Ada"}});
    let noisy = json!({"name": "progresses", "arguments": {}, "_meta": {"progressToken": 7}});
    vec![
        ("sum", tool("add", json!({"a": 1, "b": 2}))),
        ("noisy", json!({"method": "tools/call", "parameters": noisy})),
        ("prompt", json!({"method": "prompts/get", "parameters": prompt})),
        ("resource", read("notes://today")),
        ("refused", tool("refuses", json!({"why": "no wind"}))),
        ("unknown", tool("no such tool", json!({}))),
        ("missing", read("notes://nowhere")),
    ]
}

/// What [`some`] gives.
fn assert_some(got: &Value) {
    assert_eq!(got["sum"]["structuredContent"], json!({"result": 3}), "{got}");
    assert_eq!(got["noisy"]["structuredContent"], json!({"result": "größer"}), "{got}");
    assert_eq!(got["prompt"]["messages"][0]["content"]["text"], "Greet Ada");
    assert_eq!(got["resource"]["contents"][0]["text"], "fair winds");
    assert_failed(got, "refused", "the tool failed: Error executing tool refuses: no wind");
    assert_failed(got, "unknown", "Unknown tool: no such tool");
    assert_failed(got, "missing", "answered resources/read with the error ");
}
