//! Facts that are only in the ring so far, and which instances are hot.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Bound;

use uuid::Uuid;
use windlass_proto::id::{InstanceId, PartitionId};

use super::super::StoredFacts;
use super::super::record::{push_varint, read_varint};
use crate::pieces::Pieces;

/// What the ring holds that the store does not, and the hot index.
#[derive(Debug, Default)]
pub(super) struct Recent {
    pub(super) pending: HashMap<InstanceId, Pending>,
    pub(super) hot: BTreeSet<(PartitionId, InstanceId)>,
    /// Instances by the first slot they need, oldest first. An instance that is not pending from
    /// that slot on any more has left.
    pub(super) order: VecDeque<(u64, InstanceId)>,
    /// Position of the next slot; positions count on for ever.
    pub(super) next: u64,
    /// Slots that were missing when the journal was opened.
    pub(super) missing: u64,
    /// True when the ring says that it holds nothing of value.
    pub(super) clear: bool,
}

/// Facts of one instance.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// Position of the slot of the first of them.
    pub(super) position: u64,
    pub(super) entries: Vec<Entry>,
    /// Bytes of all entries.
    pub(super) bytes: usize,
}

/// Facts written together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Entry {
    /// Sequence number of the first.
    pub(in super::super) sequence: u64,
    /// How many there are.
    pub(in super::super) count: u32,
    pub(in super::super) facts: Pieces,
}

impl Recent {
    pub(super) fn hot(
        &self,
        partition: PartitionId,
        after: Option<InstanceId>,
        limit: usize,
    ) -> Vec<InstanceId> {
        let from = match after {
            Some(after) => Bound::Excluded((partition, after)),
            None => Bound::Included((partition, InstanceId(Uuid::nil()))),
        };
        let to = Bound::Included((partition, InstanceId(Uuid::max())));
        self.hot.range((from, to)).take(limit).map(|(_, instance)| *instance).collect()
    }

    pub(super) fn set_hot(&mut self, partition: PartitionId, instance: InstanceId, hot: bool) {
        if hot {
            self.hot.insert((partition, instance));
        } else {
            self.hot.remove(&(partition, instance));
        }
    }
}

impl Pending {
    /// Nothing yet, from `position` on.
    pub(super) fn from(position: u64) -> Self {
        Self { position, entries: Vec::new(), bytes: 0 }
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.bytes += entry.facts.len();
        self.entries.push(entry);
    }
}

impl Entry {
    /// The sequence number after the last of these facts.
    pub(in super::super) fn end(&self) -> u64 {
        self.sequence.saturating_add(u64::from(self.count))
    }

    pub(super) fn push_to(&self, bytes: &mut Vec<u8>) {
        self.push_start(bytes);
        self.facts.iter().for_each(|it| bytes.extend_from_slice(it));
    }

    /// What stands before the facts.
    fn push_start(&self, bytes: &mut Vec<u8>) {
        push_varint(bytes, self.sequence);
        push_varint(bytes, u64::from(self.count));
        push_varint(bytes, self.facts.len() as u64);
    }

    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (sequence, rest) = read_varint(bytes)?;
        let (count, rest) = read_varint(rest)?;
        let (length, rest) = read_varint(rest)?;
        let (facts, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        Some((
            Self { sequence, count: u32::try_from(count).ok()?, facts: facts.to_vec().into() },
            rest,
        ))
    }

    /// All of `bytes`.
    pub(in super::super) fn read_all(mut bytes: &[u8]) -> Option<Vec<Self>> {
        let mut entries = Vec::new();
        while !bytes.is_empty() {
            let (entry, rest) = Self::read(bytes)?;
            entries.push(entry);
            bytes = rest;
        }
        Some(entries)
    }

    /// What stands before the facts of each entry.
    pub(super) fn starts(entries: &[Self]) -> Vec<Vec<u8>> {
        let start = |entry: &Self| {
            let mut bytes = Vec::with_capacity(8);
            entry.push_start(&mut bytes);
            bytes
        };
        entries.iter().map(start).collect()
    }

    /// Entries one after the other, in pieces.
    pub(super) fn pieces<'a>(starts: &'a [Vec<u8>], entries: &'a [Self]) -> Vec<&'a [u8]> {
        let pairs = starts.iter().zip(entries);
        let body = |(start, entry): (&'a Vec<u8>, &'a Self)| {
            std::iter::once(start.as_slice()).chain(entry.facts.iter())
        };
        pairs.flat_map(body).collect()
    }
}

impl From<Entry> for StoredFacts {
    fn from(entry: Entry) -> Self {
        Self { sequence: entry.sequence, count: entry.count, facts: entry.facts.into() }
    }
}
