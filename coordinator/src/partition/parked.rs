//! Children whose start waits: for others to end, where a quota is full, or for an operator, where
//! their workflow is suspended.
//!
//! They are not in the journal. Their parents are, which ask again after a restart. What a fault
//! starts is not kept here: who has faulted asks again meanwhile as well.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use windlass_proto::id::{InstanceId, WorkflowId};
use windlass_proto::limits::{self, PARKED, PARKED_AGAIN_MS, PARKED_MS};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::time::Timestamp;

use super::message::NewInstance;
use super::release::Release;
use super::{Batch, Partition};
use crate::admission::Admitted;
use crate::engine::{ChildOutcome, Input, Parent};
use crate::journal::JournalError;

/// Who shares quotas: a namespace and a root.
type Sharers = (Arc<str>, InstanceId);

/// Starts that wait.
#[derive(Default)]
pub(super) struct Parked {
    starts: HashMap<InstanceId, (NewInstance, Timestamp)>,
    /// In order of arrival; ids whose start has gone are skipped.
    rows: BTreeMap<Sharers, VecDeque<InstanceId>>,
    /// When to look again.
    again: Option<Timestamp>,
}

impl Parked {
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// When to look whether one can start, or has waited too long.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.again
    }

    fn park(&mut self, start: NewInstance, parent: &Parent, now: Timestamp) {
        let sharers = (start.plan.id.namespace.clone(), parent.root());
        let id = start.id;
        if self.starts.insert(id, (start, now.plus(PARKED_MS))).is_none() {
            self.rows.entry(sharers).or_default().push_back(id);
        }
        self.again.get_or_insert(now.plus(PARKED_AGAIN_MS));
    }

    /// Takes out the first start of a row.
    fn pop(&mut self, sharers: &Sharers) -> Option<NewInstance> {
        let id = self.rows.get_mut(sharers)?.pop_front()?;
        self.starts.remove(&id).map(|(start, _)| start)
    }

    /// Takes out a start that is not wanted any more.
    pub(super) fn remove(&mut self, id: InstanceId) {
        self.starts.remove(&id);
    }
}

impl Partition {
    /// Whether an instance that does not exist yet may be created now. One that may not is parked,
    /// or its parent is told that it never will be.
    pub(super) fn admits(&mut self, batch: &mut Batch, start: NewInstance) -> Option<NewInstance> {
        let Some(parent) = start.parent else { return Some(start) };
        if self.parked.starts.contains_key(&start.id) {
            return None;
        }
        match self.shared.admission.admit(start.id, parent.root(), &start.plan.id) {
            Admitted::Yes => Some(start),
            Admitted::Cancelled => {
                send_outcome(batch, &parent, ChildOutcome::Cancelled(start.id));
                None
            }
            Admitted::Full(_) | Admitted::Suspended(_) if parent.has_faulted() => None,
            Admitted::Full(_) | Admitted::Suspended(_) if self.parked.len() >= PARKED => {
                send_outcome(batch, &parent, given_up(&format!("{PARKED} children wait already")));
                None
            }
            Admitted::Full(_) | Admitted::Suspended(_) => {
                self.parked.park(start, &parent, batch.now);
                None
            }
        }
    }

    /// Starts what can start by now, and gives up what has waited too long.
    pub(super) fn admit_parked(&mut self, batch: &mut Batch) -> Result<(), JournalError> {
        if self.parked.again.is_none_or(|again| again > batch.now) {
            return Ok(());
        }
        for sharers in self.parked.rows.keys().cloned().collect::<Vec<_>>() {
            self.admit_row(batch, &sharers)?;
        }
        self.parked.rows.retain(|_, row| !row.is_empty());
        let waits = !self.parked.rows.is_empty();
        self.parked.again = waits.then(|| batch.now.plus(PARKED_AGAIN_MS));
        Ok(())
    }

    fn admit_row(&mut self, batch: &mut Batch, sharers: &Sharers) -> Result<(), JournalError> {
        let most = self.parked.rows.get(sharers).map_or(0, VecDeque::len);
        // Those that are suspended go around once.
        for _ in 0..most.min(limits::PARKED_AT_ONCE) {
            let Some(row) = self.parked.rows.get_mut(sharers) else { return Ok(()) };
            let Some(id) = row.front().copied() else { return Ok(()) };
            let Some((start, until)) = self.parked.starts.get(&id) else {
                row.pop_front();
                continue;
            };
            let Some(parent) = start.parent else { return Ok(()) };
            let is_over = *until <= batch.now;
            match self.shared.admission.admit(id, sharers.1, &start.plan.id) {
                Admitted::Full(_) if !is_over => return Ok(()),
                // It waits as long as the operator wants, others of the namespace need not.
                Admitted::Suspended(_) => row.rotate_left(1),
                Admitted::Full(what) => {
                    self.parked.pop(sharers);
                    send_outcome(batch, &parent, given_up(&what));
                }
                Admitted::Cancelled => {
                    self.parked.pop(sharers);
                    send_outcome(batch, &parent, ChildOutcome::Cancelled(id));
                }
                Admitted::Yes => {
                    let Some(start) = self.parked.pop(sharers) else { continue };
                    if self.is_deployed(&start.plan) {
                        self.create(batch, start)?;
                        continue;
                    }
                    self.shared.admission.leave(id, sharers.1, &sharers.0);
                    send_outcome(batch, &parent, retired(&start.plan.id));
                }
            }
        }
        Ok(())
    }
}

fn send_outcome(batch: &mut Batch, parent: &Parent, outcome: ChildOutcome) {
    let input = Input::ChildEnded { frame: parent.frame, outcome };
    batch.releases.push(Release::Tell(parent.instance, input));
}

/// Its version was retired, and perhaps deleted, while it waited.
fn retired(workflow: &WorkflowId) -> ChildOutcome {
    let detail = format!(
        "the child workflow was not started: {workflow} was retired while it waited. Name a version \
         that is deployed"
    );
    ChildOutcome::Faulted(Problem::new(Standard::Configuration, detail))
}

fn given_up(what: &str) -> ChildOutcome {
    let detail = format!(
        "the child workflow could not start, having waited up to {} s: {what}. Start fewer at once, or raise \
         --max-root-starts or --max-namespace-starts",
        PARKED_MS / 1_000
    );
    ChildOutcome::Faulted(Problem::new(Standard::Runtime, detail))
}
