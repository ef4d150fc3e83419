//! What a partition may hold in memory, and who is refused when there is no more.

use windlass_proto::problem::{Problem, Standard};

use super::message::NewInstance;
use super::release::Release;
use super::resident::Resident;
use super::{Batch, Partition};
use crate::engine::{ChildOutcome, Input};

impl Resident {
    /// Sets what the next decision may let the instance hold.
    pub(super) fn limit(&mut self) {
        let held = self.instance.held.bytes();
        self.instance.allowance = self.charge.allowance(held);
    }

    /// Counts what the instance holds, with what is kept to tell of it; returns what it held before
    /// and what it holds now.
    pub(super) fn count(&mut self) -> (u64, u64) {
        let before = self.charge.bytes();
        let recorded = self.recorder.as_ref().map_or(0, |it| it.bytes());
        self.charge.set(self.instance.held.bytes().saturating_add(recorded));
        (before, self.charge.bytes())
    }
}

impl Partition {
    /// Refuses a child that there is no memory for: its parent gets an error that it can catch, or
    /// asks again where it has faulted. True when it was.
    pub(super) fn refuse_child(&self, batch: &mut Batch, start: &NewInstance) -> bool {
        let Some(parent) = start.parent else { return false };
        let namespace = &start.plan.id.namespace;
        if self.shared.memory.admit(namespace, start.input.weight()).is_ok() {
            return false;
        }
        if parent.has_faulted() {
            return true;
        }
        let detail = "the child workflow was not started: the instances in memory take as much as \
                      they may; try again later";
        let outcome = ChildOutcome::Faulted(Problem::new(Standard::Runtime, detail));
        let ended = Input::ChildEnded { frame: parent.frame, outcome };
        batch.releases.push(Release::Tell(parent.instance, ended));
        true
    }
}
