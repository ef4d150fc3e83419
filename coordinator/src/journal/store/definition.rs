//! Definitions: by digest, and which one is current for a workflow id.

use windlass_proto::id::Digest;

use super::super::ordered::Ordered;
use super::super::space::{Change, Order, Space};
use super::super::{JournalError, StoredDefinition, keys, record};
use super::Store;

impl<O: Ordered> Store<O> {
    pub(super) fn write_definition(
        &self,
        definition: &StoredDefinition,
    ) -> Result<(), JournalError> {
        let _exclusive = self.exclusive();
        let body = rmp_serde::to_vec(definition).map_err(|error| {
            JournalError::Store(format!("a definition cannot be encoded: {error}"))
        })?;
        let space = Space::Common;
        let mut changes = Vec::new();
        let key = keys::definition(&definition.digest);
        // The same text deployed again differs in its time, and perhaps in its number of parts.
        self.erase_parts(&key, &mut changes)?;
        record::put(&mut changes, space, key, &[&body]);
        let digest = definition.digest.0.as_bytes();
        record::put(&mut changes, space, keys::current(&definition.id), &[digest]);
        self.write(changes)
    }

    pub(super) fn erase_definition(
        &self,
        definition: &StoredDefinition,
    ) -> Result<(), JournalError> {
        let _exclusive = self.exclusive();
        let (space, key) = (Space::Common, keys::definition(&definition.digest));
        let mut changes = Vec::new();
        self.erase_parts(&key, &mut changes)?;
        for key in [key, keys::current(&definition.id)] {
            changes.push(Change { space, key, value: None });
        }
        self.write(changes)
    }

    /// Erases what of a definition's record is kept apart from it.
    fn erase_parts(&self, key: &[u8], changes: &mut Vec<Change>) -> Result<(), JournalError> {
        let space = Space::Common;
        if let Some(value) = self.ordered.get(space, key)? {
            for number in (0_u32..).take(record::open(key, &value)?.parts()) {
                changes.push(Change { space, key: keys::part(key, number), value: None });
            }
        }
        Ok(())
    }

    pub(super) fn read_definition(
        &self,
        digest: &Digest,
    ) -> Result<Option<StoredDefinition>, JournalError> {
        let key = keys::definition(digest);
        let Some(body) = self.body(Space::Common, &key)? else { return Ok(None) };
        rmp_serde::from_slice(&body)
            .map(Some)
            .map_err(|_| record::damaged(&key, "is not a definition"))
    }

    pub(super) fn read_definitions(&self) -> Result<Vec<StoredDefinition>, JournalError> {
        let end = keys::end_of(&[keys::CURRENT]);
        let current = self.entries(Space::Common, &[keys::CURRENT], &end, Order::Up, usize::MAX)?;
        let mut definitions = Vec::with_capacity(current.len());
        for (key, value) in current {
            let digest = record::open(&key, &value)?.first;
            let digest =
                std::str::from_utf8(&digest).map_err(|_| record::damaged(&key, "is no digest"))?;
            let definition = self
                .read_definition(&Digest(digest.into()))?
                .ok_or_else(|| record::damaged(&key, "names a definition that is missing"))?;
            definitions.push(definition);
        }
        Ok(definitions)
    }
}
