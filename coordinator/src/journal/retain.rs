//! Removing what is over: instances, and keys that need no remembering.
//!
//! An instance is removed by the commit that takes its head away: from then on nothing finds it.
//! That commit leaves a note in its place, and what else there is of the instance goes later, some
//! at a time. The note goes last, so that what a crash interrupts is found and finished. An id may
//! be given to another instance right away: then the rest goes before that starts.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::limits::{self, RETENTION_CHANGES, RETENTION_SCAN};
use windlass_proto::time::Timestamp;

use super::ordered::Ordered;
use super::space::{Change, Order, Space};
use super::store::{Store, lock, settle_all, stored_head};
use super::{Head, Holder, Journal, JournalError, head, keys, record};

/// Where the next call goes on.
#[derive(Debug, Default)]
pub(super) struct Progress {
    heads: Place,
    seen: Place,
    keys: Place,
}

/// A partition and the key to go on from within it, from the start when absent.
#[derive(Debug, Default)]
struct Place {
    partition: u16,
    key: Option<Vec<u8>>,
}

/// Instances that have ended and are over, at most `limit`; their heads lack output and error.
pub(super) fn over<O: Ordered>(
    store: &Store<O>,
    is_over: &dyn Fn(&Head) -> bool,
    limit: usize,
) -> Result<Vec<(InstanceId, Head)>, JournalError> {
    let mut progress = lock(&store.retained);
    let mut all = BTreeMap::new();
    let over = |value: &[u8], key: &[u8]| {
        let body = record::open(key, value)?.first;
        let head = stored_head(&body).and_then(|(head, _)| head::summary(head));
        let head = head.map(head::Partial::without_ending);
        let over = head.filter(|it| it.status.is_final() && is_over(it));
        over.map(|head| Ok((keys::instance(key)?.0, head))).transpose()
    };
    walk(store, &mut progress.heads, (keys::HEAD, limit), &over, &mut |_, found| {
        all.extend(found);
        Ok(())
    })?;
    Ok(all.into_iter().collect())
}

/// Forgets keys that were to be remembered until before `now`.
pub(super) fn forget<O: Ordered>(store: &Store<O>, now: Timestamp) -> Result<usize, JournalError> {
    let mut progress = lock(&store.retained);
    let mut forgotten = 0;
    let over = |value: &[u8], key: &[u8]| {
        let until = <[u8; 8]>::try_from(&*record::open(key, value)?.first)
            .map_err(|_| record::damaged(key, "is no time"))?;
        Ok((u64::from_be_bytes(until) < now.0).then(|| key.to_vec()))
    };
    let of = (keys::SEEN, RETENTION_SCAN);
    walk(store, &mut progress.seen, of, &over, &mut |space, found: Vec<Vec<u8>>| {
        for found in found.chunks(limits::RETENTION_CHANGES) {
            let _exclusive = store.exclusive();
            let remove = |key: &Vec<u8>| Change { space, key: key.clone(), value: None };
            store.write(found.iter().map(remove).collect())?;
        }
        forgotten += found.len();
        Ok(())
    })?;
    forget_keys(store, &mut progress.keys)?;
    Ok(forgotten)
}

/// Forgets who has the key of a start where both that one and the first under it are gone: the next
/// start is the first one then.
fn forget_keys<O: Ordered>(store: &Store<O>, place: &mut Place) -> Result<(), JournalError> {
    let all = |_: &[u8], key: &[u8]| Ok(Some(key.to_vec()));
    let of = (keys::START_KEY, RETENTION_CHANGES);
    walk(store, place, of, &all, &mut |space, found: Vec<Vec<u8>>| {
        let is_free = |key: &[u8]| {
            let (first, _) = keys::instance(key)?;
            let Some(row) = store.body(space, key)? else { return Ok(false) };
            let now = Holder::decode(&row)?.instance;
            Ok::<_, JournalError>(store.head(first)?.is_none() && store.head(now)?.is_none())
        };
        // Nobody waits while all of them are looked at.
        let mut free = Vec::new();
        for key in found {
            if is_free(&key)? {
                free.push(key);
            }
        }
        for free in free.chunks(limits::RETENTION_EXCLUSIVE) {
            let _exclusive = store.exclusive();
            let mut changes = Vec::new();
            for key in free {
                // An instance may have been started under it meanwhile.
                if is_free(key)? {
                    changes.push(Change { space, key: key.clone(), value: None });
                }
            }
            store.write(changes)?;
        }
        Ok(())
    })
}

type Over<'a, T> = dyn Fn(&[u8], &[u8]) -> Result<Option<T>, JournalError> + 'a;
type Found<'a, T> = dyn FnMut(Space, Vec<T>) -> Result<(), JournalError> + 'a;

/// Looks at records of one kind, from `place` on through all partitions at most once around, and
/// hands those that are over to `found`, at most so many.
fn walk<O: Ordered, T>(
    store: &Store<O>,
    place: &mut Place,
    (kind, limit): (u8, usize),
    over: &Over<'_, T>,
    found: &mut Found<'_, T>,
) -> Result<(), JournalError> {
    let end = keys::end_of(&[kind]);
    let mut looked_at = 0;
    let mut taken = 0;
    // A partition that is entered in its middle is gone through once more at the end.
    let rounds = store.partitions() + u16::from(place.key.is_some());
    for _ in 0..rounds {
        let space = Space::Partition(PartitionId(place.partition));
        let from = place.key.take().unwrap_or_else(|| vec![kind]);
        let mut here = Vec::new();
        store.ordered.scan(space, &from, &end, Order::Up, &mut |key, value| {
            if looked_at >= RETENTION_SCAN || taken >= limit {
                place.key = Some(key.to_vec());
                return Ok(ControlFlow::Break(()));
            }
            looked_at += 1;
            if let Some(it) = over(value, key)? {
                here.push(it);
                taken += 1;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        found(space, here)?;
        if place.key.is_some() {
            return Ok(());
        }
        place.partition = (place.partition + 1) % store.partitions();
    }
    Ok(())
}

/// Instances that were removed and of which records are left.
pub(super) fn gone<O: Ordered>(
    store: &Store<O>,
    partitions: u16,
) -> Result<Vec<InstanceId>, JournalError> {
    let mut gone = Vec::new();
    let end = keys::end_of(&[keys::REMOVED]);
    for number in 0..partitions {
        let space = Space::Partition(PartitionId(number));
        store.ordered.scan(space, &[keys::REMOVED], &end, Order::Up, &mut |key, _| {
            gone.push(keys::instance(key)?.0);
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(gone)
}

/// Removes what is left of instances that are gone, of at most `limit`; returns of how many.
pub(super) fn sweep<O: Ordered>(store: &Store<O>, limit: usize) -> Result<usize, JournalError> {
    let gone: Vec<InstanceId> = lock(&store.gone).iter().take(limit).copied().collect();
    for instance in &gone {
        loop {
            let _exclusive = store.exclusive();
            // Else it has been finished, and the id may be another instance's by now.
            if !store.is_gone(*instance) || !erase_some(store, *instance)? {
                break;
            }
        }
    }
    for gone in gone.chunks(limits::RETENTION_EXCLUSIVE) {
        let _exclusive = store.exclusive();
        let mut left = gone.to_vec();
        left.retain(|it| store.is_gone(*it));
        finish(store, &left)?;
    }
    Ok(gone.len())
}

/// Removes all that is left of instances that are gone. The caller holds the journal's lock.
pub(super) fn finish<O: Ordered>(
    store: &Store<O>,
    gone: &[InstanceId],
) -> Result<(), JournalError> {
    if gone.is_empty() {
        return Ok(());
    }
    for instance in gone {
        while erase_some(store, *instance)? {}
    }
    // Else the ring would bring back what is removed here, once the notes are gone.
    settle_all(store)?;
    let note = |instance: &InstanceId| Change {
        space: store.space_of(*instance),
        key: keys::of_instance(keys::REMOVED, *instance),
        value: None,
    };
    store.write(gone.iter().map(note).collect())?;
    let mut known = lock(&store.gone);
    gone.iter().for_each(|it| _ = known.remove(it));
    Ok(())
}

/// Removes some of what is left of an instance; true when there may be more.
fn erase_some<O: Ordered>(store: &Store<O>, instance: InstanceId) -> Result<bool, JournalError> {
    let space = store.space_of(instance);
    let of = |kind| keys::of_instance(kind, instance);
    let prefixes = [
        of(keys::FACTS),
        of(keys::SNAPSHOT),
        of(keys::SUBSCRIPTION),
        keys::parts(&of(keys::FACTS)),
        keys::parts(&of(keys::SNAPSHOT)),
        keys::parts(&of(keys::SUBSCRIPTION)),
        keys::parts(&of(keys::HEAD)),
    ];
    let mut changes = Vec::new();
    for prefix in prefixes {
        let end = keys::end_of(&prefix);
        store.ordered.scan(space, &prefix, &end, Order::Up, &mut |key, _| {
            if changes.len() >= limits::RETENTION_CHANGES {
                return Ok(ControlFlow::Break(()));
            }
            changes.push(Change { space, key: key.to_vec(), value: None });
            Ok(ControlFlow::Continue(()))
        })?;
    }
    let is_full = changes.len() >= limits::RETENTION_CHANGES;
    store.write(changes)?;
    Ok(is_full)
}
