//! How a record is written: format, length, checksum, body.
//!
//! ```text
//! format: u8 | length of the whole body: varint | CRC-32: u32 | body, or its first part
//! ```
//!
//! The checksum also covers the key, so that a record found under another's key is not believed.
//! A body over [`PART_BYTES`] goes on in parts, each a record of its own. What is behind the
//! checksum is packed (an LZ4 block) in format 2, and as it is in format 1, which is all that
//! versions before the packing read and wrote.

use std::borrow::Cow;

use lz4_flex::block;

use super::space::{Change, Space};
use super::{JournalError, keys};

/// The newest format that this version writes and reads.
pub(super) const FORMAT: u8 = PACKED;

const PLAIN: u8 = 1;
const PACKED: u8 = 2;

/// Bytes of a body below which packing it gains too little to look.
const PACK_LEAST: usize = 128;

/// Packing must save one byte in so many, or readers unpack for nothing.
const PACK_GAIN: usize = 8;

/// Bytes of a body kept in one record. The store writes what it deems too large for its log to
/// files that it never syncs, and it judges whole tree nodes, of up to 20 records: 20 of these
/// stay below its limit of 128 KiB.
pub(super) const PART_BYTES: usize = 6 << 10;

/// Adds the record with this body under `key`, in parts when it is large. The body comes in pieces:
/// a large one is not put together only to be cut up again.
pub(super) fn put(changes: &mut Vec<Change>, space: Space, key: Vec<u8>, body: &[&[u8]]) {
    let length = size(body);
    if length <= PART_BYTES {
        let value = seal(&key, length, body);
        changes.push(Change { space, key, value: Some(value) });
        return;
    }
    changes.reserve(1 + parts(length));
    let mut rest = Rest { pieces: body, used: 0 };
    let value = seal(&key, length, &rest.part());
    for number in (0_u32..).take(parts(length)) {
        let key = keys::part(&key, number);
        let part = rest.part();
        let value = seal(&key, size(&part), &part);
        changes.push(Change { space, key, value: Some(value) });
    }
    changes.push(Change { space, key, value: Some(value) });
}

/// Bytes of a body in pieces.
pub(super) fn size(pieces: &[&[u8]]) -> usize {
    pieces.iter().map(|it| it.len()).sum()
}

/// What is left of a body that is cut into parts.
struct Rest<'a> {
    pieces: &'a [&'a [u8]],
    /// Bytes of the first piece that were taken.
    used: usize,
}

impl<'a> Rest<'a> {
    /// The next part, in pieces.
    fn part(&mut self) -> Vec<&'a [u8]> {
        let (mut part, mut room) = (Vec::with_capacity(2), PART_BYTES);
        while let Some((first, rest)) = self.pieces.split_first().filter(|_| room > 0) {
            let left = first.get(self.used..).unwrap_or_default();
            let (taken, after) = left.split_at(left.len().min(room));
            part.push(taken);
            room -= taken.len();
            self.used += taken.len();
            if after.is_empty() {
                (self.pieces, self.used) = (rest, 0);
            }
        }
        part
    }
}

/// How many parts follow the first one of a body of `length` bytes.
pub(super) fn parts(length: usize) -> usize {
    length.saturating_sub(PART_BYTES).div_ceil(PART_BYTES)
}

/// A record's first part, checked.
#[derive(Clone, Debug)]
pub(super) struct Opened<'a> {
    /// Bytes of the whole body.
    pub(super) length: usize,
    /// The body, or its first part.
    pub(super) first: Cow<'a, [u8]>,
}

impl Opened<'_> {
    /// How many parts follow elsewhere.
    pub(super) fn parts(&self) -> usize {
        parts(self.length)
    }
}

/// Checks the value under `key`.
///
/// # Errors
/// When it is damaged or of a newer format.
pub(super) fn open<'a>(key: &[u8], value: &'a [u8]) -> Result<Opened<'a>, JournalError> {
    let Some((&format, rest)) = value.split_first() else {
        return Err(damaged(key, "is empty"));
    };
    if format == 0 || format > FORMAT {
        return Err(JournalError::UnknownFormat { found: format, known: FORMAT });
    }
    let header = read_varint(rest).and_then(|(length, rest)| {
        let (crc, body) = rest.split_first_chunk::<4>()?;
        Some((usize::try_from(length).ok()?, u32::from_le_bytes(*crc), body))
    });
    let Some((length, crc, stored)) = header else {
        return Err(damaged(key, "is cut short"));
    };
    if checksum(key, length, &[stored]) != crc {
        return Err(damaged(key, "fails its checksum"));
    }
    let size = length.min(PART_BYTES);
    let first = match format {
        PLAIN => Cow::Borrowed(stored),
        _ => Cow::Owned(
            block::decompress(stored, size).map_err(|_| damaged(key, "cannot be unpacked"))?,
        ),
    };
    if first.len() != size {
        return Err(damaged(key, "has the wrong length"));
    }
    Ok(Opened { length, first })
}

fn seal(key: &[u8], length: usize, body: &[&[u8]]) -> Vec<u8> {
    match pack(body) {
        Some(packed) => seal_as(PACKED, key, length, &[&packed]),
        None => seal_as(PLAIN, key, length, body),
    }
}

/// A body, packed, where that makes it smaller.
fn pack(body: &[&[u8]]) -> Option<Vec<u8>> {
    let size = size(body);
    if size < PACK_LEAST {
        return None;
    }
    let packed = match body {
        [one] => block::compress(one),
        pieces => block::compress(&pieces.concat()),
    };
    (packed.len() + size / PACK_GAIN <= size).then_some(packed)
}

fn seal_as(format: u8, key: &[u8], length: usize, body: &[&[u8]]) -> Vec<u8> {
    let mut value = Vec::with_capacity(16 + size(body));
    value.push(format);
    push_varint(&mut value, length as u64);
    value.extend_from_slice(&checksum(key, length, body).to_le_bytes());
    body.iter().for_each(|it| value.extend_from_slice(it));
    value
}

fn checksum(key: &[u8], length: usize, body: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&(length as u64).to_le_bytes());
    hasher.update(key);
    body.iter().for_each(|it| hasher.update(it));
    hasher.finalize()
}

pub(super) fn damaged(key: &[u8], what: &str) -> JournalError {
    JournalError::Damaged(format!("the record under {} {what}", keys::display(key)))
}

/// Seven bits a byte, lowest first.
pub(super) fn push_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

pub(super) fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f).checked_shl(u32::try_from(index * 7).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::{
        FORMAT, JournalError, PACKED, PART_BYTES, PLAIN, Space, checksum, open, push_varint, put,
        read_varint, seal_as,
    };

    fn sealed(body: &[u8]) -> Vec<u8> {
        let mut changes = Vec::new();
        put(&mut changes, Space::Common, b"key".to_vec(), &[body]);
        changes.pop().unwrap().value.unwrap()
    }

    #[test]
    fn every_flipped_bit_of_a_record_is_noticed() {
        for (body, format) in
            [(&b"some facts of an instance"[..], PLAIN), (&b"some facts ".repeat(40), PACKED)]
        {
            every_flip_is_noticed(body, format);
        }
    }

    fn every_flip_is_noticed(body: &[u8], format: u8) {
        let value = sealed(body);
        assert_eq!((value[0], &*open(b"key", &value).unwrap().first), (format, body));
        for index in 0..value.len() {
            for bit in 0..8 {
                let mut wrong = value.clone();
                wrong[index] ^= 1 << bit;
                assert!(open(b"key", &wrong).is_err(), "bit {bit} of byte {index}");
            }
        }
        for length in 0..value.len() {
            assert!(open(b"key", &value[..length]).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn what_repeats_itself_is_packed_and_what_does_not_stays_as_it_is() {
        let facts: Vec<u8> =
            (0..20_u8).flat_map(|it| [b"step, output, hello", &[it][..]].concat()).collect();
        let value = sealed(&facts);
        assert!(value[0] == PACKED && value.len() < facts.len() / 3, "{} bytes", value.len());
        let chance: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(5_000).collect();
        let value = sealed(&chance);
        assert_eq!((value[0], &*open(b"key", &value).unwrap().first), (PLAIN, &*chance));
    }

    #[test]
    fn records_of_the_format_before_are_read() {
        let body = b"some facts ".repeat(40);
        let mut before = vec![1, 0xb8, 0x03];
        before.extend(checksum(b"key", body.len(), &[&body]).to_le_bytes());
        before.extend(&body);
        let opened = open(b"key", &before).unwrap();
        assert_eq!((opened.length, &*opened.first), (440, &*body));
    }

    #[test]
    fn a_packed_body_of_another_length_is_damaged() {
        let packed = lz4_flex::block::compress(&[7; 300]);
        for length in [299, 301, 7_000] {
            let value = seal_as(PACKED, b"key", length, &[&packed]);
            assert!(matches!(open(b"key", &value), Err(JournalError::Damaged(_))), "{length}");
        }
    }

    #[test]
    fn a_record_under_another_key_is_refused() {
        assert!(matches!(open(b"kez", &sealed(b"body")), Err(JournalError::Damaged(_))));
    }

    #[test]
    fn a_newer_format_is_named_not_guessed() {
        let mut value = sealed(b"body");
        value[0] = FORMAT + 1;
        let error = open(b"key", &value).unwrap_err();
        assert!(
            matches!(error, JournalError::UnknownFormat { found, known: FORMAT } if found == FORMAT + 1)
        );
    }

    #[test]
    fn a_large_body_goes_on_in_parts() {
        let mut changes = Vec::new();
        put(&mut changes, Space::Common, b"key".to_vec(), &[b"count", &vec![7; 3 * PART_BYTES]]);
        assert_eq!(changes.len(), 4);
        let first = changes.pop().unwrap();
        let opened = open(&first.key, first.value.as_deref().unwrap()).unwrap();
        assert_eq!((opened.length, opened.parts()), (3 * PART_BYTES + 5, 3));
        for part in changes {
            let value = part.value.unwrap();
            assert_eq!(open(&part.key, &value).unwrap().parts(), 0);
        }
    }

    #[test]
    fn varints_come_back() {
        for number in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            push_varint(&mut bytes, number);
            assert_eq!(read_varint(&bytes), Some((number, &[][..])));
        }
        assert_eq!(read_varint(&[0x80; 11]), None);
    }
}
