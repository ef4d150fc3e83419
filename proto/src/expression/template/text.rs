//! Strings with expressions in them: `Hello ${ .name }`, `Bearer $SECRETS.token`.

use super::{Piece, Template};
use crate::expression::compile::{check, secret_names};
use crate::expression::{Names, Program, SyntaxError, scan};
use crate::value::Value;

/// Where a string stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::expression) enum Kind {
    /// In data.
    Data,
    /// It is a command, in which the shell has its own use for `$`.
    Shell,
}

/// Compiles one string.
pub(in crate::expression) fn compile(
    text: &str,
    names: &Names,
    kind: Kind,
) -> Result<Template, SyntaxError> {
    let is_jq = |start: usize| {
        let next = text.get(start + 2..).and_then(|rest| rest.chars().next());
        kind == Kind::Data
            || next.is_some_and(|it| {
                it.is_whitespace() || matches!(it, '.' | '$' | '(' | '"' | '[' | '{')
            })
    };
    let lead = text.len() - text.trim_start().len();
    if scan::whole(text).is_some() && is_jq(lead) {
        let program = Program::compile(text, names)?;
        return Ok(match names.loose {
            true => Template::Loose(program, text.into()),
            false => Template::Expression(program),
        });
    }
    if let Some(program) = loose(text, names) {
        return Ok(Template::Loose(program, text.into()));
    }
    let mut pieces = Pieces::default();
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('$')) {
        let dollar = at + found;
        pieces.literal(text.get(at..dollar).unwrap_or_default());
        let rest = text.get(dollar..).unwrap_or_default();
        at = if rest.starts_with("$${") {
            pieces.literal("${");
            dollar + 3
        } else if rest.starts_with("${") && is_jq(dollar) {
            pieces.expression(text, dollar, names)?
        } else if kind == Kind::Data && rest.starts_with("$$") && is_secret(text, dollar + 1, names)
        {
            // `$$SECRETS.name` stands for `$SECRETS.name` itself.
            pieces.literal("$");
            dollar + 2
        } else if kind == Kind::Data && is_secret(text, dollar, names) {
            pieces.secret(text, dollar, names)?
        } else {
            pieces.literal("$");
            dollar + 1
        };
    }
    pieces.literal(text.get(at..).unwrap_or_default());
    Ok(pieces.finish())
}

/// A text without `${ }` as an expression, in loose mode. What is empty or a comment would be one
/// that gives its input.
fn loose(text: &str, names: &Names) -> Option<Program> {
    let is_tried = names.loose && !text.contains("${") && !text.trim_start().starts_with('#');
    if !is_tried || text.trim().is_empty() {
        return None;
    }
    Program::compile(text, names).ok()
}

/// The name of a secret after the reference that starts at `at`.
fn secret_name<'a>(text: &'a str, at: usize, names: &Names) -> Option<(&'a str, usize)> {
    let (spelling, start) = secret_names::reference(text, at)?;
    let rest = text.get(start..)?;
    let length = match secret_names::declared(rest, names) {
        Some(name) => name.len(),
        // Only this spelling means a secret without doubt; reading it will be refused.
        None if spelling == "SECRETS" => secret_names::longest(rest).len(),
        None => 0,
    };
    (length > 0).then(|| Some((rest.get(..length)?, start + length)))?
}

fn is_secret(text: &str, at: usize, names: &Names) -> bool {
    secret_name(text, at, names).is_some()
}

#[derive(Default)]
struct Pieces {
    done: Vec<Piece>,
    literal: String,
}

impl Pieces {
    fn literal(&mut self, text: &str) {
        self.literal.push_str(text);
    }

    fn push(&mut self, program: Program) {
        if !self.literal.is_empty() {
            self.done.push(Piece::Literal(std::mem::take(&mut self.literal).into()));
        }
        self.done.push(Piece::Expression(program));
    }

    /// Takes the expression that starts at `start`; gives where it ends.
    fn expression(
        &mut self,
        text: &str,
        start: usize,
        names: &Names,
    ) -> Result<usize, SyntaxError> {
        let shift = |error: SyntaxError| SyntaxError { offset: error.offset + start, ..error };
        let rest = text.get(start..).unwrap_or_default();
        let Some(close) = scan::closing(rest, 1) else {
            return Err(shift(check::unfinished(rest)));
        };
        let body = rest.get(..=close).unwrap_or_default();
        self.push(Program::compile(body, names).map_err(shift)?);
        Ok(start + close + 1)
    }

    /// Takes the reference to a secret that starts at `start`; gives where it ends.
    fn secret(&mut self, text: &str, start: usize, names: &Names) -> Result<usize, SyntaxError> {
        let Some((name, mut end)) = secret_name(text, start, names) else { return Ok(start + 1) };
        let mut keys = vec![name];
        while let Some(rest) = text.get(end..).and_then(|rest| rest.strip_prefix('.')) {
            let key = secret_names::longest(rest);
            if !key.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_') {
                break;
            }
            keys.push(key);
            end += 1 + key.len();
        }
        let source = text.get(start..end).unwrap_or_default();
        self.push(Program::secret(source, &keys)?);
        Ok(end)
    }

    fn finish(mut self) -> Template {
        if self.done.is_empty() {
            return Template::Constant(Value::from(self.literal));
        }
        if !self.literal.is_empty() {
            self.done.push(Piece::Literal(self.literal.into()));
        }
        match self.done.as_slice() {
            // A reference that is all of the string keeps its type.
            [Piece::Expression(program)] => Template::Expression(program.clone()),
            _ => Template::Text(self.done.into()),
        }
    }
}
