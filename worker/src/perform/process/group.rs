//! A process and all it starts, which do not outlive their owner.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use windlass_proto::limits;

use crate::guard;

/// A running process that leads its own group, or the supervisor of one. Dropping it asks the group to
/// end, and kills it when it has not ended after [`limits::PROCESS_GRACE_MS`]; a supervisor does the
/// same with all that came of its program, and so gets longer.
pub(super) struct Group {
    child: Option<Child>,
    leader: Option<Pid>,
    files: Option<TempDir>,
}

impl Group {
    /// Takes over `child`, which was started as the leader of a group, and the files it uses.
    pub(super) fn new(child: Child, files: Option<TempDir>) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self { child: Some(child), leader, files }
    }

    /// The process's ends of its pipes.
    pub(super) fn take_pipes(
        &mut self,
    ) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        match &mut self.child {
            Some(child) => (child.stdin.take(), child.stdout.take(), child.stderr.take()),
            None => (None, None, None),
        }
    }

    /// Waits for the end of the process itself; what else is in the group is then killed on drop.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        match &mut self.child {
            Some(child) => child.wait().await,
            None => Err(io::Error::other("it was given up")),
        }
    }

    /// Kills what is left of the group now.
    pub(super) fn kill(&self) {
        signal(self.leader, Signal::KILL);
    }
}

/// Sends `signal` to a group. An error means that nobody is left in it.
fn signal(leader: Option<Pid>, signal: Signal) {
    if let Some(leader) = leader {
        let _ = kill_process_group(leader, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let (Some(mut child), leader, files) = (self.child.take(), self.leader, self.files.take())
        else {
            return;
        };
        // Once the leader is gone the number stays taken while others are in the group.
        let ended = matches!(child.try_wait(), Ok(Some(_)));
        let runtime = tokio::runtime::Handle::try_current();
        let (false, Ok(runtime)) = (ended, runtime) else {
            // A supervisor has killed what was left, and sees by itself that this process ends.
            if guard::mask_of_tasks().is_none() {
                signal(leader, Signal::KILL);
            }
            return;
        };
        signal(leader, Signal::TERM);
        runtime.spawn(async move {
            let graces = if guard::mask_of_tasks().is_some() { 3 } else { 1 };
            let grace = Duration::from_millis(limits::PROCESS_GRACE_MS) * graces;
            let _ = tokio::time::timeout(grace, child.wait()).await;
            signal(leader, Signal::KILL);
            // Reaps it; a killed process ends.
            let _ = child.wait().await;
            drop(files);
        });
    }
}
