//! Removing what is over: ended instances and keys that need no remembering.

use std::ops::ControlFlow;

use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::limits::{self, RETENTION_CHANGES, RETENTION_SCAN};
use windlass_proto::time::Timestamp;

use super::ordered::Ordered;
use super::space::{Change, Order, Space};
use super::store::{Store, lock, settle_all, stored_head};
use super::{Holder, Journal, JournalError, head, index, keys, record};

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

pub(super) fn retain<O: Ordered>(
    store: &Store<O>,
    before: Timestamp,
    limit: usize,
) -> Result<usize, JournalError> {
    let mut progress = lock(&store.retained);
    let mut removed = 0;
    let over = |value: &[u8], key: &[u8]| {
        let body = record::open(key, value)?.first;
        let head = stored_head(&body).and_then(|(head, _)| head::summary(head));
        Ok(head.and_then(|head| head.ended_at()).is_some_and(|at| at < before))
    };
    walk(store, &mut progress.heads, keys::HEAD, limit, &over, &mut |space, found| {
        for found in found.chunks(limits::RETENTION_EXCLUSIVE) {
            let _exclusive = store.exclusive();
            // Else the ring would bring back what is removed here.
            settle_all(store)?;
            for key in found {
                let (instance, _) = keys::instance(key)?;
                remove(store, space, instance)?;
                removed += 1;
            }
        }
        Ok(())
    })?;
    drop(progress);
    forget(store, before)?;
    Ok(removed)
}

/// Forgets keys that were to be remembered until before `now`.
pub(super) fn forget<O: Ordered>(store: &Store<O>, now: Timestamp) -> Result<usize, JournalError> {
    let mut progress = lock(&store.retained);
    let mut forgotten = 0;
    let over = |value: &[u8], key: &[u8]| {
        let until = <[u8; 8]>::try_from(&*record::open(key, value)?.first)
            .map_err(|_| record::damaged(key, "is no time"))?;
        Ok(u64::from_be_bytes(until) < now.0)
    };
    walk(store, &mut progress.seen, keys::SEEN, RETENTION_SCAN, &over, &mut |space, found| {
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
    let all = |_: &[u8], _: &[u8]| Ok(true);
    walk(store, place, keys::START_KEY, RETENTION_CHANGES, &all, &mut |space, found| {
        let _exclusive = store.exclusive();
        let mut changes = Vec::new();
        for key in found {
            let (first, _) = keys::instance(&key)?;
            let Some(row) = store.body(space, &key)? else { continue };
            let now = Holder::decode(&row)?.instance;
            if store.head(first)?.is_none() && store.head(now)?.is_none() {
                changes.push(Change { space, key, value: None });
            }
        }
        store.write(changes)
    })
}

type Over<'a> = dyn Fn(&[u8], &[u8]) -> Result<bool, JournalError> + 'a;
type Found<'a> = dyn FnMut(Space, Vec<Vec<u8>>) -> Result<(), JournalError> + 'a;

/// Looks at records of one kind, from `place` on through all partitions at most once around, and
/// hands those that are over to `found`, at most `limit`.
fn walk<O: Ordered>(
    store: &Store<O>,
    place: &mut Place,
    kind: u8,
    limit: usize,
    over: &Over<'_>,
    found: &mut Found<'_>,
) -> Result<(), JournalError> {
    let end = keys::end_of(&[kind]);
    let mut looked_at = 0;
    let mut taken = 0;
    // Once more than there are partitions: the first one may have been entered in its middle.
    for _ in 0..=store.partitions() {
        let space = Space::Partition(PartitionId(place.partition));
        let from = place.key.take().unwrap_or_else(|| vec![kind]);
        let mut keys = Vec::new();
        store.ordered.scan(space, &from, &end, Order::Up, &mut |key, value| {
            if looked_at >= RETENTION_SCAN || taken >= limit {
                place.key = Some(key.to_vec());
                return Ok(ControlFlow::Break(()));
            }
            looked_at += 1;
            if over(value, key)? {
                keys.push(key.to_vec());
                taken += 1;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        found(space, keys)?;
        if place.key.is_some() {
            return Ok(());
        }
        place.partition = (place.partition + 1) % store.partitions();
    }
    Ok(())
}

/// Removes everything of an instance. The head goes last, so that what a crash interrupts is found
/// and finished by a later call.
fn remove<O: Ordered>(
    store: &Store<O>,
    space: Space,
    instance: InstanceId,
) -> Result<(), JournalError> {
    let of = |kind| keys::of_instance(kind, instance);
    let mut changes = match store.head(instance)? {
        Some(head) => index::removed(store, (head.started_at, instance))?,
        None => Vec::new(),
    };
    changes.push(Change { space, key: of(keys::HOT), value: None });
    store.forget_hot(instance);
    let prefixes = [
        of(keys::FACTS),
        of(keys::SNAPSHOT),
        of(keys::SUBSCRIPTION),
        keys::parts(&of(keys::FACTS)),
        keys::parts(&of(keys::SNAPSHOT)),
        keys::parts(&of(keys::SUBSCRIPTION)),
        keys::parts(&of(keys::HEAD)),
        of(keys::HEAD),
    ];
    for prefix in prefixes {
        let mut from = prefix.clone();
        let end = keys::end_of(&prefix);
        loop {
            let mut rest = None;
            store.ordered.scan(space, &from, &end, Order::Up, &mut |key, _| {
                if changes.len() >= limits::RETENTION_CHANGES {
                    rest = Some(key.to_vec());
                    return Ok(ControlFlow::Break(()));
                }
                changes.push(Change { space, key: key.to_vec(), value: None });
                Ok(ControlFlow::Continue(()))
            })?;
            let Some(rest) = rest else { break };
            from = rest;
            store.write(std::mem::take(&mut changes))?;
        }
    }
    store.write(changes)
}
