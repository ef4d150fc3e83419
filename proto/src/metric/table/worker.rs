//! Of a worker.

use super::families;
use crate::metric::Buckets;
use crate::metric::Kind::{Counter, Gauge, Histogram};

families! {
    "Worker", "worker with `--health`; attempts and secrets by `windlass dev` as well";
    JOINED: Gauge, "windlass_worker_joined" [] "1 while registered.";
    ASSIGNMENTS: Gauge, "windlass_worker_assignments" [] "Assignments held at the last beat.";
    SLOTS: Gauge, "windlass_worker_slots" [] "Assignments it takes at once; 0 while it drains.";
    PERFORMED: Counter, "windlass_worker_performed_total" [] "Assignments performed.";
    REGISTRATIONS: Counter, "windlass_worker_registrations_total" [] "Registrations.";
    ATTEMPT: Histogram(&Buckets::LONG), "windlass_worker_attempt_duration_seconds" ["kind", "outcome"]
        "Time an attempt took, from its arrival to its result: completed, faulted, or returned undone.";
    SECRET_READ: Histogram(&Buckets::BRIEF), "windlass_worker_secret_read_duration_seconds" ["outcome"]
        "Time to read a secret or to take a lease on it, with the login where it is the first: read, missing, \
         forbidden, unavailable, refused, other_key.";
    SEALED: Counter, "windlass_worker_values_sealed_total" ["outcome"]
        "Values that contained a secret, as results left the worker: sealed, failed, refused, exposed.";
    OPENED: Counter, "windlass_worker_values_opened_total" ["outcome"]
        "Sealed values that tasks looked at: opened, failed.";
    EGRESS_REFUSED: Counter, "windlass_worker_egress_refused_total" ["reason"]
        "Calls that the egress policy refused: loopback, link_local, private, multicast, unspecified, reserved, \
         metadata, denied, not_allowed, proxy.";
    CALL_WAIT: Histogram(&Buckets::LONG), "windlass_worker_call_limit_wait_seconds" []
        "Time that calls waited for their turn, to hosts that `--call-limit` names.";
    FRAMES_REFUSED: Counter, "windlass_worker_frames_refused_total" []
        "Frames from the bus that were not the coordinator's, or could not be read.";
    AUDIT_WAITING: Gauge, "windlass_worker_audit_events_waiting" []
        "Audit events that the coordinator has not acknowledged.";
}
