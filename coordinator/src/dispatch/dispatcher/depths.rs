//! How much waits and is under way, for metrics and scalers.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_proto::time::Timestamp;

use super::Dispatcher;
use crate::dispatch::backlog::Lane;

/// How much of what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Depths {
    /// Assignments that wait, by lane, and since when the oldest.
    pub waiting: BTreeMap<Lane, (usize, Timestamp)>,
    /// Assignments at workers, by pool.
    pub in_flight: BTreeMap<Arc<str>, usize>,
    /// Assignments that a worker may hold though no session has them.
    pub orphaned: usize,
}

impl Dispatcher {
    /// How much waits and is under way.
    #[must_use]
    pub fn depths(&self, now: Timestamp) -> Depths {
        let mut in_flight: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for flight in self.in_flight.values() {
            *in_flight.entry(flight.lane.pool.clone()).or_default() += 1;
        }
        let mut waiting = self.backlog.depths();
        self.orphans.depths(self.lease_ms, now, &mut in_flight, &mut waiting);
        Depths { waiting, in_flight, orphaned: self.orphans.len() }
    }
}
