//! Messages of JSON-RPC, as MCP has them.

use std::sync::Arc;

use windlass_proto::plan::McpVersion;
use windlass_proto::value::{Members, Value};

use crate::perform::json_rpc::message::{METHOD_NOT_FOUND, request};

/// What is asked of a server.
pub(super) struct Ask {
    pub(super) method: Arc<str>,
    pub(super) parameters: Members,
    /// Who asks: name and version.
    pub(super) client: Value,
    pub(super) traceparent: Option<String>,
    /// The version that the definition wants.
    pub(super) version: Option<McpVersion>,
}

/// The id of what opens a conversation.
pub(super) const OPENING: i64 = 1;
/// The id of a second opening, where the first was left without an answer.
pub(super) const OPENING_AGAIN: i64 = 2;
/// The id of the request itself.
pub(super) const REQUEST: i64 = 3;

/// The error of a server that misses in the headers what is in the body; it has done nothing.
pub(super) const HEADERS_DIFFER: i64 = -32_020;
/// The error of a server that does not speak a version, and lists those that it does.
pub(super) const UNSUPPORTED_VERSION: i64 = -32_022;

/// The method that tells what tools there are.
pub(super) const LIST_TOOLS: &str = "tools/list";

const META: &str = "_meta";

impl Ask {
    /// The request itself, for a server that keeps no sessions.
    pub(super) fn stateless(&self) -> Value {
        request(REQUEST, &self.method, self.with_meta(self.parameters.clone(), true))
    }

    /// The request itself, in a session.
    pub(super) fn in_session(&self) -> Value {
        request(REQUEST, &self.method, self.with_meta(self.parameters.clone(), false))
    }

    /// Whether the server keeps no sessions, and which versions it speaks.
    pub(super) fn discover(&self) -> Value {
        request(OPENING, "server/discover", self.with_meta(Members::new(), true))
    }

    /// The tools of a server without sessions, from `cursor` on.
    pub(super) fn list_tools(&self, cursor: Option<Value>) -> Value {
        let parameters = cursor.map(|it| ("cursor".into(), it)).into_iter().collect();
        request(OPENING, LIST_TOOLS, self.with_meta(parameters, true))
    }

    /// Opens a session of `version`.
    pub(super) fn initialize(&self, id: i64, version: McpVersion) -> Value {
        let parameters = Value::object([
            ("protocolVersion", Value::from(version.as_str())),
            ("capabilities", Value::empty_object()),
            ("clientInfo", self.client.clone()),
        ]);
        request(id, "initialize", parameters)
    }

    /// What the header `Mcp-Name` repeats of the request.
    pub(super) fn name(&self) -> Option<&str> {
        let key = match &*self.method {
            "tools/call" | "prompts/get" => "name",
            "resources/read" => "uri",
            _ => return None,
        };
        self.parameters.get(key)?.as_str()
    }

    /// `parameters` with what a request says about itself, beside what the author gave.
    fn with_meta(&self, mut parameters: Members, stateless: bool) -> Value {
        let given = parameters.get(META).cloned().and_then(Value::into_members);
        let mut meta = given.unwrap_or_default();
        if let Some(traceparent) = &self.traceparent {
            let traceparent = Value::from(traceparent.as_str());
            meta.entry("traceparent".into()).or_insert(traceparent);
        }
        if stateless {
            let version = Value::from(McpVersion::NEWEST.as_str());
            for (key, value) in [
                ("io.modelcontextprotocol/protocolVersion", version),
                ("io.modelcontextprotocol/clientInfo", self.client.clone()),
                ("io.modelcontextprotocol/clientCapabilities", Value::empty_object()),
            ] {
                meta.insert(key.into(), value);
            }
        }
        if !meta.is_empty() {
            parameters.insert(META.into(), Value::from(meta));
        }
        Value::from(parameters)
    }
}

/// The session can begin.
pub(super) fn initialized() -> Value {
    notification("notifications/initialized", None)
}

/// Nobody waits for the answer to the request any more.
pub(super) fn cancelled() -> Value {
    let why = Value::from("the task has ended");
    let parameters = Value::object([("requestId", Value::Int(REQUEST)), ("reason", why)]);
    notification("notifications/cancelled", Some(parameters))
}

fn notification(method: &str, parameters: Option<Value>) -> Value {
    let members = [("jsonrpc", Value::from("2.0")), ("method", Value::from(method))];
    Value::object(members.into_iter().chain(parameters.map(|it| ("params", it))))
}

/// The answer to a request of the server: it may ask whether somebody is there, and no more, as no
/// capability was offered to it.
pub(super) fn answer_to(message: &Value) -> Option<Value> {
    let (id, method) = (message.get("id")?, message.get("method")?.as_str()?);
    let outcome = if method == "ping" {
        ("result", Value::empty_object())
    } else {
        let why = Value::from(format!("this client does not do {method}"));
        ("error", Value::object([("code", Value::Int(METHOD_NOT_FOUND)), ("message", why)]))
    };
    Some(Value::object([("jsonrpc", Value::from("2.0")), ("id", id.clone()), outcome]))
}

#[cfg(test)]
mod tests;
