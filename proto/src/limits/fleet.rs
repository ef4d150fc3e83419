//! Bounds of coordinator and workers together: messages, leases, losses.

use super::PAYLOAD_BYTES;

/// Bytes of one message between coordinator and worker: an assignment carries an input and the
/// variables its expressions name, each of them one payload at most.
pub const MESSAGE_BYTES: usize = 4 * PAYLOAD_BYTES;

/// Bytes of one packed report: what a payload of the largest size takes, sealed or not, and an
/// error's text. A worker reports an error in place of a larger one, which no message would hold.
pub const REPORT_BYTES: usize = 2 * PAYLOAD_BYTES;

/// Bytes of one frame of such a message on the bus, less where the server allows less: large enough
/// to be few, small enough that others get their turn between them.
pub const FRAME_BYTES: usize = 512 << 10;

/// Bytes of inputs sent to one worker and not yet reported on, or of its reports not yet answered;
/// one that is larger goes alone. A bus keeps 64 MiB for a slow reader, then cuts it off.
pub const OUTSTANDING_BYTES: u64 = 32 << 20;

/// Assignments one worker may take at once: beyond it, one list of what it holds grows large.
pub const WORKER_CONCURRENCY: u32 = 10_000;

/// Calls that a worker over HTTP may take at once: each turn names all that it holds.
pub const HTTP_WORKER_CONCURRENCY: u32 = 256;

/// Deliveries in each list of one turn of a worker over HTTP, and of what it is told: beside those
/// that it works on there are those that it has reported and not seen settled.
pub const HTTP_WORKER_DELIVERIES: usize = 4 * HTTP_WORKER_CONCURRENCY as usize;

/// Sessions over HTTP of one principal: a token that is used in a loop leaves room for others.
pub const HTTP_WORKERS_OF_ONE: usize = 1_000;

/// Registrations over HTTP in a second: they take nothing from those of workers on the bus.
pub const HTTP_REGISTRATIONS_A_SECOND: u32 = 200;

/// Bytes of the name of a function that a worker over HTTP offers: each session keeps all of them.
pub const HTTP_WORKER_FUNCTION_BYTES: usize = 256;

/// Workers registered with one coordinator.
pub const WORKERS: usize = 10_000;

/// Milliseconds of silence after which a worker is taken for dead, unless configured.
pub const LEASE_MS: u64 = 6_000;

/// Beats of a worker within one lease: one may be lost, one late.
pub const BEATS_PER_LEASE: u64 = 3;

/// Parts of a lease a coordinator looks around in at least. When it did not for longer, it was
/// itself away, as a stopped process or a sleeping machine is, and what it did not hear says
/// nothing.
pub const LOOKS_PER_LEASE: u64 = 3;

/// How often in a row the end of a silence of most workers gives all of them another lease. Past it
/// one worker that beats late would keep those that have died alive.
pub const GRACE_PERIODS: u32 = 3;

/// Leases after which what the only worker held is lost though nobody has been heard since it was
/// given up: long enough that a connection that stands still has been found out, short enough that
/// a task that takes down all workers one by one is given up though none is left.
pub const LONELY_LEASES: u64 = 3;

/// Milliseconds one request over the bus may take.
pub const BUS_TIMEOUT_MS: u64 = 2_000;

/// Milliseconds after which a report that was not answered is sent again.
pub const REPORT_AGAIN_MS: u64 = 2_000;

/// Assignments of one namespace that may wait for a worker before starts in it are refused, unless
/// configured: some hundred megabytes of instances in memory.
pub const BACKLOG: usize = 50_000;

/// Definitions a worker keeps compiled.
pub const CACHED_PLANS: usize = 1_000;

/// Milliseconds a worker that is told to stop may take to finish what it works on, unless
/// configured.
pub const DRAIN_MS: u64 = 30_000;

/// Workers lost over one visit of a task before it is suspected of being the reason, and is given
/// to workers that have few other suspects, and in the end none.
pub const SUSPECT_LOSSES: u32 = 2;

/// Workers that may be lost while they hold one visit of a task, unless configured. Past it the
/// task itself is the likely cause, and sending it again would take down one worker after another;
/// fewer would blame the task for a bad night of the machines.
pub const DELIVERIES_LOST: u32 = 5;

/// Milliseconds before a task is sent again that was lost a second time without anybody's death;
/// each further pause is twice as long. The first time it is sent again at once.
pub const REDELIVERY_BACKOFF_MS: u64 = 250;

/// The longest such pause, in milliseconds: a loop of hours is some hundred entries of the journal,
/// and who repairs the worker does not wait long.
pub const REDELIVERY_BACKOFF_MOST_MS: u64 = 30_000;

/// Milliseconds after which such a loss is forgotten: several of the longest pauses.
pub const REDELIVERY_MEMORY_MS: u64 = 600_000;

/// Times that workers may hand back one visit of a task in a row before it fails: with the pauses a
/// third of an hour, in which workers can be replaced, after which none will ever take it.
pub const HANDED_BACK: u32 = 50;

/// Registrations under an identity that has a session, let in without a question: a connection that
/// breaks three times in a minute is nobody else's.
pub const TAKEOVERS: u32 = 3;

/// The same, for a lease after the coordinator or the bus was away: all that a worker asked
/// meanwhile lies there.
pub const TAKEOVERS_WHEN_BACK: u32 = 16;

/// Milliseconds without one after which they are forgotten.
pub const TAKEOVER_MEMORY_MS: u64 = 60_000;

/// Bytes of the name of a pool of workers: it stands in keys, metrics and lists.
pub const POOL_NAME_BYTES: usize = 64;

/// Assignments performed at once where coordinator and worker are one process: beyond this they
/// wait their turn, so that a wide fork does not open thousands of connections or processes
/// together.
pub const EMBEDDED_CONCURRENCY: usize = 512;

/// Milliseconds that the start of a coordinator waits for NATS before it goes on without.
pub const BUS_CONNECT_MS: u64 = 2_000;

/// Workers with room that are compared for one assignment: the one with most room of a few spreads
/// work nearly as well as the one with most of all.
pub const WORKERS_COMPARED: usize = 8;

/// Registrations looked at in a second: each costs a Diffie-Hellman exchange, and anybody on the
/// bus can ask for one.
pub const REGISTRATIONS_A_SECOND: u32 = 500;

/// Bytes of the identity or the version of a worker.
pub const WORKER_NAME_BYTES: usize = 128;

/// Capabilities of one worker.
pub const WORKER_CAPABILITIES: usize = 1_000;

/// Bytes of what a worker says of how it isolates programs, for people.
pub const WORKER_ISOLATION_BYTES: usize = 512;

/// Commands and frames that a coordinator deals with before what follows from them is said: enough
/// to share messages, few enough that nobody waits long.
pub const FLEET_ROUND: usize = 512;

/// Frames of sessions that are not known, answered in a second.
pub const UNKNOWN_SESSIONS_A_SECOND: u32 = 200;

/// Complaints about frames and registrations logged in a second.
pub const FLEET_COMPLAINTS_A_SECOND: u32 = 5;

/// Milliseconds between two complaints that two workers share an identity.
pub const CONTEST_COMPLAINT_MS: u64 = 10_000;

/// Milliseconds between two complaints that a clock is off.
pub const SKEW_COMPLAINT_MS: u64 = 600_000;

/// Bytes of assignments or reports that one message carries at most, unless a single one is larger:
/// others get their turn between two messages.
pub const MESSAGE_WEIGHT: u64 = 4 << 20;

/// Frames and ended tasks that a worker deals with before what follows from them is said.
pub const WORKER_ROUND: usize = 256;

/// Milliseconds that a worker which leaves waits for answers to its last reports.
pub const LAST_WORDS_MS: u64 = 5_000;

/// Milliseconds of the longest pause between two registrations of a worker that nobody answers.
pub const JOIN_PAUSE_MOST_MS: u64 = 2_000;

/// Milliseconds of the longest pause between two sendings of a report that nobody answers.
pub const REPORT_PAUSE_MOST_MS: u64 = 8_000;

/// Characters of a text of another worker that an error shows.
pub const CLAIM_SHOWN_CHARACTERS: usize = 200;
