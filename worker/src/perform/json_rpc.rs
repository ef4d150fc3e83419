//! JSON-RPC 2.0 over HTTP, as MCP servers and A2A agents speak it: messages, answers in JSON or as
//! events, and the problems of calls that have none.

pub(super) mod answer;
pub(super) mod message;
pub(super) mod problems;
pub(super) mod stream;
