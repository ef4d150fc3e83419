//! The journal on disk, in sled 0.34. No other file names sled.
//!
//! sled's own flush starts the writing but does not wait for the disk's cache
//! (`sync_file_range`), so what sled is given ends with an `fdatasync` of its log through a handle
//! of ours. A group of commits goes to a write-ahead log of our own first ([`wal`]), which takes
//! one write and one sync; readers find it in memory ([`memtable`]) until a checkpoint has moved it
//! to sled ([`checkpoint`]). sled keeps a batch of one tree whole, and each batch costs two writes
//! and two syncs of its own: so there is one tree.

mod ahead;
mod blocks;
mod checkpoint;
mod copy;
mod log;
mod memtable;
mod open;
pub mod replica;
mod room;
mod salvage;
mod unfinished;
mod wal;
mod witness;

use std::cmp::Ordering;
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use windlass_proto::metric::{Histogram, Snapshot, table};

use super::ordered::{Confirm, Ordered};
use super::space::{Change, Order, Space, Visit};
use super::store::{Expected, JournalPosition, Store};
use super::{CheckReport, Journal, JournalError, Loss, NextPiece, Room, disk, keys};
use blocks::Stored;
use checkpoint::{Base, Logged};
use copy::Copy;
use memtable::Page;

pub use super::store::Missing;
pub use open::Options;
pub use salvage::{SalvageReport, salvage};
pub(crate) use unfinished::Unfinished;
pub use wal::FILE as WAL;
use wal::Mark;
pub use witness::FILE as WITNESS;
use witness::Witness;

/// A journal in a directory.
pub type SledJournal = Store<Sled>;

/// The store under a [`SledJournal`].
pub struct Sled {
    /// What is kept of this outside of sled; none while a backup is being restored.
    witness: Option<Witness>,
    /// The write-ahead log; none where what is written goes to sled at once: while a backup is
    /// being restored, in a copy, and on a disk that has no room for a log.
    logged: Option<Logged>,
    /// What was found of a log when the store was opened.
    found: FoundLog,
    base: Arc<Base>,
    /// What it is on.
    disk: room::Disk,
    /// How long the write-ahead log took to write and to sync.
    synced: Arc<Histogram>,
    /// How long it took to open.
    opened_in: Duration,
    /// Held for as long as the journal is open.
    _lock: File,
}

/// What was found of a write-ahead log.
#[derive(Debug, Default)]
struct FoundLog {
    /// How much of it is in the store, with what was read from it; none where there never was one.
    mark: Option<Mark>,
    /// Whether it can be gone on with.
    usable: bool,
    /// What is wrong with it.
    lost: Option<Loss>,
    /// Of the last batch that went to a log as well, what is not applied yet.
    held: Option<Vec<Change>>,
}

impl SledJournal {
    /// Opens the journal in `directory`, or makes one there.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when another process has it open, [`JournalError::Unopenable`] when
    /// it is damaged or does not open in time, [`JournalError::Lost`] when it lacks what it held,
    /// [`JournalError::Disk`] or [`JournalError::Store`] when the directory cannot be used.
    pub fn open(directory: &Path, options: &Options) -> Result<Self, JournalError> {
        open::journal(directory, options)
    }
}

/// Makes a journal in `directory`, which must not exist or be empty, from a backup; returns how
/// many changes it held. What fails halfway leaves `directory` as it was.
///
/// # Errors
/// [`JournalError::Backup`] when the backup is damaged or `directory` is taken, others when the
/// directory cannot be used.
pub fn restore(directory: &Path, reader: &mut dyn Read) -> Result<u64, JournalError> {
    made(directory, |unfinished| {
        let empty = open::empty(unfinished, &Options::default())?;
        let count = super::backup::restore(&empty, reader)?;
        drop(empty);
        // Opening it shows that what was restored is a journal.
        drop(SledJournal::open(unfinished, &Options::default())?);
        Ok(count)
    })
}

/// What was made of the pieces of a journal.
#[derive(Clone, Copy, Debug)]
pub struct Assembled {
    /// How many changes they held.
    pub changes: u64,
    /// The last term of ownership; the next one is the first of its generation.
    pub epoch: u64,
}

/// Makes a journal in `directory`, which must not exist or be empty, of its pieces, with terms of
/// ownership of a `generation` of their own, or a later one; `beside` adds what else belongs there,
/// and is told where, and what was made. What fails halfway leaves `directory` as it was.
///
/// # Errors
/// As for [`restore`], and what `next` and `beside` return.
pub fn assemble(
    directory: &Path,
    generation: u32,
    next: &mut NextPiece<'_>,
    beside: &mut dyn FnMut(&Path, Assembled) -> Result<(), JournalError>,
) -> Result<Assembled, JournalError> {
    made(directory, |unfinished| {
        let empty = open::empty(unfinished, &Options::default())?;
        let changes = super::backup::assemble(&empty, next)?;
        drop(empty);
        let epoch = begin_generation(unfinished, generation)?;
        let assembled = Assembled { changes, epoch };
        beside(unfinished, assembled)?;
        Ok(assembled)
    })
}

/// Begins a generation of terms of ownership in the journal in `directory`, or a later one; gives
/// the last term before its first.
///
/// # Errors
/// When it cannot be opened or written.
pub fn begin_generation(directory: &Path, generation: u32) -> Result<u64, JournalError> {
    SledJournal::open(directory, &Options::default())?.begin_generation(generation)
}

/// Has `make` fill a directory beside `directory`, and then gives it that name.
fn made<T>(
    directory: &Path,
    make: impl FnOnce(&Path) -> Result<T, JournalError>,
) -> Result<T, JournalError> {
    let unfinished = Unfinished::begin(directory, ".restoring")?;
    let made = make(unfinished.path())?;
    unfinished.finish()?;
    Ok(made)
}

/// Checks the journal in `directory`, for the command line: a copy of it, which sled may mend.
///
/// # Errors
/// When it cannot be opened or copied; damage to records and what is missing are in the report.
pub fn check_directory(directory: &Path) -> Result<CheckReport, JournalError> {
    check_directory_and(directory, |_, _| ())
}

/// The same, and then lets `more` look at what is in the copy.
///
/// # Errors
/// As for [`check_directory`].
pub(crate) fn check_directory_and(
    directory: &Path,
    more: impl FnOnce(&dyn Journal, &mut CheckReport),
) -> Result<CheckReport, JournalError> {
    if !directory.join(open::LOG).exists() {
        return Err(without_log(directory));
    }
    let _lock = open::lock(directory)?;
    let known = witness::read(directory).map_err(|error| error.to_string());
    let copy = Copy::take(directory, directory)?;
    let (_copy, journal, mut report) =
        look_at(copy, known).map_err(|error| named(error, directory))?;
    more(&journal, &mut report);
    Ok(report)
}

/// The error with the directory that people know in place of that of a copy.
fn named(error: JournalError, directory: &Path) -> JournalError {
    match error {
        JournalError::Unopenable { reason, .. } => {
            JournalError::Unopenable { path: directory.display().to_string(), reason }
        }
        other => other,
    }
}

/// What is in a copy, and what it lacks of what is known. The copy must live longer than the
/// journal.
fn look_at(
    copy: Copy,
    known: Result<Option<JournalPosition>, String>,
) -> Result<(Copy, SledJournal, CheckReport), JournalError> {
    let options = Options { missing: Missing::Report, ..Options::default() };
    let path = copy.path().to_owned();
    open::in_time(&path.clone(), options.deadline, move || {
        let mut sled = open::empty(&path, &options)?;
        let lost = sled.found.lost.take();
        let expected = Expected { position: None, missing: options.missing };
        let journal = Store::expecting(sled, options.partitions, &expected)?;
        let mut report = journal.check()?;
        match known {
            Ok(Some(known)) => {
                let missing = journal.position().missing_from(&known);
                report.lost.splice(..0, missing);
            }
            none => report.lost.extend(without_witness(&journal, none.err().as_deref())?),
        }
        report.lost.splice(..0, lost);
        Ok((copy, journal, report))
    })
}

/// What is to be said of a journal whose witness is not there, or cannot be read for the `damage`;
/// nothing where there never was one: a journal of an earlier version, or one that was being made.
fn without_witness(
    journal: &Store<Sled>,
    damage: Option<&str>,
) -> Result<Option<Loss>, JournalError> {
    if !journal.is_witnessed()? {
        return Ok(None);
    }
    let state = damage.map_or("gone".to_owned(), |it| format!("damaged ({it})"));
    let what = format!(
        "its witness, {}, is {state}: whether the end of its log is missing cannot be told",
        witness::FILE
    );
    Ok(Some(Loss { what, ..Loss::default() }))
}

/// Refuses a directory that has no journal, of whatever else it has: opening makes one there.
///
/// # Errors
/// When there is none, or its store is gone.
pub fn expect_one(directory: &Path) -> Result<(), JournalError> {
    match directory.join(open::LOG).is_file() {
        true => Ok(()),
        false => Err(without_log(directory)),
    }
}

/// The error for a directory without a store: there was one, or there never was.
fn without_log(directory: &Path) -> JournalError {
    let path = directory.display().to_string();
    if [witness::FILE, wal::FILE, open::SETTINGS].iter().any(|it| directory.join(it).exists()) {
        return JournalError::StoreGone { path, file: open::LOG };
    }
    JournalError::NoJournal(path)
}

fn place(space: Space, key: &[u8]) -> Vec<u8> {
    let mut place = keys::prefix(space);
    place.extend_from_slice(key);
    place
}

impl Ordered for Sled {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        guarded(|| self.base.get(&place(space, key)))
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), JournalError> {
        if from >= to {
            return Ok(());
        }
        let prefix = keys::prefix(space).len();
        self.raw(&place(space, from), &place(space, to), order, &mut |key, value| {
            visit(key.get(prefix..).unwrap_or_default(), value)
        })
    }

    fn write(&self, changes: Vec<Change>) -> Result<(), JournalError> {
        guarded(|| match &self.logged {
            Some(logged) => logged.write(changes),
            None => {
                self.base.settle(self.found.mark)?;
                self.base.apply(changes)
            }
        })
    }

    fn write_confirmed(
        &self,
        changes: Vec<Change>,
        confirm: &mut Confirm<'_>,
    ) -> Result<(), JournalError> {
        match &self.logged {
            Some(logged) => guarded(|| logged.write_confirmed(changes, confirm)),
            None => {
                confirm()?;
                self.write(changes)
            }
        }
    }

    fn room(&self) -> Room {
        self.disk.look(&self.base.log)
    }

    fn measured(&self, snapshot: &mut Snapshot) {
        let length = |file: &File| file.metadata().map_or(0, |it| it.len());
        let log = length(&self.base.log);
        snapshot.labelled(&table::journal::SIZE, ["log"], log);
        if self.logged.is_some() {
            snapshot.labelled(&table::journal::SIZE, ["wal"], wal::BYTES);
            snapshot.add(&table::journal::SYNC, &*self.synced);
        }
        snapshot.add(&table::journal::OPENING, self.opened_in.as_secs_f64());
    }

    fn witness(&self, position: &JournalPosition) {
        if let Some(witness) = &self.witness {
            witness.write(position);
        }
    }
}

impl Sled {
    /// [`Ordered::scan`] over all spaces: keys begin with theirs.
    fn raw(
        &self,
        from: &[u8],
        to: &[u8],
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), JournalError> {
        let (mut low, mut high) = (from.to_vec(), to.to_vec());
        while low < high {
            let memtable = self.base.memtable.read().unwrap_or_else(PoisonError::into_inner);
            let page = memtable.page(&low, &high, order);
            drop(memtable);
            // What has left the memtable by now is in sled, so sled is asked only now. Where there
            // are more pages, this one ends with its last key.
            let last = page.changes.last().filter(|_| page.more).map(|(key, _)| key.clone());
            let (from, to) = match (&last, order) {
                (None, _) => (low.clone(), high.clone()),
                (Some(last), Order::Up) => (low.clone(), keys::next(last.clone())),
                (Some(last), Order::Down) => (last.clone(), high.clone()),
            };
            let done = guarded(|| self.merged(page, (&from, &to), order, visit))?;
            if done.is_break() || last.is_none() {
                break;
            }
            match order {
                Order::Up => low = to,
                Order::Down => high = from,
            }
        }
        Ok(())
    }

    /// Shows what sled has between two keys, as a page of the memtable changes it.
    fn merged(
        &self,
        page: Page,
        (from, to): (&[u8], &[u8]),
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, JournalError> {
        let mut waiting = page.changes.into_iter().peekable();
        let mut stored = Stored::between(&self.base.db, from, to, order)?;
        let mut entry = stored.next()?;
        loop {
            let place = match (&entry, waiting.peek()) {
                (None, None) => return Ok(ControlFlow::Continue(())),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((key, _)), Some((changed, _))) => match order {
                    Order::Up => key[..].cmp(changed),
                    Order::Down => changed[..].cmp(key),
                },
            };
            if place != Ordering::Greater
                && let Some((key, value)) = entry.take()
            {
                // What a change replaces is not shown, nor a placeholder.
                let shown = match place {
                    Ordering::Less if value.is_empty() => self.base.held(&key)?,
                    Ordering::Less => Some(value),
                    _ => None,
                };
                if let Some(value) = shown
                    && visit(&key, &value)?.is_break()
                {
                    return Ok(ControlFlow::Break(()));
                }
                entry = stored.next()?;
            }
            if place != Ordering::Less
                && let Some((key, Some(value))) = waiting.next()
                && visit(&key, &value)?.is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
}

/// sled asserts what it believes about its files: a broken belief is an error here, not the end
/// of the process.
fn guarded<T>(run: impl FnOnce() -> Result<T, JournalError>) -> Result<T, JournalError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let said = open::message(&*panic);
        Err(match disk::Refusal::of_text(&said) {
            Some(refusal) => JournalError::Disk { path: "the journal".to_owned(), refusal },
            None => JournalError::Damaged(format!("the store gave up: {said}")),
        })
    })
}

fn unusable(error: ::sled::Error) -> JournalError {
    match error {
        ::sled::Error::Corruption { .. } => JournalError::Damaged(error.to_string()),
        ::sled::Error::Io(error) => disk::error(Path::new("the journal"), &error),
        error => JournalError::Store(error.to_string()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
