//! The witness: a small file beside the store that says how far the journal had come.
//!
//! sled takes a record that fails its checksum for the end of its log, and drops what follows; only
//! something outside of it can tell. The witness is written after each group of commits is durable,
//! and never before, so that the journal is always there or further. It reaches the disk some
//! milliseconds later: the end of the process loses nothing of it, the end of the machine that
//! much.
//!
//! ```text
//! two slots of the same size: "windlass" | length: u32 | CRC-32: u32 | body
//! body: sequence: varint | slots of the ring: varint | tally        the slot of the greater sequence counts
//! ```
//!
//! What was synced last is not touched before the other slot is synced, so one of them is whole.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use windlass_proto::limits::{self, WITNESS_SYNC_MS};

use super::super::record::{push_varint, read_varint};
use super::super::store::{JournalPosition, Tally, lock};

/// Its name in the directory.
pub const FILE: &str = "journal.witness";

/// Its name while it is being made.
const UNFINISHED: &str = "journal.witness.new";

const MAGIC: &[u8; 8] = b"windlass";
/// Bytes before the body of a slot.
const HEADER: usize = 16;
/// Slots are whole pages: a page is written in one go.
const PAGE: usize = 4 << 10;
/// Bytes of one partition's part of a body, at most.
const SUM_BYTES: usize = 40;
/// What the file says.
pub(super) fn read(directory: &Path) -> io::Result<Option<JournalPosition>> {
    use std::io::Read as _;
    let file = match File::open(directory.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(limits::WITNESS_BYTES).read_to_end(&mut bytes)?;
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let newest = [first, second].into_iter().filter_map(parse).max_by_key(|(number, _)| *number);
    newest
        .map(|(_, position)| Some(position))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "both of its halves are damaged"))
}

fn parse(slot: &[u8]) -> Option<(u64, JournalPosition)> {
    let rest = slot.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let body = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (sequence, rest) = read_varint(body)?;
    let (slots, rest) = read_varint(rest)?;
    Some((sequence, JournalPosition { tally: Tally::decode(rest)?, slots }))
}

/// The file, being kept up.
pub(super) struct Witness {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    newest: Mutex<Newest>,
    changed: Condvar,
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Newest {
    position: Option<JournalPosition>,
    /// Whether that has not been synced.
    dirty: bool,
    closing: bool,
}

struct Slots {
    file: File,
    size: usize,
    /// The half that is written now; the other one was synced last.
    half: usize,
    sequence: u64,
    failed: bool,
}

impl Witness {
    /// Starts to keep the file of a journal that stands at `position`; it is durable then.
    pub(super) fn start(directory: &Path, position: &JournalPosition) -> io::Result<Self> {
        let path = directory.join(FILE);
        let partitions = position.tally.encode().len();
        let size = (HEADER + partitions.max(SUM_BYTES) * 4).next_multiple_of(PAGE);
        let known = read(directory).ok().flatten().is_some();
        let fits = known && path.metadata()?.len() == 2 * size as u64;
        // One that is made anew has another name until it is whole.
        let unfinished = directory.join(UNFINISHED);
        let file = OpenOptions::new()
            .create(!fits)
            .truncate(!fits)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(if fits { &path } else { &unfinished })?;
        let mut slots = Slots { file, size, half: 0, sequence: 0, failed: false };
        if fits {
            slots.find_newest()?;
        } else {
            // So that no later write of it needs room.
            slots.file.write_all_at(&vec![0; 2 * size], 0)?;
        }
        slots.put(position)?;
        slots.sync()?;
        if !fits {
            std::fs::rename(&unfinished, &path)?;
        }
        File::open(directory)?.sync_all()?;
        let shared = Arc::new(Shared {
            newest: Mutex::default(),
            changed: Condvar::new(),
            slots: Mutex::new(slots),
        });
        let thread = thread::Builder::new().name("witness".to_owned()).spawn({
            let shared = shared.clone();
            move || shared.keep_synced()
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Takes note. What it says must be durable.
    pub(super) fn write(&self, position: &JournalPosition) {
        let was_dirty = {
            let mut newest = lock(&self.shared.newest);
            newest.position = Some(position.clone());
            std::mem::replace(&mut newest.dirty, true)
        };
        if !was_dirty {
            self.shared.changed.notify_one();
        }
        // While it is being synced, who syncs it writes what is new afterwards.
        if let Ok(mut slots) = self.shared.slots.try_lock() {
            slots.put_or_log(position);
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        lock(&self.shared.newest).closing = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the journal's witness panicked");
        }
    }
}

impl Shared {
    fn keep_synced(&self) {
        let pause = Duration::from_millis(WITNESS_SYNC_MS);
        loop {
            let mut newest = lock(&self.newest);
            while !newest.dirty && !newest.closing {
                newest = self.changed.wait(newest).unwrap_or_else(PoisonError::into_inner);
            }
            if !newest.closing {
                newest = self
                    .changed
                    .wait_timeout_while(newest, pause, |newest| !newest.closing)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
            let (closing, position) = (newest.closing, newest.position.clone());
            newest.dirty = false;
            drop(newest);
            if let Some(position) = position {
                self.sync(&position);
            }
            if closing {
                return;
            }
        }
    }

    fn sync(&self, position: &JournalPosition) {
        let mut slots = lock(&self.slots);
        slots.put_or_log(position);
        match slots.sync() {
            Err(error) => slots.log_failure(&error),
            Ok(()) => slots.failed = false,
        }
        // What came meanwhile found the file busy.
        let newest = lock(&self.newest).position.clone();
        if let Some(newest) = newest.filter(|it| it != position) {
            slots.put_or_log(&newest);
        }
    }
}

impl Slots {
    /// Goes on from what is there: the newest half is kept until the other one is synced.
    fn find_newest(&mut self) -> io::Result<()> {
        let mut bytes = vec![0; self.size];
        for half in 0..2 {
            self.file.read_exact_at(&mut bytes, (half * self.size) as u64)?;
            if let Some((sequence, _)) = parse(&bytes)
                && sequence >= self.sequence
            {
                self.sequence = sequence;
                self.half = 1 - half;
            }
        }
        Ok(())
    }

    fn put(&mut self, position: &JournalPosition) -> io::Result<()> {
        self.sequence += 1;
        let mut body = Vec::with_capacity(256);
        push_varint(&mut body, self.sequence);
        push_varint(&mut body, position.slots);
        body.extend_from_slice(&position.tally.encode());
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let mut slot = Vec::with_capacity(HEADER + body.len());
        slot.extend_from_slice(MAGIC);
        slot.extend_from_slice(&length.to_le_bytes());
        slot.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        slot.extend_from_slice(&body);
        self.file.write_all_at(&slot, (self.half * self.size) as u64)
    }

    fn put_or_log(&mut self, position: &JournalPosition) {
        if let Err(error) = self.put(position) {
            self.log_failure(&error);
        }
    }

    /// What was written is whole on disk: it stays until what comes next is.
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.half = 1 - self.half;
        Ok(())
    }

    /// Commits go on without a witness; once is enough to say so.
    fn log_failure(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.failed, true) {
            tracing::error!(%error, "the journal's witness cannot be written: damage to the \
                journal might not be noticed");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::{FILE, JournalPosition, Witness, read};

    fn position(slots: u64) -> JournalPosition {
        JournalPosition { slots, ..JournalPosition::default() }
    }

    #[test]
    fn it_says_what_was_written_last() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
        for round in 0..3 {
            let witness = Witness::start(folder.path(), &position(round * 100)).unwrap();
            for slots in 1..50 {
                witness.write(&position(round * 100 + slots));
            }
            drop(witness);
            assert_eq!(read(folder.path()).unwrap(), Some(position(round * 100 + 49)));
        }
    }

    #[test]
    fn one_half_that_is_damaged_leaves_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let witness = Witness::start(folder.path(), &position(1)).unwrap();
        witness.write(&position(2));
        drop(witness);
        let file = std::fs::OpenOptions::new().write(true).open(folder.path().join(FILE)).unwrap();
        let half = file.metadata().unwrap().len() / 2;
        let sound = std::fs::read(folder.path().join(FILE)).unwrap();
        for at in [0, half] {
            file.write_all_at(&sound, 0).unwrap();
            file.write_all_at(&[0xff], at + 17).unwrap();
            let found = read(folder.path()).unwrap().unwrap();
            assert!(found == position(1) || found == position(2), "{found:?}");
        }
        file.write_all_at(&[0xff], 17).unwrap();
        read(folder.path()).unwrap_err();
    }
}
