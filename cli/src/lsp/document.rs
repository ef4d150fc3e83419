//! One text: what is wrong with it, what can stand where, and what stands there.

use serde_json::{Value as Json, json};
use windlass_proto::definition::shape::{self, Here, Object, Property, Shape};
use windlass_proto::definition::{self, Diagnostic, Options, Severity};
use windlass_proto::value::Value;

use super::place::place;
use crate::case::read;
use crate::case::shape::SUITE;
use crate::find::TEST_ENDINGS;

/// A text that an editor has open.
pub(super) struct Document {
    text: String,
    /// A file of tests.
    is_test: bool,
}

impl Document {
    pub(super) fn new(uri: &str, text: String) -> Self {
        let is_test = TEST_ENDINGS.iter().any(|it| uri.ends_with(it));
        Self { text, is_test }
    }

    fn root(&self) -> &'static Object {
        if self.is_test { &SUITE } else { &shape::WORKFLOW }
    }

    /// What is wrong with it, as editors have it.
    pub(super) fn diagnostics(&self) -> Vec<Json> {
        let found = if self.is_test {
            read::suite(&self.text).err().unwrap_or_default()
        } else {
            let options = Options { unversioned: true, ..Options::default() };
            definition::load(&self.text, &options).diagnostics
        };
        found.iter().map(|it| self.diagnostic(it)).collect()
    }

    fn diagnostic(&self, it: &Diagnostic) -> Json {
        let number = it.line.saturating_sub(1);
        let line = self.text.lines().nth(number).unwrap_or_default();
        let from = it.column.saturating_sub(1);
        let units = |count: usize| line.chars().take(count).map(char::len_utf16).sum::<usize>();
        let message = match &it.hint {
            Some(hint) => format!("{}\n{hint}", it.message),
            None => it.message.clone(),
        };
        json!({
            "range": {
                "start": { "line": number, "character": units(from) },
                "end": { "line": number, "character": units(from.saturating_add(it.length)) },
            },
            "severity": if it.severity == Severity::Error { 1 } else { 2 },
            "code": it.code, "source": "windlass", "message": message,
        })
    }

    /// The text as far as it can be read: all of it, else without the line that is being written,
    /// else what comes before that.
    fn readable(&self, line: usize) -> Value {
        let lines: Vec<_> = self.text.lines().collect();
        let others = lines.iter().enumerate().map(|(at, it)| if at == line { "" } else { *it });
        let before = lines.iter().take(line).copied();
        let texts = [others.collect::<Vec<_>>().join("\n"), before.collect::<Vec<_>>().join("\n")];
        let whole = definition::data(&self.text).ok();
        let part = || texts.iter().find_map(|it| definition::data(it).ok());
        whole.or_else(part).unwrap_or_default()
    }

    /// The byte of a line at which so many units of UTF-16 are over.
    fn byte(&self, line: usize, character: usize) -> usize {
        let line = self.text.lines().nth(line).unwrap_or_default();
        let mut units = 0;
        for (at, sign) in line.char_indices() {
            if units >= character {
                return at;
            }
            units += sign.len_utf16();
        }
        line.len()
    }

    /// What can be written at a place.
    pub(super) fn completion(&self, line: usize, character: usize) -> Vec<Json> {
        let place = place(&self.text, line, self.byte(line, character));
        let root = self.readable(line);
        let Some(here) = shape::at(self.root(), &root, &place.path) else { return Vec::new() };
        if place.in_value {
            let item = |word: &str| json!({ "label": word, "kind": ENUM_MEMBER });
            return here.words().into_iter().map(item).collect();
        }
        let there = value_at(&root, &place.path);
        let is_there =
            |it: &Property| there.as_ref().is_some_and(|value| value.get(it.key).is_some());
        let properties = here.properties().into_iter();
        properties.filter(|it| it.key == place.key || !is_there(it)).map(item).collect()
    }

    /// What stands at a place.
    pub(super) fn hover(&self, line: usize, character: usize) -> Option<String> {
        let written = self.text.lines().nth(line)?;
        // Whoever points at a key is told of it, and so is who points at its value.
        let end = written
            .find(": ")
            .map(|it| it + 2)
            .or_else(|| written.ends_with(':').then_some(written.len()))?;
        let place = place(&self.text, line, end.max(self.byte(line, character)));
        if !place.in_value {
            return None;
        }
        let here = shape::at(self.root(), &self.readable(line + 1), &place.path)?;
        told(&here)
    }
}

/// Kinds of completions: see `CompletionItemKind`.
const PROPERTY: u8 = 10;
const ENUM_MEMBER: u8 = 20;

fn item(property: &'static Property) -> Json {
    let opens = matches!(
        property.shape,
        Shape::Of(_) | Shape::List(_) | Shape::Names(_) | Shape::One(_) | Shape::Mapping
    );
    let text = if opens { format!("{}:", property.key) } else { format!("{}: ", property.key) };
    json!({
        "label": property.key, "kind": PROPERTY, "insertText": text, "detail": property.about,
    })
}

/// What is at a place, in Markdown.
fn told(here: &Here) -> Option<String> {
    let property = here.property?;
    let mut text = format!("**{}**: {}", property.key, property.about);
    let words = here.words();
    if !words.is_empty() {
        let words: Vec<_> = words.iter().map(|it| format!("`{it}`")).collect();
        text.push_str(&format!("\n\nOne of {}", words.join(", ")));
    }
    Some(text)
}

fn value_at(root: &Value, path: &[String]) -> Option<Value> {
    path.iter().try_fold(root.clone(), |value, key| match value.as_array() {
        Some(items) => items.get(key.parse::<usize>().ok()?).cloned(),
        None => value.get(key).cloned(),
    })
}
