//! A running `windlass dev`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::client::Api;
use super::process::Process;
use super::until::within;
use super::{binary, paths};

/// How long a start may take, recovery included.
const START: Duration = Duration::from_secs(60);

/// A development server on a data directory of its own; both go when this is dropped.
pub(crate) struct Dev {
    /// Talks to it, also after a restart.
    pub(crate) api: Api,
    flags: Vec<String>,
    wrapper: Vec<String>,
    process: Option<Process>,
    /// Standard error of earlier processes.
    before: String,
    data: PathBuf,
    _folder: tempfile::TempDir,
}

impl Dev {
    /// Starts one without further flags.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Starts one with these flags beside `--bind` and `--data-dir`.
    pub(crate) async fn with(flags: &[String]) -> Self {
        Self::wrapped(&[], flags).await
    }

    /// Starts one under another command (`strace …`).
    pub(crate) async fn wrapped(wrapper: &[String], flags: &[String]) -> Self {
        let mut dev = Self::prepare(tempfile::tempdir().unwrap());
        (dev.flags, dev.wrapper) = (flags.to_vec(), wrapper.to_vec());
        dev.launch();
        dev.ready().await;
        dev
    }

    /// Starts one on the data directory `data` in `folder`.
    pub(crate) async fn on(folder: tempfile::TempDir) -> Self {
        let mut dev = Self::prepare(folder);
        dev.launch();
        dev.ready().await;
        dev
    }

    fn prepare(folder: tempfile::TempDir) -> Self {
        Self {
            api: Api::new(""),
            flags: Vec::new(),
            wrapper: Vec::new(),
            process: None,
            before: String::new(),
            data: folder.path().join("data"),
            _folder: folder,
        }
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// From the next start on it has these flags beside `--bind` and `--data-dir`.
    pub(crate) fn flags(&mut self, flags: &[String]) {
        self.flags = flags.to_vec();
    }

    /// Starts the process on the same directory; it is not yet ready when this returns.
    pub(crate) fn launch(&mut self) {
        let binary = binary::windlass();
        let mut command = match self.wrapper.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(&binary);
                command
            }
            None => Command::new(&binary),
        };
        command
            .current_dir(paths::root())
            .args(["dev", "--bind", "127.0.0.1:0", "--data-dir"])
            .arg(&self.data)
            .args(&self.flags);
        self.process = Some(Process::spawn(command));
    }

    /// Waits until the process answers at a new address.
    pub(crate) async fn ready(&mut self) {
        let process = self.process.as_mut().expect("it was launched");
        let line = process.stderr().after("windlass: listening on ");
        let Some(address) = within(START, "the start of windlass dev", line).await else {
            panic!("windlass dev ended before it listened:\n{}", self.stderr());
        };
        self.api.moved(&address);
    }

    /// SIGKILL, at whatever it is doing.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await;
            self.before.push_str(&process.stderr().text());
        }
    }

    /// SIGKILL, then a start on the same directory.
    pub(crate) async fn restart(&mut self) {
        self.kill().await;
        self.launch();
        self.ready().await;
    }

    /// The process, for signals other than SIGKILL.
    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    /// Everything all its processes wrote to standard error.
    pub(crate) fn stderr(&self) -> String {
        let now = self.process.as_ref().map(|it| it.stderr().text()).unwrap_or_default();
        format!("{}{now}", self.before)
    }

    /// Everything the present process wrote to standard output.
    pub(crate) fn stdout(&self) -> String {
        self.process.as_ref().map(|it| it.stdout().text()).unwrap_or_default()
    }
}
