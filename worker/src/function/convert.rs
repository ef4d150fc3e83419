//! From data of a workflow to types of Rust, and back.

use std::any::Any;

use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

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
        return Ok(same);
    }
    let failed = |error: &dyn std::fmt::Display| {
        let detail = format!("the output of the function `{name}` is no JSON: {error}");
        FunctionError::from(Problem::new(Standard::Runtime, detail))
    };
    let text = serde_json::to_string(&given).map_err(|error| failed(&error))?;
    Value::from_json(&text).map_err(|error| failed(&error))
}

/// What serde says, without the place in a text that nobody has seen.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).map_or_else(|| text.clone(), str::to_owned)
}
