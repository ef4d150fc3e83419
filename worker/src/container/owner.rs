//! Which process a container belongs to, said so that another process of the machine can find out
//! whether that still runs.

use std::fs;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// A process, by the machine's start, its namespace of processes, its number and its own start: a
/// number that is given out again has another start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// Where its number means something.
    place: String,
    process: String,
    /// Which worker of the process.
    worker: String,
}

impl Owner {
    /// A new worker of this process.
    pub(super) fn new() -> Self {
        let id = std::process::id();
        let unknown = || "unknown".to_owned();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let namespace = fs::read_link("/proc/self/ns/pid");
        let place = match (boot, namespace) {
            (Ok(boot), Ok(namespace)) => format!("{},{}", boot.trim(), namespace.display()),
            _ => unknown(),
        };
        let process = started(id).map_or_else(unknown, |at| format!("{id},{at}"));
        Self { place, process, worker: uuid::Uuid::new_v4().simple().to_string() }
    }

    /// As a label has it.
    pub(super) fn label(&self) -> String {
        format!("{}/{}/{}", self.place, self.process, self.worker)
    }

    /// Whether the worker that wrote `label` has ended; none where it cannot be told from here.
    pub(super) fn has_ended(&self, label: &str) -> Option<bool> {
        let (place, rest) = label.split_once('/')?;
        let (process, _) = rest.split_once('/')?;
        if place != self.place || place == "unknown" {
            return None;
        }
        let (id, start) = process.split_once(',')?;
        let id: u32 = id.parse().ok()?;
        match test_kill_process(Pid::from_raw(id.try_into().ok()?)?) {
            Err(Errno::SRCH) => Some(true),
            // Another user's, whom `/proc` may hide from this one.
            Err(_) => None,
            Ok(()) => Some(started(id).is_none_or(|it| it != start)),
        }
    }
}

/// When the process began, in ticks since the machine's start; none where there is none.
fn started(id: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before it may hold anything; what follows it begins with the third field.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    // A process that has ended and was not reaped yet does nothing any more.
    let state = fields.next().filter(|state| !matches!(*state, "Z" | "X"));
    state.and_then(|_| fields.nth(18)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::Owner;

    #[test]
    fn a_process_that_has_ended_is_told_from_one_that_runs() {
        let me = Owner::new();
        assert_eq!(me.has_ended(&Owner::new().label()), Some(false));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let id = child.id();
        child.wait().unwrap();
        let ended = format!("{}/{id},1/x", me.place);
        assert_eq!(me.has_ended(&ended), Some(true));
        // Its number was given out again.
        let again = format!("{}/{},1/x", me.place, std::process::id());
        assert_eq!(me.has_ended(&again), Some(true));
        for elsewhere in ["elsewhere/1,1/x", "", "unknown/1,1/x", "a/b"] {
            assert_eq!(me.has_ended(elsewhere), None, "{elsewhere}");
        }
    }
}
