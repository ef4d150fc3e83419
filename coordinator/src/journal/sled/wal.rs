//! The write-ahead log: a file of blocks that are written in advance and overwritten in turn.
//!
//! To overwrite blocks that were written before is what a disk makes durable fastest: the file
//! system has nothing of its own to write with them. Each group of commits is one frame, synced
//! once; sled gets what many of them leave, later ([`super::checkpoint`]).
//!
//! ```text
//! block of 4 KiB: "windlass" | format: u32 | identity: u64 | bytes of a half: u64 | CRC-32: u32
//! two halves of frames, each from a block's start
//! frame: "frame" | kind: u8 | length: u32 | CRC-32: u32 | sequence: u64 | changes, as in a backup
//! ```
//!
//! A frame's checksum covers the identity of the log too, so that data which looks like one is
//! none. Frames are numbered without gaps and each is durable before the next is written: only the
//! last one can be torn, so a frame missing before others is damage. What cannot be told from a
//! torn one, the damaged last, is what the witness is for.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rustix::fs::OFlags;
use windlass_proto::limits::JOURNAL_WAL_HALF_BYTES;
use windlass_proto::metric::Histogram;

use super::super::backup;
use super::super::replicated::is_followed;
use super::super::space::Change;

/// Its name in the directory.
pub const FILE: &str = "journal.wal";

/// Its name while it is being made.
const UNFINISHED: &str = "journal.wal.new";

const MAGIC: &[u8; 8] = b"windlass";
const FORMAT: u32 = 1;

/// What begins a frame, and the kind of its body: changes.
const FRAME: &[u8; 6] = b"frame\x01";
/// Bytes before a frame's changes.
const HEADER: usize = 22;

/// What is written in one go by the disk; also what writing past the page cache asks for.
const BLOCK: usize = 4 << 10;
const HALF: usize = JOURNAL_WAL_HALF_BYTES;
/// Bytes of the file.
pub(super) const BYTES: usize = BLOCK + 2 * HALF;

/// Which log goes with a store, and the last of its frames that the store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) identity: u64,
    pub(super) sequence: u64,
}

impl Mark {
    pub(super) fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.identity.to_le_bytes());
        bytes[8..].copy_from_slice(&self.sequence.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (identity, rest) = bytes.split_first_chunk::<8>()?;
        let sequence = <[u8; 8]>::try_from(rest).ok()?;
        let number = u64::from_le_bytes;
        Some(Self { identity: number(*identity), sequence: number(sequence) })
    }
}

/// What is in a log, seen from a store.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Changes that the store does not have, oldest first.
    pub(super) changes: Vec<Change>,
    /// What of them is of the last frame that went to a log of others as well, where that is to be
    /// told apart.
    pub(super) held: Option<Vec<Change>>,
    /// The last frame of which the store and these changes have everything.
    pub(super) sequence: u64,
    /// Whether the file can be gone on with.
    pub(super) usable: bool,
    /// What is wrong with it.
    pub(super) damage: Option<String>,
}

impl Found {
    fn damaged(sequence: u64, damage: impl Into<String>) -> Self {
        Self { sequence, damage: Some(damage.into()), ..Self::default() }
    }
}

/// Reads the log of a store with this mark; one that has none never had a log. With `hold`, the
/// last frame that went to a log of others as well is told apart.
pub(super) fn read(directory: &Path, mark: Option<Mark>, hold: bool) -> io::Result<Found> {
    let bytes = match fs::read(directory.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        bytes => Some(bytes?),
    };
    let known = bytes.as_deref().map(identity);
    let sequence = mark.map_or(0, |it| it.sequence);
    Ok(match (mark, bytes, known) {
        (None, Some(bytes), Some(Ok(identity))) if !frames(&bytes, identity).is_empty() => {
            Found::damaged(
                0,
                "belongs to another journal, or the store, db, is damaged: it knows of no log",
            )
        }
        // It was being made when the process ended.
        (None, _, _) => Found::default(),
        (Some(mark), Some(bytes), Some(Ok(identity))) if identity == mark.identity => {
            let found = after(frames(&bytes, identity), sequence, hold);
            // What is there of it counts.
            match bytes.len() == BYTES {
                true => found,
                false => Found { usable: false, damage: Some("is cut off".to_owned()), ..found },
            }
        }
        (Some(_), Some(_), Some(Ok(_))) => Found::damaged(sequence, "belongs to another journal"),
        (Some(_), Some(_), Some(Err(why))) => Found::damaged(sequence, why),
        (Some(_), _, _) => Found::damaged(sequence, "is gone"),
    })
}

/// What the frames after `sequence` say, up to the first that is missing.
fn after(frames: BTreeMap<u64, Vec<Change>>, mut sequence: u64, hold: bool) -> Found {
    let last = frames.keys().next_back().copied().unwrap_or_default();
    let (mut changes, mut held) = (Vec::new(), None);
    for (number, of_frame) in frames {
        if number == sequence + 1 {
            if hold && of_frame.iter().any(is_followed) {
                // One that is followed by another is known to be there.
                changes.extend(held.replace(of_frame).unwrap_or_default());
            } else {
                changes.extend(of_frame);
            }
            sequence = number;
        }
    }
    let damage = (last > sequence).then(|| {
        format!("is damaged: write {} is missing, and {last} was the last one", sequence + 1)
    });
    Found { changes, held, sequence, usable: damage.is_none(), damage }
}

/// The identity in the first block.
fn identity(bytes: &[u8]) -> Result<u64, &'static str> {
    let parsed = || {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (format, rest) = rest.split_first_chunk::<4>()?;
        let (identity, rest) = rest.split_first_chunk::<8>()?;
        let (half, rest) = rest.split_first_chunk::<8>()?;
        let (crc, _) = rest.split_first_chunk::<4>()?;
        let sound = crc32fast::hash(bytes.get(..28)?) == u32::from_le_bytes(*crc);
        let known = (u32::from_le_bytes(*format), u64::from_le_bytes(*half));
        sound.then_some((known, u64::from_le_bytes(*identity)))
    };
    match parsed() {
        Some(((FORMAT, half), identity)) if half == HALF as u64 => Ok(identity),
        Some(_) => Err("is of another version of windlass"),
        None => Err("is damaged: its first block cannot be read"),
    }
}

fn first_block(identity: u64) -> Vec<u8> {
    let mut block = Vec::with_capacity(BLOCK);
    block.extend_from_slice(MAGIC);
    block.extend_from_slice(&FORMAT.to_le_bytes());
    block.extend_from_slice(&identity.to_le_bytes());
    block.extend_from_slice(&(HALF as u64).to_le_bytes());
    let crc = crc32fast::hash(&block);
    block.extend_from_slice(&crc.to_le_bytes());
    block.resize(BLOCK, 0);
    block
}

/// All frames that are whole, by number.
fn frames(bytes: &[u8], identity: u64) -> BTreeMap<u64, Vec<Change>> {
    let mut found = BTreeMap::new();
    for half in 0..2 {
        let mut at = BLOCK + half * HALF;
        let end = bytes.len().min(at + HALF);
        while let Some(rest) = bytes.get(at..end).filter(|it| it.len() >= HEADER) {
            match frame(rest, identity) {
                Some((sequence, changes, length)) => {
                    found.insert(sequence, changes);
                    at += length;
                }
                None => at += BLOCK,
            }
        }
    }
    found
}

/// The frame at the start of `bytes`: its number, its changes, and the blocks it takes.
fn frame(bytes: &[u8], identity: u64) -> Option<(u64, Vec<Change>, usize)> {
    let rest = bytes.strip_prefix(FRAME)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let covered = rest.get(..length.checked_add(8)?)?;
    if checksum(identity, covered) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (sequence, body) = covered.split_first_chunk::<8>()?;
    let changes = backup::parse_all(body)?;
    let blocks = (HEADER + length).next_multiple_of(BLOCK);
    Some((u64::from_le_bytes(*sequence), changes, blocks))
}

fn checksum(identity: u64, covered: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&identity.to_le_bytes());
    // A length of its own: what is covered ends where the frame says it does.
    hasher.update(&(covered.len() as u64).to_le_bytes());
    hasher.update(covered);
    hasher.finalize()
}

/// Makes an empty log in the place of any that is there; durable with its name.
pub(super) fn make(directory: &Path, identity: u64) -> io::Result<()> {
    let unfinished = directory.join(UNFINISHED);
    let file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
    // Blocks that are only reserved cost as much as new ones when they are first written.
    file.write_all_at(&vec![0; BYTES], 0)?;
    file.write_all_at(&first_block(identity), 0)?;
    file.sync_all()?;
    fs::rename(&unfinished, directory.join(FILE))?;
    File::open(directory)?.sync_all()
}

/// A log that is written to.
pub(super) struct Wal {
    file: File,
    mark: Mark,
    /// The half that is written now, and how much of it is.
    half: usize,
    used: usize,
    block: Block,
    /// How long writing and syncing takes.
    synced: Arc<Histogram>,
}

/// Bytes that begin where the system can hand them to the disk as they are.
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    start: usize,
}

impl Block {
    /// Room for so many bytes, whatever they are.
    fn of(&mut self, length: usize) -> &mut [u8] {
        if self.bytes.len() < length + BLOCK {
            self.bytes = vec![0; length + BLOCK];
            // Where that cannot be told, writing past the cache fails and the cache takes it.
            self.start = self.bytes.as_ptr().align_offset(BLOCK).min(BLOCK);
        }
        let Self { bytes, start } = self;
        bytes.get_mut(*start..*start + length).unwrap_or_default()
    }
}

impl Wal {
    /// Goes on with a log all of whose frames are in the store.
    pub(super) fn open(directory: &Path, mark: Mark, synced: Arc<Histogram>) -> io::Result<Self> {
        let file = open_direct(&directory.join(FILE), mark.identity)?;
        Ok(Self { file, mark, half: 0, used: 0, block: Block::default(), synced })
    }

    /// The last frame.
    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// Counts a group that does not go through the log, as the store has it already.
    pub(super) fn skip(&mut self) -> Mark {
        self.mark.sequence += 1;
        self.mark
    }

    /// The mark that a skipped group will have.
    pub(super) fn next_mark(&self) -> Mark {
        Mark { sequence: self.mark.sequence + 1, ..self.mark }
    }

    /// Whether the half that is written now has room for a body of so many bytes.
    pub(super) fn has_room(&self, length: usize) -> bool {
        self.used + (HEADER + length).next_multiple_of(BLOCK) <= HALF
    }

    /// Begins to overwrite the other half, all of whose frames must be in the store.
    pub(super) fn turn(&mut self) {
        self.half = 1 - self.half;
        self.used = 0;
    }

    /// Writes a frame and makes it durable. There must be room for it.
    pub(super) fn append(&mut self, body: &[u8]) -> io::Result<()> {
        let size = (HEADER + body.len()).next_multiple_of(BLOCK);
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let sequence = self.mark.sequence + 1;
        let blocks = self.block.of(size);
        blocks.fill(0);
        let mut rest = &mut *blocks;
        let mut put = |bytes: &[u8]| {
            let (here, after) = std::mem::take(&mut rest).split_at_mut(bytes.len());
            here.copy_from_slice(bytes);
            rest = after;
        };
        put(FRAME);
        put(&length.to_le_bytes());
        put(&[0; 4]);
        put(&sequence.to_le_bytes());
        put(body);
        let crc = checksum(self.mark.identity, &blocks[14..HEADER + body.len()]);
        blocks[10..14].copy_from_slice(&crc.to_le_bytes());
        let at = (BLOCK + self.half * HALF + self.used) as u64;
        let began = Instant::now();
        self.file.write_all_at(blocks, at)?;
        self.file.sync_data()?;
        self.synced.time(began.elapsed());
        self.used += size;
        self.mark.sequence = sequence;
        Ok(())
    }
}

/// Past the page cache where the file system can: it would write, or at least count, larger pieces
/// than were changed.
fn open_direct(path: &Path, identity: u64) -> io::Result<File> {
    let direct = i32::try_from(OFlags::DIRECT.bits()).unwrap_or_default();
    let tried = OpenOptions::new().write(true).custom_flags(direct).open(path).and_then(|file| {
        let mut block = Block::default();
        let blocks = block.of(BLOCK);
        blocks.copy_from_slice(&first_block(identity));
        file.write_all_at(blocks, 0).map(|()| file)
    });
    tried.or_else(|_| OpenOptions::new().write(true).open(path))
}
