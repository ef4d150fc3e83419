//! Shapes of what many parts have: data on its way in and out, timeouts, retries, errors.

use super::{Object, Shape, TASKS, access, object, of};
use crate::limits::LIMIT_CONCURRENCY;
use crate::plan::{OnFault, OnFull, Overlap};

/// In place, or the name of one in `use.timeouts`.
pub(super) const TIMEOUT: Shape = Shape::Either(&[Shape::Of(&TIMEOUT_OBJECT), Shape::Text]);

/// How long something may take.
pub(super) static TIMEOUT_OBJECT: Object = object(
    ("timeout", "`timeout`"),
    "How long it may take",
    &["after"],
    &[&[of("after", Shape::Duration, "It faults with an error of the type timeout after that")]],
);

static SCHEMA: Object = object(
    ("schema", "`schema`"),
    "What data has to fit",
    &[],
    &[&[
        of("format", Shape::Pattern("^json(:.*)?$"), "`json`"),
        of("document", Shape::Any, "A JSON Schema, in place"),
        of("resource", Shape::Of(&access::RESOURCE), "A JSON Schema that is elsewhere"),
    ]],
);

const OF_SCHEMA: Shape = Shape::Of(&SCHEMA);

/// What goes in.
pub(super) static INPUT: Object = object(
    ("input", "`input`"),
    "What goes in",
    &[],
    &[&[
        of("schema", OF_SCHEMA, "What it has to fit"),
        of("from", Shape::Transform, "What is made of it first"),
    ]],
);

/// What comes out.
pub(super) static OUTPUT: Object = object(
    ("output", "`output`"),
    "What comes out",
    &[],
    &[&[
        of("schema", OF_SCHEMA, "What it has to fit"),
        of("as", Shape::Transform, "What is made of it first"),
    ]],
);

/// What is kept.
pub(super) static EXPORT: Object = object(
    ("export", "`export`"),
    "What becomes the context, `$context`",
    &[],
    &[&[
        of("schema", OF_SCHEMA, "What it has to fit"),
        of("as", Shape::Transform, "What it is, such as `$context + .`"),
    ]],
);

/// An error.
pub(super) static ERROR: Object = object(
    ("error", "an error"),
    "An error, as RFC 7807 has it",
    &["type", "status"],
    &[&[
        of("type", Shape::Uri, "A URI that says of which kind it is"),
        of("status", STATUS, "The HTTP status that comes closest"),
        of("instance", Shape::Text, "Where it was, a JSON pointer"),
        of("title", Shape::Text, "What it is, in a few words"),
        of("detail", Shape::Text, "What happened"),
    ]],
);

/// A status of HTTP.
pub(super) const STATUS: Shape = Shape::Number(0, 65_535);

/// In place, or the name of one in `use.retries`.
pub(super) const RETRY: Shape = Shape::Either(&[Shape::Of(&RETRY_OBJECT), Shape::Text]);

/// When something is tried again.
pub(super) static RETRY_OBJECT: Object = object(
    ("retry", "a retry policy"),
    "When it is tried again, and how often",
    &[],
    &[&[
        of("when", Shape::Expression, "Only where this is true"),
        of("exceptWhen", Shape::Expression, "Not where this is true"),
        of("delay", Shape::Duration, "How long to wait before the next attempt"),
        of("backoff", Shape::Of(&BACKOFF), "How delays grow"),
        of("limit", Shape::Of(&LIMIT), "How often, and for how long"),
        of("jitter", Shape::Of(&JITTER), "By how much delays vary"),
    ]],
);

static BACKOFF: Object = object(
    ("backoff", "`backoff`"),
    "How delays grow: one of these",
    &[],
    &[&[
        of("constant", Shape::Mapping, "Each delay is the same"),
        of("linear", Shape::Mapping, "Each is longer by `delay`"),
        of("exponential", Shape::Of(&EXPONENTIAL), "Each is a multiple of the one before"),
    ]],
);

static EXPONENTIAL: Object = Object {
    open: true,
    ..object(
        ("exponential", ""),
        "Each delay is a multiple of the one before",
        &[],
        &[&[
            of("multiplier", Shape::Decimal, "How many times the one before [default: 2]"),
            of("maxDelay", Shape::Duration, "No delay is longer"),
        ]],
    )
};

static LIMIT: Object = object(
    ("limit", "`limit`"),
    "How often and how long it is tried",
    &[],
    &[&[
        of("attempt", Shape::Of(&ATTEMPT), "Of each attempt"),
        of("duration", Shape::Duration, "How long in all"),
    ]],
);

static ATTEMPT: Object = object(
    ("attempt", "`limit.attempt`"),
    "Limits of attempts",
    &[],
    &[&[
        of("count", Shape::Number(0, 4_294_967_295), "How many retries there are at most"),
        of("duration", Shape::Duration, "How long each may take"),
    ]],
);

static JITTER: Object = object(
    ("jitter", "`jitter`"),
    "By how much delays vary",
    &["from", "to"],
    &[&[
        of("from", Shape::Duration, "At least so much is added"),
        of("to", Shape::Duration, "At most so much is added"),
    ]],
);

/// For people and tools; what stands below `windlass` is for us.
pub(super) static METADATA: Object = Object {
    open: true,
    ..object(
        ("metadata", ""),
        "For people and tools; `windlass` has what this runtime adds",
        &[],
        &[&[of("windlass", Shape::Of(&OWN), "What Windlass adds for a task")]],
    )
};

/// The same, of the document.
pub(super) static DOCUMENT_METADATA: Object = Object {
    open: true,
    ..object(
        ("documentMetadata", ""),
        "For people and tools; `windlass` has what this runtime adds",
        &[],
        &[&[of("windlass", Shape::Of(&DOCUMENT_OWN), "What Windlass adds for a workflow")]],
    )
};

const POOL: Shape = Shape::Pattern("^[A-Za-z0-9_-]{1,64}$");

static OWN: Object = object(
    ("windlass", "`metadata.windlass`"),
    "What Windlass adds for a task",
    &[],
    &[&[
        of("pool", POOL, "The pool of workers it goes to: a coordinator's key names pools"),
        of("onFault", Shape::Words(|| super::words(OnFault::WORDS)), ON_FAULT),
        of("limit", Shape::Of(&SHARE), "How many instances may be in the task at the same time"),
        of("tls", Shape::Flag, "Of a gRPC call: whether it goes out with TLS"),
    ]],
);

const ON_FAULT: &str = "What becomes of the instance when an error is caught by nothing";

static DOCUMENT_OWN: Object = object(
    ("windlassDocument", "`metadata.windlass`"),
    "What Windlass adds for a workflow",
    &[],
    &[&[
        of("pool", POOL, "The pool of workers its tasks go to, where they name none"),
        of(
            "onFault",
            Shape::Either(&[
                Shape::Words(|| super::words(OnFault::WORDS)),
                Shape::Of(&FAULT_WORKFLOW),
            ]),
            "What becomes of the instance when an error is caught by nothing, or what is started",
        ),
        of("limit", Shape::Of(&SHARE), "How many instances may run at the same time"),
        of("keepEvents", Shape::Duration, "How long events that nobody waits for yet are kept"),
        of("retention", Shape::Duration, "How long ended instances are kept at most"),
        of("schedule", Shape::Of(&SCHEDULE_OPTIONS), "More about `schedule`"),
    ]],
);

static FAULT_WORKFLOW: Object = object(
    ("faultWorkflow", "`metadata.windlass.onFault`"),
    "A workflow of the namespace that is started when an instance faults",
    &["workflow"],
    &[&[
        of("workflow", Shape::Text, "Its name"),
        of("version", Shape::Text, "Its version [default: latest]"),
    ]],
);

static SHARE: Object = object(
    ("windlassLimit", "`metadata.windlass.limit`"),
    "A limit of what runs at the same time, or begins in a time",
    &[],
    &[&[
        of("name", Shape::Text, "All limits of one name in a namespace count together"),
        of("key", Shape::Text, "Each value of it has a limit of its own, such as ${ .tenant }"),
        of("concurrency", Shape::Number(1, LIMIT_CONCURRENCY as i64), "How many at the same time"),
        of("rate", Shape::Text, "How many begin in a time: 10/s, 100/m, 1000/h, 5/d"),
        of("onFull", Shape::Words(|| super::words(OnFull::WORDS)), "What becomes of the next one"),
    ]],
);

static SCHEDULE_OPTIONS: Object = object(
    ("scheduleOptions", "`metadata.windlass.schedule`"),
    "More about a schedule",
    &[],
    &[&[
        of("timezone", Shape::Text, "The time zone of `cron`, such as Europe/Vienna"),
        of(
            "overlap",
            Shape::Words(|| super::words(Overlap::WORDS)),
            "What becomes of a start while an earlier instance runs",
        ),
        of("catchUp", Shape::Duration, "Starts that were missed are made up for so long"),
        of("jitter", Shape::Duration, "Starts are late by up to so much, by chance"),
    ]],
);

/// What is done about an error.
pub(super) static CATCH: Object = object(
    ("catch", "`catch`"),
    "What is done about an error",
    &[],
    &[&[
        of("errors", Shape::Of(&ERRORS), "Which errors; all where it is missing"),
        of("as", Shape::Text, "What the error is called in expressions [default: error]"),
        of("when", Shape::Expression, "Only where this is true"),
        of("exceptWhen", Shape::Expression, "Not where this is true"),
        of("retry", RETRY, "Whether `try` is tried again first"),
        of("do", TASKS, "What is done then"),
        of("then", Shape::Flow, "Where the flow goes on"),
    ]],
);

static ERRORS: Object = Object {
    open: true,
    ..object(
        ("errorFilters", "`catch.errors`"),
        "Which errors are caught",
        &[],
        &[&[of(
            "with",
            Shape::Either(&[Shape::Of(&FILTER), Shape::List(&Shape::Of(&FILTER))]),
            "What they have",
        )]],
    )
};

static FILTER: Object = Object {
    open: true,
    ..object(
        ("errorFilter", "a filter of errors"),
        "What an error has that is caught",
        &[],
        &[&[
            of("type", Shape::Text, "Its type"),
            of("status", STATUS, "Its status"),
            of("instance", Shape::Text, "Where it was"),
            of("title", Shape::Text, "Its title"),
            of("detail", Shape::Text, "Its detail"),
        ]],
    )
};
