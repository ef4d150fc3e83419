//! Tasks on their way to workers.

use windlass_proto::wire::{Assignment, AssignmentKey};

/// Takes assignments to workers. Reports come back through
/// [`crate::coordinator::Coordinator::report`].
pub trait Queue: Send + Sync + 'static {
    /// Hands over an assignment whose facts are durable. Must not block; how many can be open at
    /// once is bounded by what the coordinator admits.
    fn send(&self, assignment: Assignment);

    /// Tells that an assignment is no longer wanted. The worker may have finished it already.
    fn cancel(&self, key: AssignmentKey);
}
