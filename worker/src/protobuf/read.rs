//! Messages from data, by the JSON mapping of Protocol Buffers.
//!
//! The library that knows types at run time reads such data too, but its errors name no field, and
//! it refuses some of what the mapping takes. What it does read is left to it: the types that have
//! a form of their own, such as `Timestamp`.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost_reflect::prost::Message as _;
use prost_reflect::{
    DeserializeOptions, DynamicMessage, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind,
    MapKey, MessageDescriptor, ReflectMessage as _, Value as Field,
};
use windlass_proto::limits;
use windlass_proto::value::Value;

use super::mismatch::Mismatch;
use super::{is_well_known, listed, reason};
use crate::decimal::Decimal;

/// Reads base64 as generously as the mapping has it: with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The message that `value` stands for, which is inside of so many others.
pub(super) fn message(
    kind: &MessageDescriptor,
    value: &Value,
    levels: usize,
) -> Result<DynamicMessage, Mismatch> {
    if levels >= limits::GRPC_LEVELS {
        let most = limits::GRPC_LEVELS;
        return Err(Mismatch::new(format!("is the message past {most} inside one another")));
    }
    let mut message = DynamicMessage::new(kind.clone());
    match kind.full_name() {
        "google.protobuf.Any" => return any(message, value, levels),
        "google.protobuf.Timestamp" => fits_timestamp(value)?,
        name if !is_well_known(name) => {
            read_into(&mut message, value, levels, |_| true)?;
            return Ok(message);
        }
        // Those that wrap one value are written as what they hold.
        name if name.ends_with("Value") => {
            if let Some(field) = kind.get_field_by_name("value") {
                message.set_field(&field, one(&field.kind(), value, levels)?);
                return Ok(message);
            }
        }
        _ => {}
    }
    let json = value.to_json();
    let mut from = serde_json::Deserializer::from_str(&json);
    let options = DeserializeOptions::new();
    let read = DynamicMessage::deserialize_with_options(kind.clone(), &mut from, &options);
    read.map_err(|error| {
        Mismatch::of(value, format!("must be a {}: {}", kind.full_name(), reason(&error)))
    })
}

/// Sets the fields of `message` to those members of `value` of which `wanted` says so.
fn read_into(
    message: &mut DynamicMessage,
    value: &Value,
    levels: usize,
    wanted: impl Fn(&str) -> bool,
) -> Result<(), Mismatch> {
    let members = value.as_object().ok_or_else(|| Mismatch::of(value, "must be an object"))?;
    for (key, value) in members.iter().filter(|(key, _)| wanted(key)) {
        set(message, key, value, levels).map_err(|it| it.under(key))?;
    }
    match message.descriptor().fields().find(|it| it.is_required() && !message.has_field(it)) {
        Some(missing) => {
            Err(Mismatch::new("is missing, which the type requires").under(missing.json_name()))
        }
        None => Ok(()),
    }
}

/// Sets the field that `key` names.
fn set(
    message: &mut DynamicMessage,
    key: &str,
    value: &Value,
    levels: usize,
) -> Result<(), Mismatch> {
    let kind = message.descriptor();
    let field = kind.get_field_by_json_name(key).or_else(|| kind.get_field_by_name(key));
    if let Some(field) = field {
        let shape = Shape::of(&field);
        if value.is_null() && !shape.takes_null() {
            return Ok(());
        }
        let read = shape.read(value, levels)?;
        let given = |it: &FieldDescriptor| message.has_field(it);
        if given(&field) {
            return Err(Mismatch::new("is given twice, by both of its names"));
        }
        if let Some(oneof) = field.containing_oneof()
            && let Some(other) = oneof.fields().find(given)
        {
            let (other, oneof) = (other.json_name(), oneof.name());
            let why = format!("cannot be given beside `{other}`: both are of the oneof `{oneof}`");
            return Err(Mismatch::new(why));
        }
        message.set_field(&field, read);
        return Ok(());
    }
    let Some(extension) = kind.get_extension_by_json_name(key) else {
        let known = listed(kind.fields().map(|it| it.json_name().to_owned()));
        let why = format!("is no field of {}, which has: {known}", kind.full_name());
        return Err(Mismatch::new(why));
    };
    let shape = Shape::of_extension(&extension);
    if !value.is_null() || shape.takes_null() {
        message.set_extension(&extension, shape.read(value, levels)?);
    }
    Ok(())
}

/// What a field holds, and how many of that.
enum Shape {
    One(Kind),
    List(Kind),
    /// By keys of this type.
    Map(Kind, Kind),
}

impl Shape {
    fn of(field: &FieldDescriptor) -> Self {
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                Self::Map(entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind())
            }
            kind if field.is_list() => Self::List(kind),
            kind => Self::One(kind),
        }
    }

    /// Extensions are no maps.
    fn of_extension(field: &ExtensionDescriptor) -> Self {
        if field.is_list() { Self::List(field.kind()) } else { Self::One(field.kind()) }
    }

    /// True where null is a value, and does not say that there is none.
    fn takes_null(&self) -> bool {
        match self {
            Self::One(Kind::Message(kind)) => kind.full_name() == "google.protobuf.Value",
            Self::One(Kind::Enum(kind)) => kind.full_name() == "google.protobuf.NullValue",
            _ => false,
        }
    }

    fn read(&self, value: &Value, levels: usize) -> Result<Field, Mismatch> {
        match self {
            Self::One(kind) => one(kind, value, levels),
            Self::List(kind) => {
                let all = value.as_array();
                let all = all.ok_or_else(|| Mismatch::of(value, "must be an array"))?.iter();
                let read = |(at, it)| one(kind, it, levels).map_err(|wrong| wrong.at(at));
                all.enumerate().map(read).collect::<Result<_, _>>().map(Field::List)
            }
            Self::Map(key, kind) => {
                let all = value.as_object();
                let all = all.ok_or_else(|| Mismatch::of(value, "must be an object"))?.iter();
                let read = |(name, it): (&std::sync::Arc<str>, &Value)| {
                    let entry =
                        map_key(key, name).and_then(|key| Ok((key, one(kind, it, levels)?)));
                    entry.map_err(|wrong| wrong.under(name))
                };
                all.map(read).collect::<Result<_, _>>().map(Field::Map)
            }
        }
    }
}

fn map_key(kind: &Kind, name: &str) -> Result<MapKey, Mismatch> {
    let text = Value::from(name);
    let key = match kind {
        Kind::String => return Ok(MapKey::String(name.to_owned())),
        Kind::Bool => {
            let word = match name {
                "true" => true,
                "false" => false,
                _ => return Err(Mismatch::new("must be `true` or `false`, as a key of this map")),
            };
            return Ok(MapKey::Bool(word));
        }
        kind => one(kind, &text, 0),
    };
    match key.map_err(|_| Mismatch::new("is no integer that can be a key of this map"))? {
        Field::I32(it) => Ok(MapKey::I32(it)),
        Field::I64(it) => Ok(MapKey::I64(it)),
        Field::U32(it) => Ok(MapKey::U32(it)),
        Field::U64(it) => Ok(MapKey::U64(it)),
        _ => Err(Mismatch::new("is no key of this map")),
    }
}

/// A value of this type.
fn one(kind: &Kind, value: &Value, levels: usize) -> Result<Field, Mismatch> {
    let must = |what: &str| Mismatch::of(value, format!("must be {what}"));
    Ok(match kind {
        Kind::Message(kind) => Field::Message(message(kind, value, levels + 1)?),
        Kind::Enum(kind) => Field::EnumNumber(number_of(kind, value)?),
        Kind::Double => Field::F64(double(value).ok_or_else(|| must("a number"))?),
        Kind::Float => {
            let single = double(value).and_then(single);
            Field::F32(single.ok_or_else(|| must("a number in the range of `float`"))?)
        }
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            let it = integer(value).and_then(|it| i32::try_from(it).ok());
            Field::I32(it.ok_or_else(|| must("an integer of 32 bits"))?)
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            let it = integer(value).and_then(|it| i64::try_from(it).ok());
            Field::I64(it.ok_or_else(|| must("an integer of 64 bits"))?)
        }
        Kind::Uint32 | Kind::Fixed32 => {
            let it = integer(value).and_then(|it| u32::try_from(it).ok());
            Field::U32(it.ok_or_else(|| must("an integer of 32 bits without a sign"))?)
        }
        Kind::Uint64 | Kind::Fixed64 => {
            let it = integer(value).and_then(|it| u64::try_from(it).ok());
            Field::U64(it.ok_or_else(|| must("an integer of 64 bits without a sign"))?)
        }
        Kind::Bool => match value {
            Value::Bool(it) => Field::Bool(*it),
            _ => return Err(must("`true` or `false`")),
        },
        Kind::String => match value {
            Value::String(it) => Field::String(it.to_string()),
            _ => return Err(must("a string")),
        },
        Kind::Bytes => {
            let bytes = value
                .as_str()
                .and_then(|it| BASE64.decode(it.replace('-', "+").replace('_', "/")).ok());
            Field::Bytes(bytes.ok_or_else(|| must("bytes in base64"))?.into())
        }
    })
}

/// The number of an enum's value, given by name or number.
fn number_of(kind: &EnumDescriptor, value: &Value) -> Result<i32, Mismatch> {
    let number = match value {
        Value::Null if kind.full_name() == "google.protobuf.NullValue" => Some(0),
        Value::String(name) => kind.get_value_by_name(name).map(|it| it.number()),
        _ => integer(value).and_then(|it| i32::try_from(it).ok()),
    };
    number.ok_or_else(|| {
        let known = listed(kind.values().map(|it| it.name().to_owned()));
        let name = kind.full_name();
        Mismatch::of(value, format!("must be a value of {name}, which has: {known}"))
    })
}

/// The integer that `value` is, as a number or in a string, in whatever spelling.
fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Int(it) => Some(i128::from(*it)),
        // No type has integers so large.
        #[allow(clippy::cast_possible_truncation)]
        Value::Float(it) if it.fract() == 0.0 && it.abs() < 1e20 => Some(*it as i128),
        Value::Big(digits) => digits.parse().ok(),
        Value::String(text) => {
            text.parse().ok().or_else(|| Decimal::parse(text)?.plain()?.parse().ok())
        }
        _ => None,
    }
}

fn double(value: &Value) -> Option<f64> {
    match value {
        #[allow(clippy::cast_precision_loss)]
        Value::Int(it) => Some(*it as f64),
        Value::Float(it) => Some(*it).filter(|it| it.is_finite()),
        Value::Big(digits) => digits.parse().ok().filter(|it: &f64| it.is_finite()),
        Value::String(text) => match &**text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => {
                Decimal::parse(text)?;
                text.parse().ok().filter(|it: &f64| it.is_finite())
            }
        },
        _ => None,
    }
}

/// The nearest `float`; none where that would be infinite and `it` is not.
fn single(it: f64) -> Option<f32> {
    #[allow(clippy::cast_possible_truncation)]
    let single = it as f32;
    (single.is_finite() || !it.is_finite()).then_some(single)
}

/// A packed message; one without a type is empty.
fn any(mut any: DynamicMessage, value: &Value, levels: usize) -> Result<DynamicMessage, Mismatch> {
    let members = value.as_object().ok_or_else(|| Mismatch::of(value, "must be an object"))?;
    if members.is_empty() {
        return Ok(any);
    }
    let url = members.get("@type").and_then(Value::as_str).ok_or_else(|| {
        Mismatch::new("must have the name of its type, such as type.googleapis.com/package.Message")
            .under("@type")
    })?;
    let name = url.rsplit_once('/').map(|(_, name)| name).ok_or_else(|| {
        let why = "must have a slash before the name, as in type.googleapis.com/package.Message";
        Mismatch::of(&Value::from(url), why).under("@type")
    })?;
    let kind = any.descriptor().parent_pool().get_message_by_name(name);
    let kind = kind.ok_or_else(|| Mismatch::new(unknown(name)))?;
    let inner = if is_well_known(kind.full_name()) {
        if let Some(other) = members.keys().find(|it| !["@type", "value"].contains(&&***it)) {
            let why = format!("is no field of an Any of {name}, which has: @type, value");
            return Err(Mismatch::new(why).under(other));
        }
        let value =
            members.get("value").ok_or_else(|| Mismatch::new("is missing").under("value"))?;
        message(&kind, value, levels + 1).map_err(|wrong| wrong.under("value"))?
    } else {
        let mut inner = DynamicMessage::new(kind);
        read_into(&mut inner, value, levels + 1, |key| key != "@type")?;
        inner
    };
    any.set_field_by_name("type_url", Field::String(url.to_owned()));
    any.set_field_by_name("value", Field::Bytes(inner.encode_to_vec().into()));
    Ok(any)
}

/// What is said of an `Any` whose type is not known.
pub(super) fn unknown(name: &str) -> String {
    format!(
        "is an Any of {name}, which no .proto file of the call declares: import the one that does"
    )
}

/// Refuses what the library would read as another time.
fn fits_timestamp(value: &Value) -> Result<(), Mismatch> {
    let text = value.as_str().unwrap_or_default();
    if text.get(16..19) == Some(":60") {
        return Err(Mismatch::of(value, "must be a time without a leap second"));
    }
    let fraction = text.split_once('.').map_or("", |(_, rest)| rest);
    if fraction.bytes().take_while(u8::is_ascii_digit).count() > 9 {
        return Err(Mismatch::of(value, "must be a time of at most nanoseconds"));
    }
    Ok(())
}
