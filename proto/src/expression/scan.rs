//! A look over jq text that knows strings, interpolation, comments and brackets.
//!
//! It does not recurse, so it may look at text nobody has bounded yet.

use std::ops::ControlFlow;

/// Something of note in jq text, with its place in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// `(`, `[` or `{`, `\(` in a string among them; with how many are open now.
    Open(usize),
    /// A bracket that closes; with how many are still open.
    Close(usize),
    /// `$` outside strings.
    Dollar,
    /// `'` outside strings: not jq.
    SingleQuote,
}

/// Shows the notes of `text` from `start` on to `visit`, until it breaks.
pub(crate) fn scan<T>(
    text: &str,
    start: usize,
    mut visit: impl FnMut(usize, Note) -> ControlFlow<T>,
) -> Option<T> {
    let bytes = text.as_bytes();
    // For each open bracket, whether it is an interpolation inside a string.
    let mut open: Vec<bool> = Vec::new();
    let mut in_string = false;
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        let note = match (byte, in_string) {
            (b'\\', true) if bytes.get(at + 1) == Some(&b'(') => {
                at += 1;
                open.push(true);
                in_string = false;
                Some(Note::Open(open.len()))
            }
            (b'\\', true) => {
                at += 1;
                None
            }
            (b'"', _) => {
                in_string = !in_string;
                None
            }
            (_, true) => None,
            (b'#', false) => {
                let rest = bytes.get(at..).unwrap_or_default();
                at += rest.iter().position(|it| *it == b'\n').unwrap_or(rest.len());
                None
            }
            (b'(' | b'[' | b'{', false) => {
                open.push(false);
                Some(Note::Open(open.len()))
            }
            (b')' | b']' | b'}', false) => {
                in_string = open.pop().unwrap_or(false);
                Some(Note::Close(open.len()))
            }
            (b'$', false) => Some(Note::Dollar),
            (b'\'', false) => Some(Note::SingleQuote),
            _ => None,
        };
        if let Some(note) = note
            && let ControlFlow::Break(found) = visit(at, note)
        {
            return Some(found);
        }
        at += 1;
    }
    None
}

/// Where the bracket that opens at `start` is closed.
pub(crate) fn closing(text: &str, start: usize) -> Option<usize> {
    scan(text, start, |at, note| match note {
        Note::Close(0) => ControlFlow::Break(at),
        _ => ControlFlow::Continue(()),
    })
}

/// The part between `${` and `}` when that is all of `text` but white space; with its offset.
pub(crate) fn whole(text: &str) -> Option<(usize, &str)> {
    let lead = text.len() - text.trim_start().len();
    let end = text.trim_end().len();
    if !text.get(lead..)?.starts_with("${") {
        return None;
    }
    let close = closing(text, lead + 1)?;
    (close + 1 == end).then_some((lead + 2, text.get(lead + 2..close)?))
}
