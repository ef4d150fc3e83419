//! Files beside definitions, such as tests of workflows: YAML 1.2 or JSON within the limits of
//! definitions, with the place of each value, so that mistakes are told where they are made.

use super::codes;
use super::findings::Findings;
use super::node::{Node, Place};
use super::source::Source;
use super::{Diagnostic, Severity};
use crate::expression::{Names, Program};
use crate::suggest;
use crate::value::Value;

/// The code of a key that is not known.
pub const UNKNOWN_KEY: &str = codes::TEST_KEY;
/// The code of a value that does not belong where it is.
pub const BAD_VALUE: &str = codes::TEST_VALUE;
/// The code of what names nothing in the workflows.
pub const NO_TARGET: &str = codes::TEST_TARGET;

/// A text that was read.
pub struct Document {
    text: String,
    root: Node,
    pointers: super::node::Pointers,
}

/// A value of a document.
#[derive(Clone, Copy)]
pub struct Located<'d> {
    document: &'d Document,
    node: &'d Node,
    /// Where its key stands; for what has none, where it stands itself.
    key: Place,
}

impl Document {
    /// Reads a text.
    ///
    /// # Errors
    /// What is wrong with it, where it is no YAML.
    pub fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut findings = Findings::new(false);
        match super::text::parse(text, &mut findings) {
            Some(root) => {
                let pointers = std::mem::take(&mut findings.pointers);
                Ok(Self { text: text.to_owned(), root, pointers })
            }
            None => Err(findings.finish()),
        }
    }

    /// All of it.
    #[must_use]
    pub fn root(&self) -> Located<'_> {
        Located { document: self, node: &self.root, key: self.root.place }
    }

    /// The line of what a JSON pointer leads to, as far as that exists: that of its key.
    #[must_use]
    pub fn line_of(&self, pointer: &str) -> usize {
        let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
        let name = name.replace("~1", "/").replace("~0", "~");
        let parent = self.root.at(parent);
        let key = parent.as_mapping().and_then(|it| it.get(&*name)).map(|it| it.key);
        key.unwrap_or_else(|| self.root.at(pointer).place).span.line.max(1)
    }
}

impl<'d> Located<'d> {
    /// It as data.
    #[must_use]
    pub fn value(self) -> Value {
        self.node.value()
    }

    /// The text that it is.
    #[must_use]
    pub fn as_str(self) -> Option<&'d str> {
        self.node.as_str()
    }

    /// What it is, for messages: `a list`, `a string`, …
    #[must_use]
    pub fn what(self) -> &'static str {
        self.node.what()
    }

    /// Its members, where it is a mapping.
    #[must_use]
    pub fn members(self) -> Option<Vec<(&'d str, Self)>> {
        let members = self.node.as_mapping()?.iter();
        let located = members.map(|(key, member)| {
            let it = Self { document: self.document, node: &member.node, key: member.key };
            (&**key, it)
        });
        Some(located.collect())
    }

    /// Its elements, where it is a list.
    #[must_use]
    pub fn elements(self) -> Option<Vec<Self>> {
        let elements = self.node.as_sequence()?.iter();
        Some(elements.map(|node| Self { node, key: node.place, ..self }).collect())
    }

    /// The member of this name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Self> {
        let member = self.node.as_mapping()?.get(name)?;
        Some(Self { document: self.document, node: &member.node, key: member.key })
    }

    /// Its line, from 1.
    #[must_use]
    pub fn line(self) -> usize {
        self.node.place.span.line.max(1)
    }

    /// Something is wrong with it.
    #[must_use]
    pub fn finding(self, code: &'static str, message: &str, hint: &str) -> Diagnostic {
        self.at(self.node.place, code, message, hint)
    }

    /// Something is wrong with its key.
    #[must_use]
    pub fn key_finding(self, code: &'static str, message: &str, hint: &str) -> Diagnostic {
        self.at(self.key, code, message, hint)
    }

    /// Its members that are none of `known`; what it is otherwise is for others to say.
    #[must_use]
    pub fn unknown(self, known: &[&'static str]) -> Vec<Diagnostic> {
        let members = self.members().unwrap_or_default();
        let unknown = members.into_iter().filter(|(key, _)| !known.contains(key));
        let told = unknown.map(|(key, it)| {
            let hint = suggest::hint(key, known.iter().copied());
            it.key_finding(UNKNOWN_KEY, &format!("`{key}` is not known here"), &hint)
        });
        told.collect()
    }

    /// The jq program that it is, with or without `${ }` around it.
    ///
    /// # Errors
    /// When it is none.
    pub fn program(self) -> Result<Program, Diagnostic> {
        let Some(text) = self.as_str() else {
            let message = format!("{} stands where a jq expression belongs", self.what());
            return Err(self.finding(BAD_VALUE, &message, "write it as a string"));
        };
        let inner = text.trim().strip_prefix("${").and_then(|it| it.strip_suffix('}'));
        let program = inner.unwrap_or(text);
        let before = inner.map_or(0, |it| it.as_ptr().addr() - text.as_ptr().addr());
        Program::compile(program, &Names::default()).map_err(|error| {
            let source = Source::new(&self.document.text);
            let place = source.inside(self.node, before + error.offset, error.length);
            let hint = error.hint.as_deref().unwrap_or_default();
            self.at(place, codes::BAD_EXPRESSION, &error.message, hint)
        })
    }

    fn at(self, place: Place, code: &'static str, message: &str, hint: &str) -> Diagnostic {
        let mut findings = Findings::new(false);
        findings.error(code, place, message, hint);
        let pointer = self.document.pointers.pointer(place.id);
        let found = findings.finish().pop();
        // One that was just added is there.
        let found = found.unwrap_or(Diagnostic {
            code,
            severity: Severity::Error,
            message: message.to_owned(),
            line: 1,
            column: 1,
            length: 1,
            pointer: String::new(),
            hint: None,
        });
        Diagnostic { pointer, ..found }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Document;

    #[test]
    fn mistakes_are_told_where_they_are_made() {
        let text = "cases:\n  - name: a\n    epxect: { check: '.a ==' }\n";
        let document = Document::parse(text).unwrap();
        let cases = document.root().get("cases").unwrap().elements().unwrap();
        let found = cases[0].unknown(&["name", "expect"]);
        let found: Vec<_> = found.iter().map(|it| (it.line, it.column, it.hint.clone())).collect();
        assert_eq!(found, [(3, 5, Some("did you mean `expect`?".to_owned()))]);
        let check = cases[0].get("epxect").unwrap().get("check").unwrap();
        let error = check.program().err().unwrap();
        assert_eq!((error.line, error.pointer.as_str()), (3, "/cases/0/epxect/check"));
        assert!(error.column >= 23, "{error:?}");
        assert_eq!(document.line_of("/cases/0/name"), 2);
        let nested = Document::parse("do:\n  - a~b:\n      c: 1\n").unwrap();
        assert_eq!(nested.line_of("/do/0/a~0b"), 2);
        assert_eq!(nested.line_of("/do/0/a~0b/c/not/there"), 3);
        assert!(Document::parse("a: [").is_err());
    }
}
