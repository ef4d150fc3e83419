//! `call: mcp`: one request to a server of the Model Context Protocol.
//!
//! ```text
//!  version named, or the newest
//!    ├ without sessions:  server/discover ─ yes ─────────────────────────> the request, with `_meta`
//!    │                          └ no: initialize with the newest that has sessions ─┐
//!    └ with sessions:     initialize ─ yes ─> notifications/initialized ─> the request, in it
//!                               └ no: server/discover ─ yes ─> the request, with `_meta`
//! ```
//!
//! What is tried first has no effects; the request itself is sent when it is known how, and once.
//! When nobody waits for it any more, servers with sessions are told so (`notifications/cancelled`)
//! and others see it by the connection.

mod http;
mod message;
mod output;
mod parameters;
mod stdio;
mod terms;

use windlass_proto::plan::data_flow::DataFlow as _;
use windlass_proto::plan::{McpCall, McpTransport};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::{Members, Value};

use self::message::Ask;
use super::json_rpc::answer::Peer;
use super::json_rpc::message::Reply;
use super::json_rpc::problems::{as_runtime, is_refusal};
use crate::attempt::Attempt;
use crate::trace;

/// Who answers a call.
const SERVER: Peer = Peer("MCP server");

impl Attempt<'_> {
    pub(super) async fn call_mcp(
        &mut self,
        call: &McpCall,
        input: &Value,
    ) -> Result<Value, Problem> {
        let Some(limit) = self.optional_duration(call.timeout.as_ref(), input)? else {
            return self.ask_mcp(call, input).await.map_err(as_runtime);
        };
        let asked = tokio::time::timeout(limit, self.ask_mcp(call, input)).await;
        asked.map(|done| done.map_err(as_runtime)).unwrap_or_else(|_| {
            let detail = format!("the MCP call did not end within {} ms", limit.as_millis());
            Err(Problem::new(Standard::Timeout, detail))
        })
    }

    /// Asks, and once more where the server refused a secret that has changed since it was read.
    async fn ask_mcp(&mut self, call: &McpCall, input: &Value) -> Result<Value, Problem> {
        let mut reply = self.mcp_reply(call, input).await;
        if reply.as_ref().is_err_and(is_refusal) && self.secrets_changed().await? {
            let input = self.transform_input(self.task, &self.input.clone())?;
            reply = self.mcp_reply(call, &input).await;
        }
        self.mcp_output(&call.method, reply?)
    }

    async fn mcp_reply(&mut self, call: &McpCall, input: &Value) -> Result<Reply, Problem> {
        let ask = self.mcp_question(call, input)?;
        match &call.transport {
            McpTransport::Http { endpoint, headers } => {
                self.mcp_over_http(&ask, endpoint, headers.as_ref(), input).await
            }
            McpTransport::Stdio { command, arguments, environment } => {
                let program =
                    self.mcp_program(command, arguments.as_ref(), environment.as_ref(), input)?;
                self.mcp_over_stdio(&ask, program).await
            }
        }
    }

    fn mcp_question(&self, call: &McpCall, input: &Value) -> Result<Ask, Problem> {
        let parameters = self.evaluate_optional(call.parameters.as_ref(), input)?;
        let parameters = match parameters.unwrap_or_default() {
            Value::Null => Members::new(),
            given => given.into_members().ok_or_else(|| {
                let detail = "`parameters` must be an object, or an expression that gives one";
                Problem::new(Standard::Expression, detail)
            })?,
        };
        let client = self.evaluate_optional(call.client.as_ref(), input)?.unwrap_or_default();
        let text = |key: &str, usual: &str| {
            let given = client.get(key).filter(|it| !it.is_null());
            Value::from(given.map_or_else(|| usual.to_owned(), Value::to_text))
        };
        let client = Value::object([
            ("name", text("name", "windlass")),
            ("version", text("version", env!("CARGO_PKG_VERSION"))),
        ]);
        let traceparent = trace::current_traceparent()
            .or_else(|| self.assignment.traceparent.as_deref().map(str::to_owned));
        let (method, version) = (call.method.clone(), call.version);
        Ok(Ask { method, parameters, client, traceparent, version })
    }
}

#[cfg(test)]
mod tests;
