//! What the audit trail is told of workers: who was let in and who was not, who drains, who is
//! gone. Some in each minute, then how many more there were: a worker that joins in a loop leaves
//! room for others.

use std::sync::Arc;
use std::time::Instant;

use windlass_proto::audit::AuditAction;

use super::Sessions;
use crate::audit;
use crate::dispatch::dispatcher::Departure;

impl Sessions {
    /// Whoever came under `worker` was let in, to the pool `pool`.
    pub(super) fn tell_admitted(&self, worker: &Arc<str>, pool: &str, way: &str) {
        self.tell(AuditAction::WorkerAdmitted, Some(worker), format!("pool {pool}, over {way}"));
    }

    /// Somebody who has the key was not let in.
    pub(super) fn tell_refused(&self, why: &str) {
        self.tell(AuditAction::WorkerRefused, None, why.to_owned());
    }

    /// A worker takes no more.
    pub(super) fn tell_draining(&self, worker: &Arc<str>) {
        let detail = "it takes no more tasks, and ends when those that it has are done".to_owned();
        self.tell(AuditAction::WorkerDraining, Some(worker), detail);
    }

    /// A worker is gone.
    pub(super) fn tell_left(&self, worker: &Arc<str>, why: Departure) {
        let detail = match why {
            Departure::Goodbye => "it said that it ends",
            Departure::Silent => "it was not heard for a whole lease",
            // Its process goes on, or all of them go.
            Departure::Replaced | Departure::Closing => return,
        };
        self.tell(AuditAction::WorkerLeft, Some(worker), detail.to_owned());
    }

    fn tell(&self, action: AuditAction, worker: Option<&Arc<str>>, detail: String) {
        let admitted = self.workers_told.admit(Instant::now());
        let trail = &self.secrets.audit;
        let success = action != AuditAction::WorkerRefused;
        if admitted.held_back > 0 {
            let untold = admitted.held_back;
            let detail = format!("{untold} more entries of workers in the minute before");
            trail.record(audit::own(action, success, |it| it.detail = Some(detail.into())));
        }
        // While the disk is away these are not what its room is for.
        if admitted.through && trail.has_room() {
            trail.record(audit::own(action, success, |event| {
                event.worker = worker.cloned();
                event.detail = Some(detail.into());
            }));
        }
    }
}
