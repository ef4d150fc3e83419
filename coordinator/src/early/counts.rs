//! What is counted of events that came before anybody waited for them.

use windlass_proto::metric::Counter;
use windlass_proto::metric::Snapshot;
use windlass_proto::metric::table::instances as table;

use super::EarlyEvents;

/// How many were kept, and what became of them.
#[derive(Debug, Default)]
pub(super) struct EarlyCounts {
    pub(super) kept: Counter,
    pub(super) taken: Counter,
    pub(super) expired: Counter,
    pub(super) refused: Counter,
}

impl EarlyEvents {
    /// Adds what there is to tell.
    pub(crate) fn measured(&self, snapshot: &mut Snapshot) {
        let (events, bytes) = self.held();
        snapshot.add(&table::EARLY, events);
        snapshot.add(&table::EARLY_BYTES, bytes);
        snapshot.add(&table::EARLY_KEPT, self.counts.kept.count());
        snapshot.add(&table::EARLY_CONSUMED, self.counts.taken.count());
        snapshot.add(&table::EARLY_EXPIRED, self.counts.expired.count());
        snapshot.add(&table::EARLY_REFUSED, self.counts.refused.count());
    }
}
