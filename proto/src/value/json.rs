//! JSON text: writing, and reading without recursion.
//!
//! serde's JSON would round integers beyond 64 bits; here they keep their digits.

use std::fmt;
use std::sync::Arc;

use super::{Members, Value};
use crate::limits;

/// Why a text is not JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON: {what} at byte {offset}")]
pub struct JsonError {
    /// What is wrong.
    pub what: &'static str,
    /// Where, in bytes from the start of the text.
    pub offset: usize,
}

impl Value {
    /// Reads one JSON value, surrounded by nothing but white space.
    ///
    /// Integers of up to a thousand digits keep them. A repeated key keeps its last value.
    ///
    /// # Errors
    /// When the text is not JSON, nests deeper than [`limits::VALUE_DEPTH`], or has a number such
    /// as `1e999`, for which there is no value.
    pub fn from_json(text: &str) -> Result<Self, JsonError> {
        Self::from_json_within(text, limits::VALUE_DEPTH)
    }

    /// [`Self::from_json`] for documents that have such values inside: they may nest so many
    /// levels.
    ///
    /// # Errors
    /// Likewise.
    pub fn from_json_within(text: &str, levels: u32) -> Result<Self, JsonError> {
        let mut reader = Reader { text, at: 0, levels };
        let value = reader.value()?;
        reader.space();
        if reader.at < text.len() { Err(reader.error("text after the value")) } else { Ok(value) }
    }

    /// [`Self::from_json`] of bytes.
    ///
    /// # Errors
    /// Likewise, and when they are not UTF-8.
    pub fn from_json_bytes(bytes: &[u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(bytes).map_err(|error| JsonError {
            what: "the text is not UTF-8",
            offset: error.valid_up_to(),
        })?;
        Self::from_json(text)
    }

    /// Compact JSON text. Not-a-number becomes `null` and infinity the largest number, as in jq.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write(self, &mut text);
        text
    }
}

impl Value {
    /// Bytes of its JSON text; none when there are more than `most`.
    #[must_use]
    pub fn json_bytes(&self, most: usize) -> Option<usize> {
        let mut room = Room(most);
        write(self, &mut room).is_ok().then(|| most - room.0)
    }
}

/// Counts what would be written, and ends when there is no room for more.
struct Room(usize);

impl fmt::Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

impl fmt::Display for Value {
    /// A short view for messages: compact JSON, cut after some 120 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if crate::expression::meter::is_blind() {
            return f.write_str(self.kind());
        }
        let mut short = Short { text: String::new(), room: 120 };
        let whole = write(self, &mut short).is_ok();
        f.write_str(&short.text)?;
        if whole { Ok(()) } else { f.write_str("…") }
    }
}

impl Value {
    /// Compact JSON text, built at the expense of the running evaluation.
    pub(crate) fn to_charged_json(&self) -> String {
        self.touch_deeply();
        let mut text = Charged(String::new());
        let _ = write(self, &mut text);
        text.0
    }

    /// jq's name for the type; of a sealed value for messages only.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) | Self::Float(_) | Self::Big(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
            Self::Sealed(_) => "sealed value",
        }
    }
}

/// Charges the meter for each byte.
struct Charged(String);

impl fmt::Write for Charged {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        crate::expression::meter::bytes(text.len());
        self.0.push_str(text);
        Ok(())
    }
}

/// Takes a bounded number of characters, then fails.
struct Short {
    text: String,
    room: usize,
}

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.room = self.room.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(character);
        }
        Ok(())
    }
}

fn write(value: &Value, out: &mut impl fmt::Write) -> fmt::Result {
    match value {
        Value::Null => out.write_str("null"),
        Value::Bool(it) => out.write_str(if *it { "true" } else { "false" }),
        Value::Int(it) => write!(out, "{it}"),
        Value::Float(it) => write_float(*it, out),
        Value::Big(digits) => out.write_str(digits),
        Value::String(text) => write_string(text, out),
        Value::Sealed(_) => write_string(crate::sealed::SHOWN, out),
        Value::Array(array) => {
            out.write_char('[')?;
            for (index, element) in array.elements.iter().enumerate() {
                if index > 0 {
                    out.write_char(',')?;
                }
                write(element, out)?;
            }
            out.write_char(']')
        }
        Value::Object(object) => {
            out.write_char('{')?;
            for (index, (key, value)) in object.members.iter().enumerate() {
                if index > 0 {
                    out.write_char(',')?;
                }
                write_string(key, out)?;
                out.write_char(':')?;
                write(value, out)?;
            }
            out.write_char('}')
        }
    }
}

fn write_float(number: f64, out: &mut impl fmt::Write) -> fmt::Result {
    if number.is_nan() {
        return out.write_str("null");
    }
    let number = number.clamp(f64::MIN, f64::MAX);
    // The debug form is the shortest one that reads back the same, with an exponent when long.
    let text = format!("{number:?}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => {
            write!(out, "{digits}e+{exponent}")
        }
        _ => out.write_str(&text),
    }
}

fn write_string(text: &str, out: &mut impl fmt::Write) -> fmt::Result {
    out.write_char('"')?;
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..0x20 | 0x7f => "",
            _ => continue,
        };
        out.write_str(text.get(plain..at).unwrap_or_default())?;
        if escape.is_empty() {
            write!(out, "\\u{byte:04x}")?;
        } else {
            out.write_str(escape)?;
        }
        plain = at + 1;
    }
    out.write_str(text.get(plain..).unwrap_or_default())?;
    out.write_char('"')
}

/// A composite whose end was not reached yet.
enum Open {
    Array(Vec<Value>),
    Object(Members, Arc<str>),
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    levels: u32,
}

impl Reader<'_> {
    fn error(&self, what: &'static str) -> JsonError {
        JsonError { what, offset: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), JsonError> {
        self.space();
        if self.peek() != Some(byte) {
            return Err(self.error(what));
        }
        self.at += 1;
        Ok(())
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self) -> Result<Value, JsonError> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            if open.len() > self.levels as usize {
                return Err(self.error("nested too deeply"));
            }
            self.space();
            let mut done = match self.peek() {
                Some(b'[') => {
                    self.at += 1;
                    if !self.eat(b']') {
                        open.push(Open::Array(Vec::new()));
                        continue;
                    }
                    Value::array(Vec::new())
                }
                Some(b'{') => {
                    self.at += 1;
                    if !self.eat(b'}') {
                        let key = self.key()?;
                        open.push(Open::Object(Members::new(), key));
                        continue;
                    }
                    Value::empty_object()
                }
                _ => self.scalar()?,
            };
            loop {
                match open.pop() {
                    None => return Ok(done),
                    Some(Open::Array(mut elements)) => {
                        elements.push(done);
                        if self.eat(b',') {
                            open.push(Open::Array(elements));
                            break;
                        }
                        self.expect(b']', "expected `,` or `]`")?;
                        done = Value::array(elements);
                    }
                    Some(Open::Object(mut members, key)) => {
                        members.insert(key, done);
                        if self.eat(b',') {
                            let key = self.key()?;
                            open.push(Open::Object(members, key));
                            break;
                        }
                        self.expect(b'}', "expected `,` or `}`")?;
                        done = Value::from(members);
                    }
                }
            }
        }
    }

    fn key(&mut self) -> Result<Arc<str>, JsonError> {
        self.space();
        if self.peek() != Some(b'"') {
            return Err(self.error("expected a key in double quotes"));
        }
        let key = self.string()?;
        self.expect(b':', "expected `:`")?;
        Ok(key.into())
    }

    fn scalar(&mut self) -> Result<Value, JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        for (word, value) in
            [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))]
        {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        match self.peek() {
            Some(b'"') => Ok(Value::from(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            None => Err(self.error("the text ends too early")),
            _ => Err(self.error("expected a value")),
        }
    }

    fn digits(&mut self) -> Result<usize, JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.error("expected a digit")) } else { Ok(self.at - start) }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let zero = self.peek() == Some(b'0');
        if self.digits()? > 1 && zero {
            return Err(self.error("a number must not start with 0"));
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        match Value::parse_number(text, integer) {
            Value::Float(number) if number.is_infinite() => {
                self.at = start;
                Err(self.error("a number beyond what 64-bit floating point holds"))
            }
            number => Ok(number),
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let start = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..0x20)) {
                self.at += 1;
            }
            text.push_str(self.text.get(start..self.at).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                None => return Err(self.error("a string has no end")),
                _ => return Err(self.error("a control character inside a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        self.at += 1;
        let character = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                let first = self.hexadecimal()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                let rest = self.text.get(self.at..).unwrap_or_default();
                if !rest.starts_with("\\u") {
                    return Ok(char::REPLACEMENT_CHARACTER);
                }
                let back = self.at;
                self.at += 2;
                let second = self.hexadecimal()?;
                if !(0xdc00..0xe000).contains(&second) {
                    self.at = back;
                    return Ok(char::REPLACEMENT_CHARACTER);
                }
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            _ => return Err(self.error("an unknown escape")),
        };
        self.at += 1;
        Ok(character)
    }

    fn hexadecimal(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
        if digits.len() != 4 || !digits.bytes().all(|it| it.is_ascii_hexdigit()) {
            return Err(self.error("expected four hexadecimal digits"));
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| self.error("expected four hexadecimal digits"))
    }
}

impl Value {
    /// A number from its text, which must be one.
    pub(crate) fn parse_number(text: &str, integer: bool) -> Self {
        if integer && text.len() <= limits::INTEGER_CHARACTERS {
            text.parse().map_or_else(|_| Self::Big(text.into()), Self::Int)
        } else {
            Self::Float(text.parse().unwrap_or(f64::NAN))
        }
    }
}
