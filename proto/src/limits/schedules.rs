//! Bounds of schedules.

/// Milliseconds between two starts by `every`, at least: more often is a loop within a workflow,
/// and each start is a write to the journal.
pub const SCHEDULE_EVERY_MS: u64 = 100;

/// Milliseconds over which starts are spread, at most: a day.
pub const SCHEDULE_JITTER_MS: u64 = 86_400_000;

/// Milliseconds by which a start is late without having been missed: what a loaded machine, or a
/// restart of the coordinator, takes.
pub const SCHEDULE_GRACE_MS: u64 = 10_000;

/// Missed starts that are made after all, of one schedule at once, whatever its window: the last
/// ones. A coordinator that was away for a month should not begin with a million of them.
pub const SCHEDULE_CATCH_UP: u64 = 1_000;

/// Starts of one schedule in one turn of its partition, which has others to serve.
pub const SCHEDULE_STARTS: usize = 50;

/// Starts of one schedule that wait for an earlier one's end: each takes memory.
pub const SCHEDULE_WAITING: usize = 1_000;

/// Due times that are kept of one schedule, with what became of them: the last ones.
pub const SCHEDULE_PAST: u64 = 100;

/// Due times to come that are shown of one schedule.
pub const SCHEDULE_NEXT: usize = 5;

/// Schedules in one page of a list.
pub const SCHEDULE_PAGE: usize = 1_000;

/// Milliseconds until a start is tried again that memory or an operator holds.
pub const SCHEDULE_AGAIN_MS: u64 = 1_000;

/// Bytes of the reason an operator gives for a pause: a sentence, kept with the schedule.
pub const SCHEDULE_REASON_BYTES: usize = 1_000;

/// Due times of a stretch that are counted; the number of more is not told.
pub const SCHEDULE_COUNTED: u64 = 10_000;

/// What finding one time in the calendar costs, in steps of expressions: some microseconds.
pub const CALENDAR_COST: u64 = 100;

/// Bytes of the events that a schedule has gathered for its next start, and of those that wait in
/// starts to come, each: its state is written anew with every event that counts.
pub const SCHEDULE_EVENT_BYTES: u64 = 1 << 20;

/// Due times that are looked at for what a backfill asks for: those that were started before are
/// passed over, each at the cost of three look-ups in the journal.
pub const SCHEDULE_LOOKED_AT: usize = 10_000;
