//! Events that are kept until somebody waits for them.

use super::super::ordered::Ordered;
use super::super::space::{Change, Order, Space};
use super::super::{EarlyKey, JournalError, keys, record};
use super::Store;

impl<O: Ordered> Store<O> {
    pub(super) fn read_early(
        &self,
        after: Option<EarlyKey>,
        limit: usize,
    ) -> Result<Vec<(EarlyKey, Vec<u8>)>, JournalError> {
        let from = after.map_or_else(|| vec![keys::EARLY], |it| keys::next(keys::early(it)));
        let (space, end) = (Space::Common, keys::end_of(&[keys::EARLY]));
        let mut found = Vec::new();
        for (key, value) in self.entries(space, &from, &end, Order::Up, limit)? {
            let early = keys::early_of(&key)?;
            // None where somebody has it meanwhile.
            if let Some(body) = self.whole(space, &key, value)? {
                found.push((early, body));
            }
        }
        Ok(found)
    }

    pub(super) fn write_early_gone(&self, gone: &[EarlyKey]) -> Result<(), JournalError> {
        let _exclusive = self.exclusive();
        let (space, mut changes) = (Space::Common, Vec::new());
        for key in gone.iter().map(|it| keys::early(*it)) {
            let Some(value) = self.ordered.get(space, &key)? else { continue };
            let length = record::open(&key, &value)?.length;
            for number in (0_u32..).take(record::parts(length)) {
                changes.push(Change { space, key: keys::part(&key, number), value: None });
            }
            changes.push(Change { space, key, value: None });
        }
        self.write(changes)
    }
}
