//! What there is to see of the workers and of what waits for them.

use super::dispatcher::{Depths, LaneView, WorkerView};

/// What there is of a fleet, for people and scalers.
#[derive(Clone, Debug)]
pub struct FleetView {
    /// The registered workers, by pool and identity.
    pub workers: Vec<WorkerView>,
    /// What waits and what is under way.
    pub depths: Depths,
    /// What has happened since the start.
    pub totals: Totals,
    /// How long assignments waited and took.
    pub times: Vec<LaneView>,
    /// True while there is a connection to NATS.
    pub connected: bool,
    /// Connections to NATS after the first one.
    pub reconnects: u64,
    /// By how many milliseconds the clock of a store of secrets is ahead of ours, negative when it
    /// is behind: the worst that workers see; none where they see none.
    pub store_ahead_ms: Option<i64>,
}

/// Totals of a fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Assignments sent.
    pub sent: u64,
    /// Reports that became part of an instance.
    pub accepted: u64,
    /// Reports that came too late or for nothing.
    pub stale: u64,
    /// Deliveries given up because the worker fell silent.
    pub expired: u64,
    /// Deliveries given up for other reasons: handed back, or never arrived.
    pub lost: u64,
    /// Registrations accepted.
    pub joined: u64,
    /// Registrations refused.
    pub refused: u64,
    /// Registrations that were not made for this coordinator's key, or are none.
    pub foreign: u64,
    /// Messages of workers that could not be read.
    pub unreadable: u64,
    /// Losses kept back for a while, as the same task was lost a moment before.
    pub delayed: u64,
    /// Registrations left without an answer, or refused, as another worker uses the same identity.
    pub contested: u64,
    /// Frames and reports that were not authentic, or repeats.
    pub forged: u64,
}
