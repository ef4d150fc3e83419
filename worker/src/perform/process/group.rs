//! A process and all it starts, which do not outlive their owner.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use windlass_proto::limits;

use crate::supervise::orphans::{self, Supervisor};

/// A running process that leads its own group, or the supervisor of one. Dropping it asks the group
/// to end, and kills it when it has not ended after [`limits::PROCESS_GRACE_MS`]; a supervisor does
/// the same with all that came of its program, and so gets longer.
pub(in crate::perform) struct Group {
    child: Option<Child>,
    leader: Option<Pid>,
    /// That the process is a supervisor, where it is one.
    supervisor: Option<Supervisor>,
    files: Option<TempDir>,
}

impl Group {
    /// Takes over `child`, which leads a group or is about to, and the files it uses.
    pub(super) fn new(
        child: Child,
        supervisor: Option<Supervisor>,
        files: Option<TempDir>,
    ) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self { child: Some(child), leader, supervisor, files }
    }

    /// The process's ends of its pipes.
    pub(in crate::perform) fn take_pipes(
        &mut self,
    ) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        match &mut self.child {
            Some(child) => (child.stdin.take(), child.stdout.take(), child.stderr.take()),
            None => (None, None, None),
        }
    }

    /// Waits for the end of the process itself, and of all that a supervisor left; what else is in
    /// the group is then killed on drop.
    pub(in crate::perform) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let Some(child) = &mut self.child else {
            return Err(io::Error::other("it was given up"));
        };
        let status = child.wait().await?;
        if self.supervisor.is_some() && orphans::may_be_left(status) {
            orphans::end_all().await;
        }
        Ok(status)
    }

    /// Kills what is left of the group now.
    pub(super) fn kill(&self) {
        signal(self.child.as_ref(), self.leader, Signal::KILL);
    }
}

/// Sends `signal` to a group, or to a supervisor that does not lead one yet. An error means that
/// nobody is left.
fn signal(child: Option<&Child>, leader: Option<Pid>, signal: Signal) {
    let Some(leader) = leader else { return };
    // Once it was waited for, its number may be another's.
    let runs = child.is_some_and(|it| it.id().is_some());
    if kill_process_group(leader, signal).is_err() && runs {
        let _ = kill_process(leader, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let (leader, supervisor, files) = (self.leader, self.supervisor.take(), self.files.take());
        // Once the leader is gone the number stays taken while others are in the group.
        let ended = child.try_wait().ok().flatten();
        // Else it has killed what was left; and it sees by itself when this process ends.
        let left = ended.is_some_and(orphans::may_be_left);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            if supervisor.is_none() {
                signal(Some(&child), leader, Signal::KILL);
            }
            return;
        };
        if ended.is_none() {
            signal(Some(&child), leader, Signal::TERM);
        } else if supervisor.is_none() {
            return signal(Some(&child), leader, Signal::KILL);
        } else if !left {
            return;
        }
        runtime.spawn(async move {
            let graces = if supervisor.is_some() { 3 } else { 1 };
            let grace = Duration::from_millis(limits::PROCESS_GRACE_MS) * graces;
            let _ = tokio::time::timeout(grace, child.wait()).await;
            signal(Some(&child), leader, Signal::KILL);
            // Reaps it; a killed process ends.
            let status = child.wait().await;
            if supervisor.is_some() && status.is_ok_and(orphans::may_be_left) {
                orphans::end_all().await;
            }
            drop(files);
        });
    }
}
