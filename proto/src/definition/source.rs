//! The text by lines, and places inside its scalars.

use super::node::{Data, Node, Place, Span, Style};

/// Splits at `\n`, `\r\n` and `\r`, as YAML does.
pub(super) fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\n', '\r']) {
        let (line, tail) = rest.split_at(at);
        lines.push(line);
        rest = tail.strip_prefix("\r\n").unwrap_or_else(|| tail.get(1..).unwrap_or_default());
    }
    lines.push(rest);
    lines
}

/// The text a tree was read from.
pub(super) struct Source<'t> {
    lines: Vec<&'t str>,
}

/// A character of the text and where it stands.
type At = (char, usize, usize);

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { lines: lines(text) }
    }

    /// The place of `length` bytes at byte `offset` of a scalar's value: exact where the text and
    /// the value match character by character, else the scalar itself.
    pub(super) fn inside(&self, node: &Node, offset: usize, length: usize) -> Place {
        self.locate(node, offset, length).map_or(node.place, |span| Place { span, ..node.place })
    }

    fn locate(&self, node: &Node, offset: usize, length: usize) -> Option<Span> {
        let Data::Scalar { text, style, .. } = &node.data else { return None };
        let span = &node.place.span;
        let mut characters = self.characters(span, *style, span.line)?;
        let mut first = find(&characters, text, offset);
        if first.is_none() && *style == Style::Block {
            // The span may begin at the line of the `|`.
            characters = self.characters(span, *style, span.line + 1)?;
            first = find(&characters, text, offset);
        }
        let first = first?;
        let last = text.get(..offset + length).and_then(|_| {
            // The character after the last one may stand on another line.
            let end = offset + length;
            let before = text.get(..end)?.char_indices().next_back()?.0;
            find(&characters, text, before.max(offset))
        });
        let (line, column) = first;
        let end = match last {
            Some((end_line, end_column)) if end_line == line && length > 0 => end_column + 1,
            _ => column + 1,
        };
        Some(Span { line, column, end_line: line, end_column: end.max(column + 1) })
    }

    /// The characters of a scalar that its value keeps, white space left out.
    fn characters(&self, span: &Span, style: Style, first: usize) -> Option<Vec<At>> {
        let mut raw = Vec::new();
        for line in first..=span.end_line.max(first) {
            let Some(text) = self.lines.get(line.checked_sub(1)?) else { break };
            for (index, c) in text.chars().enumerate() {
                let column = index + 1;
                let before = style != Style::Block && line == span.line && column < span.column;
                if before || (line == span.end_line && column >= span.end_column) {
                    continue;
                }
                raw.push((c, line, column));
            }
        }
        let mut out = match style {
            Style::Plain | Style::Block => raw,
            Style::SingleQuoted => unquote_single(inner(&raw)?),
            Style::DoubleQuoted => unquote_double(inner(&raw)?)?,
        };
        out.retain(|(c, ..)| !c.is_whitespace());
        Some(out)
    }
}

/// Matches value and text without white space, which folding and indentation change.
fn find(characters: &[At], value: &str, offset: usize) -> Option<(usize, usize)> {
    let before = value.get(..offset)?.chars().filter(|c| !c.is_whitespace()).count();
    let blank = value.get(offset..)?.chars().next().is_none_or(char::is_whitespace);
    let expected = value.chars().filter(|c| !c.is_whitespace());
    if !characters.iter().map(|(c, ..)| *c).eq(expected) {
        return None;
    }
    if blank && before > 0 {
        return characters.get(before - 1).map(|(_, line, column)| (*line, column + 1));
    }
    characters.get(before).map(|(_, line, column)| (*line, *column))
}

/// What stands between the quotes.
fn inner(raw: &[At]) -> Option<&[At]> {
    raw.get(1..raw.len().checked_sub(1)?)
}

fn unquote_single(raw: &[At]) -> Vec<At> {
    let mut out = Vec::new();
    let mut quote = false;
    for &at in raw {
        quote = at.0 == '\'' && !quote;
        if !quote {
            out.push(at);
        }
    }
    out
}

fn unquote_double(raw: &[At]) -> Option<Vec<At>> {
    let mut out = Vec::new();
    let mut rest = raw.iter();
    while let Some(&(c, line, column)) = rest.next() {
        if c != '\\' {
            out.push((c, line, column));
            continue;
        }
        let digits = match rest.next().map(|at| at.0) {
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            Some(escaped @ ('"' | '\\' | '/')) => {
                out.push((escaped, line, column));
                continue;
            }
            Some('a') => {
                out.push(('\u{7}', line, column));
                continue;
            }
            // Escaped white space is dropped on both sides; anything rarer gives up.
            Some('n' | 't' | 'r' | ' ' | '\t' | 'N' | '_' | 'L' | 'P' | 'v' | 'f') => continue,
            _ => return None,
        };
        let mut code = 0;
        for _ in 0..digits {
            code = code * 16 + rest.next()?.0.to_digit(16)?;
        }
        out.push((char::from_u32(code)?, line, column));
    }
    Some(out)
}
