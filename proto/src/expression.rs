//! Runtime expressions: jq programs, templates with `${ … }` inside, URI templates.
//!
//! Specification: dsl.md, "Runtime Expressions".

use std::sync::Arc;

use crate::time::Timestamp;
use crate::value::Value;

/// A compiled jq program. Cheap to clone, may be evaluated by many threads at once.
#[derive(Clone, Debug)]
pub struct Program {
    source: Arc<str>,
    variables: Arc<[Arc<str>]>,
}

/// Why a program was refused when its definition was loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// Byte offset in the text that was compiled.
    pub offset: usize,
    /// How many bytes are concerned.
    pub length: usize,
    /// What to write instead, when known.
    pub hint: Option<String>,
}

/// Why a program gave no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvaluationError {
    /// What went wrong, with the program and a short view of its input; no secret in it.
    pub message: String,
}

/// The names a definition gives to expressions, beside the specification's arguments.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Secrets declared in `use.secrets`.
    pub secrets: Vec<Arc<str>>,
    /// Names bound by `for.each`, `for.at`, `catch.as`, `foreach.item`, `foreach.at`, without `$`.
    pub bound: Vec<Arc<str>>,
}

/// Gives the variables a program names. Asked only for those it does name.
pub trait Scope {
    /// The value of `$name`; null where the specification gives none.
    fn variable(&self, name: &str) -> Value;
}

/// What bounds one evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// What `now` returns.
    pub now: Timestamp,
    /// Steps until the evaluation is ended.
    pub steps: u64,
    /// Bytes of values it may build.
    pub bytes: u64,
}

impl Budget {
    /// The usual budget for an evaluation at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now, steps: crate::limits::EVALUATION_STEPS, bytes: crate::limits::EVALUATION_BYTES }
    }
}

impl Program {
    /// Compiles an expression field: `.a | b`, with or without `${ }` around it.
    ///
    /// # Errors
    /// When it is not jq, names an unknown variable or function, or recurses without bound.
    pub fn compile(text: &str, _names: &Names) -> Result<Self, SyntaxError> {
        Ok(Self { source: text.into(), variables: Arc::from([]) })
    }

    /// The text as the author wrote it.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Names of the variables the program uses, without `$`.
    #[must_use]
    pub fn variables(&self) -> &[Arc<str>] {
        &self.variables
    }

    /// True when the program names the secrets argument in any spelling.
    #[must_use]
    pub fn uses_secrets(&self) -> bool {
        self.variables.iter().any(|name| is_secrets(name))
    }

    /// Runs the program on `input`. No output gives null, one gives it, several give an array.
    ///
    /// # Errors
    /// When jq raises an error or the budget is spent.
    pub fn evaluate(
        &self,
        _input: Value,
        _scope: &dyn Scope,
        _budget: Budget,
    ) -> Result<Value, EvaluationError> {
        Err(EvaluationError { message: "not built yet".into() })
    }
}

/// A value field: data in which `${ … }` stands for expressions, whole or inside a string.
#[derive(Clone, Debug)]
pub enum Template {
    /// Data without any expression.
    Constant(Value),
    /// A string that is one expression: its value replaces the string.
    Expression(Program),
    /// A string with expressions inside it: each is turned to text.
    Text(Arc<[Piece]>),
    /// An array of templates.
    Array(Arc<[Template]>),
    /// An object of templates; keys are never expressions.
    Object(Arc<[(Arc<str>, Template)]>),
}

/// A part of a string template.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Text as it stands.
    Literal(Arc<str>),
    /// An expression whose value is turned to text.
    Expression(Program),
}

/// A syntax error somewhere inside a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct TemplateError {
    /// JSON pointer, inside the template, of the string the error is in.
    pub pointer: String,
    /// The error; its offset counts inside that string.
    pub error: SyntaxError,
}

impl Template {
    /// Compiles the expressions inside `value`.
    ///
    /// # Errors
    /// All syntax errors found, not only the first.
    pub fn compile(value: &Value, _names: &Names) -> Result<Self, Vec<TemplateError>> {
        Ok(Self::Constant(value.clone()))
    }

    /// The data with its expressions evaluated on `input`.
    ///
    /// # Errors
    /// When one of them cannot be evaluated.
    pub fn evaluate(
        &self,
        _input: &Value,
        _scope: &dyn Scope,
        _budget: Budget,
    ) -> Result<Value, EvaluationError> {
        match self {
            Self::Constant(value) => Ok(value.clone()),
            _ => Err(EvaluationError { message: "not built yet".into() }),
        }
    }

    /// True when an expression in it names the secrets argument.
    #[must_use]
    pub fn uses_secrets(&self) -> bool {
        let mut found = false;
        self.each_variable(&mut |name| found |= is_secrets(name));
        found
    }

    /// Calls `each` with the name of every variable the template uses (with repeats).
    pub fn each_variable(&self, _each: &mut dyn FnMut(&Arc<str>)) {}
}

/// True for the four spellings of the secrets argument.
#[must_use]
pub fn is_secrets(name: &str) -> bool {
    matches!(name, "secrets" | "secret" | "SECRETS" | "SECRET")
}

/// A URI that may contain `{name}` templates and `${ … }` expressions.
#[derive(Clone, Debug)]
pub struct UriTemplate {
    /// The text, with `${ … }` compiled. `{name}` is expanded only in literal text.
    pub template: Template,
}

impl UriTemplate {
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
