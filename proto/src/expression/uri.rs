//! URI templates.

use super::{Budget, EvaluationError, Names, Scope, SyntaxError, Template};
use crate::value::Value;

/// A URI that may contain `{name}` templates and `${ … }` expressions.
#[derive(Clone, Debug)]
pub struct UriTemplate {
    /// The text, with `${ … }` compiled. `{name}` is expanded only in literal text.
    pub template: Template,
}

impl UriTemplate {
    /// Compiles a URI with `{name}` and `${ … }` in it.
    ///
    /// # Errors
    /// When one of its expressions is not jq.
    pub fn compile(text: &str, names: &Names) -> Result<Self, SyntaxError> {
        super::template::compile_text(text, names).map(|template| Self { template })
    }

    /// The URI for `input`: `{name}` takes the top-level property of that name, percent-encoded;
    /// missing and null give nothing.
    ///
    /// # Errors
    /// When an expression fails or a property is neither string, number nor boolean.
    pub fn expand(
        &self,
        input: &Value,
        scope: &dyn Scope,
        budget: Budget,
    ) -> Result<String, EvaluationError> {
        Ok(self.template.evaluate(input, scope, budget)?.to_text())
    }
}
