//! Backup and restore: every record, with checksums, into one stream.
//!
//! ```text
//! "windlass journal\n" | format: u8 | frames
//! frame: length: u32 | CRC-32: u32 | changes        an empty frame, then the count of changes, ends it
//! change: space: varint | key: bytes | 0, or 1 and value: bytes        bytes: length: varint, bytes
//! ```
//!
//! A backup is taken while commits go on. The stream holds the records as they are read and,
//! between them, every change made since it began: applied in order, they give the journal as it
//! was at the end of the backup, whatever was read when.

use std::io::{Read, Write};
use std::sync::Mutex;

use windlass_proto::id::PartitionId;
use windlass_proto::limits::{self, BACKUP_BEHIND_BYTES};

use super::ordered::Ordered;
use super::record::{self, push_varint, read_varint};
use super::space::{Change, Order, Record, Space};
use super::store::{Store, lock};
use super::{Journal, JournalError, keys};

const MAGIC: &[u8] = b"windlass journal\n";
const FORMAT: u8 = 1;

/// What a backup holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Records read, and changes made meanwhile.
    pub changes: u64,
    /// Records that fail their checksum; they are in the backup as they are.
    pub damaged: u64,
}

/// Changes made since a backup began; `None` while there is none.
#[derive(Debug, Default)]
pub(super) struct Capture(Mutex<Option<Captured>>);

#[derive(Debug, Default)]
struct Captured {
    changes: Vec<u8>,
    count: u64,
    overrun: bool,
}

/// Changes, as they stand in a backup.
#[derive(Debug)]
pub(super) struct Made {
    changes: Vec<u8>,
    count: u64,
}

impl Capture {
    /// What is to be noted once `changes` are made; none while no backup is taken. The caller holds
    /// [`Store::exclusive`] until they are.
    pub(super) fn prepare(&self, changes: &[Change]) -> Option<Made> {
        lock(&self.0).as_ref()?;
        // What is hidden belongs to the store: what follows from the rest is made anew.
        let changes = changes.iter().filter(|it| !it.key.starts_with(keys::HIDDEN));
        let mut made = Made { changes: Vec::new(), count: 0 };
        for change in changes {
            made.count += 1;
            push(&mut made.changes, change.space, &change.key, change.value.as_deref());
        }
        Some(made)
    }

    /// Notes changes that were made. Not before: a record that is read in between would be older
    /// than what the stream holds already, and stand after it.
    pub(super) fn note(&self, made: Made) {
        if let Some(captured) = &mut *lock(&self.0) {
            if captured.changes.len() > BACKUP_BEHIND_BYTES {
                captured.overrun = true;
                captured.changes = Vec::new();
            }
            if !captured.overrun {
                captured.changes.extend_from_slice(&made.changes);
                captured.count += made.count;
            }
        }
    }

    fn take(&self) -> Result<Captured, JournalError> {
        let captured = lock(&self.0).as_mut().map(std::mem::take).unwrap_or_default();
        if captured.overrun {
            return Err(unusable("more was written than the backup could take"));
        }
        Ok(captured)
    }
}

/// Ends the capture however the backup ends.
struct Capturing<'a>(&'a Capture);

impl<'a> Capturing<'a> {
    fn start(capture: &'a Capture) -> Result<Self, JournalError> {
        let mut captured = lock(&capture.0);
        if captured.is_some() {
            return Err(unusable("another backup is being taken"));
        }
        *captured = Some(Captured::default());
        Ok(Self(capture))
    }
}

impl Drop for Capturing<'_> {
    fn drop(&mut self) {
        *lock(&self.0.0) = None;
    }
}

/// Who is told what a backup finds, in order.
trait Scan {
    /// A page of the records of a space, in the order of their keys; an empty one ends it.
    fn page(&mut self, space: Space, page: &[Record]) -> Result<(), JournalError>;

    /// What was written since the last call, after the last page was read or while it was.
    fn meanwhile(&mut self, changes: Vec<u8>) -> Result<(), JournalError>;
}

/// Goes through all records, while commits go on.
fn scan<O: Ordered>(store: &Store<O>, scan: &mut dyn Scan) -> Result<BackupReport, JournalError> {
    let capturing = {
        let _exclusive = store.exclusive();
        Capturing::start(&store.capture)?
    };
    let mut report = BackupReport::default();
    let partitions = (0..store.partitions()).map(|it| Space::Partition(PartitionId(it)));
    for space in std::iter::once(Space::Common).chain(partitions) {
        let mut from = Vec::new();
        loop {
            let page = store.entries(space, &from, &[0xff], Order::Up, limits::BACKUP_PAGE)?;
            for (key, value) in &page {
                report.changes += 1;
                report.damaged += u64::from(record::open(key, value).is_err());
            }
            scan.page(space, &page)?;
            let meanwhile = capturing.0.take()?;
            report.changes += meanwhile.count;
            scan.meanwhile(meanwhile.changes)?;
            let Some((last, _)) = page.into_iter().next_back() else { break };
            from = keys::next(last);
        }
    }
    let last = {
        let _exclusive = store.exclusive();
        let last = capturing.0.take()?;
        drop(capturing);
        last
    };
    report.changes += last.count;
    scan.meanwhile(last.changes)?;
    Ok(report)
}

/// Writes frames.
struct Frames<'a>(&'a mut dyn Write);

impl Scan for Frames<'_> {
    fn page(&mut self, space: Space, page: &[Record]) -> Result<(), JournalError> {
        let mut frame = Vec::new();
        page.iter().for_each(|(key, value)| push(&mut frame, space, key, Some(value)));
        put_frame(self.0, &frame)
    }

    fn meanwhile(&mut self, changes: Vec<u8>) -> Result<(), JournalError> {
        put_frame(self.0, &changes)
    }
}

/// Writes a backup; see [`Journal::backup`].
pub(super) fn backup<O: Ordered>(
    store: &Store<O>,
    writer: &mut dyn Write,
) -> Result<BackupReport, JournalError> {
    writer.write_all(MAGIC).and_then(|()| writer.write_all(&[FORMAT])).map_err(unwritable)?;
    let report = scan(store, &mut Frames(writer))?;
    writer.write_all(&[0; 8]).map_err(unwritable)?;
    writer.write_all(&report.changes.to_le_bytes()).map_err(unwritable)?;
    writer.flush().map_err(unwritable)?;
    Ok(report)
}

/// Who takes the pieces of a journal; see [`Journal::pieces`].
pub type TakePiece<'a> = dyn FnMut(Vec<u8>) -> Result<(), JournalError> + 'a;

/// Cuts a journal into pieces where its keys say so, not where a page happens to end: of two
/// backups, what has not changed is cut in the same way, and is stored once.
struct Pieces<'a> {
    take: &'a mut TakePiece<'a>,
    /// Records that belong into the next piece.
    next: Vec<u8>,
    /// What was written meanwhile to records that were read before: to be applied after them.
    later: Vec<u8>,
    /// Up to which record all were read.
    read: Option<(Space, Vec<u8>)>,
}

impl Pieces<'_> {
    fn cut(&mut self) -> Result<(), JournalError> {
        match self.next.is_empty() {
            true => Ok(()),
            false => (self.take)(std::mem::take(&mut self.next)),
        }
    }

    fn finish(&mut self) -> Result<(), JournalError> {
        self.cut()?;
        let later = std::mem::take(&mut self.later);
        if later.is_empty() { Ok(()) } else { (self.take)(later) }
    }
}

impl Scan for Pieces<'_> {
    fn page(&mut self, space: Space, page: &[Record]) -> Result<(), JournalError> {
        for (key, value) in page {
            push(&mut self.next, space, key, Some(value));
            let ends = crc32fast::hash(key).is_multiple_of(limits::BACKUP_PIECE_RECORDS);
            if ends || self.next.len() >= limits::BACKUP_PIECE_BYTES {
                self.cut()?;
            }
        }
        match page.last() {
            Some((last, _)) => self.read = Some((space, last.clone())),
            None => {
                self.cut()?;
                self.read = Some((space, vec![0xff]));
            }
        }
        Ok(())
    }

    fn meanwhile(&mut self, changes: Vec<u8>) -> Result<(), JournalError> {
        let changes = parse_all(&changes).ok_or_else(|| unusable("a change is malformed"))?;
        for Change { space, key, value } in changes {
            // What was not read yet will be read as it is then.
            let read = |(of, up_to): &(Space, Vec<u8>)| (space, &key) <= (*of, up_to);
            if self.read.as_ref().is_some_and(read) {
                push(&mut self.later, space, &key, value.as_deref());
            }
            if self.later.len() >= limits::BACKUP_PIECE_BYTES {
                self.finish()?;
            }
        }
        Ok(())
    }
}

/// See [`Journal::pieces`].
pub(super) fn pieces<'a, O: Ordered>(
    store: &Store<O>,
    take: &'a mut TakePiece<'a>,
) -> Result<BackupReport, JournalError> {
    let mut pieces = Pieces { take, next: Vec::new(), later: Vec::new(), read: None };
    let report = scan(store, &mut pieces)?;
    pieces.finish()?;
    Ok(report)
}

/// Who gives the pieces of a journal, in order; none at the end.
pub type NextPiece<'a> = dyn FnMut() -> Result<Option<Vec<u8>>, JournalError> + 'a;

/// Applies pieces to an empty store; returns how many changes they hold.
pub(super) fn assemble<O: Ordered>(
    ordered: &O,
    next: &mut NextPiece<'_>,
) -> Result<u64, JournalError> {
    let mut count = 0;
    while let Some(piece) = next()? {
        count += apply(ordered, &piece)?;
    }
    // What is restored has no witness yet.
    let key = keys::WITNESSED.to_vec();
    ordered.write(vec![Change { space: Space::Common, key, value: None }])?;
    Ok(count)
}

/// Makes the changes of a frame or a piece, a bounded number at a time; returns how many.
fn apply<O: Ordered>(ordered: &O, mut rest: &[u8]) -> Result<u64, JournalError> {
    let (mut changes, mut count) = (Vec::new(), 0);
    while !rest.is_empty() {
        let (change, after) = parse(rest).ok_or_else(|| unusable("a change is malformed"))?;
        changes.push(change);
        rest = after;
        count += 1;
        if changes.len() >= limits::RESTORE_CHANGES {
            ordered.write(std::mem::take(&mut changes))?;
        }
    }
    if !changes.is_empty() {
        ordered.write(changes)?;
    }
    Ok(count)
}

/// Applies a backup to an empty store; returns how many changes it holds.
pub(super) fn restore<O: Ordered>(ordered: &O, reader: &mut dyn Read) -> Result<u64, JournalError> {
    let mut start = [0; MAGIC.len() + 1];
    reader.read_exact(&mut start).map_err(cut_short)?;
    match start.split_last() {
        Some((&FORMAT, MAGIC)) => {}
        Some((&found, MAGIC)) => {
            return Err(JournalError::UnknownFormat { found, known: FORMAT });
        }
        _ => return Err(unusable("it is not a backup of a journal")),
    }
    let mut count = 0;
    while let Some(frame) = read_frame(reader)? {
        count += apply(ordered, &frame)?;
    }
    let mut expected = [0; 8];
    reader.read_exact(&mut expected).map_err(cut_short)?;
    // What is restored has no witness yet.
    let key = keys::WITNESSED.to_vec();
    ordered.write(vec![Change { space: Space::Common, key, value: None }])?;
    if u64::from_le_bytes(expected) == count {
        Ok(count)
    } else {
        Err(unusable("changes are missing"))
    }
}

/// Bytes that a change takes there, or a few more.
pub(super) fn size_at_most(change: &Change) -> usize {
    /// Of three numbers, at the longest.
    const NUMBERS: usize = 24;
    NUMBERS + change.key.len() + change.value.as_ref().map_or(0, Vec::len)
}

/// Changes as an entry of a log has them: what is this directory's own is left out.
pub(super) fn batch(changes: &[Change]) -> Vec<u8> {
    let mut batch = Vec::with_capacity(changes.iter().map(size_at_most).sum());
    for Change { space, key, value } in changes {
        if !super::replicated::is_own(*space, key) {
            push(&mut batch, *space, key, value.as_deref());
        }
    }
    batch
}

/// Adds a change to what is stored of many.
pub(super) fn push(bytes: &mut Vec<u8>, space: Space, key: &[u8], value: Option<&[u8]>) {
    push_varint(
        bytes,
        match space {
            Space::Common => 0,
            Space::Partition(partition) => u64::from(partition.0) + 1,
        },
    );
    push_varint(bytes, key.len() as u64);
    bytes.extend_from_slice(key);
    bytes.push(u8::from(value.is_some()));
    if let Some(value) = value {
        push_varint(bytes, value.len() as u64);
        bytes.extend_from_slice(value);
    }
}

fn parse(bytes: &[u8]) -> Option<(Change, &[u8])> {
    let (space, rest) = read_varint(bytes)?;
    let space = match space.checked_sub(1) {
        None => Space::Common,
        Some(number) => Space::Partition(PartitionId(u16::try_from(number).ok()?)),
    };
    let (key, rest) = parse_bytes(rest)?;
    let (value, rest) = match rest.split_first()? {
        (0, rest) => (None, rest),
        (1, rest) => {
            let (value, rest) = parse_bytes(rest)?;
            (Some(value), rest)
        }
        _ => return None,
    };
    Some((Change { space, key, value }, rest))
}

/// All changes of `bytes`, which [`push`] made.
pub(super) fn parse_all(mut bytes: &[u8]) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    while !bytes.is_empty() {
        let (change, rest) = parse(bytes)?;
        changes.push(change);
        bytes = rest;
    }
    Some(changes)
}

fn parse_bytes(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (length, rest) = read_varint(bytes)?;
    let (bytes, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((bytes.to_vec(), rest))
}

fn put_frame(writer: &mut dyn Write, frame: &[u8]) -> Result<(), JournalError> {
    if frame.is_empty() {
        return Ok(());
    }
    let length = u32::try_from(frame.len()).map_err(|_| unusable("a frame is too large"))?;
    let crc = crc32fast::hash(frame);
    writer
        .write_all(&length.to_le_bytes())
        .and_then(|()| writer.write_all(&crc.to_le_bytes()))
        .and_then(|()| writer.write_all(frame))
        .map_err(unwritable)
}

/// The next frame; `None` for the empty one at the end.
fn read_frame(reader: &mut dyn Read) -> Result<Option<Vec<u8>>, JournalError> {
    let (mut length, mut crc) = ([0; 4], [0; 4]);
    reader.read_exact(&mut length).map_err(cut_short)?;
    reader.read_exact(&mut crc).map_err(cut_short)?;
    let length = u32::from_le_bytes(length) as usize;
    if length == 0 {
        return Ok(None);
    }
    if length > limits::BACKUP_FRAME_BYTES {
        return Err(unusable("a frame is too large"));
    }
    let mut frame = Vec::new();
    reader.take(length as u64).read_to_end(&mut frame).map_err(cut_short)?;
    if frame.len() < length {
        return Err(unusable("it is cut short"));
    }
    if crc32fast::hash(&frame) != u32::from_le_bytes(crc) {
        return Err(unusable("a frame fails its checksum"));
    }
    Ok(Some(frame))
}

fn unusable(why: &str) -> JournalError {
    JournalError::Backup(why.to_owned())
}

fn unwritable(error: std::io::Error) -> JournalError {
    JournalError::Backup(format!("it cannot be written: {error}"))
}

fn cut_short(error: std::io::Error) -> JournalError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => unusable("it is cut short"),
        _ => JournalError::Backup(format!("it cannot be read: {error}")),
    }
}
