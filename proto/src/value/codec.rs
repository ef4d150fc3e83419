//! Serde for [`Value`]: the same data in JSON and in MessagePack.
//!
//! Integers beyond 64 bits keep their digits on the way out and through MessagePack. Read through
//! serde's JSON they are rounded before they arrive here: [`Value::from_json`] keeps them.
//!
//! A sealed value is whole in MessagePack alone, which only coordinators and workers exchange. In
//! JSON it is a text that says so; none is ever made from JSON, so nobody outside can slip one in.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Members, Value};
use crate::limits;
use crate::sealed::{SHOWN, Sealed};

/// The first byte of a sealed value in MessagePack. No number's digits begin with it, which are the
/// other bytes a value can be.
const SEALED: u8 = 0;

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(it) => serializer.serialize_bool(*it),
            Self::Int(it) => serializer.serialize_i64(*it),
            // serde's JSON has no infinity and would write null; jq writes the largest number.
            Self::Float(it) if serializer.is_human_readable() => {
                serializer.serialize_f64(it.clamp(f64::MIN, f64::MAX))
            }
            Self::Float(it) => serializer.serialize_f64(*it),
            Self::Big(it) if serializer.is_human_readable() => {
                match serde_json::value::RawValue::from_string(it.to_string()) {
                    Ok(digits) => digits.serialize(serializer),
                    Err(_) => serializer.serialize_f64(f64::NAN),
                }
            }
            // Values have no bytes of their own, so in MessagePack bytes are such a number's
            // digits, or a sealed value.
            Self::Big(it) => serializer.serialize_bytes(it.as_bytes()),
            Self::Sealed(_) if serializer.is_human_readable() => serializer.serialize_str(SHOWN),
            Self::Sealed(it) => {
                let mut bytes = vec![SEALED];
                it.write(&mut bytes).map_err(serde::ser::Error::custom)?;
                serializer.serialize_bytes(&bytes)
            }
            Self::String(it) => serializer.serialize_str(it),
            Self::Array(array) => {
                let mut sequence = serializer.serialize_seq(Some(array.elements.len()))?;
                for element in &array.elements {
                    sequence.serialize_element(element)?;
                }
                sequence.end()
            }
            Self::Object(object) => {
                let mut map = serializer.serialize_map(Some(object.members.len()))?;
                for (key, value) in &object.members {
                    map.serialize_entry(&**key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let _level = Level::enter().ok_or_else(|| {
            D::Error::custom(format_args!("nested deeper than {} levels", limits::VALUE_DEPTH))
        })?;
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// Reads a member that is a value as [`Value::from_json`] does, for `deserialize_with`. Only
/// serde's JSON can read it.
///
/// # Errors
/// When it is not JSON to [`Value::from_json`].
pub fn exact<'de, D: Deserializer<'de>>(from: D) -> Result<Value, D::Error> {
    let text = Box::<serde_json::value::RawValue>::deserialize(from)?;
    Value::from_json(text.get()).map_err(D::Error::custom)
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// One level of the value being read on this thread.
struct Level;

impl Level {
    fn enter() -> Option<Self> {
        let depth = DEPTH.get();
        (depth <= limits::VALUE_DEPTH).then(|| {
            DEPTH.set(depth + 1);
            Self
        })
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get().saturating_sub(1));
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, it: bool) -> Result<Value, E> {
        Ok(Value::Bool(it))
    }

    fn visit_i64<E>(self, it: i64) -> Result<Value, E> {
        Ok(Value::Int(it))
    }

    fn visit_u64<E>(self, it: u64) -> Result<Value, E> {
        Ok(i64::try_from(it).map_or_else(|_| Value::Big(it.to_string().into()), Value::Int))
    }

    fn visit_f64<E>(self, it: f64) -> Result<Value, E> {
        Ok(Value::Float(it))
    }

    fn visit_bytes<E: Error>(self, it: &[u8]) -> Result<Value, E> {
        if let Some((&SEALED, sealed)) = it.split_first() {
            return Sealed::read(sealed)
                .map(|sealed| Value::Sealed(Arc::new(sealed)))
                .map_err(E::custom);
        }
        let digits = std::str::from_utf8(it).unwrap_or_default();
        let unsigned = digits.strip_prefix('-').unwrap_or(digits);
        if unsigned.is_empty() || !unsigned.bytes().all(|it| it.is_ascii_digit()) {
            return Err(E::custom("bytes that are not the digits of a number"));
        }
        if unsigned.len() > 1 && unsigned.starts_with('0') {
            // JSON has no such number, and would show none.
            let sign = if unsigned.len() < digits.len() { "-" } else { "" };
            let digits = match unsigned.trim_start_matches('0') {
                "" => "0".to_owned(),
                digits => format!("{sign}{digits}"),
            };
            return Ok(Value::parse_number(&digits, true));
        }
        Ok(Value::parse_number(digits, true))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, _: D) -> Result<Value, D::Error> {
        Err(D::Error::custom("an extension type of MessagePack, which is no value"))
    }

    fn visit_str<E>(self, it: &str) -> Result<Value, E> {
        Ok(Value::from(it))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        // The length is what the sender claims: never reserve more than a little on its word.
        let mut elements = Vec::with_capacity(sequence.size_hint().unwrap_or(0).min(1024));
        while let Some(element) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(Value::array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Members::new();
        while let Some((key, value)) = map.next_entry::<Arc<str>, Value>()? {
            members.insert(key, value);
        }
        Ok(Value::from(members))
    }
}
