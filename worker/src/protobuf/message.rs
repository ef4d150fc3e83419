//! Messages from data and to data, by the JSON mapping of Protocol Buffers.
//!
//! 64-bit integers are strings in what is given, and both forms are taken; fields without a value
//! that have no presence are left out, as the mapping has it.

use std::io;

use bytes::Bytes;
use prost_reflect::prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde::Serialize as _;
use windlass_proto::limits;
use windlass_proto::value::Value;

use super::mismatch::Mismatch;
use super::write::{Written, look};
use super::{read, reason};

/// The bytes of the message that `value` stands for.
///
/// # Errors
/// Why it stands for none.
pub(crate) fn encode(kind: &MessageDescriptor, value: &Value) -> Result<Vec<u8>, Mismatch> {
    read::message(kind, value, 0).map(|it| it.encode_to_vec())
}

/// What a message stands for.
pub(crate) struct Decoded {
    pub(crate) value: Value,
    /// The fields of bytes in it, which `value` has in base64.
    pub(crate) raw: Vec<Bytes>,
}

/// The data that the bytes of a message stand for, of which the JSON takes its bytes from `left`.
///
/// # Errors
/// Why it cannot be told.
pub(crate) fn decode(
    kind: MessageDescriptor,
    bytes: &[u8],
    left: &mut usize,
) -> Result<Decoded, Mismatch> {
    let wrong = |error: &dyn std::error::Error| Mismatch::new(error.to_string());
    let message = DynamicMessage::decode(kind, bytes).map_err(|error| wrong(&error))?;
    let mut raw = Vec::new();
    look(&message, 0, &mut raw)?;
    let mut out = Bounded { written: Vec::new(), left };
    let mut to = serde_json::Serializer::new(&mut out);
    Written(&message).serialize(&mut to).map_err(|error| Mismatch::new(reason(&error)))?;
    let value = Value::from_json_bytes(&out.written).map_err(|error| wrong(&error))?;
    Ok(Decoded { value, raw })
}

/// Takes as much as is left of what an output may have.
struct Bounded<'l> {
    written: Vec<u8>,
    left: &'l mut usize,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(bytes.len()) else {
            let most = limits::PAYLOAD_BYTES >> 20;
            return Err(io::Error::other(format!("it has more than {most} MiB as JSON")));
        };
        *self.left = left;
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
