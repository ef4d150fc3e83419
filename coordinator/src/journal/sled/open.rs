//! Opening: what must be put in order first, and what to do when sled does not come back.

use std::any::Any;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use windlass_proto::limits::{JOURNAL_CACHE_BYTES, JOURNAL_OPEN_MS};

use super::super::JournalError;
use super::Sled;

/// sled's log within the directory.
pub(super) const LOG: &str = "db";
const LOCK: &str = "windlass.lock";

/// How to open a journal.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Partitions of a new journal; one that exists keeps its own number.
    pub partitions: u16,
    /// Bytes of pages kept in memory.
    pub cache_bytes: u64,
    /// How long opening may take.
    pub deadline: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            partitions: 4,
            cache_bytes: JOURNAL_CACHE_BYTES,
            deadline: Duration::from_millis(JOURNAL_OPEN_MS),
        }
    }
}

pub(super) fn open(directory: &Path, options: &Options) -> Result<Sled, JournalError> {
    let unusable =
        |error: io::Error| JournalError::Store(format!("{}: {error}", directory.display()));
    fs::create_dir_all(directory).map_err(unusable)?;
    let lock = lock(directory)?;
    remove_unfinished_snapshots(directory).map_err(unusable)?;
    let unopenable =
        |reason: String| JournalError::Unopenable { path: directory.display().to_string(), reason };
    let db = open_in_time(directory, options).map_err(unopenable)?;
    let log = OpenOptions::new().write(true).open(directory.join(LOG)).map_err(unusable)?;
    sync_directories(directory).map_err(unusable)?;
    Ok(Sled { db, log, _lock: lock })
}

/// Two processes in one directory would destroy it.
fn lock(directory: &Path) -> Result<File, JournalError> {
    let path = directory.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| JournalError::Store(format!("{}: {error}", path.display())))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(JournalError::Locked(directory.display().to_string()))
        }
        Err(error) => Err(JournalError::Store(format!("{}: {error}", path.display()))),
    }
}

/// A process that ends while sled writes a snapshot leaves a file that sled then refuses to open
/// for ever. The snapshot is only a shortcut: the log holds everything.
fn remove_unfinished_snapshots(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!(file = %name, "removing an unfinished snapshot of the journal");
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A damaged log can make sled panic or search without end, so it opens in a thread of its own,
/// which is given up when time is over.
fn open_in_time(directory: &Path, options: &Options) -> Result<::sled::Db, String> {
    let config = ::sled::Config::new()
        .path(directory)
        .cache_capacity(options.cache_bytes)
        .flush_every_ms(None);
    in_time(options.deadline, move || open_when_free(&config))
}

/// A store that was closed in this process lets go of its file a moment later, when its last thread
/// ends. Other processes were kept out by our own lock before, so waiting that moment is safe.
fn open_when_free(config: &::sled::Config) -> Result<::sled::Db, String> {
    const PAUSE: Duration = Duration::from_millis(10);
    const TRIES: usize = 200;
    let mut reason = String::new();
    for _ in 0..TRIES {
        match config.open() {
            Ok(db) => return Ok(db),
            Err(error) => reason = error.to_string(),
        }
        if !reason.contains("could not acquire lock") {
            break;
        }
        thread::sleep(PAUSE);
    }
    Err(reason)
}

fn in_time<T: Send + 'static>(
    deadline: Duration,
    run: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("journal-open".to_owned())
        .spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(run));
            // When nobody waits any more, what was opened just closes again.
            let _ = sender.send(result.unwrap_or_else(|panic| Err(message(&*panic))));
        })
        .map_err(|error| error.to_string())?;
    receiver
        .recv_timeout(deadline)
        .unwrap_or_else(|_| Err(format!("it did not open within {} seconds", deadline.as_secs())))
}

/// New files are durable once their directory is.
fn sync_directories(directory: &Path) -> io::Result<()> {
    for name in [LOG, "conf"] {
        File::open(directory.join(name))?.sync_all()?;
    }
    File::open(directory)?.sync_all()?;
    sync_parent(directory)
}

/// Makes the name of a directory durable.
pub(super) fn sync_parent(directory: &Path) -> io::Result<()> {
    match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
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
    use std::sync::mpsc;
    use std::time::Duration;

    use super::in_time;

    #[test]
    fn opening_gives_up_when_time_is_over() {
        let (release, hold) = mpsc::channel::<()>();
        let error = in_time(Duration::from_millis(10), move || {
            // Ends when the test does.
            let _ = hold.recv();
            Ok(())
        })
        .unwrap_err();
        assert!(error.contains("did not open within"), "{error}");
        drop(release);
    }

    #[test]
    fn a_panic_while_opening_is_an_error() {
        let error = in_time::<()>(Duration::from_secs(30), || panic!("on a broken belief"));
        assert_eq!(error, Err("on a broken belief".to_owned()));
    }
}
