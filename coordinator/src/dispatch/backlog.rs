//! Assignments that wait for a worker: who is next.
//!
//! A *lane* is what a worker can take or not: a pool and a capability. Within a lane, namespaces
//! take turns, so that one with a million tasks delays another by one task at most; within a
//! namespace, a higher priority goes first, then the older one. Assignments whose workers were lost
//! more than once stand apart: see [`Backlog::pop_suspect`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::capability::{CONTAINER, Capability, MCP_STDIO};
use windlass_proto::wire::{Assignment, AssignmentKey};

use super::backlog_counts::BacklogCounts;

/// Priorities: 0 to 9.
const LEVELS: usize = limits::HIGHEST_PRIORITY as usize + 1;

/// What a worker must have to take an assignment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// The pool it belongs to.
    pub pool: Arc<str>,
    /// What it can do.
    pub capability: Capability,
}

impl Lane {
    /// The kind that a worker must be told to allow (`--allow`) for it; none where any worker may.
    #[must_use]
    pub fn allowed_by(&self) -> Option<&'static str> {
        match self.capability {
            Capability::BuiltIn(kind @ ("shell" | "script" | MCP_STDIO | CONTAINER)) => Some(kind),
            _ => None,
        }
    }
}

/// An assignment that waits.
pub struct Waiting {
    /// The assignment.
    pub assignment: Assignment,
    /// Since when.
    pub since: Timestamp,
    lane: Lane,
}

/// All assignments that wait.
#[derive(Default)]
pub struct Backlog {
    lanes: BTreeMap<Lane, Queues>,
    waiting: HashMap<AssignmentKey, Waiting>,
    backlog_counts: Arc<BacklogCounts>,
}

/// The order of one lane. Keys whose assignment is gone are skipped.
#[derive(Default)]
struct Queues {
    /// By how many workers were lost with them.
    suspects: BTreeMap<u32, VecDeque<AssignmentKey>>,
    /// Namespaces with something in `namespaces`, the next one first.
    turns: VecDeque<Arc<str>>,
    namespaces: HashMap<Arc<str>, NamespaceQueue>,
}

/// What waits of one namespace, by priority.
#[derive(Default)]
struct NamespaceQueue([VecDeque<AssignmentKey>; LEVELS]);

impl NamespaceQueue {
    fn pop(&mut self) -> Option<AssignmentKey> {
        self.0.iter_mut().rev().find_map(VecDeque::pop_front)
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(VecDeque::is_empty)
    }
}

impl Backlog {
    /// An empty one that counts for `backlog_counts`.
    #[must_use]
    pub fn new(backlog_counts: Arc<BacklogCounts>) -> Self {
        Self { lanes: BTreeMap::new(), waiting: HashMap::new(), backlog_counts }
    }

    /// Puts an assignment in line.
    pub fn push(&mut self, lane: Lane, assignment: Assignment, now: Timestamp) {
        let key = assignment.key.clone();
        let namespace = assignment.workflow.namespace.clone();
        let queues = self.lanes.entry(lane.clone()).or_default();
        if assignment.losses >= limits::SUSPECT_LOSSES {
            queues.suspects.entry(assignment.losses).or_default().push_back(key.clone());
        } else {
            let level = usize::from(assignment.priority).min(LEVELS - 1);
            if !queues.namespaces.contains_key(&namespace) {
                queues.turns.push_back(namespace.clone());
            }
            let queue = queues.namespaces.entry(namespace.clone()).or_default();
            queue.0[level].push_back(key.clone());
        }
        let waiting = Waiting { assignment, since: now, lane };
        if self.waiting.insert(key, waiting).is_none() {
            self.backlog_counts.enters(&namespace);
        }
    }

    /// Takes out an assignment that is no longer wanted.
    pub fn remove(&mut self, key: &AssignmentKey) -> Option<Waiting> {
        let waiting = self.waiting.remove(key)?;
        self.backlog_counts.leaves(&waiting.assignment.workflow.namespace);
        Some(waiting)
    }

    /// The next one of a lane.
    pub fn pop(&mut self, lane: &Lane) -> Option<Waiting> {
        loop {
            let queues = self.lanes.get_mut(lane)?;
            let namespace = queues.turns.pop_front()?;
            let queue = queues.namespaces.entry(namespace.clone()).or_default();
            let key = queue.pop();
            if queue.is_empty() {
                queues.namespaces.remove(&namespace);
            } else {
                queues.turns.push_back(namespace);
            }
            if let Some(waiting) = key.and_then(|key| self.remove(&key)) {
                return Some(waiting);
            }
        }
    }

    /// The next one of a lane with which so many workers were lost.
    pub fn pop_suspect(&mut self, lane: &Lane, losses: u32) -> Option<Waiting> {
        loop {
            let suspects = &mut self.lanes.get_mut(lane)?.suspects;
            let keys = suspects.get_mut(&losses)?;
            let key = keys.pop_front();
            if keys.is_empty() {
                suspects.remove(&losses);
            }
            if let Some(waiting) = self.remove(&key?) {
                return Some(waiting);
            }
        }
    }

    /// How many workers were lost with the suspects of a lane: each number once, lowest first.
    #[must_use]
    pub fn suspicions(&self, lane: &Lane) -> Vec<u32> {
        self.lanes.get(lane).map(|it| it.suspects.keys().copied().collect()).unwrap_or_default()
    }

    /// Lanes with something in line; forgets the others.
    pub fn lanes(&mut self) -> Vec<Lane> {
        self.lanes.retain(|_, queues| !queues.turns.is_empty() || !queues.suspects.is_empty());
        self.lanes.keys().cloned().collect()
    }

    /// The lane in which an assignment waits.
    #[must_use]
    pub fn lane_of(&self, key: &AssignmentKey) -> Option<&Lane> {
        self.waiting.get(key).map(|it| &it.lane)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True when none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many wait in each lane, and since when the oldest of them: looks at all of them.
    #[must_use]
    pub fn depths(&self) -> BTreeMap<Lane, (usize, Timestamp)> {
        let mut depths: BTreeMap<Lane, (usize, Timestamp)> = BTreeMap::new();
        for waiting in self.waiting.values() {
            let depth = depths.entry(waiting.lane.clone()).or_insert((0, waiting.since));
            depth.0 += 1;
            depth.1 = depth.1.min(waiting.since);
        }
        depths
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use windlass_proto::time::Timestamp;
    use windlass_proto::wire::capability::Capability;

    use super::{Backlog, Lane};
    use crate::dispatch::backlog_counts::BacklogCounts;
    use crate::dispatch::testing::assignment;

    fn lane() -> Lane {
        Lane { pool: "default".into(), capability: Capability::BuiltIn("http") }
    }

    fn drain(backlog: &mut Backlog) -> Vec<u128> {
        std::iter::from_fn(|| backlog.pop(&lane()))
            .map(|it| it.assignment.key.instance.0.as_u128())
            .collect()
    }

    #[test]
    fn namespaces_take_turns_and_priority_rules_within_one() {
        let backlog_counts = Arc::new(BacklogCounts::default());
        let mut backlog = Backlog::new(backlog_counts.clone());
        for (number, namespace, priority) in
            [(1, "a", 5), (2, "a", 5), (3, "a", 9), (4, "a", 0), (5, "b", 0), (6, "b", 1)]
        {
            backlog.push(lane(), assignment(number, namespace, priority, 0), Timestamp(0));
        }
        assert_eq!((backlog_counts.of("a"), backlog_counts.of("b")), (4, 2));
        assert_eq!(drain(&mut backlog), [3, 6, 1, 5, 2, 4]);
        assert_eq!((backlog_counts.of("a"), backlog_counts.of("b")), (0, 0));
        assert!(backlog.is_empty() && backlog.lanes().is_empty());
    }

    #[test]
    fn a_full_namespace_delays_another_by_one() {
        let mut backlog = Backlog::default();
        for number in 0..1_000 {
            backlog.push(lane(), assignment(number, "many", 9, 0), Timestamp(0));
        }
        backlog.push(lane(), assignment(5_000, "few", 0, 0), Timestamp(0));
        let place = drain(&mut backlog).iter().position(|it| *it == 5_000);
        assert!(place.is_some_and(|place| place <= 1), "{place:?}");
    }

    #[test]
    fn what_is_no_longer_wanted_is_skipped() {
        let mut backlog = Backlog::default();
        for number in 0..3 {
            backlog.push(
                lane(),
                assignment(number, "a", 5, 0),
                Timestamp(u64::try_from(number).unwrap()),
            );
        }
        let first = assignment(0, "a", 5, 0).key;
        assert!(backlog.remove(&first).is_some());
        assert!(backlog.remove(&first).is_none());
        assert_eq!(backlog.depths()[&lane()], (2, Timestamp(1)));
        assert_eq!(drain(&mut backlog), [1, 2]);
    }

    #[test]
    fn suspects_stand_apart() {
        let mut backlog = Backlog::default();
        backlog.push(lane(), assignment(1, "a", 5, 2), Timestamp(0));
        backlog.push(lane(), assignment(2, "a", 5, 1), Timestamp(0));
        assert_eq!(drain(&mut backlog), [2]);
        assert_eq!(backlog.lanes(), [lane()]);
        assert_eq!(backlog.suspicions(&lane()), [2]);
        let suspect = backlog.pop_suspect(&lane(), 2).unwrap();
        assert_eq!(suspect.assignment.losses, 2);
        assert!(backlog.pop_suspect(&lane(), 2).is_none());
        assert!(backlog.suspicions(&lane()).is_empty());
    }
}
