//! The state of one instance, and how facts change it.

mod approval;
mod claim;
mod evolve;
mod held;
mod legality;
mod origin;
mod repair;
mod step;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{Digest, FrameId, InstanceId, WorkflowId};
use windlass_proto::limits;
use windlass_proto::plan::{Flow, TaskIx};
use windlass_proto::problem::Problem;
use windlass_proto::time::Timestamp;
use windlass_proto::trace::TraceContext;
use windlass_proto::value::Value;
use windlass_proto::wire::Field;

pub use approval::{Approving, Question};
pub use claim::Claim;
pub(super) use held::FRAME_BYTES;
pub use held::Held;
pub use legality::{Doing, Phase};
pub use origin::{Origin, Parent};
pub use repair::{FaultHandler, Halt, Incident, Repair};
pub use step::Step;

use super::fact::TimerPurpose;
use super::misfit::Misfits;
use crate::status::Status;

/// The frame of the workflow's own list.
pub(super) const ROOT: FrameId = FrameId(0);

/// One run of a workflow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// The workflow.
    pub workflow: WorkflowId,
    /// The definition it is pinned to.
    pub digest: Digest,
    /// The raw input.
    pub input: Value,
    /// `$context`, outside of forks.
    pub context: Value,
    /// When it was accepted.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The instance that runs it as a child.
    pub parent: Option<Parent>,
    /// Labels.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// How it ended.
    pub ending: Option<Ending>,
    /// True between suspend and resume.
    pub suspended: bool,
    /// Running tasks.
    pub frames: BTreeMap<FrameId, Frame>,
    /// Number of the next frame.
    pub next_frame: u32,
    /// Timers that are set.
    pub timers: BTreeMap<u32, Timer>,
    /// Number of the next timer.
    pub next_timer: u32,
    /// Steps left over by the last turn.
    pub pending: Vec<Step>,
    /// How many facts there have been.
    pub sequence: u64,
    /// Children that nobody waits for any more and that may not have ended yet.
    pub abandoned: BTreeSet<InstanceId>,
    /// How many frames wait for a worker, a child or a publication.
    pub outstanding: u32,
    /// Which of the assignments that wait for a worker go first: those of instances with a higher
    /// one, from 0 to 9.
    #[serde(default = "default_priority")]
    pub priority: u8,
    /// Why it is suspended, where the process did it. Snapshots from before there was that lack it.
    #[serde(default)]
    pub quarantine: Option<Arc<str>>,
    /// The trace it was started in, where there was one: its caller's, or that of the visit which
    /// runs it as a child. Absent from older snapshots.
    #[serde(default)]
    pub trace: Option<TraceContext>,
    /// What operators have to repair of it, or have repaired. Absent from older snapshots.
    #[serde(default)]
    pub repair: Repair,
    /// Shares of limits that visits have or ask for. Absent from older snapshots.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<FrameId, Claim>,
    /// What changed since the changes were last taken; not part of the state.
    #[serde(skip)]
    pub changes: Changes,
    /// What it holds, in bytes; follows from the state.
    #[serde(skip)]
    pub held: Held,
    /// Bytes it may hold before a task that adds to it fails: what its owner has to spare. Not part
    /// of the state.
    #[serde(skip, default = "allowance")]
    pub allowance: u64,
}

/// How an instance ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ending {
    /// With an output.
    Completed(Value),
    /// With an error.
    Faulted(Problem),
    /// By an operator, who may have said why.
    Cancelled(Option<Arc<str>>),
}

/// A timer that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// When it is due.
    pub due: Timestamp,
    /// The visit it belongs to.
    pub frame: FrameId,
    /// What for.
    pub purpose: TimerPurpose,
}

/// A visit of a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Frame {
    /// The enclosing frame; the root's is itself.
    pub parent: FrameId,
    /// Position in the enclosing list, or number of the branch.
    pub position: u32,
    /// The task; absent for the root.
    pub task: Option<TaskIx>,
    /// Which visit of the task this is: a function of the way the flow took, so that a `try` which
    /// starts over visits the same tasks again under the same numbers.
    pub visit: u64,
    /// How many tasks of its list it has opened since the list last began.
    pub opened: u32,
    /// The last assignment sent for it, evaluations included: a report must name the live one.
    pub delivery: u32,
    /// When the visit began.
    pub started_at: Timestamp,
    /// Raw input.
    pub raw: Value,
    /// Transformed input.
    pub input: Value,
    /// `$context` of a branch of a `fork`.
    #[serde(with = "super::optional")]
    pub context: Option<Value>,
    /// Extensions whose lists after the task are still to run.
    pub extensions: Vec<u32>,
    /// What it is doing.
    pub body: Body,
    /// How many workers were lost while they held it.
    #[serde(default)]
    pub losses: u32,
}

/// What facts and snapshots stand for that were written before there were priorities.
pub(super) fn default_priority() -> u8 {
    limits::DEFAULT_PRIORITY
}

fn allowance() -> u64 {
    limits::INSTANCE_BYTES
}

/// What a visit is doing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Body {
    /// Begun; within a turn, or between dispatch of an evaluation and its result.
    #[serde(rename = "b")]
    Begun,
    /// At a worker.
    #[serde(rename = "d")]
    Dispatched {
        /// Which sending.
        delivery: u32,
    },
    /// An expression is at a worker.
    #[serde(rename = "e")]
    Evaluating {
        /// Which field.
        field: Field,
        /// What it is evaluated on.
        value: Value,
        /// Which sending.
        delivery: u32,
        /// Where the flow goes after the task, where the task has decided that already.
        flow: Option<Flow>,
        /// What the visit was doing: the variables it binds stay bound.
        before: Box<Body>,
    },
    /// Runs a plain list: the root, `do`, the body of a function.
    #[serde(rename = "s")]
    Sequence {
        /// What the next task gets.
        value: Value,
    },
    /// `for`
    #[serde(rename = "l")]
    Loop {
        /// The items.
        items: Value,
        /// The current iteration.
        index: u32,
        /// What the next task gets.
        value: Value,
    },
    /// `fork`
    #[serde(rename = "f")]
    Fork {
        /// The branches.
        branches: Vec<Branch>,
        /// How many still run.
        running: u32,
    },
    /// `try`, its tasks running.
    #[serde(rename = "t")]
    Trying {
        /// The attempt, from 1.
        attempt: u32,
        /// What the next task gets.
        value: Value,
        /// The context when the `try` began: each attempt starts from it.
        context: Value,
    },
    /// `try`, waiting for its next attempt.
    #[serde(rename = "r")]
    Retrying {
        /// The attempt that failed.
        attempt: u32,
        /// The context when the `try` began.
        context: Value,
        /// The clause that caught the error.
        clause: u32,
        /// The error.
        problem: Problem,
    },
    /// `try`, running the tasks of a clause.
    #[serde(rename = "c")]
    Catching {
        /// The clause.
        clause: u32,
        /// The error.
        problem: Problem,
        /// What the next task gets.
        value: Value,
    },
    /// Runs the lists of extensions.
    #[serde(rename = "E")]
    Extending {
        /// Which of the extensions, from 0.
        place: u32,
        /// True for the lists after the task.
        after: bool,
        /// The task's input, or its output: what each list begins with.
        held: Value,
        /// Where the flow goes after the task, when it has said so.
        flow: Option<Flow>,
        /// What the visit was doing: the variables it binds stay bound.
        before: Box<Body>,
        /// What the next task gets.
        value: Value,
    },
    /// `wait`
    #[serde(rename = "w")]
    Waiting,
    /// `emit`, until the event is handed over.
    #[serde(rename = "p")]
    Publishing {
        /// The event.
        event: CloudEvent,
    },
    /// `listen`
    #[serde(rename = "L")]
    Listening(Box<Listening>),
    /// `windlass.approval`, until somebody decides
    #[serde(rename = "A")]
    Approving(Box<Approving>),
    /// `run.workflow`
    #[serde(rename = "C")]
    Child {
        /// The child.
        child: InstanceId,
        /// Namespace, name, version.
        workflow: [Arc<str>; 3],
        /// Its input.
        input: Value,
        /// Whether its end is awaited.
        wait: bool,
    },
}

/// A branch of a `fork`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Branch {
    /// Its output, once completed.
    #[serde(with = "super::optional")]
    pub output: Option<Value>,
    /// Its context, once completed.
    #[serde(with = "super::optional")]
    pub context: Option<Value>,
    /// Its error, once failed.
    pub problem: Option<Problem>,
}

/// State of a `listen`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Listening {
    /// Filters matched so far, for `all`.
    pub matched: Vec<u32>,
    /// Filters of `until` matched so far, for `all` there.
    pub until_matched: Vec<u32>,
    /// What correlations must be.
    pub correlations: BTreeMap<Arc<str>, Value>,
    /// Events read and not yet given to `foreach`.
    pub queue: VecDeque<Value>,
    /// What was gathered so far.
    pub outputs: Vec<Value>,
    /// The event `foreach` works on.
    #[serde(with = "super::optional")]
    pub item: Option<Value>,
    /// What the next task of `foreach` gets.
    pub value: Value,
    /// Approximate bytes of what waits and what was gathered.
    pub weight: u64,
    /// True once no further events are wanted.
    pub closed: bool,
}

/// What the journal's indexes and the workers must learn of a state change.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Timers set.
    pub timers_set: Vec<(u32, Timestamp)>,
    /// Timers cleared.
    pub timers_cleared: Vec<(u32, Timestamp)>,
    /// Visits that now wait for events, or for other ones than before.
    pub subscribed: Vec<FrameId>,
    /// Visits that no longer do.
    pub unsubscribed: Vec<FrameId>,
    /// Deliveries no longer wanted: closed while at a worker.
    pub abandoned: Vec<(FrameId, u32)>,
    /// Children awaited no longer, each with the visit that awaited it.
    pub orphaned: Vec<(FrameId, InstanceId)>,
    /// Questions to people: the visit, the number, and whether it is open.
    pub approvals: Vec<(FrameId, u64, bool)>,
    /// Claims on limits, and whether they are there still.
    pub claims: Vec<(FrameId, Claim, bool)>,
    /// What cannot be, and was met all the same.
    pub misfits: Misfits,
}

impl Body {
    /// What the visit is doing, or was doing before one of its expressions went to a worker or an
    /// extension took over.
    pub(crate) fn doing(&self) -> &Self {
        match self {
            Self::Evaluating { before, .. } | Self::Extending { before, .. } => before,
            other => other,
        }
    }

    /// True while it asks people the question of this number.
    pub(super) fn asks(&self, question: u64) -> bool {
        matches!(self, Self::Approving(it) if it.number == question)
    }

    /// True when something outside works for this frame and would have to be asked again after a
    /// crash.
    pub(super) fn is_outstanding(&self) -> bool {
        match self {
            Self::Dispatched { .. }
            | Self::Evaluating { .. }
            | Self::Publishing { .. }
            | Self::Child { .. } => true,
            Self::Begun
            | Self::Sequence { .. }
            | Self::Loop { .. }
            | Self::Fork { .. }
            | Self::Trying { .. }
            | Self::Retrying { .. }
            | Self::Catching { .. }
            | Self::Extending { .. }
            | Self::Waiting
            | Self::Approving(_)
            | Self::Listening(_) => false,
        }
    }

    /// What the next task of the frame's list gets, where it has a list.
    pub(super) fn value(&self) -> Option<&Value> {
        match self {
            Self::Sequence { value }
            | Self::Loop { value, .. }
            | Self::Trying { value, .. }
            | Self::Catching { value, .. }
            | Self::Extending { value, .. } => Some(value),
            Self::Listening(listening) => Some(&listening.value),
            Self::Begun
            | Self::Dispatched { .. }
            | Self::Evaluating { .. }
            | Self::Fork { .. }
            | Self::Retrying { .. }
            | Self::Waiting
            | Self::Approving(_)
            | Self::Publishing { .. }
            | Self::Child { .. } => None,
        }
    }
}

impl Instance {
    /// The state before its first fact.
    #[must_use]
    pub fn not_started(id: InstanceId) -> Self {
        let empty: Arc<str> = Arc::from("");
        Self {
            id,
            workflow: WorkflowId {
                namespace: empty.clone(),
                name: empty.clone(),
                version: empty.clone(),
            },
            digest: Digest(empty),
            input: Value::Null,
            context: Value::empty_object(),
            started_at: Timestamp::default(),
            ended_at: None,
            parent: None,
            labels: Vec::new(),
            ending: None,
            suspended: false,
            frames: BTreeMap::new(),
            next_frame: 0,
            timers: BTreeMap::new(),
            next_timer: 0,
            pending: Vec::new(),
            sequence: 0,
            abandoned: BTreeSet::new(),
            outstanding: 0,
            priority: default_priority(),
            quarantine: None,
            trace: None,
            repair: Repair::default(),
            claims: BTreeMap::new(),
            changes: Changes::default(),
            held: Held::default(),
            allowance: allowance(),
        }
        .counted()
    }

    /// With what it holds counted.
    fn counted(mut self) -> Self {
        self.held = self.recount();
        self
    }

    /// Where it stands, in the specification's words.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.ending {
            Some(Ending::Completed(_)) => Status::Completed,
            Some(Ending::Faulted(_)) => Status::Faulted,
            Some(Ending::Cancelled(_)) => Status::Cancelled,
            None if self.suspended => Status::Suspended,
            None if self.outstanding > 0 || !self.pending.is_empty() => Status::Running,
            None => Status::Waiting,
        }
    }

    /// True when a restart must load the instance to do work again: something outside works for it,
    /// steps are left over, children have to be cancelled, or what its fault starts is not known to
    /// have started.
    #[must_use]
    pub fn is_hot(&self) -> bool {
        !self.abandoned.is_empty()
            || self.has_pending_handler()
            || self.ending.is_none()
                && (self.outstanding > 0 || (!self.pending.is_empty() && !self.suspended))
    }

    /// The state as bytes, for snapshots and for comparing.
    ///
    /// # Errors
    /// Never for a state the engine makes; the encoder's signature allows it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, super::FactError> {
        rmp_serde::to_vec(self).map_err(|error| super::FactError(error.to_string()))
    }

    /// A state from its bytes.
    ///
    /// # Errors
    /// When they are not what [`Instance::to_bytes`] writes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, super::FactError> {
        let read: Result<Self, _> = rmp_serde::from_slice(bytes);
        let mut instance = read.map_err(|error| super::FactError(error.to_string()))?;
        instance.repair.completed();
        instance.share();
        Ok(instance.counted())
    }

    /// What the latest task of the workflow's own list gave: the workflow's output, unless
    /// something transforms it.
    #[must_use]
    pub fn last_output(&self) -> Value {
        self.raw_for_child(ROOT)
    }

    /// The frame, if it is open.
    pub(super) fn frame(&self, id: FrameId) -> Option<&Frame> {
        self.frames.get(&id)
    }

    /// The context that tasks of this frame see: of the nearest branch, or the instance's.
    pub(super) fn context_of(&self, mut id: FrameId) -> &Value {
        while let Some(frame) = self.frames.get(&id) {
            if let Some(context) = &frame.context {
                return context;
            }
            if id == ROOT {
                break;
            }
            id = frame.parent;
        }
        &self.context
    }

    /// The frames from `id` up to the root, `id` first.
    pub(super) fn lineage(&self, id: FrameId) -> impl Iterator<Item = (FrameId, &Frame)> {
        let first = self.frames.get(&id).map(|frame| (id, frame));
        std::iter::successors(first, |(id, frame)| {
            if *id == ROOT {
                return None;
            }
            self.frames.get(&frame.parent).map(|parent| (frame.parent, parent))
        })
    }
}
