//! URI templates (RFC 6570) in text the author wrote.
//!
//! The specification asks for simple expansion of strings, numbers and booleans; the other
//! operators and modifiers of RFC 6570 are there besides.

mod braces;
mod encode;
#[cfg(test)]
mod tests;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use self::braces::{Braces, Fault};
use self::encode::Assembly;
use super::template::{fit, text, text_of};
use super::{Budget, EvaluationError, Names, Piece, Program, Scope, SyntaxError, Template, scan};
use crate::value::Value;

/// All but what RFC 3986 calls unreserved.
pub(super) const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What to write for braces that are no template.
const HINT: &str = "write `{name}`, `{?a,b}` or another form of RFC 6570; braces that are meant as such \
                    are `%7B` and `%7D` in a URI";

/// A URI that may contain `{name}` templates and `${ … }` expressions.
#[derive(Clone, Debug)]
pub struct UriTemplate {
    /// The text, with `${ … }` compiled. `{name}` is expanded only in literal text.
    pub template: Template,
}

/// Why a URI template was refused when its definition was loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// An expression inside it is not jq.
    #[error("{0}")]
    Expression(SyntaxError),
    /// What stands in braces is nothing that RFC 6570 knows.
    #[error("{0}")]
    Template(SyntaxError),
}

/// What a `{name}` without a property becomes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Nothing,
    Itself,
}

impl UriTemplate {
    /// Compiles the expressions inside `text`, and looks at its braces.
    ///
    /// # Errors
    /// When one of the expressions is not jq, or braces hold what RFC 6570 does not know: it would
    /// be another URI than the author means.
    pub fn compile(text: &str, names: &Names) -> Result<Self, UriError> {
        let uri = Self::compile_known(text, names).map_err(UriError::Expression)?;
        walk(text, &mut |_, _| {}).map_err(UriError::Template)?;
        Ok(uri)
    }

    /// [`Self::compile`] for [`Self::expand_known`]: braces may hold anything.
    ///
    /// # Errors
    /// When one of the expressions is not jq.
    pub fn compile_known(text: &str, names: &Names) -> Result<Self, SyntaxError> {
        text::compile(text, names, text::Kind::Data).map(|template| Self { template })
    }

    /// The URI for `input`: a name takes the top-level property of that name, percent-encoded;
    /// missing and null give nothing. What `${ … }` gives inside a text is percent-encoded too
    /// where it comes after the authority, unless the expression uses `@uri` and so encodes by
    /// itself. A URI that is one expression is taken as it is.
    ///
    /// # Errors
    /// When an expression fails, a property in a plain `{name}` is neither string, number nor
    /// boolean, one elsewhere nests deeper than a list or an object of those, an expression gives
    /// none of these before the query (or no string, where it is the whole URI), what is put into
    /// the URI is sealed, or it would call another host or path.
    pub fn expand(
        &self,
        input: &Value,
        scope: &dyn Scope,
        budget: Budget,
    ) -> Result<String, EvaluationError> {
        self.fill(input, scope, budget, Missing::Nothing)
    }

    /// Like [`Self::expand`], but braces for whose names `input` has no property stay as they are,
    /// and so does what `${ … }` gives: for the types of errors, where braces may be meant
    /// literally, and which nobody calls.
    ///
    /// # Errors
    /// As [`Self::expand`].
    pub fn expand_known(
        &self,
        input: &Value,
        scope: &dyn Scope,
        budget: Budget,
    ) -> Result<String, EvaluationError> {
        self.fill(input, scope, budget, Missing::Itself)
    }

    /// The names in the braces of `text`, each with where its braces begin, and true where they
    /// have the operator `.`, as in `{.name}`; none of those behind what is no template.
    #[must_use]
    pub fn names_in(text: &str) -> Vec<(usize, &str, bool)> {
        let mut found = Vec::new();
        // What is no template is a finding of its own.
        let _ = walk(text, &mut |at, braces| {
            let is_label = text.get(at + 1..).is_some_and(|body| body.starts_with('.'));
            found.extend(braces.names().map(|name| (at, name, is_label)));
        });
        found
    }

    /// True when there are braces in it to expand.
    pub(super) fn has_braces(&self) -> bool {
        match &self.template {
            Template::Constant(Value::String(text)) => text.contains('{'),
            Template::Text(pieces) => pieces
                .iter()
                .any(|piece| matches!(piece, Piece::Literal(text) if text.contains('{'))),
            _ => false,
        }
    }

    fn fill(
        &self,
        input: &Value,
        scope: &dyn Scope,
        budget: Budget,
        missing: Missing,
    ) -> Result<String, EvaluationError> {
        let mut uri = Assembly::default();
        match &self.template {
            Template::Constant(Value::String(text)) => {
                literal(text, input, missing, &mut uri)?;
            }
            Template::Text(pieces) => {
                for piece in &**pieces {
                    match piece {
                        Piece::Literal(text) => literal(text, input, missing, &mut uri)?,
                        Piece::Expression(program) => {
                            let value = program.evaluate(input.clone(), scope, budget)?;
                            let text = text_of(&value)?;
                            if missing == Missing::Nothing && uri.is_address() {
                                check_part(&value, program)?;
                            }
                            if program.encodes() || missing == Missing::Itself {
                                uri.raw(&text);
                            } else {
                                uri.data(&text);
                            }
                        }
                    }
                }
            }
            template => {
                let value = template.evaluate(input, scope, budget)?;
                let text = text_of(&value)?;
                return match (&value, missing) {
                    (Value::String(_), _) | (_, Missing::Itself) => Ok(text),
                    (other, Missing::Nothing) => Err(EvaluationError::new(format!(
                        "the expression gives {} where a URI belongs",
                        kind_of(other)
                    ))),
                };
            }
        }
        match missing {
            Missing::Nothing => uri.finish(),
            Missing::Itself => Ok(std::mem::take(uri.literal())),
        }
    }
}

/// Refuses what would make another address: `/items/null` is not what anybody means.
fn check_part(value: &Value, program: &Program) -> Result<(), EvaluationError> {
    if !matches!(value, Value::Null | Value::Array(_) | Value::Object(_)) {
        return Ok(());
    }
    Err(EvaluationError::new(format!(
        "`{}` gives {} in the host or path of a URI, where a string, a number or a boolean belongs: \
         write what to take instead behind `//`, or put it into the query",
        program.excerpt(),
        kind_of(value)
    )))
}

/// What a value is, for messages.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
        Value::Bool(_) => "a boolean",
        Value::String(_) => "a string",
        _ => "a number",
    }
}

/// Looks at the braces of `text` that are not part of an expression; `each` gets where they begin.
fn walk<'t>(text: &'t str, each: &mut dyn FnMut(usize, &Braces<'t>)) -> Result<(), SyntaxError> {
    let refused = |offset: usize, length: usize, message: String| SyntaxError {
        message,
        offset,
        length,
        hint: Some(HINT.to_owned()),
    };
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find(['$', '{', '}'])) {
        let start = at + found;
        let rest = text.get(start..).unwrap_or_default();
        at = if rest.starts_with("$$") {
            start + 2
        } else if rest.starts_with("${") {
            scan::closing(rest, 1).map_or(text.len(), |end| start + end + 1)
        } else if let Some(rest) = rest.strip_prefix('{') {
            let Some(end) = rest.find('}') else {
                return Err(refused(start, 1, "`{` is not closed".to_owned()));
            };
            let body = rest.get(..end).unwrap_or_default();
            let braces = Braces::parse(body).map_err(|Fault { offset, length, message }| {
                refused(start + 1 + offset, length, message)
            })?;
            each(start, &braces);
            start + end + 2
        } else if rest.starts_with('}') {
            return Err(refused(start, 1, "`}` closes nothing".to_owned()));
        } else {
            start + 1
        };
    }
    Ok(())
}

/// Text that the author wrote, its braces expanded.
fn literal(
    text: &str,
    input: &Value,
    missing: Missing,
    uri: &mut Assembly,
) -> Result<(), EvaluationError> {
    let plain = |text: &str, uri: &mut Assembly| match missing {
        Missing::Nothing => uri.literal().extend(utf8_percent_encode(text, CONTROLS)),
        Missing::Itself => uri.literal().push_str(text),
    };
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        plain(before, uri);
        let parsed = after.split_once('}').map(|(body, next)| (Braces::parse(body), body, next));
        match parsed {
            Some((Ok(braces), body, next)) => {
                if missing == Missing::Itself && braces.is_unknown(input) {
                    uri.literal().extend(["{", body, "}"]);
                } else {
                    uri.expanded(body, |uri| braces.expand(input, text, uri))?;
                }
                rest = next;
            }
            _ => {
                uri.literal().push('{');
                rest = after;
            }
        }
        fit(uri.literal().len() as u64, 0)?;
    }
    plain(rest, uri);
    Ok(())
}
