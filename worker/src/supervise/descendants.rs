//! All that came of a process, found by who is whose parent.

use std::collections::{HashMap, HashSet};
use std::fs;

use rustix::process::{Pid, Signal, getpid, kill_process};

/// A process, as far as the system tells everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) id: Pid,
    /// None for the first process, and where the parent is outside the PID namespace.
    pub(super) parent: Option<Pid>,
    /// None for the system's own, and where the leader is outside the PID namespace.
    pub(super) session: Option<Pid>,
}

/// Kills the descendants of this process; true when there were some that are not in `killed`, where
/// they are now. Whoever has lost a parent is a child of this process, so none is missed.
pub(super) fn kill(killed: &mut HashSet<Pid>) -> bool {
    kill_below(getpid(), &all(), killed)
}

/// Kills the descendants of `root`, as [`kill`] does.
pub(super) fn kill_below(root: Pid, all: &[Seen], killed: &mut HashSet<Pid>) -> bool {
    let mut fresh = false;
    for process in of(root, all) {
        // An error means that it is gone, or became another user and cannot be ended.
        let _ = kill_process(process, Signal::KILL);
        fresh |= killed.insert(process);
    }
    fresh
}

/// Every process there is.
pub(super) fn all() -> Vec<Seen> {
    let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = all.filter_map(|it| it.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let stat = |number: i32| {
        // Its name may be no text.
        let stat = fs::read(format!("/proc/{number}/stat")).ok()?;
        seen(Pid::from_raw(number)?, &String::from_utf8_lossy(&stat))
    };
    numbers.filter_map(stat).collect()
}

/// What the text of `/proc/…/stat` says. A process that seems to have ended counts: its other
/// threads may run.
fn seen(id: Pid, stat: &str) -> Option<Seen> {
    // What stands in parentheses is the program's name, and may be anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let number = |at: usize| Pid::from_raw(rest.split(' ').nth(at)?.parse().ok()?);
    Some(Seen { id, parent: number(1), session: number(3) })
}

/// The descendants of `root`.
fn of(root: Pid, all: &[Seen]) -> Vec<Pid> {
    let mut children: HashMap<Pid, Vec<Pid>> = HashMap::new();
    for process in all {
        if let Some(parent) = process.parent {
            children.entry(parent).or_default().push(process.id);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            found.push(child);
            next.push(child);
        }
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rustix::process::Pid;

    use super::{Seen, of, seen};

    #[test]
    fn a_name_does_not_confuse_who_the_parent_is() {
        let id = |it: i32| Pid::from_raw(it).unwrap();
        let process = |parent, session| {
            let (parent, session) = (Pid::from_raw(parent), Pid::from_raw(session));
            Some(Seen { id: id(7), parent, session })
        };
        assert_eq!(seen(id(7), "7 (sh) S 5 8 9 0"), process(5, 9));
        assert_eq!(seen(id(7), "7 (a) R 1 (b) ) S 6 8 9 0"), process(6, 9));
        assert_eq!(seen(id(7), "7 (kthread) S 2 0 0 0"), process(2, 0));
        assert_eq!(seen(id(7), "7 (entered) S 0 8 0 0"), process(0, 0));
        assert_eq!(seen(id(7), "7 (sh"), None);
    }

    #[test]
    fn descendants_are_found_at_any_depth() {
        let id = |it: i32| Pid::from_raw(it).unwrap();
        let all = [(2, 1), (3, 2), (4, 3), (5, 1), (6, 5)];
        let all = all.map(|(it, parent)| Seen {
            id: id(it),
            parent: Pid::from_raw(parent),
            session: None,
        });
        let mut found = of(id(2), &all);
        found.sort_unstable_by_key(|it| it.as_raw_nonzero());
        assert_eq!(found, [id(3), id(4)]);
        assert!(of(id(6), &all).is_empty());
    }
}
