//! What leaves a partition once the facts it rests on are durable.

use std::sync::Arc;

use tokio::sync::oneshot;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{FrameId, InstanceId, PartitionId};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::trace::TraceContext;
use windlass_proto::value::Value;
use windlass_proto::wire::{Assignment, AssignmentKey};
use windlass_telemetry::FinishedSpan;

use super::message::{
    Dealt, Done, EventOutcome, EventTicket, EventToKeep, Message, NewInstance, RemovalReply, Reply,
    Shown, StartReply, SuccessorReply, Verdict,
};
use super::schedules::ScheduleAnswer;
use super::shares::{LimitNews, LimitPlace};
use super::start_policy::StartPolicy;
use crate::catalog::Catalog;
use crate::early::{self, EarlyEvents};
use crate::engine::{ChildOutcome, Ending, Input, Parent};
use crate::events::lifecycle::{Level, LifecycleEvent};
use crate::journal::EarlyKey;

/// One thing to let go.
pub enum Release {
    /// A task for a worker.
    Dispatch {
        /// The task.
        assignment: Box<Assignment>,
        /// True when this delivery was sent before a restart: a worker may hold it still.
        recovered: bool,
    },
    /// Everything this partition had at workers before a restart has been dispatched again.
    Recovered,
    /// A task no longer wanted.
    Cancel(AssignmentKey),
    /// What became of a worker's report.
    Settled(AssignmentKey, Verdict),
    /// A message to an instance, whichever partition owns it.
    Tell(InstanceId, Input),
    /// A child to start.
    StartChild {
        /// The parent, and the visit of its `run.workflow`.
        parent: Parent,
        /// The child.
        child: InstanceId,
        /// Namespace, name, version.
        workflow: [Arc<str>; 3],
        /// Its input.
        input: Value,
        /// Its priority: its parent's.
        priority: u8,
        /// The trace it is started in, where that does not follow from its parent.
        trace: Option<TraceContext>,
    },
    /// A child to end.
    CancelChild {
        /// The parent.
        parent: InstanceId,
        /// The child.
        child: InstanceId,
    },
    /// An emitted event, for all partitions and the bus.
    Publish {
        /// Who emitted it.
        instance: InstanceId,
        /// The visit of its `emit`.
        frame: FrameId,
        /// The event.
        event: Arc<CloudEvent>,
        /// The namespace of its workflow.
        namespace: Arc<str>,
    },
    /// This partition has dealt with an event.
    Stamp(Arc<EventTicket>, usize),
    /// An event that was to be kept has been dealt with.
    EventDone(Done, EventOutcome),
    /// An event that is kept is durable.
    EarlyKept(EarlyKey),
    /// An event to keep for more namespaces than a turn has room for.
    KeepRest(Box<EventToKeep>),
    /// An instance may have an event now that another partition has put back.
    EarlyAgain(PartitionId, InstanceId, EarlyKey),
    /// That an event which was kept is consumed is durable.
    EarlyGone(EarlyKey),
    /// An answer to a start.
    Started(oneshot::Sender<StartReply>, StartReply),
    /// An answer to a start that goes on for another instance.
    Succeeded(oneshot::Sender<SuccessorReply>, SuccessorReply),
    /// An answer to a removal.
    Removed(oneshot::Sender<RemovalReply>, RemovalReply),
    /// An answer to an input.
    Answered(oneshot::Sender<Reply>, Reply),
    /// What has changed of a claim, for the partition that owns its key.
    Limit(PartitionId, Box<LimitNews>),
    /// An answer to who wants to know how a line stands.
    LimitPlace(oneshot::Sender<Option<LimitPlace>>, Option<LimitPlace>),
    /// An answer to who does something to a schedule.
    Scheduled(oneshot::Sender<ScheduleAnswer>, ScheduleAnswer),
    /// All before it is durable.
    Settle(oneshot::Sender<()>),
    /// A view of an instance.
    Shown(oneshot::Sender<Shown>, Shown),
    /// Something to tell others of an instance.
    Lifecycle(Box<LifecycleEvent>),
    /// Spans that are over.
    Spans(Vec<FinishedSpan>),
    /// An instance that has faulted and was not recorded: its trace is told from its journal.
    TellTrace(InstanceId),
    /// Word for who waits for an end.
    Ended(oneshot::Sender<Ending>, Ending),
    /// Word for who waits for a change.
    Changed(oneshot::Sender<()>),
}

/// An event on its way out.
pub struct Emitted {
    /// The event, and what is to be stamped once `JetStream` has it.
    pub ticket: Arc<EventTicket>,
    /// The namespace of the workflow that emits it.
    pub namespace: Arc<str>,
    /// The instance that emits it.
    pub instance: InstanceId,
    /// The visit of its `emit`.
    pub frame: FrameId,
}

/// Where releases go.
pub trait ReleaseTarget: Send + Sync {
    /// Number of partitions.
    fn partitions(&self) -> u16;
    /// Definitions, for starting children.
    fn catalog(&self) -> &Catalog;
    /// Hands a task to the workers. `recovered` is true for a delivery that was sent before the
    /// coordinator restarted, which a worker may hold still.
    fn dispatch(&self, assignment: Assignment, recovered: bool);
    /// A partition has dispatched everything it had at workers before a restart.
    fn recovered(&self) {}
    /// Tells the workers that a task is no longer wanted.
    fn cancel(&self, key: AssignmentKey);
    /// Tells what became of a report, which is durable.
    fn settled(&self, key: &AssignmentKey, verdict: Verdict);
    /// Hands a message to a partition. Never blocks.
    fn send(&self, partition: PartitionId, message: Message);
    /// False where workflows are not to start by their schedules.
    fn fires_schedules(&self) -> bool {
        true
    }
    /// What is to be told of workflows and their tasks.
    fn lifecycle(&self) -> Level {
        Level::Off
    }
    /// Hands over what happened to an instance. Never blocks.
    fn announce(&self, _news: LifecycleEvent) {}
    /// Takes spans that are over. Never blocks.
    fn trace(&self, _spans: Vec<FinishedSpan>) {}
    /// Tells the trace of an instance from its journal. Never blocks.
    fn tell_trace(&self, _instance: InstanceId) {}
    /// The events that are kept until somebody waits for them, where some are.
    fn early(&self) -> Option<&EarlyEvents> {
        None
    }
    /// True where emitted events also go to a bus, which stamps each of them too.
    fn has_bus(&self) -> bool {
        false
    }
    /// Hands an emitted event to the bus. Never blocks.
    fn publish(&self, _emitted: Emitted) {}
}

impl Release {
    /// Lets it go. A receiver that has gone away is no error: nobody wants the answer any more.
    pub fn go(self, target: &dyn ReleaseTarget) {
        match self {
            Self::Dispatch { assignment, recovered } => target.dispatch(*assignment, recovered),
            Self::Recovered => target.recovered(),
            Self::Cancel(key) => target.cancel(key),
            Self::Settled(key, verdict) => target.settled(&key, verdict),
            Self::Tell(instance, input) => send_input(target, instance, input),
            Self::StartChild { parent, child, workflow, input, priority, trace } => {
                start_child(target, parent, child, &workflow, (input, priority, trace));
            }
            Self::CancelChild { parent, child } => {
                let partition = child.partition(target.partitions());
                target.send(partition, Message::CancelChild { parent, child });
            }
            Self::Publish { instance, frame, event, namespace } => {
                let (partitions, has_bus) = (target.partitions(), target.has_bus());
                let done = Done::Emitter(instance.partition(partitions), instance, frame);
                // The bus has to stamp it too.
                let stamps = partitions.saturating_add(u16::from(has_bus));
                let ticket = EventTicket::new(event, stamps, done);
                for partition in 0..partitions {
                    target.send(PartitionId(partition), Message::Event(ticket.clone()));
                }
                if has_bus {
                    target.publish(Emitted { ticket, namespace, instance, frame });
                }
            }
            Self::Spans(spans) => target.trace(spans),
            Self::TellTrace(instance) => target.tell_trace(instance),
            Self::Lifecycle(lifecycle) => target.announce(*lifecycle),
            Self::Stamp(ticket, consumed) => {
                if let Some(dealt) = ticket.stamp(consumed) {
                    dealt_with(target, &ticket.event, dealt);
                }
            }
            Self::EventDone(done, outcome) => tell(target, done, outcome),
            Self::EarlyKept(key) => show_early(target, key),
            Self::KeepRest(keep) => {
                let home = early::home(&keep.event, target.partitions());
                target.send(home, Message::Keep(keep));
            }
            Self::EarlyAgain(partition, instance, key) => {
                target.send(partition, Message::Early(key, Some(instance)));
            }
            Self::EarlyGone(key) => {
                if let Some(early) = target.early() {
                    early.gone(key);
                }
            }
            Self::Limit(owner, news) => target.send(owner, Message::Limit(news)),
            Self::LimitPlace(reply, place) => drop(reply.send(place)),
            Self::Started(reply, started) => drop(reply.send(started)),
            Self::Removed(reply, answer) => drop(reply.send(answer)),
            Self::Succeeded(reply, answer) => drop(reply.send(answer)),
            Self::Answered(reply, answer) => drop(reply.send(answer)),
            Self::Scheduled(reply, answer) => drop(reply.send(answer)),
            Self::Settle(reply) => drop(reply.send(())),
            Self::Shown(reply, shown) => drop(reply.send(shown)),
            Self::Ended(reply, ending) => drop(reply.send(ending)),
            Self::Changed(reply) => drop(reply.send(())),
        }
    }
}

/// An event is kept now: who has begun to wait since it came did not see it.
fn show_early(target: &dyn ReleaseTarget, key: EarlyKey) {
    if let Some(early) = target.early() {
        early.shown(key);
    }
    for partition in 0..target.partitions() {
        target.send(PartitionId(partition), Message::Early(key, None));
    }
}

/// All partitions have dealt with an event: it is kept where a definition waits for it and nobody
/// had it, else it is done.
fn dealt_with(target: &dyn ReleaseTarget, event: &Arc<CloudEvent>, dealt: Dealt) {
    let Dealt { done, consumed, takers } = dealt;
    let keeps = target.early().is_some_and(EarlyEvents::keeps);
    let others_wait = || match takers.first() {
        Some(only) if takers.len() == 1 => target.catalog().is_awaited_beside(event.kind(), only),
        _ => true,
    };
    let mut namespaces = Vec::new();
    if keeps && others_wait() {
        namespaces = target.catalog().awaited(event.kind());
        namespaces.retain(|it| !takers.contains(&it.namespace));
    }
    if namespaces.is_empty() {
        return tell(target, done, EventOutcome { consumed, kept_until: None });
    }
    let home = early::home(event, target.partitions());
    let event = event.clone();
    let kept_until = None;
    let keep = EventToKeep { event, namespaces, consumed, kept_until, done };
    target.send(home, Message::Keep(Box::new(keep)));
}

/// Tells what became of an event.
fn tell(target: &dyn ReleaseTarget, done: Done, outcome: EventOutcome) {
    match done {
        Done::Caller(caller) => drop(caller.send(outcome)),
        Done::Emitter(_, instance, frame) => {
            send_input(target, instance, Input::Published { frame, result: Ok(()) });
        }
    }
}

fn send_input(target: &dyn ReleaseTarget, instance: InstanceId, input: Input) {
    let partition = instance.partition(target.partitions());
    target.send(partition, Message::Input { instance, input, reply: None });
}

fn start_child(
    target: &dyn ReleaseTarget,
    parent: Parent,
    id: InstanceId,
    [namespace, name, version]: &[Arc<str>; 3],
    (input, priority, trace): (Value, u8, Option<TraceContext>),
) {
    let catalog = target.catalog();
    // One that was started before goes on although its version was retired meanwhile.
    let plan = catalog.find(namespace, name, Some(version)).or_else(|| catalog.plan_of(id));
    match plan {
        Some(plan) => {
            let start = NewInstance {
                id,
                plan,
                input,
                labels: Vec::new(),
                priority,
                parent: Some(parent),
                trace,
                by: None,
                policy: StartPolicy::default(),
                reply: None,
                ended: None,
            };
            target.send(id.partition(target.partitions()), Message::Start(Box::new(start)));
        }
        None => {
            let what = if parent.has_faulted() { "`onFault`" } else { "`run.workflow`" };
            let detail =
                format!("{what} names {namespace}/{name}:{version}, which is not deployed here");
            let outcome = ChildOutcome::Faulted(Problem::new(Standard::Configuration, detail));
            let input = Input::ChildEnded { frame: parent.frame, outcome };
            send_input(target, parent.instance, input);
        }
    }
}
