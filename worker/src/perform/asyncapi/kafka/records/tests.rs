#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{Batches, Record, crc32c};
use crate::perform::asyncapi::kafka::wire::Writer;

/// A batch with records of these values from `first` on, packed by `codec`.
fn batch(first: i64, values: &[&[u8]], codec: i16) -> Bytes {
    let mut records = Writer::default();
    for (at, value) in values.iter().enumerate() {
        let mut record = Writer::default();
        record.octet(0).varint(0).varint(at as i64).varbytes(None).varbytes(Some(value)).varint(0);
        records.varbytes(Some(&record.0));
    }
    framed(first, values.len() as i32, codec, &packed(codec, &records.0))
}

fn packed(codec: i16, plain: &[u8]) -> Vec<u8> {
    match codec & 7 {
        1 => {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packer.write_all(plain).unwrap();
            packer.finish().unwrap()
        }
        2 => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
        3 => {
            let mut packer = lz4_flex::frame::FrameEncoder::new(Vec::new());
            packer.write_all(plain).unwrap();
            packer.finish().unwrap()
        }
        4 => zstd::encode_all(plain, 3).unwrap(),
        _ => plain.to_vec(),
    }
}

fn framed(first: i64, count: i32, attributes: i16, records: &[u8]) -> Bytes {
    let mut checked = Writer::default();
    checked.short(attributes).int(count - 1).long(0).long(0).long(-1).short(-1).int(-1);
    checked.int(count).0.put_slice(records);
    let mut batch = Writer::default();
    batch.long(first).count(checked.0.len() + 9).int(-1).octet(2);
    batch.0.put_u32(crc32c(&checked.0));
    batch.0.put_slice(&checked.0);
    batch.0.freeze()
}

/// All that is read from `position` on, and where that ends.
fn read(position: i64, bytes: Bytes) -> Result<(Vec<String>, i64), String> {
    let mut batches = Batches::new(3, position, bytes);
    let mut all = Vec::new();
    while let Some(incoming) = batches.next()? {
        all.push(String::from_utf8_lossy(&incoming.payload).into_owned());
    }
    Ok((all, batches.position))
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let record = Record {
        key: Some(b"k"),
        value: Some(b"{}"),
        headers: vec![("a", "1"), ("kafka-offset", "9")],
        time: 7,
    };
    let mut batches = Batches::new(3, 0, record.batch());
    let incoming = batches.next().unwrap().unwrap();
    assert_eq!(&incoming.payload[..], b"{}");
    let expected =
        [("a", "1"), ("kafka-key", "k"), ("kafka-partition", "3"), ("kafka-offset", "0")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(incoming.headers, expected);
    assert!(batches.next().unwrap().is_none() && batches.position == 1 && !batches.is_stuck());
}

#[test]
fn batches_are_unpacked_and_read_from_where_they_are_wanted() {
    for codec in 0..=4 {
        let both = [batch(5, &[b"a", b"b"], codec), batch(7, &[b"c"], codec)].concat();
        let all = vec!["b".to_owned(), "c".to_owned()];
        assert_eq!(read(6, both.into()), Ok((all, 8)), "{codec}");
    }
    // As Java's library frames snappy.
    let plain = batch(0, &[b"a"], 0);
    let block = packed(2, &plain[61..]);
    let mut framed_block = BytesMut::from(&b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"[..]);
    framed_block.put_u32(block.len() as u32);
    framed_block.put_slice(&block);
    assert_eq!(read(0, framed(0, 1, 2, &framed_block)), Ok((vec!["a".to_owned()], 1)));
}

#[test]
fn what_is_no_message_is_passed_over() {
    // The end of a transaction, and a batch that is cut off.
    let control = batch(0, &[b"end"], 0x20);
    let whole = batch(1, &[b"a"], 0);
    let cut = whole.slice(..whole.len() - 1);
    let all = [&control[..], &whole, &cut].concat();
    assert_eq!(read(0, all.into()), Ok((vec!["a".to_owned()], 2)));
    let mut stuck = Batches::new(0, 1, cut);
    assert!(stuck.next().unwrap().is_none() && stuck.is_stuck());
}

#[test]
fn what_is_no_batch_is_an_error() {
    let good = batch(0, &[b"a"], 0);
    let changed = |at: usize, to: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = to;
        read(0, bytes.into())
    };
    assert!(changed(60, 7).unwrap_err().contains("checksum"));
    assert!(changed(16, 1).unwrap_err().contains("before Kafka 0.11"));
    assert!(changed(8, 0xff).is_err());
    for (codec, packed) in
        [(1, &b"x"[..]), (2, b"\xff\xff\xff\xff\x0f"), (3, b"x"), (4, b"x"), (5, b"x")]
    {
        assert!(read(0, framed(0, 1, codec, packed)).is_err(), "{codec}");
    }
    // It says more records than it has, and a record that is longer than the batch.
    assert!(read(0, framed(0, 9, 0, &good[61..])).is_err());
    assert!(read(0, framed(0, 1, 0, b"\xfe\xff\xff\x0f")).is_err());
}

#[test]
fn a_small_batch_cannot_become_a_large_one() {
    let zeros = vec![0; windlass_proto::limits::KAFKA_BATCH_BYTES + 1];
    for codec in 1..=4 {
        let why = read(0, framed(0, 1, codec, &packed(codec, &zeros))).unwrap_err();
        assert!(why.contains("is larger than"), "{codec}: {why}");
    }
}
