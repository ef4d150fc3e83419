//! Bulk jobs and what came of them.

use uuid::Uuid;

use super::super::ordered::Ordered;
use super::super::space::{Change, Order, Space};
use super::super::{BulkPage, BulkWrite, JournalError, keys, record};
use super::Store;

impl<O: Ordered> Store<O> {
    pub(super) fn write_bulk(&self, write: &BulkWrite) -> Result<(), JournalError> {
        let _exclusive = self.exclusive();
        let key = keys::bulk(write.job);
        let mut changes = Vec::new();
        if let Some(value) = self.ordered.get(Space::Common, &key)? {
            let old = record::open(&key, &value)?.length;
            self.drop_parts(&mut changes, &key, old);
        }
        match &write.state {
            Some(state) => record::put(&mut changes, Space::Common, key, &[state]),
            None => {
                changes.push(Change { space: Space::Common, key, value: None });
                self.drop_pages(&mut changes, write.job)?;
            }
        }
        for (kind, page) in [(keys::BULK_IDS, &write.ids), (keys::BULK_RESULTS, &write.results)] {
            if let Some((number, page)) = page {
                let key = keys::bulk_page(kind, write.job, *number);
                record::put(&mut changes, Space::Common, key, &[page]);
            }
        }
        self.write(changes)
    }

    fn drop_parts(&self, changes: &mut Vec<Change>, key: &[u8], length: usize) {
        for number in (0_u32..).take(record::parts(length)) {
            let key = keys::part(key, number);
            changes.push(Change { space: Space::Common, key, value: None });
        }
    }

    fn drop_pages(&self, changes: &mut Vec<Change>, job: Uuid) -> Result<(), JournalError> {
        for kind in [keys::BULK_IDS, keys::BULK_RESULTS] {
            for page in 0..=u32::MAX {
                let key = keys::bulk_page(kind, job, page);
                let Some(value) = self.ordered.get(Space::Common, &key)? else { break };
                let length = record::open(&key, &value)?.length;
                self.drop_parts(changes, &key, length);
                changes.push(Change { space: Space::Common, key, value: None });
            }
        }
        Ok(())
    }

    pub(super) fn read_bulk(&self) -> Result<Vec<Vec<u8>>, JournalError> {
        let end = keys::end_of(&[keys::BULK]);
        let all = self.entries(Space::Common, &[keys::BULK], &end, Order::Up, usize::MAX)?;
        let whole = |(key, value): (Vec<u8>, Vec<u8>)| {
            Ok(self.whole(Space::Common, &key, value)?.unwrap_or_default())
        };
        all.into_iter().map(whole).collect()
    }

    pub(super) fn read_bulk_page(
        &self,
        page: BulkPage,
        job: Uuid,
        number: u32,
    ) -> Result<Option<Vec<u8>>, JournalError> {
        let kind = match page {
            BulkPage::Ids => keys::BULK_IDS,
            BulkPage::Results => keys::BULK_RESULTS,
        };
        self.body(Space::Common, &keys::bulk_page(kind, job, number))
    }
}
