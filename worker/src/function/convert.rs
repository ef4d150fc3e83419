//! From data of a workflow to types of Rust, and back.

use std::any::Any;
use std::fmt;

use serde::Serialize;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;
use windlass_proto::wire::outcome::Outcome;

use super::FunctionError;

/// The input of the function `name`. Through JSON text, so that numbers of any size arrive.
pub(super) fn read<I: DeserializeOwned + 'static>(
    input: Value,
    name: &str,
) -> Result<I, FunctionError> {
    let mut given = Some(input);
    // Nothing to convert for who takes values as they are.
    if let Some(same) = (&mut given as &mut dyn Any).downcast_mut::<Option<I>>()
        && let Some(same) = same.take()
    {
        return Ok(same);
    }
    let text = given.unwrap_or_default().to_json();
    serde_json::from_str(&text).map_err(|error| {
        let detail = format!("the input does not fit the function `{name}`: {}", plain(&error));
        Problem::new(Standard::Validation, detail).into()
    })
}

/// What the function `name` gave.
pub(super) fn write<O: Serialize + 'static>(output: O, name: &str) -> Result<Value, FunctionError> {
    let mut given = Some(output);
    if let Some(same) = (&mut given as &mut dyn Any).downcast_mut::<Option<Value>>()
        && let Some(same) = same.take()
    {
        let outcome = Outcome::from(Ok(same));
        return outcome.finite().result.map_err(FunctionError::from);
    }
    let failed = |error: &dyn std::fmt::Display| {
        let detail = format!("the output of the function `{name}` is no JSON: {error}");
        FunctionError::from(Problem::new(Standard::Runtime, detail))
    };
    let text = serde_json::to_string(&given).map_err(|error| failed(&error))?;
    // NaN and the infinities are written as null, without a word.
    if text.contains("null")
        && let Some(number) = not_finite(&given)
    {
        return Err(failed(&format_args!("it holds {number}, which is no value of JSON")));
    }
    Value::from_json(&text).map_err(|error| failed(&error))
}

/// NaN or an infinity in what is to be written, if there is one. Looks for it in MessagePack, which
/// has words for them; what cannot be written so was not written as null either.
fn not_finite(given: &impl Serialize) -> Option<f64> {
    let mut bytes = Vec::new();
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_human_readable();
    given.serialize(&mut serializer).ok()?;
    let mut found = None;
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(&bytes);
    // It ends in an error where it finds one.
    let _ = NotFinite(&mut found).deserialize(&mut deserializer);
    found
}

/// Looks through data for a number that is not finite.
struct NotFinite<'f>(&'f mut Option<f64>);

impl<'de> DeserializeSeed<'de> for NotFinite<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NotFinite<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("data")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        if number.is_finite() {
            return Ok(());
        }
        *self.0 = Some(number);
        Err(E::custom("found"))
    }

    fn visit_f32<E: Error>(self, number: f32) -> Result<(), E> {
        self.visit_f64(number.into())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<(), A::Error> {
        let Self(found) = self;
        while all.next_element_seed(NotFinite(&mut *found))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<(), A::Error> {
        let Self(found) = self;
        while all.next_key_seed(NotFinite(&mut *found))?.is_some() {
            all.next_value_seed(NotFinite(&mut *found))?;
        }
        Ok(())
    }
}

/// What serde says, without the place in a text that nobody has seen.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).map_or_else(|| text.clone(), str::to_owned)
}
