//! Which definitions have schedules: what is deployed decides, whatever was known before.

use std::collections::HashSet;

use windlass_proto::limits;
use windlass_proto::plan::Schedule;
use windlass_proto::time::Timestamp;

use super::{Partition, ScheduleId};
use crate::journal::{JournalError, StoredDefinition};
use crate::schedule::State;

impl Partition {
    /// Compares all schedules with the definitions, once after a start: a crash may have come
    /// between the two. What a damaged journal has lost, definitions or instances, is not waited
    /// for.
    pub(in crate::partition) fn sync_schedules(
        &mut self,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let partitions = self.shared.journal.partitions();
        let latest = self.shared.catalog.latest().into_iter();
        let own: Vec<_> =
            latest.filter(|stored| of(stored).partition(partitions) == self.id).collect();
        for stored in &own {
            self.sync(stored, stored.deployed_at)?;
            self.mend(of(stored), now)?;
        }
        let defined: HashSet<ScheduleId> = own.iter().map(of).collect();
        for id in self.schedules.all.keys().copied().collect::<Vec<_>>() {
            if defined.contains(&id) {
                continue;
            }
            if let Some(State { workflow, .. }) = self.schedules.take(id) {
                tracing::warn!(%workflow, "the definition of a schedule is missing; it is removed");
                self.schedules.changed.insert(id);
            }
        }
        for instance in self.schedules.running.keys().copied().collect::<Vec<_>>() {
            let head = self.shared.journal.head(instance)?;
            if head.is_some_and(|head| !head.status.is_final()) {
                continue;
            }
            tracing::warn!(%instance, "an instance that a schedule has started is missing");
            self.tell_schedules(vec![(instance, false)], now)?;
        }
        Ok(())
    }

    /// Compares a schedule with the definition that counts.
    pub(super) fn sync_schedule(
        &mut self,
        namespace: &str,
        name: &str,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        match self.shared.catalog.stored(namespace, name, None) {
            Some(stored) => {
                // One that was deployed long ago and counts again has missed nothing meanwhile.
                let is_new = now.since(stored.deployed_at) < limits::SCHEDULE_GRACE_MS;
                self.sync(&stored, if is_new { stored.deployed_at } else { now })
            }
            None => {
                let id = ScheduleId::of(namespace, name);
                if self.schedules.take(id).is_some() {
                    self.schedules.changed.insert(id);
                }
                self.route(id)
            }
        }
    }

    /// Compares the schedule with a definition that counts from `since` on.
    fn sync(&mut self, stored: &StoredDefinition, since: Timestamp) -> Result<(), JournalError> {
        let id = of(stored);
        if stored.retired_at.is_some() {
            if self.schedules.take(id).is_some() {
                self.schedules.changed.insert(id);
            }
            return self.route(id);
        }
        match self.schedules.all.get_mut(&id) {
            Some(known) if *known.digest() == stored.digest => {
                // It may have another copy of what the catalog has.
                known.share(&self.schedules.catalog);
                return self.route(id);
            }
            // Most definitions have none, and are not compiled for that.
            None if !stored.text.contains("schedule") => return Ok(()),
            _ => {}
        }
        let plan = self.shared.catalog.required(&stored.digest)?;
        let former = self.schedules.take(id);
        let Some(schedule) = plan.schedule.as_ref().filter(|it| Schedule::is_active(it)) else {
            if former.is_some() {
                self.schedules.changed.insert(id);
            }
            return self.route(id);
        };
        let definition = (stored.id.clone(), stored.digest.clone());
        let state = State::deployed(former, id, definition, schedule, since);
        self.schedules.put(id, state, None);
        self.route(id)
    }

    /// Takes back what a clock has put off that was ahead before this start.
    fn mend(&mut self, id: ScheduleId, now: Timestamp) -> Result<(), JournalError> {
        let ahead = self.schedules.all.get(&id).filter(|it| it.reckoned() > now);
        let Some(digest) = ahead.map(|it| it.digest().clone()) else { return Ok(()) };
        let plan = self.shared.catalog.required(&digest)?;
        let (Some(schedule), Some(mut state)) = (&plan.schedule, self.schedules.take(id)) else {
            return Ok(());
        };
        let mended = state.mend(schedule, now);
        if mended {
            tracing::warn!(
                workflow = %state.workflow,
                "the clock was ahead: due times that it had put off are brought back"
            );
            self.schedules.put(id, state, None);
        } else {
            self.schedules.put_back(id, state, None);
        }
        Ok(())
    }
}

fn of(stored: &StoredDefinition) -> ScheduleId {
    ScheduleId::of(&stored.id.namespace, &stored.id.name)
}
