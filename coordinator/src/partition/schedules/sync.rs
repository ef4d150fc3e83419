//! Which definitions have schedules: what is deployed decides, whatever was known before.

use windlass_proto::plan::Schedule;

use super::{Partition, ScheduleId};
use crate::journal::{JournalError, StoredDefinition};
use crate::schedule::State;

impl Partition {
    /// Compares all schedules with the definitions, once after a start: a crash may have come
    /// between the two.
    pub(in crate::partition) fn sync_schedules(&mut self) -> Result<(), JournalError> {
        let partitions = self.shared.journal.partitions();
        let latest = self.shared.catalog.latest().into_iter();
        let own = latest.filter(|stored| of(stored).partition(partitions) == self.id);
        for stored in own.collect::<Vec<_>>() {
            self.sync(&stored)?;
        }
        Ok(())
    }

    /// Compares a schedule with the definition that counts.
    pub(super) fn sync_schedule(
        &mut self,
        namespace: &str,
        name: &str,
    ) -> Result<(), JournalError> {
        match self.shared.catalog.stored(namespace, name, None) {
            Some(stored) => self.sync(&stored),
            None => Ok(()),
        }
    }

    fn sync(&mut self, stored: &StoredDefinition) -> Result<(), JournalError> {
        let id = of(stored);
        match self.schedules.all.get_mut(&id).map(|it| &mut it.state) {
            Some(known) if known.digest == stored.digest => {
                // Read from the journal, it has its own copy of what the catalog has.
                known.workflow.clone_from(&stored.id);
                known.digest.clone_from(&stored.digest);
                return Ok(());
            }
            // Most definitions have none, and are not compiled for that.
            None if !stored.text.contains("schedule") => return Ok(()),
            _ => {}
        }
        let plan = self.shared.catalog.required(&stored.digest)?;
        let former = self.schedules.take(id);
        let Some(schedule) = plan.schedule.as_ref().filter(|it| Schedule::is_timed(it)) else {
            if former.is_some() {
                self.schedules.changed.insert(id);
            }
            return Ok(());
        };
        let definition = (stored.id.clone(), stored.digest.clone());
        let state = State::deployed(former, id, definition, schedule, stored.deployed_at);
        self.schedules.put(id, state, None);
        Ok(())
    }
}

fn of(stored: &StoredDefinition) -> ScheduleId {
    ScheduleId::of(&stored.id.namespace, &stored.id.name)
}
