//! Tasks on their way to workers, and reports on their way back.
//!
//! [`Queue`] is all that partitions know of workers. In one process it hands assignments straight to
//! a worker; over NATS it is [`crate::fleet`], which leaves the decisions to [`dispatcher`]: who
//! takes what, from the [`backlog`], and what is lost.

pub mod backlog;
pub mod census;
pub mod dispatcher;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::problem::Problem;
use windlass_proto::wire::{Assignment, AssignmentKey, Report};

pub use self::dispatcher::Whereabouts;
use crate::engine::{DeliveryLoss, Input};
use crate::fleet::FleetView;
pub use crate::partition::Verdict;
use crate::partition::{Inbox, Message};

/// Takes assignments to workers.
pub trait Queue: Send + Sync + 'static {
    /// Hands over an assignment whose facts are durable. Must not block; how many can be open at
    /// once is bounded by what the coordinator admits.
    fn send(&self, assignment: Assignment);

    /// Hands over an assignment that was sent before the coordinator restarted, under the delivery
    /// number it had then. A worker that has survived the restart may hold it still, so a queue whose
    /// workers do must not send it to another one before it counts as lost. Where the workers have
    /// ended with the last coordinator nobody holds it, and it is sent. Must not block.
    fn recover(&self, assignment: Assignment) {
        self.send(assignment);
    }

    /// Tells that everything that was open before a restart has been handed over by
    /// [`Queue::recover`]: what a worker holds beside that is not wanted any more.
    fn recovered(&self) {}

    /// Tells that an assignment is no longer wanted. The worker may have finished it already.
    fn cancel(&self, key: AssignmentKey);

    /// Tells what became of a report, once that is durable: the worker need not repeat it any more.
    /// The key is the report's own. Runs between commits, so it must not block.
    fn settled(&self, _key: &AssignmentKey, _verdict: Verdict) {}

    /// False when so much of a namespace waits for workers that no more should be started in it.
    fn admits(&self, _namespace: &str) -> bool {
        true
    }

    /// The workers and what waits for them; none where there is no fleet, or it does not answer in
    /// time.
    fn view(&self) -> BoxFuture<'_, Option<FleetView>> {
        Box::pin(async { None })
    }

    /// Where assignments are, in the order of `keys`; nothing of those that are not known, and no
    /// answer at all where the worker is in this process or the fleet does not answer in time.
    fn whereabouts(&self, _keys: Vec<AssignmentKey>) -> BoxFuture<'_, Vec<Option<Whereabouts>>> {
        Box::pin(async { Vec::new() })
    }

    /// Tells the workers that this coordinator ends, so that they look for the next one at once.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// Takes what is told of assignments to the partitions they belong to; cheap to clone.
#[derive(Clone)]
pub struct Reporter {
    inboxes: Arc<[Inbox]>,
}

impl Reporter {
    pub(crate) fn new(inboxes: Arc<[Inbox]>) -> Self {
        Self { inboxes }
    }

    /// Hands over a worker's report. Whether it is accepted, the instance decides:
    /// [`Queue::settled`] tells. Without such an answer, as when the coordinator stops, nothing is
    /// known of it, and the report may be repeated.
    pub fn report(&self, report: Report) {
        self.tell(report.key.instance, Message::Reported(report));
    }

    /// Tells that an assignment will not be answered. If it is the live delivery of its visit, the
    /// visit is sent again as the next delivery, or fails when that has happened too often: only
    /// losses that a worker is to be blamed for count.
    pub fn lost(&self, key: AssignmentKey, loss: DeliveryLoss) {
        self.tell(key.instance, Message::Lost { key, loss });
    }

    /// Tells that an emitted event was handed over, or why it never will be.
    pub(crate) fn published(
        &self,
        instance: InstanceId,
        frame: FrameId,
        result: Result<(), Problem>,
    ) {
        let input = Input::Published { frame, result };
        self.tell(instance, Message::Input { instance, input, reply: None });
    }

    /// Asks for an emitted event again.
    pub(crate) fn emit_again(&self, instance: InstanceId, frame: FrameId) {
        self.tell(instance, Message::EmitAgain { instance, frame });
    }

    fn tell(&self, instance: InstanceId, message: Message) {
        let partitions = u16::try_from(self.inboxes.len()).unwrap_or(u16::MAX);
        let partition = instance.partition(partitions);
        if let Some(inbox) = self.inboxes.get(usize::from(partition.0)) {
            // A partition that has stopped sends the assignment again when it is back.
            let _ = inbox.send(message);
        }
    }
}
