//! Filters on any value: types, numbers, containment, JSON.

use jaq_core::native::{Fun, bome, run, unary, v};
use jaq_core::{Error, ValR};

use crate::expression::engine::{Jq, library};
use crate::expression::meter;
use crate::value::Value;

pub(super) fn all() -> Vec<Fun<Jq>> {
    vec![
        run(("type", v(0), |cv| {
            // A number or a string: which of them is for those to know who may open it.
            cv.1.touch();
            bome(Ok(Value::from(cv.1.kind())))
        })),
        run(("length", v(0), |cv| bome(length(&cv.1)))),
        run(("now", v(0), |_| {
            #[allow(clippy::cast_precision_loss)]
            let seconds = meter::now() as f64 / 1000.0;
            bome(Ok(Value::from(seconds)))
        })),
        run(("infinite", v(0), |_| bome(Ok(Value::Float(f64::INFINITY))))),
        run(("nan", v(0), |_| bome(Ok(Value::Float(f64::NAN))))),
        run(("isnan", v(0), |cv| bome(number(&cv.1).map(|it| it.is_nan().into())))),
        run(("isinfinite", v(0), |cv| bome(number(&cv.1).map(|it| it.is_infinite().into())))),
        run(("isnormal", v(0), |cv| bome(number(&cv.1).map(|it| it.is_normal().into())))),
        run(("error_empty", v(0), |cv| {
            meter::raise();
            bome(Err(Error::new(cv.1)))
        })),
        run(("builtins", v(0), |_| {
            let names = library().names();
            let all = names.map(|(name, arity)| Value::charged_text(format!("{name}/{arity}")));
            bome(Ok(all.collect()))
        })),
        run(("_deeper", v(2), |mut cv| {
            let deepest = cv.0.pop_var();
            let depth = cv.0.pop_var();
            bome(Ok(Value::Int(meter::deeper(depth.as_i64(), deepest.as_i64()))))
        })),
        run(("_secret", v(0), |cv| bome(secret_value(cv.1)))),
        run(("tojson", v(0), |cv| bome(Ok(cv.1.charged_json())))),
        run(("fromjson", v(0), |cv| bome(from_json(&cv.1)))),
        run(("tonumber", v(0), |cv| bome(to_number(&cv.1)))),
        run(("toboolean", v(0), |cv| bome(to_boolean(&cv.1)))),
        run(("has", v(1), |cv| unary(cv, |value, key| has(&value, &key)))),
        run(("contains", v(1), |cv| unary(cv, |a, b| contains(&a, &b).map(Value::from)))),
        run(("indices", v(1), |cv| unary(cv, |value, wanted| value.indices(&wanted)))),
        run(("bsearch", v(1), |cv| unary(cv, |value, wanted| search(&value, &wanted)))),
    ]
}

pub(super) fn number(value: &Value) -> Result<f64, Error<Value>> {
    jaq_std::ValT::as_f64(value)
        .ok_or_else(|| Error::str(format_args!("{} ({value}) is not a number", value.kind())))
}

/// The value of a secret named in a text: of a map, its only key or its `value`.
fn secret_value(secret: Value) -> ValR<Value> {
    match secret.as_object() {
        None if secret.is_null() => {
            Err(Error::str("there is no such secret, or it has no such key"))
        }
        None => Ok(secret),
        Some(members) => match (members.get("value"), members.values().next()) {
            (Some(value), _) => Ok(value.clone()),
            (None, Some(value)) if members.len() == 1 => Ok(value.clone()),
            _ => Err(Error::str("the secret is a map: name one of its keys behind a dot")),
        },
    }
}

fn length(value: &Value) -> ValR<Value> {
    Ok(match value {
        Value::Null => Value::Int(0),
        Value::Bool(_) => {
            return Err(Error::str(format_args!("boolean ({value}) has no length")));
        }
        Value::Int(number) => {
            number.checked_abs().map_or_else(|| Value::from(-(i64::MIN as f64)), Value::Int)
        }
        Value::Float(_) | Value::Big(_) => Value::from(number(value)?.abs()),
        Value::String(text) => {
            meter::scan(text.len());
            Value::from(text.chars().count())
        }
        Value::Sealed(_) => {
            value.touch();
            Value::Null
        }
        Value::Array(array) => Value::from(array.elements().len()),
        Value::Object(_) => Value::from(value.as_object().map_or(0, |members| members.len())),
    })
}

fn from_json(value: &Value) -> ValR<Value> {
    let Some(text) = value.as_str() else {
        return Err(Error::str(format_args!(
            "{} ({value}) only strings can be parsed",
            value.kind()
        )));
    };
    // As in jq, which writes it as null.
    if matches!(text.trim_matches([' ', '\t', '\n', '\r']), "nan" | "NaN" | "-nan" | "-NaN") {
        return Ok(Value::Float(f64::NAN));
    }
    meter::step(text.len() as u64 / 16);
    // The smallest element takes two bytes of text.
    meter::bytes(text.len().saturating_mul(size_of::<Value>() / 2).min(text.len() * 4 + 64));
    let parsed = Value::from_json(text)
        .map_err(|error| Error::str(format_args!("{error} (while parsing {value})")))?;
    meter::bytes(usize::try_from(parsed.weight()).unwrap_or(usize::MAX));
    meter::check(parsed.weight(), parsed.depth());
    Ok(parsed)
}

fn to_number(value: &Value) -> ValR<Value> {
    let refuse =
        || Err(Error::str(format_args!("{} ({value}) cannot be parsed as a number", value.kind())));
    match value {
        Value::Int(_) | Value::Float(_) | Value::Big(_) => Ok(value.clone()),
        Value::String(text) => {
            meter::scan(text.len());
            if is_number(text) { Ok(Value::computed_number(text)) } else { refuse() }
        }
        _ => {
            value.touch();
            refuse()
        }
    }
}

/// True for what jq reads as a number: `-1`, `.5`, `+1e3`, `2.`, `007`.
fn is_number(text: &str) -> bool {
    let unsigned = |text: &'_ str| text.strip_prefix(['+', '-']).map_or(0, |_| 1);
    let is_digits = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
    let text = text.get(unsigned(text)..).unwrap_or_default();
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent = exponent.get(unsigned(exponent)..).unwrap_or_default();
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = !mantissa.trim_matches('.').is_empty() && !exponent.is_empty();
    has_digits && [whole, fraction, exponent].into_iter().all(is_digits)
}

fn to_boolean(value: &Value) -> ValR<Value> {
    match (value, value.as_str()) {
        (Value::Bool(_), _) => Ok(value.clone()),
        (_, Some("true")) => Ok(Value::Bool(true)),
        (_, Some("false")) => Ok(Value::Bool(false)),
        _ => Err(Error::str(format_args!(
            "{} ({value}) cannot be parsed as a boolean",
            value.kind()
        ))),
    }
}

fn has(value: &Value, key: &Value) -> ValR<Value> {
    key.touch();
    match (value, key) {
        (Value::Object(_), Value::String(key)) => {
            meter::scan(key.len());
            Ok(value.get(key).is_some().into())
        }
        (Value::Array(array), Value::Int(_) | Value::Float(_) | Value::Big(_)) => {
            let at = number(key)?;
            Ok((at >= 0.0 && at < array.elements().len() as f64).into())
        }
        _ => Err(Error::str(format_args!(
            "Cannot check whether {} has a {} key",
            value.kind(),
            key.kind()
        ))),
    }
}

fn contains(a: &Value, b: &Value) -> Result<bool, Error<Value>> {
    meter::step(1);
    a.touch();
    b.touch();
    match (a, b) {
        (Value::Object(_), Value::Object(_)) => {
            let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else { return Ok(false) };
            for (key, wanted) in b {
                let Some(value) = a.get(key) else { return Ok(false) };
                if !contains(value, wanted)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Array(a), Value::Array(b)) => {
            for wanted in b.elements() {
                let mut found = false;
                for value in a.elements() {
                    value.touch();
                    wanted.touch();
                    if value.kind() == wanted.kind() {
                        found = contains(value, wanted)?;
                    }
                    if found {
                        break;
                    }
                }
                if !found {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::String(a), Value::String(b)) => {
            meter::scan(a.len() + b.len());
            Ok(a.contains(&**b))
        }
        _ if a.kind() == b.kind() => Ok(a == b),
        _ => Err(Error::str(format_args!(
            "{} ({a}) and {} ({b}) cannot have their containment checked",
            a.kind(),
            b.kind()
        ))),
    }
}

fn search(value: &Value, wanted: &Value) -> ValR<Value> {
    let elements = value.as_array().ok_or_else(|| {
        Error::str(format_args!("{} ({value}) cannot be searched from", value.kind()))
    })?;
    #[allow(clippy::cast_possible_wrap)]
    let place = elements.binary_search(wanted).map_or_else(|at| -1 - at as i64, |at| at as i64);
    Ok(Value::Int(place))
}

/// The elements, or an error that says they cannot be `what`.
pub(super) fn array<'a>(value: &'a Value, what: &str) -> Result<&'a [Value], Error<Value>> {
    value.as_array().ok_or_else(|| {
        Error::str(format_args!("{} ({value}) cannot be {what}, only an array", value.kind()))
    })
}
