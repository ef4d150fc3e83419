//! The words of Kafka: what requests are written of, and answers are read as. Each request has one
//! version, the last without tagged fields that brokers from 0.11 to 4.x take. The library there is
//! makes room for as many elements as an answer says that it has, before it has any of them.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use windlass_proto::limits;

/// What is read, or why it is nothing that a broker says.
pub(super) type Read<T> = Result<T, &'static str>;

const SHORT: &str = "its answer ends too early";

/// A request, its number among requests, and its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Api(pub(super) i16, pub(super) i16);

pub(super) const PRODUCE: Api = Api(0, 3);
pub(super) const FETCH: Api = Api(1, 4);
pub(super) const LIST_OFFSETS: Api = Api(2, 1);
pub(super) const METADATA: Api = Api(3, 4);
pub(super) const OFFSET_COMMIT: Api = Api(8, 2);
pub(super) const OFFSET_FETCH: Api = Api(9, 1);
pub(super) const FIND_COORDINATOR: Api = Api(10, 1);
pub(super) const JOIN_GROUP: Api = Api(11, 2);
pub(super) const HEARTBEAT: Api = Api(12, 0);
pub(super) const LEAVE_GROUP: Api = Api(13, 0);
pub(super) const SYNC_GROUP: Api = Api(14, 0);
pub(super) const SASL_HANDSHAKE: Api = Api(17, 1);
pub(super) const SASL_AUTHENTICATE: Api = Api(36, 0);

/// Writes the parts of a request, one after the other.
#[derive(Default)]
pub(super) struct Writer(pub(super) BytesMut);

impl Writer {
    pub(super) fn octet(&mut self, value: i8) -> &mut Self {
        self.0.put_i8(value);
        self
    }

    pub(super) fn short(&mut self, value: i16) -> &mut Self {
        self.0.put_i16(value);
        self
    }

    pub(super) fn int(&mut self, value: i32) -> &mut Self {
        self.0.put_i32(value);
        self
    }

    pub(super) fn long(&mut self, value: i64) -> &mut Self {
        self.0.put_i64(value);
        self
    }

    /// A text; names that are longer than it can be are refused before.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        let length = i16::try_from(text.len()).unwrap_or(i16::MAX);
        self.0.put_i16(length);
        let bytes = text.as_bytes();
        self.0.put_slice(bytes.get(..length.unsigned_abs().into()).unwrap_or(bytes));
        self
    }

    /// How many elements follow, or bytes.
    pub(super) fn count(&mut self, count: usize) -> &mut Self {
        self.int(i32::try_from(count).unwrap_or(i32::MAX))
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len());
        self.0.put_slice(bytes);
        self
    }

    /// Each of `all`, after their number.
    pub(super) fn each<T>(
        &mut self,
        all: impl ExactSizeIterator<Item = T>,
        mut write: impl for<'a> FnMut(&'a mut Self, T) -> &'a mut Self,
    ) -> &mut Self {
        self.count(all.len());
        for one in all {
            write(self, one);
        }
        self
    }

    /// Partitions of one topic, as many requests have them.
    pub(super) fn of_topic<T>(
        &mut self,
        topic: &str,
        all: impl ExactSizeIterator<Item = T>,
        write: impl for<'a> FnMut(&'a mut Self, T) -> &'a mut Self,
    ) -> &mut Self {
        self.count(1).text(topic).each(all, write)
    }

    /// A number of one to ten bytes, small ones first, whatever their sign.
    pub(super) fn varint(&mut self, value: i64) -> &mut Self {
        let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
        while rest >= 0x80 {
            self.0.put_u8(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        self.0.put_u8(rest.to_le_bytes()[0]);
        self
    }

    /// Bytes after their number as a [`Self::varint`], -1 of none.
    pub(super) fn varbytes(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        let length = bytes.map_or(-1, |it| i64::try_from(it.len()).unwrap_or(i64::MAX));
        self.varint(length);
        self.0.put_slice(bytes.unwrap_or_default());
        self
    }
}

/// Reads the parts of an answer, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Reader(pub(super) Bytes);

impl Reader {
    pub(super) fn take(&mut self, length: usize) -> Read<Bytes> {
        if self.0.len() < length {
            return Err(SHORT);
        }
        Ok(self.0.split_to(length))
    }

    pub(super) fn octet(&mut self) -> Read<i8> {
        self.0.try_get_i8().map_err(|_| SHORT)
    }

    pub(super) fn short(&mut self) -> Read<i16> {
        self.0.try_get_i16().map_err(|_| SHORT)
    }

    pub(super) fn int(&mut self) -> Read<i32> {
        self.0.try_get_i32().map_err(|_| SHORT)
    }

    pub(super) fn long(&mut self) -> Read<i64> {
        self.0.try_get_i64().map_err(|_| SHORT)
    }

    /// A text; empty of none.
    pub(super) fn text(&mut self) -> Read<String> {
        let length = usize::try_from(self.short()?).unwrap_or(0);
        Ok(String::from_utf8_lossy(&self.take(length)?).into_owned())
    }

    /// Bytes; empty of none.
    pub(super) fn bytes(&mut self) -> Read<Bytes> {
        let length = usize::try_from(self.int()?).unwrap_or(0);
        self.take(length)
    }

    /// How many elements follow. No room is made for them.
    pub(super) fn count(&mut self) -> Read<usize> {
        Ok(usize::try_from(self.int()?).unwrap_or(0))
    }

    /// Elements after their number, each of which has bytes.
    pub(super) fn each<T>(&mut self, mut read: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let (mut all, count) = (Vec::new(), self.count()?);
        if count > limits::KAFKA_ELEMENTS {
            return Err("its answer has more elements than are taken");
        }
        for _ in 0..count {
            all.push(read(self)?);
        }
        Ok(all)
    }

    /// Partitions of topics, of which there is one.
    pub(super) fn of_topic<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Read<T>,
    ) -> Read<Vec<T>> {
        let topics = self.each(|it| {
            it.text()?;
            it.each(&mut read)
        })?;
        Ok(topics.into_iter().flatten().collect())
    }

    pub(super) fn varint(&mut self) -> Read<i64> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let octet = self.0.try_get_u8().map_err(|_| SHORT)?;
            value |= u64::from(octet & 0x7f) << shift;
            if octet < 0x80 {
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        Err("it sends a number that does not end")
    }

    /// Bytes after their number as a varint; none of -1.
    pub(super) fn varbytes(&mut self) -> Read<Option<Bytes>> {
        match usize::try_from(self.varint()?) {
            Ok(length) => self.take(length).map(Some),
            Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;

    use super::{Reader, Writer};

    #[test]
    fn numbers_of_some_bytes_are_read_as_they_were_written() {
        for value in [0, -1, 1, 63, -64, 64, 300, i64::from(i32::MIN), i64::MAX, i64::MIN] {
            let mut writer = Writer::default();
            writer.varint(value);
            let mut reader = Reader(writer.0.freeze());
            assert_eq!((reader.varint(), reader.0.len()), (Ok(value), 0));
        }
        assert!(Reader(Bytes::from(vec![0xff; 11])).varint().is_err());
    }

    #[test]
    fn an_answer_that_says_more_than_it_has_is_none() {
        let mut writer = Writer::default();
        writer.int(i32::MAX).short(7);
        let bytes = writer.0.freeze();
        assert!(Reader(bytes.clone()).bytes().is_err());
        assert!(Reader(bytes.clone()).each(Reader::short).is_err());
        assert!(Reader(bytes).of_topic(Reader::int).is_err());
        assert!(Reader(Bytes::from_static(b"\x7f\xffab")).text().is_err());
    }
}
