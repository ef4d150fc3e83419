//! All that came of a process, found by who is whose parent.

use std::collections::{HashMap, HashSet};
use std::fs;

use rustix::process::{Pid, Signal, getpid, kill_process};

/// Kills the descendants of this process; true when there were some that are not in `killed`, where
/// they are now. Whoever has lost a parent is a child of this process, so none is missed.
pub(super) fn kill(killed: &mut HashSet<Pid>) -> bool {
    let mut fresh = false;
    for process in of(getpid(), &parents()) {
        // An error means that it is gone, or became another user and cannot be ended.
        let _ = kill_process(process, Signal::KILL);
        fresh |= killed.insert(process);
    }
    fresh
}

/// Every process with its parent.
fn parents() -> Vec<(Pid, Pid)> {
    let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = all.filter_map(|it| it.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let stat = |number: i32| {
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
        Some((Pid::from_raw(number)?, parent(&stat)?))
    };
    numbers.filter_map(stat).collect()
}

/// The parent in the text of `/proc/…/stat`. One that seems to have ended counts: its other threads
/// may run.
fn parent(stat: &str) -> Option<Pid> {
    // What stands in parentheses is the program's name, and may be anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    Pid::from_raw(rest.split(' ').nth(1)?.parse().ok()?)
}

/// The descendants of `root`.
fn of(root: Pid, parents: &[(Pid, Pid)]) -> Vec<Pid> {
    let mut children: HashMap<Pid, Vec<Pid>> = HashMap::new();
    for (child, parent) in parents {
        children.entry(*parent).or_default().push(*child);
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

    use super::{of, parent};

    #[test]
    fn a_name_does_not_confuse_who_the_parent_is() {
        let id = |it: i32| Pid::from_raw(it).unwrap();
        assert_eq!(parent("7 (sh) S 5 7 7 0"), Some(id(5)));
        assert_eq!(parent("7 (a) R 1 (b) ) S 6 7 7 0"), Some(id(6)));
        assert_eq!(parent("1 (init) S 0 1 1 0"), None);
        assert_eq!(parent("7 (sh"), None);
    }

    #[test]
    fn descendants_are_found_at_any_depth() {
        let id = |it: i32| Pid::from_raw(it).unwrap();
        let parents = [(2, 1), (3, 2), (4, 3), (5, 1), (6, 5)].map(|(a, b)| (id(a), id(b)));
        let mut found = of(id(2), &parents);
        found.sort_unstable_by_key(|it| it.as_raw_nonzero());
        assert_eq!(found, [id(3), id(4)]);
        assert!(of(id(6), &parents).is_empty());
    }
}
