//! What the engine wants done outside of an instance, as what leaves the partition.

use std::sync::Arc;

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{FrameId, PartitionId};
use windlass_proto::plan::Plan;
use windlass_proto::wire::{Assignment, AssignmentKey};

use super::Batch;
use super::release::Release;
use crate::engine::{Effect, Input, Instance};
use crate::trace::Passing;

/// Turns the engine's effects into releases.
pub(super) struct Sender<'s> {
    pub(super) partition: PartitionId,
    pub(super) epoch: u64,
    pub(super) plan: &'s Arc<Plan>,
    pub(super) instance: &'s Instance,
    /// What goes along of its trace.
    pub(super) passing: Option<Passing<'s>>,
}

impl Sender<'_> {
    fn key(&self, frame: FrameId, delivery: u32) -> AssignmentKey {
        let (instance, partition, epoch) = (self.instance.id, self.partition, self.epoch);
        AssignmentKey { instance, frame, delivery, partition, epoch }
    }

    pub(super) fn send(&self, batch: &mut Batch, effect: Effect) {
        let release = match effect {
            Effect::Dispatch {
                frame,
                delivery,
                task,
                reference,
                visit,
                work,
                input,
                variables,
                deadline,
                losses,
                recovered,
            } => {
                let trace = self.passing.as_ref().and_then(|it| it.delivery(frame, delivery));
                let assignment = Assignment {
                    key: self.key(frame, delivery),
                    workflow: self.plan.id.clone(),
                    digest: self.plan.digest.clone(),
                    task,
                    reference,
                    visit,
                    work,
                    input,
                    variables,
                    now: batch.now,
                    deadline,
                    traceparent: trace.as_ref().map(|it| it.traceparent().into()),
                    tracestate: trace.and_then(|it| it.state),
                    pool: self.plan.task(task).pool.clone(),
                    priority: self.instance.priority,
                    losses,
                    grant: None,
                };
                Release::Dispatch { assignment: Box::new(assignment), recovered }
            }
            Effect::CancelAssignment { frame, delivery } => {
                Release::Cancel(self.key(frame, delivery))
            }
            Effect::Publish { frame, event } => {
                let namespace = self.plan.id.namespace.clone();
                let event = in_trace(event, self.passing.as_ref(), frame);
                Release::Publish { instance: self.instance.id, frame, event, namespace }
            }
            Effect::StartChild { parent, child, workflow, input } => {
                let priority = self.instance.priority;
                let trace = self.passing.as_ref();
                let trace = trace.and_then(|it| it.child(parent.frame));
                Release::StartChild { parent, child, workflow, input, priority, trace }
            }
            Effect::CancelChild { child } => {
                Release::CancelChild { parent: self.instance.id, child }
            }
            Effect::NotifyParent { parent, frame, outcome } => {
                Release::Tell(parent, Input::ChildEnded { frame, outcome })
            }
            Effect::Yield => Release::Tell(self.instance.id, Input::Continue),
            // Watchers are told when the batch is sealed.
            Effect::Ended(_) => return,
        };
        batch.releases.push(release);
    }
}

/// An event as it leaves: it says of the trace of the visit that emits it.
pub(super) fn in_trace(
    event: Arc<CloudEvent>,
    passing: Option<&Passing>,
    frame: FrameId,
) -> Arc<CloudEvent> {
    match passing.and_then(|it| it.visit(frame)) {
        Some(trace) => Arc::new(event.in_trace(&trace)),
        None => event,
    }
}
