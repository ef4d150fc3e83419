//! URI templates: RFC 6570 simple expansion of `{name}` in text the author wrote.

mod encode;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::encode::Assembly;
use super::template::{text, text_of};
use super::{Budget, EvaluationError, Names, Piece, Scope, SyntaxError, Template};
use crate::value::Value;

/// All but what RFC 3986 calls unreserved.
pub(super) const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A URI that may contain `{name}` templates and `${ … }` expressions.
#[derive(Clone, Debug)]
pub struct UriTemplate {
    /// The text, with `${ … }` compiled. `{name}` is expanded only in literal text.
    pub template: Template,
}

/// What a `{name}` without a property becomes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Nothing,
    Itself,
}

impl UriTemplate {
    /// Compiles the expressions inside `text`.
    ///
    /// # Errors
    /// When one of them is not jq.
    pub fn compile(text: &str, names: &Names) -> Result<Self, SyntaxError> {
        text::compile(text, names, text::Kind::Data).map(|template| Self { template })
    }

    /// The URI for `input`: `{name}` takes the top-level property of that name, percent-encoded;
    /// missing and null give nothing. What `${ … }` gives inside a text is percent-encoded too where it
    /// comes after the authority, unless the expression uses `@uri` and so encodes by itself. A URI that
    /// is one expression is taken as it is.
    ///
    /// # Errors
    /// When an expression fails, a property is neither string, number nor boolean, what is put
    /// into the URI is sealed, or it would call another host or path.
    pub fn expand(
        &self,
        input: &Value,
        scope: &dyn Scope,
        budget: Budget,
    ) -> Result<String, EvaluationError> {
        self.fill(input, scope, budget, Missing::Nothing)
    }

    /// Like [`Self::expand`], but a `{name}` for which `input` has no property stays as it is, and
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
                literal(text, input, missing, uri.literal())?;
            }
            Template::Text(pieces) => {
                for piece in &**pieces {
                    match piece {
                        Piece::Literal(text) => literal(text, input, missing, uri.literal())?,
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

fn literal(
    text: &str,
    input: &Value,
    missing: Missing,
    uri: &mut String,
) -> Result<(), EvaluationError> {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        uri.push_str(before);
        let Some((name, next)) = after.split_once('}') else {
            uri.push('{');
            rest = after;
            continue;
        };
        match input.get(name) {
            None if missing == Missing::Itself => {
                uri.push('{');
                uri.push_str(name);
                uri.push('}');
            }
            None | Some(Value::Null) => {}
            Some(Value::Array(_) | Value::Object(_)) => {
                let message = format!(
                    "the property `{name}` of the URI template `{text}` is neither a string, a \
                     number nor a boolean"
                );
                return Err(EvaluationError::new(message));
            }
            Some(scalar) => {
                uri.extend(utf8_percent_encode(&text_of(scalar)?, RESERVED));
            }
        }
        rest = next;
    }
    uri.push_str(rest);
    Ok(())
}
