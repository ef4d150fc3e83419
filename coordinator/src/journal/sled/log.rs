//! sled's log, read without sled: where it is torn in the middle, and how to get over that.
//!
//! ```text
//! segments of 512 KiB: CRC-32: u32 | log position: i64 | stable position: i64 | messages
//! message: CRC-32: u32 | kind: u8 | length: varint | number of the segment: varint | page: varint | body
//! ```
//!
//! sled takes the first message that fails its checksum for the end of the log (or of its segment)
//! and clears what follows. What follows is sound when a bit has flipped, and then there is
//! something to save.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::open::LOG;

const SEGMENT: usize = 512 << 10;
const SEGMENT_HEADER: usize = 20;
/// No message begins so close to the end of a segment.
const MESSAGE_HEADER: usize = 32;

/// Kinds of messages: of one that is to be passed over, of the last of a segment, and the greatest.
const CANCELED: u8 = 1;
const CAP: u8 = 2;
const LAST_KIND: u8 = 11;

/// What is at a place in a segment.
enum Found {
    /// A whole message of so many bytes.
    Message(usize),
    /// The last one of the segment.
    End,
    /// Nothing that can be read.
    Nothing,
}

/// True when the log holds sound messages behind damaged ones, which sled would clear when it opens
/// it.
pub(super) fn is_torn(directory: &Path) -> io::Result<bool> {
    let file = File::open(directory.join(LOG))?;
    let from = last_snapshot(directory)? / SEGMENT as u64;
    let segments = segments(&file)?;
    if segments.headless > 0 {
        return Ok(true);
    }
    for (number, offset) in segments.by_number.range(from..) {
        let segment = read(&file, *offset)?;
        let torn = first_tear(&segment, *number);
        let Some(torn) = torn else { continue };
        let more = segments.by_number.range(number + 1..).next().is_some();
        // Where the log ends, nothing sound follows.
        if more || next_sound(&segment, torn, *number).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes over damaged messages in a copy of a log, so that sled passes over them; returns how
/// many.
pub(super) fn mend(directory: &Path) -> io::Result<u64> {
    let file = OpenOptions::new().read(true).write(true).open(directory.join(LOG))?;
    let mut mended = 0;
    for (number, offset) in segments(&file)?.headless_by_number {
        file.write_all_at(&header(number), offset)?;
        mended += 1;
    }
    let segments = segments(&file)?;
    for (number, offset) in &segments.by_number {
        let mut segment = read(&file, *offset)?;
        while let Some(torn) = first_tear(&segment, *number) {
            let sound = next_sound(&segment, torn, *number);
            let more = segments.by_number.range(number + 1..).next().is_some();
            let end = match sound {
                Some(sound) => sound,
                None if more => SEGMENT,
                None => break,
            };
            segment.resize(SEGMENT, 0);
            let Some(canceled) = canceled(end - torn, *number) else { break };
            let Some(place) = segment.get_mut(torn..end) else { break };
            place.copy_from_slice(&canceled);
            file.write_all_at(&canceled, offset + torn as u64)?;
            mended += 1;
        }
    }
    file.sync_all()?;
    Ok(mended)
}

/// Where segments are, by their number in the log.
#[derive(Default)]
struct Segments {
    by_number: BTreeMap<u64, u64>,
    /// Those whose header is damaged and whose messages tell their number.
    headless_by_number: BTreeMap<u64, u64>,
    headless: usize,
}

fn segments(file: &File) -> io::Result<Segments> {
    let mut found = Segments::default();
    let length = file.metadata()?.len();
    let mut start = vec![0; 4 << 10];
    for offset in (0..length).step_by(SEGMENT) {
        start.resize(4 << 10, 0);
        let read = read_at(file, &mut start, offset)?;
        start.truncate(read);
        match number(&start) {
            Some(number) => {
                found.by_number.insert(number, offset);
            }
            // sled clears segments that it gives up.
            None if start.iter().all(|it| *it == 0) => {}
            None => {
                let segment = self::read(file, offset)?;
                if let Some(number) = told_number(&segment) {
                    found.headless_by_number.insert(number, offset);
                    found.headless += 1;
                }
            }
        }
    }
    Ok(found)
}

/// The number in the header of a segment, if that is sound.
fn number(segment: &[u8]) -> Option<u64> {
    let (crc, rest) = segment.split_first_chunk::<4>()?;
    let positions = rest.get(..SEGMENT_HEADER - 4)?;
    if crc32fast::hash(positions) != u32::from_le_bytes(*crc) ^ u32::MAX {
        return None;
    }
    let position = i64::from_le_bytes(*positions.first_chunk::<8>()?) ^ i64::MAX;
    Some(u64::try_from(position).ok()? / SEGMENT as u64)
}

/// The number that the first message says its segment has.
fn told_number(segment: &[u8]) -> Option<u64> {
    let (_, number, _) = fields(segment.get(SEGMENT_HEADER..)?)?;
    matches!(message(segment, SEGMENT_HEADER, number), Found::Message(_) | Found::End)
        .then_some(number)
}

fn header(number: u64) -> [u8; SEGMENT_HEADER] {
    let position = i64::try_from(number.saturating_mul(SEGMENT as u64)).unwrap_or(i64::MAX);
    let mut header = [0; SEGMENT_HEADER];
    let (crc, positions) = header.split_at_mut(4);
    let stable = position.saturating_sub(1).max(0);
    positions[..8].copy_from_slice(&(position ^ i64::MAX).to_le_bytes());
    positions[8..].copy_from_slice(&(stable ^ i64::MAX).to_le_bytes());
    crc.copy_from_slice(&(crc32fast::hash(positions) ^ u32::MAX).to_le_bytes());
    header
}

/// Where the first message that cannot be read begins; `None` in a segment that is whole.
fn first_tear(segment: &[u8], number: u64) -> Option<usize> {
    let mut at = SEGMENT_HEADER;
    while at + MESSAGE_HEADER <= SEGMENT {
        match message(segment, at, number) {
            Found::Message(length) => at += length,
            Found::End => return None,
            Found::Nothing => return Some(at),
        }
    }
    None
}

/// Where the next message after `at` is that can be read.
fn next_sound(segment: &[u8], at: usize, number: u64) -> Option<usize> {
    (at + 1..segment.len())
        .find(|at| matches!(message(segment, *at, number), Found::Message(_) | Found::End))
}

fn message(segment: &[u8], at: usize, number: u64) -> Found {
    let Some(message) = segment.get(at..) else { return Found::Nothing };
    let Some((length, told, start)) = fields(message) else { return Found::Nothing };
    let kind = message.get(4).copied().unwrap_or_default();
    if told != number || kind == 0 || kind > LAST_KIND {
        return Found::Nothing;
    }
    let body = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
    let Some(whole) = body.and_then(|end| message.get(..end)) else { return Found::Nothing };
    let crc = message.first_chunk::<4>().map(|crc| u32::from_le_bytes(*crc));
    if crc != Some(checksum(&whole[4..start], &whole[start..])) {
        return Found::Nothing;
    }
    if kind == CAP { Found::End } else { Found::Message(whole.len()) }
}

/// Length of the body, number of the segment, and where the body starts.
fn fields(message: &[u8]) -> Option<(u64, u64, usize)> {
    let rest = message.get(5..)?;
    let (length, rest) = varint(rest)?;
    let (number, rest) = varint(rest)?;
    let (_, rest) = varint(rest)?;
    Some((length, number, message.len() - rest.len()))
}

fn checksum(header: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(body);
    hasher.update(header);
    hasher.finalize() ^ u32::MAX
}

/// A message of so many bytes that says that it is none.
fn canceled(bytes: usize, number: u64) -> Option<Vec<u8>> {
    // The length takes one to four bytes, and itself counts.
    (1..=4).find_map(|digits| {
        let mut message = vec![0, 0, 0, 0, CANCELED];
        let mut rest = Vec::new();
        push_varint(&mut rest, number);
        push_varint(&mut rest, 0);
        let body = bytes.checked_sub(message.len() + digits + rest.len())?;
        push_varint(&mut message, body as u64);
        message.extend_from_slice(&rest);
        let start = message.len();
        (start + body == bytes).then_some(())?;
        message.resize(bytes, 0);
        let crc = checksum(&message[4..start], &message[start..]);
        message[..4].copy_from_slice(&crc.to_le_bytes());
        Some(message)
    })
}

/// sled's own: one byte up to 240, two up to 2,287, three up to 67,823, then a count and bytes.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let byte = |index: usize| rest.get(index).map(|it| u64::from(*it));
    match u64::from(*first) {
        small @ 0..=240 => Some((small, rest)),
        two @ 241..=248 => Some((240 + 256 * (two - 241) + byte(0)?, rest.get(1..)?)),
        249 => Some((2_288 + 256 * byte(0)? + byte(1)?, rest.get(2..)?)),
        more => {
            let count = usize::try_from(more - 247).ok()?;
            let digits = rest.get(..count)?;
            let number = digits.iter().rev().fold(0, |sum, digit| sum << 8 | u64::from(*digit));
            Some((number, rest.get(count..)?))
        }
    }
}

fn push_varint(bytes: &mut Vec<u8>, number: u64) {
    let low = |number: u64| (number % 256) as u8;
    match number {
        0..=240 => bytes.push(low(number)),
        241..=2_287 => bytes.extend([low((number - 240) / 256 + 241), low(number - 240)]),
        2_288..=67_823 => bytes.extend([249, low((number - 2_288) / 256), low(number - 2_288)]),
        _ => {
            let count = (8 - number.leading_zeros() as usize / 8).max(3);
            bytes.push(247 + count as u8);
            bytes.extend_from_slice(&number.to_le_bytes()[..count]);
        }
    }
}

/// The position up to which the newest snapshot holds what the log says.
fn last_snapshot(directory: &Path) -> io::Result<u64> {
    let mut last = 0;
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let position = name.to_str().and_then(|it| it.strip_prefix("snap."));
        if let Some(position) = position.and_then(|it| u64::from_str_radix(it, 16).ok()) {
            last = last.max(position);
        }
    }
    Ok(last)
}

fn read(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let mut segment = vec![0; SEGMENT];
    let read = read_at(file, &mut segment, offset)?;
    segment.truncate(read);
    Ok(segment)
}

/// Fills `bytes` as far as the file goes.
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{
        Found, MESSAGE_HEADER, SEGMENT_HEADER, canceled, header, message, number, push_varint,
        varint,
    };

    #[test]
    fn numbers_come_back() {
        for it in
            [0, 240, 241, 2_287, 2_288, 67_823, 67_824, 1 << 24, u64::from(u32::MAX), u64::MAX]
        {
            let mut bytes = Vec::new();
            push_varint(&mut bytes, it);
            assert_eq!(varint(&bytes), Some((it, &[][..])), "{it}");
        }
    }

    #[test]
    fn headers_and_canceled_messages_are_read_again() {
        assert_eq!(number(&header(7)), Some(7));
        assert_eq!(header(7).len(), SEGMENT_HEADER);
        for bytes in MESSAGE_HEADER..3_000 {
            // A few lengths cannot be had, where the length would take a byte more or less.
            let Some(made) = canceled(bytes, 300) else { continue };
            assert!(matches!(message(&made, 0, 300), Found::Message(length) if length == bytes));
            assert!(matches!(message(&made, 0, 301), Found::Nothing));
        }
    }
}
