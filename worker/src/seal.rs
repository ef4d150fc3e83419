//! What was read as a secret does not leave this process: it is replaced in everything reported.
//!
//! A value is recognised as it stands, in base64 at any alignment, base64url, percent-encoded,
//! JSON-escaped and in hexadecimal. What a program changes beyond that (reversed, split, hashed)
//! cannot be recognised; ARCHITECTURE.md says so plainly.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use windlass_proto::problem::Problem;
use windlass_proto::value::{Members, Value};
use zeroize::Zeroizing;

/// What stands in the place of a secret.
pub(crate) const SEALED: &str = "«sealed»";

/// Shorter secrets are not searched for: they would be found in everything.
const SHORTEST: usize = 4;

/// RFC 3986: what never needs encoding.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The secret values one attempt has read.
#[derive(Default)]
pub(crate) struct Seal {
    /// What to look for, the longest first, so that no part of one is left over by another.
    needles: Vec<Zeroizing<String>>,
    /// The values themselves: a cut-off copy of one is recognised by its beginning.
    values: Vec<Zeroizing<String>>,
}

impl Seal {
    /// True when nothing was read: then there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// Adds all texts and numbers inside `value`.
    pub(crate) fn add_value(&mut self, value: &Value) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::String(text) => self.add(text),
            Value::Int(_) | Value::Float(_) | Value::Big(_) => self.add(&value.to_json()),
            Value::Array(_) => {
                value.as_array().unwrap_or_default().iter().for_each(|it| self.add_value(it));
            }
            Value::Object(_) => {
                value.as_object().into_iter().flatten().for_each(|(_, it)| self.add_value(it));
            }
        }
    }

    /// Adds `text` in all forms it is recognised in.
    pub(crate) fn add(&mut self, text: &str) {
        // A file's last newline is rarely sent along.
        let trimmed = text.trim();
        if trimmed.len() < SHORTEST || self.values.iter().any(|it| ***it == *trimmed) {
            return;
        }
        let mut forms = vec![trimmed.to_owned(), hex(trimmed.as_bytes())];
        forms.push(hex(trimmed.as_bytes()).to_ascii_uppercase());
        forms.push(json_escaped(trimmed));
        forms.push(utf8_percent_encode(trimmed, UNRESERVED).to_string());
        forms.push(utf8_percent_encode(trimmed, UNRESERVED).to_string().replace("%20", "+"));
        for skipped in 0..3 {
            forms.extend(base64_at(trimmed.as_bytes(), skipped));
        }
        self.needles
            .extend(forms.into_iter().filter(|it| it.len() >= SHORTEST).map(Zeroizing::new));
        self.needles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.needles.dedup();
        self.values.push(Zeroizing::new(trimmed.to_owned()));
    }

    /// True when a secret is in `text`.
    pub(crate) fn found_in(&self, text: &str) -> bool {
        self.needles.iter().any(|needle| text.contains(needle.as_str()))
    }

    /// `text` with secrets replaced; `None` when there are none in it.
    fn replaced(&self, text: &str) -> Option<String> {
        let mut out: Option<String> = None;
        for needle in &self.needles {
            let current = out.as_deref().unwrap_or(text);
            if current.contains(needle.as_str()) {
                out = Some(current.replace(needle.as_str(), SEALED));
            }
        }
        out
    }

    /// `text` with secrets replaced.
    pub(crate) fn text(&self, text: &str) -> String {
        self.replaced(text).unwrap_or_else(|| text.to_owned())
    }

    /// `value` with secrets replaced, in keys too.
    pub(crate) fn value(&self, value: Value) -> Value {
        if self.is_empty() || !self.occurs(&value) {
            return value;
        }
        match value {
            Value::String(text) => self.replaced(&text).map_or(Value::String(text), Value::from),
            Value::Int(_) | Value::Float(_) | Value::Big(_) => Value::from(SEALED),
            Value::Array(_) => Value::array(
                value
                    .into_elements()
                    .unwrap_or_default()
                    .into_iter()
                    .map(|it| self.value(it))
                    .collect(),
            ),
            Value::Object(_) => {
                let members = value.into_members().unwrap_or_default();
                let member = |(key, value): (Arc<str>, Value)| {
                    (self.replaced(&key).map_or(key, Arc::from), self.value(value))
                };
                Value::from(members.into_iter().map(member).collect::<Members>())
            }
            Value::Null | Value::Bool(_) => value,
        }
    }

    fn occurs(&self, value: &Value) -> bool {
        match value {
            Value::Null | Value::Bool(_) => false,
            Value::String(text) => self.found_in(text),
            // A number is a secret only as a whole: digits of one appear in many others.
            Value::Int(_) | Value::Float(_) | Value::Big(_) => {
                let text = value.to_json();
                self.values.iter().any(|it| **it == text)
            }
            Value::Array(_) => {
                value.as_array().unwrap_or_default().iter().any(|it| self.occurs(it))
            }
            Value::Object(_) => value
                .as_object()
                .into_iter()
                .flatten()
                .any(|(key, value)| self.found_in(key) || self.occurs(value)),
        }
    }

    /// `problem` with secrets replaced, cut-off ones included.
    pub(crate) fn problem(&self, mut problem: Problem) -> Problem {
        if self.is_empty() {
            return problem;
        }
        let sealed = |text: &str| Arc::from(self.without_beginnings(&self.text(text)));
        problem.title = problem.title.as_deref().map(sealed);
        problem.detail = problem.detail.as_deref().map(sealed);
        problem.kind = sealed(&problem.kind);
        problem.instance = problem.instance.as_deref().map(sealed);
        problem
    }

    /// Messages show shortened data: replaces the beginning of a secret where the text is cut.
    fn without_beginnings(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for value in &self.values {
            let Some(head) = value.get(..SHORTEST) else { continue };
            let mut from = 0;
            while let Some(at) = out.get(from..).and_then(|rest| rest.find(head)) {
                let start = from + at;
                let rest = &out[start..];
                let same: usize = rest
                    .chars()
                    .zip(value.chars())
                    .take_while(|(a, b)| a == b)
                    .map(|(a, _)| a.len_utf8())
                    .sum();
                let after = &rest[same..];
                if after.is_empty() || after.starts_with('…') || after.starts_with("...") {
                    out.replace_range(start..start + same, SEALED);
                    from = start + SEALED.len();
                } else {
                    from = start + same;
                }
            }
        }
        out
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn json_escaped(text: &str) -> String {
    let quoted = Value::from(text).to_json();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

/// What stands for `bytes` in the base64 of a longer text in which they begin `skipped` bytes after
/// a multiple of three: only the characters that no neighbour touches. In both alphabets.
fn base64_at(bytes: &[u8], skipped: usize) -> Vec<String> {
    let mut padded = vec![0; skipped];
    padded.extend_from_slice(bytes);
    let start = (skipped * 8).div_ceil(6);
    let end = padded.len() * 8 / 6;
    [STANDARD.encode(&padded), URL_SAFE.encode(&padded)]
        .iter()
        .filter_map(|encoded| encoded.get(start..end))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use windlass_proto::problem::{Problem, Standard};
    use windlass_proto::value::Value;

    use super::{SEALED, Seal, hex};

    const CANARY: &str = "s3cr3t/\"käny+ ?~>";

    fn seal() -> Seal {
        let mut seal = Seal::default();
        seal.add_value(&Value::object([
            ("password", Value::from(CANARY)),
            ("pin", Value::Int(9_876_543)),
            ("short", Value::from("abc")),
        ]));
        seal
    }

    #[test]
    fn every_common_encoding_is_recognised() {
        let seal = seal();
        let quoted = Value::from(CANARY).to_json();
        let mut texts = vec![CANARY.to_owned(), quoted, hex(CANARY.as_bytes())];
        for prefix in ["", "x", "xy", "user:"] {
            for suffix in ["", "z", "zz"] {
                let text = format!("{prefix}{CANARY}{suffix}");
                texts.push(STANDARD.encode(&text));
                texts.push(URL_SAFE_NO_PAD.encode(&text));
            }
        }
        texts.push("s3cr3t%2F%22k%C3%A4ny%2B%20%3F~%3E".to_owned());
        for text in texts {
            let sealed = seal.text(&format!("before {text} after"));
            assert!(sealed.contains(SEALED), "{text}");
        }
        assert_eq!(seal.text("abc is too short"), "abc is too short");
    }

    #[test]
    fn values_are_sealed_in_keys_numbers_and_nested_places() {
        let value = Value::object([
            (CANARY, Value::from(vec![Value::Int(9_876_543), Value::Int(98_765_431)])),
            ("other", Value::from(format!("say {CANARY}!"))),
        ]);
        let expected = Value::object([
            (SEALED, Value::from(vec![Value::from(SEALED), Value::Int(98_765_431)])),
            ("other", Value::from(format!("say {SEALED}!"))),
        ]);
        assert_eq!(seal().value(value), expected);
    }

    #[test]
    fn the_cut_off_beginning_of_a_secret_in_a_message_is_sealed() {
        for cut in ["cannot index s3cr3t/", "cannot index s3cr3t... with", "at s3cr… (string)"] {
            let problem = seal().problem(Problem::new(Standard::Expression, cut));
            let detail = problem.detail.unwrap();
            assert!(!detail.contains("s3cr"), "{detail}");
        }
        let plain = Problem::new(Standard::Expression, "s3cret is a word");
        assert_eq!(seal().problem(plain.clone()), plain);
    }
}
