//! Which instances may start: quotas for those that other instances start, and what operators have
//! suspended.
//!
//! An instance is counted with its namespace and with its root, the instance at the top of the
//! chain of starts that led to it, from when it is admitted until it ends. Starts that come from
//! outside are not counted: whoever sends them is told to wait by 429.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

use windlass_proto::id::{InstanceId, WorkflowId};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use crate::journal::{Journal, JournalError};

/// What an operator has suspended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Suspended {
    /// Starts of all workflows of a namespace.
    Namespace(Arc<str>),
    /// Starts of a workflow in all its versions: namespace and name.
    Workflow(Arc<str>, Arc<str>),
    /// Everything that began with this instance: it is being cancelled.
    Root(InstanceId),
}

impl std::fmt::Display for Suspended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Namespace(namespace) => write!(f, "namespace {namespace}"),
            Self::Workflow(namespace, name) => write!(f, "workflow {namespace}/{name}"),
            Self::Root(root) => write!(f, "root {root}"),
        }
    }
}

/// How many instances that were started by others may be open at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartQuotas {
    /// Of one root.
    pub root: usize,
    /// In one namespace.
    pub namespace: usize,
    /// Milliseconds for which the key of a start counts once its instance has ended; as long as
    /// that is kept at most.
    pub key_ms: u64,
}

impl Default for StartQuotas {
    fn default() -> Self {
        Self { root: limits::ROOT_STARTS, namespace: limits::NAMESPACE_STARTS, key_ms: u64::MAX }
    }
}

/// Whether an instance may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// It may, and is counted.
    Yes,
    /// So many are open already; the text says of what.
    Full(String),
    /// An operator has suspended it.
    Suspended(Suspended),
    /// Its root has been cancelled.
    Cancelled,
}

/// What came of suspending something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is suspended now.
    Done,
    /// It was suspended before.
    Already,
    /// There are so many suspensions that this one was not made.
    TooMany,
}

/// What decides. Shared by all partitions.
pub struct Admission {
    journal: Arc<dyn Journal>,
    quotas: StartQuotas,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    members: HashSet<InstanceId>,
    roots: HashMap<InstanceId, usize>,
    namespaces: HashMap<Arc<str>, usize>,
    suspended: HashMap<Suspended, Timestamp>,
    /// Roots that were cancelled in this life of the process, all they had started included.
    cancelled: HashSet<InstanceId>,
}

impl Admission {
    /// Reads what is suspended.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn open(journal: Arc<dyn Journal>, quotas: StartQuotas) -> Result<Self, JournalError> {
        let suspended = journal.suspended()?.into_iter().collect();
        let state = State { suspended, ..State::default() };
        Ok(Self { journal, quotas, state: Mutex::new(state) })
    }

    /// Whether an instance that another one starts may start now; it is counted then.
    pub(crate) fn admit(&self, id: InstanceId, root: InstanceId, of: &WorkflowId) -> Admitted {
        let mut state = self.state();
        if state.cancelled.contains(&root) || state.suspended.contains_key(&Suspended::Root(root)) {
            return Admitted::Cancelled;
        }
        if let Some(suspended) = state.hold(&of.namespace, &of.name) {
            return Admitted::Suspended(suspended);
        }
        let open = state.roots.get(&root).copied().unwrap_or(0);
        if open >= self.quotas.root {
            return Admitted::Full(format!(
                "{open} instances are open that {root} has started, directly or through others"
            ));
        }
        let open = state.namespaces.get(&of.namespace).copied().unwrap_or(0);
        if open >= self.quotas.namespace {
            let namespace = &of.namespace;
            return Admitted::Full(format!(
                "{open} instances of namespace {namespace} are open that other instances have started"
            ));
        }
        state.count(id, root, &of.namespace);
        Admitted::Yes
    }

    /// Milliseconds for which the key of a start counts once its instance has ended.
    pub(crate) fn key_ms(&self) -> u64 {
        self.quotas.key_ms
    }

    /// Counts an instance that was open before this process began.
    pub(crate) fn readmit(&self, id: InstanceId, root: InstanceId, namespace: &Arc<str>) {
        self.state().count(id, root, namespace);
    }

    /// An instance that another one started has ended.
    pub(crate) fn leave(&self, id: InstanceId, root: InstanceId, namespace: &Arc<str>) {
        let mut state = self.state();
        if !state.members.remove(&id) {
            return;
        }
        less(&mut state.roots, &root);
        less(&mut state.namespaces, namespace);
    }

    /// What keeps a workflow from being started, if something does.
    pub(crate) fn suspended(&self, namespace: &str, name: &str) -> Option<Suspended> {
        self.state().hold(namespace, name)
    }

    /// All that is suspended, since when.
    pub(crate) fn all(&self) -> Vec<(Suspended, Timestamp)> {
        let state = self.state();
        let mut all: Vec<_> = state.suspended.iter().map(|(it, at)| (it.clone(), *at)).collect();
        all.sort();
        all
    }

    /// Suspends, durably. Blocking.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub(crate) fn suspend(&self, what: Suspended, now: Timestamp) -> Result<Outcome, JournalError> {
        let suspended = self.state().suspended.len();
        if self.state().suspended.contains_key(&what) {
            return Ok(Outcome::Already);
        }
        if suspended >= limits::SUSPENSIONS {
            return Ok(Outcome::TooMany);
        }
        self.journal.put_suspended(&what, Some(now))?;
        self.state().suspended.insert(what, now);
        Ok(Outcome::Done)
    }

    /// Lets go on what was suspended, durably; false when it was not. Blocking.
    pub(crate) fn resume(&self, what: &Suspended) -> Result<bool, JournalError> {
        if !self.state().suspended.contains_key(what) {
            return Ok(false);
        }
        self.journal.put_suspended(what, None)?;
        let mut state = self.state();
        if let Suspended::Root(root) = what {
            // Starts that are on their way may still come, for seconds at most.
            if state.cancelled.len() >= limits::CANCELLED_ROOTS {
                state.cancelled.clear();
            }
            state.cancelled.insert(*root);
        }
        Ok(state.suspended.remove(what).is_some())
    }

    /// How many instances are counted, and in the namespace that has most.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.members.len(), state.namespaces.values().max().copied().unwrap_or(0))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|it| it.into_inner())
    }
}

impl State {
    fn hold(&self, namespace: &str, name: &str) -> Option<Suspended> {
        if self.suspended.is_empty() {
            return None;
        }
        let namespace: Arc<str> = namespace.into();
        [Suspended::Workflow(namespace.clone(), name.into()), Suspended::Namespace(namespace)]
            .into_iter()
            .find(|it| self.suspended.contains_key(it))
    }

    fn count(&mut self, id: InstanceId, root: InstanceId, namespace: &Arc<str>) {
        if self.members.insert(id) {
            *self.roots.entry(root).or_default() += 1;
            *self.namespaces.entry(namespace.clone()).or_default() += 1;
        }
    }
}

fn less<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;
    use windlass_proto::id::{InstanceId, WorkflowId};
    use windlass_proto::time::Timestamp;

    use super::{Admission, Admitted, Outcome, StartQuotas, Suspended};
    use crate::journal::memory::MemoryJournal;

    fn id(number: u128) -> InstanceId {
        InstanceId(Uuid::from_u128(number))
    }

    fn of(namespace: &str) -> WorkflowId {
        WorkflowId { namespace: namespace.into(), name: "w".into(), version: "1.0.0".into() }
    }

    #[test]
    fn roots_and_namespaces_have_quotas() {
        let journal = Arc::new(MemoryJournal::in_memory(1).unwrap());
        let admission = Admission::open(
            journal,
            StartQuotas { root: 2, namespace: 3, ..StartQuotas::default() },
        )
        .unwrap();
        let admit = |child, root| admission.admit(id(child), id(root), &of("a"));
        assert_eq!([admit(10, 1), admit(11, 1), admit(12, 2)], [const { Admitted::Yes }; 3]);
        assert!(matches!(admit(13, 1), Admitted::Full(_)), "the root is full");
        assert!(matches!(admit(13, 3), Admitted::Full(_)), "the namespace is full");
        assert_eq!(admission.admit(id(14), id(3), &of("b")), Admitted::Yes);
        admission.leave(id(11), id(1), &"a".into());
        // What is not counted does not make room.
        admission.leave(id(11), id(1), &"a".into());
        assert_eq!(admit(13, 1), Admitted::Yes);
        assert!(matches!(admit(15, 2), Admitted::Full(_)));
        assert_eq!(admission.counts(), (4, 3));
    }

    #[test]
    fn what_is_suspended_outlives_the_process() {
        let journal = Arc::new(MemoryJournal::in_memory(1).unwrap());
        let open = || Admission::open(journal.clone(), StartQuotas::default()).unwrap();
        let admission = open();
        let (namespace, workflow) =
            (Suspended::Namespace("a".into()), Suspended::Workflow("b".into(), "w".into()));
        assert_eq!(admission.suspend(namespace.clone(), Timestamp(5)).unwrap(), Outcome::Done);
        assert_eq!(admission.suspend(namespace.clone(), Timestamp(6)).unwrap(), Outcome::Already);
        assert_eq!(admission.suspend(workflow.clone(), Timestamp(7)).unwrap(), Outcome::Done);
        let admission = open();
        assert_eq!(admission.all(), [(namespace.clone(), Timestamp(5)), (workflow, Timestamp(7))]);
        assert_eq!(admission.suspended("a", "x"), Some(namespace.clone()));
        assert_eq!(admission.suspended("b", "x"), None);
        assert!(matches!(admission.admit(id(1), id(2), &of("b")), Admitted::Suspended(_)));
        assert!(admission.resume(&namespace).unwrap());
        assert!(!admission.resume(&namespace).unwrap());
        assert_eq!(open().all().len(), 1);
    }

    #[test]
    fn nothing_of_a_cancelled_root_starts_any_more() {
        let journal = Arc::new(MemoryJournal::in_memory(1).unwrap());
        let admission = Admission::open(journal, StartQuotas::default()).unwrap();
        admission.suspend(Suspended::Root(id(1)), Timestamp(1)).unwrap();
        assert_eq!(admission.admit(id(2), id(1), &of("a")), Admitted::Cancelled);
        admission.resume(&Suspended::Root(id(1))).unwrap();
        assert_eq!(admission.admit(id(2), id(1), &of("a")), Admitted::Cancelled);
        assert_eq!(admission.admit(id(3), id(4), &of("a")), Admitted::Yes);
    }
}
