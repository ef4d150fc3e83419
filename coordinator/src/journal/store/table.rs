//! Tables: rows that partitions keep beside their instances.

use serde::{Deserialize, Serialize};
use windlass_proto::id::{InstanceId, PartitionId};

use super::super::ordered::Ordered;
use super::super::space::{Order, Space};
use super::super::{Journal, JournalError, Row, Table, keys};
use super::Store;

/// Which instance has the key of a start: a row of [`Table::StartKeys`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Holder {
    /// The instance.
    pub instance: InstanceId,
    /// How many had the key before.
    pub places: u32,
}

impl Holder {
    /// Who has the key now that `first` is the first instance under, where that is another one.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub fn of(journal: &dyn Journal, first: InstanceId) -> Result<Option<Self>, JournalError> {
        let partition = first.partition(journal.partitions());
        let row = journal.row(partition, Table::StartKeys, first.0.as_bytes())?;
        row.map(|it| Self::decode(&it)).transpose()
    }

    /// Reads a row.
    ///
    /// # Errors
    /// When it is none.
    pub(in crate::journal) fn decode(row: &[u8]) -> Result<Self, JournalError> {
        rmp_serde::from_slice(row)
            .map_err(|_| JournalError::Damaged("the row of a key of starts is none".to_owned()))
    }
}

/// What the keys of a table's rows start with.
pub(super) fn kind(table: Table) -> u8 {
    match table {
        Table::Claims => keys::CLAIM,
        Table::StartKeys => keys::START_KEY,
        Table::Approvals => keys::APPROVAL,
    }
}

impl<O: Ordered> Store<O> {
    pub(super) fn read_rows(
        &self,
        partition: PartitionId,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, JournalError> {
        let kind = kind(table);
        let from = after.map_or_else(|| vec![kind], |it| keys::next(keys::row(kind, it)));
        let (space, end) = (Space::Partition(partition), keys::end_of(&[kind]));
        let mut rows = Vec::new();
        for (key, value) in self.entries(space, &from, &end, Order::Up, limit)? {
            if let Some(body) = self.whole(space, &key, value)? {
                rows.push((key.get(1..).unwrap_or_default().to_vec(), body));
            }
        }
        Ok(rows)
    }
}
