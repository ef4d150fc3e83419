//! How a command fails, and what the shell sees of it.

use std::process::ExitCode;

use windlass_coordinator::accept::ApiProblem;
use windlass_coordinator::coordinator::CoordinatorError;

use crate::code::Code;
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
    /// Interrupted at once. Exit code 130, as shells have it.
    Interrupted,
}

impl CliError {
    /// A failure of the command itself.
    pub(crate) fn coded(code: &Code, detail: &str) -> Self {
        Self::Problem(Box::new(serde_json::json!({
            "type": format!("urn:windlass:problem:{}", code.code),
            "status": code.status,
            "title": code.title,
            "detail": detail,
            "code": code.code,
        })))
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
                ExitCode::from(1)
            }
            Self::Interrupted => ExitCode::from(130),
        }
    }
}

impl From<CoordinatorError> for CliError {
    fn from(error: CoordinatorError) -> Self {
        let problem = ApiProblem::from(error);
        // A refused input is the workflow's own error, and is shown like one.
        let document = problem.cause().and_then(|cause| serde_json::to_value(cause).ok());
        Self::Problem(Box::new(document.unwrap_or_else(|| problem.to_json())))
    }
}
