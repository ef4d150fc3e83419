//! Schedules: which starts are due, and what becomes of each due time.
//!
//! Pure bookkeeping: given a schedule's state and the time, what starts, what is skipped and when
//! to look again. The partition that owns a schedule keeps its state (`partition/schedules`) and
//! commits it together with the starts that follow from it, so each due time is fired or skipped
//! once, whatever crashes.
//!
//! **Invariant:** what is here names no clock, no journal and no randomness.

mod due;
mod listener;
mod occurrence;
mod overlap;
mod state;
#[cfg(test)]
mod tests;

pub use due::next_times;
pub use listener::{Given, Listener};
pub use occurrence::{Kept, Occurrence, Outcome, Trigger, Why};
pub use state::{Busy, Pause, State};

use sha2::Digest as _;
use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::problem::Problem;
use windlass_proto::time::Timestamp;

/// A schedule: that of all versions of one workflow, of which the latest one's counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScheduleId(pub [u8; 16]);

impl ScheduleId {
    /// The schedule of a workflow.
    #[must_use]
    pub fn of(namespace: &str, name: &str) -> Self {
        let mut hash = sha2::Sha256::new();
        hash.update(namespace.as_bytes());
        hash.update([0]);
        hash.update(name.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        Self(id)
    }

    /// The partition that owns it, among `partitions` (at least one).
    #[must_use]
    pub fn partition(self, partitions: u16) -> PartitionId {
        PartitionId(u16::from_be_bytes([self.0[14], self.0[15]]) % partitions.max(1))
    }

    /// How much later than others it starts, of `jitter` milliseconds: always as much, so that its
    /// own starts keep their distance.
    #[must_use]
    pub fn delay(self, jitter: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h]).checked_rem(jitter).unwrap_or(0)
    }
}

/// One start that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// What made it due.
    pub trigger: Trigger,
    /// Which one of those that events made due, which may have the same time.
    #[serde(default)]
    pub number: u32,
}

impl Due {
    /// A start that is due by the clock, or by an operator.
    #[must_use]
    pub fn at(at: Timestamp, trigger: Trigger) -> Self {
        Self { at, trigger, number: 0 }
    }

    /// The instance that it starts: the same one whenever it is asked for, in the partition of its
    /// schedule, and with the due time in front, as lists are in order of ids.
    #[must_use]
    pub fn instance(self, schedule: ScheduleId, partitions: u16) -> InstanceId {
        let mut hash = sha2::Sha256::new();
        hash.update(schedule.0);
        hash.update(self.at.0.to_be_bytes());
        hash.update([self.trigger as u8]);
        if self.trigger == Trigger::On {
            hash.update(self.number.to_be_bytes());
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        InstanceId::at(self.at.0, id).placed(schedule.partition(partitions), partitions)
    }
}

/// What follows for a schedule from the time, from an instance's end or from an operator.
#[derive(Debug, Default, PartialEq)]
pub struct Turn {
    /// Instances to start.
    pub starts: Vec<Due>,
    /// What those of them get that events have started.
    pub given: Vec<Given>,
    /// Instances to cancel.
    pub cancels: Vec<InstanceId>,
    /// What is known of due times now.
    pub occurrences: Vec<Occurrence>,
    /// Why events were gathered in vain.
    pub failed: Option<Problem>,
}

impl Turn {
    fn skip(&mut self, due: Due, why: Why) {
        self.occurrences.push(Occurrence { due, until: None, outcome: Outcome::Skipped(why) });
    }
}
