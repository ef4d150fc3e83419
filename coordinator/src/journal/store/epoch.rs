//! Terms of ownership: numbers that only grow, whose upper half is the generation of a copy.

use windlass_proto::wire::GENERATION_SHIFT;

use super::super::ordered::Ordered;
use super::super::space::Space;
use super::super::{JournalError, keys, record};
use super::Store;

impl<O: Ordered> Store<O> {
    /// Begins a generation of terms of ownership: later than all that were, wherever they are.
    pub(in super::super) fn begin_generation(&self, generation: u32) -> Result<u64, JournalError> {
        let _exclusive = self.exclusive();
        let last = self.number(keys::EPOCH)?.unwrap_or(0);
        let next = (last >> GENERATION_SHIFT).saturating_add(1).max(u64::from(generation));
        let epoch = next.min(u64::from(u32::MAX)) << GENERATION_SHIFT;
        self.put_number(keys::EPOCH, epoch)?;
        Ok(epoch)
    }

    pub(super) fn number(&self, key: &[u8]) -> Result<Option<u64>, JournalError> {
        let Some(body) = self.body(Space::Common, key)? else { return Ok(None) };
        let bytes = <[u8; 8]>::try_from(body.as_slice())
            .map_err(|_| record::damaged(key, "is no number"))?;
        Ok(Some(u64::from_be_bytes(bytes)))
    }

    pub(super) fn put_number(&self, key: &[u8], number: u64) -> Result<(), JournalError> {
        let mut changes = Vec::new();
        record::put(&mut changes, Space::Common, key.to_vec(), &[&number.to_be_bytes()]);
        self.write(changes)
    }
}
