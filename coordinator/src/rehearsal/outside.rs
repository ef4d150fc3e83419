//! What surrounds the partition of a rehearsal: where its releases go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::trace::TraceContext;
use windlass_proto::value::Value;
use windlass_proto::wire::{Assignment, AssignmentKey};

use crate::catalog::Catalog;
use crate::engine::Parent;
use crate::partition::{Message, Release, ReleaseTarget, Verdict};

/// Keeps what leaves the partition until somebody asks for it.
pub(super) struct Outside {
    pub(super) catalog: Arc<Catalog>,
    state: Mutex<State>,
}

/// What has left.
#[derive(Default)]
pub(super) struct State {
    /// Messages for the partition itself.
    pub(super) inbox: Vec<Message>,
    pub(super) assignments: Vec<Assignment>,
    pub(super) children: Vec<RehearsedChild>,
}

impl Outside {
    pub(super) fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog, state: Mutex::default() }
    }

    pub(super) fn shared_catalog(&self) -> Arc<Catalog> {
        self.catalog.clone()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Nobody panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReleaseTarget for Outside {
    fn partitions(&self) -> u16 {
        1
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn dispatch(&self, assignment: Assignment, _recovered: bool) {
        self.state().assignments.push(assignment);
    }

    fn cancel(&self, key: AssignmentKey) {
        self.state().assignments.retain(|it| it.key != key);
    }

    fn settled(&self, _key: &AssignmentKey, _verdict: Verdict) {}

    fn send(&self, _partition: PartitionId, message: Message) {
        self.state().inbox.push(message);
    }
}

/// A child that an instance wants to be started.
pub struct RehearsedChild {
    /// The parent, and the visit of its `run.workflow`.
    pub parent: Parent,
    /// Namespace, name, version.
    pub workflow: [Arc<str>; 3],
    /// Its input.
    pub input: Value,
    child: InstanceId,
    priority: u8,
    trace: Option<TraceContext>,
}

impl RehearsedChild {
    /// The child that `release` is to start; any other is given back.
    pub(super) fn of(release: Release) -> Result<Self, Box<Release>> {
        match release {
            Release::StartChild { parent, child, workflow, input, priority, trace } => {
                Ok(Self { parent, workflow, input, child, priority, trace })
            }
            other => Err(Box::new(other)),
        }
    }

    pub(super) fn into_release(self) -> Release {
        let Self { parent, workflow, input, child, priority, trace } = self;
        Release::StartChild { parent, child, workflow, input, priority, trace }
    }
}
