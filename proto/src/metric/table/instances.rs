//! Of instances and their tasks.

use super::families;
use crate::metric::Buckets;
use crate::metric::Kind::{Counter, Gauge, Histogram};

families! {
    "Instances and tasks", "coordinator";
    STARTED: Counter, "windlass_instances_started_total" ["namespace", "workflow"]
        "Instances started, children too.";
    OPEN: Gauge, "windlass_instances_open" ["namespace", "workflow"]
        "Instances that have started and not ended, those that wait too and those from before a restart.";
    ENDED: Counter, "windlass_instances_ended_total" ["namespace", "workflow", "status", "error"]
        "Instances that have ended.";
    DURATION: Histogram(&Buckets::LONG), "windlass_instance_duration_seconds" ["namespace", "workflow"]
        "Time from the start of an instance to its end.";
    RETRIES: Counter, "windlass_task_retries_total" ["namespace", "workflow"]
        "Attempts of `try` that failed and are made again.";
    INCIDENTS: Counter, "windlass_incidents_total" ["namespace", "workflow"]
        "Tasks that failed and wait for an operator, as their definition has `onFault: suspend`.";
    LIMIT_WAITING: Gauge, "windlass_limit_waiting" []
        "Instances and tasks that wait for a share of a limit, as their definitions have one.";
    TASKS_ENDED: Counter, "windlass_tasks_ended_total" ["outcome"]
        "Visits of tasks that have ended: completed, faulted or skipped.";
    LOSSES: Counter, "windlass_task_losses_total" ["reason"]
        "Deliveries of tasks that will not be answered, and are made again or given up.";
    EVENTS_CONSUMED: Counter, "windlass_events_consumed_total" [] "Events that instances took.";
    EVENTS_EMITTED: Counter, "windlass_events_emitted_total" [] "Events that instances made.";
    MESSAGES_WAITING: Gauge, "windlass_partition_messages_waiting" []
        "Messages to instances that are not decided on yet.";
    STARTED_BY_INSTANCES: Gauge, "windlass_started_by_instances" []
        "Open instances that other instances have started, as far as they count for quotas.";
    FILTERS_TOO_DEAR: Counter, "windlass_event_filters_too_dear_total" []
        "Filters of events that took too many steps, and so did not match.";
    EARLY: Gauge, "windlass_early_events" [] "Events kept that nobody waited for when they came.";
    EARLY_BYTES: Gauge, "windlass_early_event_bytes" [] "Bytes of them.";
    EARLY_KEPT: Counter, "windlass_early_events_kept_total" [] "Events kept, by namespace that waits.";
    EARLY_CONSUMED: Counter, "windlass_early_events_consumed_total" [] "Of these, consumed later.";
    EARLY_EXPIRED: Counter, "windlass_early_events_expired_total" [] "Of these, kept in vain.";
    EARLY_REFUSED: Counter, "windlass_early_events_refused_total" []
        "Events not kept: their namespace keeps as many, or as much, as it may.";
    MISFITS: Counter, "windlass_engine_misfits_total" ["kind"]
        "Impossible states that instances were met in: each is a defect.";
    QUARANTINED: Counter, "windlass_instances_quarantined_total" []
        "Instances set aside at the start, because the process had ended over them.";
    MEMORY: Gauge, "windlass_memory_bytes" []
        "Bytes that instances, and what waits for them, take of the memory.";
    MEMORY_BUDGET: Gauge, "windlass_memory_budget_bytes" []
        "Bytes that they may take; starts are refused from three quarters of it on.";
}
