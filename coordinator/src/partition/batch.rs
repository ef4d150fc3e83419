//! What one turn hands over.

use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::release::Release;
use crate::journal::Commit;

/// What must become durable together, and what may leave once it is.
pub struct Batch {
    /// Its number in the partition, from 1.
    pub number: u64,
    /// What must become durable.
    pub commit: Commit,
    /// What may leave then, in order.
    pub releases: Vec<Release>,
    /// When the turn took place.
    pub(super) now: Timestamp,
    /// Instances with new facts, in order of first touch.
    pub(super) touched: Vec<InstanceId>,
    /// Bytes of the new facts.
    pub(super) bytes: u64,
}

impl Batch {
    pub(super) fn new(partition: PartitionId, number: u64, now: Timestamp) -> Self {
        let commit = Commit { partition, ..Commit::default() };
        Self { number, commit, releases: Vec::new(), now, touched: Vec::new(), bytes: 0 }
    }

    /// True when the turn should end: what it decided waits in memory for the disk.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= limits::TURN_BYTES
    }

    /// True when there is nothing to write and nothing to let go.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_quiet() && self.releases.is_empty()
    }

    /// True when nothing has to be written.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let commit = &self.commit;
        commit.writes.is_empty()
            && commit.timers_set.is_empty()
            && commit.timers_cleared.is_empty()
            && commit.subscribed.is_empty()
            && commit.unsubscribed.is_empty()
            && commit.seen.is_empty()
            && commit.schedules.is_empty()
            && commit.early.is_empty()
            && commit.open.is_empty()
            && commit.rows.is_empty()
            && commit.removed.is_empty()
    }
}
