//! URI templates (RFC 6570) in text the author wrote.
//!
//! The specification asks for simple expansion of strings, numbers and booleans; the other operators
//! and modifiers of RFC 6570 are there besides.

mod braces;
mod encode;
#[cfg(test)]
mod tests;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use self::braces::{Braces, Fault};
use self::encode::Assembly;
use super::template::{fit, text, text_of};
use super::{Budget, EvaluationError, Names, Piece, Scope, SyntaxError, Template, scan};
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
    /// When one of the expressions is not jq, or braces hold what RFC 6570 does not know: it would be
    /// another URI than the author means.
    pub fn compile(text: &str, names: &Names) -> Result<Self, UriError> {
        let uri = Self::compile_known(text, names).map_err(UriError::Expression)?;
        check(text).map_err(UriError::Template)?;
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
    /// missing and null give nothing. What `${ … }` gives inside a text is percent-encoded too where it
    /// comes after the authority, unless the expression uses `@uri` and so encodes by itself. A URI that
    /// is one expression is taken as it is.
    ///
    /// # Errors
    /// When an expression fails, a property in a plain `{name}` is neither string, number nor boolean,
    /// one elsewhere nests deeper than a list or an object of those, what is put into the URI is
    /// sealed, or it would call another host or path.
    pub fn expand(
        &self,
        input: &Value,
        scope: &dyn Scope,
        budget: Budget,
    ) -> Result<String, EvaluationError> {
        self.fill(input, scope, budget, Missing::Nothing)
    }

    /// Like [`Self::expand`], but braces for whose names `input` has no property stay as they are, and
    /// so does what `${ … }` gives: for the types of errors, where braces may be meant literally, and
    /// which nobody calls.
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
                            let text = text_of(&program.evaluate(input.clone(), scope, budget)?)?;
                            if program.encodes() || missing == Missing::Itself {
                                uri.raw(&text);
                            } else {
                                uri.data(&text);
                            }
                        }
                    }
                }
            }
            template => return text_of(&template.evaluate(input, scope, budget)?),
        }
        match missing {
            Missing::Nothing => uri.finish(),
            Missing::Itself => Ok(std::mem::take(uri.literal())),
        }
    }
}

/// Looks at the braces of `text` that are not part of an expression.
fn check(text: &str) -> Result<(), SyntaxError> {
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
            Braces::parse(body).map_err(|Fault { offset, length, message }| {
                refused(start + 1 + offset, length, message)
            })?;
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
