//! The way from outside to the partition that an instance belongs to.

use std::sync::Arc;

use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::problem::Problem;
use windlass_proto::wire::{AssignmentKey, GENERATION_SHIFT, Report};

use super::{EventTicket, Inbox, Message};
use crate::engine::{DeliveryLoss, Input};

/// Takes what is told of assignments to the partitions they belong to; cheap to clone.
#[derive(Clone)]
pub struct Reporter {
    inboxes: Arc<[Inbox]>,
    epoch: u64,
}

impl Reporter {
    pub(crate) fn new(inboxes: Arc<[Inbox]>, epoch: u64) -> Self {
        Self { inboxes, epoch }
    }

    /// True for an assignment of a copy that was restored from a backup of this journal: to be told
    /// as lost, which ends this coordinator.
    pub(crate) fn is_replaced_by(&self, key: &AssignmentKey) -> bool {
        key.generation() > self.epoch >> GENERATION_SHIFT
    }

    /// Hands over a worker's report. Whether it is accepted, the instance decides:
    /// [`Queue::settled`](crate::dispatch::Queue::settled) tells. Without such an answer, as when
    /// the coordinator stops, nothing is known of it, and the report may be repeated.
    pub fn report(&self, report: Report) {
        self.send(report.key.instance, Message::Reported(report));
    }

    /// Tells that an assignment will not be answered. If it is the live delivery of its visit, the
    /// visit is sent again as the next delivery, or fails when that has happened too often: only
    /// losses that a worker is to be blamed for count.
    pub fn lost(&self, key: AssignmentKey, loss: DeliveryLoss) {
        self.send(key.instance, Message::Lost { key, loss });
    }

    /// Tells that the bus has an event that an instance emitted.
    pub(crate) fn stamped(&self, instance: InstanceId, ticket: Arc<EventTicket>) {
        self.send(instance, Message::Stamped { instance, ticket });
    }

    /// Tells that an emitted event was handed over, or why it never will be.
    pub(crate) fn published(
        &self,
        instance: InstanceId,
        frame: FrameId,
        result: Result<(), Problem>,
    ) {
        let input = Input::Published { frame, result };
        self.send(instance, Message::Input { instance, input, reply: None });
    }

    /// Asks for an emitted event again.
    pub(crate) fn emit_again(&self, instance: InstanceId, frame: FrameId) {
        self.send(instance, Message::EmitAgain { instance, frame });
    }

    fn send(&self, instance: InstanceId, message: Message) {
        let partitions = u16::try_from(self.inboxes.len()).unwrap_or(u16::MAX);
        let partition = instance.partition(partitions);
        if let Some(inbox) = self.inboxes.get(usize::from(partition.0)) {
            // A partition that has stopped sends the assignment again when it is back.
            let _ = inbox.send(message);
        }
    }
}
