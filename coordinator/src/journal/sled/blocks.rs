//! Blocks: neighbouring heads under one key of sled.
//!
//! A head is all that is left of an instance that ended, and sled writes much more than that for a
//! new key: with every eighth, the page above with all that is in it. So new heads, as far as they
//! come after all heads in blocks, go to sled in blocks of a few KiB, packed together.
//!
//! ```text
//! key: the first head's, behind what begins all keys of blocks
//! value: length of the last head's key: varint | that key | length unpacked: varint | LZ4 block
//! unpacked: { key | value }…, each with its length: varint           or empty: a placeholder
//! ```
//!
//! Blocks never overlap. A head that changes later gets a key of its own, which counts before what
//! is in a block; one that is removed is taken out of its block too.

use std::collections::VecDeque;
use std::ops::Bound;

use lz4_flex::block;

use super::super::record::{push_varint, read_varint};
use super::super::space::{Change, Order, Space};
use super::super::{JournalError, keys};
use super::{place, unusable};

/// Bytes of heads in a block before they are packed: as much as in any record.
const BLOCK_BYTES: usize = 6 << 10;

/// Bytes of a head beyond which it has a key of its own.
const HEAD_BYTES: usize = 2 << 10;

/// Heads that are worth a block.
const LEAST: usize = 4;

/// A key and its value.
pub(super) type Entry = (Vec<u8>, Vec<u8>);

/// True for the key of a record that may be in a block.
pub(super) fn may_hold(at: &[u8]) -> bool {
    let kind = keys::split(at).and_then(|(space, key)| Some((space, *key.first()?)));
    matches!(kind, Some((Space::Partition(_), keys::HEAD)))
}

/// Where the blocks are that hold what lies from a key on.
fn label(at: &[u8]) -> Vec<u8> {
    let mut label = place(Space::Common, keys::BLOCK);
    label.extend_from_slice(at);
    label
}

/// The last block that begins at or before a key.
fn block_at(db: &::sled::Db, at: &[u8]) -> Result<Option<Entry>, JournalError> {
    let range = (Bound::Included(label(&[])), Bound::Included(label(at)));
    let found = db.range(range).next_back().transpose().map_err(unusable)?;
    Ok(found.map(|(label, value)| (label.to_vec(), value.to_vec())))
}

/// The head under a key, if it is in a block.
pub(super) fn get(db: &::sled::Db, at: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
    let Some((_, value)) = block_at(db, at)? else { return Ok(None) };
    if at > last(&value).unwrap_or_default() {
        return Ok(None);
    }
    let entries = unpack(&value)?;
    Ok(entries.into_iter().find(|(key, _)| key == at).map(|(_, value)| value))
}

/// The last key in a block.
fn last(value: &[u8]) -> Option<&[u8]> {
    let (length, rest) = read_varint(value)?;
    rest.get(..usize::try_from(length).ok()?)
}

fn pack(entries: &[Entry]) -> Vec<u8> {
    let mut body = Vec::with_capacity(BLOCK_BYTES);
    for (key, value) in entries {
        for bytes in [key, value] {
            push_varint(&mut body, bytes.len() as u64);
            body.extend_from_slice(bytes);
        }
    }
    let mut value = Vec::with_capacity(BLOCK_BYTES);
    let last = entries.last().map(|(key, _)| key.as_slice()).unwrap_or_default();
    push_varint(&mut value, last.len() as u64);
    value.extend_from_slice(last);
    push_varint(&mut value, body.len() as u64);
    value.extend_from_slice(&block::compress(&body));
    value
}

fn unpack(value: &[u8]) -> Result<Vec<Entry>, JournalError> {
    let parsed = || {
        let (length, rest) = read_varint(value)?;
        let rest = rest.get(usize::try_from(length).ok()?..)?;
        let (size, packed) = read_varint(rest)?;
        let size = usize::try_from(size).ok().filter(|size| *size <= 2 * BLOCK_BYTES)?;
        let body = block::decompress(packed, size).ok()?;
        let (mut entries, mut rest) = (Vec::new(), body.as_slice());
        while !rest.is_empty() {
            let (key, after) = read_bytes(rest)?;
            let (value, after) = read_bytes(after)?;
            entries.push((key.to_vec(), value.to_vec()));
            rest = after;
        }
        Some(entries)
    };
    // A placeholder that a process has left which ended.
    if value.is_empty() {
        return Ok(Vec::new());
    }
    parsed().ok_or_else(|| JournalError::Damaged("a block of heads cannot be read".to_owned()))
}

fn read_bytes(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = read_varint(bytes)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

/// Gathers new heads, which come in the order of their keys.
pub(super) struct Gatherer<'a> {
    db: &'a ::sled::Db,
    /// The partition that is gathered now, and the last key in its blocks.
    space: Option<Space>,
    frontier: Vec<u8>,
    gathered: Vec<Entry>,
    bytes: usize,
    /// Blocks that are full, and heads that make none.
    pub(super) blocks: Vec<Entry>,
    pub(super) single: Vec<Entry>,
}

impl<'a> Gatherer<'a> {
    pub(super) fn new(db: &'a ::sled::Db) -> Self {
        let (gathered, blocks, single) = (Vec::new(), Vec::new(), Vec::new());
        Self { db, space: None, frontier: Vec::new(), gathered, bytes: 0, blocks, single }
    }

    /// Takes a head, if it is one that goes to a block.
    pub(super) fn take(&mut self, at: &[u8], value: &[u8]) -> Result<bool, JournalError> {
        if !may_hold(at) || value.len() > HEAD_BYTES {
            return Ok(false);
        }
        let space = keys::split(at).map(|(space, _)| space);
        if space != self.space {
            self.close();
            self.space = space;
            self.frontier = self.find_frontier(space)?;
        }
        if at <= self.frontier.as_slice() || self.db.contains_key(at).map_err(unusable)? {
            return Ok(false);
        }
        if self.bytes + at.len() + value.len() + 8 > BLOCK_BYTES {
            self.close();
        }
        self.bytes += at.len() + value.len() + 8;
        self.gathered.push((at.to_vec(), value.to_vec()));
        Ok(true)
    }

    /// The last key in the blocks of a partition.
    fn find_frontier(&self, space: Option<Space>) -> Result<Vec<u8>, JournalError> {
        let Some(space) = space else { return Ok(Vec::new()) };
        let end = place(space, &keys::end_of(&[keys::HEAD]));
        let Some((found, value)) = block_at(self.db, &end)? else { return Ok(Vec::new()) };
        let first = found.get(label(&[]).len()..).unwrap_or_default();
        Ok(last(&value).unwrap_or_default().max(first).to_vec())
    }

    /// Makes a block of what was gathered.
    pub(super) fn close(&mut self) {
        let gathered = std::mem::take(&mut self.gathered);
        self.bytes = 0;
        match gathered.first() {
            Some((first, _)) if gathered.len() >= LEAST => {
                self.blocks.push((label(first), pack(&gathered)));
            }
            _ => self.single.extend(gathered),
        }
    }
}

/// The changes that take heads out of their blocks.
pub(super) fn without(db: &::sled::Db, gone: &[&[u8]]) -> Result<Vec<Change>, JournalError> {
    let mut changed: Vec<(Vec<u8>, Vec<Entry>)> = Vec::new();
    for at in gone.iter().filter(|at| may_hold(at)) {
        let Some((label, value)) = block_at(db, at)? else { continue };
        if *at > last(&value).unwrap_or_default() {
            continue;
        }
        let open = changed.iter().rposition(|(of, _)| *of == label);
        let index = match open {
            Some(index) => index,
            None => {
                changed.push((label, unpack(&value)?));
                changed.len() - 1
            }
        };
        if let Some((_, entries)) = changed.get_mut(index) {
            entries.retain(|(key, _)| key != at);
        }
    }
    let prefix = keys::prefix(Space::Common).len();
    let change = |(label, entries): (Vec<u8>, Vec<Entry>)| Change {
        space: Space::Common,
        key: label.get(prefix..).unwrap_or_default().to_vec(),
        value: (!entries.is_empty()).then(|| pack(&entries)),
    };
    Ok(changed.into_iter().map(change).collect())
}

/// What sled has between two keys, in keys of its own and in blocks, in order.
pub(super) struct Stored {
    singles: ::sled::Iter,
    single: Option<Entry>,
    blocks: ::sled::Iter,
    /// Of the block that is shown now, in the order in which it is.
    block: VecDeque<Entry>,
    from: Vec<u8>,
    to: Vec<u8>,
    order: Order,
}

impl Stored {
    pub(super) fn between(
        db: &::sled::Db,
        from: &[u8],
        to: &[u8],
        order: Order,
    ) -> Result<Self, JournalError> {
        let (first, end) = match block_at(db, from)? {
            // It may hold what comes after `from`.
            Some((first, _)) => (first, label(to)),
            None => (label(from), label(to)),
        };
        let mut stored = Self {
            singles: db.range(from..to),
            single: None,
            blocks: db.range(first.min(end.clone())..end),
            block: VecDeque::new(),
            from: from.to_vec(),
            to: to.to_vec(),
            order,
        };
        stored.single = stored.next_single()?;
        Ok(stored)
    }

    fn next_single(&mut self) -> Result<Option<Entry>, JournalError> {
        let hidden = place(Space::Common, keys::HIDDEN);
        loop {
            let next = match self.order {
                Order::Up => self.singles.next(),
                Order::Down => self.singles.next_back(),
            };
            match next.transpose().map_err(unusable)? {
                // Blocks and marks are no records.
                Some((key, _)) if key.starts_with(&hidden) => {}
                next => return Ok(next.map(|(key, value)| (key.to_vec(), value.to_vec()))),
            }
        }
    }

    /// Has the next head of a block at the front, if there is one.
    fn fill(&mut self) -> Result<(), JournalError> {
        while self.block.is_empty() {
            let next = match self.order {
                Order::Up => self.blocks.next(),
                Order::Down => self.blocks.next_back(),
            };
            let Some((_, value)) = next.transpose().map_err(unusable)? else { return Ok(()) };
            if last(&value).is_none_or(|last| last < self.from.as_slice()) {
                continue;
            }
            let within = |key: &Vec<u8>| *key >= self.from && *key < self.to;
            let entries = unpack(&value)?.into_iter().filter(|(key, _)| within(key));
            self.block = match self.order {
                Order::Up => entries.collect(),
                Order::Down => entries.rev().collect(),
            };
        }
        Ok(())
    }

    /// The next key and its value; an empty value is a placeholder.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, JournalError> {
        self.fill()?;
        let before = match (&self.single, self.block.front()) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some((single, _)), Some((key, _))) => {
                if single == key {
                    // What has a key of its own is newer.
                    self.block.pop_front();
                    true
                } else {
                    (single < key) == (self.order == Order::Up)
                }
            }
        };
        if before {
            let next = self.next_single()?;
            return Ok(std::mem::replace(&mut self.single, next));
        }
        Ok(self.block.pop_front())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{BLOCK_BYTES, last, pack, unpack};

    #[test]
    fn blocks_come_back() {
        let entries: Vec<_> = (0..20_u8).map(|it| (vec![1, it], vec![it; 200])).collect();
        let value = pack(&entries);
        assert!(value.len() < BLOCK_BYTES / 4);
        assert_eq!(unpack(&value).unwrap(), entries);
        assert_eq!(last(&value), Some(&[1, 19][..]));
        assert_eq!(unpack(&[]).unwrap(), []);
        for cut in 1..value.len() {
            assert!(unpack(&value[..cut]).is_err(), "cut at {cut}");
        }
    }
}
