//! Events that start instances.

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{FrameId, InstanceId, WorkflowId};
use windlass_proto::limits::SCHEDULE_AGAIN_MS;

use super::{Batch, Partition, ScheduleId, Schedules};
use crate::engine::Filtered;
use crate::journal::JournalError;

/// A listener has one visit that waits for events.
const VISIT: FrameId = FrameId(0);

impl Schedules {
    /// The schedule that listens under this id, if it is one.
    pub(in crate::partition) fn listener(&self, id: InstanceId) -> Option<ScheduleId> {
        let id = ScheduleId::of_listener(id);
        self.all.contains_key(&id).then_some(id)
    }

    /// The workflow whose schedule it is.
    pub(in crate::partition) fn workflow(&self, id: ScheduleId) -> Option<WorkflowId> {
        self.all.get(&id).map(|it| it.definition().id.clone())
    }
}

impl Partition {
    /// Offers an event to a schedule; true when it counts, in the batch of what it leads to.
    pub(in crate::partition) fn schedule_hears(
        &mut self,
        batch: &mut Batch,
        id: ScheduleId,
        event: &CloudEvent,
        steps: u64,
    ) -> Result<(bool, Filtered), JournalError> {
        let nothing = (false, Filtered::default());
        let Some(held) = self.schedules.all.get(&id).filter(|_| self.schedules.enabled) else {
            return Ok(nothing);
        };
        let plan = self.shared.catalog.required(held.digest())?;
        let (Some(schedule), Some(mut state)) = (&plan.schedule, self.schedules.take(id)) else {
            return Ok(nothing);
        };
        let workflow = &state.workflow;
        let held = self.shared.admission.suspended(&workflow.namespace, &workflow.name).is_some();
        let (turn, filtered) = state.hear(id, schedule, (event, batch.now), (steps, held));
        let Some(mut turn) = turn else {
            self.schedules.put_back(id, state, None);
            return Ok((false, filtered));
        };
        if let Some(problem) = &turn.failed {
            tracing::warn!(
                workflow = %state.workflow,
                %problem,
                "the events for a start by `schedule.on` were gathered in vain"
            );
        }
        let namespace = &state.workflow.namespace;
        let is_full = !turn.starts.is_empty() && self.shared.memory.admit(namespace, 0).is_err();
        if is_full {
            state.postpone(&mut turn);
        }
        self.follow(batch, id, (&mut state, &plan), turn)?;
        let again = is_full.then(|| batch.now.plus(SCHEDULE_AGAIN_MS));
        self.schedules.put(id, state, again);
        self.route(id)?;
        Ok((true, filtered))
    }

    /// Has a schedule found by the events that it listens for.
    pub(super) fn route(&mut self, id: ScheduleId) -> Result<(), JournalError> {
        let visit = (id.listener(), VISIT);
        let held = self.schedules.all.get(&id);
        let Some((held, listener)) = held.and_then(|it| Some((it, it.listener()?))) else {
            self.routing.remove(visit);
            return Ok(());
        };
        let plan = self.shared.catalog.required(held.digest())?;
        let on = plan.schedule.as_ref().and_then(|it| it.on.as_ref());
        match on.and_then(|plan| listener.interest(plan)) {
            Some(interest) => _ = self.routing.insert(visit, interest),
            None => self.routing.remove(visit),
        }
        if let Some(problem) = listener.fault() {
            tracing::warn!(workflow = %held.definition().id, %problem, "`schedule.on` listens for nothing");
        }
        Ok(())
    }
}
