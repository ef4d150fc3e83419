//! Opening: what must be put in order first, and what to do when sled does not come back.

use std::any::Any;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, RwLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use windlass_proto::limits::{self, JOURNAL_CACHE_BYTES, JOURNAL_OPEN_MS, VERIFY_AT_OPEN_RECORDS};
use windlass_proto::metric::{Histogram, table};

use super::super::ordered::Ordered as _;
use super::super::space::{Change, Space};
use super::super::store::{Expected, JournalPosition, Missing, Store};
use super::super::{JournalError, Loss, disk, keys};
use super::checkpoint::{Base, Logged, marking};
use super::copy::Copy;
use super::wal::{self, Mark, Wal};
use super::witness::{self, Witness};
use super::{FoundLog, Sled, SledJournal, guarded, log, replica, room};

/// sled's log within the directory.
pub(super) const LOG: &str = "db";
/// sled's own settings.
pub(super) const SETTINGS: &str = "conf";
pub(super) const LOCK: &str = "windlass.lock";

/// How to open a journal.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Partitions of a new journal; one that exists keeps its own number.
    pub partitions: u16,
    /// Bytes of pages kept in memory.
    pub cache_bytes: u64,
    /// How long opening may take.
    pub deadline: Duration,
    /// What to do with a journal that lacks what it held.
    pub missing: Missing,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            partitions: 4,
            cache_bytes: JOURNAL_CACHE_BYTES,
            deadline: Duration::from_millis(JOURNAL_OPEN_MS),
            missing: Missing::Refuse,
        }
    }
}

/// Opens a journal that holds what its witness has seen of it.
pub(super) fn journal(directory: &Path, options: &Options) -> Result<SledJournal, JournalError> {
    let began = Instant::now();
    let unusable = |error: io::Error| disk::error(directory, &error);
    crate::file::private_folder(directory, LOCK).map_err(unusable)?;
    let lock = lock(directory)?;
    // What is committed here alone would part it from the others for ever.
    if let Some(cluster) = replica::cluster_of(directory)? {
        return Err(JournalError::LogMisfit(format!(
            "{0} is of the cluster `{cluster}`: start it with --cluster {cluster}. To take it out of the \
             cluster for good, stop all other coordinators of it and remove {0}/{1}",
            directory.display(),
            replica::FILE
        )));
    }
    let (known, position, damage) = known(directory)?;
    // sled writes its settings with its first log: one that lost both log and witness still has
    // them.
    let had_one = known || [SETTINGS, wal::FILE].iter().any(|it| directory.join(it).exists());
    if had_one && options.missing == Missing::Refuse && !directory.join(LOG).exists() {
        return Err(super::without_log(directory));
    }
    if options.missing == Missing::Refuse {
        refuse_torn(directory, position.as_ref())?;
    }
    let expected = Expected { position, missing: options.missing };
    let (path, settings) = (directory.to_owned(), *options);
    // Whatever is read of a damaged store may panic or never end, so all of it is under the
    // deadline.
    let mut journal = in_time(directory, options.deadline, move || {
        let mut store = store(&path, &settings, lock)?;
        if let Some(lost) = store.found.lost.take() {
            if expected.missing == Missing::Refuse {
                drop(store);
                let known = damage.map_or(Ok(expected.position), Err);
                return Err(JournalError::Lost(lost_in_all(&path, lost, known)));
            }
            tracing::warn!(loss = lost.what, "going on without what the journal has lost");
        }
        let journal = Store::expecting(store, settings.partitions, &expected)?;
        if expected.position.is_none() && expected.missing == Missing::Refuse {
            let lost = super::without_witness(&journal, damage.as_deref())?;
            if let Some(lost) = lost {
                return Err(JournalError::Lost(vec![lost]));
            }
        }
        // A large one is added up while work goes on, unless nothing else tells what it held.
        if journal.records() <= VERIFY_AT_OPEN_RECORDS || expected.position.is_none() {
            while !journal.verify_some(usize::MAX)? {}
        }
        Ok(journal)
    })?;
    journal.ordered.start_log(directory)?;
    if journal.ordered.get(Space::Common, keys::FOLLOWED)?.is_some() {
        // It goes its own way from now on, and must not be taken for what it was.
        let (space, key) = (Space::Common, keys::FOLLOWED.to_vec());
        journal.ordered.write(vec![Change { space, key, value: None }])?;
    }
    witnessed(journal, directory, began)
}

/// Begins to keep the witness of a journal that is open.
pub(super) fn witnessed(
    mut journal: SledJournal,
    directory: &Path,
    began: Instant,
) -> Result<SledJournal, JournalError> {
    let unusable = |error: io::Error| disk::error(directory, &error);
    let witness = Witness::start(directory, &journal.position()).map_err(unusable)?;
    journal.mark_witnessed()?;
    journal.ordered.witness = Some(witness);
    journal.ordered.opened_in = began.elapsed();
    Ok(journal)
}

/// sled clears what follows a message that it cannot read. Where sound ones follow, a copy shows
/// whether it belongs to what was durable or to a group that was cut off, before the journal itself
/// is touched.
fn refuse_torn(directory: &Path, position: Option<&JournalPosition>) -> Result<(), JournalError> {
    let unusable = |error: io::Error| disk::error(directory, &error);
    if !directory.join(LOG).exists() || !log::is_torn(directory).map_err(unusable)? {
        return Ok(());
    }
    if position.is_none() {
        let what = "its log is torn, and there is no witness to tell what is missing".to_owned();
        return Err(JournalError::Lost(vec![Loss { what, ..Loss::default() }]));
    }
    tracing::warn!(directory = %directory.display(), "journal log is torn: checking a copy first");
    let copy = Copy::take(directory, directory)?;
    let (_copy, _journal, report) = super::look_at(copy, Ok(position.cloned()))?;
    match report.lost.is_empty() {
        true => Ok(()),
        false => Err(JournalError::Lost(report.lost)),
    }
}

/// What a journal lacks beside this, as `fsck` tells it: a copy shows it, and nothing is written to
/// the journal itself.
fn lost_in_all(
    directory: &Path,
    lost: Loss,
    known: Result<Option<JournalPosition>, String>,
) -> Vec<Loss> {
    let looked = Copy::take(directory, directory).and_then(|copy| super::look_at(copy, known));
    match looked {
        Ok((_copy, _journal, report)) if !report.lost.is_empty() => report.lost,
        _ => vec![lost],
    }
}

/// Whether there ever was a journal, how far it had come as far as its witness can be read, and why
/// it cannot. Whether there must be one is known by the journal itself: one that was being made
/// when the machine went down may have an empty one.
fn known(
    directory: &Path,
) -> Result<(bool, Option<JournalPosition>, Option<String>), JournalError> {
    match witness::read(directory) {
        Ok(None) => Ok((false, None, None)),
        Ok(position) => Ok((true, position, None)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Ok((true, None, Some(error.to_string())))
        }
        Err(error) => Err(disk::error(&directory.join(witness::FILE), &error)),
    }
}

/// Opens a store that is to be filled, or whose content is looked at elsewhere.
pub(super) fn empty(directory: &Path, options: &Options) -> Result<Sled, JournalError> {
    fs::create_dir_all(directory).map_err(|error| disk::error(directory, &error))?;
    let lock = lock(directory)?;
    let (path, settings) = (directory.to_owned(), *options);
    in_time(directory, options.deadline, move || store(&path, &settings, lock))
}

fn store(directory: &Path, options: &Options, lock: File) -> Result<Sled, JournalError> {
    store_as(directory, options, lock, false)
}

/// The store, without the last batch that went to a log of others as well: that is in what was
/// found.
pub(super) fn store_holding(
    directory: &Path,
    options: &Options,
    lock: File,
) -> Result<Sled, JournalError> {
    store_as(directory, options, lock, true)
}

fn store_as(
    directory: &Path,
    options: &Options,
    lock: File,
    hold: bool,
) -> Result<Sled, JournalError> {
    let unusable = |error: io::Error| disk::error(directory, &error);
    remove_unfinished_snapshots(directory).map_err(unusable)?;
    room::release(directory).map_err(unusable)?;
    let config = ::sled::Config::new()
        .path(directory)
        .cache_capacity(options.cache_bytes)
        .flush_every_ms(None);
    let db = open_when_free(directory, &config)?;
    let log = OpenOptions::new().write(true).open(directory.join(LOG)).map_err(unusable)?;
    sync_directories(directory).map_err(unusable)?;
    let base = Base { db, log, memtable: RwLock::default() };
    let found = read_log(directory, &base, hold)?;
    let (base, disk) = (Arc::new(base), room::Disk::new(directory));
    let synced = Arc::new(Histogram::of(&table::journal::SYNC));
    let (witness, logged, opened_in) = Default::default();
    Ok(Sled { witness, logged, found, base, disk, synced, opened_in, _lock: lock })
}

/// Reads what the write-ahead log has and the store does not, into the memtable.
fn read_log(directory: &Path, base: &Base, hold: bool) -> Result<FoundLog, JournalError> {
    let file = directory.join(wal::FILE);
    // sled may give up on a damaged page: what else can be read of it may still be saved.
    let mark = match guarded(|| base.take_back().and_then(|()| base.mark())) {
        Ok(mark) => mark,
        Err(error) => {
            let why = match error {
                JournalError::Damaged(why) => why,
                other => other.to_string(),
            };
            let what = format!("its store, {LOG}, cannot be read: {why}");
            let lost = Some(Loss { what, ..Loss::default() });
            return Ok(FoundLog { lost, ..FoundLog::default() });
        }
    };
    let found = wal::read(directory, mark, hold).map_err(|error| disk::error(&file, &error))?;
    base.memtable_mut().add(found.changes);
    let lost = found.damage.map(|damage| lost(&damage));
    let mark = mark.map(|mark| Mark { sequence: found.sequence, ..mark });
    Ok(FoundLog { mark, usable: found.usable, lost, held: found.held })
}

fn lost(damage: &str) -> Loss {
    Loss { what: format!("its write-ahead log, {}, {damage}", wal::FILE), ..Loss::default() }
}

impl Sled {
    /// Begins to write ahead: to the log that was found, or to a new one.
    pub(super) fn start_log(&mut self, directory: &Path) -> Result<(), JournalError> {
        let file = directory.join(wal::FILE);
        let failed = |error: io::Error| disk::error(&file, &error);
        let FoundLog { mark, usable, .. } = self.found;
        self.base.settle(mark)?;
        let mark = match mark.filter(|_| usable) {
            Some(mark) => mark,
            None => {
                let identity = uuid::Uuid::new_v4().as_u64_pair().0;
                if let Err(error) = wal::make(directory, identity) {
                    return self.without_log(&file, &error);
                }
                let mark = Mark { identity, sequence: mark.map_or(0, |it| it.sequence) };
                self.base.apply(marking(mark))?;
                mark
            }
        };
        let wal = Wal::open(directory, mark, self.synced.clone()).map_err(failed)?;
        self.logged = Some(Logged::start(self.base.clone(), wal).map_err(failed)?);
        Ok(())
    }

    /// Goes on without a log, which no later opening then asks for.
    fn without_log(&self, file: &Path, error: &io::Error) -> Result<(), JournalError> {
        tracing::warn!(%error, file = %file.display(), "the journal goes on without a write-ahead \
            log, and is slower for it");
        let (space, key) = (Space::Common, keys::LOGGED.to_vec());
        self.base.apply(vec![Change { space, key, value: None }])
    }
}

/// Two processes in one directory would destroy it.
pub(super) fn lock(directory: &Path) -> Result<File, JournalError> {
    let path = directory.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| disk::error(&path, &error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(JournalError::Locked(directory.display().to_string()))
        }
        Err(error) => Err(disk::error(&path, &error.into())),
    }
}

/// A process that ends while sled writes a snapshot leaves a file that sled then refuses to open
/// for ever, and so does a log that is gone. The snapshot is only a shortcut: the log holds
/// everything.
fn remove_unfinished_snapshots(directory: &Path) -> io::Result<()> {
    let orphaned = !directory.join(LOG).exists();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && (orphaned || name.ends_with(".generating")) {
            tracing::warn!(file = %name, "removing a snapshot of the journal that is of no use");
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A store that was closed in this process lets go of its file a moment later, when its last thread
/// ends. Other processes were kept out by our own lock before, so waiting that moment is safe.
fn open_when_free(directory: &Path, config: &::sled::Config) -> Result<::sled::Db, JournalError> {
    let mut reason = String::new();
    for _ in 0..limits::STORE_CLOSING_TRIES {
        match config.open() {
            Ok(db) => return Ok(db),
            Err(error) => reason = error.to_string(),
        }
        if !reason.contains("could not acquire lock") {
            break;
        }
        thread::sleep(Duration::from_millis(limits::STORE_CLOSING_PAUSE_MS));
    }
    Err(unopenable(directory, reason))
}

/// sled's settings end in a checksum of them.
fn has_damaged_settings(directory: &Path) -> bool {
    let settings = fs::read(directory.join(SETTINGS)).unwrap_or_default();
    settings
        .split_last_chunk::<4>()
        .is_some_and(|(text, sum)| crc32fast::hash(text) != u32::from_le_bytes(*sum))
}

fn unopenable(directory: &Path, reason: String) -> JournalError {
    let path = directory.display().to_string();
    match disk::Refusal::of_text(&reason) {
        Some(refusal) => JournalError::Disk { path, refusal },
        // sled's words for it are an error code and a path.
        None if has_damaged_settings(directory) => {
            let reason = format!(
                "its file {SETTINGS}, which has the store's own settings, is damaged; its log, {LOG}, may \
                 well be whole"
            );
            JournalError::Unopenable { path, reason }
        }
        None => JournalError::Unopenable { path, reason },
    }
}

/// A damaged log can make sled panic or search without end, so it is read in a thread of its own,
/// which is given up when time is over.
pub(super) fn in_time<T: Send + 'static>(
    directory: &Path,
    deadline: Duration,
    run: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let path = directory.to_owned();
    thread::Builder::new()
        .name("journal-open".to_owned())
        .spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(run));
            // When nobody waits any more, what was opened just closes again.
            let _ = sender
                .send(result.unwrap_or_else(|panic| Err(unopenable(&path, message(&*panic)))));
        })
        .map_err(|error| disk::error(directory, &error))?;
    receiver.recv_timeout(deadline).unwrap_or_else(|_| {
        let reason = format!("it did not open within {} seconds", deadline.as_secs());
        Err(unopenable(directory, reason))
    })
}

/// New files are durable once their directory is.
fn sync_directories(directory: &Path) -> io::Result<()> {
    for name in [LOG, SETTINGS] {
        File::open(directory.join(name))?.sync_all()?;
    }
    File::open(directory)?.sync_all()?;
    crate::file::sync_folder(directory)
}

/// What a panic said.
pub(super) fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no reason given".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::in_time;

    #[test]
    fn opening_gives_up_when_time_is_over() {
        let (release, hold) = mpsc::channel::<()>();
        let error = in_time(Path::new("dir"), Duration::from_millis(10), move || {
            // Ends when the test does.
            let _ = hold.recv();
            Ok(())
        })
        .unwrap_err()
        .to_string();
        assert!(error.contains("did not open within"), "{error}");
        drop(release);
    }

    #[test]
    fn a_panic_while_opening_is_an_error() {
        let wait = Duration::from_secs(30);
        let error = in_time::<()>(Path::new("dir"), wait, || panic!("on a broken belief"));
        assert!(error.unwrap_err().to_string().contains("on a broken belief"));
    }
}
