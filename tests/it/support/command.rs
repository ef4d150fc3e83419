//! One call of the command line.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::Value;
use tokio::process::Command;

use super::process::Process;
use super::until::{SOON, within};
use super::{binary, paths};

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Output {
    /// Exit code; absent when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Output {
    /// Standard output as JSON; there must be nothing else on it.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not one JSON text ({error}): {self:?}"))
    }

    /// Asserts the exit code, showing everything when it is another.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(!self.stderr.contains("panicked at"), "{self:?}");
        self
    }
}

/// Runs `windlass` with these arguments in the workspace's root.
pub(crate) async fn windlass<S: AsRef<str>>(arguments: &[S]) -> Output {
    windlass_in(&paths::root(), arguments).await
}

/// Runs `windlass` with these arguments in `folder`.
pub(crate) async fn windlass_in<S: AsRef<str>>(folder: &Path, arguments: &[S]) -> Output {
    finish(spawn(folder, arguments)).await
}

/// Runs `windlass` with these variables and arguments in the workspace's root.
pub(crate) async fn windlass_under<S: AsRef<str>, V: AsRef<OsStr>>(
    variables: &[(&str, V)],
    arguments: &[S],
) -> Output {
    let mut command = Command::new(binary::windlass());
    command.current_dir(paths::root()).args(arguments.iter().map(AsRef::as_ref));
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    finish(Process::spawn(command)).await
}

/// Starts `windlass` with these arguments in `folder`.
pub(crate) fn spawn<S: AsRef<str>>(folder: &Path, arguments: &[S]) -> Process {
    let mut command = Command::new(binary::windlass());
    command.current_dir(folder).args(arguments.iter().map(AsRef::as_ref));
    Process::spawn(command)
}

/// Waits for the end of a command and of its output.
pub(crate) async fn finish(mut process: Process) -> Output {
    let status = process.wait().await;
    within(SOON, "the end of the outputs", async {
        process.stdout().end().await;
        process.stderr().end().await;
    })
    .await;
    Output { code: status.code(), stdout: process.stdout().text(), stderr: process.stderr().text() }
}
