//! What is left when a program kills its own supervisor, which it can where it runs as the worker's
//! user.
//!
//! The worker is a subreaper too: it becomes the parent of what the supervisor had. Supervisors
//! lead sessions of their own, so nothing of a task can join the worker's, and a child of the
//! worker in another session that is no supervisor can only be such an orphan. Children that
//! libraries of the worker start are in its session.

use std::collections::HashSet;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};
use tokio::process::{Child, Command};
use tokio::time::Instant;
use windlass_proto::limits;

use super::LOST;
use super::descendants::{self, Seen};

/// The supervisors that run.
static SUPERVISORS: Mutex<Option<HashSet<Pid>>> = Mutex::new(None);

/// That a process is a supervisor, until this is dropped: which must be after its end.
pub(crate) struct Supervisor(Option<Pid>);

/// Starts a supervisor.
pub(crate) fn start(command: &mut Command) -> std::io::Result<(Child, Supervisor)> {
    let mut supervisors = supervisors();
    if supervisors.is_none() {
        set_child_subreaper(Some(getpid()))?;
    }
    // While this is locked nobody looks for orphans, and takes it for one.
    let child = command.spawn()?;
    let id = child.id().and_then(|it| i32::try_from(it).ok()).and_then(Pid::from_raw);
    supervisors.get_or_insert_default().extend(id);
    Ok((child, Supervisor(id)))
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let (Some(id), Some(supervisors)) = (self.0, supervisors().as_mut()) {
            supervisors.remove(&id);
        }
    }
}

/// True when a supervisor may have left something: it has not ended by itself, or could not do its
/// work.
pub(crate) fn may_be_left(status: ExitStatus) -> bool {
    status.code().is_none_or(|it| it == LOST)
}

/// Ends what supervisors have left, and all that came of it. What cannot be killed is left after
/// [`limits::PROCESS_GRACE_MS`].
pub(crate) async fn end_all() {
    let most = Instant::now() + Duration::from_millis(limits::PROCESS_GRACE_MS);
    let mut killed = HashSet::new();
    while Instant::now() < most {
        if !end_some(&mut killed) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(limits::DESCENDANTS_LOOK_MS)).await;
    }
}

/// Kills what is there now, and reaps what has ended; false when there is nothing.
fn end_some(killed: &mut HashSet<Pid>) -> bool {
    let supervisors = supervisors();
    let none = HashSet::new();
    let supervisors = supervisors.as_ref().unwrap_or(&none);
    let all = descendants::all();
    let found = orphans(getpid(), supervisors, &all);
    for orphan in &found {
        descendants::kill_below(*orphan, &all, killed);
        if killed.insert(*orphan) {
            // An error means that it became another user, and cannot be ended.
            let _ = rustix::process::kill_process(*orphan, rustix::process::Signal::KILL);
        }
        // Nobody else waits for it.
        let _ = waitpid(Some(*orphan), WaitOptions::NOHANG);
    }
    !found.is_empty()
}

/// The children of `worker` that only a supervisor can have left. The worker's own session may have
/// no number: in a PID namespace that it was put into from outside, its leader is not seen.
fn orphans(worker: Pid, supervisors: &HashSet<Pid>, all: &[Seen]) -> Vec<Pid> {
    let Some(own) = all.iter().find(|it| it.id == worker) else { return Vec::new() };
    let session = own.session;
    let is_orphan = |it: &&Seen| {
        it.parent == Some(worker) && it.session != session && !supervisors.contains(&it.id)
    };
    all.iter().filter(is_orphan).map(|it| it.id).collect()
}

fn supervisors() -> MutexGuard<'static, Option<HashSet<Pid>>> {
    SUPERVISORS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use rustix::process::Pid;

    use super::super::descendants::Seen;
    use super::orphans;

    #[test]
    fn only_children_in_other_sessions_that_are_no_supervisors_are_orphans() {
        let id = |it: i32| Pid::from_raw(it).unwrap();
        let process = |it, parent, session| Seen {
            id: id(it),
            parent: Pid::from_raw(parent),
            session: Pid::from_raw(session),
        };
        // The second is none: its leader is outside the PID namespace.
        for session in [9, 0] {
            let all = processes(session, process);
            let supervisors = HashSet::from([id(11)]);
            assert_eq!(orphans(id(10), &supervisors, &all), [id(15), id(16)]);
        }
    }

    fn processes(session: i32, process: impl Fn(i32, i32, i32) -> Seen) -> [Seen; 7] {
        [
            process(10, 0, session),
            // A supervisor, and its program.
            process(11, 10, 11),
            process(12, 11, 11),
            // What a library started.
            process(13, 10, session),
            // Left by a supervisor of session 14, and by itself.
            process(15, 10, 14),
            process(16, 10, 16),
            process(17, 16, 16),
        ]
    }
}
