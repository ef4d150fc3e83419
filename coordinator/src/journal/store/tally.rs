//! What the journal ought to hold: counts and a digest of each space, changed with every batch.
//!
//! The digest is the sum of one number a record, so that it is kept up without reading anything but
//! the record that is replaced, and can be made again from all records in any order. The number
//! comes from the record's own checksum, which covers key and body. The slots of the ring are left
//! out: their positions tell by themselves when one is missing or old.
//!
//! ```text
//! { commits | records | instances: varints | digest: u64 }…        the common space, then partitions
//! ```

use windlass_proto::id::PartitionId;

use super::super::record::{push_varint, read_varint};
use super::super::space::Space;
use super::super::{Loss, keys};

/// What one space holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Sum {
    /// Batches that changed it; only ever grows.
    pub(in super::super) commits: u64,
    /// Records, parts of large ones included.
    pub(in super::super) records: u64,
    /// Instances: records that are heads.
    pub(in super::super) instances: u64,
    digest: u64,
}

/// What all spaces hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Tally {
    sums: Vec<Sum>,
}

/// How far a journal has come, for a witness outside of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalPosition {
    pub(in super::super) tally: Tally,
    /// Slots of the ring ever written.
    pub(in super::super) slots: u64,
}

impl Sum {
    /// Takes a record in.
    pub(super) fn add(&mut self, space: Space, key: &[u8], value: &[u8]) {
        self.records = self.records.wrapping_add(1);
        self.instances = self.instances.wrapping_add(u64::from(is_head(key)));
        self.digest = self.digest.wrapping_add(weigh(space, value));
    }

    /// Takes a record out.
    pub(super) fn subtract(&mut self, space: Space, key: &[u8], value: &[u8]) {
        self.records = self.records.wrapping_sub(1);
        self.instances = self.instances.wrapping_sub(u64::from(is_head(key)));
        self.digest = self.digest.wrapping_sub(weigh(space, value));
    }

    fn holds_the_same(&self, other: &Self) -> bool {
        Self { commits: 0, ..*self } == Self { commits: 0, ..*other }
    }
}

impl Tally {
    /// That of a journal that holds nothing.
    pub(super) fn of_nothing(partitions: u16) -> Self {
        Self { sums: vec![Sum::default(); usize::from(partitions) + 1] }
    }

    /// The sum of a space; `None` for a partition that the journal does not have.
    pub(super) fn sum(&mut self, space: Space) -> Option<&mut Sum> {
        self.sums.get_mut(number(space))
    }

    /// All spaces and what they hold.
    pub(super) fn spaces(&self) -> impl Iterator<Item = (Space, &Sum)> {
        let partitions = (0_u16..).map(|it| Space::Partition(PartitionId(it)));
        std::iter::once(Space::Common).chain(partitions).zip(&self.sums)
    }

    /// Records of all spaces.
    pub(super) fn records(&self) -> u64 {
        self.sums.iter().fold(0, |sum, it| sum.saturating_add(it.records))
    }

    pub(in super::super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.sums.len() * 20);
        for Sum { commits, records, instances, digest } in &self.sums {
            push_varint(&mut bytes, *commits);
            push_varint(&mut bytes, *records);
            push_varint(&mut bytes, *instances);
            bytes.extend_from_slice(&digest.to_le_bytes());
        }
        bytes
    }

    /// All of `bytes`.
    pub(in super::super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut sums = Vec::new();
        while !bytes.is_empty() {
            let (commits, rest) = read_varint(bytes)?;
            let (records, rest) = read_varint(rest)?;
            let (instances, rest) = read_varint(rest)?;
            let (digest, rest) = rest.split_first_chunk::<8>()?;
            sums.push(Sum { commits, records, instances, digest: u64::from_le_bytes(*digest) });
            bytes = rest;
        }
        Some(Self { sums })
    }

    /// Numbers commits on from those of `other`: what is counted anew must not look older.
    pub(super) fn go_on_from(&mut self, other: &Self) {
        for (sum, other) in self.sums.iter_mut().zip(&other.sums) {
            sum.commits = sum.commits.max(other.commits.saturating_add(1));
        }
    }

    /// True for a tally of so many partitions.
    pub(super) fn fits(&self, partitions: u16) -> bool {
        self.sums.len() == usize::from(partitions) + 1
    }

    /// What the records that were `found` lack of what this says.
    pub(super) fn compare(&self, found: &Self) -> Vec<Loss> {
        let pairs = self.spaces().zip(&found.sums);
        let differ = pairs.filter(|((_, due), found)| !due.holds_the_same(found));
        differ.map(|((space, due), found)| loss(space, due, found, due.commits)).collect()
    }
}

impl JournalPosition {
    /// What a journal that stands here lacks of what a witness saw of it. It may have come further:
    /// the witness is written after the journal.
    pub(in super::super) fn missing_from(&self, witness: &Self) -> Vec<Loss> {
        let mut losses = Vec::new();
        let (due, found) = (&witness.tally.sums, &self.tally.sums);
        for ((space, due), found) in witness.tally.spaces().zip(found) {
            if found.commits < due.commits
                || (found.commits == due.commits && !found.holds_the_same(due))
            {
                losses.push(loss(space, due, found, found.commits));
            }
        }
        if due.len() != found.len() {
            losses.push(Loss {
                what: format!("it has {} partitions of {}", found.len(), due.len()),
                ..Loss::default()
            });
        }
        if self.slots < witness.slots {
            losses.push(Loss {
                what: format!(
                    "of the recent facts, writes {} to {} are missing",
                    self.slots + 1,
                    witness.slots
                ),
                ..Loss::default()
            });
        }
        losses
    }
}

fn loss(space: Space, due: &Sum, found: &Sum, from: u64) -> Loss {
    let (name, partition) = match space {
        Space::Common => ("the part for definitions and bookkeeping".to_owned(), None),
        Space::Partition(partition) => (format!("partition {}", partition.0), Some(partition)),
    };
    let commits = due.commits.saturating_sub(found.commits.min(from));
    let state = match commits {
        0 => format!("{name} does not hold what was written by commit {from}"),
        _ => format!("{name} ends at commit {from} of {}", due.commits),
    };
    let mut what = format!("{state}: {} records where {} were", found.records, due.records);
    if partition.is_some() {
        what += &format!(", {} instances where {} were", found.instances, due.instances);
    }
    Loss {
        partition,
        from_commit: Some(from),
        commits: Some(commits),
        records: Some(due.records.saturating_sub(found.records)),
        instances: Some(due.instances.saturating_sub(found.instances)),
        what,
    }
}

/// True for a record that the sums cover.
pub(super) fn is_covered(space: Space, key: &[u8]) -> bool {
    // A restored journal has no witness yet, and the sums of one that had.
    let of_itself =
        key.first() == Some(&keys::RING) || key == keys::TALLY || key == keys::WITNESSED;
    // The search index follows from what is covered.
    let of_itself = of_itself || key.starts_with(keys::HIDDEN);
    space != Space::Common || !of_itself
}

fn is_head(key: &[u8]) -> bool {
    key.first() == Some(&keys::HEAD)
}

fn number(space: Space) -> usize {
    match space {
        Space::Common => 0,
        Space::Partition(partition) => usize::from(partition.0) + 1,
    }
}

/// The number that stands for a record: of its length and checksum, as stored.
fn weigh(space: Space, value: &[u8]) -> u64 {
    let stored = value.get(1..).and_then(read_varint).and_then(|(length, rest)| {
        let (crc, _) = rest.split_first_chunk::<4>()?;
        Some((length, u32::from_le_bytes(*crc)))
    });
    // What is no record has no checksum of its own.
    let (length, crc) = stored.unwrap_or((0, crc32fast::hash(value)));
    let place = (number(space) as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mix((u64::from(crc) << 32) ^ length ^ place)
}

/// SplitMix64's finalizer: sums of its results do not cancel out as sums of checksums might.
fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use windlass_proto::id::PartitionId;

    use super::super::super::record;
    use super::{JournalPosition, Space, Tally};

    const SPACE: Space = Space::Partition(PartitionId(1));

    fn value(key: &[u8], body: &[u8]) -> Vec<u8> {
        let mut changes = Vec::new();
        record::put(&mut changes, SPACE, key.to_vec(), &[body]);
        changes.pop().unwrap().value.unwrap()
    }

    /// Key and body of a record.
    type Record<'a> = (&'a [u8], &'a [u8]);

    fn tally(commits: u64, records: &[Record<'_>]) -> Tally {
        let mut tally = Tally::of_nothing(4);
        let sum = tally.sum(SPACE).unwrap();
        sum.commits = commits;
        for (key, body) in records {
            sum.add(SPACE, key, &value(key, body));
        }
        tally
    }

    #[test]
    fn the_order_of_records_does_not_matter_and_their_content_does() {
        let (one, two): (Record<'_>, Record<'_>) = ((b"h1", b"a"), (b"f2", b"b"));
        assert_eq!(tally(1, &[one, two]), tally(1, &[two, one]));
        for other in [&[one][..], &[one, one], &[one, (b"f2", b"c")], &[one, (b"f3", b"b")]] {
            let losses = tally(1, &[one, two]).compare(&tally(1, other));
            assert_eq!(losses.len(), 1, "{other:?}");
        }
        let mut left = tally(1, &[one, two]);
        left.sum(SPACE).unwrap().subtract(SPACE, two.0, &value(two.0, two.1));
        assert_eq!(left, tally(1, &[one]));
    }

    #[test]
    fn a_tally_comes_back() {
        let made = tally(u64::MAX, &[(b"h1", b"a")]);
        let bytes = made.encode();
        assert_eq!(Tally::decode(&bytes), Some(made));
        assert_eq!(Tally::decode(&bytes[..bytes.len() - 1]), None);
    }

    #[test]
    fn a_journal_may_be_ahead_of_its_witness_and_not_behind() {
        fn position(commits: u64, records: &[Record<'_>], slots: u64) -> JournalPosition {
            JournalPosition { tally: tally(commits, records), slots }
        }
        let (one, two): (Record<'_>, Record<'_>) = ((b"h1", b"a"), (b"h2", b"b"));
        let witness = position(7, &[one, two], 3);
        assert!(witness.missing_from(&witness).is_empty());
        assert!(position(8, &[one], 4).missing_from(&witness).is_empty());
        let behind = position(5, &[one], 3).missing_from(&witness);
        let counts = (behind[0].from_commit, behind[0].commits);
        assert_eq!((behind.len(), counts), (1, (Some(5), Some(2))));
        assert_eq!((behind[0].partition, behind[0].instances), (Some(PartitionId(1)), Some(1)));
        assert!(behind[0].what.contains("partition 1 ends at commit 5 of 7"), "{behind:?}");
        assert_eq!(position(7, &[one], 3).missing_from(&witness).len(), 1);
        assert_eq!(position(7, &[one, two], 2).missing_from(&witness).len(), 1);
    }
}
