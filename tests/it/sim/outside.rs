//! What surrounds the partitions: their inboxes, and where assignments go.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use windlass_coordinator::catalog::Catalog;
use windlass_coordinator::early::EarlyEvents;
use windlass_coordinator::partition::{Message, ReleaseTarget, Verdict};
use windlass_proto::id::PartitionId;
use windlass_proto::wire::{Assignment, AssignmentKey};
use windlass_telemetry::FinishedSpan;

/// One life of the coordinator's surroundings; a crash ends it, with all messages in it.
pub(super) struct Outside {
    catalog: Arc<Catalog>,
    state: Mutex<State>,
    told: Told,
    early: Arc<EarlyEvents>,
}

/// Spans that have left the partitions, in all lives.
pub(super) type Told = Arc<Mutex<Vec<FinishedSpan>>>;

/// What has come out of the partitions.
#[derive(Default)]
pub(super) struct State {
    pub(super) inboxes: Vec<VecDeque<Message>>,
    pub(super) dispatched: Vec<(Assignment, bool)>,
    pub(super) cancelled: Vec<AssignmentKey>,
    pub(super) settled: Vec<(AssignmentKey, Verdict)>,
}

impl Outside {
    pub(super) fn new(
        catalog: Arc<Catalog>,
        partitions: usize,
        told: Told,
        early: EarlyEvents,
    ) -> Self {
        let early = Arc::new(early);
        let inboxes = (0..partitions).map(|_| VecDeque::new()).collect();
        let state = State { inboxes, ..State::default() };
        Self { catalog, state: Mutex::new(state), told, early }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Takes what has left the partitions; messages to them stay.
    pub(super) fn take(&self) -> State {
        let mut state = self.state();
        let inboxes = std::mem::take(&mut state.inboxes);
        let left = std::mem::take(&mut *state);
        state.inboxes = inboxes;
        left
    }

    pub(super) fn early_events(&self) -> Arc<EarlyEvents> {
        self.early.clone()
    }

    pub(super) fn shared_catalog(&self) -> Arc<Catalog> {
        self.catalog.clone()
    }
}

impl ReleaseTarget for Outside {
    fn partitions(&self) -> u16 {
        u16::try_from(self.state().inboxes.len()).unwrap()
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn dispatch(&self, assignment: Assignment, recovered: bool) {
        self.state().dispatched.push((assignment, recovered));
    }

    fn early(&self) -> Option<&EarlyEvents> {
        Some(&self.early)
    }

    fn trace(&self, mut spans: Vec<FinishedSpan>) {
        self.told.lock().unwrap().append(&mut spans);
    }

    fn cancel(&self, key: AssignmentKey) {
        self.state().cancelled.push(key);
    }

    fn settled(&self, key: &AssignmentKey, verdict: Verdict) {
        self.state().settled.push((key.clone(), verdict));
    }

    fn send(&self, partition: PartitionId, message: Message) {
        self.state().inboxes[usize::from(partition.0)].push_back(message);
    }
}
