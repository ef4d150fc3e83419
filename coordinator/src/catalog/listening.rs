//! Which namespaces have definitions that wait for events of a type.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLockWriteGuard};

use windlass_proto::id::Digest;
use windlass_proto::plan::Plan;

use super::Catalog;
use crate::engine;

/// A word without which a text has no task that listens.
const WORD: &str = "listen";

/// A namespace that has a definition which waits for events of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// The namespace.
    pub namespace: Arc<str>,
    /// Milliseconds its events are to be kept for at least, where a definition asks for that.
    pub keep_ms: Option<u64>,
}

/// What is known of definitions, and what follows.
#[derive(Default)]
pub(super) struct Listening {
    /// By digest: types, `None` for any.
    of: HashMap<Digest, Arc<Listens>>,
    /// By type; gone when a definition comes or goes.
    wanted: Option<Arc<Wanted>>,
    /// How often one has.
    changes: u64,
}

/// What one definition waits for.
#[derive(Default)]
struct Listens {
    types: BTreeSet<Option<Arc<str>>>,
    keep_ms: Option<u64>,
}

/// Who waits for something: namespaces, and for how long their events are to be kept at least.
type Takers = BTreeMap<Arc<str>, Option<u64>>;

/// Who waits for which events.
#[derive(Default)]
struct Wanted {
    any: Takers,
    by_type: HashMap<Arc<str>, Takers>,
}

impl Catalog {
    /// The namespaces in which a definition waits for events of this type.
    #[must_use]
    pub fn awaited(&self, kind: &str) -> Vec<Awaited> {
        let wanted = self.wanted();
        let mut found: BTreeMap<&Arc<str>, Option<u64>> = BTreeMap::new();
        for of in wanted.by_type.get(kind).into_iter().chain([&wanted.any]) {
            for (namespace, keep_ms) in of {
                let known = found.entry(namespace).or_default();
                *known = (*known).max(*keep_ms);
            }
        }
        let awaited = |(namespace, keep_ms): (&Arc<str>, _)| Awaited {
            namespace: namespace.clone(),
            keep_ms,
        };
        found.into_iter().map(awaited).collect()
    }

    /// Whether a definition waits for events of this type.
    #[must_use]
    pub fn is_awaited(&self, kind: &str) -> bool {
        let wanted = self.wanted();
        !wanted.any.is_empty() || wanted.by_type.contains_key(kind)
    }

    /// Whether a definition of a namespace other than this one waits for events of this type.
    #[must_use]
    pub fn is_awaited_beside(&self, kind: &str, namespace: &str) -> bool {
        let wanted = self.wanted();
        let all = wanted.by_type.get(kind).into_iter().chain([&wanted.any]);
        all.flat_map(BTreeMap::keys).any(|it| **it != *namespace)
    }

    /// The definitions of which it is not known yet what they wait for: until they are read,
    /// anything counts as waited for.
    #[must_use]
    pub fn unread_awaited(&self) -> Vec<Digest> {
        // The texts are looked through while nobody waits for the lock.
        let (unread, others): (Vec<_>, Vec<_>) =
            self.all().into_iter().partition(|it| it.text.contains(WORD));
        let mut listening = self.listening_mut();
        for it in others {
            listening.of.entry(it.digest).or_default();
        }
        let unread = unread.into_iter().map(|it| it.digest);
        unread.filter(|it| !listening.of.contains_key(it)).collect()
    }

    /// Reads what a definition waits for.
    pub fn read_awaited(&self, digest: &Digest) {
        if let Some(plan) = self.plan(digest) {
            self.listening_changed(Some(&plan));
        }
    }

    /// Something was deployed or deleted, or is known now.
    pub(super) fn listening_changed(&self, plan: Option<&Plan>) {
        let mut listening = self.listening_mut();
        if let Some(plan) = plan {
            let listens = Listens { types: engine::awaited(plan), keep_ms: plan.keep_events };
            listening.of.insert(plan.digest.clone(), Arc::new(listens));
        }
        listening.wanted = None;
        listening.changes += 1;
    }

    fn listening_mut(&self) -> RwLockWriteGuard<'_, Listening> {
        self.listening.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn wanted(&self) -> Arc<Wanted> {
        let changes = {
            let listening = self.listening.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(wanted) = &listening.wanted {
                return wanted.clone();
            }
            listening.changes
        };
        // No lock is held while another is taken.
        let all = self.all();
        let mut listening = self.listening_mut();
        let mut wanted = Wanted::default();
        for stored in &all {
            let unknown = || Listens { types: BTreeSet::from([None]), keep_ms: None };
            let listens = match listening.of.get(&stored.digest) {
                Some(known) => known.clone(),
                None if stored.text.contains(WORD) => Arc::new(unknown()),
                None => continue,
            };
            for kind in &listens.types {
                let of_type = match kind {
                    Some(kind) => wanted.by_type.entry(kind.clone()).or_default(),
                    None => &mut wanted.any,
                };
                let keep = of_type.entry(stored.id.namespace.clone()).or_default();
                *keep = (*keep).max(listens.keep_ms);
            }
        }
        let wanted = Arc::new(wanted);
        if listening.changes == changes {
            let current: BTreeSet<_> = all.iter().map(|it| &it.digest).collect();
            listening.of.retain(|digest, _| current.contains(digest));
            listening.wanted = Some(wanted.clone());
        }
        wanted
    }
}
