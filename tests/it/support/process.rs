//! Child processes that never outlive their test.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::until::{SOON, until, within};

/// A process in a group of its own; the group is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    group: Pid,
    lines: Lines,
    stdout: Lines,
}

impl Process {
    /// Starts `command` with both outputs collected.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let id = child.id().expect("it has just started");
        let lines = Lines::collect(child.stderr.take().unwrap());
        let stdout = Lines::collect(child.stdout.take().unwrap());
        let group = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
        Self { child, group, lines, stdout }
    }

    /// The process's id.
    pub(crate) fn id(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    /// Standard error so far.
    pub(crate) fn stderr(&self) -> &Lines {
        &self.lines
    }

    /// Standard output so far.
    pub(crate) fn stdout(&self) -> &Lines {
        &self.stdout
    }

    /// SIGKILL to the whole group; returns when the process is gone.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait().await;
    }

    /// Sends a signal to the whole group.
    pub(crate) fn signal(&self, signal: Signal) {
        // The group may be gone already, which is as good.
        let _ = kill_process_group(self.group, signal);
    }

    /// SIGSTOP to the whole group; returns when every thread of the process stands still, which is
    /// some time after the signal was sent.
    pub(crate) async fn stop(&self) {
        self.signal(Signal::STOP);
        let threads = format!("/proc/{}/task", self.id());
        until(SOON, "a stop", || std::future::ready(all_stopped(&threads).then_some(()))).await;
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
        within(SOON, "the end of a process", self.child.wait()).await.unwrap()
    }
}

/// True when no thread below this folder of `/proc` can run.
fn all_stopped(threads: &str) -> bool {
    // What stands in parentheses is the program's name, the state follows.
    let stopped = |stat: String| stat.rsplit(") ").next().is_some_and(|it| it.starts_with('T'));
    let Ok(mut threads) = std::fs::read_dir(threads) else { return true };
    threads.all(|thread| {
        // A thread that has ended since does not run either.
        let stat = thread.and_then(|it| std::fs::read_to_string(it.path().join("stat")));
        stat.map_or(true, stopped)
    })
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::KILL);
        }
    }
}

/// The lines a process has written, as they come.
#[derive(Clone)]
pub(crate) struct Lines {
    text: Arc<Mutex<String>>,
    /// Counts lines; the sender is dropped at the end of the stream.
    count: watch::Receiver<usize>,
}

impl Lines {
    fn collect(from: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let (sender, count) = watch::channel(0);
        let into = text.clone();
        tokio::spawn(async move {
            let mut reader = BufReader::new(from);
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line).await, Ok(1..)) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                line.clear();
                sender.send_modify(|it| *it += 1);
            }
        });
        Self { text, count }
    }

    /// All text so far.
    pub(crate) fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// What follows `prefix` on the first line that starts with it, messages as lines of JSON
    /// included; `None` when the stream ended without one.
    pub(crate) async fn after(&self, prefix: &str) -> Option<String> {
        let rest = |line: &str| line.strip_prefix(prefix).map(|rest| rest.trim().to_owned());
        self.find(|line| rest(line).or_else(|| rest(&message(line)?))).await
    }

    /// What `look` makes of the first line it makes anything of; `None` when the stream ended
    /// without one.
    pub(crate) async fn find<T>(&self, look: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut count = self.count.clone();
        loop {
            count.mark_unchanged();
            let found = self.text().lines().find_map(&look);
            if found.is_some() || count.changed().await.is_err() {
                return found;
            }
        }
    }

    /// Whether the process has closed the stream.
    pub(crate) fn ended(&self) -> bool {
        self.count.has_changed().is_err()
    }

    /// Returns when the process has closed the stream.
    pub(crate) async fn end(&self) {
        let mut count = self.count.clone();
        while count.changed().await.is_ok() {}
    }
}

/// The message that a line of JSON is, as it would be without `--log-format json`.
fn message(line: &str) -> Option<String> {
    let line: serde_json::Value =
        line.starts_with('{').then(|| serde_json::from_str(line).ok())??;
    let text = line["message"].as_str().filter(|_| line["target"] == "windlass")?;
    Some(format!("windlass: {text}"))
}
