//! Where an instance stands, in the specification's words: what the engine says, the journal keeps
//! and lists show.

use serde::{Deserialize, Serialize};

/// Status of an instance: the specification's status phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Accepted, not yet started.
    Pending,
    /// Tasks run.
    Running,
    /// Waits for time or events only.
    Waiting,
    /// Stopped by an operator until resumed.
    Suspended,
    /// Ended by an operator.
    Cancelled,
    /// Ended by an error.
    Faulted,
    /// Ended with an output.
    Completed,
}

impl Status {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Running,
        Self::Waiting,
        Self::Suspended,
        Self::Cancelled,
        Self::Faulted,
        Self::Completed,
    ];

    /// True for cancelled, faulted and completed.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Cancelled | Self::Faulted | Self::Completed)
    }

    /// The specification's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Suspended => "suspended",
            Self::Cancelled => "cancelled",
            Self::Faulted => "faulted",
            Self::Completed => "completed",
        }
    }
}
