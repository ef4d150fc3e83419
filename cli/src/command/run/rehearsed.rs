//! `windlass run --skip-waits`: on a clock that does not wait, with mocks in place of calls.

use std::path::{Path, PathBuf};

use windlass_coordinator::status::Status;
use windlass_proto::limits::TEST_FILE_BYTES;
use windlass_proto::value::Value;

use crate::case::judge::{Failure, stuck, unmocked};
use crate::case::play::{self, Stage};
use crate::case::{Start, Surroundings, mocks, read};
use crate::code::{CANCELLED, NOT_PLAYED};
use crate::error::CliError;
use crate::{definition, input, output, texts};

/// Runs the first of `files`, whose children the others are, and prints its output.
///
/// # Errors
/// When a file has errors, or the workflow does not complete.
pub(super) async fn run(
    files: &[PathBuf],
    input: Value,
    mock: Option<&Path>,
    allows_calls: bool,
) -> Result<(), CliError> {
    let texts = texts::read(files, allows_calls).await?;
    let around = match mock {
        None => Surroundings::default(),
        Some(path) => {
            let text = input::file(path, TEST_FILE_BYTES)?;
            let refused = |found: Vec<_>| {
                definition::show(path, &text, &found);
                CliError::Definition
            };
            let around = read::surroundings(&text).map_err(refused)?;
            let missing = read::targets::missing(&text, &texts);
            if !missing.is_empty() {
                return Err(refused(missing));
            }
            around
        }
    };
    let stage = Stage { texts: &texts, around: &around, allows_calls };
    let played = play::play(&stage, &Start::Input(input)).await;
    let played = played.map_err(|error| CliError::coded(&NOT_PLAYED, &error.to_string()))?;
    if let Some(call) = &played.unmocked {
        return Err(not_played(&unmocked(call, &texts, 0)));
    }
    let Some(main) = &played.main else { return Ok(()) };
    match (main.head.status, &main.head.error) {
        (Status::Completed, _) => {
            output::json(&mocks::plain(main.head.output.as_ref().unwrap_or(&Value::Null)));
            Ok(())
        }
        (Status::Faulted, Some(problem)) => {
            let document = serde_json::to_value(problem).unwrap_or_default();
            Err(CliError::Problem(Box::new(document)))
        }
        (Status::Cancelled, _) => Err(CliError::coded(&CANCELLED, "the instance was cancelled")),
        _ => Err(not_played(&stuck(main, &texts, 0))),
    }
}

fn not_played(failure: &Failure) -> CliError {
    let Failure { message, detail, task, .. } = failure;
    let at = task.as_ref().map(|it| format!("\nat {it}")).unwrap_or_default();
    // As it is, since what to write has lines.
    output::message(&format!("{message}\n{detail}{at}"));
    CliError::coded(&NOT_PLAYED, message)
}
