//! What decoding carries along, and the checks every shape shares.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::catalog::Cataloged;
use super::findings::Findings;
use super::misplaced;
use super::node::{Data, Mapping, Node, Place};
use super::source::Source;
use super::{Options, Severity, codes};
use crate::expression::Names;
use crate::plan::{Authentication, Duration, Endpoint, Raise, Retry, Task, TaskIx};
use crate::secret::SecretName;
use crate::suggest;
use crate::value::Value;

/// The parts of `use`, ready to be referred to. A `None` was defined, but with an error.
#[derive(Default)]
pub(super) struct Reusable {
    pub(super) authentications: BTreeMap<Arc<str>, Option<Arc<Authentication>>>,
    pub(super) catalogs: BTreeMap<Arc<str>, Option<Endpoint>>,
    pub(super) errors: BTreeMap<Arc<str>, Option<Raise>>,
    pub(super) functions: BTreeMap<Arc<str>, TaskIx>,
    pub(super) retries: BTreeMap<Arc<str>, Option<Arc<Retry>>>,
    pub(super) secrets: Vec<SecretName>,
    pub(super) timeouts: BTreeMap<Arc<str>, Option<Duration>>,
}

/// Turns nodes into parts of a plan. A method gives `None` when it has reported why.
pub(super) struct Decoder<'t> {
    pub(super) source: Source<'t>,
    pub(super) findings: Findings,
    /// The text was accepted before: see [`Options::accepted`].
    pub(super) accepted: bool,
    /// Schemas, and states of their patterns, so far.
    pub(super) schemas: (usize, usize),
    /// Functions the workers offer, when known.
    pub(super) registered: Option<&'t [Arc<str>]>,
    pub(super) reusable: Reusable,
    /// Names of `use.secrets`.
    pub(super) declared: HashSet<Arc<str>>,
    /// What expressions may name at the place being decoded.
    pub(super) names: Names,
    /// `evaluate.mode` is `loose`.
    pub(super) loose: bool,
    /// Of these, the arguments that are null at the place being decoded.
    pub(super) nulls: &'static [&'static str],
    /// The place being decoded is in a function or an extension.
    pub(super) extended: bool,
    /// Functions of catalogs.
    pub(super) cataloged: Cataloged,
    /// Every task, by its index; `None` until decoded.
    pub(super) tasks: Vec<Option<Task>>,
}

impl<'t> Decoder<'t> {
    pub(super) fn new(text: &'t str, findings: Findings, options: &'t Options) -> Self {
        Self {
            source: Source::new(text),
            findings,
            accepted: options.accepted,
            schemas: (0, 0),
            registered: options.functions.as_deref(),
            reusable: Reusable::default(),
            declared: HashSet::new(),
            names: Names::default(),
            loose: false,
            nulls: &[],
            extended: false,
            cataloged: Cataloged::default(),
            tasks: Vec::new(),
        }
    }
}

impl Decoder<'_> {
    pub(super) fn error(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        hint: &str,
    ) {
        self.findings.error(code, place, message, hint);
    }

    /// An error; in a text that was accepted by an earlier version, a warning. False where it is
    /// one.
    pub(super) fn error_unless_accepted(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        hint: &str,
    ) -> bool {
        if self.accepted {
            self.findings.warning(code, place, message, hint);
        } else {
            self.findings.error(code, place, message, hint);
        }
        !self.accepted
    }

    pub(super) fn warning(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        hint: &str,
    ) {
        self.findings.warning(code, place, message, hint);
    }

    pub(super) fn deviation(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        hint: &str,
    ) {
        self.findings.deviation(code, place, message, hint);
    }

    /// The nearest of `candidates`, or all when they are few; nothing when nobody would read it.
    pub(super) fn hint<'c>(
        &self,
        word: &str,
        candidates: impl IntoIterator<Item = &'c str> + Clone,
    ) -> String {
        if self.findings.is_full(Severity::Error) {
            String::new()
        } else {
            suggest::hint(word, candidates)
        }
    }

    /// The nearest of the names defined in a part of `use`, or where to define it.
    pub(super) fn hint_in<'c>(
        &self,
        part: &str,
        word: &str,
        defined: impl IntoIterator<Item = &'c str> + Clone,
    ) -> String {
        let hint = self.hint(word, defined);
        if hint.is_empty() {
            format!("define it in `use.{part}`, or write it in place")
        } else {
            hint
        }
    }

    /// Where a property belongs, or what it is called among `known`.
    fn hint_where(&self, what: &str, key: &str, known: &[&str]) -> String {
        let place = misplaced::hint(what, key).map(str::to_owned);
        place.unwrap_or_else(|| self.hint(key, known.iter().copied()))
    }

    /// Reports that `what` is not what it must be; gives nothing, to end a method with.
    pub(super) fn wrong<T>(&mut self, node: &Node, what: &str, expected: &str) -> Option<T> {
        let message = format!("{what} must be {expected}, not {}", node.what());
        let empty = matches!(&node.data, Data::Scalar { value: Value::Null, .. });
        let hint = if empty { "remove the key or give it a value" } else { "" };
        self.error(codes::WRONG_TYPE, node.place, message, hint);
        None
    }

    pub(super) fn mapping<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n Mapping> {
        match node.as_mapping() {
            Some(members) => Some(members),
            None => self.wrong(node, what, "a mapping"),
        }
    }

    /// A mapping that may have only the keys `known`.
    pub(super) fn closed<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        known: &[&str],
    ) -> Option<&'n Mapping> {
        #[cfg(test)]
        super::asked::tell(what, known);
        let members = self.mapping(node, what)?;
        for (key, member) in members {
            if !known.contains(&&**key) {
                let hint = self.hint_where(what, key, known);
                let message = format!("{what} has no property `{key}`");
                self.error(codes::UNKNOWN_KEY, member.key, message, &hint);
            }
        }
        Some(members)
    }

    /// A mapping in which other keys than `known` are ignored.
    pub(super) fn open<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        known: &[&str],
    ) -> Option<&'n Mapping> {
        #[cfg(test)]
        super::asked::tell(what, known);
        let members = self.mapping(node, what)?;
        for (key, member) in members {
            if !known.contains(&&**key) {
                let hint = self.hint_where(what, key, known);
                let message = format!("{what} has no property `{key}`; it is ignored");
                self.warning(codes::IGNORED_KEY, member.key, message, &hint);
            }
        }
        Some(members)
    }

    pub(super) fn sequence<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        match node.as_sequence() {
            Some(items) => Some(items),
            None => self.wrong(node, what, "a list"),
        }
    }

    pub(super) fn required<'n>(
        &mut self,
        node: &'n Node,
        key: &str,
        what: &str,
    ) -> Option<&'n Node> {
        self.required_so(node, key, what, "")
    }

    /// As [`Self::required`], with what to write where it is missing.
    pub(super) fn required_so<'n>(
        &mut self,
        node: &'n Node,
        key: &str,
        what: &str,
        hint: &str,
    ) -> Option<&'n Node> {
        let found = node.get(key);
        if found.is_none() {
            let message = format!("{what} needs `{key}`");
            self.error(codes::MISSING, node.place, message, hint);
        }
        found
    }

    pub(super) fn string(&mut self, node: &Node, what: &str) -> Option<Arc<str>> {
        match &node.data {
            Data::Scalar { value: Value::String(text), .. } => Some(text.clone()),
            _ => self.wrong(node, what, "a string"),
        }
    }

    pub(super) fn strings(&mut self, node: &Node, what: &str) -> Option<Vec<Arc<str>>> {
        let items = self.sequence(node, what)?;
        let each = format!("an entry of {what}");
        // Every entry is looked at before the first refused one ends it.
        let found: Vec<_> = items.iter().map(|item| self.string(item, &each)).collect();
        found.into_iter().collect()
    }

    pub(super) fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        match &node.data {
            Data::Scalar { value: Value::Bool(value), .. } => Some(*value),
            _ => self.wrong(node, what, "true or false"),
        }
    }

    /// `key` of `node` as a boolean, `default` when absent.
    pub(super) fn flag(&mut self, node: &Node, key: &str, default: bool) -> Option<bool> {
        match node.get(key) {
            Some(node) => self.boolean(node, &format!("`{key}`")),
            None => Some(default),
        }
    }

    pub(super) fn integer(
        &mut self,
        node: &Node,
        what: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let Data::Scalar { value: Value::Int(number), .. } = &node.data else {
            return self.wrong(node, what, "a whole number");
        };
        if range.contains(number) {
            return Some(*number);
        }
        let message =
            format!("{what} must be between {} and {}, not {number}", range.start(), range.end());
        self.error(codes::OUT_OF_RANGE, node.place, message, "");
        None
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        node: &Node,
        what: &str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.string(node, what)?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| **word == *text) {
            return Some(*meaning);
        }
        let hint = self.hint(&text, words.iter().map(|(word, _)| *word));
        self.error(codes::NOT_ONE_OF, node.place, format!("{what} cannot be `{text}`"), &hint);
        None
    }

    /// A name for a variable, without the `$` it may be written with.
    pub(super) fn variable(
        &mut self,
        node: Option<&Node>,
        what: &str,
        default: &str,
    ) -> Option<Arc<str>> {
        let Some(node) = node else { return Some(default.into()) };
        let text = self.string(node, what)?;
        let name = text.strip_prefix('$').unwrap_or(&text);
        if name.len() < text.len() {
            let hint = format!("write `{name}`");
            let message = format!("{what} is declared with `$`");
            self.deviation(codes::VARIABLE_DOLLAR, node.place, message, &hint);
        }
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Some(name.into());
        }
        let message = format!("{what} cannot be `{text}`");
        let hint = "use letters, digits and `_`, starting with no digit";
        self.error(codes::BAD_VARIABLE, node.place, message, hint);
        None
    }

    /// Runs `decode` with more variables bound.
    pub(super) fn bound<T>(
        &mut self,
        names: &[Option<Arc<str>>],
        decode: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let before = self.names.bound.len();
        self.names.bound.extend(names.iter().flatten().cloned());
        let result = decode(self);
        self.names.bound.truncate(before);
        result
    }
}

/// Decodes an optional part: absent is fine, refused is `None`.
///
/// `Some(None)` means absent, `Some(Some(part))` decoded, `None` refused.
pub(super) fn optional<T>(
    node: Option<&Node>,
    decode: impl FnOnce(&Node) -> Option<T>,
) -> Option<Option<T>> {
    match node {
        None => Some(None),
        Some(node) => decode(node).map(Some),
    }
}
