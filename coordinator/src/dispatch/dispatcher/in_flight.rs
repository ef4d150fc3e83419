//! An assignment at a worker.

use std::sync::Arc;

use windlass_proto::metric::Traced;
use windlass_proto::time::Timestamp;
use windlass_proto::trace::TraceContext;
use windlass_proto::wire::Assignment;
use windlass_proto::wire::session::SessionId;

use super::times::LaneTimes;
use crate::dispatch::backlog::Lane;

/// An assignment at a worker.
pub(super) struct InFlight {
    /// Its session; an old one while it is orphaned.
    pub(super) session: SessionId,
    pub(super) lane: Lane,
    /// Counter of the frame it went in; none until it was sent.
    pub(super) frame: Option<u64>,
    pub(super) bytes: u64,
    pub(super) losses: u32,
    pub(super) cancelled: bool,
    /// When it was sent; none of one from before the coordinator started.
    pub(super) sent_at: Option<Timestamp>,
    pub(super) times: Arc<LaneTimes>,
    /// The span of its delivery, where that is recorded.
    pub(super) traced: Option<Traced>,
    /// Kept where the report of it is still to be transformed here.
    pub(super) assignment: Option<Arc<Assignment>>,
}

impl InFlight {
    /// Counts how long it has waited for its worker, in milliseconds.
    pub(super) fn sent(&self, waited: u64) {
        self.times.waited.traced_milliseconds(waited, self.traced);
    }

    /// Counts how long its worker took, until `now`.
    pub(super) fn answered(&self, now: Timestamp) {
        if let Some(sent_at) = self.sent_at {
            let traced = self.traced.map(|it| Traced { at: now, ..it });
            self.times.ran.traced_milliseconds(now.since(sent_at), traced);
        }
    }
}

/// The span of a delivery, where that is recorded.
pub(super) fn traced(assignment: &Assignment, at: Timestamp) -> Option<Traced> {
    let context: TraceContext = assignment.traceparent.as_deref()?.parse().ok()?;
    Traced::of(&context, at)
}
