//! The ring: slots that are overwritten in turn.
//!
//! A slot says its position (how many slots were ever written before it), the oldest position still
//! needed when it was written, and facts:
//!
//! ```text
//! position: varint | position minus oldest: varint | { id | hot: u8 | entry }…
//! ```

use std::collections::HashMap;

use windlass_proto::id::InstanceId;

use super::super::ordered::Ordered;
use super::super::record::{PART_BYTES, push_varint, read_varint};
use super::super::space::{Change, Order, Space};
use super::super::{JournalError, keys, record};
use super::Store;
use super::recent::{Entry, Pending, Recent};

/// Slots of the ring. At most this many times [`PART_BYTES`], 12 MiB, are held in memory and read
/// when a journal opens.
pub(super) const SLOTS: u16 = 2_048;

/// Bytes of facts in a slot: one record with its positions.
pub(super) const SLOT_BYTES: usize = PART_BYTES - 20;

/// Keys beside each slot that stay empty. The store rewrites a slot's neighbours with it now and
/// then; empty neighbours cost next to nothing.
const SPACERS: u8 = 3;

/// Slots that are made at a time, empty: the store divides its pages while they are small.
const MADE_AHEAD: u64 = 64;

/// A slot, read.
struct Slot {
    position: u64,
    oldest: u64,
    facts: Vec<(InstanceId, Option<bool>, Entry)>,
}

/// Appends what a slot keeps of one write.
pub(super) fn push_facts(
    bytes: &mut Vec<u8>,
    instance: InstanceId,
    hot: Option<bool>,
    entry: &Entry,
) {
    bytes.extend_from_slice(instance.0.as_bytes());
    bytes.push(match hot {
        None => 0,
        Some(false) => 1,
        Some(true) => 2,
    });
    entry.push_to(bytes);
}

/// Adds the changes that write a slot.
pub(super) fn put_slot(changes: &mut Vec<Change>, position: u64, oldest: u64, facts: &[u8]) {
    // The remainder fits: it is below the number of slots.
    let number = (position % u64::from(SLOTS)) as u16;
    let key = keys::slot(number);
    if position < u64::from(SLOTS) && position.is_multiple_of(MADE_AHEAD) {
        make_ahead(changes, number);
    }
    let mut start = Vec::with_capacity(20);
    push_varint(&mut start, position);
    push_varint(&mut start, position.saturating_sub(oldest));
    record::put(changes, Space::Common, key, &[&start, facts]);
}

fn make_ahead(changes: &mut Vec<Change>, first: u16) {
    for number in (first..SLOTS).take(MADE_AHEAD as usize) {
        let slot = keys::slot(number);
        for spacer in 1..=SPACERS {
            let mut key = slot.clone();
            key.push(spacer);
            record::put(changes, Space::Common, key, &[]);
        }
        record::put(changes, Space::Common, slot, &[]);
    }
}

impl Slot {
    /// Reads the slot under `key`; `None` for one that was never used.
    fn read(key: &[u8], value: &[u8]) -> Result<Option<Self>, JournalError> {
        let body = record::open(key, value)?.first;
        if body.is_empty() {
            return Ok(None);
        }
        let slot = Self::parse(&body);
        slot.map(Some).ok_or_else(|| record::damaged(key, "is not a slot of the ring"))
    }

    fn parse(body: &[u8]) -> Option<Self> {
        let (position, rest) = read_varint(body)?;
        let (back, mut rest) = read_varint(rest)?;
        let mut facts = Vec::new();
        while !rest.is_empty() {
            let (id, after) = rest.split_first_chunk::<16>()?;
            let (hot, after) = after.split_first()?;
            let (entry, after) = Entry::read(after)?;
            let hot = match hot {
                0 => None,
                1 => Some(false),
                2 => Some(true),
                _ => return None,
            };
            facts.push((InstanceId(uuid::Uuid::from_bytes(*id)), hot, entry));
            rest = after;
        }
        Some(Self { position, oldest: position.checked_sub(back)?, facts })
    }
}

/// Checks a slot.
pub(in super::super) fn check_ring(key: &[u8], value: &[u8]) -> Result<(), JournalError> {
    // The rest of its key says that it is a spacer.
    if key.len() == 3 { Slot::read(key, value).map(|_| ()) } else { Ok(()) }
}

/// The position of a slot, and the oldest that was needed when it was written; none for any other
/// record.
pub(in super::super) fn slot_positions(key: &[u8], value: &[u8]) -> Option<(u64, u64)> {
    let is_slot = key.len() == 3 && key.first() == Some(&keys::RING);
    let body = is_slot.then(|| record::open(key, value).ok()).flatten()?.first;
    let (position, rest) = read_varint(&body)?;
    let (back, _) = read_varint(rest)?;
    Some((position, position.checked_sub(back)?))
}

/// The instances that a slot has facts of.
pub(in super::super) fn in_slot(key: &[u8], value: &[u8]) -> Vec<InstanceId> {
    let slot = if key.len() == 3 { Slot::read(key, value).ok().flatten() } else { None };
    slot.map_or_else(Vec::new, |it| it.facts.into_iter().map(|(instance, ..)| instance).collect())
}

/// What was in memory when the journal was last open. With `gaps`, what is left of it when slots
/// are missing.
pub(super) fn recover<O: Ordered>(store: &Store<O>, gaps: bool) -> Result<Recent, JournalError> {
    let mut recent = Recent::default();
    for number in 0..store.partitions {
        let partition = windlass_proto::id::PartitionId(number);
        let end = keys::end_of(&[keys::HOT]);
        let stored = store.entries(
            Space::Partition(partition),
            &[keys::HOT],
            &end,
            Order::Up,
            usize::MAX,
        )?;
        for (key, value) in stored {
            record::open(&key, &value)?;
            recent.hot.insert((partition, keys::instance(&key)?.0));
        }
    }
    let slots = slots(store)?;
    let Some(last) = slots.last() else {
        recent.clear = true;
        return Ok(recent);
    };
    let oldest = last.oldest;
    recent.clear = last.facts.is_empty() && last.oldest == last.position;
    recent.next = last.position + 1;
    let there = slots.iter().filter(|slot| slot.position >= oldest).count() as u64;
    recent.missing = (recent.next - oldest).saturating_sub(there);
    if recent.missing > 0 && !gaps {
        return Err(JournalError::Damaged("the ring of recent facts lacks slots".to_owned()));
    }
    let mut stored_ends = HashMap::new();
    for slot in slots {
        if slot.position >= oldest {
            replay(store, &mut recent, &mut stored_ends, slot)?;
        }
    }
    Ok(recent)
}

/// All slots, oldest first.
fn slots<O: Ordered>(store: &Store<O>) -> Result<Vec<Slot>, JournalError> {
    let end = keys::end_of(&[keys::RING]);
    let stored = store.entries(Space::Common, &[keys::RING], &end, Order::Up, usize::MAX)?;
    let mut slots = Vec::with_capacity(stored.len());
    for (key, value) in stored {
        slots.extend(Slot::read(&key, &value)?);
    }
    slots.sort_by_key(|slot| slot.position);
    Ok(slots)
}

/// Takes over what the store does not have yet.
fn replay<O: Ordered>(
    store: &Store<O>,
    recent: &mut Recent,
    stored_ends: &mut HashMap<InstanceId, u64>,
    slot: Slot,
) -> Result<(), JournalError> {
    for (instance, hot, entry) in slot.facts {
        let stored_end = match stored_ends.get(&instance) {
            Some(end) => *end,
            None => {
                let end = match store.stored_end(instance) {
                    // What was removed does not come back.
                    Ok(_) if store.is_gone(instance) => u64::MAX,
                    // One damaged instance must not keep all others out. What the ring has of it
                    // would not make it whole; reading it tells of the damage.
                    Err(JournalError::Damaged(damage)) => {
                        tracing::error!(%instance, damage, "the journal is damaged");
                        u64::MAX
                    }
                    end => end?,
                };
                stored_ends.insert(instance, end);
                end
            }
        };
        if entry.sequence < stored_end {
            continue;
        }
        if let Some(hot) = hot {
            recent.set_hot(instance.partition(store.partitions), instance, hot);
        }
        let pending = recent.pending.entry(instance).or_insert_with(|| {
            recent.order.push_back((slot.position, instance));
            Pending::from(slot.position)
        });
        pending.push(entry);
    }
    Ok(())
}
