//! Every bound of Windlass, each with its reason.

mod api;
mod secrets;

pub use api::*;
pub use secrets::*;

/// Bytes of the texts whose compiled form a coordinator keeps at hand; others are compiled again
/// when needed. A schema in a text was seen to take 43 times its size.
pub const CATALOG_PLAN_TEXT_BYTES: usize = 8 << 20;

/// Bytes of a definition's text. The largest published example is under 10 KiB; a megabyte leaves
/// room for generated ones and keeps parsing well under a second.
pub const DEFINITION_BYTES: usize = 1 << 20;

/// Levels of nesting of a definition: deeper ones come from mistakes or attacks.
pub const DEFINITION_DEPTH: usize = 64;

/// Nodes of a definition after aliases are expanded, every 32 bytes of text counting as one more:
/// stops a small text that expands without end.
pub const DEFINITION_NODES: usize = 200_000;

/// Bytes of the name of a task, function or extension: names are repeated in the pointers of all
/// tasks inside, in keys and in headers.
pub const NAME_BYTES: usize = 128;

/// Errors, and warnings, reported about one definition: nobody reads more, and some mistakes repeat
/// on every line.
pub const DEFINITION_FINDINGS: usize = 100;

/// Steps of one evaluation of an expression: a few tens of milliseconds on one core.
pub const EVALUATION_STEPS: u64 = 1_000_000;

/// Bytes of values one evaluation may build, a multiple of the largest payload.
pub const EVALUATION_BYTES: u64 = 64 << 20;

/// Bytes of text of one expression.
pub const EXPRESSION_BYTES: usize = 64 << 10;

/// Milliseconds of the longest duration a workflow may name: a hundred years of 365 days. What is
/// longer is a mistake in a unit.
pub const LONGEST_DURATION_MS: u64 = 100 * 365 * 24 * 3_600_000;

/// The largest `multiplier` of an exponential backoff: from a millisecond, four retries take it
/// past any wait that is meant.
pub const BACKOFF_MULTIPLIER: f64 = 1_000.0;

/// Steps of one check of a value against a schema: 10 ms on one core, which a turn of a partition
/// and a thread of the API may be held up.
pub const SCHEMA_STEPS: u64 = 1_000_000;

/// Steps of one such check by a worker, which does it on a thread of its own: the largest payload,
/// full of numbers, fits.
pub const SCHEMA_WORKER_STEPS: u64 = 50_000_000;

/// Steps of one such check on a thread that others wait for: most inputs need a few hundred.
pub const SCHEMA_QUICK_STEPS: u64 = 50_000;

/// Bytes of the errors of one such check, all of which are collected before the first is told.
pub const SCHEMA_ERROR_BYTES: u64 = 8 << 20;

/// Schemas that one place of a value may meet, through references and applicators: each reference
/// counts for all it leads to, so a few lines can double it with each.
pub const SCHEMA_EXPANDED: u64 = 10_000;

/// Schemas inside each other at one place of a value, through references and applicators: the check
/// takes some of the stack for each.
pub const SCHEMA_DEPTH: u32 = 64;

/// Levels of nesting of a schema's text: compiling takes some of the stack for each.
pub const SCHEMA_NESTING: u32 = 128;

/// Schemas in the schemas of one definition, with those that references lead to: each takes about
/// a kilobyte compiled, and one with `$id` is compiled for every way that leads to it.
pub const SCHEMA_PARTS: usize = 50_000;

/// Characters of one pattern of a schema: reading one may take their square.
pub const SCHEMA_PATTERN_BYTES: usize = 4_096;

/// States of the automata of the patterns in the schemas of one definition, each some 30 bytes.
pub const SCHEMA_PATTERN_STATES: usize = 200_000;

/// Levels of nesting of any value: recursion over values stays far below the smallest stack.
pub const VALUE_DEPTH: u32 = 256;

/// Bytes of one payload (input, output, context, event): what a journal record and a bus message
/// can carry without starving others.
pub const PAYLOAD_BYTES: usize = 16 << 20;

/// Bytes one instance may hold (inputs, outputs and context of what is open; what several tasks
/// share counts once), unless its process has less to spare: four of the largest payloads.
pub const INSTANCE_BYTES: u64 = 4 * PAYLOAD_BYTES as u64;

/// Bytes an instance may hold however little memory there is to spare: what fills a process is
/// large.
pub const INSTANCE_FLOOR_BYTES: u64 = 256 << 10;

/// Bytes that waiting instances may keep in memory in one partition; beyond it those that are not
/// small are read from the journal when something happens to them.
pub const WAITING_BYTES: u64 = 4 * PAYLOAD_BYTES as u64;

/// Bytes of commits that wait for the disk at most, over all partitions; one that is larger goes
/// alone.
pub const COMMIT_QUEUE_BYTES: usize = 4 << 20;

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

/// Steps one listening task may take to tell whether an event is for it. A dearer filter does not
/// match: no event may be held up by one of many that listen.
pub const FILTER_STEPS: u64 = 50_000;

/// Steps that all who listen in one namespace, in one partition, may take together for one event;
/// past it each has [`FILTER_LEAST_STEPS`] left, which does for all but a few filters.
pub const EVENT_STEPS: u64 = 10_000_000;

/// Steps that are left for each listening task, however many others listen.
pub const FILTER_LEAST_STEPS: u64 = 1_000;

/// Bytes of a compiled pattern of a filter that is made in some tens of microseconds.
pub const PATTERN_BYTES_CHEAP: usize = 32 << 10;

/// Steps that all listening tasks of one instance may take together for one event, before each has
/// [`FILTER_LEAST_STEPS`] left: an instance is decided on as a whole.
pub const INSTANCE_FILTER_STEPS: u64 = 200_000;

/// What such a pattern costs, and what a larger one costs, in steps.
pub const PATTERN_COSTS: (u64, u64) = (500, 40_000);

/// Equalities of one filter by which it is found: more tell no more events apart.
pub const ROUTE_EQUALITIES: usize = 8;

/// Ways to write the values of one filter's equalities, each of which is an entry of the index: an
/// attribute `5` is a number or the text `5`.
pub const ROUTE_SPELLINGS: usize = 4;

/// Bytes of a text, and of the keys that lead to it, by which a filter is found: longer ones are
/// compared when an event has come.
pub const ROUTE_BYTES: usize = 1 << 10;

/// Entries of the index for one listening task; one with more is found by the types of its events.
pub const ROUTES: usize = 256;

/// What looking up one kind of filter costs, in steps.
pub const ROUTE_COST: u64 = 10;

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

/// Facts an instance may journal in all: a loop without end stops here with a clear error.
pub const INSTANCE_FACTS: u64 = 1_000_000;

/// Frames open at once in one instance, forks included.
pub const INSTANCE_FRAMES: usize = 100_000;

/// Events that wait for `foreach` of one `listen`: past it the listener is too slow for its events.
pub const LISTEN_QUEUE: usize = 10_000;

/// Levels of nested tasks while running, calls of functions included: bounds recursion.
pub const FRAME_DEPTH: usize = 256;

/// Instances that wait for one another, child for child: stops a workflow that runs itself without
/// end. Deeper than people nest, and a child that is not awaited begins anew.
pub const CHILD_DEPTH: u32 = 64;

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

/// Labels of an instance, as every one of them is an index entry.
pub const LABELS: usize = 32;

/// Bytes of a label's name or value.
pub const LABEL_BYTES: usize = 256;

/// Bytes of an idempotency key: room for several UUIDs.
pub const IDEMPOTENCY_KEY_BYTES: usize = 255;

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

/// Bytes of pages the journal keeps in memory by default: a process that only wrote, 300,000
/// instances of five steps, then took 101 MB.
pub const JOURNAL_CACHE_BYTES: u64 = 128 << 20;

/// Bytes free on the journal's disk below which nothing new is taken up: what is under way, and
/// what other programs write meanwhile, needs some.
pub const DISK_LOW_BYTES: u64 = 64 << 20;

/// Bytes free from which work goes on after that: more, so that it does not stop again at once.
pub const DISK_AGAIN_BYTES: u64 = 96 << 20;

/// Bytes past its end that the journal keeps for itself, filled up again at half: a disk that
/// others fill at one stroke must still take what is being committed at that moment, and what
/// operators do about it.
pub const DISK_RESERVED_BYTES: u64 = 32 << 20;

/// Bytes of that reserve which operators' requests leave: what was under way may still need them.
pub const DISK_RESERVE_LEFT_BYTES: u64 = 8 << 20;

/// Operators' requests that a partition takes at a time while the disk is full, each time waiting
/// until they are durable: a few hundred KiB, so that the reserve is never overdrawn.
pub const OPERATED_AT_ONCE: usize = 64;

/// Milliseconds between looks at the free space of the journal's disk.
pub const DISK_LOOK_MS: u64 = 20;

/// Bytes of each half of the journal's write-ahead log. One half gathers what is written while the
/// other one is moved to the store: under full load, a third of a second's. What waits in both must
/// fit, as the store writes it, into what is left of [`DISK_RESERVED_BYTES`].
pub const JOURNAL_WAL_HALF_BYTES: usize = 2 << 20;

/// Bytes of a group of commits beyond which it goes to the store at once: it would be written
/// twice, and what it gathers is enough for one write.
pub const JOURNAL_WAL_GROUP_BYTES: usize = 256 << 10;

/// Milliseconds by which what the journal's witness says may reach the disk later than the journal:
/// what a machine that loses its power may lose of the proof that nothing was lost.
pub const WITNESS_SYNC_MS: u64 = 50;

/// Records up to which a journal is added up before it counts as open, to see that none is missing:
/// some hundred milliseconds. A larger one is added up while work goes on already.
pub const VERIFY_AT_OPEN_RECORDS: u64 = 100_000;

/// Records that are added up at a time while commits wait: a millisecond or so.
pub const VERIFY_AT_ONCE: usize = 1_000;

/// Milliseconds a journal may take to open by default. One of 3 GB that was not closed took 7 s.
pub const JOURNAL_OPEN_MS: u64 = 300_000;

/// Bindings of variables and filters that definitions which call themselves with filters as
/// arguments may stack up: the list of them is dropped by recursion, on what is left of the stack.
pub const RECURSION_BINDINGS: usize = 4_000;

/// Bytes of machine stack one evaluation may use: half of what a thread of the runtime has.
pub const EVALUATION_STACK_BYTES: usize = 1 << 20;

/// Steps one jq path may take beyond the data it walks over: dropping a path recurses.
pub const PATH_LENGTH: u32 = 1_000;

/// Bytes of a compiled regular expression, and of its cache: room for several Unicode classes.
pub const REGEX_BYTES: usize = 512 << 10;

/// Bytes of a text that a pattern with look-around or back-references is searched for in: its time
/// grows with the square of that.
pub const BACKTRACKING_TEXT_BYTES: usize = 16 << 10;

/// Times one search for such a pattern may go back: once for each byte of the text, and besides.
pub const BACKTRACKS: usize = 20_000;

/// Levels of brackets in an expression: far beyond what people write, far below the stack's end.
pub const EXPRESSION_DEPTH: usize = 64;

/// Operators chained or nested in one expression: walking its syntax tree recurses that deeply.
pub const EXPRESSION_LEVELS: usize = 400;

/// Milliseconds a process may run where the task sets no timeout: long batch work fits, a forgotten
/// process does not stay for ever.
pub const PROCESS_TIMEOUT_MS: u64 = 3_600_000;

/// Milliseconds between asking a process to end and killing it.
pub const PROCESS_GRACE_MS: u64 = 5_000;

/// Bytes of a response body or of standard error that an error's detail shows.
pub const EXCERPT_BYTES: usize = 512;

/// Milliseconds one read of a secret may take, so that a store that hangs becomes an error.
pub const SECRET_TIMEOUT_MS: u64 = 10_000;

/// Bytes of the text of one secret or of a file of secrets: certificates and key files fit.
pub const SECRET_BYTES: usize = 1 << 20;

/// Access tokens a worker keeps: one for each policy and set of credentials in use.
pub const CACHED_TOKENS: usize = 1_000;

/// Milliseconds before its expiry from which an access token is not used any more.
pub const TOKEN_SKEW_MS: u64 = 30_000;

/// Bytes of a document (schema, OpenAPI description, script) fetched from elsewhere.
pub const RESOURCE_BYTES: usize = 4 << 20;

/// Bytes of a description of an interface (OpenAPI): GitHub's has 13 MB. It is not parsed whole.
pub const OPENAPI_BYTES: usize = 64 << 20;

/// Documents that one description of an interface may refer to, as far as a call needs them.
pub const OPENAPI_DOCUMENTS: usize = 64;

/// Bytes of fetched documents a worker keeps, all together.
pub const CACHED_RESOURCE_BYTES: usize = 256 << 20;

/// Fetched documents a worker keeps.
pub const CACHED_RESOURCES: usize = 64;

/// Milliseconds a fetched document is used before it is asked for again.
pub const RESOURCE_FRESH_MS: u64 = 60_000;

/// Idle connections kept to one host: what a busy worker reuses, without hoarding descriptors.
pub const IDLE_CONNECTIONS: usize = 64;

/// Milliseconds a connection to one host may be idle before it is closed: less than the 5 s after
/// which common servers (uvicorn, Node.js) close theirs, so that few requests meet a server that
/// hangs up.
pub const IDLE_CONNECTION_MS: u64 = 4_000;

/// Connections that are remembered because they have carried an answer: as many as a busy worker
/// has open within [`IDLE_CONNECTION_MS`].
pub const KNOWN_CONNECTIONS: usize = 10_000;

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

/// Milliseconds without one after which they are forgotten.
pub const TAKEOVER_MEMORY_MS: u64 = 60_000;

/// The highest priority of an instance; the lowest is 0.
pub const HIGHEST_PRIORITY: u8 = 9;

/// The priority of an instance whose start names none: the middle, so that there is room on both
/// sides.
pub const DEFAULT_PRIORITY: u8 = 5;

/// Bytes of the name of a pool of workers: it stands in keys, metrics and lists.
pub const POOL_NAME_BYTES: usize = 64;

/// Bytes the stream of events keeps, unless an operator changes it: a quarter of a million events
/// of a kilobyte. JetStream sets the space of all streams aside at once, so this has to fit small
/// servers.
pub const EVENTS_BYTES: i64 = 256 << 20;

/// Milliseconds the stream of events keeps one: as long as a coordinator remembers what it
/// consumed, so that a consumer made anew may go through all of it and nothing is consumed twice.
pub const EVENTS_AGE_MS: u64 = 24 * 3_600_000;

/// Bytes the stream of lifecycle events keeps. They are a copy: the journal has the history.
pub const LIFECYCLE_BYTES: i64 = 128 << 20;

/// Milliseconds the stream of lifecycle events keeps one: a consumer may be away for a weekend.
pub const LIFECYCLE_AGE_MS: u64 = 3 * 24 * 3_600_000;

/// Bytes the audit stream keeps.
pub const AUDIT_BYTES: i64 = 64 << 20;

/// Milliseconds the audit stream keeps an event: time enough for whoever archives them.
pub const AUDIT_AGE_MS: u64 = 30 * 24 * 3_600_000;

/// Bytes of one message of a stream: the largest payload, and room for its envelope.
pub const EVENT_MESSAGE_BYTES: i32 = 17 << 20;

/// Milliseconds within which a stream drops what was published twice. Far longer than one try of a
/// publication takes; the index of ids costs the server memory.
pub const DUPLICATE_WINDOW_MS: u64 = 120_000;

/// Replicas of a stream, at most: what JetStream allows.
pub const STREAM_REPLICAS: u8 = 5;

/// Events from the bus that are decided on at once, and asked for at once: enough to share one
/// write of the journal.
pub const EVENT_INTAKE: usize = 256;

/// Bytes of events asked for at once; one of the largest fits.
pub const EVENT_INTAKE_BYTES: usize = 32 << 20;

/// Milliseconds after which an event is offered again that came while there was too much work.
pub const EVENT_AGAIN_MS: u64 = 1_000;

/// Milliseconds after which the bus sends an event again that was not acknowledged: longer than a
/// decision on it may take.
pub const EVENT_ACK_MS: u64 = 60_000;

/// Emitted events that wait for their turn to be published; of those beyond only the place in the
/// journal is remembered.
pub const EMIT_QUEUE: usize = 10_000;

/// Emitted events published and not yet acknowledged.
pub const EMIT_WINDOW: usize = 256;

/// Bytes of emitted events published and not yet acknowledged; a larger one goes alone.
pub const EMIT_WINDOW_BYTES: usize = 32 << 20;

/// Emitted events beyond [`EMIT_QUEUE`] from which starts are refused: the bus is away for long,
/// and every instance that waits for it stays in memory.
pub const EMIT_DEFERRED: usize = 100_000;

/// Lifecycle events that wait to be published; those beyond are dropped and counted.
pub const LIFECYCLE_QUEUE: usize = 50_000;

/// Lifecycle events published before JetStream is asked whether it has them.
pub const LIFECYCLE_BATCH: usize = 512;

/// Bytes of an output that a lifecycle event carries; a larger one is only referred to.
/// Intermediaries need not forward CloudEvents of more than 64 KiB.
pub const LIFECYCLE_OUTPUT_BYTES: u64 = 48 << 10;

/// Milliseconds between two looks at the streams.
pub const STREAMS_CHECK_MS: u64 = 10_000;
