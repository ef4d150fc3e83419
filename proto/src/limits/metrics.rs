//! Bounds of metrics: how many series there may be.

/// Workflows (namespace and name) that have series of their own; the others are counted together
/// as `_other`. A workflow takes some 3 KB of memory and 40 samples.
pub const METRIC_WORKFLOWS: usize = 200;

/// Pools, and pairs of pool and kind of task, that have series of their own; the others are counted
/// together as `_other`.
pub const METRIC_POOLS: usize = 100;

/// Lanes (pool, and kind of task or function) whose series are remembered: the others are looked up
/// each time.
pub const METRIC_LANES: usize = 1_000;

/// Exemplars that a histogram keeps: one for each bucket that Prometheus sees, of half of them.
pub const EXEMPLARS: usize = 8;

/// Milliseconds that the last push of metrics may take as a process ends: what a collector that is
/// there needs many times over, and little beside the bound on all of its telemetry.
pub const METRICS_LAST_PUSH_MS: u64 = 500;
