//! The search index: which instances started when, and what they have in common.
//!
//! Each instance that starts is one more arrival of its partition. The latest arrivals are the
//! tail, whose heads are read for each search. Once there are enough of them they become a segment
//! ([`segment`]): sets of places by workflow, label, version, parent and, of those that have ended,
//! by status and error. So a search looks at a few bytes of each segment and reads the heads of
//! what it finds; a count reads none. What changes in a segment is little: of instances that had
//! not ended when it was made the head is read, until the segment is made anew.
//!
//! All of it follows from the heads. Whatever does not fit them when a journal is opened, or is not
//! there, as in one of an earlier version, is made anew. So it is in no backup and not counted
//! among the journal's records.
//!
//! ```text
//! keys, hidden in the common space: prefix | era: u64 | kind | partition: u16 | number…
//! prefix | "m"                                   the era: what another era wrote is not there
//! … | "p" | partition                            segments | arrivals in them | unreadable: varints
//! … | "a" | partition | number of the first: u64    arrivals: { start: u64 | id }…
//! … | "s" | partition | segment: u32             its state
//! … | "b", "t", "i" | partition | segment | generation: u64 | part: u16      its body, terms, ids
//! ```

mod bits;
mod build;
mod find;
mod marks;
mod segment;

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::keys;
use super::record;
use super::space::{Change, Space};

pub(super) use build::{indexed, meta, open};
pub(super) use find::{count, search};
pub(super) use marks::changed;

/// Instances that a segment may have: those of the last record of arrivals go into it as a whole.
const PLACES: usize = limits::SEARCH_SEGMENT + limits::SEARCH_ARRIVALS;

/// Bytes of a part of a body: as much as any record has.
const PART_BYTES: usize = 5 << 10;

/// When an instance started, and which it is: what lists are sorted by.
pub(super) type Place = (Timestamp, InstanceId);

/// What is known of the index without reading it.
#[derive(Default)]
pub(super) struct Index {
    /// What begins its keys.
    era: u64,
    partitions: RwLock<Vec<Partition>>,
}

/// What is known of a partition's part.
#[derive(Clone, Default)]
struct Partition {
    segments: Arc<Vec<Segment>>,
    /// Arrivals that segments were made of.
    base: u64,
    /// Instances that were left out when it was made, as their heads cannot be read.
    unreadable: u64,
    /// Those that came since, by record.
    tail: VecDeque<Vec<Place>>,
    /// Those of the tail whose head changed in a way that a segment being made may not see.
    touched: HashSet<InstanceId>,
    /// The segment at which the search for those that are to be made anew goes on.
    refreshed: u32,
}

impl Partition {
    /// The number of the next arrival.
    fn next(&self) -> u64 {
        self.base + self.tail.iter().map(|it| it.len() as u64).sum::<u64>()
    }
}

/// What is known of a segment.
#[derive(Clone, Debug)]
struct Segment {
    generation: u64,
    count: usize,
    first: Timestamp,
    last: Timestamp,
    /// The last start in this segment or an earlier one: clocks may go back.
    until: Timestamp,
    /// How many have not ended, as far as the segment knows.
    open: usize,
    /// How many were removed.
    gone: usize,
    /// The first term of each part of its terms.
    starts: Arc<[segment::Term]>,
}

impl Index {
    #[cfg(test)]
    pub(super) fn era(&self) -> u64 {
        self.era
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Partition>> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<Partition>> {
        self.partitions.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, partition: PartitionId) -> Partition {
        self.read().get(usize::from(partition.0)).cloned().unwrap_or_default()
    }

    fn segment(&self, partition: PartitionId, number: u32) -> Option<Segment> {
        let partitions = self.read();
        partitions.get(usize::from(partition.0))?.segments.get(number as usize).cloned()
    }

    /// Adds the changes that keep arrivals of a commit; the caller holds the journal's lock.
    pub(super) fn arrive(&self, changes: &mut Vec<Change>, arrived: &Arrived) {
        let partitions = self.read();
        for (partition, places) in &arrived.0 {
            let known = partitions.get(usize::from(partition.0));
            let mut number = known.map_or(0, Partition::next);
            for record in places.chunks(limits::SEARCH_ARRIVALS) {
                let key = self.arrivals(*partition, number);
                record::put(changes, Space::Common, key, &[&encoded(record)]);
                number += record.len() as u64;
            }
        }
    }

    /// Takes note of arrivals that are durable.
    pub(super) fn arrived(&self, arrived: Arrived) {
        if arrived.0.is_empty() {
            return;
        }
        let mut partitions = self.write();
        for (partition, places) in arrived.0 {
            if let Some(known) = partitions.get_mut(usize::from(partition.0)) {
                let records = places.chunks(limits::SEARCH_ARRIVALS).map(<[Place]>::to_vec);
                known.tail.extend(records);
            }
        }
    }

    /// Whether a segment can be made.
    pub(super) fn is_due(&self) -> bool {
        let enough = |it: &Partition| it.next() - it.base >= limits::SEARCH_SEGMENT as u64;
        self.read().iter().any(enough)
    }

    fn key(&self, kind: u8, partition: PartitionId, rest: &[&[u8]]) -> Vec<u8> {
        let mut key = keys::INDEX.to_vec();
        key.extend_from_slice(&self.era.to_be_bytes());
        key.push(kind);
        key.extend_from_slice(&partition.0.to_be_bytes());
        rest.iter().for_each(|it| key.extend_from_slice(it));
        key
    }

    fn arrivals(&self, partition: PartitionId, number: u64) -> Vec<u8> {
        self.key(b'a', partition, &[&number.to_be_bytes()])
    }

    fn state(&self, partition: PartitionId, segment: u32) -> Vec<u8> {
        self.key(b's', partition, &[&segment.to_be_bytes()])
    }

    fn part(&self, kind: u8, of: (PartitionId, u32, u64), number: u16) -> Vec<u8> {
        let (partition, segment, generation) = of;
        let rest = [&segment.to_be_bytes()[..], &generation.to_be_bytes(), &number.to_be_bytes()];
        self.key(kind, partition, &rest)
    }
}

/// A record of arrivals.
fn encoded(record: &[Place]) -> Vec<u8> {
    let mut body = Vec::with_capacity(24 * record.len());
    for (started, id) in record {
        body.extend_from_slice(&started.0.to_be_bytes());
        body.extend_from_slice(id.0.as_bytes());
    }
    body
}

/// Instances that a commit starts, by partition.
#[derive(Default)]
pub(super) struct Arrived(Vec<(PartitionId, Vec<Place>)>);

impl Arrived {
    pub(super) fn add(&mut self, partition: PartitionId, place: Place) {
        match self.0.iter_mut().find(|(known, _)| *known == partition) {
            Some((_, places)) => places.push(place),
            None => self.0.push((partition, vec![place])),
        }
    }
}
