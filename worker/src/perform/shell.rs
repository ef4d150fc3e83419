//! `run.shell`: `sh -c "$command" sh argument…`

use windlass_proto::plan::Shell;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use super::process::{Invocation, arguments_of};
use crate::attempt::Attempt;

impl Attempt<'_> {
    pub(super) async fn run_shell(&self, shell: &Shell, input: Value) -> Result<Value, Problem> {
        if !self.worker.processes.shell {
            let detail = "this worker's configuration does not allow `run: shell`";
            return Err(Problem::new(Standard::Configuration, detail));
        }
        let command = self.evaluate(&shell.command, &input)?.to_text();
        let given = self.evaluate_optional(shell.arguments.as_ref(), &input)?.unwrap_or_default();
        let given = arguments_of(&given)?;
        let mut arguments =
            vec!["-c".to_owned(), with_arguments(&command, &given), "sh".to_owned()];
        arguments.extend(given);
        let invocation = Invocation {
            program: "sh".into(),
            arguments,
            environment: self.environment(shell.environment.as_ref(), &input)?,
            stdin: self.stdin(shell.stdin.as_ref(), &input)?,
            files: None,
        };
        if !shell.wait {
            self.detach_process(invocation)?;
            return Ok(input);
        }
        let ended = self.run_process(invocation).await?;
        self.process_output(shell.output, &ended)
    }
}

/// The command line: a command that uses no positional parameter gets all arguments at its end.
pub(super) fn with_arguments(command: &str, arguments: &[String]) -> String {
    if arguments.is_empty() || uses_parameters(command) {
        return command.to_owned();
    }
    format!("{} \"$@\"", command.trim_end())
}

/// True when a shell command names a positional parameter, as `$1`, `$@`, `$#`, `${1:-x}`, or moves
/// them with `shift` or `getopts`.
fn uses_parameters(command: &str) -> bool {
    let named = command.split('$').skip(1).any(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let rest =
            if rest.starts_with("#}") { rest } else { rest.strip_prefix('#').unwrap_or(rest) };
        rest.starts_with(|c: char| c.is_ascii_digit() && c != '0' || matches!(c, '@' | '*' | '#'))
    });
    // `$#` alone: the count.
    named
        || command.contains("$#")
        || command
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .any(|word| matches!(word, "shift" | "getopts"))
}

#[cfg(test)]
mod tests;
