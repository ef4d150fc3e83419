//! Filters of events that took more steps than they had: counted, and told of now and then.

use std::sync::atomic::{AtomicU64, Ordering};

use windlass_proto::id::{InstanceId, WorkflowId};
use windlass_proto::limits;

/// What all partitions have seen of them.
#[derive(Debug, Default)]
pub struct Filters {
    too_dear: AtomicU64,
}

impl Filters {
    /// Filters of an instance took too many steps, so that it did not get an event.
    pub(super) fn too_dear(&self, of: &WorkflowId, id: InstanceId, kind: &str, count: u32) {
        let before = self.too_dear.fetch_add(u64::from(count), Ordering::Relaxed);
        if before == 0
            || before / limits::FILTERS_TOLD != (before + u64::from(count)) / limits::FILTERS_TOLD
        {
            tracing::warn!(
                workflow = %of,
                instance = %id,
                event = kind,
                "a filter of events takes too many steps and so does not match: test attributes before \
                 data, and compute what it compares in a task before"
            );
        }
    }

    /// How many there have been.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.too_dear.load(Ordering::Relaxed)
    }
}
