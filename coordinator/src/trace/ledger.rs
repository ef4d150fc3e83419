//! Which spans a collector has taken, so that after a crash those that it has not are told again
//! and the others are not.
//!
//! Two files in turn in the data directory; each begins with the time since which it knows, and has
//! the ids of spans after it. They are written to the page cache only: a process that is killed
//! loses nothing, and a machine that is loses a few seconds, which are then told twice.
//!
//! ```text
//! number of the file: u64 | since, in milliseconds: u64 | id of a span: u64 | …
//! ```

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::trace::SpanId;
use windlass_telemetry::{Acknowledged, Sampler};

use super::lives::{Life, Lives};
use crate::clock;

/// Keeps which spans a collector has taken.
#[derive(Debug)]
pub(crate) struct Ledger {
    directory: PathBuf,
    /// None once it could not be written.
    open: Mutex<Option<Open>>,
    /// None once the process has ended.
    lives: Mutex<Option<Lives>>,
}

/// The file that is written to.
#[derive(Debug)]
struct Open {
    file: File,
    number: u64,
    ids: usize,
    /// The latest end of a span that was taken.
    latest: Timestamp,
}

/// What earlier processes have told, of which not all of what they recorded may have been taken.
#[derive(Debug)]
pub(crate) struct Told {
    /// These processes; whatever ended before they began was told, or is given up.
    pub(crate) lives: Vec<Life>,
    /// What was told that ended later.
    pub(crate) spans: HashSet<u64>,
}

impl Ledger {
    /// Goes on with what is in the directory; and what that says. `now` is when this process began,
    /// which records what `sampler` takes.
    ///
    /// # Errors
    /// When the files cannot be read or made.
    pub(crate) fn open(
        directory: &Path,
        now: Timestamp,
        sampler: Sampler,
    ) -> io::Result<(Self, Told)> {
        let mut found: Vec<_> = [0, 1]
            .iter()
            .filter_map(|slot| read(&path(directory, *slot)).transpose())
            .collect::<io::Result<_>>()?;
        found.sort_by_key(|it| it.number);
        let since = found.first().map_or(now, |it| it.since);
        let spans = found.iter().flat_map(|it| it.ids.iter().copied()).collect();
        let open = match found.last() {
            None => begin(directory, 1, now)?,
            Some(last) => {
                let path = path(directory, last.number);
                let file = OpenOptions::new().append(true).open(&path)?;
                // A part of an id at the end would shift all after it.
                file.set_len(((2 + last.ids.len()) * size_of::<u64>()) as u64)?;
                Open { file, number: last.number, ids: last.ids.len(), latest: now }
            }
        };
        let (own, mut lives) = Lives::begin(directory, now, sampler)?;
        lives.iter_mut().for_each(|it| it.began = it.began.max(since));
        lives.retain(|it| it.ended.is_none_or(|ended| it.began < ended));
        let (open, own) = (Mutex::new(Some(open)), Mutex::new(Some(own)));
        let ledger = Self { directory: directory.to_owned(), open, lives: own };
        Ok((ledger, Told { lives, spans }))
    }
}

impl Acknowledged for Ledger {
    fn acknowledged(&self, spans: &[(SpanId, Timestamp)]) {
        let mut slot = self.open.lock().unwrap_or_else(|it| it.into_inner());
        let Some(mut open) = slot.take() else { return };
        match open.add(&self.directory, spans) {
            Ok(()) => *slot = Some(open),
            Err(error) => {
                let directory = self.directory.display();
                tracing::warn!(%directory, %error, "spans may be told twice after a crash");
            }
        }
    }

    fn ended(&self, owed: Option<Timestamp>) {
        let lives = self.lives.lock().unwrap_or_else(|it| it.into_inner()).take();
        let ended = lives.map_or(Ok(()), |it| it.end(clock::steady(), owed));
        if let Err(error) = ended {
            let directory = self.directory.display();
            tracing::warn!(%directory, %error, "spans may be told twice after the next start");
        }
    }
}

/// Where nothing is recorded: what is in the directory is of earlier processes.
pub(super) fn off(directory: &Path, now: Timestamp) {
    if let Err(error) = Lives::off(directory, now) {
        let directory = directory.display();
        tracing::warn!(%directory, %error, "spans of now may be told later, as if recorded");
    }
}

impl Open {
    fn add(&mut self, directory: &Path, spans: &[(SpanId, Timestamp)]) -> io::Result<()> {
        let bytes: Vec<u8> = spans.iter().flat_map(|(id, _)| id.number().to_be_bytes()).collect();
        self.file.write_all(&bytes)?;
        self.ids += spans.len();
        self.latest = spans.iter().map(|(_, end)| *end).fold(self.latest, Timestamp::max);
        if self.ids >= limits::TOLD_IDS {
            let since = Timestamp(self.latest.0.saturating_sub(limits::TOLD_LATE_MS));
            *self = Self { latest: self.latest, ..begin(directory, self.number + 1, since)? };
        }
        Ok(())
    }
}

/// What a file says.
struct Found {
    number: u64,
    since: Timestamp,
    ids: Vec<u64>,
}

fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("traces-{}.told", number % 2))
}

fn begin(directory: &Path, number: u64, since: Timestamp) -> io::Result<Open> {
    let path = path(directory, number);
    // Whoever reads it in this moment finds no header, and the other file.
    drop(File::create(&path)?);
    let mut file = OpenOptions::new().append(true).open(&path)?;
    let header = [number.to_be_bytes(), since.0.to_be_bytes()].concat();
    file.write_all(&header)?;
    Ok(Open { file, number, ids: 0, latest: since })
}

/// None where there is no file, or none with a header.
fn read(path: &Path) -> io::Result<Option<Found>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut numbers = bytes.chunks_exact(size_of::<u64>()).filter_map(|it| it.try_into().ok());
    let mut next = || numbers.next().map(u64::from_be_bytes);
    let (Some(number), Some(since)) = (next(), next()) else { return Ok(None) };
    let ids = std::iter::from_fn(next).collect();
    Ok(Some(Found { number, since: Timestamp(since), ids }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use windlass_proto::limits;
    use windlass_proto::time::Timestamp;
    use windlass_proto::trace::SpanId;
    use windlass_telemetry::{Acknowledged as _, Sampler};

    use super::{Ledger, Told};

    const BEGIN: Timestamp = Timestamp(1_000_000);

    fn spans(ids: std::ops::Range<u64>) -> Vec<(SpanId, Timestamp)> {
        ids.map(|id| (SpanId::new(id), BEGIN.plus(id))).collect()
    }

    fn open(folder: &tempfile::TempDir, at: Timestamp) -> (Ledger, Told) {
        Ledger::open(folder.path(), at, Sampler::default()).unwrap()
    }

    /// Since when the process that crashed last was to tell.
    fn since(told: &Told) -> Option<Timestamp> {
        told.lives.first().map(|it| it.began)
    }

    #[test]
    fn what_was_taken_is_known_after_a_crash_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, told) = open(&folder, BEGIN);
        assert_eq!((since(&told), told.spans.len()), (None, 0));
        ledger.acknowledged(&spans(1..4));
        drop(ledger);
        // The process ended while it wrote an id.
        let path = folder.path().join("traces-1.told");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend([1, 2, 3]);
        std::fs::write(&path, bytes).unwrap();
        let (ledger, told) = open(&folder, BEGIN.plus(9));
        assert_eq!(since(&told), Some(BEGIN));
        assert_eq!(told.spans, [1, 2, 3].into());
        ledger.acknowledged(&spans(7..8));
        let (ledger, told) = open(&folder, BEGIN.plus(10));
        assert_eq!(told.spans, [1, 2, 3, 7].into());
        assert_eq!(told.lives.len(), 2);
        ledger.ended(None);
        let (_, told) = open(&folder, BEGIN.plus(20));
        assert_eq!(told.lives, [], "an end in order");
    }

    #[test]
    fn two_files_hold_the_latest_however_many_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _) = open(&folder, BEGIN);
        let many = limits::TOLD_IDS as u64;
        for round in 0..4 {
            ledger.acknowledged(&spans(1 + round * many..1 + (round + 1) * many));
        }
        ledger.acknowledged(&spans(5 * many..5 * many + 1));
        let later = BEGIN.plus(10 * many);
        let (_, told) = open(&folder, later);
        assert_eq!(told.spans.len() as u64, many + 1, "the last file, and the one before");
        assert!(told.spans.contains(&(4 * many)) && !told.spans.contains(&many));
        // Whatever the file before them knew ended before this, or is told twice.
        assert_eq!(since(&told), Some(Timestamp(BEGIN.0 + 3 * many - limits::TOLD_LATE_MS)));
    }
}
