//! What of a large group goes to sled ahead of it.
//!
//! sled keeps a batch in memory as it is given and as it is written, all of it until the batch
//! ends. So parts of records that are new, which nobody reads before the record is there, are put
//! one by one before the batch that has the rest. A note says which; the batch removes it. Where
//! the process ends in between, whoever opens the journal finds the note and takes them back.
//!
//! ```text
//! note: { length: varint | space and key of the record | parts: varint }…
//! ```

use std::collections::BTreeMap;

use windlass_proto::limits::JOURNAL_AHEAD_BYTES;

use super::super::record::{push_varint, read_varint};
use super::super::space::{Change, Space};
use super::super::{JournalError, keys, record};
use super::checkpoint::Base;
use super::{place, unusable};

/// Bytes of a note: as it is one record, the parts of what it has no room for go with the batch.
const NOTE_BYTES: usize = 4 << 10;

/// Records, by space and key, and how many parts each has.
type Records = BTreeMap<Vec<u8>, u32>;

impl Base {
    /// Puts what may go ahead of a batch, and returns what is left for it. Nobody else may write
    /// meanwhile, and nothing may wait to go to sled.
    pub(super) fn put_ahead(&self, changes: Vec<Change>) -> Result<Vec<Change>, JournalError> {
        let (records, note) = noted(self.new_records(&changes)?);
        if records.is_empty() {
            return Ok(changes);
        }
        for Change { space, key, value } in note_of(&note) {
            self.put(place(space, &key), value.as_deref())?;
        }
        let (mut rest, mut bytes) = (Vec::new(), 0);
        for change in changes {
            match &change.value {
                Some(value) if part_of(&change).is_some_and(|it| records.contains_key(&it.0)) => {
                    self.put(place(change.space, &change.key), Some(value))?;
                    bytes += value.len();
                }
                _ => rest.push(change),
            }
            if bytes >= JOURNAL_AHEAD_BYTES {
                self.db.flush().map_err(unusable)?;
                bytes = 0;
            }
        }
        rest.push(Change { space: Space::Common, key: keys::AHEAD.to_vec(), value: None });
        Ok(rest)
    }

    /// The records of which the changes have all parts, and the store none.
    fn new_records(&self, changes: &[Change]) -> Result<Records, JournalError> {
        let mut records = BTreeMap::new();
        for change in changes {
            let Some((record, number)) = part_of(change) else { continue };
            let is_new =
                change.value.is_some() && self.get(&place(change.space, &change.key))?.is_none();
            let parts = records.entry(record).or_insert(Some(0));
            *parts = parts.filter(|next| is_new && *next == number).map(|next| next + 1);
        }
        Ok(records.into_iter().filter_map(|(record, parts)| Some((record, parts?))).collect())
    }

    /// Takes back, for all who read, what went ahead of a batch that did not come.
    pub(super) fn take_back(&self) -> Result<(), JournalError> {
        let note = self.db.get(place(Space::Common, keys::AHEAD)).map_err(unusable)?;
        let Some(note) = note else { return Ok(()) };
        let note = record::open(keys::AHEAD, &note)?;
        let mut changes = Vec::new();
        let mut rest = &*note.first;
        while !rest.is_empty() {
            let read = || {
                let (length, rest) = read_varint(rest)?;
                let (record, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                let (parts, rest) = read_varint(rest)?;
                Some((keys::split(record)?, u32::try_from(parts).ok()?, rest))
            };
            let ((space, key), parts, after) =
                read().ok_or_else(|| record::damaged(keys::AHEAD, "is no note"))?;
            let gone = (0..parts).map(|it| Change { space, key: keys::part(key, it), value: None });
            changes.extend(gone);
            rest = after;
        }
        tracing::info!(parts = changes.len(), "taking back what went ahead of a write");
        self.memtable_mut().add(changes);
        Ok(())
    }

    /// Drops the note once what it says is done, durably.
    pub(super) fn drop_note(&self) -> Result<(), JournalError> {
        let place = place(Space::Common, keys::AHEAD);
        if self.db.contains_key(&place).map_err(unusable)? {
            self.put(place, None)?;
            self.sync()?;
        }
        Ok(())
    }
}

/// The record that a change is about a part of, and which.
fn part_of(change: &Change) -> Option<(Vec<u8>, u32)> {
    let (kind, rest) = change.key.split_first()?;
    let (record, number) = rest.split_last_chunk::<4>()?;
    (*kind == keys::PART).then(|| (place(change.space, record), u32::from_be_bytes(*number)))
}

/// As many of the records as a note has room for, and the note.
fn noted(mut records: Records) -> (Records, Vec<u8>) {
    let mut note = Vec::new();
    records.retain(|record, parts| {
        let mut entry = Vec::with_capacity(record.len() + 8);
        push_varint(&mut entry, record.len() as u64);
        entry.extend_from_slice(record);
        push_varint(&mut entry, u64::from(*parts));
        let fits = note.len() + entry.len() <= NOTE_BYTES;
        if fits {
            note.append(&mut entry);
        }
        fits
    });
    (records, note)
}

fn note_of(note: &[u8]) -> Vec<Change> {
    let mut changes = Vec::new();
    record::put(&mut changes, Space::Common, keys::AHEAD.to_vec(), &[note]);
    changes
}
