//! One process of a fleet, over its restarts.

use std::process::ExitStatus;

use rustix::process::Signal;
use tokio::process::Command;

use crate::support::process::{Lines, Process};
use crate::support::{binary, paths};

/// A coordinator or a worker: its command line, and the process when it runs.
pub(crate) struct Role {
    /// What it is, for messages.
    what: &'static str,
    /// The command that runs it (`faketime …`), applied at the next launch.
    pub(crate) wrapper: Vec<String>,
    /// Arguments of `windlass`, applied at the next launch.
    pub(crate) arguments: Vec<String>,
    /// Variables of its environment, applied at the next launch.
    pub(crate) variables: Vec<(String, String)>,
    process: Option<Process>,
    /// Standard error of earlier processes.
    before: String,
}

impl Role {
    pub(crate) fn new(what: &'static str, arguments: Vec<String>) -> Self {
        let (wrapper, variables) = (Vec::new(), Vec::new());
        Self { what, wrapper, arguments, variables, process: None, before: String::new() }
    }

    /// Starts the process; it is not yet ready when this returns.
    pub(crate) fn launch(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.what);
        let binary = binary::windlass();
        let mut command = match self.wrapper.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(&binary);
                command
            }
            None => Command::new(&binary),
        };
        command.current_dir(paths::root()).args(&self.arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        self.process = Some(Process::spawn(command));
    }

    /// Whether it was launched and not killed since.
    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// SIGKILL, at whatever it is doing; nothing when it does not run.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await;
            self.before.push_str(&process.stderr().text());
        }
    }

    /// SIGTERM, and the wait for its end.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("it runs");
        let status = process.wait().await;
        process.stderr().end().await;
        self.before.push_str(&process.stderr().text());
        status
    }

    /// SIGSTOP.
    pub(crate) async fn stop(&self) {
        self.process.as_ref().expect("it runs").stop().await;
    }

    /// SIGCONT.
    pub(crate) fn cont(&self) {
        self.signal(Signal::CONT);
    }

    /// The present process's id.
    pub(crate) fn id(&self) -> i32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Any signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    /// The lines the present process writes to standard error.
    pub(crate) fn lines(&self) -> Lines {
        self.process.as_ref().expect("it runs").stderr().clone()
    }

    /// Everything all its processes wrote to standard error.
    pub(crate) fn stderr(&self) -> String {
        let now = self.process.as_ref().map(|it| it.stderr().text()).unwrap_or_default();
        format!("{}{now}", self.before)
    }
}
