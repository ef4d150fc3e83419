//! Bounds of the command line.

use super::API_KEEP_ALIVE_MS;

/// Tasks that the progress of an instance shows at once: a screen holds no more.
pub const PROGRESS_TASKS: usize = 20;

/// History entries that the progress of an instance skips at once.
pub const PROGRESS_ENTRIES: usize = 1_000;

/// Milliseconds between two looks at the progress of an instance at least: eyes see no more, and
/// the engine has better things to do.
pub const PROGRESS_PACE_MS: u64 = 100;

/// Bytes of an answer of the API that a command reads: several of the largest payloads, as a
/// history may hold.
pub const CLIENT_ANSWER_BYTES: usize = 256 << 20;

/// Characters of the data of an entry in a printed history: what a line can show.
pub const HISTORY_DATA_CHARACTERS: usize = 60;

/// Milliseconds of one look for the outcome of an instance; then the next begins: every wait has a
/// bound.
pub const OUTCOME_LOOK_MS: u64 = 60_000;

/// Milliseconds that an instance may take to end once `windlass run` has cancelled it.
pub const CANCELLING_MS: u64 = 10_000;

/// Milliseconds that a build which `windlass bench --against` runs may take to end once it is told
/// to: it closes its journal and removes it.
pub const BENCH_ENDING_MS: u64 = 20_000;

/// Connections of a watch that break off in a row before the command gives up.
pub const WATCH_RETRIES: u32 = 5;

/// Milliseconds of silence after which the connection of a watch counts as broken: the server sends
/// comments more often.
pub const WATCH_SILENCE_MS: u64 = 3 * API_KEEP_ALIVE_MS;

/// Milliseconds that threads may take to end when all is done.
pub const THREADS_END_MS: u64 = 1_000;

/// Levels that answers of the API put around data.
pub const ANSWER_LEVELS: u32 = 16;

/// Characters of a name in a chart: longer ones make boxes that fit no page.
pub const GRAPH_LABEL_CHARACTERS: usize = 60;

/// Bytes of a configuration file: each option once.
pub const CONFIGURATION_BYTES: usize = 1 << 20;

/// Milliseconds between two looks of a command that waits for a bulk job.
pub const BULK_LOOK_MS: u64 = 500;

/// Milliseconds that `windlass doctor` waits for somebody it looks for: who takes longer is not
/// well.
pub const DOCTOR_PATIENCE_MS: u64 = 5_000;

/// Bytes free on a disk below which `windlass doctor` warns: a day of a busy journal.
pub const DOCTOR_DISK_BYTES: u64 = 1 << 30;

/// Open files below which `windlass doctor` warns: each connection takes one, and there are some
/// thousand of them.
pub const DOCTOR_OPEN_FILES: u64 = 4_096;

/// Milliseconds that `windlass worker check` waits for what a worker has to do: more than the
/// longest pause between two tries of the same report.
pub const WORKER_CHECK_PATIENCE_MS: u64 = 30_000;

/// The lease that it tells workers, in milliseconds: short, so that what needs one does not take
/// long.
pub const WORKER_CHECK_LEASE_MS: u64 = 4_000;

/// What it keeps of what is wrong: a worker that goes on says the same again.
pub const WORKER_CHECK_FAULTS: usize = 100;

/// Bytes of a message of an editor: the largest definition, with every sign of it escaped.
pub const LSP_MESSAGE_BYTES: usize = 8 * super::DEFINITION_BYTES;

/// Bytes before such a message: two short headers are usual.
pub const LSP_HEADER_BYTES: usize = 8 << 10;

/// Texts that an editor may have open at once; others are not looked at.
pub const LSP_DOCUMENTS: usize = 1_000;

/// Milliseconds between two looks of `windlass top`, unless told otherwise: what people can follow.
pub const TOP_PACE_MS: u64 = 2_000;

/// Milliseconds that one look of `windlass top` on a terminal may take before it says that the
/// server does not answer: several requests, and a page that stands still.
pub const TOP_PATIENCE_MS: u64 = 5_000;

/// Instances that `windlass top` shows: what fits a screen.
pub const TOP_INSTANCES: usize = 15;

/// Boxes of a chart that is drawn: more fit no page, and take long to lay out.
pub const GRAPH_BOXES: usize = 2_000;

/// Profiles in one file: more than anybody has servers.
pub const PROFILES: usize = 1_000;

/// Characters that are shown of a header of a proxy's answer: enough to tell which one it is.
pub const PROXY_SHOWN_CHARACTERS: usize = 200;

/// Milliseconds that a program may take to print a token: somebody may have to unlock what keeps
/// it.
pub const TOKEN_COMMAND_MS: u64 = 60_000;

/// Milliseconds for which the server may be away meanwhile.
pub const BULK_AWAY_MS: u64 = 60_000;
