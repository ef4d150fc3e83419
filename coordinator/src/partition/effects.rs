//! What the engine wants done outside of an instance, as what leaves the partition.

use std::sync::Arc;

use windlass_proto::id::{FrameId, InstanceId, PartitionId};
use windlass_proto::plan::Plan;
use windlass_proto::wire::{Assignment, AssignmentKey};

use super::Batch;
use super::release::Release;
use crate::engine::{Effect, Input};

/// Turns the engine's effects into releases.
pub(super) struct Sender<'s> {
    pub(super) partition: PartitionId,
    pub(super) epoch: u64,
    pub(super) plan: &'s Arc<Plan>,
    pub(super) instance: InstanceId,
    pub(super) priority: u8,
}

impl Sender<'_> {
    fn key(&self, frame: FrameId, delivery: u32) -> AssignmentKey {
        let (instance, partition, epoch) = (self.instance, self.partition, self.epoch);
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
                    traceparent: None,
                    pool: self.plan.task(task).pool.clone(),
                    priority: self.priority,
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
                Release::Publish { instance: self.instance, frame, event, namespace }
            }
            Effect::StartChild { parent, child, workflow, input } => {
                Release::StartChild { parent, child, workflow, input, priority: self.priority }
            }
            Effect::CancelChild { child } => Release::CancelChild { parent: self.instance, child },
            Effect::NotifyParent { parent, frame, outcome } => {
                Release::Tell(parent, Input::ChildEnded { frame, outcome })
            }
            Effect::Yield => Release::Tell(self.instance, Input::Continue),
            // Watchers are told when the batch is sealed.
            Effect::Ended(_) => return,
        };
        batch.releases.push(release);
    }
}
