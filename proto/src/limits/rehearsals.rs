//! Bounds of workflows that are tried out.

/// Turns that the partition of a rehearsal takes, at most: a workflow that waits for a century by
/// looking once an hour takes a million.
pub const REHEARSAL_TURNS: u32 = 1_000_000;

/// Facts that the instances of a rehearsal make, at most: they are all kept in memory, and a loop
/// without end should be noticed within seconds.
pub const REHEARSAL_FACTS: u64 = 200_000;

/// Bytes that the instances of a rehearsal may take of the process's memory: what a production
/// process has on a small machine.
pub const REHEARSAL_BYTES: u64 = 1 << 30;

/// Cases in a file of tests: more are hard to find one's way in, and all are played in one process.
pub const TEST_CASES: usize = 1_000;

/// The number of the start by a schedule that a test looks at, at most.
pub const TEST_STARTS: usize = 1_000;

/// Bytes of a file of tests, and of a history that is kept of one.
pub const TEST_FILE_BYTES: usize = 4 << 20;

/// Entries of a history that are shown of a test that fails: the last ones, a screen of them.
pub const TEST_SHOWN_ENTRIES: usize = 15;

/// Calls that a test keeps of what was sent: one that makes more is a loop.
pub const TEST_CALLS: usize = 10_000;

/// Milliseconds that one call takes in real time, where real calls are allowed: a test that hangs
/// tells nobody anything.
pub const TEST_REAL_CALL_MS: u64 = 60_000;
