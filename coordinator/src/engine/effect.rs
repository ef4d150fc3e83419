//! What must be done in the world once the facts it rests on are durable.
//!
//! Effects may be carried out more than once: each has a key by which its receiver can tell
//! repeats. All of them can be derived again from the state after a crash (see
//! [`super::recover`]), so they are never journaled.

use std::sync::Arc;

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::plan::TaskIx;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::Work;

use super::input::ChildOutcome;
use super::instance::{Ending, Parent};

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send a task to a worker.
    Dispatch {
        /// The visit.
        frame: FrameId,
        /// Which sending this is, from 1.
        delivery: u32,
        /// The task.
        task: TaskIx,
        /// Its pointer, call sites of functions included.
        reference: Arc<str>,
        /// Which visit of the task it is, the same for all attempts.
        visit: u64,
        /// What to do with it.
        work: Work,
        /// Its raw input.
        input: Value,
        /// The variables it names.
        variables: Vec<(Arc<str>, Value)>,
        /// When a timeout ends it.
        deadline: Option<Timestamp>,
        /// How many workers were lost while they held this visit.
        losses: u32,
        /// True when this delivery was sent before the coordinator restarted: a worker may hold it
        /// still.
        recovered: bool,
    },
    /// Tell the worker that an assignment is not wanted any more.
    CancelAssignment {
        /// The visit.
        frame: FrameId,
        /// Which sending.
        delivery: u32,
    },
    /// Hand an event to all who wait for it, then answer [`super::Input::Published`].
    Publish {
        /// The visit of the `emit`.
        frame: FrameId,
        /// The event.
        event: Arc<CloudEvent>,
    },
    /// Start a child; answer [`super::Input::ChildAccepted`] or [`super::Input::ChildEnded`].
    StartChild {
        /// This instance and the visit of its `run.workflow`.
        parent: Parent,
        /// The child's id: a start of the same id is a repeat.
        child: InstanceId,
        /// Namespace, name, version (`latest` for the highest).
        workflow: [Arc<str>; 3],
        /// Its input.
        input: Value,
    },
    /// End a child that nobody waits for any more; answer [`super::Input::ChildGone`].
    CancelChild {
        /// The child.
        child: InstanceId,
    },
    /// Tell the parent how this instance ended.
    NotifyParent {
        /// The parent.
        parent: InstanceId,
        /// The visit of its `run.workflow`.
        frame: FrameId,
        /// How this instance ended.
        outcome: ChildOutcome,
    },
    /// Tell whoever waits for the end.
    Ended(Ending),
    /// Steps are left over: send [`super::Input::Continue`].
    Yield,
}
