//! Which waiting instances an event can concern, known without loading them.
//!
//! Routes of one type that look at the same places in an envelope are a group. An event is looked
//! up once in each group that its type leads to, whatever the number of those that wait.

mod group;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::{BTreeSet, HashMap, hash_map};

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{FrameId, InstanceId, PartitionId};
use windlass_proto::limits;

use crate::engine::{Interest, Key, Route};
use crate::journal::{Journal, JournalError};
use group::Groups;

type Visit = (InstanceId, FrameId);

/// A group's number, and the digest of what an event holds in its places.
type Entry = (u32, u64);

/// Subscriptions of a partition by what they want.
#[derive(Default)]
pub(super) struct Routing {
    groups: Groups,
    /// Who waits for what an entry stands for.
    waiting: HashMap<Entry, Visits>,
    /// The entries of each visit.
    entries: HashMap<Visit, Entries>,
}

/// What a visit waits for: mostly one.
enum Entries {
    One(Entry),
    Several(Box<[Entry]>),
}

/// Those that wait for the same: mostly one.
enum Visits {
    One(Visit),
    Several(BTreeSet<Visit>),
}

/// The instances that an event can concern.
pub(super) struct Candidates {
    /// Each once.
    pub(super) instances: BTreeSet<InstanceId>,
    /// How many groups it was looked up in.
    pub(super) lookups: u64,
}

impl Routing {
    pub(super) fn load(
        journal: &dyn Journal,
        partition: PartitionId,
    ) -> Result<Self, JournalError> {
        let mut routing = Self::default();
        let mut after = None;
        loop {
            let page = journal.subscriptions(partition, after, limits::SUBSCRIPTION_PAGE)?;
            let full = page.len() == limits::SUBSCRIPTION_PAGE;
            for (instance, frame, bytes) in page {
                let interest = rmp_serde::from_slice(&bytes).map_err(|error| {
                    JournalError::Damaged(format!("subscription of {instance}: {error}"))
                })?;
                routing.insert((instance, frame), interest);
                after = Some((instance, frame));
            }
            if !full {
                return Ok(routing);
            }
        }
    }

    /// Takes up what a visit wants, in place of what it wanted before; false when that is the same.
    pub(super) fn insert(&mut self, visit: Visit, interest: Interest) -> bool {
        let entries = Entries::of(&interest.into_routes(), &mut self.groups);
        for entry in entries.all() {
            match self.waiting.entry(*entry) {
                hash_map::Entry::Vacant(it) => _ = it.insert(Visits::One(visit)),
                hash_map::Entry::Occupied(mut it) => it.get_mut().add(visit),
            }
        }
        // Most visits are new here, so nothing is looked up first.
        let (before, now) = match self.entries.entry(visit) {
            hash_map::Entry::Vacant(it) => {
                it.insert(entries);
                return true;
            }
            hash_map::Entry::Occupied(it) => {
                let now = it.into_mut();
                (std::mem::replace(now, entries), now)
            }
        };
        for entry in before.all() {
            self.groups.leave(entry.0);
            if !now.all().contains(entry) {
                leave(&mut self.waiting, entry, visit);
            }
        }
        before.all() != now.all()
    }

    pub(super) fn remove(&mut self, visit: Visit) {
        let Some(entries) = self.entries.remove(&visit) else { return };
        for entry in entries.all() {
            leave(&mut self.waiting, entry, visit);
            self.groups.leave(entry.0);
        }
    }

    /// The instances that this event can concern.
    pub(super) fn candidates(&self, event: &CloudEvent) -> Candidates {
        let mut found = Candidates { instances: BTreeSet::new(), lookups: 0 };
        let mut keys = Vec::new();
        for (places, group) in self.groups.of_type(event.kind()) {
            found.lookups += 1;
            keys.clear();
            keys.extend(places.iter().map_while(|place| Key::at(event.envelope(), place)));
            // What has no key is equal to nothing that is waited for.
            if keys.len() < places.len() {
                continue;
            }
            match self.waiting.get(&(group, Key::digest(&keys))) {
                None => {}
                Some(Visits::One((instance, _))) => _ = found.instances.insert(*instance),
                Some(Visits::Several(visits)) => {
                    found.instances.extend(visits.iter().map(|(instance, _)| *instance));
                }
            }
        }
        found
    }
}

impl Entries {
    fn of(routes: &[Route], groups: &mut Groups) -> Self {
        let mut entry = |route: &Route| (groups.enter(route), route.digest);
        match routes {
            [only] => Self::One(entry(only)),
            several => Self::Several(several.iter().map(entry).collect()),
        }
    }

    fn all(&self) -> &[Entry] {
        match self {
            Self::One(only) => std::slice::from_ref(only),
            Self::Several(several) => several,
        }
    }
}

/// A visit waits for this no more.
fn leave(waiting: &mut HashMap<Entry, Visits>, entry: &Entry, visit: Visit) {
    if waiting.get_mut(entry).is_some_and(|visits| visits.take(visit)) {
        waiting.remove(entry);
    }
}

impl Visits {
    fn add(&mut self, visit: Visit) {
        match self {
            Self::One(only) if *only == visit => {}
            Self::One(only) => *self = Self::Several(BTreeSet::from([*only, visit])),
            Self::Several(visits) => _ = visits.insert(visit),
        }
    }

    /// Takes one out; true when none is left.
    fn take(&mut self, visit: Visit) -> bool {
        match self {
            Self::One(only) => *only == visit,
            Self::Several(visits) => {
                visits.remove(&visit);
                visits.is_empty()
            }
        }
    }
}
