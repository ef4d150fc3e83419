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
