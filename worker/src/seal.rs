//! What was read as a secret does not leave this process in the clear.
//!
//! [`Seal`] knows the secrets of one attempt: those it has read, and those in the sealed values it
//! has opened. A secret is recognised as it stands and in the common encodings (see `forms`,
//! `unescape`). What a program changes beyond that (reversed, split, hashed) cannot be recognised;
//! ARCHITECTURE.md says so plainly.
//!
//! Data is sealed: each string or number with a secret in it becomes ciphertext that a later task
//! can open. What only people read (errors, logs) gets a text in its place, and so do keys of
//! objects, which have to be text.

mod content;
mod encoded;
mod forms;
mod found;
mod matcher;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod unescape;
mod url;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use windlass_proto::limits;
use windlass_proto::problem::Problem;
pub(crate) use windlass_proto::sealed::SHOWN;
use windlass_proto::sealed::Sealed;
use windlass_proto::value::Value;
use zeroize::Zeroizing;

use crate::decimal::Decimal;

pub(crate) use content::Content;
pub(crate) use encoded::{Hidden, Search};
use found::{Leaf, leaf};
use matcher::Matcher;

/// The secrets of one attempt.
#[derive(Default)]
pub(crate) struct Seal {
    known: Vec<Known>,
    /// Made when it is needed, from all that is known then.
    matcher: OnceLock<Arc<Matcher>>,
    /// Likewise: the numbers among the texts, by what they are worth.
    numbers: OnceLock<HashMap<Decimal, usize>>,
    /// Sealed values that were opened, by what is in them: they need not be sealed twice.
    opened: HashMap<Leaf, Arc<Sealed>>,
}

/// A text that must not leave.
struct Known {
    text: Zeroizing<String>,
    origin: Origin,
}

/// Where a text comes from.
enum Origin {
    /// It is a secret.
    Secret,
    /// A line of the secret with this number.
    Line(usize),
    /// A value with these secrets in it, which need not be recognisable there.
    Sealed(Vec<usize>),
}

impl Seal {
    /// True when there is nothing to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Adds all texts and numbers inside `value`. True when one of them is too short to be searched
    /// for.
    pub(crate) fn add_value(&mut self, value: &Value) -> bool {
        match value {
            Value::Null | Value::Bool(_) | Value::Sealed(_) => false,
            Value::String(text) => self.add(text),
            Value::Int(_) | Value::Float(_) | Value::Big(_) => self.add(&value.to_json()),
            Value::Array(_) => {
                let elements = value.as_array().unwrap_or_default().iter();
                elements.fold(false, |short, it| self.add_value(it) | short)
            }
            Value::Object(_) => {
                let members = value.as_object().into_iter().flatten();
                members.fold(false, |short, (_, it)| self.add_value(it) | short)
            }
        }
    }

    /// Adds a secret. True when it is too short to be searched for.
    pub(crate) fn add(&mut self, text: &str) -> bool {
        // A file's last newline is rarely sent along.
        let trimmed = text.trim();
        if trimmed.len() < limits::SECRET_SHORTEST_BYTES {
            return !trimmed.is_empty();
        }
        let whole = self.learn(trimmed, Origin::Secret);
        let lines = trimmed.lines().map(str::trim);
        // The frame of a PEM file is no secret, and every such file has it.
        let telling =
            |line: &&str| line.len() >= limits::SECRET_LINE_BYTES && !line.starts_with("-----");
        for line in lines.filter(telling).filter(|line| *line != trimmed) {
            if self.known.len() >= limits::SECRET_LINES {
                break;
            }
            self.learn(line, Origin::Line(whole));
        }
        false
    }

    /// True when there are more texts than are searched for at once.
    pub(crate) fn is_overfull(&self) -> bool {
        self.known.len() > limits::SECRET_TEXTS
    }

    /// Adds what a sealed value holds.
    pub(crate) fn add_content(&mut self, content: &Content, sealed: Arc<Sealed>) {
        let mut inner = Vec::new();
        for secret in &content.secrets {
            self.add(secret);
            inner.extend(self.known.iter().position(|it| *it.text == secret.trim()));
        }
        let leaf = leaf(&content.value);
        let trimmed = leaf.text.trim();
        // Where a secret stands in it as it is, it is there in every form of the whole as well.
        let plain = content.secrets.iter().any(|it| trimmed.contains(it.trim()));
        if inner.is_empty() {
            self.add(trimmed);
        } else if !plain && trimmed.len() >= limits::SECRET_SHORTEST_BYTES {
            self.learn(trimmed, Origin::Sealed(inner));
        }
        self.opened.insert(leaf, sealed);
    }

    /// `bytes` in base64, which counts as a secret where there is one in `bytes`: there it can be
    /// written in a way that its base64 does not tell.
    pub(crate) fn encoded(&mut self, bytes: &[u8]) -> String {
        if let Some(search) = self.bytes_search() {
            self.learn_hidden(search.hidden(&[bytes]));
        }
        STANDARD.encode(bytes)
    }

    /// Searches bytes, many of them and on any thread, for what is known now; none where there is
    /// nothing to look for.
    pub(crate) fn bytes_search(&self) -> Option<Search> {
        (!self.is_empty()).then(|| Search::new(self.matcher().clone()))
    }

    /// Adds what a [`Search`] of this seal has found, which may make it overfull.
    pub(crate) fn learn_hidden(&mut self, all: Vec<Hidden>) {
        for Hidden { text, secrets } in all {
            self.learn(&text, Origin::Sealed(secrets));
        }
    }

    /// The number of a text, which is new or known.
    fn learn(&mut self, text: &str, origin: Origin) -> usize {
        if let Some(place) = self.known.iter().position(|it| **it.text == *text) {
            return place;
        }
        self.matcher = OnceLock::new();
        self.numbers = OnceLock::new();
        self.known.push(Known { text: Zeroizing::new(text.to_owned()), origin });
        self.known.len() - 1
    }

    fn matcher(&self) -> &Arc<Matcher> {
        let texts = || self.known.iter().map(|it| it.text.as_str());
        self.matcher.get_or_init(|| Arc::new(Matcher::new(texts())))
    }

    /// The secret that is this number, however it was written, or whose double it is. A number is a
    /// secret only as a whole: digits of one appear in many others.
    fn number(&self, number: &Value) -> Option<usize> {
        let numbers = self.numbers.get_or_init(|| {
            let mut numbers = HashMap::new();
            for (place, known) in self.known.iter().enumerate() {
                let worth = [Decimal::parse(&known.text), Decimal::rounded(&known.text)];
                // Zero is no secret, however long it is written.
                for worth in worth.into_iter().flatten().filter(|it| !it.is_zero()) {
                    numbers.entry(worth).or_insert(place);
                }
            }
            numbers
        });
        if numbers.is_empty() {
            return None;
        }
        let text = number.to_json();
        // What is written in as few bytes is not searched for.
        let worth = (text.len() >= limits::SECRET_SHORTEST_BYTES).then(|| Decimal::parse(&text));
        numbers.get(&worth??).copied()
    }

    /// True when a secret is in `text`.
    pub(crate) fn found_in(&self, text: &str) -> bool {
        !self.is_empty() && self.matcher().finds(text)
    }

    /// `text` with secrets replaced.
    pub(crate) fn text(&self, text: &str) -> String {
        if self.is_empty() { text.to_owned() } else { self.matcher().replaced(text, SHOWN) }
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
        for known in &self.known {
            let value = &known.text;
            let Some(head) = value.get(..limits::SECRET_SHORTEST_BYTES) else { continue };
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
                    out.replace_range(start..start + same, SHOWN);
                    from = start + SHOWN.len();
                } else {
                    from = start + same;
                }
            }
        }
        out
    }
}
