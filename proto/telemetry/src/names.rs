//! Names of spans and attributes: by OpenTelemetry's conventions where there are some, else
//! `windlass.*`.
//!
//! The tables are what `docs/telemetry.md` shows. Nothing else may be said of a span: no bodies, no
//! query strings, no user infos, no values of headers, no expressions.

/// An attribute of spans, of their events, or of the resource.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// The type of its value.
    pub kind: &'static str,
    /// What has it.
    pub on: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// A kind of span.
#[derive(Clone, Copy, Debug)]
pub struct SpanName {
    /// How its name is made.
    pub name: &'static str,
    /// Its kind.
    pub kind: &'static str,
    /// Who sends it.
    pub by: &'static str,
    /// From when to when.
    pub meaning: &'static str,
}

macro_rules! attributes {
    ($($constant:ident $name:literal $kind:literal $on:literal $meaning:literal)+) => {
        $(
            #[doc = concat!("`", $name, "`: ", $meaning)]
            pub const $constant: &str = $name;
        )+
        /// All attributes.
        pub const ATTRIBUTES: &[Attribute] = &[
            $(Attribute { name: $name, kind: $kind, on: $on, meaning: $meaning }),+
        ];
    };
}

// After the macro, which it uses.
pub mod worker;

attributes! {
    SERVICE_NAME "service.name" "string" "resource"
        "`windlass-coordinator`, `windlass-worker` or `windlass`, unless another is given"
    SERVICE_VERSION "service.version" "string" "resource" "the version of Windlass"
    SERVICE_INSTANCE_ID "service.instance.id" "string" "resource" "one process, from its start to its end"
    DEPLOYMENT_ENVIRONMENT_NAME "deployment.environment.name" "string" "resource" "`--environment`"
    ROLE "windlass.role" "string" "resource" "`coordinator`, `worker`, or `embedded` for both in one"
    INSTANCE_ID "windlass.instance.id" "string" "workflow, task, deliver, attempt, audit" "the instance"
    WORKFLOW_NAMESPACE "windlass.workflow.namespace" "string" "workflow, task, deliver, attempt, audit" "`document.namespace`"
    WORKFLOW_NAME "windlass.workflow.name" "string" "workflow, task, deliver, attempt, audit" "`document.name`"
    WORKFLOW_VERSION "windlass.workflow.version" "string" "workflow, audit" "`document.version`"
    INSTANCE_STATUS "windlass.instance.status" "string" "workflow" "how it ended: completed, faulted, cancelled"
    INSTANCE_PRIORITY "windlass.instance.priority" "int" "workflow" "its priority, 0 to 9"
    INSTANCE_VISITS "windlass.instance.visits" "int" "workflow" "how many visits of tasks it had"
    TASK_REFERENCE "windlass.task.reference" "string" "workflow, task, deliver, attempt, audit"
        "the JSON pointer of the task, the call sites of functions included; of an instance that faulted, the task that did"
    TASK_NAME "windlass.task.name" "string" "task, deliver, attempt" "the name of the task"
    TASK_KIND "windlass.task.kind" "string" "task" "`set`, `call http`, `run script` and so on"
    TASK_VISIT "windlass.task.visit" "int" "task, deliver, attempt" "the number of the visit in its instance"
    TASK_STATUS "windlass.task.status" "string" "task" "how it ended: completed, faulted, cancelled, skipped"
    UNTRACED "windlass.visits.untraced" "int" "workflow, task"
        "how many visits inside have no span, because there were too many"
    UNTRACED_DURATIONS "windlass.visits.untraced.durations" "int[]" "workflow, task"
        "how many of them lasted up to 10 ms, 100 ms, 1 s, 10 s, 1 min, 10 min, 1 h, and longer"
    ITERATIONS "windlass.task.iterations" "int" "task" "how often a `for`, or a `foreach` of `listen`, went round"
    ATTEMPTS "windlass.task.attempts" "int" "task" "how often a `try` began"
    DELIVERY "windlass.delivery" "int" "deliver, attempt, audit" "which sending of the visit, from 1"
    WORK "windlass.work" "string" "deliver, attempt" "perform, or evaluate for an expression that needs a worker"
    LOST "windlass.lost" "boolean" "deliver" "true where no worker answered: it was lost, or gave it back"
    LOSS_REASON "windlass.lost.reason" "string" "deliver" "why it was lost"
    WORKER "windlass.worker" "string" "attempt, deliver, audit"
        "the worker, as `windlass worker list` names it: of a delivery the one that was lost"
    LABEL "windlass.label.KEY" "string" "workflow" "a label of the instance: one for each"
    POOL "windlass.pool" "string" "deliver" "the pool whose workers may take it"
    ERROR_TYPE "error.type" "string" "workflow, task, deliver, all of workers"
        "the type of the error: its URI, of workers its last part; of requests the status. Its detail is not told"
    ERROR_STATUS "windlass.error.status" "int" "workflow, task" "the status of the error"
    CHILD "windlass.child.id" "string" "task" "the instance that a `run.workflow` started"
    EVENT_ID "cloudevents.event_id" "string" "task" "the `id` of an event that was emitted"
    EVENT_TYPE "cloudevents.event_type" "string" "task" "the `type` of an event that was emitted"
    ATTEMPT "windlass.attempt" "int" "event retry" "the attempt that begins"
}

/// The attribute for a label of this key; see [`LABEL`].
#[must_use]
pub fn label(key: &str) -> String {
    format!("{}{key}", LABEL.trim_end_matches("KEY"))
}

/// The scope of the spans that follow from facts.
pub const SCOPE: &str = "windlass.coordinator";

/// An attempt of a `try` begins after one that failed: an event of its span.
pub const RETRY: &str = "retry";

/// An attempt of a `try` has failed, and the next one is due later: an event of its span.
pub const RETRY_SCHEDULED: &str = "retry scheduled";

/// The instance was suspended: an event of its span.
pub const SUSPENDED: &str = "suspended";

/// The instance was set aside, because the process ended over it: an event of its span.
pub const QUARANTINED: &str = "quarantined";

/// The instance was resumed: an event of its span.
pub const RESUMED: &str = "resumed";

/// A `try` has caught an error: an event of its span.
pub const CAUGHT: &str = "caught";

/// All kinds of spans of the coordinator.
pub const SPANS: &[SpanName] = &[
    SpanName {
        name: "workflow NAMESPACE/NAME",
        kind: "server where it was started with a `traceparent`, else internal",
        by: "coordinator",
        meaning: "an instance, from its start to its end",
    },
    SpanName {
        name: "task NAME",
        kind: "internal; producer for `emit`",
        by: "coordinator",
        meaning: "one visit of a task, from its begin to its end, inside the task around it",
    },
    SpanName {
        name: "deliver NAME",
        kind: "producer",
        by: "coordinator",
        meaning: "one sending of a task to a worker, from the decision to send it to the report, or \
                  to its loss",
    },
];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
