//! How a command fails, and what the shell sees of it.

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use windlass_coordinator::accept::ApiProblem;
use windlass_coordinator::code as api;
use windlass_coordinator::coordinator::CoordinatorError;

use crate::code::{BROKEN_OFF, Code, STILL_OPEN, UNREACHABLE};
use crate::output;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum CliError {
    /// The command line makes no sense, or names a file that cannot be read. Exit code 2.
    Usage(String),
    /// A definition has errors, which were shown. Exit code 2.
    Definition,
    /// The workflow faulted or was cancelled, or a server refused: a problem document. Exit code 1.
    Problem(Box<serde_json::Value>),
    /// What was waited for is not over, or may not be. Exit code 3.
    Open(Box<serde_json::Value>),
    /// It handed over to another coordinator: the process starts itself anew, to follow.
    Anew,
    /// Interrupted at once. Exit code 130, as shells have it.
    Interrupted,
}

impl CliError {
    /// A failure of the command itself.
    pub(crate) fn coded(code: &Code, detail: &str) -> Self {
        Self::Problem(Box::new(document(code, detail)))
    }

    /// The command stopped waiting for an instance, which goes on.
    pub(crate) fn open(detail: &str) -> Self {
        Self::Open(Box::new(document(&STILL_OPEN, detail)))
    }

    /// True when the same request may be answered in a moment: the connection could not be made or
    /// broke off, the server is being restarted, or it was too busy to answer in time.
    pub(crate) fn passes(&self) -> bool {
        let Self::Problem(problem) = self else { return false };
        let passing = [
            UNREACHABLE.code,
            BROKEN_OFF.code,
            api::Code::Stopping.code(),
            api::Code::TimedOut.code(),
            api::Code::Standby.code(),
            api::Code::LeaderLost.code(),
        ];
        problem["code"].as_str().is_some_and(|it| passing.contains(&it))
    }

    /// True when the server knows who asks, or wants to, and does not let them.
    pub(crate) fn is_refused(&self) -> bool {
        let Self::Problem(problem) = self else { return false };
        matches!(problem["status"].as_u64(), Some(401 | 403 | 404))
    }

    /// True when no connection could be made, so that nothing can have come of the request.
    pub(crate) fn never_sent(&self) -> bool {
        matches!(self, Self::Problem(problem) if problem["code"] == UNREACHABLE.code)
    }

    /// Tells people on standard error, and the shell by the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Usage(text) => {
                output::message(&text);
                ExitCode::from(2)
            }
            Self::Definition => ExitCode::from(2),
            Self::Problem(problem) => {
                output::problem(&problem);
                // The server saw first that the command line makes no sense.
                let is_usage = problem["code"] == api::Code::BadParameter.code();
                // Service managers start again what ends otherwise, and that must stay stopped.
                let over = [api::Code::Superseded.code(), api::Code::LogMisfit.code()];
                let is_over = over.iter().any(|it| problem["code"] == *it);
                ExitCode::from(if is_usage || is_over { 2 } else { 1 })
            }
            Self::Open(problem) => {
                output::problem(&problem);
                ExitCode::from(3)
            }
            Self::Interrupted => ExitCode::from(130),
            Self::Anew => anew(),
        }
    }
}

/// Replaces the process by one of the same command line.
fn anew() -> ExitCode {
    let mut arguments = std::env::args_os();
    let Some(program) = arguments.next() else { return ExitCode::FAILURE };
    let error = std::process::Command::new(program).args(arguments).exec();
    output::message(&format!("it cannot start itself anew: {error}"));
    ExitCode::FAILURE
}

/// A failure of the command as a problem document.
fn document(code: &Code, detail: &str) -> serde_json::Value {
    serde_json::json!({
        "type": format!("urn:windlass:problem:{}", code.code),
        "status": code.status,
        "title": code.title,
        "detail": detail,
        "code": code.code,
    })
}

/// The message of an error and of what is behind it; the outermost alone says little.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

impl From<CoordinatorError> for CliError {
    fn from(error: CoordinatorError) -> Self {
        let problem = ApiProblem::from(error);
        // A refused input is the workflow's own error, and is shown like one.
        let document = problem.cause().and_then(|cause| serde_json::to_value(cause).ok());
        Self::Problem(Box::new(document.unwrap_or_else(|| problem.to_json())))
    }
}
