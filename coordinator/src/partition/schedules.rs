//! Schedules of a partition: their states in memory, and what is due of them.
//!
//! A schedule is owned by one partition, and the instances that it starts belong to the same one:
//! a start, the due time it is for and the next one are one batch. So is the end of an instance
//! with what its schedule makes of it.

mod events;
mod held;
mod order;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use windlass_proto::expression::steps_taken;
use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::limits::{
    self, DEFAULT_PRIORITY, MESSAGE_COST, SCHEDULE_AGAIN_MS, SCHEDULE_PAGE, TURN_COST,
};
use windlass_proto::plan::Plan;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use self::held::Held;
use super::message::{NewInstance, Refusal};
use super::start_policy::StartPolicy;
use super::{Batch, Partition};
use crate::catalog::Catalog;
use crate::engine::Input;
use crate::journal::{Journal, JournalError, ScheduleWrite};
use crate::quarantine::Verdict;
use crate::schedule::{Due, Given, Occurrence, Outcome, ScheduleId, State, Turn, Why};

pub use order::{ScheduleAction, ScheduleAnswer, ScheduleOrder};

/// The label of instances that a schedule has started: by what.
const TRIGGER: &str = "windlass.schedule";

/// The label that says for which time.
const DUE: &str = "windlass.due";

/// Why an instance is cancelled by its schedule.
const CANCELLED: &str = "the next instance of its schedule is due, which cancels those before it";

/// Schedules of a partition.
pub(super) struct Schedules {
    /// False where definitions are not to start by themselves.
    enabled: bool,
    catalog: Arc<Catalog>,
    all: HashMap<ScheduleId, Box<Held>>,
    ready: BTreeSet<(Timestamp, ScheduleId)>,
    /// Instances whose ends matter.
    running: HashMap<InstanceId, ScheduleId>,
    /// Those whose state is other than in the journal.
    changed: BTreeSet<ScheduleId>,
}

impl Schedules {
    /// Reads them.
    pub(super) fn load(
        journal: &dyn Journal,
        catalog: Arc<Catalog>,
        partition: PartitionId,
    ) -> Result<Self, JournalError> {
        let (all, ready, running, changed) = Default::default();
        let mut schedules = Self { enabled: true, catalog, all, ready, running, changed };
        let mut after = None;
        loop {
            let page = journal.schedules(partition, after, SCHEDULE_PAGE)?;
            after = page.last().map(|(id, _)| *id);
            let full = page.len() == SCHEDULE_PAGE;
            for (id, bytes) in page {
                let state: State = rmp_serde::from_slice(&bytes).map_err(|error| {
                    JournalError::Damaged(format!("a schedule does not decode: {error}"))
                })?;
                schedules.put(id, state, None);
            }
            if !full {
                schedules.changed.clear();
                return Ok(schedules);
            }
        }
    }

    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        let first = self.ready.first().filter(|_| self.enabled);
        first.map(|(at, _)| *at)
    }

    /// True where the end of an instance matters to a schedule.
    pub(super) fn follows(&self, instance: InstanceId) -> bool {
        self.running.contains_key(&instance)
    }

    /// The schedules that something is due of, as many as one turn looks at.
    fn due(&self, now: Timestamp) -> Vec<ScheduleId> {
        let due = self.ready.iter().take_while(|(at, _)| *at <= now);
        due.take(limits::TURN_TIMERS).map(|(_, id)| *id).collect()
    }

    pub(super) fn enable(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    /// Takes a schedule out, to put it back changed.
    fn take(&mut self, id: ScheduleId) -> Option<State> {
        let held = self.all.remove(&id)?;
        if let Some(wake) = held.wake() {
            self.ready.remove(&(wake, id));
        }
        let state = held.into_state();
        for instance in state.running() {
            self.running.remove(instance);
        }
        Some(state)
    }

    /// Puts a schedule in, to be looked at not before `earliest`.
    fn put(&mut self, id: ScheduleId, state: State, earliest: Option<Timestamp>) {
        let wake = state.wake().map(|it| earliest.map_or(it, |earliest| it.max(earliest)));
        if let Some(wake) = wake {
            self.ready.insert((wake, id));
        }
        for instance in state.running() {
            self.running.insert(*instance, id);
        }
        self.all.insert(id, Box::new(Held::new(state, wake, &self.catalog)));
        self.changed.insert(id);
    }

    /// Puts a schedule in as it was, to be looked at not before `earliest`.
    fn put_back(&mut self, id: ScheduleId, state: State, earliest: Option<Timestamp>) {
        let known = self.changed.contains(&id);
        self.put(id, state, earliest);
        if !known {
            self.changed.remove(&id);
        }
    }
}

impl Partition {
    /// Fires schedules that are due, as many as a turn has room for, each once: what more is due of
    /// one comes in the next turn, when the memory that its starts take is known.
    pub(super) fn fire_schedules(&mut self, batch: &mut Batch) -> Result<(), JournalError> {
        // As much again as messages and timers may cost.
        let most = self.cost + TURN_COST;
        if !self.schedules.enabled {
            return Ok(());
        }
        for id in self.schedules.due(batch.now) {
            if self.cost >= most || batch.is_full() {
                break;
            }
            let before = steps_taken();
            self.fire_schedule(batch, id)?;
            self.cost += steps_taken().wrapping_sub(before) + MESSAGE_COST;
        }
        Ok(())
    }

    fn fire_schedule(&mut self, batch: &mut Batch, id: ScheduleId) -> Result<(), JournalError> {
        let Some(mut state) = self.schedules.take(id) else { return Ok(()) };
        let again = Some(batch.now.plus(SCHEDULE_AGAIN_MS));
        let plan = self.shared.catalog.required(&state.digest)?;
        let Some(schedule) = &plan.schedule else {
            debug_assert!(false, "a schedule of a definition that has none");
            return Ok(());
        };
        let (namespace, name) = (&state.workflow.namespace, &state.workflow.name);
        if self.shared.memory.admit(namespace, 0).is_err() {
            self.schedules.put_back(id, state, again);
            return Ok(());
        }
        let held = self.shared.admission.suspended(namespace, name).is_some();
        let turn = state.due(schedule, batch.now, held);
        if held && turn == Turn::default() {
            // What waits for the end of a suspension is looked at each second, and not written.
            self.schedules.put_back(id, state, again);
            return Ok(());
        }
        self.follow(batch, id, (&mut state, &plan), turn)?;
        // What is held, or more than one turn takes, comes again.
        self.schedules.put(id, state, if held { again } else { None });
        Ok(())
    }

    /// Does what follows for a schedule.
    fn follow(
        &mut self,
        batch: &mut Batch,
        id: ScheduleId,
        (state, plan): (&mut State, &Arc<Plan>),
        turn: Turn,
    ) -> Result<(), JournalError> {
        let Turn { starts, mut given, cancels, occurrences, failed: _ } = turn;
        for occurrence in occurrences {
            self.occurred(batch, id, state, occurrence)?;
        }
        let partitions = self.shared.journal.partitions();
        for due in starts {
            let instance = due.instance(id, partitions);
            if !matches!(self.shared.quarantine.verdict(instance), Verdict::Innocent) {
                // Its start has ended the process each time; nothing of it was ever kept.
                let outcome = Outcome::Skipped(Why::Quarantined);
                self.occurred(batch, id, state, Occurrence { due, until: None, outcome })?;
                continue;
            }
            if self.load(instance)?.is_some() {
                // It was started for this time before, and that is told.
                continue;
            }
            let outcome = Outcome::Fired(instance, batch.now);
            self.occurred(batch, id, state, Occurrence { due, until: None, outcome })?;
            let lateness = batch.now.since(due.at.plus(state.delay));
            self.shared.counts.schedules.late(due.trigger, lateness);
            if let Some(schedule) = &plan.schedule {
                state.started(schedule, instance);
            }
            self.cost += MESSAGE_COST;
            let given = given.extract_if(.., |it| it.due == due).next();
            self.start(batch, of_schedule(instance, plan.clone(), due, given))?;
        }
        for instance in cancels {
            let input = Input::Cancel { reason: Some(CANCELLED.into()) };
            if let Err(Refusal::Unknown) = self.input(batch, instance, input)? {
                state.gone(instance);
            }
        }
        Ok(())
    }

    /// Takes what became of a due time into the batch.
    fn occurred(
        &mut self,
        batch: &mut Batch,
        id: ScheduleId,
        state: &mut State,
        occurrence: Occurrence,
    ) -> Result<(), JournalError> {
        self.shared.counts.schedules.note(&occurrence);
        let number = state.sequence;
        let place = state.place(&occurrence);
        let bytes = encode(&(number, occurrence))?;
        batch.commit.schedules.push(ScheduleWrite::Occurrence(id, place, bytes));
        Ok(())
    }

    /// Tells schedules of their instances that have ended in this turn.
    pub(super) fn tell_schedules(
        &mut self,
        ended: Vec<(InstanceId, bool)>,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        for (instance, cancelled) in ended {
            let Some(id) = self.schedules.running.get(&instance).copied() else { continue };
            let Some(mut state) = self.schedules.take(id) else { continue };
            let plan = self.shared.catalog.required(&state.digest)?;
            if let Some(schedule) = &plan.schedule {
                state.ended(schedule, instance, cancelled, now);
            }
            self.schedules.put(id, state, None);
        }
        Ok(())
    }

    /// Takes the states that have changed into the batch.
    pub(super) fn keep_schedules(&mut self, batch: &mut Batch) -> Result<(), JournalError> {
        for id in std::mem::take(&mut self.schedules.changed) {
            let state = self.schedules.all.get(&id).map(|it| encode(&it.state())).transpose()?;
            batch.commit.schedules.push(ScheduleWrite::State(id, state));
        }
        Ok(())
    }
}

/// The start of an instance by a schedule, which has no input to give but events.
fn of_schedule(id: InstanceId, plan: Arc<Plan>, due: Due, given: Option<Given>) -> NewInstance {
    let labels =
        vec![(TRIGGER.into(), due.trigger.word().into()), (DUE.into(), due.at.to_rfc3339().into())];
    let (input, trace) = given.map_or((Value::empty_object(), None), |it| (it.input, it.trace));
    NewInstance {
        id,
        plan,
        input,
        labels,
        priority: DEFAULT_PRIORITY,
        parent: None,
        trace,
        by: None,
        policy: StartPolicy::default(),
        reply: None,
        ended: None,
    }
}

fn encode<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, JournalError> {
    rmp_serde::to_vec(value)
        .map_err(|error| JournalError::Store(format!("a schedule cannot be encoded: {error}")))
}
