//! What the problems of calls say.

use windlass_proto::problem::{Problem, Standard};

/// True for the problem of a server that did not accept who asked.
pub(in crate::perform) fn is_refusal(problem: &Problem) -> bool {
    match Standard::parse(&problem.kind) {
        Some(Standard::Authentication) => true,
        Some(Standard::Runtime) => matches!(problem.status, 401 | 403),
        _ => false,
    }
}

/// The specification has one type of error for calls of MCP and of A2A that fail, whatever it was.
pub(in crate::perform) fn as_runtime(problem: Problem) -> Problem {
    if Standard::parse(&problem.kind) != Some(Standard::Communication) {
        return problem;
    }
    let detail = problem.detail.unwrap_or_default();
    Problem::new(Standard::Runtime, detail.to_string()).with_status(problem.status)
}

/// A problem on the way to the rest of an answer: the request itself was accepted, so that it is
/// not to be made again with other secrets.
pub(in crate::perform) fn without_refusal(problem: Problem) -> Problem {
    if !is_refusal(&as_runtime(problem.clone())) {
        return problem;
    }
    let detail = problem.detail.unwrap_or_default();
    Problem::new(Standard::Runtime, detail.to_string())
}
