//! What operators have suspended.

use sha2::Digest as _;
use windlass_proto::time::Timestamp;

use super::super::ordered::Ordered;
use super::super::space::{Change, Order, Space};
use super::super::{JournalError, keys, record};
use super::Store;
use crate::admission::Suspended;

impl<O: Ordered> Store<O> {
    pub(super) fn write_suspended(
        &self,
        what: &Suspended,
        since: Option<Timestamp>,
    ) -> Result<(), JournalError> {
        let _exclusive = self.exclusive();
        let encode = |value: &(&Suspended, Option<Timestamp>)| {
            rmp_serde::to_vec(value).map_err(|error| {
                JournalError::Store(format!("what is suspended cannot be encoded: {error}"))
            })
        };
        // Names may be of any characters, so the key is a digest of them.
        let mut key = vec![keys::SUSPENDED];
        key.extend_from_slice(&sha2::Sha256::digest(encode(&(what, None))?));
        let mut changes = Vec::new();
        match since {
            Some(_) => {
                let body = encode(&(what, since))?;
                record::put(&mut changes, Space::Common, key, &[&body]);
            }
            None => changes.push(Change { space: Space::Common, key, value: None }),
        }
        self.write(changes)
    }

    pub(super) fn read_suspended(&self) -> Result<Vec<(Suspended, Timestamp)>, JournalError> {
        let end = keys::end_of(&[keys::SUSPENDED]);
        let all = self.entries(Space::Common, &[keys::SUSPENDED], &end, Order::Up, usize::MAX)?;
        all.iter().map(|(key, value)| decode(key, &record::open(key, value)?.first)).collect()
    }
}

/// Decodes one record.
pub(in crate::journal) fn decode(
    key: &[u8],
    body: &[u8],
) -> Result<(Suspended, Timestamp), JournalError> {
    match rmp_serde::from_slice::<(Suspended, Option<Timestamp>)>(body) {
        Ok((what, Some(since))) => Ok((what, since)),
        _ => Err(record::damaged(key, "does not say what is suspended")),
    }
}
