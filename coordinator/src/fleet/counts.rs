//! What has happened since the start.

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
