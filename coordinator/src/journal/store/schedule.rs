//! Schedules: their states, and what became of their due times.

use windlass_proto::id::PartitionId;

use super::super::ordered::Ordered;
use super::super::space::{Order, Space};
use super::super::{JournalError, keys};
use super::Store;
use crate::schedule::ScheduleId;

impl<O: Ordered> Store<O> {
    pub(super) fn read_schedules(
        &self,
        partition: PartitionId,
        after: Option<ScheduleId>,
        limit: usize,
    ) -> Result<Vec<(ScheduleId, Vec<u8>)>, JournalError> {
        let from = after.map_or_else(|| vec![keys::SCHEDULE], |it| keys::next(keys::schedule(it)));
        let (space, end) = (Space::Partition(partition), keys::end_of(&[keys::SCHEDULE]));
        let mut schedules = Vec::new();
        for (key, value) in self.entries(space, &from, &end, Order::Up, limit)? {
            let id = keys::schedule_of(&key)?;
            if let Some(body) = self.whole(space, &key, value)? {
                schedules.push((id, body));
            }
        }
        Ok(schedules)
    }

    pub(super) fn read_schedule(&self, id: ScheduleId) -> Result<Option<Vec<u8>>, JournalError> {
        self.body(Space::Partition(id.partition(self.partitions)), &keys::schedule(id))
    }

    pub(super) fn read_occurrences(&self, id: ScheduleId) -> Result<Vec<Vec<u8>>, JournalError> {
        let space = Space::Partition(id.partition(self.partitions));
        let from = keys::occurrences(id);
        let end = keys::end_of(&from);
        let entries = self.entries(space, &from, &end, Order::Up, usize::MAX)?;
        let whole = |(key, value): (Vec<u8>, Vec<u8>)| self.whole(space, &key, value).transpose();
        entries.into_iter().filter_map(whole).collect()
    }
}
