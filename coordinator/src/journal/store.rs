//! The journal over any ordered store of keys and values.
//!
//! What is kept under which key is decided here, once; [`Ordered`] is what a store must offer.
//!
//! An ordered store writes a small record many times over before it rests: in a log, then with its
//! neighbours, then with the index above them. So new facts go to a ring of slots that are
//! overwritten in turn ([`ring`]), and stay in memory ([`recent`]) until their instance ends: then
//! all that is left of it goes under one key. What a turn of the ring would overwrite is moved to
//! its own key first. Heads, timers and subscriptions go to their own keys at once.

mod bulk;
mod commit;
mod count;
mod definition;
mod early;
mod epoch;
mod open;
mod parts;
mod read;
mod recent;
mod ring;
mod save;
mod schedule;
mod suspended;
mod table;
mod tally;
mod verify;
mod version;

use std::collections::BTreeSet;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use uuid::Uuid;
use windlass_proto::id::{Digest, FrameId, InstanceId, PartitionId};
use windlass_proto::metric::Snapshot as Metrics;
use windlass_proto::time::Timestamp;

use super::backup::{self, BackupReport, Capture};
use super::index::{self, Index};
use super::ordered::Ordered;
use super::replicated::{CommitLog, Followed};
use super::space::{Change, Order, Record, Space};
use super::{
    BulkPage, BulkWrite, CheckReport, Commit, Counted, EarlyKey, Filter, Found, Head, Journal,
    JournalError, OpenInstances, Page, Room, Row, SearchCursor, Snapshot, StoredDefinition,
    StoredFacts, StoredInstance, StoredSubscription, Table, TakePiece, TimerKey, keys, record,
    retain,
};
use crate::admission::Suspended;
use crate::schedule::ScheduleId;
use recent::Recent;
use verify::Verification;

pub(super) use commit::settle_all;
pub(super) use open::decode as open_instances;
pub(super) use read::stored_head;
pub(super) use ring::{check_ring, in_slot, slot_positions};
pub(super) use suspended::decode as suspended;
pub use table::Holder;
pub use tally::JournalPosition;
pub(super) use tally::Tally;

/// The journal over the store `O`.
pub struct Store<O> {
    pub(super) ordered: O,
    /// What must hold all that is committed as well; none where this journal is alone.
    log: Option<Arc<dyn CommitLog>>,
    partitions: u16,
    /// Set when a write failed: what is in memory and on disk may differ since.
    failed: AtomicBool,
    /// Held by whoever writes: what is read to decide a change stays so until it is made.
    writing: Mutex<()>,
    /// Changed only after the change is durable, and never locked while the store works. Facts
    /// move from here to the store, so who reads looks here first.
    recent: RwLock<Recent>,
    /// By what instances are found.
    pub(super) index: Index,
    /// What a backup that is being taken must hear of.
    pub(super) capture: Capture,
    /// Where [`Journal::over`] and [`Journal::forget`] go on, so that no call looks at everything.
    pub(super) retained: Mutex<retain::Progress>,
    /// Instances that were removed and of which records are left. Changed only by who holds
    /// [`Store::exclusive`].
    pub(super) gone: Mutex<BTreeSet<InstanceId>>,
    /// What the store ought to hold. Changed only by who holds [`Store::exclusive`].
    tally: Mutex<Tally>,
    /// The adding up of what it does hold, while that is under way.
    verification: Mutex<Option<Verification>>,
}

/// What a journal is held to when it opens.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    /// How far it had come, as far as that is known.
    pub(super) position: Option<JournalPosition>,
    /// What to do when it has not come that far.
    pub(super) missing: Missing,
}

/// What to do with a journal that lacks something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// Refuse to open it.
    #[default]
    Refuse,
    /// Open it as it is, to look at it.
    Report,
    /// Take what is left for all there is.
    Accept,
}

impl<O: Ordered> Store<O> {
    /// The journal in `ordered`; `partitions` counts when it is new.
    pub(super) fn new(ordered: O, partitions: u16) -> Result<Self, JournalError> {
        Self::expecting(ordered, partitions, &Expected::default())
    }

    /// The journal in `ordered`, which must hold what is expected of it; `partitions` counts when
    /// it is new. Nothing is written to one that lacks something.
    pub(super) fn expecting(
        ordered: O,
        partitions: u16,
        expected: &Expected,
    ) -> Result<Self, JournalError> {
        Self::opened(ordered, partitions, expected, None)
    }

    /// The same, of which all that is written from now on goes to `log` as well.
    pub(super) fn replicated(
        ordered: O,
        partitions: u16,
        expected: &Expected,
        log: Arc<dyn CommitLog>,
    ) -> Result<Self, JournalError> {
        Self::opened(ordered, partitions, expected, Some(log))
    }

    fn opened(
        ordered: O,
        partitions: u16,
        expected: &Expected,
        log: Option<Arc<dyn CommitLog>>,
    ) -> Result<Self, JournalError> {
        let mut store = Self {
            ordered,
            log,
            partitions: partitions.max(1),
            failed: AtomicBool::new(false),
            writing: Mutex::new(()),
            recent: RwLock::default(),
            index: Index::default(),
            capture: Capture::default(),
            retained: Mutex::default(),
            gone: Mutex::default(),
            tally: Mutex::default(),
            verification: Mutex::default(),
        };
        let stored = store.number(keys::PARTITIONS)?;
        if let Some(stored) = stored {
            store.partitions = u16::try_from(stored)
                .ok()
                .filter(|it| *it > 0)
                .ok_or_else(|| record::damaged(keys::PARTITIONS, "is no count of partitions"))?;
        }
        // Before anything else is read, which may be of a kind that is not known here.
        store.refuse_newer()?;
        let tally = store.stored_tally()?;
        let tallied = tally.is_some();
        store.tally = Mutex::new(tally.unwrap_or_else(|| Tally::of_nothing(store.partitions)));
        store.gone = Mutex::new(retain::gone(&store, store.partitions)?.into_iter().collect());
        store.recent = RwLock::new(ring::recover(&store, expected.missing != Missing::Refuse)?);
        if let Some(witness) = &expected.position {
            let lost = store.position().missing_from(witness);
            if expected.missing == Missing::Refuse && !lost.is_empty() {
                return Err(JournalError::Lost(lost));
            }
            for it in &lost {
                let (loss, records, instances) = (&*it.what, it.records, it.instances);
                tracing::warn!(
                    loss,
                    records,
                    instances,
                    "going on without what the journal has lost"
                );
            }
        }
        if stored.is_none() {
            store.put_number(keys::PARTITIONS, u64::from(store.partitions))?;
        }
        // A journal of an earlier version has no tally, and what was lost is not asked for again.
        if expected.missing == Missing::Accept || (stored.is_some() && !tallied) {
            store.adopt(expected.position.as_ref())?;
        }
        // As one of an earlier version, which is not counted yet. What is looked at stays as it is.
        let lost = expected.missing == Missing::Accept;
        if expected.missing != Missing::Report && (lost || !store.is_counted()?) {
            store.count_open()?;
        }
        if expected.missing != Missing::Report {
            store.index = index::open(&store)?;
        }
        store.verification = Mutex::new(Some(Verification::new(store.partitions)));
        Ok(store)
    }

    fn stored_tally(&self) -> Result<Option<Tally>, JournalError> {
        let Some(body) = self.body(Space::Common, keys::TALLY)? else { return Ok(None) };
        let tally = Tally::decode(&body).filter(|it| it.fits(self.partitions));
        tally.map(Some).ok_or_else(|| record::damaged(keys::TALLY, "is no tally"))
    }

    /// Takes what is there for what ought to be.
    fn adopt(&self, witness: Option<&JournalPosition>) -> Result<(), JournalError> {
        let _exclusive = self.exclusive();
        let mut tally = self.add_up()?;
        tally.go_on_from(&lock(&self.tally));
        if let Some(witness) = witness {
            tally.go_on_from(&witness.tally);
        }
        let mut changes = Vec::new();
        record::put(&mut changes, Space::Common, keys::TALLY.to_vec(), &[&tally.encode()]);
        self.ordered.write(changes)?;
        *lock(&self.tally) = tally;
        Ok(())
    }

    /// True when a witness was written for this journal once.
    pub(super) fn is_witnessed(&self) -> Result<bool, JournalError> {
        Ok(self.number(keys::WITNESSED)?.is_some())
    }

    /// Takes note that a witness is durable: from now on one must be there.
    pub(super) fn mark_witnessed(&self) -> Result<(), JournalError> {
        if self.is_witnessed()? {
            return Ok(());
        }
        let mut changes = Vec::new();
        let one = 1_u64.to_be_bytes();
        record::put(&mut changes, Space::Common, keys::WITNESSED.to_vec(), &[&one]);
        self.ordered.write(changes)
    }

    /// How far the journal has come.
    pub(super) fn position(&self) -> JournalPosition {
        let tally = lock(&self.tally).clone();
        JournalPosition { tally, slots: self.read_recent(|recent| recent.next) }
    }

    /// Keys and values of a range, at most `limit`.
    pub(super) fn entries(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        order: Order,
        limit: usize,
    ) -> Result<Vec<Record>, JournalError> {
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

    /// Held while records are read, changed and written back.
    pub(super) fn exclusive(&self) -> MutexGuard<'_, ()> {
        lock(&self.writing)
    }

    /// Writes, unless a write failed before. The caller holds [`Store::exclusive`].
    pub(super) fn write(&self, changes: Vec<Change>) -> Result<(), JournalError> {
        self.change(changes)?;
        self.ordered.witness(&self.position());
        Ok(())
    }

    /// [`Store::write`], without a word to the witness: memory does not show the change yet.
    fn change(&self, mut changes: Vec<Change>) -> Result<(), JournalError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(JournalError::Store("an earlier write failed".to_owned()));
        }
        let counted = self.tally_with(&mut changes)?;
        if changes.is_empty() {
            return Ok(());
        }
        let made = self.capture.prepare(&changes);
        let result = match &self.log {
            None => self.ordered.write(changes),
            Some(log) => self.write_to_both(&**log, changes),
        };
        match (&result, made) {
            (Ok(()), Some(made)) => self.capture.note(made),
            (Ok(()), None) => {}
            (Err(_), _) => self.failed.store(true, Ordering::Release),
        }
        if let (Ok(()), Some(counted)) = (&result, counted) {
            *lock(&self.tally) = counted.tally;
            *lock(&self.verification) = counted.verification;
        }
        result
    }

    /// Writes here and to the log at the same time; made once both have it.
    fn write_to_both(
        &self,
        log: &dyn CommitLog,
        mut changes: Vec<Change>,
    ) -> Result<(), JournalError> {
        let batch = backup::batch(&changes);
        if batch.is_empty() {
            return self.ordered.write(changes);
        }
        let mut appending = log.append(batch)?;
        let followed = Followed { position: appending.position(), whole: true };
        changes.extend(followed.change());
        self.ordered.write_confirmed(changes, &mut || appending.wait())
    }

    /// How many slots of the ring were ever written.
    #[cfg(test)]
    pub(super) fn slots_written(&self) -> u64 {
        self.read_recent(|recent| recent.next)
    }

    pub(super) fn space_of(&self, instance: InstanceId) -> Space {
        Space::Partition(instance.partition(self.partitions))
    }
}

/// A lock whose holder panicked still guards whole data: it is changed only after the store was.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<O: Ordered> Journal for Store<O> {
    fn partitions(&self) -> u16 {
        self.partitions
    }

    fn commit(&self, commits: &[Commit]) -> Result<(), JournalError> {
        commit::commit(self, commits)
    }

    fn load(&self, instance: InstanceId) -> Result<Option<StoredInstance>, JournalError> {
        self.read_instance(instance)
    }

    fn snapshot(&self, instance: InstanceId, until: u64) -> Result<Option<Snapshot>, JournalError> {
        self.read_snapshot(instance, until)
    }

    fn facts(
        &self,
        instance: InstanceId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<StoredFacts>, JournalError> {
        self.read_facts(instance, from, limit)
    }

    fn head(&self, instance: InstanceId) -> Result<Option<Head>, JournalError> {
        self.read_head(instance)
    }

    fn list(
        &self,
        filter: &Filter,
        cursor: Option<InstanceId>,
        limit: usize,
    ) -> Result<Page, JournalError> {
        super::list::list(self, filter, cursor, limit)
    }

    fn search(
        &self,
        filter: &Filter,
        cursor: Option<SearchCursor>,
        limit: usize,
    ) -> Result<Found, JournalError> {
        index::search(self, filter, cursor, limit)
    }

    fn count(&self, filter: &Filter) -> Result<Counted, JournalError> {
        index::count(self, filter)
    }

    fn put_bulk(&self, write: &BulkWrite) -> Result<(), JournalError> {
        self.write_bulk(write)
    }

    fn bulk_jobs(&self) -> Result<Vec<Vec<u8>>, JournalError> {
        self.read_bulk()
    }

    fn bulk_page(
        &self,
        page: BulkPage,
        job: Uuid,
        number: u32,
    ) -> Result<Option<Vec<u8>>, JournalError> {
        self.read_bulk_page(page, job, number)
    }

    fn early_events(
        &self,
        after: Option<EarlyKey>,
        limit: usize,
    ) -> Result<Vec<(EarlyKey, Vec<u8>)>, JournalError> {
        self.read_early(after, limit)
    }

    fn remove_early_events(&self, keys: &[EarlyKey]) -> Result<(), JournalError> {
        self.write_early_gone(keys)
    }

    fn index(&self) -> Result<bool, JournalError> {
        index::indexed(self)
    }

    fn is_index_due(&self) -> bool {
        self.index.is_due()
    }

    fn hot(
        &self,
        partition: PartitionId,
        after: Option<InstanceId>,
        limit: usize,
    ) -> Result<Vec<InstanceId>, JournalError> {
        Ok(self.read_recent(|recent| recent.hot(partition, after, limit)))
    }

    fn timers(
        &self,
        partition: PartitionId,
        after: Option<TimerKey>,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<TimerKey>, JournalError> {
        self.read_timers(partition, after, until, limit)
    }

    fn subscriptions(
        &self,
        partition: PartitionId,
        after: Option<(InstanceId, FrameId)>,
        limit: usize,
    ) -> Result<Vec<StoredSubscription>, JournalError> {
        self.read_subscriptions(partition, after, limit)
    }

    fn schedules(
        &self,
        partition: PartitionId,
        after: Option<ScheduleId>,
        limit: usize,
    ) -> Result<Vec<(ScheduleId, Vec<u8>)>, JournalError> {
        self.read_schedules(partition, after, limit)
    }

    fn schedule(&self, schedule: ScheduleId) -> Result<Option<Vec<u8>>, JournalError> {
        self.read_schedule(schedule)
    }

    fn occurrences(&self, schedule: ScheduleId) -> Result<Vec<Vec<u8>>, JournalError> {
        self.read_occurrences(schedule)
    }

    fn rows(
        &self,
        partition: PartitionId,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, JournalError> {
        self.read_rows(partition, table, after, limit)
    }

    fn row(
        &self,
        partition: PartitionId,
        table: Table,
        name: &[u8],
    ) -> Result<Option<Vec<u8>>, JournalError> {
        self.body(Space::Partition(partition), &keys::row(table::kind(table), name))
    }

    fn open_instances(
        &self,
        partition: PartitionId,
    ) -> Result<Option<Vec<OpenInstances>>, JournalError> {
        if self.is_counted()? { self.read_open(partition).map(Some) } else { Ok(None) }
    }

    fn has_seen(&self, partition: PartitionId, key: &[u8]) -> Result<bool, JournalError> {
        let key = keys::seen(key);
        match self.ordered.get(Space::Partition(partition), &key)? {
            Some(value) => record::open(&key, &value).map(|_| true),
            None => Ok(false),
        }
    }

    fn put_definition(&self, definition: &StoredDefinition) -> Result<(), JournalError> {
        self.write_definition(definition)
    }

    fn remove_definition(&self, definition: &StoredDefinition) -> Result<(), JournalError> {
        self.erase_definition(definition)
    }

    fn definition(&self, digest: &Digest) -> Result<Option<StoredDefinition>, JournalError> {
        self.read_definition(digest)
    }

    fn definitions(&self) -> Result<Vec<StoredDefinition>, JournalError> {
        self.read_definitions()
    }

    fn put_suspended(
        &self,
        what: &Suspended,
        since: Option<Timestamp>,
    ) -> Result<(), JournalError> {
        self.write_suspended(what, since)
    }

    fn suspended(&self) -> Result<Vec<(Suspended, Timestamp)>, JournalError> {
        self.read_suspended()
    }

    fn over(
        &self,
        is_over: &dyn Fn(&Head) -> bool,
        limit: usize,
    ) -> Result<Vec<(InstanceId, Head)>, JournalError> {
        retain::over(self, is_over, limit)
    }

    fn sweep(&self, limit: usize) -> Result<usize, JournalError> {
        retain::sweep(self, limit)
    }

    fn next_epoch(&self) -> Result<u64, JournalError> {
        let _exclusive = self.exclusive();
        let epoch = self.number(keys::EPOCH)?.unwrap_or(0).saturating_add(1);
        self.put_number(keys::EPOCH, epoch)?;
        Ok(epoch)
    }

    fn forget(&self, now: Timestamp) -> Result<usize, JournalError> {
        retain::forget(self, now)
    }

    fn backup(&self, writer: &mut dyn Write) -> Result<BackupReport, JournalError> {
        super::backup::backup(self, writer)
    }

    fn pieces<'a>(&self, take: &'a mut TakePiece<'a>) -> Result<BackupReport, JournalError> {
        super::backup::pieces(self, take)
    }

    fn room(&self) -> Room {
        let room = self.ordered.room();
        match self.log.as_ref().filter(|it| it.is_away()) {
            Some(log) => room.without_log(log.is_unheard()),
            None => room,
        }
    }

    fn measured(&self, metrics: &mut Metrics) {
        self.ordered.measured(metrics);
        if let Some(log) = &self.log {
            log.measured(metrics);
        }
    }

    fn verify(&self, limit: usize) -> Result<bool, JournalError> {
        self.verify_some(limit)
    }

    fn check(&self) -> Result<CheckReport, JournalError> {
        super::check::check(self)
    }
}
