//! The journal on disk, in sled 0.34. No other file names sled.
//!
//! sled's own flush starts the writing but does not wait for the disk's cache
//! (`sync_file_range`), so every commit ends with an `fdatasync` of its log through a handle of
//! ours. sled keeps a batch of one tree whole, and each batch costs two writes and two syncs of its
//! own: so there is one tree, and a group of commits is one batch.

mod copy;
mod log;
mod open;
mod room;
mod salvage;
mod witness;

use std::fs::{self, File};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::ordered::Ordered;
use super::space::{Change, Order, Space, Visit};
use super::store::{Expected, JournalPosition, Store};
use super::{CheckReport, Journal, JournalError, Loss, Room, disk, keys};
use copy::Copy;

pub use super::store::Missing;
pub use open::Options;
pub use salvage::{SalvageReport, salvage};
pub use witness::FILE as WITNESS;
use witness::Witness;

/// A journal in a directory.
pub type SledJournal = Store<Sled>;

/// The store under a [`SledJournal`].
pub struct Sled {
    db: ::sled::Db,
    /// sled's log, for `fdatasync`.
    log: File,
    /// What it is on.
    disk: room::Disk,
    /// What is kept of this outside of sled; none while a backup is being restored.
    witness: Option<Witness>,
    /// Held for as long as the journal is open.
    _lock: File,
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
    let unusable = |error: io::Error| disk::error(directory, &error);
    if directory.exists() && fs::read_dir(directory).map_err(unusable)?.next().is_some() {
        return Err(JournalError::Backup(format!("{} is not empty", directory.display())));
    }
    let mut unfinished = directory.as_os_str().to_owned();
    unfinished.push(".restoring");
    let unfinished = Path::new(&unfinished);
    if unfinished.exists() {
        fs::remove_dir_all(unfinished).map_err(unusable)?;
    }
    let count = super::backup::restore(&open::empty(unfinished, &Options::default())?, reader)?;
    // Opening it shows that what was restored is a journal.
    drop(SledJournal::open(unfinished, &Options::default())?);
    fs::rename(unfinished, directory).map_err(unusable)?;
    open::sync_parent(directory).map_err(unusable)?;
    Ok(count)
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
        let sled = open::empty(&path, &options)?;
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

/// The error for a directory without a store: there was one, or there never was.
fn without_log(directory: &Path) -> JournalError {
    let path = directory.display().to_string();
    if directory.join(witness::FILE).exists() || directory.join(open::SETTINGS).exists() {
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
        let found = guarded(|| self.db.get(place(space, key)).map_err(unusable))?;
        Ok(found.map(|value| value.to_vec()))
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
        guarded(|| {
            self.change(changes)?;
            self.db.flush().map_err(unusable)?;
            self.log.sync_data().map_err(|error| disk::error(Path::new("the journal"), &error))
        })
    }

    fn room(&self) -> Room {
        self.disk.look(&self.log)
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
        if from >= to {
            return Ok(());
        }
        guarded(|| {
            let mut entries = self.db.range(from..to);
            while let Some(entry) = match order {
                Order::Up => entries.next(),
                Order::Down => entries.next_back(),
            } {
                let (key, value) = entry.map_err(unusable)?;
                if visit(&key, &value)?.is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Makes all changes or none; not durable yet.
    fn change(&self, mut changes: Vec<Change>) -> Result<(), JournalError> {
        // One change is all or nothing by itself. A batch costs a second write, and the waits with
        // it: most of what a single step of a single workflow takes.
        if changes.len() == 1
            && let Some(Change { space, key, value }) = changes.pop()
        {
            let place = place(space, &key);
            let changed = match value {
                Some(value) => self.db.insert(place, value),
                None => self.db.remove(place),
            };
            return changed.map(drop).map_err(unusable);
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
