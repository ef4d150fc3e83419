//! What is told of calls that were refused: by metrics, the worker's log and the audit trail.

use std::sync::Arc;
use std::time::Instant;

use windlass_proto::audit::AuditAction;
use windlass_proto::limits::{AUDIT_PART_CHARACTERS, EGRESS_REFUSALS_MS, EGRESS_REFUSALS_TOLD};
use windlass_proto::metric::table::worker as table;
use windlass_proto::metric::{Counter, Snapshot};
use windlass_proto::problem::Problem;
use windlass_proto::throttle::Throttle;

use super::{REASONS, Refusal};
use crate::audit::AttemptAudit;
use crate::seal::Seal;

/// On whose behalf a call is made.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// Knows the secrets that nothing may show.
    pub(crate) seal: &'a Seal,
    /// Where to tell what was refused.
    pub(crate) audit: &'a AttemptAudit,
}

/// All that a worker has refused.
pub(crate) struct Refusals {
    /// By reason.
    counted: [Counter; REASONS.len()],
    /// What the audit trail is told of.
    audited: Throttle,
}

impl Default for Refusals {
    fn default() -> Self {
        let audited = Throttle::new(EGRESS_REFUSALS_TOLD, EGRESS_REFUSALS_MS);
        Self { counted: Default::default(), audited }
    }
}

impl Refusals {
    /// The problem of a call that may not be made; told to everybody it concerns.
    pub(crate) fn tell(&self, refusal: &Refusal, caller: Caller<'_>) -> Problem {
        self.tell_at(refusal, caller, Instant::now())
    }

    /// [`Self::tell`] at a time.
    pub(super) fn tell_at(&self, refusal: &Refusal, caller: Caller<'_>, now: Instant) -> Problem {
        self.counted[refusal.index()].one();
        let host: String =
            caller.seal.text(refusal.host()).chars().take(AUDIT_PART_CHARACTERS).collect();
        let address = refusal.address.map(tracing::field::display);
        let (host, reason) = (&*host, refusal.word());
        tracing::warn!(host, address, reason, "the egress policy refused a call");
        let admitted = self.audited.admit(now);
        if admitted.held_back > 0 {
            let more = admitted.held_back;
            let detail = format!("{more} more calls were refused in the minute before");
            caller.audit.record_of_worker(AuditAction::EgressDenied, false, |event| {
                event.detail = Some(detail.into());
            });
        }
        if admitted.through {
            caller.audit.record(AuditAction::EgressDenied, false, |event| {
                event.detail = Some(Arc::from(format!("{host}: {}", refusal.told())));
            });
        }
        refusal.problem()
    }

    /// Adds what there is to tell.
    pub(crate) fn measured(&self, snapshot: &mut Snapshot) {
        for (reason, count) in REASONS.into_iter().zip(&self.counted) {
            snapshot.labelled(&table::EGRESS_REFUSED, [reason], count);
        }
    }
}
