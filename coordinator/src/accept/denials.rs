//! What the audit trail is told of requests that were not let through: some in each minute, then
//! how many more there were.

use std::time::Instant;

use windlass_proto::limits::{ACCESS_REFUSALS_MS, ACCESS_REFUSALS_TOLD};
use windlass_proto::throttle::Throttle;

use super::access::Denial;
use crate::coordinator::{Coordinator, Operator};

/// See the module.
#[derive(Debug)]
pub(super) struct Denials(Throttle);

impl Default for Denials {
    fn default() -> Self {
        Self(Throttle::new(ACCESS_REFUSALS_TOLD, ACCESS_REFUSALS_MS))
    }
}

impl Denials {
    /// Tells of one, and of how many were not told before.
    pub(super) fn tell(&self, coordinator: &Coordinator, denial: Denial) {
        let Denial { action, by, detail } = denial;
        let admitted = self.0.admit(Instant::now());
        if admitted.held_back > 0 {
            let untold = admitted.held_back;
            let detail = format!("{untold} more requests were refused in the minute before");
            coordinator.refused(action, detail, &Operator::default());
        }
        if admitted.through {
            coordinator.refused(action, detail, &by);
        }
    }
}
