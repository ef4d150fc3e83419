//! Reading: what is recent, and what the store has.

use std::ops::ControlFlow;
use std::sync::PoisonError;

use windlass_proto::id::{FrameId, InstanceId, PartitionId};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::super::ordered::Ordered;
use super::super::record::{damaged, read_varint};
use super::super::space::{Order, Space};
use super::super::{
    Head, JournalError, Snapshot, StoredFacts, StoredInstance, StoredSubscription, TimerKey, head,
    keys, record,
};
use super::recent::{Entry, Recent};
use super::{Store, lock};

/// Splits the body of a head's record: the head, and the facts of an instance that ended. `body`
/// may lack its end.
pub(in super::super) fn stored_head(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = read_varint(body)?;
    let length = usize::try_from(length).ok()?;
    Some(rest.split_at_checked(length).unwrap_or((rest, &[])))
}

impl<O: Ordered> Store<O> {
    /// True for an instance that was removed and of which records are left.
    pub(in super::super) fn is_gone(&self, instance: InstanceId) -> bool {
        lock(&self.gone).contains(&instance)
    }

    /// An instance that is removed is not hot.
    pub(in super::super) fn forget_hot(&self, instance: InstanceId) {
        let partition = instance.partition(self.partitions);
        let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
        recent.set_hot(partition, instance, false);
    }

    pub(super) fn read_recent<T>(&self, read: impl FnOnce(&Recent) -> T) -> T {
        read(&self.recent.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn read_head(&self, instance: InstanceId) -> Result<Option<Head>, JournalError> {
        let key = keys::of_instance(keys::HEAD, instance);
        let Some(body) = self.body(self.space_of(instance), &key)? else { return Ok(None) };
        let (head, _) = stored_head(&body).ok_or_else(|| damaged(&key, "is not a head"))?;
        head::decode(&key, head).map(Some)
    }

    pub(super) fn read_instance(
        &self,
        instance: InstanceId,
    ) -> Result<Option<StoredInstance>, JournalError> {
        let snapshot = self.read_snapshot(instance, u64::MAX)?;
        let from = snapshot.as_ref().map_or(0, |(after, _)| *after);
        let facts = self.read_facts(instance, from, usize::MAX)?;
        let mut due = from;
        for facts in &facts {
            if facts.sequence > due {
                return Err(lacking(instance, due));
            }
            due = facts.sequence.saturating_add(u64::from(facts.count));
        }
        // One that starts just now may show its head first: what was written before it is looked
        // for again.
        if snapshot.is_none()
            && facts.is_empty()
            && self.read_head(instance)?.is_some()
            && self.read_facts(instance, from, 1)?.is_empty()
        {
            return Err(lacking(instance, 0));
        }
        Ok((snapshot.is_some() || !facts.is_empty()).then_some(StoredInstance { snapshot, facts }))
    }

    /// The latest snapshot, unless it is of later than `until`: that is seen from its first part.
    pub(super) fn read_snapshot(
        &self,
        instance: InstanceId,
        until: u64,
    ) -> Result<Option<Snapshot>, JournalError> {
        let (space, key) = (self.space_of(instance), keys::of_instance(keys::SNAPSHOT, instance));
        let Some(value) = self.ordered.get(space, &key)? else { return Ok(None) };
        if after_snapshot(&key, &record::open(&key, &value)?.first)? > until {
            return Ok(None);
        }
        let Some(mut body) = self.whole(space, &key, value)? else { return Ok(None) };
        // It may be a later one by now.
        let after = after_snapshot(&key, &body)?;
        body.drain(..8);
        Ok((after <= until).then_some((after, body)))
    }

    pub(super) fn read_facts(
        &self,
        instance: InstanceId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<StoredFacts>, JournalError> {
        let mut entries = Vec::new();
        for _ in 0..limits::READ_ATTEMPTS {
            let known;
            (entries, known) = self.gather_facts(instance, from, limit)?;
            // What lies behind the limit was not looked for everywhere.
            let (whole, end) = without_gap(&entries, from);
            let wanted = entries.len().min(limit);
            // Facts committed while the places were visited may be seen behind others that are not;
            // all that was durable before stands in front of the gap.
            if whole < wanted && known.is_some_and(|known| known <= end) {
                entries.truncate(whole);
            }
            if whole >= wanted.min(entries.len()) {
                break;
            }
        }
        entries.truncate(limit);
        Ok(entries.into_iter().map(StoredFacts::from).collect())
    }

    /// Facts from all places they may be in, and where those in memory ended.
    fn gather_facts(
        &self,
        instance: InstanceId,
        from: u64,
        limit: usize,
    ) -> Result<(Vec<Entry>, Option<u64>), JournalError> {
        // Facts move from memory to the head, and from both to keys of their own: who reads in that
        // order misses none on its way.
        let recent = self.read_recent(|recent| {
            recent.pending.get(&instance).map(|pending| pending.entries.clone())
        });
        let known = recent.as_ref().and_then(|it| it.last()).map(Entry::end);
        let mut entries = self.facts_beside_head(instance)?;
        entries.extend(self.stored_facts(instance, from, limit)?);
        entries.extend(recent.into_iter().flatten());
        entries.retain(|entry| entry.end() > from);
        entries.sort_by_key(|entry| entry.sequence);
        entries.dedup_by_key(|entry| entry.sequence);
        Ok((entries, known))
    }

    /// Facts under keys of their own, from the record on that may hold `from`; at least `limit`
    /// entries if there are as many.
    fn stored_facts(
        &self,
        instance: InstanceId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, JournalError> {
        let space = self.space_of(instance);
        let start = keys::of_instance(keys::FACTS, instance);
        let first = keys::facts(instance, from);
        let mut records = Vec::new();
        if from > 0 {
            records = self.entries(space, &start, &first, Order::Down, 1)?;
        }
        let end = keys::end_of(&start);
        records.extend(self.entries(space, &first, &end, Order::Up, limit)?);
        let mut entries = Vec::with_capacity(records.len());
        for (key, value) in records {
            let body = self.whole(space, &key, value)?.unwrap_or_default();
            entries.extend(
                Entry::read_all(&body).ok_or_else(|| damaged(&key, "does not hold facts"))?,
            );
        }
        Ok(entries)
    }

    /// Facts kept with the head of an instance that ended.
    pub(super) fn facts_beside_head(
        &self,
        instance: InstanceId,
    ) -> Result<Vec<Entry>, JournalError> {
        let key = keys::of_instance(keys::HEAD, instance);
        let Some(body) = self.body(self.space_of(instance), &key)? else { return Ok(Vec::new()) };
        let read = stored_head(&body).and_then(|(_, facts)| Entry::read_all(facts));
        read.ok_or_else(|| damaged(&key, "does not hold a head and facts"))
    }

    /// Whether an instance has ended, by its head, and the facts kept with that.
    pub(super) fn ended_and_facts(
        &self,
        instance: InstanceId,
    ) -> Result<(bool, Vec<Entry>), JournalError> {
        let key = keys::of_instance(keys::HEAD, instance);
        let Some(body) = self.body(self.space_of(instance), &key)? else {
            return Ok((false, Vec::new()));
        };
        let read = stored_head(&body).and_then(|(head, facts)| {
            Some((head::summary(head)?.is_final(), Entry::read_all(facts)?))
        });
        read.ok_or_else(|| damaged(&key, "does not hold a head and facts"))
    }

    /// The sequence number after the last fact in the store, recent ones left out.
    pub(super) fn stored_end(&self, instance: InstanceId) -> Result<u64, JournalError> {
        let space = self.space_of(instance);
        let start = keys::of_instance(keys::FACTS, instance);
        let last = self.entries(space, &start, &keys::end_of(&start), Order::Down, 1)?;
        let mut end = 0;
        for (key, value) in last {
            let body = self.whole(space, &key, value)?.unwrap_or_default();
            let entries =
                Entry::read_all(&body).ok_or_else(|| damaged(&key, "does not hold facts"))?;
            end = entries.last().map_or(0, Entry::end);
        }
        let beside_head = self.facts_beside_head(instance)?;
        Ok(beside_head.last().map_or(0, Entry::end).max(end))
    }

    pub(super) fn read_timers(
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

    pub(super) fn read_subscriptions(
        &self,
        partition: PartitionId,
        after: Option<(InstanceId, FrameId)>,
        limit: usize,
    ) -> Result<Vec<StoredSubscription>, JournalError> {
        let from = after.map_or_else(
            || vec![keys::SUBSCRIPTION],
            |(instance, frame)| keys::next(keys::subscription(instance, frame)),
        );
        let space = Space::Partition(partition);
        let end = keys::end_of(&[keys::SUBSCRIPTION]);
        let (mut subscriptions, mut in_parts) = (Vec::new(), Vec::new());
        if limit == 0 || from >= end {
            return Ok(subscriptions);
        }
        // A start reads all there are: a record is copied once. What is in parts is read later, as
        // a scan may hold what reading another record waits for.
        self.ordered.scan(space, &from, &end, Order::Up, &mut |key, value| {
            let (instance, frame) = keys::subscription_of(key)?;
            let opened = record::open(key, value)?;
            let body = match opened.parts() {
                0 => opened.first.into_owned(),
                _ => {
                    in_parts.push((subscriptions.len(), key.to_vec()));
                    value.to_vec()
                }
            };
            subscriptions.push((instance, frame, body));
            Ok(match subscriptions.len() < limit {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        })?;
        // From the last one, so that those before keep their places.
        for (place, key) in in_parts.into_iter().rev() {
            let Some((_, _, body)) = subscriptions.get_mut(place) else { continue };
            match self.whole(space, &key, std::mem::take(body))? {
                Some(whole) => *body = whole,
                None => _ = subscriptions.remove(place),
            }
        }
        Ok(subscriptions)
    }
}

/// What a snapshot begins with: the sequence number of the first fact after it.
fn after_snapshot(key: &[u8], body: &[u8]) -> Result<u64, JournalError> {
    let after = body.first_chunk::<8>().ok_or_else(|| damaged(key, "is no snapshot"))?;
    Ok(u64::from_be_bytes(*after))
}

fn lacking(instance: InstanceId, from: u64) -> JournalError {
    JournalError::Damaged(format!("instance {instance} lacks its facts from {from} on"))
}

/// How many entries follow each other from `from` on, and the sequence number after them.
fn without_gap(entries: &[Entry], from: u64) -> (usize, u64) {
    let mut end = from;
    for (index, entry) in entries.iter().enumerate() {
        if entry.sequence > end {
            return (index, end);
        }
        end = entry.end();
    }
    (entries.len(), end)
}
