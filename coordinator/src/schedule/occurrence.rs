//! What became of a due time.

use serde::{Deserialize, Serialize};
use windlass_proto::id::InstanceId;
use windlass_proto::time::Timestamp;

use super::Due;

/// What makes a start due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Trigger {
    /// `every`
    Every,
    /// `cron`
    Cron,
    /// `after`
    After,
    /// An operator.
    Manual,
    /// An operator, for a time that is over.
    Backfill,
    /// `on`
    On,
}

impl Trigger {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Every, Self::Cron, Self::After, Self::Manual, Self::Backfill, Self::On];

    /// What it is called.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Every => "every",
            Self::Cron => "cron",
            Self::After => "after",
            Self::Manual => "manual",
            Self::Backfill => "backfill",
            Self::On => "on",
        }
    }
}

/// Why a due time was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Why {
    /// It was over for longer than may be made up for.
    Missed,
    /// The schedule was paused.
    Paused,
    /// The workflow or its namespace was suspended.
    Suspended,
    /// An instance of the schedule was open, and no more may wait for its end.
    Overlap,
    /// A later one took its place while it waited.
    Superseded,
    /// The process ended over its start, again and again.
    Quarantined,
    /// Its events could not be gathered.
    Failed,
}

impl Why {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Missed,
        Self::Paused,
        Self::Suspended,
        Self::Overlap,
        Self::Superseded,
        Self::Quarantined,
        Self::Failed,
    ];

    /// What it is called.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
            Self::Overlap => "overlap",
            Self::Superseded => "superseded",
            Self::Quarantined => "quarantined",
            Self::Failed => "failed",
        }
    }
}

/// What became of a due time, or of a stretch of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence {
    /// The due time; the first one of a stretch.
    pub due: Due,
    /// The last one of a stretch, and how many they are, where that was counted.
    pub until: Option<(Timestamp, Option<u64>)>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Occurrence {
    /// How many due times it tells of; one for a stretch that was not counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.until.map_or(1, |(_, count)| count.unwrap_or(1))
    }
}

/// Whether a due time was fired or skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It started an instance, then.
    Fired(InstanceId, Timestamp),
    /// It did not.
    Skipped(Why),
}

/// An occurrence as it is kept, with its number: of two at one place the later one counts.
pub type Kept = (u64, Occurrence);
