//! The journal over any ordered store of keys and values.
//!
//! What is kept under which key is decided here, once; [`Ordered`] is what a store must offer.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use windlass_proto::id::{Digest, FrameId, InstanceId, PartitionId};
use windlass_proto::time::Timestamp;

use super::record::{self, Change};
use super::{
    CheckReport, Commit, Filter, Head, InstanceWrite, Journal, JournalError, Page,
    StoredDefinition, StoredFacts, StoredInstance, TimerKey, head, keys,
};

/// An ordered, durable store of keys and values, divided into spaces.
pub trait Ordered: Send + Sync + 'static {
    /// The value under `key`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError>;

    /// Shows the entries from `from` on and before `to`, in order of keys or against it, until
    /// `visit` breaks. `visit` must not use the store.
    ///
    /// # Errors
    /// When the store cannot be read, and what `visit` returns.
    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), JournalError>;

    /// Applies each batch wholly or not at all, in order, and makes all durable.
    ///
    /// # Errors
    /// When the store cannot write; which batches were applied is then unknown.
    fn write(&self, batches: Vec<Batch>) -> Result<(), JournalError>;
}

/// What a scan calls with each key and value.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, JournalError> + 'a;

/// A space of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// What belongs to no partition.
    Common,
    /// What belongs to a partition.
    Partition(PartitionId),
}

/// Direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    Up,
    /// Greatest key first.
    Down,
}

/// Changes of one space; of several changes of one key, the last one counts.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The space.
    pub space: Space,
    /// Keys with their new values, or `None` to remove them.
    pub changes: Vec<Change>,
}

/// The journal over the store `O`.
pub struct Store<O> {
    pub(super) ordered: O,
    partitions: u16,
    /// Set when a write failed: what is in memory and on disk may differ since.
    failed: AtomicBool,
    /// Held while a record is read, changed and written back.
    exclusive: Mutex<()>,
    /// Where [`Journal::retain`] goes on, so that no call looks at everything.
    pub(super) retained: Mutex<super::retain::Progress>,
}

impl<O: Ordered> Store<O> {
    /// The journal in `ordered`; `partitions` counts when it is new.
    pub(super) fn new(ordered: O, partitions: u16) -> Result<Self, JournalError> {
        let mut store = Self {
            ordered,
            partitions: partitions.max(1),
            failed: AtomicBool::new(false),
            exclusive: Mutex::new(()),
            retained: Mutex::default(),
        };
        match store.number(keys::PARTITIONS)? {
            Some(stored) => {
                store.partitions =
                    u16::try_from(stored).ok().filter(|it| *it > 0).ok_or_else(|| {
                        record::damaged(keys::PARTITIONS, "is no count of partitions")
                    })?;
            }
            None => store.put_number(keys::PARTITIONS, u64::from(store.partitions))?,
        }
        Ok(store)
    }

    /// The body of the record under `key`, put together from its parts.
    pub(super) fn body(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        match self.ordered.get(space, key)? {
            Some(value) => self.whole(space, key, &value).map(Some),
            None => Ok(None),
        }
    }

    /// The whole body of which `value`, found under `key`, is the first part.
    pub(super) fn whole(
        &self,
        space: Space,
        key: &[u8],
        value: &[u8],
    ) -> Result<Vec<u8>, JournalError> {
        let opened = record::open(key, value)?;
        let mut body = opened.first.to_vec();
        if opened.parts() > 0 {
            let from = keys::parts(key);
            self.ordered.scan(
                space,
                &from,
                &keys::end_of(&from),
                Order::Up,
                &mut |part, value| {
                    body.extend_from_slice(record::open(part, value)?.first);
                    Ok(ControlFlow::Continue(()))
                },
            )?;
            if body.len() != opened.length {
                return Err(record::damaged(key, "lacks parts"));
            }
        }
        Ok(body)
    }

    /// Keys and values of a range, at most `limit`.
    pub(super) fn entries(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        order: Order,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, JournalError> {
        let mut entries = Vec::new();
        if limit > 0 && from < to {
            self.ordered.scan(space, from, to, order, &mut |key, value| {
                entries.push((key.to_vec(), value.to_vec()));
                Ok(if entries.len() < limit {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                })
            })?;
        }
        Ok(entries)
    }

    /// Writes, unless a write failed before.
    pub(super) fn write(&self, batches: Vec<Batch>) -> Result<(), JournalError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(JournalError::Store("an earlier write failed".to_owned()));
        }
        let result = self.ordered.write(batches);
        if result.is_err() {
            self.failed.store(true, Ordering::Release);
        }
        result
    }

    fn number(&self, key: &[u8]) -> Result<Option<u64>, JournalError> {
        let Some(body) = self.body(Space::Common, key)? else { return Ok(None) };
        let bytes = <[u8; 8]>::try_from(body.as_slice())
            .map_err(|_| record::damaged(key, "is no number"))?;
        Ok(Some(u64::from_be_bytes(bytes)))
    }

    fn put_number(&self, key: &[u8], number: u64) -> Result<(), JournalError> {
        let mut changes = Vec::new();
        record::put(&mut changes, key.to_vec(), &number.to_be_bytes(), &[]);
        self.write(vec![Batch { space: Space::Common, changes }])
    }

    pub(super) fn space_of(&self, instance: InstanceId) -> Space {
        Space::Partition(instance.partition(self.partitions))
    }

    /// Changes for one commit.
    fn changes(&self, commit: &Commit, changes: &mut Vec<Change>) -> Result<(), JournalError> {
        let space = Space::Partition(commit.partition);
        for write in &commit.writes {
            if self.space_of(write.instance) != space {
                return Err(JournalError::Store(format!(
                    "instance {} does not belong to partition {}",
                    write.instance, commit.partition.0
                )));
            }
            self.instance_changes(space, write, changes)?;
        }
        for timer in &commit.timers_set {
            record::put(changes, keys::timer(timer), &[], &[]);
        }
        for timer in &commit.timers_cleared {
            changes.push((keys::timer(timer), None));
        }
        for (instance, frame, data) in &commit.subscribed {
            let key = keys::subscription(*instance, *frame);
            self.remove_parts(space, &key, changes)?;
            record::put(changes, key, data, &[]);
        }
        for (instance, frame) in &commit.unsubscribed {
            let key = keys::subscription(*instance, *frame);
            self.remove_parts(space, &key, changes)?;
            changes.push((key, None));
        }
        for (key, until) in &commit.seen {
            record::put(changes, keys::seen(key), &until.0.to_be_bytes(), &[]);
        }
        Ok(())
    }

    fn instance_changes(
        &self,
        space: Space,
        write: &InstanceWrite,
        changes: &mut Vec<Change>,
    ) -> Result<(), JournalError> {
        let InstanceWrite { instance, sequence, count, .. } = *write;
        if count > 0 || !write.facts.is_empty() {
            let mut start = Vec::with_capacity(5);
            record::push_varint(&mut start, u64::from(count));
            record::put(changes, keys::facts(instance, sequence), &start, &write.facts);
        }
        if let Some(head) = &write.head {
            let key = keys::of_instance(keys::HEAD, instance);
            // Only the head of an ended instance is large, and it is the last one.
            record::put(changes, key, &head::encode(head)?, &[]);
        }
        match write.hot {
            Some(true) => {
                record::put(changes, keys::of_instance(keys::HOT, instance), &[], &[]);
            }
            Some(false) => changes.push((keys::of_instance(keys::HOT, instance), None)),
            None => {}
        }
        if let Some(snapshot) = &write.snapshot {
            let key = keys::of_instance(keys::SNAPSHOT, instance);
            self.remove_parts(space, &key, changes)?;
            let after = sequence.saturating_add(u64::from(count));
            record::put(changes, key, &after.to_be_bytes(), snapshot);
        }
        Ok(())
    }

    /// Removes the parts of a record that is about to be replaced or removed.
    fn remove_parts(
        &self,
        space: Space,
        key: &[u8],
        changes: &mut Vec<Change>,
    ) -> Result<(), JournalError> {
        // A large record written earlier in the same group is not in the store yet.
        let from = keys::parts(key);
        for (earlier, change) in changes.iter_mut() {
            if earlier.starts_with(&from) {
                *change = None;
            }
        }
        let Some(value) = self.ordered.get(space, key)? else { return Ok(()) };
        let parts = record::open(key, &value)?.parts();
        for number in (0_u32..).take(parts) {
            changes.push((keys::part(key, number), None));
        }
        Ok(())
    }

    /// The place before which the entry lies that holds `sequence`, if `sequence` is not the
    /// first of its entry.
    fn first_facts_key(
        &self,
        instance: InstanceId,
        sequence: u64,
    ) -> Result<Vec<u8>, JournalError> {
        let key = keys::facts(instance, sequence);
        if sequence == 0 {
            return Ok(key);
        }
        let space = self.space_of(instance);
        let start = keys::of_instance(keys::FACTS, instance);
        let before = self.entries(space, &start, &key, Order::Down, 1)?;
        if let Some((before, value)) = before.into_iter().next() {
            let body = record::open(&before, &value)?.first;
            let (_, first) = keys::facts_of(&before)?;
            let (count, _) = record::read_varint(body)
                .ok_or_else(|| record::damaged(&before, "holds no facts"))?;
            if first.saturating_add(count) > sequence {
                return Ok(before);
            }
        }
        Ok(key)
    }
}

/// A lock whose holder panicked still guards data that is only a hint.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<O: Ordered> Journal for Store<O> {
    fn partitions(&self) -> u16 {
        self.partitions
    }

    fn commit(&self, commits: &[Commit]) -> Result<(), JournalError> {
        let mut batches: Vec<Batch> = Vec::new();
        for commit in commits {
            let space = Space::Partition(commit.partition);
            // Commits of one partition become durable together: one batch costs less than two.
            match batches.iter_mut().find(|batch| batch.space == space) {
                Some(batch) => self.changes(commit, &mut batch.changes)?,
                None => {
                    let mut changes = Vec::with_capacity(commit.writes.len() * 2 + 8);
                    self.changes(commit, &mut changes)?;
                    batches.push(Batch { space, changes });
                }
            }
        }
        batches.retain(|batch| !batch.changes.is_empty());
        if batches.is_empty() { Ok(()) } else { self.write(batches) }
    }

    fn load(&self, instance: InstanceId) -> Result<Option<StoredInstance>, JournalError> {
        let key = keys::of_instance(keys::SNAPSHOT, instance);
        let snapshot = match self.body(self.space_of(instance), &key)? {
            Some(mut body) => {
                let (after, _) = body
                    .split_first_chunk::<8>()
                    .ok_or_else(|| record::damaged(&key, "is no snapshot"))?;
                let after = u64::from_be_bytes(*after);
                body.drain(..8);
                Some((after, body))
            }
            None => None,
        };
        let from = snapshot.as_ref().map_or(0, |(after, _)| *after);
        let facts = self.facts(instance, from, usize::MAX)?;
        Ok((snapshot.is_some() || !facts.is_empty()).then_some(StoredInstance { snapshot, facts }))
    }

    fn facts(
        &self,
        instance: InstanceId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<StoredFacts>, JournalError> {
        let space = self.space_of(instance);
        let first = self.first_facts_key(instance, from)?;
        let end = keys::end_of(&keys::of_instance(keys::FACTS, instance));
        let entries = self.entries(space, &first, &end, Order::Up, limit)?;
        let mut facts = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let (_, sequence) = keys::facts_of(&key)?;
            let mut body = self.whole(space, &key, &value)?;
            let (count, rest) = record::read_varint(&body)
                .and_then(|(count, rest)| Some((u32::try_from(count).ok()?, rest)))
                .ok_or_else(|| record::damaged(&key, "holds no facts"))?;
            let start = body.len() - rest.len();
            body.drain(..start);
            facts.push(StoredFacts { sequence, count, facts: body });
        }
        Ok(facts)
    }

    fn head(&self, instance: InstanceId) -> Result<Option<Head>, JournalError> {
        let key = keys::of_instance(keys::HEAD, instance);
        match self.body(self.space_of(instance), &key)? {
            Some(body) => head::decode(&key, &body).map(Some),
            None => Ok(None),
        }
    }

    fn list(
        &self,
        filter: &Filter,
        cursor: Option<InstanceId>,
        limit: usize,
    ) -> Result<Page, JournalError> {
        super::list::list(self, filter, cursor, limit)
    }

    fn hot(
        &self,
        partition: PartitionId,
        after: Option<InstanceId>,
        limit: usize,
    ) -> Result<Vec<InstanceId>, JournalError> {
        let from = after.map_or_else(
            || vec![keys::HOT],
            |after| keys::next(keys::of_instance(keys::HOT, after)),
        );
        let end = keys::end_of(&[keys::HOT]);
        self.entries(Space::Partition(partition), &from, &end, Order::Up, limit)?
            .into_iter()
            .map(|(key, value)| {
                record::open(&key, &value)?;
                Ok(keys::instance(&key)?.0)
            })
            .collect()
    }

    fn timers(
        &self,
        partition: PartitionId,
        after: Option<TimerKey>,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<TimerKey>, JournalError> {
        let from = after.map_or_else(|| vec![keys::TIMER], |it| keys::next(keys::timer(&it)));
        let end = keys::timers_from(until);
        self.entries(Space::Partition(partition), &from, &end, Order::Up, limit)?
            .into_iter()
            .map(|(key, value)| {
                record::open(&key, &value)?;
                keys::timer_of(&key)
            })
            .collect()
    }

    fn subscriptions(
        &self,
        partition: PartitionId,
        after: Option<(InstanceId, FrameId)>,
        limit: usize,
    ) -> Result<Vec<(InstanceId, FrameId, Arc<[u8]>)>, JournalError> {
        let from = after.map_or_else(
            || vec![keys::SUBSCRIPTION],
            |(instance, frame)| keys::next(keys::subscription(instance, frame)),
        );
        let space = Space::Partition(partition);
        let end = keys::end_of(&[keys::SUBSCRIPTION]);
        self.entries(space, &from, &end, Order::Up, limit)?
            .into_iter()
            .map(|(key, value)| {
                let (instance, frame) = keys::subscription_of(&key)?;
                Ok((instance, frame, self.whole(space, &key, &value)?.into()))
            })
            .collect()
    }

    fn has_seen(&self, partition: PartitionId, key: &[u8]) -> Result<bool, JournalError> {
        let key = keys::seen(key);
        match self.ordered.get(Space::Partition(partition), &key)? {
            Some(value) => record::open(&key, &value).map(|_| true),
            None => Ok(false),
        }
    }

    fn put_definition(&self, definition: &StoredDefinition) -> Result<(), JournalError> {
        let _exclusive = lock(&self.exclusive);
        let body = rmp_serde::to_vec(definition).map_err(|error| {
            JournalError::Store(format!("a definition cannot be encoded: {error}"))
        })?;
        let mut changes = Vec::new();
        let key = keys::definition(&definition.digest);
        self.remove_parts(Space::Common, &key, &mut changes)?;
        record::put(&mut changes, key, &body, &[]);
        let digest = definition.digest.0.as_bytes();
        record::put(&mut changes, keys::current(&definition.id), digest, &[]);
        self.write(vec![Batch { space: Space::Common, changes }])
    }

    fn definition(&self, digest: &Digest) -> Result<Option<StoredDefinition>, JournalError> {
        let key = keys::definition(digest);
        let Some(body) = self.body(Space::Common, &key)? else { return Ok(None) };
        rmp_serde::from_slice(&body)
            .map(Some)
            .map_err(|_| record::damaged(&key, "is not a definition"))
    }

    fn definitions(&self) -> Result<Vec<StoredDefinition>, JournalError> {
        let end = keys::end_of(&[keys::CURRENT]);
        let current = self.entries(Space::Common, &[keys::CURRENT], &end, Order::Up, usize::MAX)?;
        let mut definitions = Vec::with_capacity(current.len());
        for (key, value) in current {
            let digest = std::str::from_utf8(record::open(&key, &value)?.first)
                .map_err(|_| record::damaged(&key, "is no digest"))?;
            let definition = self
                .definition(&Digest(digest.into()))?
                .ok_or_else(|| record::damaged(&key, "names a definition that is missing"))?;
            definitions.push(definition);
        }
        Ok(definitions)
    }

    fn retain(&self, before: Timestamp, limit: usize) -> Result<usize, JournalError> {
        super::retain::retain(self, before, limit)
    }

    fn next_epoch(&self) -> Result<u64, JournalError> {
        let _exclusive = lock(&self.exclusive);
        let epoch = self.number(keys::EPOCH)?.unwrap_or(0).saturating_add(1);
        self.put_number(keys::EPOCH, epoch)?;
        Ok(epoch)
    }

    fn check(&self) -> Result<CheckReport, JournalError> {
        super::check::check(self)
    }
}
