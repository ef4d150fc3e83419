//! The events that one namespace keeps, and how they are found by what is waited for.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::InstanceId;
use windlass_proto::limits;

use super::view::DeadLetter;
use super::{EarlyEvent, EarlyPlace};
use crate::engine::{Key, Route};

/// Type of event, and places in it by which it is looked for.
type Group = (Arc<str>, Vec<Vec<Arc<str>>>);

/// The events of a namespace.
#[derive(Default)]
pub(super) struct Shelf {
    /// All, in the order in which they came.
    all: BTreeMap<EarlyPlace, Arc<EarlyEvent>>,
    by_type: HashMap<Arc<str>, BTreeSet<EarlyPlace>>,
    /// By what stands in places that somebody has asked for: made when that happens first.
    groups: HashMap<Group, HashMap<u64, BTreeSet<EarlyPlace>>>,
    bytes: u64,
    /// Those whose time is over, the latest last: nobody finds them.
    dead: BTreeMap<EarlyPlace, Arc<EarlyEvent>>,
    dead_bytes: u64,
    /// Those for which there was no room, the latest last.
    refused: VecDeque<DeadLetter>,
}

impl Shelf {
    /// How many events and bytes take room: of those that were in vain only what is too much.
    pub(super) fn taken(&self) -> (usize, u64) {
        let dead = self.dead.len().saturating_sub(limits::EARLY_DEAD);
        let bytes = self.dead_bytes.saturating_sub(limits::EARLY_DEAD_BYTES);
        (self.all.len() + dead, self.bytes + bytes)
    }

    /// All, in the order in which they came, and those whose time is over.
    pub(super) fn events(&self) -> impl Iterator<Item = &Arc<EarlyEvent>> {
        self.all.values().chain(self.dead.values())
    }

    /// Those whose time is over, by when it was.
    pub(super) fn dead(&self) -> impl DoubleEndedIterator<Item = &Arc<EarlyEvent>> {
        self.dead.values()
    }

    /// The time of an event is over.
    pub(super) fn bury(&mut self, event: &Arc<EarlyEvent>) {
        self.remove(event);
        self.dead_bytes += event.weight();
        self.dead.insert((event.until, event.key), event.clone());
    }

    /// True when there is nothing to tell of it.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty() && self.dead.is_empty() && self.refused.is_empty()
    }

    pub(super) fn refuse(&mut self, letter: DeadLetter) {
        if self.refused.len() >= limits::EARLY_DEAD {
            self.refused.pop_front();
        }
        self.refused.push_back(letter);
    }

    pub(super) fn refused(&self) -> impl Iterator<Item = &DeadLetter> {
        self.refused.iter()
    }

    pub(super) fn insert(&mut self, event: &Arc<EarlyEvent>) {
        let (place, kind) = ((event.at, event.key), event.event.kind());
        self.bytes += event.weight();
        self.all.insert(place, event.clone());
        self.by_type.entry(kind.into()).or_default().insert(place);
        for ((of, places), found) in &mut self.groups {
            if **of == *kind
                && let Some(digest) = digest(&event.event, places)
            {
                found.entry(digest).or_default().insert(place);
            }
        }
    }

    pub(super) fn remove(&mut self, event: &EarlyEvent) {
        let (place, kind) = ((event.at, event.key), event.event.kind());
        if self.all.remove(&place).is_none() {
            if self.dead.remove(&(event.until, event.key)).is_some() {
                self.dead_bytes = self.dead_bytes.saturating_sub(event.weight());
            }
            return;
        }
        self.bytes = self.bytes.saturating_sub(event.weight());
        leave(&mut self.by_type, kind, place);
        for ((of, places), found) in &mut self.groups {
            if **of == *kind
                && let Some(digest) = digest(&event.event, places)
            {
                leave(found, &digest, place);
            }
        }
        if !self.by_type.contains_key(kind) {
            self.groups.retain(|(of, _), _| **of != *kind);
        }
    }

    /// The first event after `after` that takes one of these routes and is for anybody or for this
    /// instance.
    pub(super) fn next(
        &mut self,
        routes: &[Route],
        after: Option<EarlyPlace>,
        instance: InstanceId,
    ) -> Option<EarlyPlace> {
        let mut first: Option<EarlyPlace> = None;
        for route in routes {
            let found = self.on_route(route, after, instance);
            first = first.into_iter().chain(found).min();
        }
        first
    }

    fn on_route(
        &mut self,
        route: &Route,
        after: Option<EarlyPlace>,
        instance: InstanceId,
    ) -> Option<EarlyPlace> {
        let from = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let is_for = |event: &EarlyEvent| event.instance.is_none_or(|it| it == instance);
        let takes = |event: &EarlyEvent| {
            is_for(event) && digest(&event.event, &route.places) == Some(route.digest)
        };
        let Some(kind) = &route.kind else {
            return self.all.range(from).find(|(_, event)| takes(event)).map(|it| *it.0);
        };
        let of_type = self.by_type.get(kind)?;
        let group = (kind.clone(), route.places.clone());
        if !self.groups.contains_key(&group) && self.groups.len() < limits::EARLY_GROUPS {
            let mut found: HashMap<u64, BTreeSet<EarlyPlace>> = HashMap::new();
            for place in of_type {
                let event = self.all.get(place);
                if let Some(digest) = event.and_then(|it| digest(&it.event, &route.places)) {
                    found.entry(digest).or_default().insert(*place);
                }
            }
            self.groups.insert(group.clone(), found);
        }
        let fits = |place: &&EarlyPlace, test: &dyn Fn(&EarlyEvent) -> bool| {
            self.all.get(*place).is_some_and(|it| test(it))
        };
        match self.groups.get(&group) {
            Some(found) => {
                found.get(&route.digest)?.range(from).find(|it| fits(it, &is_for)).copied()
            }
            None => of_type.range(from).find(|it| fits(it, &takes)).copied(),
        }
    }
}

/// The digest of what an event holds in these places; `None` where that is equal to nothing that is
/// waited for.
fn digest(event: &CloudEvent, places: &[Vec<Arc<str>>]) -> Option<u64> {
    let keys: Option<Vec<_>> =
        places.iter().map(|place| Key::at(event.envelope(), place)).collect();
    keys.map(|keys| Key::digest(&keys))
}

/// Takes a place out of those that are found by a key.
fn leave<K, Q>(found: &mut HashMap<K, BTreeSet<EarlyPlace>>, key: &Q, place: EarlyPlace)
where
    K: std::borrow::Borrow<Q> + Eq + std::hash::Hash,
    Q: Eq + std::hash::Hash + ?Sized,
{
    if let Some(places) = found.get_mut(key) {
        places.remove(&place);
        if places.is_empty() {
            found.remove(key);
        }
    }
}
