//! Bounds of events over the bus.

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

/// Milliseconds a consumed event is remembered, so that a repeat of it is dropped: a day, longer
/// than any sender retries.
pub const EVENT_REMEMBERED_MS: u64 = 24 * 3_600_000;

/// Bytes of what is wrong with an event that a line of the log shows: some of it may be the
/// sender's.
pub const EVENT_PROBLEM_BYTES: usize = 300;

/// Emitted events beyond [`EMIT_QUEUE`] that are asked for again at once.
pub const EMIT_AGAIN: usize = 256;

/// Milliseconds an event is kept that nobody waits for yet, unless an operator or a definition says
/// otherwise: longer than the start of what waits for it takes, with a restart in between.
pub const EARLY_TTL_MS: u64 = 10 * 60_000;

/// Milliseconds for which a definition or an operator may ask at most: a week, for what people do.
pub const EARLY_TTL_MOST_MS: u64 = 7 * 24 * 3_600_000;

/// Events of a namespace that are kept: what nobody ever asks for must not pile
/// up.
pub const EARLY_EVENTS: usize = 10_000;

/// Bytes that the events of a namespace take which are kept: they are in memory.
pub const EARLY_BYTES: u64 = 16 << 20;

/// Bytes that those of all namespaces take together.
pub const EARLY_TOTAL_BYTES: u64 = 64 << 20;

/// Bytes that each namespace has, however much others take.
pub const EARLY_LEAST_BYTES: u64 = 256 << 10;

/// Bytes that one of them takes beside what is in it.
pub const EARLY_OVERHEAD_BYTES: u64 = 512;

/// Milliseconds an event is shown that was kept in vain: until tomorrow's look at it.
pub const EARLY_DEAD_MS: u64 = 24 * 3_600_000;

/// Events of a namespace that are shown of those kept in vain, and of those that were not kept for
/// want of room.
pub const EARLY_DEAD: usize = 1_000;

/// Bytes of those of a namespace that were kept in vain and are still shown: they take no room from
/// what lives.
pub const EARLY_DEAD_BYTES: u64 = 1 << 20;

/// Bytes of those of all namespaces.
pub const EARLY_DEAD_TOTAL_BYTES: u64 = 16 << 20;

/// Single events that an instance has yet to look at; past that it goes through all that follow the
/// first of them.
pub const EARLY_ONES: usize = 64;

/// Kinds of places in events by which those of a namespace are found; filters that look elsewhere
/// go through all of their type.
pub const EARLY_GROUPS: usize = 64;

/// Events that wait for `foreach` of a `listen` past which it gets no more of those that are kept:
/// they can wait where they are.
pub const EARLY_QUEUE: usize = 100;

/// Milliseconds that it is remembered longer that events were handed out of what was kept than of
/// which: it is written once in that time.
pub const EARLY_HANDED_OUT_MS: u64 = 3_600_000;

/// Events that are read from the journal at once when it opens.
pub const EARLY_PAGE: usize = 256;

/// Characters of source, type and id that lists of events show.
pub const EARLY_PART_CHARACTERS: usize = 200;

/// Bytes of one delivery of a webhook: services tell what happened, not all there is.
pub const WEBHOOK_BODY_BYTES: usize = 1 << 20;

/// Deliveries of webhooks that are handled at once: nobody was asked who they are yet.
pub const WEBHOOK_REQUESTS: usize = 32;

/// Deliveries of one endpoint that are taken within [`WEBHOOK_RATE_MS`]; a service may send
/// the others again.
pub const WEBHOOK_RATE: u64 = 200;

/// Milliseconds for which they are counted: a second, as people count them.
pub const WEBHOOK_RATE_MS: u64 = 1_000;

/// Bytes of the name of an endpoint, and of the file with its secret.
pub const WEBHOOK_NAME_BYTES: usize = 64;

/// Endpoints that are kept.
pub const WEBHOOKS: usize = 1_000;

/// Endpoints of one namespace: none takes those of all.
pub const WEBHOOKS_OF_NAMESPACE: usize = 100;

/// Milliseconds between two words in the log of deliveries that are refused: strangers send them.
pub const WEBHOOK_LOG_MS: u64 = 1_000;

/// Bytes of a header with signatures, and of an id.
pub const WEBHOOK_SIGNATURE_BYTES: usize = 4 << 10;

/// Signatures of one delivery: services send several while they change their secret.
pub const WEBHOOK_SIGNATURES: usize = 16;

/// Seconds between a delivery's signing and its coming, past which it may be somebody's copy.
pub const WEBHOOK_TOLERANCE_S: u64 = 300;

/// Steps that each expression of an endpoint may take for one delivery: some milliseconds.
pub const WEBHOOK_STEPS: u64 = 200_000;

/// Bytes of an expression, a type or a source of an endpoint.
pub const WEBHOOK_TEXT_BYTES: usize = 4 << 10;

/// Bytes that are read of a file with secrets of an endpoint.
pub const WEBHOOK_SECRET_BYTES: usize = 8 << 10;

/// Secrets of one endpoint: the old one and the new one, and some.
pub const WEBHOOK_SECRETS: usize = 8;

/// Bytes of a secret at least: fewer are guessed.
pub const WEBHOOK_SECRET_LEAST: usize = 16;
