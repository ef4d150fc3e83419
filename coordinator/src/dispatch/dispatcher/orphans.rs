//! Assignments that a worker may hold though no session has them: from before a restart of the
//! coordinator, or of workers that fell silent together.
//!
//! Whoever holds one shows it and goes on. One is given up when somebody has been heard, and nobody
//! has shown it for a lease since. While nobody is heard at all it is kept: there is no one to do
//! it again, and the one who has it may only be cut off. Unless it may have ended the only worker
//! there was: that must come to an end though no other worker ever comes.
//!
//! What is lost and rests before it is sent again is here too: whoever shows it after all may have
//! it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::AssignmentKey;

use super::InFlight;
use super::failure_detector::FailureDetector;
use crate::dispatch::backlog::Lane;
use crate::engine::{DeliveryLoss, LossReason};

/// One of them.
pub(super) struct Orphan {
    pub(super) flight: InFlight,
    /// The process that had it; not known after a restart of the coordinator.
    pub(super) identity: Option<Arc<str>>,
    /// Whose it was, for a worker over HTTP.
    pub(super) owner: Option<Arc<str>>,
    /// Whether the end of that process may be the task's doing.
    pub(super) suspect: bool,
    pub(super) from: Timestamp,
    /// When it is given up; none until somebody is heard.
    pub(super) until: Option<Timestamp>,
    /// For one that is lost already, and is sent again after a pause: how it was lost.
    pub(super) rests: Option<DeliveryLoss>,
}

impl Orphan {
    /// How it is lost, once it is.
    fn loss(self) -> DeliveryLoss {
        let Self { identity, suspect, rests, .. } = self;
        rests.unwrap_or_else(|| {
            let named = identity.is_some();
            let reason = if named { LossReason::Silent } else { LossReason::NotShown };
            DeliveryLoss { blamed: suspect, worker: identity, reason: Some(reason) }
        })
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Orphans {
    all: HashMap<AssignmentKey, Orphan>,
    /// True while some wait for anybody to be heard.
    unheard: bool,
}

impl Orphans {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn contains(&self, key: &AssignmentKey) -> bool {
        self.all.contains_key(key)
    }

    pub(super) fn insert(&mut self, key: AssignmentKey, orphan: Orphan) {
        self.unheard |= orphan.until.is_none();
        self.all.insert(key, orphan);
    }

    pub(super) fn remove(&mut self, key: &AssignmentKey) -> Option<InFlight> {
        self.all.remove(key).map(|it| it.flight)
    }

    /// Somebody is heard: whoever holds one can be, too.
    pub(super) fn heard(&mut self, until: Timestamp) {
        if std::mem::take(&mut self.unheard) {
            self.all.values_mut().for_each(|it| it.until = it.until.or(Some(until)));
        }
    }

    /// True where a process `identity` of somebody else may come back for what it had: one over
    /// HTTP does not speak for one on the bus, nor for one of another owner.
    pub(super) fn of_another(&self, identity: &str, owner: Option<&Arc<str>>) -> bool {
        let has = |it: &Orphan| it.identity.as_deref() == Some(identity);
        owner.is_some() && self.all.values().any(|it| has(it) && it.owner.as_ref() != owner)
    }

    /// The process `identity` asks to join: nothing has ended it.
    pub(super) fn lives(&mut self, identity: &str) {
        let of = |it: &&mut Orphan| it.identity.as_deref() == Some(identity);
        self.all.values_mut().filter(of).for_each(|it| it.suspect = false);
    }

    /// The process `identity` is back: takes out what it had and does not hold any more.
    pub(super) fn dropped_by(
        &mut self,
        identity: &str,
        held: &HashSet<&AssignmentKey>,
    ) -> Vec<AssignmentKey> {
        let dropped = |(key, it): &(&AssignmentKey, &Orphan)| {
            it.identity.as_deref() == Some(identity) && !held.contains(key)
        };
        let keys: Vec<_> = self.all.iter().filter(dropped).map(|(key, _)| key.clone()).collect();
        keys.iter().for_each(|key| drop(self.all.remove(key)));
        keys
    }

    /// Takes out what nobody has shown in time: who had it, and whether the task may be the reason.
    pub(super) fn over(
        &mut self,
        failure_detector: &FailureDetector,
        lease_ms: u64,
        now: Timestamp,
    ) -> Vec<(AssignmentKey, DeliveryLoss)> {
        let is_over = |it: &Orphan| {
            if it.rests.is_some() {
                return it.until.is_none_or(|until| until <= now);
            }
            // A lease that began while nobody could be heard begins again.
            let silence = failure_detector.silence(it.from, now);
            match it.until {
                Some(until) => until < now && silence > lease_ms,
                None => it.suspect && silence > limits::LONELY_LEASES * lease_ms,
            }
        };
        let over = self.all.iter().filter(|(_, it)| is_over(it));
        let over: Vec<_> = over.map(|(key, _)| key.clone()).collect();
        let taken = over.into_iter().filter_map(|key| Some((self.all.remove(&key)?, key)));
        taken.map(|(it, key)| (key, it.loss())).collect()
    }

    /// How many there are by pool, and by lane those that are as good as waiting: a scaler must see
    /// them when there is no worker that could be heard.
    pub(super) fn depths(
        &self,
        lease_ms: u64,
        now: Timestamp,
        in_flight: &mut BTreeMap<Arc<str>, usize>,
        waiting: &mut BTreeMap<Lane, (usize, Timestamp)>,
    ) {
        for it in self.all.values() {
            let lane = &it.flight.lane;
            if it.rests.is_some() || it.until.is_none() && now.since(it.from) > lease_ms {
                let entry = waiting.entry(lane.clone()).or_insert((0, it.from));
                *entry = (entry.0 + 1, entry.1.min(it.from));
            } else {
                *in_flight.entry(lane.pool.clone()).or_default() += 1;
            }
        }
    }
}
