//! Filters on the elements of arrays and the members of objects.

use jaq_core::native::{Fun, bome, run, unary, v};
use jaq_core::{Error, ValR};

use super::value::{array, number};
use crate::expression::engine::Jq;
use crate::expression::meter;
use crate::value::{Members, Value};

pub(super) fn all() -> Vec<Fun<Jq>> {
    vec![
        run(("keys", v(0), |cv| bome(keys(&cv.1)))),
        run(("to_entries", v(0), |cv| bome(to_entries(cv.1)))),
        run(("from_entries", v(0), |cv| bome(from_entries(&cv.1)))),
        run(("add", v(0), |cv| bome(add(cv.1)))),
        run(("_flatten", v(1), |cv| unary(cv, |value, depth| flatten(&value, &depth)))),
        run(("transpose", v(0), |cv| bome(transpose(&cv.1)))),
    ]
}

/// Bytes of an entry: an object of two members.
const ENTRY_BYTES: usize = 160;

fn to_entries(value: Value) -> ValR<Value> {
    let entries = jaq_core::ValT::key_values(value).map(|entry| {
        let (key, value) = entry?;
        meter::step(1);
        meter::bytes(ENTRY_BYTES);
        Ok(Value::object([("key", key), ("value", value)]))
    });
    entries.collect()
}

fn from_entries(value: &Value) -> ValR<Value> {
    let mut members = Members::new();
    for entry in array(value, "turned into an object")? {
        meter::step(1);
        meter::bytes(ENTRY_BYTES);
        let refuse = || Error::str(format_args!("{} ({entry}) is not an entry", entry.kind()));
        let entry = entry.as_object().ok_or_else(refuse)?;
        let mut keys = ["key", "k", "name", "Name", "K", "Key"].iter();
        let key = keys.find_map(|name| entry.get(*name).filter(|it| !it.is_null()));
        let key = match key {
            None => "null".into(),
            Some(Value::String(key)) => key.clone(),
            Some(other) => other.to_charged_json().into(),
        };
        let value = ["value", "v", "Value", "V"].iter().find_map(|name| entry.get(*name));
        members.insert(key, value.cloned().unwrap_or_default());
    }
    Ok(Value::checked_object(members))
}

fn keys(value: &Value) -> ValR<Value> {
    match value {
        Value::Array(array) => Ok((0..array.elements().len()).map(Value::from).collect()),
        Value::Object(_) => {
            let mut keys: Vec<_> =
                value.as_object().into_iter().flat_map(|it| it.keys().cloned()).collect();
            meter::step(keys.len() as u64);
            keys.sort_unstable();
            Ok(keys.into_iter().map(Value::String).collect())
        }
        _ => Err(Error::str(format_args!("{} ({value}) has no keys", value.kind()))),
    }
}

fn add(value: Value) -> ValR<Value> {
    let strings = value.as_array().unwrap_or_default();
    if strings.len() > 1 && strings.iter().all(|it| it.as_str().is_some()) {
        let mut text = String::new();
        for string in strings.iter().filter_map(Value::as_str) {
            meter::step(1);
            meter::bytes(string.len());
            text.push_str(string);
        }
        return Ok(Value::String(text.into()));
    }
    jaq_core::ValT::values(value).try_fold(Value::Null, |sum, value| sum + value?)
}

fn flatten(value: &Value, depth: &Value) -> ValR<Value> {
    fn into(elements: &[Value], depth: f64, out: &mut Vec<Value>) {
        for element in elements {
            meter::step(1);
            match element.as_array() {
                Some(inner) if depth > 0.0 => into(inner, depth - 1.0, out),
                _ => {
                    meter::bytes(size_of::<Value>());
                    out.push(element.clone());
                }
            }
        }
    }
    let mut out = Vec::new();
    match value {
        Value::Object(_) => {
            let members: Vec<Value> =
                value.as_object().into_iter().flat_map(|it| it.values().cloned()).collect();
            into(&members, number(depth)?, &mut out);
        }
        _ => into(array(value, "flattened")?, number(depth)?, &mut out),
    }
    Ok(Value::checked_array(out))
}

fn transpose(value: &Value) -> ValR<Value> {
    let rows = array(value, "transposed")?;
    let rows: Vec<&[Value]> =
        rows.iter().map(|row| array(row, "a row")).collect::<Result<_, _>>()?;
    let width = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let column = |at: usize| {
        meter::step(rows.len() as u64);
        rows.iter().map(|row| row.get(at).cloned().unwrap_or_default()).collect::<Value>()
    };
    Ok((0..width).map(column).collect())
}
