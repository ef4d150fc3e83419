//! Records of Kafka, in batches of its version 2: one that is written, and those that are read, one
//! by one, so that a small batch that is much when it is unpacked takes no room but its own.

use std::io::Read as _;

use bytes::{BufMut as _, Bytes, BytesMut};
use windlass_proto::limits;

use super::wire::{Read, Reader, Writer};
use crate::perform::asyncapi::message::Incoming;

/// Headers of messages that come, by which workflows tell records; of others by the same name
/// nothing is told.
pub(super) const KEY: &str = "kafka-key";
const PARTITION: &str = "kafka-partition";
const OFFSET: &str = "kafka-offset";

/// A record that is written.
pub(super) struct Record<'a> {
    pub(super) key: Option<&'a [u8]>,
    /// None is what compaction takes for a deletion.
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Vec<(&'a str, &'a str)>,
    /// Milliseconds since the epoch.
    pub(super) time: i64,
}

impl Record<'_> {
    /// A batch with this record alone.
    pub(super) fn batch(&self) -> Bytes {
        let mut record = Writer::default();
        // Attributes, and what time and offset are beyond those of the batch.
        record.octet(0).varint(0).varint(0).varbytes(self.key).varbytes(self.value);
        record.varint(i64::try_from(self.headers.len()).unwrap_or(i64::MAX));
        for (name, value) in &self.headers {
            record.varbytes(Some(name.as_bytes())).varbytes(Some(value.as_bytes()));
        }
        let mut checked = Writer::default();
        // Attributes, the last offset beyond the first, times, and no producer that is known.
        checked.short(0).int(0).long(self.time).long(self.time).long(-1).short(-1).int(-1);
        checked.int(1).varbytes(Some(&record.0));
        let mut batch = Writer::default();
        // All that follows the length: an epoch, a version and a checksum as well.
        batch.long(0).count(checked.0.len() + 9).int(-1).octet(2);
        batch.0.put_u32(crc32c(&checked.0));
        batch.0.put_slice(&checked.0);
        batch.0.freeze()
    }
}

/// Batches of one partition as a broker gave them, from an offset on.
#[derive(Debug)]
pub(super) struct Batches {
    pub(super) partition: i32,
    /// The offset that they were asked for from.
    from: i64,
    /// That of the next record that is wanted.
    pub(super) position: i64,
    rest: Reader,
    batch: Option<Batch>,
}

#[derive(Debug)]
struct Batch {
    records: Reader,
    left: i32,
    first: i64,
    last: i64,
}

impl Batches {
    pub(super) fn new(partition: i32, position: i64, bytes: Bytes) -> Self {
        Self { partition, from: position, position, rest: Reader(bytes), batch: None }
    }

    /// True where nothing of it was what is wanted.
    pub(super) fn is_stuck(&self) -> bool {
        self.position == self.from
    }

    /// The next record; none when all are read.
    ///
    /// # Errors
    /// Says what a broker sends that is no record, or one that is too large.
    pub(super) fn next(&mut self) -> Result<Option<Incoming>, String> {
        loop {
            if self.batch.is_none() {
                let begun = self.begin()?;
                if !begun {
                    return Ok(None);
                }
            }
            let Some(batch) = self.batch.take_if(|it| it.left <= 0) else {
                if let Some(incoming) = self.record()? {
                    return Ok(Some(incoming));
                }
                continue;
            };
            // Compaction may have taken the last ones.
            self.position = self.position.max(batch.last.saturating_add(1));
        }
    }

    /// Reads the head of the next batch; false where there is no whole one.
    fn begin(&mut self) -> Result<bool, String> {
        let mut head = self.rest.clone();
        let (Ok(first), Ok(length)) = (head.long(), head.int()) else { return Ok(false) };
        let length = usize::try_from(length).map_err(|_| "it sends a batch of no length")?;
        // The last one may be cut off.
        let Ok(bytes) = head.take(length) else { return Ok(false) };
        // The offset and the length stand before what it counts.
        self.rest.take(8 + 4 + length)?;
        let mut bytes = Reader(bytes);
        bytes.int()?;
        if bytes.octet()? != 2 {
            let why = "its messages are of a format from before Kafka 0.11, which is not supported";
            return Err(why.to_owned());
        }
        let sum = bytes.int()?.cast_unsigned();
        if crc32c(&bytes.0) != sum {
            return Err("it sends a batch whose checksum is wrong".to_owned());
        }
        let attributes = bytes.short()?;
        let last = i64::from(bytes.int()?).checked_add(first);
        let last = last.filter(|it| *it >= first && first >= 0);
        let last = last.ok_or("it sends a batch of no offsets")?;
        // Times, and what a producer is known by.
        bytes.take(8 + 8 + 8 + 2 + 4)?;
        let count = bytes.int()?;
        // Those that end transactions are no messages.
        let is_control = attributes & 0x20 != 0;
        let left = if is_control || last < self.position { 0 } else { count };
        let records = if left > 0 { unpacked(attributes & 7, bytes.0)? } else { Bytes::new() };
        self.batch = Some(Batch { records: Reader(records), left, first, last });
        Ok(true)
    }

    /// Reads a record; none of one before those that are wanted.
    fn record(&mut self) -> Result<Option<Incoming>, String> {
        let Some(batch) = &mut self.batch else { return Ok(None) };
        batch.left -= 1;
        let bytes = batch.records.varbytes()?.ok_or("it sends a record of no length")?;
        let most = limits::SUBSCRIBED_MESSAGE_BYTES;
        if bytes.len() > most {
            return Err(format!("a message is larger than {most} bytes"));
        }
        let mut record = Reader(bytes);
        record.octet()?;
        record.varint()?;
        let offset = record.varint()?.checked_add(batch.first);
        let offset = offset.filter(|it| *it <= batch.last && *it >= batch.first);
        let offset = offset.ok_or("it sends a record that is not of its batch")?;
        if offset < self.position {
            return Ok(None);
        }
        self.position = offset.saturating_add(1);
        Ok(Some(incoming(record, self.partition, offset)?))
    }
}

/// The key, the value and the headers of a record.
fn incoming(mut record: Reader, partition: i32, offset: i64) -> Read<Incoming> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let key = record.varbytes()?;
    let payload = record.varbytes()?.unwrap_or_default();
    let mut incoming = Incoming { payload, ..Incoming::default() };
    let count = usize::try_from(record.varint()?).unwrap_or(0);
    if count > limits::KAFKA_HEADERS {
        return Err("a message has more headers than are taken");
    }
    for _ in 0..count {
        let name = text(&record.varbytes()?.unwrap_or_default());
        let value = text(&record.varbytes()?.unwrap_or_default());
        if ![KEY, PARTITION, OFFSET].contains(&name.as_str()) {
            incoming.add_header(&name, &value);
        }
    }
    if let Some(key) = key {
        incoming.headers.push((KEY.to_owned(), text(&key)));
    }
    incoming.headers.push((PARTITION.to_owned(), partition.to_string()));
    incoming.headers.push((OFFSET.to_owned(), offset.to_string()));
    Ok(incoming)
}

/// The records of a batch as they were before it was packed.
fn unpacked(codec: i16, bytes: Bytes) -> Result<Bytes, String> {
    let packed = &bytes[..];
    match codec {
        0 => Ok(bytes),
        1 => within(flate2::read::MultiGzDecoder::new(packed)),
        2 => snappy(packed),
        3 => within(lz4_flex::frame::FrameDecoder::new(packed)),
        4 => {
            let made = zstd::stream::read::Decoder::with_buffer(packed).and_then(|mut it| {
                it.window_log_max(limits::KAFKA_WINDOW_LOG)?;
                Ok(it)
            });
            within(made.map_err(unreadable)?)
        }
        other => Err(format!("a batch is packed by codec {other}, which is not known")),
    }
}

fn unreadable(error: impl std::fmt::Display) -> String {
    format!("a batch cannot be unpacked: {error}")
}

fn too_large() -> String {
    format!("a batch is larger than {} bytes when it is unpacked", limits::KAFKA_BATCH_BYTES)
}

/// All that `from` gives, if it is not too much.
fn within(from: impl std::io::Read) -> Result<Bytes, String> {
    let most = limits::KAFKA_BATCH_BYTES;
    let mut unpacked = Vec::new();
    from.take(most as u64 + 1).read_to_end(&mut unpacked).map_err(unreadable)?;
    if unpacked.len() > most {
        return Err(too_large());
    }
    Ok(unpacked.into())
}

/// Blocks as Java's library frames them, or one block.
fn snappy(packed: &[u8]) -> Result<Bytes, String> {
    let block = |bytes: &[u8], before: usize| {
        let length = snap::raw::decompress_len(bytes).map_err(unreadable)?;
        if before.saturating_add(length) > limits::KAFKA_BATCH_BYTES {
            return Err(too_large());
        }
        snap::raw::Decoder::new().decompress_vec(bytes).map_err(unreadable)
    };
    let Some(framed) = packed.strip_prefix(b"\x82SNAPPY\0") else {
        return block(packed, 0).map(Bytes::from);
    };
    let mut framed = Reader(Bytes::copy_from_slice(framed));
    // Its version, and the oldest that reads it.
    framed.take(8)?;
    let mut unpacked = BytesMut::new();
    while !framed.0.is_empty() {
        let bytes = framed.bytes()?;
        unpacked.put_slice(&block(&bytes, unpacked.len())?);
    }
    Ok(unpacked.freeze())
}

/// CRC-32C, by Castagnoli's polynomial.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum: u32, octet| {
        let at = sum.to_le_bytes()[0] ^ octet;
        CRC_TABLE[usize::from(at)] ^ sum >> 8
    })
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    let mut octet: u32 = 0;
    while at < 256 {
        let mut sum = octet;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
            bit += 1;
        }
        table[at] = sum;
        at += 1;
        octet += 1;
    }
    table
};

#[cfg(test)]
mod tests;
