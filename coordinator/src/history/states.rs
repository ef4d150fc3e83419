//! States that pages of histories have left, for the pages that follow them.
//!
//! Bounded in number, in bytes and by instance: the one that was used longest ago leaves first.
//! Losing one costs time only, as all of them follow from the facts.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windlass_proto::id::InstanceId;
use windlass_proto::limits::{
    HISTORY_STATE_FACTS, HISTORY_STATES, HISTORY_STATES_BYTES, HISTORY_STATES_EACH,
};

use crate::engine::Instance;
use crate::journal::Head;

/// The states that are kept.
#[derive(Default)]
pub(crate) struct States {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The one used last stands last.
    states: VecDeque<State>,
    bytes: u64,
}

struct State {
    /// A page that begins here or later may start from it: no fact between is told.
    quiet: u64,
    instance: Arc<Instance>,
}

/// Where a page begins.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    pub(super) id: InstanceId,
    /// What the journal says of the instance.
    pub(super) head: &'p Head,
    /// Sequence number of the first fact to tell.
    pub(super) from: u64,
}

impl State {
    fn serves(&self, place: &Place<'_>) -> bool {
        let (instance, head) = (&*self.instance, place.head);
        // An id whose instance was removed may have been given to another one since.
        let is_it = instance.id == place.id
            && instance.started_at == head.started_at
            && instance.digest == head.digest;
        is_it && self.quiet <= place.from
    }

    fn bytes(&self) -> u64 {
        self.instance.held.bytes()
    }
}

impl States {
    /// The furthest state that a page can start from, and the first sequence number from which on
    /// pages can.
    pub(super) fn nearest(&self, place: Place<'_>) -> Option<(Instance, u64)> {
        let found = self.lock().take_out(&place)?;
        // Copied outside of the lock: it may have many frames.
        Some((Arc::unwrap_or_clone(found.0), found.1))
    }

    /// Keeps the state after a page, where getting there again would take long. Pages that begin at
    /// `quiet` or later can start from it.
    pub(super) fn keep(&self, instance: Instance, quiet: u64) {
        if instance.sequence < HISTORY_STATE_FACTS || instance.held.bytes() > HISTORY_STATES_BYTES {
            return;
        }
        self.lock().put(State { quiet, instance: Arc::new(instance) });
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, u64) {
        let kept = self.lock();
        (kept.states.len(), kept.bytes)
    }
}

impl Kept {
    fn take_out(&mut self, place: &Place<'_>) -> Option<(Arc<Instance>, u64)> {
        let all = self.states.iter().enumerate().filter(|(_, it)| it.serves(place));
        let (index, _) = all.max_by_key(|(_, it)| it.instance.sequence)?;
        let used = self.states.remove(index)?;
        let found = (used.instance.clone(), used.quiet);
        self.states.push_back(used);
        Some(found)
    }

    fn put(&mut self, mut state: State) {
        let (id, sequence) = (state.instance.id, state.instance.sequence);
        let of_it = |it: &State| it.instance.id == id;
        // The same state for more pages, or the one whose turn it is to leave.
        let same = self.states.iter().position(|it| of_it(it) && it.instance.sequence == sequence);
        let each = self.states.iter().filter(|it| of_it(it)).count();
        let first = self.states.iter().position(of_it);
        let leaves = same.or(first.filter(|_| each >= HISTORY_STATES_EACH));
        let gone = leaves.and_then(|index| self.states.remove(index));
        if let Some(gone) = gone {
            self.bytes -= gone.bytes();
            if same.is_some() {
                state.quiet = state.quiet.min(gone.quiet);
            }
        }
        self.bytes += state.bytes();
        self.states.push_back(state);
        while self.states.len() > HISTORY_STATES || self.bytes > HISTORY_STATES_BYTES {
            let Some(oldest) = self.states.pop_front() else { return };
            self.bytes -= oldest.bytes();
        }
    }
}
