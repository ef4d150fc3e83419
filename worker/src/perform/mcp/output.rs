//! What an MCP call gives: the result as it is, or an error.

use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use super::SERVER;
use crate::attempt::Attempt;
use crate::perform::json_rpc::message::Reply;

/// A result of a tool as data.
const STRUCTURED: &str = "structuredContent";

impl Attempt<'_> {
    /// The output of a call of `method`.
    ///
    /// # Errors
    /// A runtime problem for an error of the protocol, for a tool that failed, and where the server
    /// wants more than a request.
    pub(super) fn mcp_output(&self, method: &str, reply: Reply) -> Result<Value, Problem> {
        let result = match reply {
            Reply::Result(result) => result,
            Reply::Error(error) => return Err(self.rpc_error(SERVER, method, &error)),
        };
        if result.as_object().is_none() {
            let detail = format!("the MCP server answered {method} with no object");
            return Err(Problem::new(Standard::Runtime, detail));
        }
        match result.get("resultType").and_then(Value::as_str) {
            None | Some("complete") => {}
            Some("input_required") => {
                let detail = format!(
                    "the MCP server wants somebody to answer questions before it does {method}, \
                     which a workflow cannot"
                );
                return Err(Problem::new(Standard::Runtime, detail));
            }
            Some(other) => {
                let other = self.rpc_text(other);
                let detail = format!("the MCP server gave a result of the unknown type {other:?}");
                return Err(Problem::new(Standard::Runtime, detail));
            }
        }
        if method != "tools/call" {
            return Ok(result);
        }
        if result.get("isError") == Some(&Value::Bool(true)) {
            let said = texts(&result).collect::<Vec<_>>().join("\n");
            let detail = match self.rpc_text(&said) {
                said if said.is_empty() => "the tool failed, and does not say why".to_owned(),
                said => format!("the tool failed: {said}"),
            };
            return Err(Problem::new(Standard::Runtime, detail));
        }
        Ok(structured(result))
    }
}

/// The texts among the contents of a result.
fn texts(result: &Value) -> impl Iterator<Item = &str> {
    let contents = result.get("content").and_then(Value::as_array).unwrap_or_default();
    let is_text = |it: &&Value| it.get("type").and_then(Value::as_str) == Some("text");
    contents.iter().filter(is_text).filter_map(|it| it.get("text")?.as_str())
}

/// `result` with its data in `structuredContent`: tools that declare no type for what they give
/// write it as a text of JSON.
fn structured(result: Value) -> Value {
    let contents = result.get("content").and_then(Value::as_array).unwrap_or_default().len();
    if result.get(STRUCTURED).is_some() || contents != 1 {
        return result;
    }
    let data = texts(&result).next().and_then(|text| Value::from_json(text).ok());
    let data = data.filter(|it| matches!(it, Value::Object(_) | Value::Array(_)));
    match (data, result.clone().into_members()) {
        (Some(data), Some(mut members)) => {
            members.insert(STRUCTURED.into(), data);
            Value::from(members)
        }
        _ => result,
    }
}
