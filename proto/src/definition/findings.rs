//! Findings as they are collected.

use super::node::{Place, Pointers};
use super::{Diagnostic, Severity};
use crate::limits;

/// Collects what is found, errors and warnings each up to a limit, each thing once.
#[derive(Default)]
pub(super) struct Findings {
    list: Vec<Diagnostic>,
    /// How a place becomes a JSON pointer.
    pub(super) pointers: Pointers,
    /// Deviations are errors.
    pub(super) strict: bool,
    /// What cannot be done here is an error.
    pub(super) refuse_unsupported: bool,
    errors: bool,
}

impl Findings {
    pub(super) fn new(strict: bool) -> Self {
        Self { strict, ..Self::default() }
    }

    pub(super) fn has_errors(&self) -> bool {
        self.errors
    }

    /// True when further findings of this kind are dropped, so that no work need go into them.
    /// Warnings do not take the room of errors: a definition is refused with a reason.
    pub(super) fn is_full(&self, severity: Severity) -> bool {
        let kept = self.list.iter().filter(|it| it.severity == severity).count();
        kept >= limits::DEFINITION_FINDINGS
    }

    pub(super) fn error(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        hint: &str,
    ) {
        self.add(Severity::Error, code, place, message.into(), hint);
    }

    pub(super) fn warning(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        hint: &str,
    ) {
        self.add(Severity::Warning, code, place, message.into(), hint);
    }

    /// Something accepted beside what the specification writes.
    pub(super) fn deviation(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        hint: &str,
    ) {
        let severity = if self.strict { Severity::Error } else { Severity::Warning };
        self.add(severity, code, place, message.into(), hint);
    }

    /// Something right by the specification that this version cannot do.
    pub(super) fn unsupported(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        hint: &str,
    ) {
        let severity = if self.refuse_unsupported { Severity::Error } else { Severity::Warning };
        self.add(severity, code, place, message.into(), hint);
    }

    fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        place: Place,
        message: String,
        hint: &str,
    ) {
        self.errors |= severity == Severity::Error;
        if self.is_full(severity) {
            return;
        }
        let span = place.span;
        let (line, column) = (span.line.max(1), span.column.max(1));
        let length = if span.end_line == span.line {
            span.end_column.saturating_sub(column).max(1)
        } else {
            1
        };
        let message = shown(&message, limits::FINDING_CHARACTERS);
        // What an alias repeats is found at the same place again.
        let known = self.list.iter().any(|it| {
            it.code == code && it.line == line && it.column == column && it.message == message
        });
        if known {
            return;
        }
        self.list.push(Diagnostic {
            code,
            severity,
            message,
            line,
            column,
            length,
            pointer: shown(&self.pointers.pointer(place.id), limits::FINDING_POINTER_CHARACTERS),
            hint: (!hint.is_empty()).then(|| shown(hint, limits::FINDING_CHARACTERS)),
        });
    }

    /// All findings in the order of the text.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|it| (it.line, it.column));
        self.list
    }
}

/// Text fit for a terminal and of bounded length.
fn shown(text: &str, longest: usize) -> String {
    let mut out: String =
        text.chars().take(longest).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(longest).is_some() {
        out.push('…');
    }
    out
}
