//! A part of a message that is read by itself: MessagePack inside a bin.
//!
//! What a function takes and gives is the author's and can be anything, or nothing that can be
//! read. Packed, it spoils only itself: the message around it says which delivery it belongs to, so
//! that the delivery can be answered.

use std::fmt;

use serde::de::{DeserializeOwned, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::message::{MessageError, decode, encode};

/// The MessagePack of a `T`, or something else in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed(Content);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Content {
    /// The field was not there.
    #[default]
    Missing,
    /// Not bytes at all.
    Other,
    Bytes(Vec<u8>),
}

impl Packed {
    /// Writes a value.
    ///
    /// # Errors
    /// Never for the types of this crate; the encoder's signature allows it.
    pub fn of(value: &impl Serialize) -> Result<Self, MessageError> {
        encode(value).map(|bytes| Self(Content::Bytes(bytes)))
    }

    /// These bytes, whatever they are.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(Content::Bytes(bytes))
    }

    /// Reads the value.
    ///
    /// # Errors
    /// When there are no bytes, or they are not the MessagePack of a `T` and nothing else.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, MessageError> {
        match &self.0 {
            Content::Bytes(bytes) => decode(bytes),
            Content::Missing => Err(MessageError::new("it is missing")),
            Content::Other => Err(MessageError::new("it is not packed: a bin has to hold it")),
        }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Content::Bytes(bytes) => bytes.len(),
            Content::Missing | Content::Other => 0,
        }
    }

    /// True when there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Content::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Content::Missing | Content::Other => serializer.serialize_unit(),
        }
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PackedVisitor)
    }
}

/// Takes anything, so that nothing in this place spoils the message.
struct PackedVisitor;

impl PackedVisitor {
    const OTHER: Packed = Packed(Content::Other);
}

impl<'de> Visitor<'de> for PackedVisitor {
    type Value = Packed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, it: &[u8]) -> Result<Packed, E> {
        Ok(Packed::from_bytes(it.to_vec()))
    }

    fn visit_unit<E>(self) -> Result<Packed, E> {
        Ok(Self::OTHER)
    }

    fn visit_none<E>(self) -> Result<Packed, E> {
        Ok(Self::OTHER)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Packed, E> {
        Ok(Self::OTHER)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Packed, E> {
        Ok(Self::OTHER)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Packed, E> {
        Ok(Self::OTHER)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Packed, E> {
        Ok(Self::OTHER)
    }

    fn visit_str<E>(self, _: &str) -> Result<Packed, E> {
        Ok(Self::OTHER)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, it: D) -> Result<Packed, D::Error> {
        IgnoredAny::deserialize(it).map(|_| Self::OTHER)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Packed, A::Error> {
        while all.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::OTHER)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Packed, A::Error> {
        while all.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::OTHER)
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::Packed;
    use crate::value::Value;
    use crate::wire::message::{decode, encode};

    #[derive(Debug, Serialize, Deserialize)]
    struct Envelope<T> {
        before: u8,
        content: T,
        after: u8,
    }

    /// What is read around `content`, and why that itself is not.
    fn around(content: impl Serialize) -> (u8, u8, String) {
        let bytes = encode(&Envelope { before: 1, content, after: 2 }).unwrap();
        let read: Envelope<Packed> = decode(&bytes).unwrap();
        let why = read.content.read::<String>().unwrap_err().to_string();
        (read.before, read.after, why)
    }

    #[test]
    fn what_is_packed_is_read_back() {
        let packed = Packed::of(&"text").unwrap();
        let bytes = encode(&Envelope { before: 1, content: packed, after: 2 }).unwrap();
        let read: Envelope<Packed> = decode(&bytes).unwrap();
        assert_eq!(read.content.read::<String>().unwrap(), "text");
    }

    #[test]
    fn nothing_in_its_place_spoils_what_is_around_it() {
        for other in ["null", "true", "7", "-7.5", "\"text\"", "[1, [null]]", r#"{"a": {"b": 1}}"#]
        {
            let (before, after, why) = around(Value::from_json(other).unwrap());
            assert_eq!((before, after), (1, 2), "{other}");
            assert!(why.contains("not packed"), "{why}");
        }
        // An extension type.
        let bytes = b"\x83\xa6before\x01\xa7content\xd4\x05\x00\xa5after\x02";
        let read: Envelope<Packed> = decode(bytes).unwrap();
        assert_eq!((read.before, read.after), (1, 2));
        for bytes in [&b"\xc1"[..], b"\xa4ab", b"\xa2\xff\xfe", b"", b"\xa1a\xa1b"] {
            let (before, after, why) = around(Packed::from_bytes(bytes.to_vec()));
            assert_eq!((before, after), (1, 2), "{why}");
        }
    }

    #[test]
    fn a_missing_one_is_told_from_the_others() {
        assert!(Packed::default().read::<u8>().unwrap_err().to_string().contains("missing"));
    }
}
