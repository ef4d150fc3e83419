//! Bounds of instances and of the partitions that own them: size, turns, quotas, timers.

use super::PAYLOAD_BYTES;

/// Bytes one instance may hold (inputs, outputs and context of what is open; what several tasks
/// share counts once), unless its process has less to spare: four of the largest payloads.
pub const INSTANCE_BYTES: u64 = 4 * PAYLOAD_BYTES as u64;

/// Bytes an instance may hold however little memory there is to spare: what fills a process is
/// large.
pub const INSTANCE_FLOOR_BYTES: u64 = 256 << 10;

/// Bytes that waiting instances may keep in memory in one partition; beyond it those that are not
/// small are read from the journal when something happens to them.
pub const WAITING_BYTES: u64 = 4 * PAYLOAD_BYTES as u64;

/// Waiting instances one partition keeps in memory; the others are loaded when something happens
/// to them. A waiting instance takes a few KiB.
pub const WAITING_INSTANCES: usize = 20_000;

/// Bytes below which a waiting instance stays for its number alone.
pub const WAITING_SMALL_BYTES: u64 = 8 << 10;

/// Facts after which a snapshot is taken, so that loading never folds much more than this, unless
/// the snapshot would be larger than they are: a state that is large and hardly changes is not
/// written again and again.
pub const SNAPSHOT_FACTS: u64 = 1_000;

/// Bytes of facts after which a snapshot is taken, for the same reason and with the same exception.
pub const SNAPSHOT_BEHIND_BYTES: u64 = 2 * PAYLOAD_BYTES as u64;

/// Bytes of a snapshot, in which what is shared stands as often as it is held; of a larger state
/// none is taken, its facts are fewer.
pub const SNAPSHOT_BYTES: u64 = 2 * INSTANCE_BYTES;

/// Bytes of a snapshot that take so long to encode and to write that others feel it: of a larger
/// state one is taken half as often.
pub const SNAPSHOT_RARE_BYTES: u64 = 4 << 20;

/// Bytes of an output that a head still carries; a larger one is read from the facts.
pub const HEAD_OUTPUT_BYTES: u64 = 64 << 10;

/// Times in a row that the process may end while it works on one instance before that is set aside:
/// two may be chance.
pub const QUARANTINE_DEATHS: u32 = 3;

/// Bytes of memory that instances may take at least, whatever a machine has: fewer would not let
/// one of the largest through.
pub const MEMORY_LEAST: u64 = 2 * INSTANCE_BYTES;

/// Bytes of values in the facts of one turn of an instance before others get theirs, and in what
/// one turn of a partition reads or writes: some ten milliseconds of a slow disk, for which all
/// that was decided meanwhile waits. The step that goes beyond it is still taken, with a payload as
/// large as one may be.
pub const TURN_BYTES: u64 = 1 << 20;

/// Messages one turn takes at most: enough to share one fdatasync among many, few enough that
/// nobody waits long for it.
pub const TURN_MESSAGES: usize = 256;

/// Steps of the flow one instance may take in one turn before others get theirs.
pub const TURN_STEPS: u32 = 1_000;

/// Steps of expressions after which an instance leaves the rest of its turn to the next one: some
/// milliseconds. The evaluation in progress ends first.
pub const TURN_EVALUATION_STEPS: u64 = 100_000;

/// What the messages of one turn of a partition may cost together, in steps of expressions, before
/// what is decided is written and others get their turn.
pub const TURN_COST: u64 = 100_000;

/// What deciding on one message costs beside its expressions, in steps.
pub const MESSAGE_COST: u64 = 100;

/// What reading an instance from the journal costs, in steps.
pub const LOAD_COST: u64 = 1_000;

/// Instances that may be open at once of those that one root has started, directly or through
/// others, unless configured: a hundred megabytes of them.
pub const ROOT_STARTS: usize = 10_000;

/// Instances that may be open at once in one namespace of those that other instances have started,
/// unless configured.
pub const NAMESPACE_STARTS: usize = 50_000;

/// Milliseconds a child waits for room under these quotas before its parent gets an error: a burst
/// passes, a workflow that starts itself without end is told.
pub const PARKED_MS: u64 = 60_000;

/// Children that may wait so in one partition; past it their parents get the error at once.
pub const PARKED: usize = 100_000;

/// Workflows, namespaces and roots that may be suspended at once: each start looks at them.
pub const SUSPENSIONS: usize = 10_000;

/// Cancelled roots that are remembered for starts that were on their way, which takes seconds.
pub const CANCELLED_ROOTS: usize = 10_000;

/// Milliseconds between two looks whether children that wait can start.
pub const PARKED_AGAIN_MS: u64 = 50;

/// Milliseconds after which an instance that has faulted asks once more for what its fault starts:
/// there may be room by then, and nobody waits for the answer.
pub const HANDLER_AGAIN_MS: u64 = 5_000;

/// Those of one partition that ask so in one turn at most: each is read from the journal.
pub const HANDLERS_AT_ONCE: usize = 64;

/// Those that are looked at for it: of many that wait for one suspended workflow, others must not
/// wait long.
pub const HANDLERS_LOOKED_AT: usize = 1_000;

/// Milliseconds between two such turns.
pub const HANDLERS_PAUSE_MS: u64 = 250;

/// Instances above one, awaited or not, as a workflow may go on as a new instance of itself: as
/// many as a history may have facts.
pub const GENERATIONS: u32 = 1_000_000;

/// Messages of one namespace that may wait in one partition before starts in it are refused; events
/// alike.
pub const INBOX_DEPTH: usize = 20_000;

/// Messages of all namespaces that may wait in one partition before all starts are refused: some
/// hundred megabytes.
pub const INBOX_TOTAL: usize = 10 * INBOX_DEPTH;

/// Messages that a partition takes in at once, to put them in line by namespace.
pub const INBOX_TAKEN: usize = 20_000;

/// Instances that one look for what a root has started cancels before it goes on.
pub const CANCEL_PAGE: usize = 500;

/// Bytes of values in the facts that an instance may begin with which goes on for another one: they
/// are in memory until they are written, which is all at once.
pub const REPAIR_BYTES: u64 = 64 << 20;

/// Instances that may go on for one: each is noted in it.
pub const SUCCESSORS: usize = 100;

/// Steps of expressions that following a history by another definition may take, and what else it
/// does counted as such: some seconds, for which one of [`super::INSTANCE_READS`] is taken.
pub const RETRACE_STEPS: u64 = 200_000_000;

/// Steps that each fact counts for then, and each visit of a state that has to be copied.
pub const RETRACE_ITEM_STEPS: u64 = 100;

/// Visits that a reset lists as kept, or as done again.
pub const RESET_VISITS: usize = 1_000;

/// Bytes of the place that an operator resets an instance to: the trail has it.
pub const RESET_PLACE_BYTES: usize = 4 << 10;

/// Facts an instance may journal in all: a loop without end stops here with a clear error.
pub const INSTANCE_FACTS: u64 = 1_000_000;

/// Frames open at once in one instance, forks included.
pub const INSTANCE_FRAMES: usize = 100_000;

/// Levels of nested tasks while running, calls of functions included: bounds recursion.
pub const FRAME_DEPTH: usize = 256;

/// Instances that wait for one another, child for child: stops a workflow that runs itself without
/// end. Deeper than people nest, and a child that is not awaited begins anew.
pub const CHILD_DEPTH: u32 = 64;

/// Labels of an instance, as every one of them is an index entry.
pub const LABELS: usize = 32;

/// Bytes of a label's name or value.
pub const LABEL_BYTES: usize = 256;

/// Bytes of an idempotency key: room for several UUIDs.
pub const IDEMPOTENCY_KEY_BYTES: usize = 255;

/// The highest priority of an instance; the lowest is 0.
pub const HIGHEST_PRIORITY: u8 = 9;

/// The priority of an instance whose start names none: the middle, so that there is room on both
/// sides.
pub const DEFAULT_PRIORITY: u8 = 5;

/// The part of the memory of a process, one in so many, that instances take unless configured: what
/// they hold is also written, sent and worked on.
pub const MEMORY_SHARE: u64 = 4;

/// Bytes that a machine of which nothing is known is taken to have.
pub const MEMORY_UNKNOWN_BYTES: u64 = 2 << 30;

/// Partitions of a new journal where coordinator and worker are one process: it has little use for
/// more, and each more makes the groups that share an fdatasync smaller.
pub const NEW_PARTITIONS: u16 = 2;

/// Milliseconds that an answer from a partition may take. It needs a turn and a commit; a disk that
/// takes longer than this is as good as gone.
pub const PARTITION_ANSWER_MS: u64 = 30_000;

/// Bytes from which on it is worth knowing whether an instance holds a value already.
pub const SHARED_BYTES: u64 = 512;

/// Bytes from which on it is worth comparing values of an instance that was read back, to share
/// equal ones again.
pub const SHARED_LARGE_BYTES: u64 = 64 << 10;

/// Different values that such a value is compared with at most.
pub const SHARED_COMPARED: usize = 8;

/// Impossible facts of one instance that are kept: the first ones say what went wrong, those after
/// them follow from it.
pub const MISFITS_KEPT: usize = 4;

/// Impossible facts that are told of in the log, of each kind; then one in as many. Each is a
/// defect, but an instance that meets one may go on to meet it without end.
pub const MISFITS_TOLD: u64 = 100;

/// The part of the time that passes, one in so many, that may be used to draw near to the time of
/// day: timers are early or late by a hundredth at most, and an hour is made up for in four days.
pub const CLOCK_SLEW: u32 = 100;

/// Instances that the process was working on when it ended that are each worth a line of the log
/// when it starts again.
pub const QUARANTINE_NAMED: usize = 8;

/// Bytes that counts of memory are rounded up to, so that most changes of an instance change no
/// shared counter.
pub const MEMORY_GRAIN_BYTES: u64 = 4 << 10;

/// Bytes from which on what waits is counted as memory: less is not worth a shared counter.
pub const MEMORY_COUNTED_BYTES: u64 = 16 << 10;

/// Children that wait and are admitted in one turn at most, of each namespace and root.
pub const PARKED_AT_ONCE: usize = 64;

/// Timers that one turn fires at most, for the reason of [`TURN_MESSAGES`].
pub const TURN_TIMERS: usize = 256;

/// Milliseconds ahead for which timers are held in memory; later ones are in the journal only.
pub const TIMER_HORIZON_MS: u64 = 60_000;

/// Milliseconds after which a partition looks again whether the batch that a timer waits for is
/// durable.
pub const TIMER_AGAIN_MS: u64 = 10;

/// Timers read from the journal at once.
pub const TIMER_PAGE: usize = 4_096;

/// Milliseconds a partition waits for a message at most, while something of it is on its way to the
/// disk: what has ended leaves memory then.
pub const UNSETTLED_WAIT_MS: u64 = 500;

/// The same, while nothing is. Time goes on while a machine sleeps, and a wait does not: a timer
/// that came due meanwhile is no later than this.
pub const SETTLED_WAIT_MS: u64 = 5_000;

/// Instances read from the journal at once when a partition recovers.
pub const RECOVERY_PAGE: usize = 128;

/// Bulk jobs under way at the same time: each gives its orders beside the others.
pub const BULK_JOBS: usize = 16;

/// Bulk jobs that have ended and are kept, with what came of each instance.
pub const BULK_JOBS_KEPT: usize = 100;

/// Instances a second that a bulk job deals with unless it is told: what else goes on does not
/// notice it.
pub const BULK_RATE: u32 = 500;

/// The most that it can be told to.
pub const BULK_RATE_MOST: u32 = 10_000;

/// Instances that a bulk job deals with before it keeps how far it came: what a crash makes it
/// deal with once more.
pub const BULK_PAGE: usize = 100;

/// Orders of a bulk job that are given at the same time.
pub const BULK_AT_ONCE: usize = 16;

/// Milliseconds after which a bulk job is tried again that could not go on.
pub const BULK_AGAIN_MS: u64 = 1_000;

/// Instances that a bulk job gathers before it keeps them.
pub const BULK_ID_PAGE: usize = 1_000;

/// Instances of one bulk job, to the page: what is over is for another one. Their ids take 20 MB of
/// the journal.
pub const BULK_INSTANCES: u64 = 1_000_000;

/// How often an order of a bulk job is given that was refused for want of room.
pub const BULK_ATTEMPTS: u32 = 30;

/// Most that `limit.concurrency` may be: who holds is in memory, and more limits nothing.
pub const LIMIT_CONCURRENCY: u32 = 100_000;

/// Most that may begin in the time of a `limit.rate`: each is remembered for that time.
pub const LIMIT_RATE: u32 = 10_000;

/// Bytes of `limit.name`.
pub const LIMIT_NAME_BYTES: usize = 64;

/// Bytes of the value of `limit.key`: the name of a tenant or an account, not a document.
pub const LIMIT_KEY_BYTES: usize = 256;

/// Who waits in one line, at most: past it, a limit is full for `wait` too.
pub const LIMIT_WAITING: usize = 100_000;

/// Rows of limits that are read at once when a partition opens.
pub const LIMIT_PAGE: usize = 1_000;

/// Shares of limits of which a view says the place in line: each is a question to a partition.
pub const VIEW_LIMITS: usize = 16;
