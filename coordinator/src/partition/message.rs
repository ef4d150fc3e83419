//! What a partition is told.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::oneshot;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{Digest, FrameId, InstanceId, PartitionId, WorkflowId};
use windlass_proto::plan::Plan;
use windlass_proto::time::Timestamp;
use windlass_proto::trace::TraceContext;
use windlass_proto::value::Value;
use windlass_proto::wire::{AssignmentKey, Report};

use super::schedules::ScheduleOrder;
use super::shares::{LimitNews, LimitPlace};
use super::start_policy::StartPolicy;
use crate::catalog::Awaited;
use crate::engine::{
    ChildOutcome, DeliveryLoss, Ending, Input, Instance, Parent, Rejection, Requester, Succession,
};
use crate::journal::{EarlyKey, Status};
use crate::view::InstanceView;

/// One message.
pub enum Message {
    /// Start an instance.
    Start(Box<NewInstance>),
    /// Start an instance that goes on for another one, which has faulted.
    Succeed(Box<NewSuccessor>),
    /// Remove an instance that has ended.
    Remove {
        /// The instance.
        instance: InstanceId,
        /// When it ended, where only that one is meant.
        ended_at: Option<Timestamp>,
        /// Told once it is durable.
        reply: oneshot::Sender<RemovalReply>,
    },
    /// Something happened to an instance.
    Input {
        /// The instance.
        instance: InstanceId,
        /// What.
        input: Input,
        /// Told once it is durable, where somebody asks.
        reply: Option<oneshot::Sender<Reply>>,
    },
    /// A worker answers an assignment; its fate is told through its release, once durable.
    Reported(Report),
    /// A worker will not answer an assignment.
    Lost {
        /// Which one.
        key: AssignmentKey,
        /// Who had it, and why it is lost.
        loss: DeliveryLoss,
    },
    /// A parent ends a child that it does not wait for any more, and wants to know when it is gone.
    CancelChild {
        /// The parent.
        parent: InstanceId,
        /// The child.
        child: InstanceId,
    },
    /// An event, for whoever waits for it.
    Event(Arc<EventTicket>),
    /// An event for one instance, if it waits for it.
    EventTo {
        /// The instance.
        instance: InstanceId,
        /// The event.
        ticket: Arc<EventTicket>,
    },
    /// The bus has an event that an instance emitted.
    Stamped {
        /// The instance.
        instance: InstanceId,
        /// The event.
        ticket: Arc<EventTicket>,
    },
    /// An event to be kept that nobody waits for.
    Keep(Box<EventToKeep>),
    /// An event is kept for whoever waits for it, or one instance may have it now that did not get
    /// to see it.
    Early(EarlyKey, Option<InstanceId>),
    /// There was no room for an event that an instance emitted; now there is.
    EmitAgain {
        /// The instance.
        instance: InstanceId,
        /// The visit of its `emit`.
        frame: FrameId,
    },
    /// Somebody wants to see an instance.
    Show {
        /// The instance.
        instance: InstanceId,
        /// The question to people that is looked for, by its number; only its task is shown then.
        approval: Option<u64>,
        /// Where the view goes.
        reply: oneshot::Sender<Shown>,
    },
    /// What has changed of a claim on a limit, whose key the partition owns.
    Limit(Box<LimitNews>),
    /// Somebody wants to know how a line stands.
    LimitPlace {
        /// The key.
        key: Arc<str>,
        /// Whose place.
        name: (InstanceId, FrameId),
        /// Where the answer goes.
        reply: oneshot::Sender<Option<LimitPlace>>,
    },
    /// Something to do to a schedule.
    Schedule(ScheduleOrder),
    /// Somebody waits until all before it is durable.
    Settle(oneshot::Sender<()>),
    /// Somebody wants to know when an instance changes or ends.
    Watch {
        /// The instance.
        instance: InstanceId,
        /// What for, and where to tell.
        watch: Watch,
    },
}

/// A start.
pub struct NewInstance {
    /// The instance's id; an instance that already has it makes this a repeat.
    pub id: InstanceId,
    /// What it runs.
    pub plan: Arc<Plan>,
    /// Its raw input.
    pub input: Value,
    /// Labels.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// Its priority, 0 to 9.
    pub priority: u8,
    /// The parent, for a child.
    pub parent: Option<Parent>,
    /// The trace it is started in, where there is one.
    pub trace: Option<TraceContext>,
    /// Who starts it, where that is to be kept.
    pub by: Option<Arc<Requester>>,
    /// What becomes of it where its id has been used.
    pub policy: StartPolicy,
    /// Told once it is durable.
    pub reply: Option<oneshot::Sender<StartReply>>,
    /// Told when it has ended.
    pub ended: Option<oneshot::Sender<Ending>>,
}

/// A start of an instance that goes on for another one.
pub struct NewSuccessor {
    /// What it runs.
    pub plan: Arc<Plan>,
    /// What it begins with.
    pub succession: Succession,
    /// The state that leads to.
    pub instance: Instance,
    /// Told once it is durable.
    pub reply: oneshot::Sender<SuccessorReply>,
}

/// What became of a removal.
pub type RemovalReply = Result<(), NotRemoved>;

/// Why an instance is not removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRemoved {
    /// There is no such instance.
    Unknown,
    /// It has not ended.
    Status(Status),
    /// Something of it is on its way to the disk: a moment later it can be.
    Busy,
}

/// What became of a start that goes on for another instance: the instance that does, and whether
/// one did before.
pub type SuccessorReply = Result<(InstanceId, bool), NoSuccessor>;

/// Why no instance goes on for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSuccessor {
    /// There is no such instance.
    Unknown,
    /// As it stands, none may.
    Status(Status),
    /// As many do as may.
    TooMany,
    /// The version that it was to go on by is not deployed any more.
    Retired,
}

impl Message {
    /// The instance it is for; an event is for whoever waits for it.
    #[must_use]
    pub fn instance(&self) -> Option<InstanceId> {
        match self {
            Self::Start(start) => Some(start.id),
            Self::Succeed(new) => Some(new.succession.predecessor),
            Self::Reported(report) => Some(report.key.instance),
            Self::Lost { key, .. } => Some(key.instance),
            Self::CancelChild { child: instance, .. }
            | Self::Input { instance, .. }
            | Self::EmitAgain { instance, .. }
            | Self::EventTo { instance, .. }
            | Self::Stamped { instance, .. }
            | Self::Remove { instance, .. }
            | Self::Show { instance, .. }
            | Self::Watch { instance, .. } => Some(*instance),
            Self::Event(_)
            | Self::Keep(_)
            | Self::Early(..)
            | Self::Schedule(_)
            | Self::Settle(_)
            | Self::Limit(_)
            | Self::LimitPlace { .. } => None,
        }
    }

    /// Approximate bytes of the data in it that only it holds.
    #[must_use]
    pub fn weight(&self) -> u64 {
        match self {
            Self::Start(start) => start.input.weight(),
            Self::Succeed(new) => new.succession.weight(),
            Self::Reported(report) => report.result.as_ref().map_or(0, Value::weight),
            Self::Input { input, .. } => match input.bare() {
                Input::ChildEnded { outcome: ChildOutcome::Completed(output), .. }
                | Input::Skip { output, .. } => output.weight(),
                _ => 0,
            },
            Self::Event(_)
            | Self::EventTo { .. }
            | Self::Stamped { .. }
            | Self::Keep(_)
            | Self::Early(..)
            | Self::Schedule(_)
            | Self::Settle(_)
            | Self::Limit(_)
            | Self::LimitPlace { .. }
            | Self::Lost { .. }
            | Self::CancelChild { .. }
            | Self::EmitAgain { .. }
            | Self::Remove { .. }
            | Self::Show { .. }
            | Self::Watch { .. } => 0,
        }
    }
}

/// What became of a start.
#[derive(Clone, Debug, PartialEq)]
pub struct StartReply {
    /// The instance: the one that was started, or that had the id or key before.
    pub id: InstanceId,
    /// The start that had the id before; nothing where this is the first.
    pub earlier: Option<Earlier>,
    /// True where there is none: its version was retired or deleted while it was on its way.
    pub retired: bool,
    /// How the instance stands that has the id or key, where that refuses the start.
    pub refused: Option<Status>,
}

/// The start that an instance was made by, compared to a later one under its id.
#[derive(Clone, Debug, PartialEq)]
pub struct Earlier {
    /// What it runs.
    pub workflow: WorkflowId,
    /// The text of that.
    pub digest: Digest,
    /// Its input, where the later one has another.
    pub input: Option<Value>,
}

/// What became of a worker's report, once that is durable. Whichever it is, the worker can forget
/// the assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The instance took it.
    Accepted,
    /// It is about nothing that is open: repeated, or too late.
    Stale,
    /// There is no such instance.
    Unknown,
}

/// What became of an input.
pub type Reply = Result<(), Refusal>;

/// Why an input was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such instance.
    Unknown,
    /// It is set aside: only an operator reaches it.
    Quarantined,
    /// It changes nothing, as the instance stands.
    Rejected(Rejection, Status),
}

/// What a partition has to show of an instance.
pub enum Shown {
    /// All of it.
    View(Box<InstanceView>),
    /// Nothing: the journal has it, or nobody.
    NotInMemory,
}

/// Somebody waits for news of an instance.
pub enum Watch {
    /// Its end.
    End(oneshot::Sender<Ending>),
    /// Any fact from this sequence number on, or its end.
    Change(u64, oneshot::Sender<()>),
}

/// An event on its way to all partitions.
pub struct EventTicket {
    /// The event.
    pub event: Arc<CloudEvent>,
    /// What has come of it so far.
    progress: Mutex<Progress>,
}

struct Progress {
    open: u16,
    consumed: usize,
    /// Namespaces that have consumed it.
    takers: BTreeSet<Arc<str>>,
    done: Option<Done>,
}

/// Who is told when all partitions have dealt with an event.
pub enum Done {
    /// A caller: what became of it.
    Caller(oneshot::Sender<EventOutcome>),
    /// The instance that emitted it.
    Emitter(PartitionId, InstanceId, FrameId),
}

/// What became of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventOutcome {
    /// Instances that consumed it.
    pub consumed: usize,
    /// Until when it is kept for one that will, where it is.
    pub kept_until: Option<Timestamp>,
}

/// An event that all partitions have dealt with.
pub struct Dealt {
    /// Who is to be told.
    pub done: Done,
    /// Instances that consumed it.
    pub consumed: usize,
    /// Their namespaces.
    pub takers: BTreeSet<Arc<str>>,
}

/// An event to be kept that nobody waits for.
pub struct EventToKeep {
    /// The event.
    pub event: Arc<CloudEvent>,
    /// The namespaces in which a definition waits for it, without those that had it.
    pub namespaces: Vec<Awaited>,
    /// Instances that consumed it.
    pub consumed: usize,
    /// Until when it is kept, as far as that is known.
    pub kept_until: Option<Timestamp>,
    /// Who is to be told.
    pub done: Done,
}

impl EventTicket {
    /// A ticket that `partitions` partitions must stamp.
    #[must_use]
    pub fn new(event: Arc<CloudEvent>, partitions: u16, done: Done) -> Arc<Self> {
        let (consumed, takers) = Default::default();
        let progress = Progress { open: partitions, consumed, takers, done: Some(done) };
        Arc::new(Self { event, progress: Mutex::new(progress) })
    }

    /// Notes a namespace that has consumed it.
    pub(super) fn taken_by(&self, namespace: &Arc<str>) {
        let mut progress = self.progress();
        if !progress.takers.contains(namespace) {
            progress.takers.insert(namespace.clone());
        }
    }

    /// One partition has dealt with the event, durably. The last one to do so gets whom to tell.
    pub fn stamp(&self, consumed: usize) -> Option<Dealt> {
        let mut progress = self.progress();
        progress.open = progress.open.saturating_sub(1);
        progress.consumed += consumed;
        if progress.open > 0 {
            return None;
        }
        let consumed = progress.consumed;
        let takers = std::mem::take(&mut progress.takers);
        progress.done.take().map(|done| Dealt { done, consumed, takers })
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(|it| it.into_inner())
    }
}
