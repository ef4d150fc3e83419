//! Bounds of telemetry: what waits to be exported, and how long an export may take.

/// Bytes of a `tracestate` that are passed on: what W3C Trace Context asks for at least.
pub const TRACESTATE_BYTES: usize = 512;

/// Members of a `tracestate` at most, as the standard has it.
pub const TRACESTATE_MEMBERS: usize = 32;

/// Bytes of a key, and of a value, in a `tracestate` at most, as the standard has it.
pub const TRACESTATE_PART_BYTES: usize = 256;

/// Bytes of a member of a `tracestate` from which it is the first to go where there is no room for
/// all, as the standard has it.
pub const TRACESTATE_LONG_MEMBER_BYTES: usize = 128;

/// The largest queue of spans or log records that may be asked for: some gigabytes.
pub const TELEMETRY_QUEUE_MOST: usize = 4_000_000;

/// The longest time in milliseconds that variables of telemetry may ask for: a day.
pub const TELEMETRY_TIME_MOST_MS: u64 = 86_400_000;

/// Spans that wait for their export unless `OTEL_BSP_MAX_QUEUE_SIZE` says otherwise; more are
/// dropped and counted. A few seconds of a busy coordinator, at about a kibibyte each.
pub const SPANS_QUEUED: usize = 16_384;

/// Log records that wait for their export unless `OTEL_BLRP_MAX_QUEUE_SIZE` says otherwise; more
/// are dropped and counted.
pub const LOGS_QUEUED: usize = 16_384;

/// Spans or log records of one export unless `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` or
/// `OTEL_BLRP_MAX_EXPORT_BATCH_SIZE` says otherwise: the standard's own number. Mostly half a
/// megabyte, and seldom more than the four that collectors take over gRPC.
pub const EXPORT_BATCH: usize = 512;

/// Milliseconds between two exports of spans and log records where fewer wait than one export
/// takes, unless `OTEL_BSP_SCHEDULE_DELAY` or `OTEL_BLRP_SCHEDULE_DELAY` says otherwise.
pub const EXPORT_DELAY_MS: u64 = 2_000;

/// Milliseconds of one export, with its repetitions, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says
/// otherwise.
pub const EXPORT_TIMEOUT_MS: u64 = 10_000;

/// Milliseconds between two exports of metrics unless `OTEL_METRIC_EXPORT_INTERVAL` says otherwise.
pub const METRIC_EXPORT_INTERVAL_MS: u64 = 60_000;

/// Milliseconds that a process which ends waits for its last exports.
pub const TELEMETRY_SHUTDOWN_MS: u64 = 5_000;

/// Milliseconds before an export over gRPC that failed is made again, doubled each time: half of
/// what the SDK's exporters take at first, as nothing is added by chance.
pub const EXPORT_RETRY_MS: u64 = 500;

/// Bytes of a PEM file with certificates or a key for exports: all authorities of a system together
/// take a quarter of that.
pub const EXPORT_PEM_BYTES: usize = 1 << 20;

/// Bytes of a collector's answer that are read: it says no more than how many items it refused, and
/// why.
pub const EXPORT_ANSWER_BYTES: usize = 65_536;

/// Visits of an instance that get a span: the first ones. What comes after them is counted by the
/// span of the visit around it, so that a loop of ten thousand rounds is no trace of ten thousand
/// spans.
pub const SPANS_PER_INSTANCE: u32 = 1_000;

/// Instances that wait to be told from their journal, since they faulted and were not recorded.
pub const TOLD_QUEUED: usize = 1_024;

/// Ids of spans that a collector has taken in one of two files, which are written in turn: half a
/// mebibyte, and seconds of a busy coordinator.
pub const TOLD_IDS: usize = 65_536;

/// Milliseconds that a span may take from its end to its collector, to be known as told after a
/// crash when the files had to be changed meanwhile; later ones are told twice.
pub const TOLD_LATE_MS: u64 = 10_000;

/// Instances that are told again from their journal after a crash, the newest first: a bound on how
/// long that keeps the disk busy.
pub const TOLD_AGAIN: usize = 10_000;

/// Instances that are looked at for that.
pub const TOLD_AGAIN_SCAN: usize = 100_000;

/// How many of these are listed at once.
pub const TOLD_AGAIN_PAGE: usize = 200;

/// Processes of which is known that they recorded and did not end in order, the latest ones.
pub const TOLD_LIVES: usize = 16;

/// Facts before its latest snapshot that are read again for the trace of an instance which comes
/// back into memory: a trace of more of them goes on with what the state says. Some milliseconds.
pub const RETRACED_FACTS: u64 = 10_000;

/// Bytes of such facts, for the same reason.
pub const RETRACED_BYTES: usize = 1 << 20;

/// Events that a span has at most, and links; further ones are counted in it.
pub const SPAN_EVENTS: usize = 32;

/// Bytes of a text in a span at most, be it a name or an attribute: what is longer is cut. Names of
/// tasks have no bound of their own, and a queue full of long ones is to take no more than some
/// tens of mebibytes. Attributes of log records are cut alike, as they say the same.
pub const SPAN_TEXT_BYTES: usize = 1_024;

/// Attributes for which a span of a coordinator has room from the start: most have no more.
pub const SPAN_ATTRIBUTES: usize = 10;

/// Bytes for which a span has room when it is written: one of a step takes some 400.
pub const SPAN_WRITTEN_BYTES: usize = 768;

/// Bytes of a log record's text at most as it is exported: what is longer is cut.
pub const RECORD_TEXT_BYTES: usize = 8_192;

/// Bytes that a visit counts as while it goes on and is recorded: what is known of it, its place in
/// a tree, and boxes that few have.
pub const RECORDED_VISIT_BYTES: u64 = 512;

/// Bytes that something which happened within a visit counts as.
pub const RECORDED_NOTE_BYTES: usize = 256;

/// Milliseconds before the log says again that telemetry does not reach its collector, for another
/// reason than before, or that a collector refuses some of it.
pub const EXPORT_TOLD_AGAIN_MS: u64 = 60_000;

/// Characters of a collector's reason that the log repeats.
pub const EXPORT_REASON_CHARS: usize = 256;

/// Milliseconds before an export that no collector took is made again, doubled each time up to
/// [`EXPORT_AGAIN_MOST_MS`]: what waits behind it has room meanwhile.
pub const EXPORT_AGAIN_MS: u64 = 1_000;

/// Milliseconds at most between two tries of such an export, also where a collector asks for more:
/// what comes meanwhile has to find room.
pub const EXPORT_AGAIN_MOST_MS: u64 = 15_000;
