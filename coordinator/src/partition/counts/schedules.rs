//! What is counted of schedules.

use windlass_proto::metric::table::schedules as table;
use windlass_proto::metric::{Counter, Histogram, Snapshot};

use crate::schedule::{Occurrence, Outcome, Trigger, Why};

/// What all partitions count of schedules.
#[derive(Debug)]
pub(in crate::partition) struct ScheduleCounts {
    fired: [Counter; Trigger::ALL.len()],
    skipped: [Counter; Why::ALL.len()],
    lateness: Histogram,
}

impl Default for ScheduleCounts {
    fn default() -> Self {
        let lateness = Histogram::of(&table::LATENESS);
        Self { fired: Default::default(), skipped: Default::default(), lateness }
    }
}

impl ScheduleCounts {
    /// Counts what became of due times.
    pub(in crate::partition) fn note(&self, occurrence: &Occurrence) {
        match occurrence.outcome {
            Outcome::Fired(..) => self.fired[occurrence.due.trigger as usize].one(),
            Outcome::Skipped(why) => self.skipped[why as usize].add(occurrence.count()),
        }
    }

    /// Counts by how many milliseconds a start was late, where it was for a time by itself.
    pub(in crate::partition) fn late(&self, trigger: Trigger, lateness: u64) {
        if matches!(trigger, Trigger::Every | Trigger::Cron | Trigger::After) {
            self.lateness.milliseconds(lateness);
        }
    }

    /// Adds what there is to tell.
    pub(super) fn measured(&self, snapshot: &mut Snapshot) {
        for (trigger, count) in Trigger::ALL.into_iter().zip(&self.fired) {
            snapshot.labelled(&table::FIRED, [trigger.word()], count);
        }
        for (why, count) in Why::ALL.into_iter().zip(&self.skipped) {
            snapshot.labelled(&table::SKIPPED, [why.word()], count);
        }
        snapshot.add(&table::LATENESS, &self.lateness);
    }
}
