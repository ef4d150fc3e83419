//! What faults start, as long as it is not known to have started.
//!
//! Where there is no room for one, or its workflow is suspended, nobody keeps its start: the
//! instance that has faulted is in the journal and asks again, here while the process lives.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use windlass_proto::id::InstanceId;
use windlass_proto::limits::{self, FAULT_INPUT_BYTES, HANDLERS_AT_ONCE, HANDLERS_LOOKED_AT};
use windlass_proto::time::Timestamp;

use super::{Batch, Partition};
use crate::engine::FaultHandler;
use crate::journal::JournalError;

/// Instances that have faulted and whose handlers are not known to have started.
#[derive(Default)]
pub(super) struct Handlers {
    /// The workflows that they start: namespace, name.
    pending: HashMap<InstanceId, [Arc<str>; 2]>,
    /// In order of when they ask again; those that are not pending any more are skipped.
    line: VecDeque<(Timestamp, InstanceId)>,
    /// None asks before this.
    paused_until: Timestamp,
}

impl Handlers {
    /// Takes what a decision has made of an instance.
    pub(super) fn note(&mut self, id: InstanceId, of: Option<&FaultHandler>, now: Timestamp) {
        let Some(handler) = of else { return };
        if !handler.pending {
            return self.forget(id);
        }
        let [namespace, name, _] = handler.workflow.clone();
        if self.pending.insert(id, [namespace, name]).is_none() {
            self.line.push_back((now.plus(limits::HANDLER_AGAIN_MS), id));
        }
    }

    fn forget(&mut self, id: InstanceId) {
        if self.pending.remove(&id).is_none() {
            return;
        }
        // Most settle in the order in which they were asked for.
        while self.line.front().is_some_and(|(_, id)| !self.pending.contains_key(id)) {
            self.line.pop_front();
        }
    }

    /// True while it is not known whether what an instance starts has started.
    pub(super) fn is_pending(&self, id: InstanceId) -> bool {
        self.pending.contains_key(&id)
    }

    /// When the next one asks.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.line.front().map(|(due, _)| (*due).max(self.paused_until))
    }

    /// Takes the next one that is due, and puts it at the end of the line.
    fn next(&mut self, now: Timestamp) -> Option<(InstanceId, [Arc<str>; 2])> {
        while self.line.front().is_some_and(|(due, _)| *due <= now) {
            let (_, id) = self.line.pop_front()?;
            if let Some(workflow) = self.pending.get(&id) {
                self.line.push_back((now.plus(limits::HANDLER_AGAIN_MS), id));
                return Some((id, workflow.clone()));
            }
        }
        None
    }
}

impl Partition {
    /// Has those ask again whose turn it is, where there may be room by now.
    pub(super) fn ask_for_handlers(&mut self, batch: &mut Batch) -> Result<(), JournalError> {
        if self.handlers.next_wake().is_none_or(|it| it > batch.now) {
            return Ok(());
        }
        let mut asked = 0;
        for _ in 0..HANDLERS_LOOKED_AT {
            if asked >= HANDLERS_AT_ONCE {
                break;
            }
            let Some((id, [namespace, name])) = self.handlers.next(batch.now) else { break };
            let is_held = self.shared.admission.suspended(&namespace, &name).is_some();
            if is_held || self.shared.memory.admit(&namespace, FAULT_INPUT_BYTES).is_err() {
                continue;
            }
            asked += 1;
            self.recover_instance(batch, id)?;
            if self.residents.get(id).is_none() && !self.exists(id)? {
                self.handlers.forget(id);
            }
        }
        self.handlers.paused_until = batch.now.plus(limits::HANDLERS_PAUSE_MS);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use uuid::Uuid;
    use windlass_proto::id::InstanceId;
    use windlass_proto::limits::HANDLER_AGAIN_MS;
    use windlass_proto::time::Timestamp;

    use super::Handlers;
    use crate::engine::FaultHandler;

    #[test]
    fn those_that_are_pending_ask_in_turn_and_no_others() {
        let id = |it| InstanceId(Uuid::from_u128(it));
        let handler = |pending| {
            let workflow = ["n", "sweep", "1.0.0"].map(Into::into);
            FaultHandler { instance: id(9), workflow, pending, refused: None }
        };
        let mut handlers = Handlers::default();
        for (number, at) in [(1, 0), (2, 5), (3, 5)] {
            handlers.note(id(number), Some(&handler(true)), Timestamp(at));
        }
        // Noted once more, as when it has asked, it stands in line once.
        handlers.note(id(1), Some(&handler(true)), Timestamp(9));
        handlers.note(id(4), None, Timestamp(9));
        let due = Timestamp(HANDLER_AGAIN_MS);
        assert_eq!(handlers.next_wake(), Some(due));
        assert_eq!(handlers.next(due).map(|(id, _)| id), Some(id(1)));
        assert_eq!(handlers.next(due).map(|(id, _)| id), None, "the others are not due yet");
        handlers.note(id(2), Some(&handler(false)), due);
        let later = due.plus(5);
        assert!(!handlers.is_pending(id(2)) && handlers.is_pending(id(3)));
        assert_eq!(handlers.next(later).map(|(id, _)| id), Some(id(3)));
        handlers.note(id(3), Some(&handler(false)), later);
        handlers.note(id(1), Some(&handler(false)), later);
        assert_eq!(handlers.next_wake(), None, "nothing is kept of those that have started");
    }
}
