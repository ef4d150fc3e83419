//! Who answers calls in place of the world, where a workflow is tried out.
//!
//! All else of an attempt is as always: schemas, `input.from`, secrets, what is sent, what becomes
//! of a response, `output.as`, sealing (`perform/stand_in`).

use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

/// Answers calls. It is asked on the thread that performs the attempt, so it must not block.
pub trait StandIn: Send + Sync {
    /// What comes of a call.
    fn answer(&self, call: &OutsideCall) -> StandInAnswer;
}

/// A call that is about to be made.
#[derive(Clone, Debug)]
pub struct OutsideCall {
    /// What it is for.
    pub purpose: CallPurpose,
    /// The kind of call in the words of definitions: `http`, `function`, `shell`, …
    pub kind: &'static str,
    /// Method and URL, where it is a request of HTTP.
    pub request: Option<(String, String)>,
    /// What is sent. Secrets are in it.
    pub sent: Value,
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallPurpose {
    /// It is what the task does.
    Task,
    /// A token of an authorization server, which the task's call needs.
    Token,
    /// A document that the task needs: a schema, a description, a script.
    Document,
}

/// What comes of a call.
#[derive(Clone, Debug)]
pub enum StandInAnswer {
    /// It is made for real.
    Pass,
    /// This raw output; of a request the content of a response with status 200.
    Output(Value),
    /// A response of HTTP.
    Response {
        /// Its status.
        status: u16,
        /// Its headers.
        headers: Vec<(String, String)>,
        /// Its content: text as it is, anything else as JSON.
        body: Value,
    },
    /// This error.
    Failure(Problem),
}
