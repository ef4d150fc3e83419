//! Messages from data and to data, by the JSON mapping of Protocol Buffers.
//!
//! 64-bit integers are strings in what is given, and both forms are taken; fields without a value
//! that have no presence are left out, as the mapping has it.

use std::io;

use bytes::Bytes;
use prost_reflect::prost::Message as _;
use prost_reflect::{
    DeserializeOptions, DynamicMessage, MessageDescriptor, ReflectMessage as _, SerializeOptions,
    Value as Field,
};
use windlass_proto::limits;
use windlass_proto::value::Value;

/// The bytes of the message that `value` stands for.
///
/// # Errors
/// Why it stands for none.
pub(crate) fn encode(kind: MessageDescriptor, value: &Value) -> Result<Vec<u8>, String> {
    let json = value.to_json();
    let mut from = serde_json::Deserializer::from_str(&json);
    let options = DeserializeOptions::new();
    let read = DynamicMessage::deserialize_with_options(kind, &mut from, &options);
    read.map(|it| it.encode_to_vec()).map_err(|error| reason(&error))
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
) -> Result<Decoded, String> {
    let message = DynamicMessage::decode(kind, bytes).map_err(|error| error.to_string())?;
    let mut raw = Vec::new();
    look(&message, 0, &mut raw)?;
    let mut out = Bounded { written: Vec::new(), left };
    let mut to = serde_json::Serializer::new(&mut out);
    let options = SerializeOptions::new();
    message.serialize_with_options(&mut to, &options).map_err(|error| reason(&error))?;
    let value = Value::from_json_bytes(&out.written).map_err(|error| error.to_string())?;
    Ok(Decoded { value, raw })
}

/// The message of an error, without the place in a text that nobody has seen.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
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

/// Looks at all of a message before it is written: an `Any` is read then, inside of what is around
/// it, without a bound on how deep that goes; and a number that is none would be written as null
/// where a wrapper holds it.
fn look(message: &DynamicMessage, levels: usize, raw: &mut Vec<Bytes>) -> Result<(), String> {
    if levels >= limits::GRPC_LEVELS {
        let most = limits::GRPC_LEVELS;
        return Err(format!("it has more than {most} messages inside one another"));
    }
    let kind = message.descriptor();
    match kind.full_name() {
        "google.protobuf.Any" => return look_inside(message, levels, raw),
        wrapper @ ("google.protobuf.FloatValue" | "google.protobuf.DoubleValue") => {
            let value = message.get_field_by_name("value");
            let value = value.as_deref();
            let value = value.and_then(|it| it.as_f64().or(it.as_f32().map(f64::from)));
            if value.is_some_and(|it| !it.is_finite()) {
                return Err(format!("a {wrapper} in it holds no finite number"));
            }
        }
        _ => {}
    }
    message.fields().try_for_each(|(_, field)| look_at(field, levels, raw))
}

fn look_at(field: &Field, levels: usize, raw: &mut Vec<Bytes>) -> Result<(), String> {
    match field {
        Field::Message(message) => look(message, levels + 1, raw),
        Field::List(fields) => fields.iter().try_for_each(|it| look_at(it, levels, raw)),
        Field::Map(fields) => fields.values().try_for_each(|it| look_at(it, levels, raw)),
        Field::Bytes(bytes) => {
            raw.push(bytes.clone());
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Looks at what is packed in an `Any`.
fn look_inside(any: &DynamicMessage, levels: usize, raw: &mut Vec<Bytes>) -> Result<(), String> {
    let url = any.get_field_by_name("type_url");
    let name = url.as_deref().and_then(Field::as_str).unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    // What is not known is refused when it is written.
    let Some(kind) = any.descriptor().parent_pool().get_message_by_name(name) else {
        return Ok(());
    };
    let bytes = any.get_field_by_name("value");
    let bytes = bytes.as_deref().and_then(Field::as_bytes).cloned().unwrap_or_default();
    let inner = DynamicMessage::decode(kind, bytes).map_err(|error| error.to_string())?;
    look(&inner, levels + 1, raw)
}
