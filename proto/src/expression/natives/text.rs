//! Filters on strings.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jaq_core::native::{Fun, bome, run, unary, v};
use jaq_core::{Error, ValR};

use percent_encoding::utf8_percent_encode;

use super::value::array;
use crate::expression::engine::Jq;
use crate::expression::meter;
use crate::expression::uri::RESERVED;
use crate::value::Value;

pub(super) fn all() -> Vec<Fun<Jq>> {
    vec![
        run(("ltrimstr", v(1), |cv| {
            unary(cv, |it, fix| Ok(strip(it, &fix, |a, b| a.strip_prefix(b))))
        })),
        run(("rtrimstr", v(1), |cv| {
            unary(cv, |it, fix| Ok(strip(it, &fix, |a, b| a.strip_suffix(b))))
        })),
        run(("trim", v(0), |cv| bome(trim(&cv.1, str::trim)))),
        run(("ltrim", v(0), |cv| bome(trim(&cv.1, str::trim_start)))),
        run(("rtrim", v(0), |cv| bome(trim(&cv.1, str::trim_end)))),
        run(("utf8bytelength", v(0), |cv| bome(byte_length(&cv.1)))),
        run(("decode_uri", v(0), |cv| bome(decode_uri(&cv.1)))),
        run(("join", v(1), |cv| unary(cv, |it, separator| join(&it, &separator)))),
        run(("implode", v(0), |cv| bome(implode(&cv.1)))),
        run(("decode_base64", v(0), |cv| bome(decode_base64(&cv.1)))),
        run(("escape_html", v(0), |cv| bome(escape(&cv.1, html)))),
        run(("escape_sh", v(0), |cv| bome(escape(&cv.1, |it| (it == '\'').then_some("'\\''"))))),
        run(("encode_uri", v(0), |cv| bome(encode_uri(&cv.1)))),
        run(("_csv", v(0), |cv| bome(csv_field(&cv.1)))),
        run(("_tsv", v(0), |cv| bome(tsv_field(&cv.1)))),
        run(("_replace", v(1), |cv| unary(cv, |it, found| replace(&it, &found)))),
    ]
}

/// The text of a string.
pub(super) fn text<'a>(value: &'a Value, what: &str) -> Result<&'a str, Error<Value>> {
    value.as_str().ok_or_else(|| {
        Error::str(format_args!("{} ({value}) cannot be {what}, only a string", value.kind()))
    })
}

fn strip(value: Value, fix: &Value, strip: for<'a> fn(&'a str, &str) -> Option<&'a str>) -> Value {
    // As in jq 1.7, what is no string stays as it is: deployed definitions count on that.
    let (Some(text), Some(fix)) = (value.as_str(), fix.as_str()) else { return value };
    match strip(text, fix) {
        Some(rest) => {
            meter::scan(text.len());
            Value::charged_text(rest.to_owned())
        }
        None => value,
    }
}

fn trim(value: &Value, trim: fn(&str) -> &str) -> ValR<Value> {
    let text = value.as_str().ok_or_else(|| Error::str("trim input must be a string"))?;
    meter::scan(text.len());
    Ok(Value::charged_text(trim(text).to_owned()))
}

fn byte_length(value: &Value) -> ValR<Value> {
    let refuse = || {
        let kind = value.kind();
        Error::str(format_args!("{kind} ({value}) only strings have UTF-8 byte length"))
    };
    value.as_str().map(|text| Value::from(text.len())).ok_or_else(refuse)
}

fn decode_uri(value: &Value) -> ValR<Value> {
    let encoded = text(value, "decoded from a URI")?;
    meter::step(encoded.len() as u64 / 16);
    let is_whole = |part: &str| {
        part.as_bytes().get(..2).is_some_and(|it| it.iter().all(u8::is_ascii_hexdigit))
    };
    let decoded = percent_encoding::percent_decode_str(encoded).decode_utf8();
    match decoded {
        Ok(decoded) if encoded.split('%').skip(1).all(is_whole) => {
            Ok(Value::charged_text(decoded.into_owned()))
        }
        _ => {
            let kind = value.kind();
            Err(Error::str(format_args!("{kind} ({value}) is not a valid uri encoding")))
        }
    }
}

fn join(value: &Value, separator: &Value) -> ValR<Value> {
    let elements = array(value, "joined")?;
    if elements.is_empty() {
        return Ok(Value::from(""));
    }
    let separator = text(separator, "a separator")?;
    let mut joined = String::new();
    for (index, element) in elements.iter().enumerate() {
        meter::step(1);
        if index > 0 {
            meter::bytes(separator.len());
            joined.push_str(separator);
        }
        match element {
            Value::Null => {}
            Value::String(text) => {
                meter::bytes(text.len());
                joined.push_str(text);
            }
            Value::Array(_) | Value::Object(_) => {
                let joined = Value::from(joined);
                return Err(Error::str(format_args!(
                    "{} ({joined}) and {} ({element}) cannot be added",
                    joined.kind(),
                    element.kind()
                )));
            }
            scalar => joined.push_str(&scalar.to_charged_json()),
        }
    }
    Ok(Value::String(joined.into()))
}

/// Puts texts in place of parts: `found` lists start, end (in characters) and the new text of each.
fn replace(value: &Value, found: &Value) -> ValR<Value> {
    let old = text(value, "changed")?;
    meter::scan(old.len() * 4);
    let mut new = String::new();
    let mut places = old.char_indices().map(|(at, _)| at).chain([old.len()]).enumerate();
    let mut byte_of = |character: usize| {
        places.find(|(count, _)| *count >= character).map_or(old.len(), |(_, at)| at)
    };
    let (mut last_character, mut last_byte, mut from) = (usize::MAX, 0, 0);
    for one in found.as_array().unwrap_or_default() {
        meter::step(1);
        let [start, end, text] = one.as_array().unwrap_or_default() else { continue };
        let mut place = |bound: &Value| {
            let character = bound.as_i64().and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
            if last_character == usize::MAX || character > last_character {
                (last_character, last_byte) = (character, byte_of(character));
            }
            last_byte
        };
        let (start, end) = (place(start), place(end));
        let Some(text) = text.as_str() else {
            return Err(Error::str(format_args!(
                "{} ({text}) cannot replace a part of a string",
                text.kind()
            )));
        };
        meter::bytes(text.len());
        new.push_str(old.get(from..start).unwrap_or_default());
        new.push_str(text);
        from = end;
    }
    meter::bytes(old.len());
    new.push_str(old.get(from..).unwrap_or_default());
    Ok(Value::String(new.into()))
}

fn implode(value: &Value) -> ValR<Value> {
    let mut text = String::new();
    let codes = value.as_array().ok_or_else(|| Error::str("implode input must be an array"))?;
    for code in codes {
        meter::step(1);
        let number = jaq_std::ValT::as_f64(code).filter(|it| !it.is_nan()).ok_or_else(|| {
            Error::str(format_args!(
                "{} ({code}) can't be imploded, unicode codepoint needs to be numeric",
                code.kind()
            ))
        })?;
        // As in jq, what is no character becomes the replacement character.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let character = if number < 0.0 { None } else { char::from_u32(number as u32) };
        text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    Ok(Value::charged_text(text))
}

/// Takes base64 with and without padding, and with loose trailing bits, as jq does.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

fn decode_base64(value: &Value) -> ValR<Value> {
    let encoded = text(value, "decoded from base64")?;
    meter::scan(encoded.len());
    let encoded = encoded.trim_end_matches('=');
    let bytes = BASE64.decode(encoded).map_err(|error| {
        let what = match error {
            // One digit more than whole bytes take.
            base64::DecodeError::InvalidLength(_) if encoded.len() > 1 => {
                "trailing base64 byte found"
            }
            _ => "is not valid base64 data",
        };
        Error::str(format_args!("{} ({value}) {what}", value.kind()))
    })?;
    Ok(Value::charged_text(String::from_utf8_lossy(&bytes).into_owned()))
}

fn html(character: char) -> Option<&'static str> {
    match character {
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '&' => Some("&amp;"),
        '\'' => Some("&#39;"),
        '"' => Some("&quot;"),
        _ => None,
    }
}

/// Replaces characters; the text is charged while it grows.
fn escape(value: &Value, replace: fn(char) -> Option<&'static str>) -> ValR<Value> {
    let plain = text(value, "escaped")?;
    meter::step(plain.len() as u64 / 16);
    let mut escaped = String::new();
    for character in plain.chars() {
        match replace(character) {
            Some(text) => {
                meter::bytes(text.len());
                escaped.push_str(text);
            }
            None => {
                meter::bytes(character.len_utf8());
                escaped.push(character);
            }
        }
    }
    Ok(Value::String(escaped.into()))
}

fn encode_uri(value: &Value) -> ValR<Value> {
    let plain = text(value, "encoded for a URI")?;
    meter::step(plain.len() as u64 / 16);
    let mut encoded = String::new();
    for part in utf8_percent_encode(plain, RESERVED) {
        meter::bytes(part.len());
        encoded.push_str(part);
    }
    Ok(Value::String(encoded.into()))
}

fn csv_field(value: &Value) -> ValR<Value> {
    match value {
        Value::Null => Ok(Value::from("")),
        Value::String(text) => {
            meter::scan(text.len());
            Ok(Value::charged_text(format!("\"{}\"", text.replace('"', "\"\""))))
        }
        Value::Array(_) | Value::Object(_) => Err(refuse_field(value, "csv")),
        scalar => Ok(scalar.charged_json()),
    }
}

fn tsv_field(value: &Value) -> ValR<Value> {
    match value {
        Value::Null => Ok(Value::from("")),
        Value::String(text) => {
            meter::scan(text.len());
            let escaped = text.replace('\\', "\\\\").replace('\t', "\\t");
            Ok(Value::charged_text(escaped.replace('\n', "\\n").replace('\r', "\\r")))
        }
        Value::Array(_) | Value::Object(_) => Err(refuse_field(value, "tsv")),
        scalar => Ok(scalar.charged_json()),
    }
}

fn refuse_field(value: &Value, format: &str) -> Error<Value> {
    Error::str(format_args!("{} ({value}) is not valid in a {format} row", value.kind()))
}
