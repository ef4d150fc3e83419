//! What cannot be, and was met all the same: counted by kind, told in the log with its instance.

use std::sync::atomic::{AtomicU64, Ordering};

use windlass_proto::id::InstanceId;
use windlass_proto::limits;

use crate::engine::{MisfitKind, Misfits};

/// What a misfit was, for the metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MisfitSource {
    /// A fact was decided that the state does not allow.
    Fact,
    /// The engine did not find what must be there.
    Missing,
    /// The journal holds a fact that the facts before it do not allow.
    Replay,
    /// A decision was taken of an instance that is not in memory: its facts are not kept.
    Dropped,
}

impl MisfitSource {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Fact, Self::Missing, Self::Replay, Self::Dropped];

    /// The label.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fact => "fact",
            Self::Missing => "missing",
            Self::Replay => "replay",
            Self::Dropped => "dropped",
        }
    }
}

/// What all partitions have met.
#[derive(Debug, Default)]
pub struct MisfitCounts([AtomicU64; MisfitSource::ALL.len()]);

impl MisfitCounts {
    /// How many there have been of a kind.
    #[must_use]
    pub fn count(&self, found: MisfitSource) -> u64 {
        self.0[found as usize].load(Ordering::Relaxed)
    }

    /// Takes note of what the engine met while it decided.
    pub(super) fn decided(&self, id: InstanceId, misfits: &Misfits) {
        for misfit in misfits.first() {
            let found = match misfit.kind {
                MisfitKind::Fact => MisfitSource::Fact,
                MisfitKind::Missing => MisfitSource::Missing,
            };
            self.add(id, found, 1, misfit);
        }
        self.rest(MisfitSource::Fact, misfits);
    }

    /// Takes note of what there was when an instance was read from the journal.
    pub(crate) fn replayed(&self, id: InstanceId, misfits: &Misfits) {
        for misfit in misfits.first() {
            self.add(id, MisfitSource::Replay, 1, misfit);
        }
        self.rest(MisfitSource::Replay, misfits);
    }

    /// A decision has no instance to be kept for.
    pub(super) fn dropped(&self, id: InstanceId) {
        self.add(id, MisfitSource::Dropped, 1, &"a decision for an instance that is not in memory");
    }

    /// Those that are only counted.
    fn rest(&self, found: MisfitSource, misfits: &Misfits) {
        let rest = misfits.count() - misfits.first().len() as u64;
        self.0[found as usize].fetch_add(rest, Ordering::Relaxed);
    }

    fn add(&self, id: InstanceId, found: MisfitSource, count: u64, what: &dyn std::fmt::Display) {
        let before = self.0[found as usize].fetch_add(count, Ordering::Relaxed);
        if before < limits::MISFITS_TOLD || before.is_multiple_of(limits::MISFITS_TOLD) {
            tracing::error!(
                instance = %id,
                kind = found.word(),
                "an impossible state of an instance, which is a defect of windlass or of the \
                 journal: {what}. `windlass fsck` lists the instances concerned"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use windlass_proto::id::{FrameId, InstanceId};
    use windlass_proto::time::Timestamp;

    use super::{MisfitCounts, MisfitSource};
    use crate::engine::{Fact, Instance};

    #[test]
    fn what_is_met_is_counted_by_kind_and_beyond_what_is_kept() {
        let (counts, id) = (MisfitCounts::default(), InstanceId(uuid::Uuid::nil()));
        let mut instance = Instance::not_started(id);
        for _ in 0..9 {
            let frame = FrameId(3);
            instance.evolve(Timestamp(1), &Fact::Dispatched { frame, delivery: 1 });
        }
        counts.replayed(id, &instance.changes.misfits);
        assert_eq!(counts.count(MisfitSource::Replay), 9);
        counts.decided(id, &instance.changes.misfits);
        counts.dropped(id);
        assert_eq!(MisfitSource::ALL.map(|it| counts.count(it)), [9, 0, 9, 1]);
        assert_eq!(
            MisfitSource::ALL.map(MisfitSource::word),
            ["fact", "missing", "replay", "dropped"]
        );
    }
}
