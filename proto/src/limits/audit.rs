//! Bounds of the chain of the audit trail, of its heads, and of reading it.

/// Entries of the audit trail without a signed head at most: what a forger could change without
/// touching a signature is no more than that. Signing one takes some 20 µs.
pub const AUDIT_HEAD_ENTRIES: u32 = 1_000;

/// Milliseconds after which what is in the audit trail is signed although there is little of it.
pub const AUDIT_HEAD_MS: u64 = 10_000;

/// Bytes that the chain adds to the line of an audit event: sequence, hash and their names.
pub const AUDIT_LINK_BYTES: usize = 128;

/// Lines of an audit trail that a check remembers, to find where a line that is out of place
/// belongs: some 6 MB.
pub const AUDIT_REACH: usize = 1 << 16;

/// Places of an audit trail that are not as they should be, of which a check says more than their
/// number.
pub const AUDIT_DEFECTS: usize = 1_000;

/// Keys that a check of an audit trail knows at most: one for each that somebody names, or that
/// signed a part of the trail.
pub const AUDIT_KEYS: usize = 256;

/// Full files of the audit trail that may be kept: with files of
/// [`AUDIT_FILE_BYTES`](super::AUDIT_FILE_BYTES) some 60 GiB.
pub const AUDIT_FILES_MOST: u32 = 1_000;

/// Bytes of the audit trail that are read for one page: where few lines are asked for among many,
/// the page ends, says how far it came, and the next one goes on.
pub const AUDIT_SCAN_BYTES: u64 = 32 << 20;

/// Bytes of the end of the audit trail that a start looks through for entries whose outcome is
/// missing: what is under way for a minute is in it, be there thousands of other entries a second.
pub const AUDIT_PENDING_BYTES: u64 = 64 << 20;

/// Such entries that get an outcome at a start: more than there are requests at once.
pub const AUDIT_PENDING_MOST: usize = 4_096;

/// Milliseconds that `windlass audit tail` waits for an event before it asks again.
pub const AUDIT_TAIL_MS: u64 = 30_000;

/// Bytes of the audit trail that are kept where nobody says: some three million events.
pub const AUDIT_RETENTION_BYTES: u64 = 2 << 30;

/// Bytes of the audit trail that can be kept at least: two files of some thousand events.
pub const AUDIT_RETENTION_LEAST: u64 = 2 << 20;

/// Milliseconds that one worker needs at least to fill all of the audit trail alone, once it has
/// written half a file at once: whatever it does, what others did is there as long. With what is
/// kept by default a worker may write some two hundred events a second.
pub const AUDIT_SHARE_MS: u64 = 6 * 3_600_000;

/// Workers whose shares of the audit trail are known at once; a share that was not used for long is
/// forgotten first.
pub const AUDIT_SHARES: usize = 1 << 16;

/// Calls that the egress policy of a worker refused and that it tells the audit trail of in each
/// [`EGRESS_REFUSALS_MS`]: what is more is counted and told together, so that a workflow that calls
/// what it may not in a loop leaves room for others. A share of the trail has some hundred times as
/// much.
pub const EGRESS_REFUSALS_TOLD: u64 = 60;

/// Milliseconds for which such calls are counted together.
pub const EGRESS_REFUSALS_MS: u64 = 60_000;

/// Milliseconds between two lines in the audit trail that say how much of a worker was deferred.
pub const AUDIT_DEFERRED_MS: u64 = 60_000;

/// Heads of the audit trail that wait for its webhook: ten minutes of a trail that grows. The
/// newest stay, as each signs all before it.
pub const AUDIT_HEADS_WAITING: usize = 64;

/// Milliseconds that the webhook of heads has for one of them.
pub const AUDIT_HEADS_POST_MS: u64 = 10_000;

/// Milliseconds after which a head is told again that was not taken; twice as long each time.
pub const AUDIT_HEADS_AGAIN_MS: u64 = 1_000;

/// The longest such pause.
pub const AUDIT_HEADS_AGAIN_MOST_MS: u64 = 60_000;

/// Milliseconds that an orderly stop leaves for telling the last head.
pub const AUDIT_HEADS_STOP_MS: u64 = 2_000;

/// Heads that a check of an audit trail is given at most, some 40 bytes each: a year of a trail
/// that never rests has three million.
pub const AUDIT_HEADS_KNOWN: usize = 1 << 22;

/// Entries of workers that come, drain and go in the audit trail in each
/// [`AUDIT_WORKERS_TOLD_MS`]: a fleet of some hundred that starts anew is in it whole, and one
/// worker that joins in a loop is counted.
pub const AUDIT_WORKERS_TOLD: u64 = 1_000;

/// Milliseconds for which such entries are counted together.
pub const AUDIT_WORKERS_TOLD_MS: u64 = 60_000;
