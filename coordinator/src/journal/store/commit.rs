//! Committing: what of a group goes to the ring, and what to the store.

use std::collections::HashMap;
use std::sync::PoisonError;

use windlass_proto::id::{InstanceId, PartitionId};

use super::super::index::{self, Arrived, Place};
use super::super::ordered::Ordered;
use super::super::record::push_varint;
use super::super::space::{Change, Space};
use super::super::{
    Commit, EarlyWrite, Head, InstanceWrite, JournalError, RowWrite, ScheduleWrite, head, keys,
    record, retain,
};
use super::recent::{Entry, Pending, Recent};
use super::ring::{self, SLOT_BYTES, SLOTS};
use super::{Store, lock, open, stored_head, table};

/// Bytes of one instance's facts that wait in memory; then they go under a key of their own, in
/// one part.
const PENDING_BYTES: usize = 5 << 10;

/// Bytes of one entry that goes to the ring; larger ones gain nothing from it.
const RING_ENTRY_BYTES: usize = 4 << 10;

/// Bytes one group puts into the ring, far less than it holds; the rest goes to keys of its own.
const RING_GROUP_BYTES: usize = 2 << 20;

/// The position of facts that have none yet.
const NOWHERE: u64 = u64::MAX;

pub(super) fn commit<O: Ordered>(store: &Store<O>, commits: &[Commit]) -> Result<(), JournalError> {
    let _exclusive = store.exclusive();
    make_way(store, commits)?;
    let (changes, after) = {
        let recent = store.recent.read().unwrap_or_else(PoisonError::into_inner);
        let mut group = Group::new(store, &recent);
        for commit in commits {
            group.add(commit)?;
        }
        group.changes.extend(index::changed(store, &group.reopened, &group.removed)?);
        group.finish()
    };
    make(store, changes, after)
}

/// Of an instance whose id another one gets, nothing may be left.
fn make_way<O: Ordered>(store: &Store<O>, commits: &[Commit]) -> Result<(), JournalError> {
    if lock(&store.gone).is_empty() {
        return Ok(());
    }
    let writes = commits.iter().flat_map(|it| &it.writes);
    let starting = writes.filter(|it| it.sequence == 0 && store.is_gone(it.instance));
    let starting: Vec<InstanceId> = starting.map(|it| it.instance).collect();
    retain::finish(store, &starting)
}

/// Moves all recent facts to keys of their own and says so in the ring. The caller holds
/// [`Store::exclusive`].
pub(in super::super) fn settle_all<O: Ordered>(store: &Store<O>) -> Result<(), JournalError> {
    let (changes, after) = {
        let recent = store.recent.read().unwrap_or_else(PoisonError::into_inner);
        if recent.clear {
            return Ok(());
        }
        let mut group = Group::new(store, &recent);
        for instance in recent.pending.keys() {
            group.settle(*instance);
        }
        group.finish_with_empty_slot()
    };
    make(store, changes, after)
}

fn make<O: Ordered>(
    store: &Store<O>,
    changes: Vec<Change>,
    after: After,
) -> Result<(), JournalError> {
    if changes.is_empty() {
        return Ok(());
    }
    store.change(changes)?;
    store.index.arrived(after.started);
    lock(&store.gone).extend(after.removed);
    after.facts.apply(&mut store.recent.write().unwrap_or_else(PoisonError::into_inner));
    store.ordered.witness(&store.position());
    Ok(())
}

/// Commits that are written together.
struct Group<'a, O> {
    store: &'a Store<O>,
    recent: &'a Recent,
    changes: Vec<Change>,
    /// How instances touched so far will stand; `None` for nothing pending.
    staged: HashMap<InstanceId, Option<Pending>>,
    hot: HashMap<(PartitionId, InstanceId), bool>,
    /// Lengths of records that this group wrote and may write again.
    lengths: HashMap<Vec<u8>, usize>,
    /// Facts that this group put beside heads.
    beside_heads: HashMap<InstanceId, Vec<Entry>>,
    /// Facts for the ring, one element a slot, with the instances that appear in it.
    slots: Vec<(Vec<u8>, Vec<InstanceId>)>,
    /// Instances that start.
    started: Arrived,
    /// Instances that had ended and go on.
    reopened: Vec<Place>,
    /// Instances that are removed.
    removed: Vec<Place>,
}

/// What changes in memory once the group is durable.
struct After {
    facts: AfterFacts,
    started: Arrived,
    removed: Vec<InstanceId>,
}

/// The same, of what is recent.
struct AfterFacts {
    staged: HashMap<InstanceId, Option<Pending>>,
    hot: HashMap<(PartitionId, InstanceId), bool>,
    /// Entries at the front of the order that have left.
    left: usize,
    arrived: Vec<(u64, InstanceId)>,
    next: u64,
    clear: bool,
}

impl AfterFacts {
    fn apply(self, recent: &mut Recent) {
        for (instance, pending) in self.staged {
            match pending {
                Some(pending) => recent.pending.insert(instance, pending),
                None => recent.pending.remove(&instance),
            };
        }
        for ((partition, instance), hot) in self.hot {
            recent.set_hot(partition, instance, hot);
        }
        recent.order.drain(..self.left.min(recent.order.len()));
        recent.order.extend(self.arrived);
        recent.next = self.next;
        recent.clear = self.clear;
    }
}

impl<'a, O: Ordered> Group<'a, O> {
    fn new(store: &'a Store<O>, recent: &'a Recent) -> Self {
        Self {
            store,
            recent,
            changes: Vec::new(),
            staged: HashMap::new(),
            hot: HashMap::new(),
            lengths: HashMap::new(),
            beside_heads: HashMap::new(),
            slots: Vec::new(),
            started: Arrived::default(),
            reopened: Vec::new(),
            removed: Vec::new(),
        }
    }

    fn add(&mut self, commit: &Commit) -> Result<(), JournalError> {
        let space = Space::Partition(commit.partition);
        for write in &commit.writes {
            self.add_write(commit.partition, write)?;
        }
        for timer in &commit.timers_set {
            record::put(&mut self.changes, space, keys::timer(timer), &[]);
        }
        for timer in &commit.timers_cleared {
            self.changes.push(Change { space, key: keys::timer(timer), value: None });
        }
        for (instance, frame, data) in &commit.subscribed {
            self.replace(space, keys::subscription(*instance, *frame), Some(&[data]))?;
        }
        for (instance, frame) in &commit.unsubscribed {
            self.replace(space, keys::subscription(*instance, *frame), None)?;
        }
        for (key, until) in &commit.seen {
            record::put(&mut self.changes, space, keys::seen(key), &[&until.0.to_be_bytes()]);
        }
        for write in &commit.early {
            let (key, body) = match write {
                EarlyWrite::Put(key, body) => (*key, Some(&[body.as_slice()][..])),
                EarlyWrite::Remove(key) => (*key, None),
            };
            self.replace(Space::Common, keys::early(key), body)?;
        }
        for counted in &commit.open {
            open::put(&mut self.changes, space, counted);
        }
        for RowWrite { partition, table, name, value } in &commit.rows {
            let (space, key) = (Space::Partition(*partition), keys::row(table::kind(*table), name));
            self.replace(space, key, value.as_deref().as_ref().map(std::slice::from_ref))?;
        }
        for instance in &commit.removed {
            self.remove(commit.partition, *instance)?;
        }
        commit.schedules.iter().try_for_each(|write| self.add_schedule(space, write))
    }

    /// Takes the head of an instance away, and notes that the rest of it is to go.
    fn remove(&mut self, partition: PartitionId, instance: InstanceId) -> Result<(), JournalError> {
        let space = Space::Partition(partition);
        if self.store.space_of(instance) != space {
            return Err(refused(instance, "belongs to another partition"));
        }
        let key = keys::of_instance(keys::HEAD, instance);
        let Some(value) = self.store.ordered.get(space, &key)? else { return Ok(()) };
        let first = record::open(&key, &value)?.first;
        let head = stored_head(&first).and_then(|(head, _)| head::summary(head));
        let head = match head {
            Some(head) => head.without_ending(),
            // A head of very many labels is in parts.
            None => match self.store.read_head(instance)? {
                Some(head) => head,
                None => return Ok(()),
            },
        };
        if !head.status.is_final() || self.staged.contains_key(&instance) {
            return Err(refused(instance, "removes what goes on"));
        }
        self.staged.insert(instance, None);
        self.hot.insert((partition, instance), false);
        let hot = keys::of_instance(keys::HOT, instance);
        self.changes.extend([key, hot].map(|key| Change { space, key, value: None }));
        let note = keys::of_instance(keys::REMOVED, instance);
        record::put(&mut self.changes, space, note, &[]);
        self.removed.push((head.started_at, instance));
        Ok(())
    }

    fn add_schedule(&mut self, space: Space, write: &ScheduleWrite) -> Result<(), JournalError> {
        match write {
            ScheduleWrite::Occurrence(schedule, place, occurrence) => {
                self.replace(space, keys::occurrence(*schedule, *place), Some(&[occurrence]))
            }
            ScheduleWrite::State(schedule, Some(state)) => {
                self.replace(space, keys::schedule(*schedule), Some(&[state]))
            }
            ScheduleWrite::State(schedule, None) => {
                self.replace(space, keys::schedule(*schedule), None)?;
                for place in 0..=u8::MAX {
                    let key = keys::occurrence(*schedule, place);
                    let is_new = self.lengths.contains_key(&key);
                    if is_new || self.store.ordered.get(space, &key)?.is_some() {
                        self.replace(space, key, None)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn add_write(
        &mut self,
        partition: PartitionId,
        write: &InstanceWrite,
    ) -> Result<(), JournalError> {
        let InstanceWrite { instance, sequence, count, hot, .. } = *write;
        let space = Space::Partition(partition);
        if self.store.space_of(instance) != space {
            return Err(refused(instance, "belongs to another partition"));
        }
        if (count == 0) != write.facts.is_empty() {
            return Err(refused(instance, "has facts without a count, or a count without facts"));
        }
        if let Some(hot) = hot {
            self.hot.insert((partition, instance), hot);
        }
        if let Some(snapshot) = &write.snapshot {
            let after = sequence.saturating_add(u64::from(count)).to_be_bytes();
            let key = keys::of_instance(keys::SNAPSHOT, instance);
            self.replace(space, key, Some(&[&after, snapshot]))?;
        }
        let mut entry = None;
        if count > 0 {
            let it = Entry { sequence, count, facts: write.facts.clone() };
            self.pending(instance).get_or_insert_with(|| Pending::from(NOWHERE)).push(it.clone());
            entry = Some(it);
        }
        if let Some(head) = &write.head {
            // What just starts has no head to replace.
            let starts = sequence == 0 && count > 0;
            let ends = head.status.is_final();
            let facts = if ends { self.take_pending(instance) } else { Vec::new() };
            self.put_head(space, instance, starts, head, facts)?;
            if ends {
                self.settle_hot(instance);
                return Ok(());
            }
        }
        match entry {
            Some(entry) => self.log(instance, hot, &entry),
            // Without facts, the ring could not say what came first.
            None if hot.is_some() => self.settle(instance),
            None => {}
        }
        Ok(())
    }

    /// The facts of an instance that are not in the store, as this group leaves them.
    fn pending(&mut self, instance: InstanceId) -> &mut Option<Pending> {
        self.staged.entry(instance).or_insert_with(|| self.recent.pending.get(&instance).cloned())
    }

    fn take_pending(&mut self, instance: InstanceId) -> Vec<Entry> {
        self.pending(instance).take().map(|pending| pending.entries).unwrap_or_default()
    }

    /// Puts facts just made pending into the ring, or everything pending into the store when it has
    /// become too much.
    fn log(&mut self, instance: InstanceId, hot: Option<bool>, entry: &Entry) {
        let pending = self.pending(instance).as_ref().map_or(0, |pending| pending.bytes);
        let slots = self.slots.len();
        if entry.facts.len() > RING_ENTRY_BYTES
            || pending > PENDING_BYTES
            || slots * SLOT_BYTES > RING_GROUP_BYTES
        {
            self.settle(instance);
            return;
        }
        let mut bytes = Vec::with_capacity(entry.facts.len() + 32);
        ring::push_facts(&mut bytes, instance, hot, entry);
        match self.slots.last_mut() {
            Some((slot, instances)) if slot.len() + bytes.len() <= SLOT_BYTES => {
                slot.extend_from_slice(&bytes);
                instances.push(instance);
            }
            _ => self.slots.push((bytes, vec![instance])),
        }
    }

    /// Moves what is pending of a running instance to a key of its own.
    fn settle(&mut self, instance: InstanceId) {
        let entries = self.take_pending(instance);
        self.put_facts(instance, &entries);
        self.settle_hot(instance);
    }

    /// Says in the store whether an instance is hot: the ring no longer does.
    fn settle_hot(&mut self, instance: InstanceId) {
        let partition = instance.partition(self.store.partitions);
        let space = Space::Partition(partition);
        let place = (partition, instance);
        let key = keys::of_instance(keys::HOT, instance);
        if self.hot.get(&place).copied().unwrap_or_else(|| self.recent.hot.contains(&place)) {
            record::put(&mut self.changes, space, key, &[]);
        } else {
            self.changes.push(Change { space, key, value: None });
        }
    }

    fn put_facts(&mut self, instance: InstanceId, entries: &[Entry]) {
        if let Some(first) = entries.first() {
            let space = self.store.space_of(instance);
            let key = keys::facts(instance, first.sequence);
            let starts = Entry::starts(entries);
            record::put(&mut self.changes, space, key, &Entry::pieces(&starts, entries));
        }
    }

    /// Writes a head, with the last facts when the instance ended.
    fn put_head(
        &mut self,
        space: Space,
        instance: InstanceId,
        starts: bool,
        head: &Head,
        facts: Vec<Entry>,
    ) -> Result<(), JournalError> {
        let key = keys::of_instance(keys::HEAD, instance);
        if starts {
            let partition = instance.partition(self.store.partitions);
            self.started.add(partition, (head.started_at, instance));
        } else {
            // An ended instance that goes on keeps the facts beside its head, under their own key.
            let old = match self.beside_heads.remove(&instance) {
                Some(old) => old,
                None => {
                    let (ended, facts) = self.store.ended_and_facts(instance)?;
                    if ended {
                        self.reopened.push((head.started_at, instance));
                    }
                    facts
                }
            };
            self.put_facts(instance, &old);
        }
        let head = head::encode(head)?;
        let mut start = Vec::with_capacity(head.len() + 2);
        push_varint(&mut start, head.len() as u64);
        start.extend_from_slice(&head);
        let of_facts = Entry::starts(&facts);
        let mut body = vec![start.as_slice()];
        body.extend(Entry::pieces(&of_facts, &facts));
        if starts {
            self.lengths.insert(key.clone(), record::size(&body));
            record::put(&mut self.changes, space, key, &body);
        } else {
            self.replace(space, key, Some(&body))?;
        }
        self.beside_heads.insert(instance, facts);
        Ok(())
    }

    /// Replaces or removes a record that may have parts.
    fn replace(
        &mut self,
        space: Space,
        key: Vec<u8>,
        body: Option<&[&[u8]]>,
    ) -> Result<(), JournalError> {
        let old = match self.lengths.get(&key) {
            Some(length) => *length,
            None => match self.store.ordered.get(space, &key)? {
                Some(value) => record::open(&key, &value)?.length,
                None => 0,
            },
        };
        for number in (0_u32..).take(record::parts(old)) {
            self.changes.push(Change { space, key: keys::part(&key, number), value: None });
        }
        let length = body.map_or(0, record::size);
        self.lengths.insert(key.clone(), length);
        match body {
            Some(body) => record::put(&mut self.changes, space, key, body),
            None => self.changes.push(Change { space, key, value: None }),
        }
        Ok(())
    }

    fn finish(mut self) -> (Vec<Change>, After) {
        let arrived = self.place();
        let first = self.recent.next;
        let next = first + self.slots.len() as u64;
        let (left, oldest) = self.make_room(next);
        let oldest = oldest.unwrap_or(first);
        for (position, (facts, _)) in (first..).zip(&self.slots) {
            ring::put_slot(&mut self.changes, position, oldest, facts);
        }
        let clear = match self.slots.last() {
            Some((facts, _)) => facts.is_empty(),
            None => self.recent.clear,
        };
        self.store.index.arrive(&mut self.changes, &self.started);
        let Self { changes, staged, hot, started, removed, .. } = self;
        let facts = AfterFacts { staged, hot, left, arrived, next, clear };
        let removed = removed.into_iter().map(|(_, instance)| instance).collect();
        (changes, After { facts, started, removed })
    }

    /// A slot that holds nothing says that nothing before it is needed.
    fn finish_with_empty_slot(mut self) -> (Vec<Change>, After) {
        self.slots.push((Vec::new(), Vec::new()));
        self.finish()
    }

    /// Gives instances that were not in the ring the position of their first slot.
    fn place(&mut self) -> Vec<(u64, InstanceId)> {
        let mut arrived = Vec::new();
        for (position, (_, instances)) in (self.recent.next..).zip(&self.slots) {
            for instance in instances {
                if let Some(Some(pending)) = self.staged.get_mut(instance)
                    && pending.position == NOWHERE
                {
                    pending.position = position;
                    arrived.push((position, *instance));
                }
            }
        }
        arrived
    }

    /// Settles instances whose slots are about to be overwritten. Returns how many leave the front
    /// of the order, and the oldest position needed by those that stay.
    fn make_room(&mut self, next: u64) -> (usize, Option<u64>) {
        let recent = self.recent;
        for (left, (position, instance)) in recent.order.iter().enumerate() {
            let pending = match self.staged.get(instance) {
                Some(staged) => staged.as_ref(),
                None => recent.pending.get(instance),
            };
            if pending.is_none_or(|pending| pending.position != *position) {
                continue;
            }
            if position + u64::from(SLOTS) >= next {
                return (left, Some(*position));
            }
            self.settle(*instance);
        }
        (recent.order.len(), None)
    }
}

fn refused(instance: InstanceId, why: &str) -> JournalError {
    JournalError::Store(format!("the write for instance {instance} {why}"))
}
