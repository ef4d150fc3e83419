//! What operators do to a schedule.

use std::sync::Arc;

use tokio::sync::oneshot;
use windlass_proto::id::InstanceId;
use windlass_proto::plan::Schedule;
use windlass_proto::time::Timestamp;

use super::{Batch, Partition, ScheduleId};
use crate::journal::JournalError;
use crate::partition::release::Release;
use crate::schedule::{Due, State, Trigger};

/// Something to do to the schedule of a workflow.
pub struct ScheduleOrder {
    /// `document.namespace`
    pub namespace: Arc<str>,
    /// `document.name`
    pub name: Arc<str>,
    /// What.
    pub action: ScheduleAction,
    /// Told once it is durable.
    pub reply: oneshot::Sender<ScheduleAnswer>,
}

/// What to do.
pub enum ScheduleAction {
    /// Look at the definition that is deployed now.
    Sync,
    /// Pause it, for a reason.
    Pause(Option<Arc<str>>),
    /// Let it go on.
    Resume,
    /// Start an instance at once.
    Trigger,
    /// Start what was due from one time to another.
    Backfill(Timestamp, Timestamp),
    /// Only count what that would take up.
    Preview(Timestamp, Timestamp),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScheduleAnswer {
    /// There is no such schedule.
    Unknown,
    /// It is done; how many due times were taken up, where that was asked for.
    Done(usize),
    /// An instance was started.
    Started(InstanceId),
}

impl ScheduleOrder {
    /// The schedule it is for.
    #[must_use]
    pub fn schedule(&self) -> ScheduleId {
        ScheduleId::of(&self.namespace, &self.name)
    }
}

impl Partition {
    /// Carries out an order.
    pub(in crate::partition) fn order(
        &mut self,
        batch: &mut Batch,
        order: ScheduleOrder,
    ) -> Result<(), JournalError> {
        let id = order.schedule();
        let ScheduleOrder { namespace, name, action, reply } = order;
        let answer = match action {
            ScheduleAction::Sync => {
                self.sync_schedule(&namespace, &name, batch.now)?;
                ScheduleAnswer::Done(0)
            }
            action => self.change_schedule(batch, id, action)?,
        };
        batch.releases.push(Release::Scheduled(reply, answer));
        Ok(())
    }

    fn change_schedule(
        &mut self,
        batch: &mut Batch,
        id: ScheduleId,
        action: ScheduleAction,
    ) -> Result<ScheduleAnswer, JournalError> {
        let Some(digest) = self.schedules.all.get(&id).map(|it| it.digest().clone()) else {
            return Ok(ScheduleAnswer::Unknown);
        };
        let plan = self.shared.catalog.required(&digest)?;
        let (Some(schedule), Some(mut state)) = (&plan.schedule, self.schedules.take(id)) else {
            return Ok(ScheduleAnswer::Unknown);
        };
        let mut answer = ScheduleAnswer::Done(0);
        let turn = match action {
            ScheduleAction::Pause(reason) => {
                state.pause(reason, batch.now);
                Default::default()
            }
            ScheduleAction::Resume => state.resume(schedule, batch.now).1,
            ScheduleAction::Trigger => {
                let due = self.unused(id, batch.now)?;
                let partitions = self.shared.journal.partitions();
                answer = ScheduleAnswer::Started(due.instance(id, partitions));
                state.trigger(schedule, due)
            }
            ScheduleAction::Preview(from, to) => {
                let taken =
                    self.take_up(id, &mut state.clone(), schedule, (from, to.min(batch.now)))?;
                self.schedules.put_back(id, state, None);
                return Ok(ScheduleAnswer::Done(taken));
            }
            ScheduleAction::Backfill(from, to) => {
                // What comes later is not to be made up for: it would start again when it is due.
                let stretch = (from, to.min(batch.now));
                answer = ScheduleAnswer::Done(self.take_up(id, &mut state, schedule, stretch)?);
                Default::default()
            }
            ScheduleAction::Sync => Default::default(),
        };
        self.follow(batch, id, (&mut state, &plan), turn)?;
        self.schedules.put(id, state, None);
        Ok(answer)
    }

    /// Takes up what was due in a stretch and was not started; gives how much that is.
    fn take_up(
        &self,
        id: ScheduleId,
        state: &mut State,
        schedule: &Schedule,
        stretch: (Timestamp, Timestamp),
    ) -> Result<usize, JournalError> {
        let mut failed = None;
        let mut started = |at| {
            self.has_started(id, at).unwrap_or_else(|error| {
                failed = Some(error);
                true
            })
        };
        let taken = state.backfill(schedule, stretch, &mut started);
        failed.map_or(Ok(taken), Err)
    }

    /// True when there is an instance that was started for this due time.
    fn has_started(&self, id: ScheduleId, at: Timestamp) -> Result<bool, JournalError> {
        let journal = &self.shared.journal;
        for trigger in [Trigger::Every, Trigger::Cron, Trigger::Backfill] {
            let instance = Due::at(at, trigger).instance(id, journal.partitions());
            if self.residents.get(instance).is_some() || journal.head(instance)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A time from `now` on for which nobody has triggered the schedule.
    fn unused(&mut self, id: ScheduleId, now: Timestamp) -> Result<Due, JournalError> {
        let partitions = self.shared.journal.partitions();
        let mut due = Due::at(now, Trigger::Manual);
        while self.load(due.instance(id, partitions))?.is_some() {
            due.at = due.at.plus(1);
        }
        Ok(due)
    }
}
