//! Every bound of Windlass, each with its reason.

/// Bytes of a definition's text. The largest published example is under 10 KiB; a megabyte leaves
/// room for generated ones and keeps parsing well under a second.
pub const DEFINITION_BYTES: usize = 1 << 20;

/// Levels of nesting of a definition: deeper ones come from mistakes or attacks.
pub const DEFINITION_DEPTH: usize = 64;

/// Nodes of a definition after aliases are expanded: stops a small text that expands without end.
pub const DEFINITION_NODES: usize = 200_000;

/// Steps of one evaluation of an expression: a few tens of milliseconds on one core.
pub const EVALUATION_STEPS: u64 = 1_000_000;

/// Bytes of values one evaluation may build, a multiple of the largest payload.
pub const EVALUATION_BYTES: u64 = 64 << 20;

/// Bytes of text of one expression.
pub const EXPRESSION_BYTES: usize = 64 << 10;

/// Levels of nesting of any value: recursion over values stays far below the smallest stack.
pub const VALUE_DEPTH: u32 = 512;

/// Bytes of one payload (input, output, context, event): what a journal record and a bus message
/// can carry without starving others.
pub const PAYLOAD_BYTES: usize = 16 << 20;

/// Steps of the flow one instance may take in one turn before others get theirs.
pub const TURN_STEPS: u32 = 1_000;

/// Facts an instance may journal in all: a loop without end stops here with a clear error.
pub const INSTANCE_FACTS: u64 = 1_000_000;

/// Frames open at once in one instance, forks included.
pub const INSTANCE_FRAMES: usize = 100_000;

/// Levels of nested tasks while running, calls of functions included: bounds recursion.
pub const FRAME_DEPTH: usize = 256;

/// Bytes of an HTTP response a call reads.
pub const RESPONSE_BYTES: usize = 10 << 20;

/// Bytes of standard output or standard error kept of a process.
pub const PROCESS_OUTPUT_BYTES: usize = 4 << 20;

/// Milliseconds to establish a connection.
pub const CONNECT_TIMEOUT_MS: u64 = 10_000;

/// Milliseconds a call may take where the task sets no timeout.
pub const CALL_TIMEOUT_MS: u64 = 300_000;

/// Redirects followed by one call, as browsers and curl bound them.
pub const REDIRECTS: usize = 10;

/// Records that one write of the journal takes together: beyond some hundred a group only gets
/// slower, not cheaper.
pub const GROUP_RECORDS: usize = 256;

/// Bytes of facts and snapshots after which a group of commits takes no more: a few milliseconds
/// of writing. A single commit may be larger.
pub const GROUP_BYTES: usize = 1 << 20;

/// Instances one call of a list looks at: some tens of milliseconds. A filter that matches little
/// takes several calls.
pub const LIST_SCAN: usize = 20_000;

/// Records one round of retention looks at, so that a large journal is gone through in many short
/// rounds.
pub const RETENTION_SCAN: usize = 50_000;

/// Bytes of changes that wait for a backup to take them: a backup that falls behind this far fails,
/// commits never wait for it.
pub const BACKUP_BEHIND_BYTES: usize = 64 << 20;

/// Bytes of pages the journal keeps in memory by default: measured, the process then stays under
/// 110 MB however much is finished.
pub const JOURNAL_CACHE_BYTES: u64 = 128 << 20;

/// Milliseconds a journal may take to open by default. One of 3 GB that was not closed took 7 s.
pub const JOURNAL_OPEN_MS: u64 = 300_000;
