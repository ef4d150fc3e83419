//! Bounds of tasks that run in containers.

/// Bytes of memory a container may take, unless the worker is told otherwise: room for a script and
/// its interpreter, several of which fit a small machine.
pub const CONTAINER_MEMORY_BYTES: u64 = 512 << 20;

/// Thousandths of a processor a container may use, unless the worker is told otherwise.
pub const CONTAINER_MILLI_CPUS: u32 = 1_000;

/// Processes and threads a container may have at once, unless the worker is told otherwise: a fork
/// bomb ends there, and no pool of threads does.
pub const CONTAINER_PIDS: u32 = 256;

/// Milliseconds that one call of the engine may take, other than pulling an image and waiting for
/// an end: engines copy an image's layers in it, where their storage cannot share them.
pub const CONTAINER_CALL_MS: u64 = 60_000;

/// Milliseconds that an engine has to answer a worker that starts, before that says it has none.
pub const CONTAINER_ANSWER_MS: u64 = 5_000;

/// Milliseconds between two looks for containers whose worker is gone.
pub const CONTAINER_SWEEP_MS: u64 = 60_000;

/// Milliseconds past its time after which a container is removed whoever has started it: clocks of
/// workers differ, and who started it ends it in time.
pub const CONTAINER_OVERDUE_MS: u64 = 120_000;

/// Most milliseconds that a container with `cleanup: eventually` is kept after its end: long enough
/// to look at it the next day.
pub const CONTAINER_KEPT_MS: u64 = 86_400_000;

/// Bytes of an engine's list of containers: those of this project are listed, some 2 KiB each.
pub const CONTAINER_LIST_BYTES: usize = 16 << 20;

/// Most seconds that the client of the engine waits for one answer: none, as each wait has a bound
/// of its own and that of a container's end is its task's.
pub const CONTAINER_CLIENT_S: u64 = 86_400 * 365;
