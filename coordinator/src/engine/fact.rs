//! What is kept of what happened: versioned by the journal's record format, append-only.
//!
//! Names of variants are short because every step of every workflow writes some.

mod journaled;
mod purpose;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{Digest, FrameId, InstanceId, WorkflowId};
use windlass_proto::plan::{Flow, LimitTerms, TaskIx};
use windlass_proto::problem::Problem;
use windlass_proto::secret::SecretUse;
use windlass_proto::time::Timestamp;
use windlass_proto::trace::TraceContext;
use windlass_proto::value::Value;
use windlass_proto::wire::Field;

pub use journaled::{FactError, Journaled, decode, encode};
pub use purpose::TimerPurpose;

use super::instance::{Parent, Question, Step};
use super::loss::LossReason;
use super::requester::{Requested, Requester};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fact {
    /// The instance was accepted.
    #[serde(rename = "S")]
    Started {
        /// The workflow.
        workflow: WorkflowId,
        /// The definition it is pinned to.
        digest: Digest,
        /// The raw input.
        input: Value,
        /// The instance that runs it as a child.
        parent: Option<Parent>,
        /// Labels.
        labels: Vec<(Arc<str>, Arc<str>)>,
        /// Its priority, 0 to 9. Journals from before there were priorities lack it.
        #[serde(default = "super::instance::default_priority")]
        priority: u8,
        /// The trace it was started in, where there was one. Absent from older journals.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trace: Option<TraceContext>,
    },
    /// `input.from` of the workflow gave this.
    #[serde(rename = "I")]
    InputTransformed(Value),
    /// A task is visited: its frame is the next number.
    #[serde(rename = "o")]
    TaskOpened {
        /// The frame whose list or branches it belongs to.
        parent: FrameId,
        /// Position in that list.
        position: u32,
        /// The task.
        task: TaskIx,
        /// Its raw input, where that is not the parent's current value.
        #[serde(with = "super::optional")]
        raw: Option<Value>,
    },
    /// `input.from` of a task gave this.
    #[serde(rename = "i")]
    TaskInput {
        /// The visit.
        frame: FrameId,
        /// The transformed input.
        input: Value,
    },
    /// The task's `if` was false.
    #[serde(rename = "k")]
    TaskSkipped {
        /// The frame whose list it belongs to.
        parent: FrameId,
        /// Position in that list.
        position: u32,
        /// The task.
        task: TaskIx,
        /// Its own frame, when one was opened to evaluate the condition.
        frame: Option<FrameId>,
    },
    /// The task was handed to a worker.
    #[serde(rename = "d")]
    Dispatched {
        /// The visit.
        frame: FrameId,
        /// Which sending, from 1.
        delivery: u32,
    },
    /// An expression that names a secret, or looks into a sealed value, was handed to a worker.
    #[serde(rename = "e")]
    EvaluationRequested {
        /// The visit.
        frame: FrameId,
        /// Which field.
        field: Field,
        /// What it is evaluated on.
        value: Value,
        /// Which sending, from 1.
        delivery: u32,
        /// Where the flow goes after the task, where the task has decided that already.
        flow: Option<Flow>,
    },
    /// The delivery at a worker will not be answered: the worker is gone, or gave it back.
    #[serde(rename = "G")]
    DeliveryLost {
        /// The visit.
        frame: FrameId,
        /// True when the worker ended while it performed the task, which may be the task's doing.
        blamed: bool,
        /// The worker that had it, where that is known. Older journals lack it.
        #[serde(default)]
        worker: Option<Arc<str>>,
        /// Why. Older journals lack it.
        #[serde(default)]
        reason: Option<LossReason>,
    },
    /// Secrets were read for the visit, each in the version that is named. Comes before what the
    /// report of it leads to.
    #[serde(rename = "K")]
    SecretsUsed {
        /// The visit.
        frame: FrameId,
        /// Which, at least one.
        secrets: Vec<SecretUse>,
    },
    /// The task ended with an output.
    #[serde(rename = "c")]
    TaskCompleted {
        /// The visit.
        frame: FrameId,
        /// The transformed output; absent when it equals the transformed input.
        #[serde(with = "super::optional")]
        output: Option<Value>,
        /// The new context; absent when it stays.
        #[serde(with = "super::optional")]
        context: Option<Value>,
    },
    /// The task ended with an error.
    #[serde(rename = "f")]
    TaskFaulted {
        /// The visit.
        frame: FrameId,
        /// The error.
        problem: Problem,
    },
    /// A `for` has its items.
    #[serde(rename = "l")]
    LoopBegan {
        /// The visit.
        frame: FrameId,
        /// The items, an array.
        items: Value,
    },
    /// An iteration begins.
    #[serde(rename = "n")]
    Iterated {
        /// The visit of the `for`.
        frame: FrameId,
        /// The iteration, from 0.
        index: u32,
    },
    /// A `fork` has this many branches.
    #[serde(rename = "F")]
    Forked {
        /// The visit.
        frame: FrameId,
        /// How many branches.
        branches: u32,
    },
    /// What the branches of a `fork` changed of the context was merged.
    #[serde(rename = "m")]
    ContextMerged {
        /// The visit of the `fork`.
        frame: FrameId,
        /// The context.
        context: Value,
    },
    /// A branch of a competing `fork` failed while others go on.
    #[serde(rename = "b")]
    BranchFaulted {
        /// The visit of the `fork`.
        frame: FrameId,
        /// The branch.
        position: u32,
        /// Its error.
        problem: Problem,
    },
    /// A `do`, a function's body or another plain list begins in this frame.
    #[serde(rename = "s")]
    SequenceBegan {
        /// The visit.
        frame: FrameId,
        /// What the first task gets, where that is not the frame's transformed input.
        #[serde(with = "super::optional")]
        value: Option<Value>,
    },
    /// A `try` begins its first or next attempt.
    #[serde(rename = "t")]
    AttemptBegan {
        /// The visit of the `try`.
        frame: FrameId,
        /// The attempt, from 1.
        attempt: u32,
    },
    /// An attempt failed and the next one is due later.
    #[serde(rename = "r")]
    RetryScheduled {
        /// The visit of the `try`.
        frame: FrameId,
        /// The clause that caught the error.
        clause: u32,
        /// The error.
        problem: Problem,
        /// When the next attempt begins.
        due: Timestamp,
    },
    /// An error was caught; the clause's tasks follow.
    #[serde(rename = "C")]
    Caught {
        /// The visit of the `try`.
        frame: FrameId,
        /// The clause.
        clause: u32,
        /// The error.
        problem: Problem,
    },
    /// A timer was set; its number is the next one.
    #[serde(rename = "T")]
    TimerSet {
        /// The visit it belongs to; the root frame for the workflow's own.
        frame: FrameId,
        /// What for.
        purpose: TimerPurpose,
        /// When it is due.
        due: Timestamp,
    },
    /// A timer was due and has done its work.
    #[serde(rename = "x")]
    TimerFired {
        /// Its number.
        timer: u32,
    },
    /// An event was made.
    #[serde(rename = "E")]
    Emitted {
        /// The visit of the `emit`.
        frame: FrameId,
        /// The event.
        event: CloudEvent,
    },
    /// A `listen` waits for events.
    #[serde(rename = "L")]
    Subscribed {
        /// The visit of the `listen`.
        frame: FrameId,
        /// What correlations must be, as far as the definition says.
        expectations: Vec<(Arc<str>, Value)>,
    },
    /// A `listen` took an event.
    #[serde(rename = "v")]
    EventConsumed {
        /// The visit of the `listen`.
        frame: FrameId,
        /// The filter it matched; absent when no filter is given.
        filter: Option<u32>,
        /// What was read of it; absent for an event that only ends the listening.
        #[serde(with = "super::optional")]
        item: Option<Value>,
        /// Correlations it fixed.
        correlations: Vec<(Arc<str>, Value)>,
        /// True when the `listen` wants no further events.
        last: bool,
        /// The trace it was sent in, where it says so. Absent from older journals.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trace: Option<TraceContext>,
    },
    /// `foreach` of a `listen` begins with the next event.
    #[serde(rename = "g")]
    ItemBegan {
        /// The visit of the `listen`.
        frame: FrameId,
    },
    /// `foreach` of a `listen` is done with an event.
    #[serde(rename = "h")]
    ItemEnded {
        /// The visit of the `listen`.
        frame: FrameId,
        /// What it gave.
        output: Value,
        /// The new context; absent when it stays.
        #[serde(with = "super::optional")]
        context: Option<Value>,
    },
    /// A `listen` wants no further events, and drops those not yet taken up.
    #[serde(rename = "z")]
    ListenClosed {
        /// The visit of the `listen`.
        frame: FrameId,
    },
    /// A child is to be started.
    #[serde(rename = "w")]
    ChildStarted {
        /// The visit of the `run.workflow`.
        frame: FrameId,
        /// The child.
        child: InstanceId,
        /// Namespace, name, version.
        workflow: [Arc<str>; 3],
        /// Its input.
        input: Value,
        /// Whether its end is awaited.
        wait: bool,
    },
    /// Extensions begin around a task: their lists before it, or those after it.
    #[serde(rename = "B")]
    ExtensionsBegan {
        /// The visit of the extended task.
        frame: FrameId,
        /// Which extensions of the definition.
        extensions: Vec<u32>,
        /// What their tasks get: the task's input, or its output.
        value: Value,
        /// Where the flow goes after the task, when it has ended and has said so.
        flow: Option<Flow>,
        /// True for the lists after the task.
        after: bool,
    },
    /// The next extension's list begins.
    #[serde(rename = "p")]
    ExtensionBegan {
        /// The visit of the extended task.
        frame: FrameId,
        /// Which of the extensions at work, from 0.
        place: u32,
    },
    /// The lists before the task, or those after it, are done.
    #[serde(rename = "A")]
    ExtensionsEnded {
        /// The visit of the extended task.
        frame: FrameId,
    },
    /// A child that nobody waits for any more is to be cancelled. May come after the end.
    #[serde(rename = "u")]
    ChildAbandoned {
        /// The child.
        child: InstanceId,
    },
    /// An abandoned child has ended, or never began. May come after the end.
    #[serde(rename = "U")]
    ChildGone {
        /// The child.
        child: InstanceId,
    },
    /// The turn ended with these steps left over.
    #[serde(rename = "y")]
    Yielded(Vec<Step>),
    /// The steps left over are taken up again.
    #[serde(rename = "Y")]
    Continued,
    /// Somebody asked for what follows in this turn, or for the start that came before. Only where
    /// it is known who they are, or they said why.
    #[serde(rename = "W")]
    Requested {
        /// What they asked for.
        action: Requested,
        /// Who they are.
        by: Arc<Requester>,
    },
    /// An operator stopped it for a while.
    #[serde(rename = "P")]
    Suspended,
    /// An operator let it go on, or nothing is left of what had failed and suspended it.
    #[serde(rename = "R")]
    Resumed,
    /// A task failed, nothing catches that, and the definition asks to suspend instead of faulting:
    /// the visit stands at its beginning, and what was inside of it is closed.
    #[serde(rename = "H")]
    Halted {
        /// The visit.
        frame: FrameId,
        /// The error that it would have ended with.
        problem: Problem,
    },
    /// An operator gives the output of a task, which follows.
    #[serde(rename = "O")]
    Overridden {
        /// The visit.
        frame: FrameId,
    },
    /// It is suspended because the process ended again and again while it worked on it.
    #[serde(rename = "q")]
    Quarantined(Arc<str>),
    /// It ended with an output.
    #[serde(rename = "D")]
    Completed(Value),
    /// It ended with the output of its last task, which the state has: the value of its own list.
    #[serde(rename = "V")]
    CompletedUnchanged,
    /// It ended with an error.
    #[serde(rename = "X")]
    Faulted(Problem),
    /// An operator ended it.
    #[serde(rename = "Q")]
    Cancelled(Option<Arc<str>>),
    /// All before this is what happened to another instance, which has ended: it goes on here, from
    /// the beginning of one visit.
    #[serde(rename = "J")]
    Succeeds {
        /// The other one.
        predecessor: InstanceId,
        /// The visit that begins again.
        frame: FrameId,
        /// Until when the facts before lead: timeouts do not count what lies between.
        since: Timestamp,
        /// What else was to be done then.
        pending: Vec<Step>,
        /// What the visit gets, where that is not what it got.
        #[serde(with = "super::optional")]
        raw: Option<Value>,
        /// The context that it sees, where that is not the one it saw.
        #[serde(with = "super::optional")]
        context: Option<Value>,
    },
    /// A visit, or the workflow as its root, asks for a share of a limit.
    #[serde(rename = "La")]
    LimitAsked {
        /// The visit.
        frame: FrameId,
        /// Namespace, scope and value of the key, with zero bytes between them.
        key: Arc<str>,
        /// What the limit gives.
        terms: LimitTerms,
    },
    /// It has a share now.
    #[serde(rename = "Lt")]
    LimitTaken {
        /// The visit.
        frame: FrameId,
    },
    /// It gets none, or has to give up the one that it had. What becomes of it follows.
    #[serde(rename = "Lr")]
    LimitRefused {
        /// The visit.
        frame: FrameId,
        /// True where it had one.
        displaced: bool,
    },
    /// Another workflow is to be started because this one has faulted. Comes after the end.
    #[serde(rename = "Hs")]
    HandlerStarted {
        /// The instance.
        child: InstanceId,
        /// Namespace, name, version.
        workflow: [Arc<str>; 3],
    },
    /// It has started, or never will. Comes after the end.
    #[serde(rename = "Hg")]
    HandlerSettled {
        /// Why not.
        refused: Option<Problem>,
    },
    /// A visit asks people to decide, and waits for that.
    #[serde(rename = "Ha")]
    ApprovalAsked {
        /// The visit.
        frame: FrameId,
        /// What, and whom.
        question: Question,
    },
    /// Somebody has decided.
    #[serde(rename = "Hd")]
    ApprovalDecided {
        /// The visit.
        frame: FrameId,
        /// The number of the question.
        number: u64,
        /// What.
        approved: bool,
        /// What they give.
        data: Value,
        /// Who, and why, as far as that is known.
        by: Option<Arc<Requester>>,
    },
    /// Another instance goes on in place of this one. Comes after the end.
    #[serde(rename = "j")]
    Succeeded {
        /// The other one.
        by: InstanceId,
        /// True where an operator has said at which task it begins.
        reset: bool,
    },
}

impl Fact {
    /// True for the end of the instance.
    #[must_use]
    pub fn is_end(&self) -> bool {
        matches!(
            self,
            Self::Completed(_) | Self::CompletedUnchanged | Self::Faulted(_) | Self::Cancelled(_)
        )
    }

    /// Approximate bytes of the values in it.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let mut weight = 0;
        self.each_value(&mut |value| weight += value.weight());
        weight
    }

    /// Shows the values in it.
    pub fn each_value<'f>(&'f self, see: &mut dyn FnMut(&'f Value)) {
        match self {
            Self::Started { input: value, .. }
            | Self::InputTransformed(value)
            | Self::TaskInput { input: value, .. }
            | Self::EvaluationRequested { value, .. }
            | Self::LoopBegan { items: value, .. }
            | Self::ContextMerged { context: value, .. }
            | Self::ChildStarted { input: value, .. }
            | Self::ApprovalDecided { data: value, .. }
            | Self::ExtensionsBegan { value, .. }
            | Self::Completed(value) => see(value),
            Self::Succeeds { raw, context, .. } => raw.iter().chain(context).for_each(see),
            Self::TaskOpened { raw: value, .. } | Self::SequenceBegan { value, .. } => {
                value.iter().for_each(see);
            }
            Self::TaskCompleted { output, context, .. } => {
                output.iter().chain(context).for_each(see);
            }
            Self::ItemEnded { output, context, .. } => {
                see(output);
                context.iter().for_each(see);
            }
            Self::Emitted { event, .. } => see(event.envelope()),
            Self::Subscribed { expectations, .. } => {
                expectations.iter().for_each(|(_, value)| see(value));
            }
            Self::EventConsumed { item, correlations, .. } => {
                item.iter().chain(correlations.iter().map(|it| &it.1)).for_each(see);
            }
            Self::TaskSkipped { .. }
            | Self::Dispatched { .. }
            | Self::DeliveryLost { .. }
            | Self::SecretsUsed { .. }
            | Self::TaskFaulted { .. }
            | Self::Iterated { .. }
            | Self::Forked { .. }
            | Self::BranchFaulted { .. }
            | Self::AttemptBegan { .. }
            | Self::RetryScheduled { .. }
            | Self::Caught { .. }
            | Self::TimerSet { .. }
            | Self::TimerFired { .. }
            | Self::ItemBegan { .. }
            | Self::ListenClosed { .. }
            | Self::ExtensionBegan { .. }
            | Self::ExtensionsEnded { .. }
            | Self::ChildAbandoned { .. }
            | Self::ChildGone { .. }
            | Self::Yielded(_)
            | Self::Continued
            | Self::Requested { .. }
            | Self::Suspended
            | Self::Halted { .. }
            | Self::Overridden { .. }
            | Self::Succeeded { .. }
            | Self::ApprovalAsked { .. }
            | Self::HandlerStarted { .. }
            | Self::HandlerSettled { .. }
            | Self::LimitAsked { .. }
            | Self::LimitTaken { .. }
            | Self::LimitRefused { .. }
            | Self::Quarantined(_)
            | Self::Resumed
            | Self::CompletedUnchanged
            | Self::Faulted(_)
            | Self::Cancelled(_) => {}
        }
    }
}
