//! Facts that are only in the ring so far, and which instances are hot.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use uuid::Uuid;
use windlass_proto::id::{InstanceId, PartitionId};

use super::super::StoredFacts;
use super::super::record::{push_varint, read_varint};

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
    pub(in super::super) facts: Arc<[u8]>,
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
        push_varint(bytes, self.sequence);
        push_varint(bytes, u64::from(self.count));
        push_varint(bytes, self.facts.len() as u64);
        bytes.extend_from_slice(&self.facts);
    }

    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (sequence, rest) = read_varint(bytes)?;
        let (count, rest) = read_varint(rest)?;
        let (length, rest) = read_varint(rest)?;
        let (facts, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        Some((Self { sequence, count: u32::try_from(count).ok()?, facts: facts.into() }, rest))
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

    /// Entries one after the other.
    pub(super) fn encode(entries: &[Self]) -> Vec<u8> {
        let size: usize = entries.iter().map(|entry| entry.facts.len() + 8).sum();
        let mut bytes = Vec::with_capacity(size);
        for entry in entries {
            entry.push_to(&mut bytes);
        }
        bytes
    }
}

impl From<Entry> for StoredFacts {
    fn from(entry: Entry) -> Self {
        Self { sequence: entry.sequence, count: entry.count, facts: entry.facts.to_vec() }
    }
}
