//! Tasks on their way to workers, and reports on their way back.

use std::sync::Arc;

use windlass_proto::wire::{Assignment, AssignmentKey, Report};

use crate::engine::Input;
use crate::partition::{Inbox, Message};

/// Takes assignments to workers.
pub trait Queue: Send + Sync + 'static {
    /// Hands over an assignment whose facts are durable. Must not block; how many can be open at
    /// once is bounded by what the coordinator admits.
    fn send(&self, assignment: Assignment);

    /// Tells that an assignment is no longer wanted. The worker may have finished it already.
    fn cancel(&self, key: AssignmentKey);
}

/// Takes reports to the partitions they belong to; cheap to clone.
#[derive(Clone)]
pub struct Reporter {
    inboxes: Arc<[Inbox]>,
}

impl Reporter {
    pub(crate) fn new(inboxes: Arc<[Inbox]>) -> Self {
        Self { inboxes }
    }

    /// Hands over a worker's report. Whether it is accepted, the instance decides.
    pub fn report(&self, report: Report) {
        let Report { key, result } = report;
        let partitions = u16::try_from(self.inboxes.len()).unwrap_or(u16::MAX);
        let partition = key.instance.partition(partitions);
        let input = Input::Reported { frame: key.frame, delivery: key.delivery, result };
        let message = Message::Input { instance: key.instance, input, reply: None };
        if let Some(inbox) = self.inboxes.get(usize::from(partition.0)) {
            // A partition that has stopped sends the assignment again when it is back.
            let _ = inbox.send(message);
        }
    }
}
