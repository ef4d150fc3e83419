//! `$SECRETS.api-key`: names of secrets with dashes, which jq would read as subtraction.

use std::ops::ControlFlow;

use crate::expression::scan::{Note, scan};
use crate::expression::{Names, SyntaxError, is_secrets};

/// A text in which names of secrets were put in brackets.
pub(super) struct Rewritten {
    pub(super) text: String,
    /// Places where the new text is longer: its place, and by how many bytes from there on.
    shifts: Vec<(usize, usize)>,
}

impl Rewritten {
    /// A text nothing was changed in.
    pub(super) fn plain(text: String) -> Self {
        Self { text, shifts: Vec::new() }
    }

    /// The error with its place in the author's text.
    pub(super) fn place(&self, error: SyntaxError) -> SyntaxError {
        let before = |at: usize| {
            let shift = self.shifts.iter().rev().find(|(from, _)| *from <= at);
            at.saturating_sub(shift.map_or(0, |(_, by)| *by))
        };
        let (start, end) = (before(error.offset), before(error.offset + error.length));
        SyntaxError { offset: start, length: end.saturating_sub(start), ..error }
    }
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// True for what jq itself reads as one name after a dot.
fn is_identifier(name: &str) -> bool {
    name.chars().all(is_name) && !name.starts_with(|it: char| it.is_ascii_digit())
}

/// The name of a secrets argument at `at`, where a `$` stands, and where the name after its dot
/// starts.
pub(crate) fn reference(text: &str, at: usize) -> Option<(&str, usize)> {
    let rest = text.get(at + 1..)?;
    let spelling = rest.get(..rest.find(|it| !is_name(it))?)?;
    let dot = at + 1 + spelling.len();
    (is_secrets(spelling) && text.get(dot..)?.starts_with('.')).then_some((spelling, dot + 1))
}

/// The longest declared name `text` starts with.
pub(crate) fn declared<'a>(text: &str, names: &'a Names) -> Option<&'a str> {
    let matching = names
        .secrets
        .iter()
        .filter(|name| text.strip_prefix(&***name).is_some_and(|rest| !rest.starts_with(is_name)));
    matching.max_by_key(|name| name.len()).map(|name| &**name)
}

/// The longest name `text` can start with, dashes included.
pub(crate) fn longest(text: &str) -> &str {
    let end = text.find(|it| !is_name(it) && it != '-').unwrap_or(text.len());
    text.get(..end).unwrap_or_default().trim_end_matches('-')
}

/// True when `text` has a `$SECRETS.` whose name could go on with dashes.
pub(super) fn has_dashes(text: &str) -> bool {
    let found = scan(text, 0, |at, note| {
        let name = match (note, reference(text, at)) {
            (Note::Dollar, Some(("SECRETS", name))) => {
                longest(text.get(name..).unwrap_or_default())
            }
            _ => "",
        };
        if name.contains('-') { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    found.is_some()
}

/// Puts names of secrets that jq would not read as one into brackets: declared ones, and when
/// `greedy` whatever follows `$SECRETS.`.
pub(super) fn rewrite(text: &str, names: &Names, greedy: bool) -> Rewritten {
    let mut found: Vec<(usize, usize)> = Vec::new();
    let _: Option<()> = scan(text, 0, |at, note| {
        if note == Note::Dollar
            && let Some((spelling, start)) = reference(text, at)
        {
            let rest = text.get(start..).unwrap_or_default();
            let name = if greedy && spelling == "SECRETS" {
                longest(rest)
            } else {
                declared(rest, names).unwrap_or_default()
            };
            if !is_identifier(name) {
                found.push((start, name.len()));
            }
        }
        ControlFlow::Continue(())
    });
    let mut rewritten = Rewritten { text: String::with_capacity(text.len()), shifts: Vec::new() };
    let mut from = 0;
    for (start, length) in found {
        // The dot before the name goes; brackets and quotes come.
        rewritten.text.push_str(text.get(from..start - 1).unwrap_or_default());
        rewritten.text.push_str("[\"");
        let by = rewritten.text.len() - start;
        rewritten.shifts.push((rewritten.text.len(), by));
        rewritten.text.push_str(text.get(start..start + length).unwrap_or_default());
        rewritten.text.push_str("\"]");
        from = start + length;
        rewritten.shifts.push((rewritten.text.len(), rewritten.text.len() - from));
    }
    rewritten.text.push_str(text.get(from..).unwrap_or_default());
    rewritten
}
