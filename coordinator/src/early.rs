//! Events that nobody waited for when they came: kept for a while, for whoever will.
//!
//! Each namespace that has a definition which waits for events of the type keeps one for itself,
//! and the first of its instances to wait for it gets it. An event is in the journal before it is
//! shown to anybody here, and leaves it in the commit that consumes it: so it is consumed once,
//! whatever ends the process. What one partition looks at no other one takes meanwhile; who wanted
//! it in that time is told when it is put back.

mod counts;
mod shelf;
mod stored;
mod view;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::Digest as _;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use crate::engine::Route;
use crate::journal::{EarlyKey, Journal, JournalError};
use counts::EarlyCounts;
use shelf::Shelf;
pub use view::{DeadLetter, EarlyView, WhyDead};

/// An event that is kept.
#[derive(Debug)]
pub struct EarlyEvent {
    /// What tells it from others.
    pub key: EarlyKey,
    /// The namespace that keeps it.
    pub namespace: Arc<str>,
    /// The only instance that may have it, where it was sent to one.
    pub instance: Option<InstanceId>,
    /// The event.
    pub event: Arc<CloudEvent>,
    /// When it came.
    pub at: Timestamp,
    /// Until when it is kept.
    pub until: Timestamp,
}

/// What became of an event that is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is new, and to be made durable; then [`EarlyEvents::shown`] is to be called.
    New,
    /// It is kept already, until then.
    Already(Timestamp),
    /// There is no room for it.
    Full,
}

/// All events that are kept.
pub struct EarlyEvents {
    ttl_ms: u64,
    journal: Arc<dyn Journal>,
    shelves: Mutex<Shelves>,
    /// How many somebody may take: whoever begins to wait asks for this first.
    shown: AtomicUsize,
    /// How many are kept, or are on their way from or to the disk.
    held: AtomicUsize,
    /// Until when, in milliseconds, it is remembered of some that they were handed out.
    handed_out_until: AtomicU64,
    counts: EarlyCounts,
}

#[derive(Default)]
struct Shelves {
    by_namespace: HashMap<Arc<str>, Shelf>,
    events: HashMap<EarlyKey, Entry>,
    /// Those whose time is not known to be over, by when it is.
    living: BTreeSet<EarlyPlace>,
    /// Bytes of all.
    bytes: u64,
    /// Bytes of those whose time is over.
    dead_bytes: u64,
}

struct Entry {
    event: Arc<EarlyEvent>,
    state: State,
    /// Whether it is among those kept in vain, which take no room from others.
    dead: bool,
}

/// Where an event stands.
enum State {
    /// It is on its way to the disk.
    Written,
    /// Who waits for it may have it.
    Shown,
    /// A partition looks whether an instance of it wants it; instances of others that would have
    /// looked at it meanwhile.
    Offered(BTreeSet<(PartitionId, InstanceId)>),
    /// It was consumed, or is forgotten, and that is on its way to the disk.
    Leaving,
}

/// Who looks at what is kept.
pub struct Whose<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The instance.
    pub instance: InstanceId,
    /// The partition that has it.
    pub partition: PartitionId,
}

/// The place of an event among those of its namespace: by time.
pub type EarlyPlace = (Timestamp, EarlyKey);

/// What is remembered for as long as marks of events are that were handed out of what was kept.
pub(crate) const HANDED_OUT: [u8; 16] = *b"early handed out";

/// The key of an event in a namespace, or for one instance of it.
#[must_use]
pub fn early_key(namespace: &str, identity: &[u8], instance: Option<InstanceId>) -> EarlyKey {
    let mut hash = sha2::Sha256::new();
    hash.update(b"early");
    hash.update(identity);
    hash.update(namespace.as_bytes());
    if let Some(instance) = instance {
        hash.update([0]);
        hash.update(instance.0.as_bytes());
    }
    let mut key = [0; 16];
    key.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    EarlyKey(key)
}

/// What tells an event from others: source and id.
pub(crate) fn identity(event: &CloudEvent) -> Arc<[u8]> {
    let mut hash = sha2::Sha256::new();
    hash.update(event.source().as_bytes());
    hash.update([0]);
    hash.update(event.id().as_bytes());
    Arc::from(&hash.finalize()[..16])
}

/// The partition that keeps an event.
pub(crate) fn home(event: &CloudEvent, partitions: u16) -> PartitionId {
    let number = identity(event).iter().take(4).fold(0_u32, |sum, it| sum << 8 | u32::from(*it));
    PartitionId(u16::try_from(number % u32::from(partitions.max(1))).unwrap_or_default())
}

impl EarlyEvents {
    /// Reads what is kept. Without a time to keep them for, none is kept anew.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn open(journal: Arc<dyn Journal>, ttl_ms: u64) -> Result<Self, JournalError> {
        let mut shelves = Shelves::default();
        let mut after = None;
        loop {
            let page = journal.early_events(after, limits::EARLY_PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            for (key, body) in &page {
                let event = stored::decode(*key, body).ok_or_else(|| {
                    JournalError::Damaged(format!("the event {key} that is kept is none"))
                })?;
                shelves.insert(Arc::new(event), State::Shown);
            }
        }
        let (shown, held) = (shelves.events.len().into(), shelves.events.len().into());
        let mut handed_out_until = 0;
        for partition in (0..journal.partitions()).map(PartitionId) {
            if journal.has_seen(partition, &HANDED_OUT)? {
                handed_out_until = u64::MAX;
                break;
            }
        }
        let handed_out_until = handed_out_until.into();
        let (shelves, counts) = (Mutex::new(shelves), EarlyCounts::default());
        let ttl_ms = ttl_ms.min(limits::EARLY_TTL_MOST_MS);
        Ok(Self { ttl_ms, journal, shelves, shown, held, handed_out_until, counts })
    }

    /// Whether events are kept at all.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.ttl_ms > 0
    }

    /// True when there is none that anybody could take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shown.load(Ordering::Acquire) == 0
    }

    /// False when no event that comes now was kept, or handed out of what was.
    #[must_use]
    pub fn may_know(&self, now: Timestamp) -> bool {
        self.held.load(Ordering::Acquire) > 0
            || self.handed_out_until.load(Ordering::Acquire) > now.0
    }

    /// Until then it is remembered of one that it was handed out.
    pub fn handed_out(&self, until: Timestamp) {
        self.handed_out_until.fetch_max(until.0, Ordering::AcqRel);
    }

    /// Until when an event is kept that comes now.
    #[must_use]
    pub fn until(&self, now: Timestamp, longer_ms: Option<u64>) -> Timestamp {
        let ttl = self.ttl_ms.max(longer_ms.unwrap_or_default());
        now.plus(ttl.min(limits::EARLY_TTL_MOST_MS))
    }

    /// Takes in an event, if there is room for it; nobody sees it before it is durable. One that
    /// was in vain is kept again.
    #[must_use]
    pub fn keep(&self, event: Arc<EarlyEvent>, now: Timestamp) -> Kept {
        let mut shelves = self.lock();
        shelves.bury(now, &self.counts);
        let mut again = false;
        if let Some(entry) = shelves.events.get(&event.key) {
            again = entry.dead && matches!(entry.state, State::Shown);
            if !again {
                // One that is consumed is kept no longer than until that is durable.
                let leaves = matches!(entry.state, State::Leaving);
                return Kept::Already(if leaves { Timestamp(0) } else { entry.event.until });
            }
        }
        if !shelves.has_room(&event) {
            let shelf = shelves.by_namespace.entry(event.namespace.clone()).or_default();
            shelf.refuse(DeadLetter::of(&event, WhyDead::Full, now));
            self.counts.refused.one();
            return Kept::Full;
        }
        if again {
            shelves.remove(event.key);
            self.shown.fetch_sub(1, Ordering::AcqRel);
        }
        shelves.insert(event, State::Written);
        self.held.store(shelves.events.len(), Ordering::Release);
        Kept::New
    }

    /// True while an event is kept, or is just being consumed.
    #[must_use]
    pub fn holds(&self, key: EarlyKey, now: Timestamp) -> bool {
        let shelves = self.lock();
        let entry = shelves.events.get(&key);
        entry.is_some_and(|it| it.event.until > now || matches!(it.state, State::Leaving))
    }

    /// Shows an event to all: it is durable.
    pub fn shown(&self, key: EarlyKey) {
        if let Some(entry) = self.lock().events.get_mut(&key) {
            entry.state = State::Shown;
            self.shown.fetch_add(1, Ordering::AcqRel);
            self.counts.kept.one();
        }
    }

    /// An event that somebody may have.
    #[must_use]
    pub fn get(&self, key: EarlyKey) -> Option<Arc<EarlyEvent>> {
        let shelves = self.lock();
        let entry = shelves.events.get(&key)?;
        (!matches!(entry.state, State::Written | State::Leaving)).then(|| entry.event.clone())
    }

    /// The event, for a partition to offer to an instance; it is put back by
    /// [`EarlyEvents::put_back`] or leaves by [`EarlyEvents::consumed`]. None where nobody can have
    /// it now, or it is for others: an instance that is shown it late because another partition has
    /// it is named when it is put back.
    pub fn take(
        &self,
        key: EarlyKey,
        whose: &Whose<'_>,
        now: Timestamp,
    ) -> Option<Arc<EarlyEvent>> {
        let mut shelves = self.lock();
        let entry = shelves.events.get_mut(&key).filter(|it| it.event.until > now)?;
        let is_for = |it: &EarlyEvent| it.instance.is_none_or(|it| it == whose.instance);
        if *entry.event.namespace != *whose.namespace || !is_for(&entry.event) {
            return None;
        }
        match &mut entry.state {
            State::Written | State::Leaving => None,
            State::Offered(wanted) => {
                wanted.insert((whose.partition, whose.instance));
                None
            }
            state @ State::Shown => {
                *state = State::Offered(BTreeSet::new());
                Some(entry.event.clone())
            }
        }
    }

    /// The first event after `after` that takes one of these routes and that an instance of the
    /// namespace may have; see [`EarlyEvents::take`].
    pub fn find(
        &self,
        whose: &Whose<'_>,
        routes: &[Route],
        after: Option<EarlyPlace>,
        now: Timestamp,
    ) -> Option<Arc<EarlyEvent>> {
        let mut after = after;
        loop {
            let (at, key) = {
                let mut shelves = self.lock();
                let shelf = shelves.by_namespace.get_mut(whose.namespace)?;
                shelf.next(routes, after, whose.instance)?
            };
            if let Some(event) = self.take(key, whose, now) {
                return Some(event);
            }
            after = Some((at, key));
        }
    }

    /// Puts an event back that no instance of the partition wanted; those which would have looked
    /// at it meanwhile.
    #[must_use]
    pub fn put_back(&self, key: EarlyKey) -> BTreeSet<(PartitionId, InstanceId)> {
        let mut shelves = self.lock();
        let Some(entry) = shelves.events.get_mut(&key) else { return BTreeSet::new() };
        match std::mem::replace(&mut entry.state, State::Shown) {
            State::Offered(wanted) => wanted,
            State::Written | State::Shown | State::Leaving => BTreeSet::new(),
        }
    }

    /// An event was consumed: nobody else has it, and it is gone once that is durable.
    pub fn consumed(&self, key: EarlyKey) {
        if let Some(entry) = self.lock().events.get_mut(&key) {
            entry.state = State::Leaving;
            self.shown.fetch_sub(1, Ordering::AcqRel);
            self.counts.taken.one();
        }
    }

    /// That an event was consumed is durable, or it is not to be kept after all.
    pub fn gone(&self, key: EarlyKey) {
        let mut shelves = self.lock();
        shelves.remove(key);
        self.held.store(shelves.events.len(), Ordering::Release);
    }

    /// All that are kept and that somebody may have.
    #[must_use]
    pub fn all(&self, now: Timestamp) -> Vec<Arc<EarlyEvent>> {
        let shelves = self.lock();
        let live = shelves.events.values().filter(|it| it.event.until > now);
        live.map(|it| it.event.clone()).collect()
    }

    /// Forgets what was kept in vain long ago, or is too much of that; returns how many went.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn forget(&self, now: Timestamp) -> Result<usize, JournalError> {
        // What was remembered when the process began is over by then.
        let begun = now.plus(limits::EVENT_REMEMBERED_MS + limits::EARLY_HANDED_OUT_MS).0;
        let _ = self.handed_out_until.compare_exchange(
            u64::MAX,
            begun,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        let keys = self.lock().over(now, &self.counts);
        if keys.is_empty() {
            return Ok(0);
        }
        self.shown.fetch_sub(keys.len(), Ordering::AcqRel);
        let mut rest = &*keys;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(limits::EARLY_PAGE));
            if let Err(error) = self.journal.remove_early_events(now) {
                self.stay(rest);
                return Err(error);
            }
            now.iter().for_each(|key| self.gone(*key));
            rest = later;
        }
        Ok(keys.len())
    }

    /// Those that could not be forgotten are there as before, for the next time.
    fn stay(&self, keys: &[EarlyKey]) {
        let mut shelves = self.lock();
        for key in keys {
            if let Some(entry) = shelves.events.get_mut(key) {
                entry.state = State::Shown;
                self.shown.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    /// How many events there are, and the bytes that they take.
    fn held(&self) -> (usize, u64) {
        let shelves = self.lock();
        (shelves.events.len(), shelves.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
    fn insert(&mut self, event: Arc<EarlyEvent>, state: State) {
        self.bytes += event.weight();
        self.living.insert((event.until, event.key));
        self.by_namespace.entry(event.namespace.clone()).or_default().insert(&event);
        self.events.insert(event.key, Entry { event, state, dead: false });
    }

    fn remove(&mut self, key: EarlyKey) {
        let Some(Entry { event, dead, .. }) = self.events.remove(&key) else { return };
        self.bytes = self.bytes.saturating_sub(event.weight());
        match dead {
            true => self.dead_bytes = self.dead_bytes.saturating_sub(event.weight()),
            false => drop(self.living.remove(&(event.until, key))),
        }
        if let Some(shelf) = self.by_namespace.get_mut(&event.namespace) {
            shelf.remove(&event);
            if shelf.is_empty() {
                self.by_namespace.remove(&event.namespace);
            }
        }
    }

    /// Whether there is room for one more: what was in vain takes none, as far as it stays.
    fn has_room(&self, event: &EarlyEvent) -> bool {
        let dead = self.dead_bytes.min(limits::EARLY_DEAD_TOTAL_BYTES);
        let total = self.bytes.saturating_sub(dead) + event.weight();
        let most = match total > limits::EARLY_TOTAL_BYTES {
            true => limits::EARLY_LEAST_BYTES,
            false => limits::EARLY_BYTES,
        };
        let shelf = self.by_namespace.get(&event.namespace);
        let (events, bytes) = shelf.map_or((0, 0), Shelf::taken);
        events < limits::EARLY_EVENTS && bytes + event.weight() <= most
    }

    /// Counts those whose time is over among what was in vain.
    fn bury(&mut self, now: Timestamp, counts: &EarlyCounts) {
        while let Some((until, key)) = self.living.first().copied()
            && until <= now
        {
            self.living.pop_first();
            let Some(entry) = self.events.get_mut(&key) else { continue };
            entry.dead = true;
            self.dead_bytes += entry.event.weight();
            if !matches!(entry.state, State::Leaving) {
                counts.expired.one();
            }
            if let Some(shelf) = self.by_namespace.get_mut(&entry.event.namespace) {
                shelf.bury(&entry.event);
            }
        }
    }

    /// What is to be forgotten, as leaving already; counts what was kept in vain.
    fn over(&mut self, now: Timestamp, counts: &EarlyCounts) -> Vec<EarlyKey> {
        self.bury(now, counts);
        let (mut over, mut stay) = (Vec::new(), Vec::new());
        for shelf in self.by_namespace.values() {
            let (mut events, mut bytes) = (0, 0);
            // The latest first.
            for event in shelf.dead().rev() {
                events += 1;
                bytes += event.weight();
                let is_much = events > limits::EARLY_DEAD || bytes > limits::EARLY_DEAD_BYTES;
                match is_much || event.until.plus(limits::EARLY_DEAD_MS) <= now {
                    true => over.push(event.key),
                    false => stay.push((event.until, event.key, event.weight())),
                }
            }
        }
        stay.sort_unstable();
        let mut bytes = 0;
        for (_, key, weight) in stay.into_iter().rev() {
            bytes += weight;
            if bytes > limits::EARLY_DEAD_TOTAL_BYTES {
                over.push(key);
            }
        }
        over.retain(|key| {
            let entry = self.events.get_mut(key).filter(|it| matches!(it.state, State::Shown));
            entry.map(|it| it.state = State::Leaving).is_some()
        });
        over
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
