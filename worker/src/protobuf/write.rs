//! Data from messages, by the JSON mapping of Protocol Buffers.
//!
//! The library that knows types at run time writes this too, but a wrapper around a number that is
//! none as null, and an `Any` without a type not at all. The types that have a form of their own,
//! such as `Timestamp`, are left to it.

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use prost_reflect::{
    DynamicMessage, Kind, MapKey, MessageDescriptor, ReflectMessage as _, SerializeOptions,
    Value as Field,
};
use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq as _, Serializer};
use windlass_proto::limits;

use super::is_well_known;
use super::mismatch::Mismatch;
use super::read::unknown;

/// A message as the mapping has it.
pub(super) struct Written<'a>(pub(super) &'a DynamicMessage);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let kind = self.0.descriptor();
        match kind.full_name() {
            "google.protobuf.Any" => write_any(self.0, to),
            "google.protobuf.FloatValue" | "google.protobuf.DoubleValue" => {
                let value = self.0.get_field_by_name("value");
                let field = kind.get_field_by_name("value").map(|it| it.kind());
                match (value.as_deref(), field) {
                    (Some(value), Some(kind)) => Data(value, &kind).serialize(to),
                    _ => Err(S::Error::custom("a wrapper without a value")),
                }
            }
            name if is_well_known(name) => {
                self.0.serialize_with_options(to, &SerializeOptions::new())
            }
            _ => {
                let mut map = to.serialize_map(None)?;
                write_fields(self.0, &mut map)?;
                map.end()
            }
        }
    }
}

fn write_fields<M: SerializeMap>(message: &DynamicMessage, map: &mut M) -> Result<(), M::Error> {
    for (field, value) in message.fields() {
        map.serialize_entry(field.json_name(), &Data(value, &field.kind()))?;
    }
    for (extension, value) in message.extensions() {
        map.serialize_entry(extension.json_name(), &Data(value, &extension.kind()))?;
    }
    Ok(())
}

fn write_any<S: Serializer>(any: &DynamicMessage, to: S) -> Result<S::Ok, S::Error> {
    let packed = Packed::of(any);
    let mut map = to.serialize_map(None)?;
    if packed.url.is_empty() {
        return map.end();
    }
    let kind = packed.kind(any).ok_or_else(|| S::Error::custom(unknown(packed.name())))?;
    map.serialize_entry("@type", &packed.url)?;
    let well_known = is_well_known(kind.full_name());
    let inner = DynamicMessage::decode(kind, packed.bytes).map_err(S::Error::custom)?;
    if well_known {
        map.serialize_entry("value", &Written(&inner))?;
    } else {
        write_fields(&inner, &mut map)?;
    }
    map.end()
}

/// What is in an `Any`.
struct Packed {
    url: String,
    bytes: Bytes,
}

impl Packed {
    fn of(any: &DynamicMessage) -> Self {
        let url = any.get_field_by_name("type_url");
        let bytes = any.get_field_by_name("value");
        Self {
            url: url.as_deref().and_then(Field::as_str).unwrap_or_default().to_owned(),
            bytes: bytes.as_deref().and_then(Field::as_bytes).cloned().unwrap_or_default(),
        }
    }

    fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    fn kind(&self, any: &DynamicMessage) -> Option<MessageDescriptor> {
        any.descriptor().parent_pool().get_message_by_name(self.name())
    }
}

/// A value of a field of this type.
struct Data<'a>(&'a Field, &'a Kind);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Field::Bool(it) => to.serialize_bool(*it),
            Field::I32(it) => to.serialize_i32(*it),
            Field::U32(it) => to.serialize_u32(*it),
            Field::I64(it) => to.collect_str(it),
            Field::U64(it) => to.collect_str(it),
            Field::F32(it) if it.is_finite() => to.serialize_f32(*it),
            Field::F64(it) if it.is_finite() => to.serialize_f64(*it),
            Field::F32(it) => to.serialize_str(no_number(f64::from(*it))),
            Field::F64(it) => to.serialize_str(no_number(*it)),
            Field::String(it) => to.serialize_str(it),
            Field::Bytes(it) => to.collect_str(&Base64Display::new(it, &STANDARD)),
            Field::EnumNumber(number) => match self.1.as_enum() {
                Some(kind) if kind.full_name() == "google.protobuf.NullValue" => {
                    to.serialize_none()
                }
                kind => match kind.and_then(|it| it.get_value(*number)) {
                    Some(value) => to.serialize_str(value.name()),
                    None => to.serialize_i32(*number),
                },
            },
            Field::Message(it) => Written(it).serialize(to),
            Field::List(all) => {
                let mut list = to.serialize_seq(Some(all.len()))?;
                all.iter().try_for_each(|it| list.serialize_element(&Data(it, self.1)))?;
                list.end()
            }
            Field::Map(all) => {
                let kind = self.1.as_message().map(|it| it.map_entry_value_field().kind());
                let kind = kind.ok_or_else(|| S::Error::custom("a map without entries"))?;
                let mut map = to.serialize_map(Some(all.len()))?;
                all.iter()
                    .try_for_each(|(key, it)| map.serialize_entry(&Key(key), &Data(it, &kind)))?;
                map.end()
            }
        }
    }
}

/// How the mapping writes a number that is none.
fn no_number(it: f64) -> &'static str {
    match it {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    }
}

struct Key<'a>(&'a MapKey);

impl Serialize for Key<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            MapKey::Bool(it) => to.collect_str(it),
            MapKey::I32(it) => to.collect_str(it),
            MapKey::I64(it) => to.collect_str(it),
            MapKey::U32(it) => to.collect_str(it),
            MapKey::U64(it) => to.collect_str(it),
            MapKey::String(it) => to.serialize_str(it),
        }
    }
}

/// Looks at all of a message before it is written: an `Any` is read then, inside of what is around
/// it, without a bound on how deep that goes; and what the library would write as something else is
/// refused. The bytes in it are added to `raw`.
pub(super) fn look(
    message: &DynamicMessage,
    levels: usize,
    raw: &mut Vec<Bytes>,
) -> Result<(), Mismatch> {
    if levels >= limits::GRPC_LEVELS {
        let most = limits::GRPC_LEVELS;
        return Err(Mismatch::new(format!("is the message past {most} inside one another")));
    }
    match message.descriptor().full_name() {
        "google.protobuf.Any" => return look_inside(message, levels, raw),
        "google.protobuf.Duration" => fits_duration(message)?,
        _ => {}
    }
    for (field, value) in message.fields() {
        look_at(value, levels, raw).map_err(|it| it.under(field.json_name()))?;
    }
    for (extension, value) in message.extensions() {
        look_at(value, levels, raw).map_err(|it| it.under(extension.json_name()))?;
    }
    Ok(())
}

fn look_at(field: &Field, levels: usize, raw: &mut Vec<Bytes>) -> Result<(), Mismatch> {
    match field {
        Field::Message(message) => look(message, levels + 1, raw),
        Field::List(fields) => fields
            .iter()
            .enumerate()
            .try_for_each(|(at, it)| look_at(it, levels, raw).map_err(|wrong| wrong.at(at))),
        Field::Map(fields) => fields.iter().try_for_each(|(key, it)| {
            let name = || serde_json::to_value(Key(key)).ok();
            let name = || name().and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default();
            look_at(it, levels, raw).map_err(|wrong| wrong.under(&name()))
        }),
        Field::Bytes(bytes) => {
            raw.push(bytes.clone());
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Looks at what is packed in an `Any`.
fn look_inside(any: &DynamicMessage, levels: usize, raw: &mut Vec<Bytes>) -> Result<(), Mismatch> {
    let packed = Packed::of(any);
    if packed.url.is_empty() && packed.bytes.is_empty() {
        return Ok(());
    }
    if packed.url.is_empty() {
        return Err(Mismatch::new("is an Any that holds something and has no type"));
    }
    let kind = packed.kind(any).ok_or_else(|| Mismatch::new(unknown(packed.name())))?;
    let inner = DynamicMessage::decode(kind, packed.bytes);
    look(&inner.map_err(|error| Mismatch::new(format!("is no message: {error}")))?, levels + 1, raw)
}

/// Refuses a duration that goes both ways: it would be written as another one.
fn fits_duration(duration: &DynamicMessage) -> Result<(), Mismatch> {
    let part = |name: &str| {
        let part = duration.get_field_by_name(name);
        part.as_deref()
            .and_then(|it| it.as_i64().or(it.as_i32().map(i64::from)))
            .unwrap_or_default()
    };
    match part("seconds").signum() * part("nanos").signum() {
        -1 => {
            Err(Mismatch::new("is a Duration whose seconds and nanoseconds have different signs"))
        }
        _ => Ok(()),
    }
}
