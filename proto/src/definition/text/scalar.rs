//! What a scalar means: the core schema of YAML 1.2.

use std::sync::Arc;

use saphyr_parser::Tag;

use crate::definition::codes;
use crate::definition::node::Style;
use crate::value::Value;

/// The value of a scalar, or the code and message of what is wrong with it.
pub(super) fn value(
    text: &Arc<str>,
    style: Style,
    tag: Option<&Tag>,
) -> Result<Value, (&'static str, String)> {
    let string = || Value::String(text.clone());
    let Some(tag) = tag else {
        return if style == Style::Plain { plain(text) } else { Ok(string()) };
    };
    let refused = || (codes::BAD_TAG, format!("the tag `{tag}` does not fit `{text}`"));
    if !tag.is_yaml_core_schema() {
        return Err((codes::BAD_TAG, format!("the tag `{tag}` is not supported here")));
    }
    match (tag.suffix.as_str(), plain(text)?) {
        ("str", _) => Ok(string()),
        ("null", value @ Value::Null)
        | ("bool", value @ Value::Bool(_))
        | ("int", value @ (Value::Int(_) | Value::Big(_)))
        | ("float", value @ (Value::Float(_) | Value::Int(_))) => Ok(value),
        _ => Err(refused()),
    }
}

fn plain(text: &Arc<str>) -> Result<Value, (&'static str, String)> {
    Ok(match &**text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        other => match number(other) {
            Some(Value::Float(number)) if !number.is_finite() => {
                return Err((codes::BAD_NUMBER, format!("`{text}` is not a number JSON can hold")));
            }
            Some(number) => number,
            None => Value::String(text.clone()),
        },
    })
}

fn number(text: &str) -> Option<Value> {
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Value::Float(f64::INFINITY));
    }
    if unsigned.is_empty() {
        return None;
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        // As JSON has it, which knows no zeros before a number.
        let digits = unsigned.trim_start_matches('0');
        let digits = if digits.is_empty() { "0" } else { digits };
        let sign = if text.starts_with('-') { "-" } else { "" };
        return Some(Value::parse_number(&format!("{sign}{digits}"), true));
    }
    is_float(unsigned).then(|| text.parse().ok().map(Value::Float)).flatten()
}

fn radix(digits: &str, radix: u32) -> Option<Value> {
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    if let Ok(number) = i64::from_str_radix(digits, radix) {
        return Some(Value::Int(number));
    }
    u128::from_str_radix(digits, radix).ok().map(|number| Value::Big(number.to_string().into()))
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            if !digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)) {
                return false;
            }
            mantissa
        }
        None => text,
    };
    match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::plain;
    use crate::value::Value;

    #[test]
    fn plain_scalars_follow_the_core_schema_and_nothing_older() {
        for text in [
            "on",
            "off",
            "yes",
            "no",
            "1.0.0",
            "0b1",
            "1_000",
            "1:30",
            "-",
            ".",
            "e5",
            "1e",
            "y",
            "2026-01-01",
            "0o9",
            "<<",
            "=",
        ] {
            assert_eq!(plain(&text.into()).unwrap(), Value::from(text), "{text}");
        }
        for (text, expected) in [
            ("12", 12),
            ("-12", -12),
            ("+12", 12),
            ("0012", 12),
            ("0o17", 15),
            ("0xFf", 255),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(plain(&text.into()).unwrap(), Value::Int(expected), "{text}");
        }
        for (text, expected) in
            [("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("-1e3", -1000.0), ("1.0", 1.0)]
        {
            assert!(
                matches!(plain(&text.into()).unwrap(), Value::Float(it) if it == expected),
                "{text}"
            );
        }
        for (text, expected) in [
            ("9223372036854775808", "9223372036854775808"),
            ("-00123456789012345678901", "-123456789012345678901"),
            ("0xFFFFFFFFFFFFFFFF", "18446744073709551615"),
        ] {
            assert_eq!(plain(&text.into()).unwrap(), Value::Big(expected.into()), "{text}");
        }
        for text in [".inf", "-.inf", ".nan", "1e999"] {
            assert!(plain(&text.into()).is_err(), "{text}");
        }
        for text in ["", "~", "null"] {
            assert_eq!(plain(&text.into()).unwrap(), Value::Null);
        }
    }
}
