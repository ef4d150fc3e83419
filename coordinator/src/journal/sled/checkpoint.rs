//! Checkpoints: what gathered in the write-ahead log goes to sled, many groups at a time.
//!
//! A key that was changed often meanwhile is written once, and what came and went not at all. sled
//! is synced before the log's blocks are overwritten; if that does not come about, all of it is
//! read from the log again. So a checkpoint need not be atomic: whatever sled has of it, the frames
//! of the log put the same values there once more.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::thread::{self, JoinHandle};

use windlass_proto::limits::JOURNAL_WAL_GROUP_BYTES;

use super::super::ordered::Confirm;
use super::super::space::{Change, Space};
use super::super::store::{lock, slot_positions};
use super::super::{JournalError, backup, disk, keys, record};
use super::blocks::{self, Gatherer};
use super::memtable::{Memtable, Table};
use super::wal::{self, Mark, Wal};
use super::{guarded, place, unusable};

/// Bytes of a value for which a new key gets a placeholder first, an empty value.
///
/// sled writes a page with all its values when it divides it, two or three times before a row of
/// new keys rests. With placeholders it does so while the page is small, and the values follow.
/// Who meets a placeholder asks the memtable; what a process that ended leaves of them is written
/// over from the log, and where that is lost they stand for nothing.
const PLACEHELD_BYTES: usize = 64;

/// Placeholders of a large batch after which sled has to write: with each eighth of them it may
/// move a page with all its values.
const PLACES_AT_ONCE: usize = 128;

/// sled, and what is in front of it.
pub(super) struct Base {
    pub(super) db: ::sled::Db,
    /// sled's log, for `fdatasync`.
    pub(super) log: File,
    pub(super) memtable: RwLock<Memtable>,
}

impl Base {
    /// What became of a key, as far as it waits to go to sled.
    fn waiting(&self, place: &[u8]) -> Option<Option<Vec<u8>>> {
        self.memtable.read().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
    }

    /// The value under a key.
    pub(super) fn get(&self, place: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        if let Some(waiting) = self.waiting(place) {
            return Ok(waiting);
        }
        let stored = self.db.get(place).map_err(unusable)?;
        match stored {
            Some(value) if value.is_empty() => self.held(place),
            None if blocks::may_hold(place) => blocks::get(&self.db, place),
            stored => Ok(stored.map(|value| value.to_vec())),
        }
    }

    /// The value for which a placeholder was met: if it does not wait any more, it is there by now.
    pub(super) fn held(&self, place: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        if let Some(waiting) = self.waiting(place) {
            return Ok(waiting);
        }
        let stored = self.db.get(place).map_err(unusable)?.filter(|value| !value.is_empty());
        Ok(stored.map(|value| value.to_vec()))
    }

    /// All that waits.
    pub(super) fn all_waiting(&self) -> Table {
        self.memtable.read().unwrap_or_else(PoisonError::into_inner).all()
    }

    pub(super) fn memtable_mut(&self) -> RwLockWriteGuard<'_, Memtable> {
        self.memtable.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mark of the log that goes with the store, if one ever did.
    pub(super) fn mark(&self) -> Result<Option<Mark>, JournalError> {
        let Some(value) = self.db.get(place(Space::Common, keys::LOGGED)).map_err(unusable)? else {
            return Ok(None);
        };
        let opened = record::open(keys::LOGGED, &value)?;
        let mark = Mark::decode(&opened.first);
        mark.map(Some).ok_or_else(|| record::damaged(keys::LOGGED, "is no mark"))
    }

    /// Makes all changes or none, durably, and nothing that waits may be older than they.
    pub(super) fn apply(&self, mut changes: Vec<Change>) -> Result<(), JournalError> {
        let removed = changes.iter().filter(|it| it.value.is_none());
        let removed: Vec<_> = removed.map(|it| place(it.space, &it.key)).collect();
        let gone: Vec<_> = removed.iter().map(Vec::as_slice).collect();
        changes.extend(blocks::without(&self.db, &gone)?);
        self.change(changes)?;
        self.sync()
    }

    /// Makes all changes or none; not durable yet.
    fn change(&self, mut changes: Vec<Change>) -> Result<(), JournalError> {
        // One change is all or nothing by itself. A batch costs a second write, and the waits with
        // it.
        if changes.len() == 1
            && let Some(Change { space, key, value }) = changes.pop()
        {
            return self.put(place(space, &key), value.as_deref());
        }
        let mut batch = ::sled::Batch::default();
        for Change { space, key, value } in changes {
            let place = place(space, &key);
            match value {
                Some(value) => batch.insert(place, value),
                None => batch.remove(place),
            }
        }
        self.db.apply_batch(batch).map_err(unusable)
    }

    pub(super) fn put(
        &self,
        place: impl AsRef<[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(), JournalError> {
        let changed = match value {
            Some(value) => self.db.insert(place, value),
            None => self.db.remove(place),
        };
        changed.map(drop).map_err(unusable)
    }

    /// Puts a placeholder where a value is to be under a new key.
    fn hold_place(&self, place: &[u8], value: &[u8]) -> Result<(), JournalError> {
        if value.len() < PLACEHELD_BYTES || self.db.contains_key(place).map_err(unusable)? {
            return Ok(());
        }
        self.put(place, Some(&[]))
    }

    /// Puts placeholders for all new keys of a batch that is made next. In the order of the keys,
    /// so that pages are divided evenly and their values then fit into them without another
    /// division. sled moves pages meanwhile to get segments free, and is made to write them before
    /// it holds many.
    fn hold_places(&self, changes: &[Change]) -> Result<(), JournalError> {
        let values = changes.iter().filter_map(|it| {
            let value = it.value.as_deref()?;
            Some((place(it.space, &it.key), value))
        });
        let values: BTreeMap<_, _> = values.collect();
        for (number, (place, value)) in values.iter().enumerate() {
            self.hold_place(place, value)?;
            if number % PLACES_AT_ONCE == PLACES_AT_ONCE - 1 {
                self.db.flush().map_err(unusable)?;
            }
        }
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), JournalError> {
        self.db.flush().map_err(unusable)?;
        self.log.sync_data().map_err(|error| disk::error(Path::new("the journal"), &error))
    }

    /// Moves what is sealed to sled, durably; the log's frames up to `mark` are not needed then.
    fn checkpoint(&self, mark: Option<Mark>) -> Result<(), JournalError> {
        let sealed = self.memtable.read().unwrap_or_else(PoisonError::into_inner).sealed();
        let Some(sealed) = sealed else { return Ok(()) };
        let needed = oldest_slot(&sealed);
        let is_needed = |(place, value): &(&Vec<u8>, &Option<Vec<u8>>)| {
            let slot = value.as_deref().and_then(|value| slot_at(place, value));
            // Slots of the ring that nobody would read again.
            slot.is_none_or(|(position, _)| position >= needed)
        };
        self.move_all(sealed.iter().filter(is_needed))?;
        for Change { space, key, value } in mark.into_iter().flat_map(marking) {
            self.put(place(space, &key), value.as_deref())?;
        }
        self.sync()?;
        self.memtable_mut().drop_sealed();
        Ok(())
    }

    /// Puts changes to where they belong in sled. Durable only with the next sync.
    fn move_all<'a>(
        &self,
        changes: impl Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)>,
    ) -> Result<(), JournalError> {
        let mut heads = Gatherer::new(&self.db);
        let (mut puts, mut gone) = (Vec::new(), Vec::new());
        for (place, value) in changes {
            match value {
                None => gone.push(place.as_slice()),
                Some(value) if heads.take(place, value)? => {}
                Some(value) => puts.push((place.as_slice(), value.as_slice())),
            }
        }
        heads.close();
        let made = heads.single.iter().chain(&heads.blocks);
        puts.extend(made.map(|(place, value)| (place.as_slice(), value.as_slice())));
        puts.iter().try_for_each(|(place, value)| self.hold_place(place, value))?;
        for (place, value) in puts {
            self.put(place, Some(value))?;
        }
        for Change { space, key, value } in blocks::without(&self.db, &gone)? {
            self.put(place(space, &key), value.as_deref())?;
        }
        gone.into_iter().try_for_each(|place| self.put(place, None))
    }

    /// Moves all that waits to sled. Nobody else may write meanwhile.
    pub(super) fn settle(&self, mark: Option<Mark>) -> Result<(), JournalError> {
        // What was sealed before, then what became active since.
        while !self.memtable.read().unwrap_or_else(PoisonError::into_inner).is_empty() {
            self.memtable_mut().seal();
            self.checkpoint(mark)?;
        }
        self.drop_note()
    }
}

/// The position of a slot of the ring, and the oldest position that was needed then.
fn slot_at(place: &[u8], value: &[u8]) -> Option<(u64, u64)> {
    let (space, key) = keys::split(place)?;
    if space == Space::Common { slot_positions(key, value) } else { None }
}

/// The oldest slot of the ring that is needed once these changes are in the store.
fn oldest_slot(table: &Table) -> u64 {
    let from = place(Space::Common, &[keys::RING]);
    let to = place(Space::Common, &keys::end_of(&[keys::RING]));
    let slots =
        table.range(from..to).filter_map(|(place, value)| slot_at(place, value.as_deref()?));
    slots.max().map_or(0, |(_, oldest)| oldest)
}

/// The change that says which log goes with the store, and how much of it the store has.
pub(super) fn marking(mark: Mark) -> Vec<Change> {
    let mut changes = Vec::new();
    record::put(&mut changes, Space::Common, keys::LOGGED.to_vec(), &[&mark.encode()]);
    changes
}

/// The write-ahead log, and the thread that moves to sled what is in it.
pub(super) struct Logged {
    base: Arc<Base>,
    wal: Mutex<Wal>,
    progress: Arc<Progress>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Progress {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How far the log is in the store once what is sealed is.
    due: Option<Mark>,
    closing: bool,
    /// Set for good once a checkpoint failed.
    broken: bool,
    /// Why, for who writes next.
    failed: Option<JournalError>,
}

impl Logged {
    /// Goes on with a log of which the store has everything.
    pub(super) fn start(base: Arc<Base>, wal: Wal) -> io::Result<Self> {
        let progress = Arc::<Progress>::default();
        let thread = thread::Builder::new().name("checkpoint".to_owned()).spawn({
            let (base, progress) = (base.clone(), progress.clone());
            move || progress.run(&base)
        })?;
        Ok(Self { base, wal: Mutex::new(wal), progress, thread: Some(thread) })
    }

    /// Makes all changes or none, durably.
    pub(super) fn write(&self, changes: Vec<Change>) -> Result<(), JournalError> {
        self.write_confirmed(changes, &mut || Ok(()))
    }

    /// The same, met by others only once `confirm` says so: it waits while the disk does.
    pub(super) fn write_confirmed(
        &self,
        changes: Vec<Change>,
        confirm: &mut Confirm<'_>,
    ) -> Result<(), JournalError> {
        let size: usize = changes.iter().map(backup::size_at_most).sum();
        let mut wal = lock(&self.wal);
        if size > JOURNAL_WAL_GROUP_BYTES {
            // It is met at once, and cannot be taken back.
            confirm()?;
            return self.write_past(&mut wal, changes);
        }
        let mut body = Vec::with_capacity(size);
        for Change { space, key, value } in &changes {
            backup::push(&mut body, *space, key, value.as_deref());
        }
        if !wal.has_room(body.len()) {
            self.hand_over(wal.mark())?;
            wal.turn();
        }
        wal.append(&body).map_err(|error| disk::error(Path::new(wal::FILE), &error))?;
        // A batch that is not confirmed stays in the log, as the last one: whoever opens it asks.
        confirm()?;
        self.base.memtable_mut().add(changes);
        Ok(())
    }

    /// Writes a group that is too large for the log.
    fn write_past(&self, wal: &mut Wal, mut changes: Vec<Change>) -> Result<(), JournalError> {
        self.hand_over(wal.mark())?;
        drop(self.progress.idle()?);
        changes.extend(marking(wal.next_mark()));
        self.base.hold_places(&changes)?;
        let rest = self.base.put_ahead(changes)?;
        self.base.apply(rest)?;
        wal.skip();
        Ok(())
    }

    /// Has what was written so far moved to sled, once what was handed over before is.
    fn hand_over(&self, mark: Mark) -> Result<(), JournalError> {
        let mut state = self.progress.idle()?;
        if self.base.memtable_mut().seal().is_some() {
            state.due = Some(mark);
            self.progress.changed.notify_all();
        }
        Ok(())
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let mark = lock(&self.wal).mark();
        let moved = self.hand_over(mark).and_then(|()| self.progress.idle().map(drop));
        if let Err(error) = moved {
            // The log has it all.
            tracing::error!(%error, "the journal was closed without a checkpoint");
        }
        lock(&self.progress.state).closing = true;
        self.progress.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the journal's checkpoints panicked");
        }
    }
}

impl Progress {
    /// Waits until nothing is being moved.
    fn idle(&self) -> Result<MutexGuard<'_, State>, JournalError> {
        let state = lock(&self.state);
        let busy = |state: &mut State| state.due.is_some() && !state.broken;
        let mut state =
            self.changed.wait_while(state, busy).unwrap_or_else(PoisonError::into_inner);
        if state.broken {
            let earlier = || JournalError::Store("an earlier checkpoint failed".to_owned());
            return Err(state.failed.take().unwrap_or_else(earlier));
        }
        Ok(state)
    }

    fn run(&self, base: &Base) {
        let mut state = lock(&self.state);
        loop {
            let waits = |state: &mut State| state.due.is_none() && !state.closing;
            state = self.changed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
            let Some(mark) = state.due else { return };
            drop(state);
            let moved = guarded(|| base.checkpoint(Some(mark)));
            state = lock(&self.state);
            state.due = None;
            if let Err(error) = moved {
                tracing::error!(%error, "a checkpoint of the journal failed");
                state.broken = true;
                state.failed = Some(error);
            }
            self.changed.notify_all();
            if state.broken {
                return;
            }
        }
    }
}
