//! What is new of instances that are in the index.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use windlass_proto::id::InstanceId;

use super::super::ordered::Ordered;
use super::super::space::{Change, Space};
use super::super::store::Store;
use super::super::{JournalError, record};
use super::build::{ids, put_state, set, state};
use super::{Index, Place, Segment, encoded};
use crate::journal::Journal as _;

/// What is new of an instance that a segment has.
#[derive(Clone, Copy)]
enum Mark {
    /// It had ended and goes on: its head tells from now on.
    Open,
    /// It is removed.
    Gone,
}

impl Index {
    /// Takes note of what is new of an instance of the tail; false where it is in no tail. One that
    /// is removed leaves an arrival of nobody: another one may get its id, and arrive again.
    fn touch(&self, changes: &mut Vec<Change>, (started, instance): Place, mark: Mark) -> bool {
        let mut partitions = self.write();
        let count = u16::try_from(partitions.len()).unwrap_or(u16::MAX);
        let partition = instance.partition(count);
        let Some(known) = partitions.get_mut(usize::from(partition.0)) else { return false };
        let mut number = known.base;
        for record in &mut known.tail {
            let found = record.iter_mut().find(|(at, id)| *at == started && *id == instance);
            let Some(place) = found else {
                number += record.len() as u64;
                continue;
            };
            known.touched.insert(instance);
            if matches!(mark, Mark::Gone) {
                *place = (started, InstanceId(uuid::Uuid::nil()));
                let key = self.arrivals(partition, number);
                record::put(changes, Space::Common, key, &[&encoded(record)]);
            }
            return true;
        }
        false
    }
}

/// The changes for instances that had ended and go on, and for others that are removed. The caller
/// holds the journal's lock.
pub(in super::super) fn changed<O: Ordered>(
    store: &Store<O>,
    reopened: &[Place],
    removed: &[Place],
) -> Result<Vec<Change>, JournalError> {
    let index = &store.index;
    let reopened = reopened.iter().map(|it| (*it, Mark::Open));
    let removed = removed.iter().map(|it| (*it, Mark::Gone));
    let (mut marked, mut changes) = (BTreeMap::new(), Vec::new());
    for ((started, instance), mark) in reopened.chain(removed) {
        let partition = instance.partition(store.partitions());
        if index.touch(&mut changes, (started, instance), mark) {
            continue;
        }
        let known = index.of(partition);
        let within = |it: &Segment| it.first <= started && started <= it.last;
        let segments = (0_u32..).zip(known.segments.iter()).filter(|(_, it)| within(it));
        for (number, _) in segments {
            let (state, ids) = match marked.entry((partition, number)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(vacant) => {
                    let state = state(store, index, partition, number)?;
                    let of = (partition, number, state.generation);
                    let ids = ids(store, index, of, state.count)?.unwrap_or_default();
                    vacant.insert((state, ids))
                }
            };
            // One that had its id before is gone.
            let is_it =
                |(place, id): &(usize, &InstanceId)| **id == instance && !state.gone.has(*place);
            if let Some((place, _)) = ids.iter().enumerate().find(is_it) {
                match mark {
                    Mark::Open => state.open.set(place),
                    Mark::Gone => state.gone.set(place),
                }
                break;
            }
        }
    }
    for (of, (state, _)) in &marked {
        // Too early at worst: of what counts as open the head is read.
        set(index, of.0, of.1, state);
        put_state(&mut changes, index, *of, state);
    }
    Ok(changes)
}
