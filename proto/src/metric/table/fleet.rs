//! Of assignments and workers, as the coordinator of a fleet sees them.

use super::families;
use crate::metric::Buckets;
use crate::metric::Kind::{Counter, Gauge, Histogram};

families! {
    "Fleet", "coordinator of a fleet";
    WAITING: Gauge, "windlass_assignments_waiting" ["pool"] "Assignments without a worker.";
    OLDEST: Gauge, "windlass_assignments_oldest_seconds" ["pool"]
        "Age of the oldest assignment without a worker.";
    IN_FLIGHT: Gauge, "windlass_assignments_in_flight" ["pool"] "Assignments at workers.";
    SCHEDULE_TO_START: Histogram(&Buckets::BRIEF), "windlass_task_schedule_to_start_seconds" ["pool", "kind"]
        "Time an assignment waited for a worker with room.";
    RUN: Histogram(&Buckets::LONG), "windlass_task_run_seconds" ["pool", "kind"]
        "Time from the sending of an assignment to its report.";
    WORKERS: Gauge, "windlass_workers" ["pool"] "Registered workers.";
    CONCURRENCY: Gauge, "windlass_workers_concurrency" ["pool"] "Assignments they take at once.";
    CLOCK_AHEAD: Gauge, "windlass_secret_store_clock_ahead_seconds" []
        "By how much the clock of a store of secrets is ahead of the coordinator's.";
    SENT: Counter, "windlass_assignments_sent_total" [] "Assignments sent to workers.";
    REPORTS_ACCEPTED: Counter, "windlass_reports_accepted_total" []
        "Reports that became part of an instance.";
    REPORTS_STALE: Counter, "windlass_reports_stale_total" [] "Reports too late or for nothing.";
    LOST: Counter, "windlass_assignments_lost_total" [] "Deliveries given up and sent again.";
    EXPIRED: Counter, "windlass_leases_expired_total" [] "Of these: the worker was silent.";
    DELAYED: Counter, "windlass_losses_delayed_total" []
        "Deliveries given up that are sent again after a pause: it had happened before.";
    JOINED: Counter, "windlass_workers_joined_total" [] "Registrations accepted.";
    REFUSED: Counter, "windlass_workers_refused_total" [] "Registrations refused.";
    FOREIGN: Counter, "windlass_registrations_foreign_total" []
        "Registrations not made for this coordinator's key, left without an answer.";
    CONTESTED: Counter, "windlass_registrations_contested_total" []
        "Registrations under the identity of another worker, not let in.";
    UNREADABLE: Counter, "windlass_messages_unreadable_total" []
        "Messages of workers that could not be read.";
    FRAMES_REFUSED: Counter, "windlass_frames_refused_total" [] "Frames and reports not authentic.";
}
