//! Keys of records.
//!
//! The first byte says what a record is; ids follow as big-endian bytes, so that instances started
//! together lie together and a scan in key order is a scan in order of time.

use windlass_proto::id::{Digest, FrameId, InstanceId, PartitionId, WorkflowId};
use windlass_proto::time::Timestamp;

use super::space::Space;
use super::{EarlyKey, JournalError, TimerKey};
use crate::schedule::ScheduleId;

/// Facts of an instance: id, sequence number of the first.
pub(super) const FACTS: u8 = b'f';
/// The head of an instance, and the last facts of one that ended: id.
pub(super) const HEAD: u8 = b'h';
/// The hot index, as far as the ring does not say otherwise: id.
pub(super) const HOT: u8 = b'o';
/// An instance that was removed, of which records may be left: id.
pub(super) const REMOVED: u8 = b'x';
/// The latest snapshot of an instance: id.
pub(super) const SNAPSHOT: u8 = b'z';
/// A subscription: id, frame.
pub(super) const SUBSCRIPTION: u8 = b's';
/// A timer: due time, id, number.
pub(super) const TIMER: u8 = b't';
/// A key to remember.
pub(super) const SEEN: u8 = b'e';
/// The state of a schedule: id.
pub(super) const SCHEDULE: u8 = b'q';
/// What became of a due time of a schedule: id, place.
pub(super) const OCCURRENCE: u8 = b'u';
/// A claim on a limit: the row's name.
pub(super) const CLAIM: u8 = b'l';
/// Who has the key of a start: the row's name.
pub(super) const START_KEY: u8 = b'k';
/// A question to people that is open: the row's name.
pub(super) const APPROVAL: u8 = b'a';
/// How many instances of a workflow are open: namespace, name.
pub(super) const OPEN: u8 = b'n';
/// A later part of a large record: the record's key, number of the part.
pub(super) const PART: u8 = b'c';

/// In the common space: a slot of the ring of recent facts: number of the slot.
pub(super) const RING: u8 = b'r';
/// In the common space: the number of partitions.
pub(super) const PARTITIONS: &[u8] = b"np";
/// In the common space: the latest term of ownership.
pub(super) const EPOCH: &[u8] = b"ne";
/// In the common space: what all spaces ought to hold.
pub(super) const TALLY: &[u8] = b"nt";
/// In the common space: that a witness was written, and so must be there.
pub(super) const WITNESSED: &[u8] = b"nw";
/// In the common space: which version of the format is needed to read all records.
pub(super) const VERSION: &[u8] = b"nv";
/// In the common space: that open instances are counted.
pub(super) const COUNTED: &[u8] = b"no";
/// In the common space, where no scan of it comes: what begins the keys of the store itself.
pub(super) const HIDDEN: &[u8] = b"\xff";
/// Hidden: which write-ahead log goes with the store.
pub(super) const LOGGED: &[u8] = b"\xffw";
/// Hidden: what went to the store ahead of a group that is being written.
pub(super) const AHEAD: &[u8] = b"\xffa";
/// Hidden: a block of heads: the first one's key, with its space.
pub(super) const BLOCK: &[u8] = b"\xffb";
/// Hidden: how far a log that others write to as well was followed.
pub(super) const FOLLOWED: &[u8] = b"\xffl";
/// Hidden: the search index.
pub(super) const INDEX: &[u8] = b"\xffx";
/// In the common space: a definition by digest.
pub(super) const DEFINITION: u8 = b'd';
/// In the common space: a bulk job: id.
pub(super) const BULK: u8 = b'b';
/// In the common space: some of the instances of a bulk job: id, page.
pub(super) const BULK_IDS: u8 = b'i';
/// In the common space: what came of some instances of a bulk job: id, page.
pub(super) const BULK_RESULTS: u8 = b'g';
/// In the common space: an event that is kept until somebody waits for it: its key.
pub(super) const EARLY: u8 = b'k';
/// In the common space: what is suspended.
pub(super) const SUSPENDED: u8 = b'p';
/// In the common space: the current digest of a workflow id.
pub(super) const CURRENT: u8 = b'w';

/// Keys longer than this are remembered by their hash: event ids may be of any length.
const SEEN_BYTES: usize = 48;

/// What the keys of a space start with where all spaces share a tree.
pub(super) fn prefix(space: Space) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(3);
    match space {
        Space::Common => push_ordered(&mut prefix, 0),
        Space::Partition(partition) => push_ordered(&mut prefix, u64::from(partition.0) + 1),
    }
    prefix
}

/// The space and the key within it of a key where all spaces share a tree.
pub(super) fn split(place: &[u8]) -> Option<(Space, &[u8])> {
    let (number, key) = read_ordered(place)?;
    let space = match number.checked_sub(1) {
        None => Space::Common,
        Some(number) => Space::Partition(PartitionId(u16::try_from(number).ok()?)),
    };
    Some((space, key))
}

/// The instance that a record of a partition belongs to, if to any.
pub(super) fn owner(key: &[u8]) -> Option<InstanceId> {
    let (kind, rest) = key.split_first()?;
    let id = match *kind {
        HEAD | FACTS | HOT | REMOVED | SNAPSHOT | SUBSCRIPTION => rest,
        TIMER => rest.get(8..)?,
        PART => return owner(rest),
        _ => return None,
    };
    split_instance(id).map(|(instance, _)| instance)
}

/// `kind`, id.
pub(super) fn of_instance(kind: u8, instance: InstanceId) -> Vec<u8> {
    let mut key = Vec::with_capacity(26);
    key.push(kind);
    key.extend_from_slice(instance.0.as_bytes());
    key
}

pub(super) fn facts(instance: InstanceId, sequence: u64) -> Vec<u8> {
    let mut key = of_instance(FACTS, instance);
    push_ordered(&mut key, sequence);
    key
}

pub(super) fn slot(number: u16) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    vec![RING, high, low]
}

pub(super) fn subscription(instance: InstanceId, frame: FrameId) -> Vec<u8> {
    let mut key = of_instance(SUBSCRIPTION, instance);
    key.extend_from_slice(&frame.0.to_be_bytes());
    key
}

pub(super) fn timer(timer: &TimerKey) -> Vec<u8> {
    let mut key = Vec::with_capacity(29);
    key.push(TIMER);
    key.extend_from_slice(&timer.due.0.to_be_bytes());
    key.extend_from_slice(timer.instance.0.as_bytes());
    key.extend_from_slice(&timer.timer.to_be_bytes());
    key
}

/// The first key of timers due at `due` or later.
pub(super) fn timers_from(due: Timestamp) -> Vec<u8> {
    let mut key = vec![TIMER];
    key.extend_from_slice(&due.0.to_be_bytes());
    key
}

pub(super) fn schedule(schedule: ScheduleId) -> Vec<u8> {
    [&[SCHEDULE], schedule.0.as_slice()].concat()
}

pub(super) fn occurrence(schedule: ScheduleId, place: u8) -> Vec<u8> {
    [&[OCCURRENCE], schedule.0.as_slice(), &[place]].concat()
}

/// What all keys of occurrences of a schedule start with.
pub(super) fn occurrences(schedule: ScheduleId) -> Vec<u8> {
    [&[OCCURRENCE], schedule.0.as_slice()].concat()
}

/// The schedule of a key made by [`schedule`].
pub(super) fn schedule_of(key: &[u8]) -> Result<ScheduleId, JournalError> {
    let id = key.get(1..).and_then(|it| <[u8; 16]>::try_from(it).ok());
    id.map(ScheduleId).ok_or_else(|| malformed(key))
}

pub(super) fn seen(seen: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    let mut key = vec![SEEN];
    if seen.len() <= SEEN_BYTES {
        key.push(0);
        key.extend_from_slice(seen);
    } else {
        key.push(1);
        key.extend_from_slice(&sha2::Sha256::digest(seen));
    }
    key
}

pub(super) fn row(kind: u8, name: &[u8]) -> Vec<u8> {
    [&[kind], name].concat()
}

/// The key of part `number` of the record under `record`.
pub(super) fn part(record: &[u8], number: u32) -> Vec<u8> {
    let mut key = parts(record);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// What all keys of parts of the record, or of all records that start so, start with.
pub(super) fn parts(record: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(record.len() + 5);
    key.push(PART);
    key.extend_from_slice(record);
    key
}

pub(super) fn definition(digest: &Digest) -> Vec<u8> {
    let mut key = vec![DEFINITION];
    key.extend_from_slice(digest.0.as_bytes());
    key
}

pub(super) fn bulk(job: uuid::Uuid) -> Vec<u8> {
    [&[BULK], job.as_bytes().as_slice()].concat()
}

pub(super) fn bulk_page(kind: u8, job: uuid::Uuid, page: u32) -> Vec<u8> {
    [&[kind], job.as_bytes().as_slice(), &page.to_be_bytes()].concat()
}

pub(super) fn early(key: EarlyKey) -> Vec<u8> {
    [&[EARLY], key.0.as_slice()].concat()
}

pub(super) fn early_of(key: &[u8]) -> Result<EarlyKey, JournalError> {
    let rest = key.get(1..).and_then(|rest| <[u8; 16]>::try_from(rest).ok());
    rest.map(EarlyKey).ok_or_else(|| malformed(key))
}

pub(super) fn current(id: &WorkflowId) -> Vec<u8> {
    of_words(CURRENT, &[&id.namespace, &id.name, &id.version])
}

pub(super) fn open_instances(namespace: &str, name: &str) -> Vec<u8> {
    of_words(OPEN, &[namespace, name])
}

/// Namespace and name of a key made by [`open_instances`].
pub(super) fn open_instances_of(key: &[u8]) -> Result<(&str, &str), JournalError> {
    let text = key.get(1..).and_then(|it| std::str::from_utf8(it).ok());
    let words = text.and_then(|it| it.strip_suffix('\0')?.split_once('\0'));
    words.filter(|(_, name)| !name.contains('\0')).ok_or_else(|| malformed(key))
}

fn of_words(kind: u8, words: &[&str]) -> Vec<u8> {
    let mut key = vec![kind];
    for word in words {
        key.extend_from_slice(word.as_bytes());
        key.push(0);
    }
    key
}

/// The first key after all keys that start with `prefix`.
pub(super) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if let Some(next) = last.checked_add(1) {
            *last = next;
            return end;
        }
        end.pop();
    }
    // Kinds are ASCII, so no prefix consists of 0xff alone.
    end
}

/// The first key after `key`.
pub(super) fn next(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

/// The instance of a key made by [`of_instance`] and what follows it.
pub(super) fn instance(key: &[u8]) -> Result<(InstanceId, &[u8]), JournalError> {
    key.get(1..).and_then(split_instance).ok_or_else(|| malformed(key))
}

fn split_instance(bytes: &[u8]) -> Option<(InstanceId, &[u8])> {
    let (id, rest) = bytes.split_first_chunk::<16>()?;
    Some((InstanceId(uuid::Uuid::from_bytes(*id)), rest))
}

/// The instance and sequence number of a key made by [`facts`].
pub(super) fn facts_of(key: &[u8]) -> Result<(InstanceId, u64), JournalError> {
    let (id, rest) = instance(key)?;
    match read_ordered(rest) {
        Some((sequence, [])) => Ok((id, sequence)),
        _ => Err(malformed(key)),
    }
}

pub(super) fn subscription_of(key: &[u8]) -> Result<(InstanceId, FrameId), JournalError> {
    let (id, rest) = instance(key)?;
    let frame = <[u8; 4]>::try_from(rest).map_err(|_| malformed(key))?;
    Ok((id, FrameId(u32::from_be_bytes(frame))))
}

pub(super) fn timer_of(key: &[u8]) -> Result<TimerKey, JournalError> {
    let parse = || {
        let (due, rest) = key.get(1..)?.split_first_chunk::<8>()?;
        let (instance, rest) = split_instance(rest)?;
        let timer = <[u8; 4]>::try_from(rest).ok()?;
        Some(TimerKey {
            due: Timestamp(u64::from_be_bytes(*due)),
            instance,
            timer: u32::from_be_bytes(timer),
        })
    };
    parse().ok_or_else(|| malformed(key))
}

/// A key in hexadecimal, for messages.
pub(super) fn display(key: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in key.iter().take(64) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub(super) fn malformed(key: &[u8]) -> JournalError {
    JournalError::Damaged(format!("key {} is not of any known shape", display(key)))
}

/// Appends `number` in as few bytes as keep the order: up to 0xf7 itself, beyond that 0xf7 plus
/// the count of bytes and those bytes.
fn push_ordered(key: &mut Vec<u8>, number: u64) {
    match u8::try_from(number) {
        Ok(small @ 0..=0xf7) => key.push(small),
        _ => {
            let bytes = number.to_be_bytes();
            let skip = number.leading_zeros() / 8;
            // At most eight bytes follow.
            key.push(0xf7 + (8 - skip) as u8);
            key.extend(bytes.iter().skip(skip as usize));
        }
    }
}

fn read_ordered(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first <= 0xf7 {
        return Some((u64::from(first), rest));
    }
    let (digits, rest) = rest.split_at_checked(usize::from(first - 0xf7))?;
    let number = digits.iter().fold(0_u64, |sum, digit| sum << 8 | u64::from(*digit));
    Some((number, rest))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use uuid::Uuid;
    use windlass_proto::id::InstanceId;

    use super::{end_of, facts, facts_of, open_instances, open_instances_of};

    #[test]
    fn sequence_numbers_keep_their_order_in_keys() {
        let id = InstanceId(Uuid::from_u128(7));
        let numbers = [0, 1, 0xf7, 0xf8, 0xff, 0x100, 0xffff, 0x1_0000, u64::MAX - 1, u64::MAX];
        let keys: Vec<_> = numbers.iter().map(|number| facts(id, *number)).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
        for (key, number) in keys.iter().zip(numbers) {
            assert_eq!(facts_of(key).unwrap(), (id, number));
        }
    }

    #[test]
    fn a_workflow_comes_back_from_its_key() {
        let key = open_instances("shop", "order");
        assert_eq!(open_instances_of(&key).unwrap(), ("shop", "order"));
        for wrong in [&key[..key.len() - 1], b"n", b"nshop\0", b"na\0b\0c\0", b"n\xff\0b\0"] {
            assert!(open_instances_of(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_end_of_a_prefix_lies_after_everything_that_starts_with_it() {
        assert_eq!(end_of(b"f"), b"g");
        assert_eq!(end_of(&[b'f', 0xff, 0xff]), b"g");
        assert!(end_of(&[b'f', 3]) > vec![b'f', 3, 0xff, 0xff]);
    }
}
