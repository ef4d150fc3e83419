//! Shapes of a workflow and of what stands beside its tasks.

use super::parts::{
    DOCUMENT_METADATA, ERROR, INPUT, OUTPUT, RETRY_OBJECT, TIMEOUT, TIMEOUT_OBJECT,
};
use super::{Object, Shape, TASK, TASKS, access, events, object, of};
use crate::definition::reusable::TARGETS;

/// A definition.
pub static WORKFLOW: Object = Object {
    open: true,
    ..object(
        ("workflow", "a workflow"),
        "A workflow of the Serverless Workflow DSL, as Windlass runs it",
        &["document", "do"],
        &[&[
            of("document", Shape::Of(&DOCUMENT), "What the workflow is called"),
            of("input", Shape::Of(&INPUT), "What goes into the workflow"),
            of("use", Shape::Of(&USE), "What tasks refer to by name"),
            of("do", TASKS, "The tasks, one after the other"),
            of("timeout", TIMEOUT, "How long an instance may take"),
            of("output", Shape::Of(&OUTPUT), "What comes out of the workflow"),
            of("schedule", Shape::Of(&SCHEDULE), "When instances start by themselves"),
            of("evaluate", Shape::Of(&EVALUATE), "How expressions are read"),
        ]],
    )
};

/// A name as DNS has them.
const NAME: Shape = Shape::Pattern("^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$");
const NAMESPACE: Shape = Shape::Pattern("^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$");
const VERSION: Shape = Shape::Pattern(r"^\d+\.\d+\.\d+([-+].*)?$");

static DOCUMENT: Object = object(
    ("document", "`document`"),
    "What the workflow is called",
    &["dsl", "namespace", "name", "version"],
    &[&[
        of("dsl", VERSION, "The version of the DSL, such as 1.0.3"),
        of("namespace", NAMESPACE, "Whose it is: rights and limits go by it"),
        of("name", NAME, "The workflow's name"),
        of("version", VERSION, "Its version, such as '1.0.0': what was deployed is not changed"),
        of("title", Shape::Text, "What people call it"),
        of("summary", Shape::Text, "What it is for"),
        of("tags", Shape::Mapping, "What people and tools find it by"),
        of("metadata", Shape::Of(&DOCUMENT_METADATA), "For people and tools, and for Windlass"),
    ]],
);

static EVALUATE: Object = object(
    ("evaluate", "`evaluate`"),
    "How expressions are read",
    &[],
    &[&[
        of("language", Shape::Words(|| vec!["jq"]), "Their language"),
        of("mode", Shape::Words(|| vec!["strict", "loose"]), "What an expression is told by"),
    ]],
);

static SCHEDULE: Object = object(
    ("schedule", "`schedule`"),
    "When instances start by themselves",
    &[],
    &[&[
        of("every", Shape::Duration, "So often"),
        of("cron", Shape::Text, "At the times of a cron expression, such as '0 3 * * *'"),
        of("after", Shape::Duration, "So long after the one before has ended"),
        of("on", events::STRATEGY, "When these events come"),
        of("read", events::READ, "What of the events becomes the input"),
    ]],
);

static USE: Object = object(
    ("use", "`use`"),
    "What tasks refer to by name",
    &[],
    &[&[
        of(
            "authentications",
            Shape::Names(&Shape::Of(&access::DEFINED_POLICY)),
            "How requests show who asks",
        ),
        of("errors", Shape::Names(&Shape::Of(&ERROR)), "Errors to raise"),
        of(
            "extensions",
            Shape::List(&Shape::One(&Shape::Of(&EXTENSION))),
            "Tasks that are done before and after others",
        ),
        of("functions", Shape::Names(&TASK), "Tasks that are called by name"),
        of("retries", Shape::Names(&Shape::Of(&RETRY_OBJECT)), "Retry policies"),
        of("secrets", Shape::List(&Shape::Text), "Names of the secrets that it may read"),
        of("timeouts", Shape::Names(&Shape::Of(&TIMEOUT_OBJECT)), "Timeouts"),
        of("catalogs", Shape::Names(&Shape::Of(&CATALOG)), "Where functions are fetched from"),
    ]],
);

static CATALOG: Object = object(
    ("catalog", ""),
    "Where functions are fetched from",
    &["endpoint"],
    &[&[of("endpoint", access::ENDPOINT, "The folder that has them")]],
);

static EXTENSION: Object = object(
    ("extension", ""),
    "Tasks that are done before and after others",
    &["extend"],
    &[&[
        of("extend", Shape::Words(|| TARGETS.to_vec()), "Which tasks"),
        of("when", Shape::Expression, "Only where this is true"),
        of("before", TASKS, "What is done before"),
        of("after", TASKS, "What is done after"),
    ]],
);
