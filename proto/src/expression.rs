//! Runtime expressions: jq programs, templates with `${ … }` inside, URI templates.
//!
//! Specification: dsl.md, "Runtime Expressions".

mod analysis;
mod compile;
mod engine;
mod equality;
mod evaluate;
mod lint;
pub(crate) mod meter;
mod natives;
mod scan;
mod template;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
mod uri;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

pub use equality::{Equality, Operand};
pub use lint::{Lint, Truth};
pub use template::{Piece, Template, TemplateError};
pub use uri::{UriError, UriTemplate};

use crate::time::Timestamp;
use crate::value::Value;

/// A compiled jq program. Cheap to clone, may be evaluated by many threads at once.
#[derive(Clone)]
pub struct Program(Arc<compile::Compiled>);

/// The secrets an expression may read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretNames {
    /// Those it names.
    pub names: BTreeSet<Arc<str>>,
    /// True when it computes a name, so that it may read any declared secret.
    pub dynamic: bool,
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
    /// True when nothing went wrong but that the program looks into a sealed value: where that is
    /// opened, the same program can be evaluated.
    pub sealed: bool,
}

impl EvaluationError {
    /// Something went wrong.
    fn new(message: String) -> Self {
        Self { message, sealed: false }
    }

    /// `what` looks into a sealed value.
    fn sealed(what: &str) -> Self {
        let message =
            format!("{what} looks into a sealed value, which only a worker can open for a task");
        Self { message, sealed: true }
    }
}

/// The names a definition gives to expressions, beside the specification's arguments.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Secrets declared in `use.secrets`.
    pub secrets: Vec<Arc<str>>,
    /// Names bound by `for.each`, `for.at`, `catch.as`, `foreach.item`, `foreach.at`, without `$`.
    pub bound: Vec<Arc<str>>,
    /// Texts of data are evaluated without `${ }` as well: `evaluate.mode: loose`.
    pub loose: bool,
}

/// Gives the variables a program names. Asked only for those it does name.
pub trait Scope {
    /// The value of `$name`; null where the specification gives none.
    fn variable(&self, name: &str) -> Value;
}

/// Steps that all evaluations of this thread have taken so far: the difference of two answers is
/// what lies between them.
#[must_use]
pub fn steps_taken() -> u64 {
    meter::total()
}

/// Counts other work among [`steps_taken`], so that it is part of what a turn costs.
pub(crate) fn count_steps(steps: u64) {
    meter::add(steps);
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
    pub fn compile(text: &str, names: &Names) -> Result<Self, SyntaxError> {
        compile::compile(text, names).map(|it| Self(Arc::new(it)))
    }

    /// A secret named inside a text, as in `Bearer $SECRETS.token`.
    fn secret(source: &str, keys: &[&str]) -> Result<Self, SyntaxError> {
        compile::compile_secret(source, keys).map(|it| Self(Arc::new(it)))
    }

    /// The text as the author wrote it.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// The source or its beginning, for messages.
    fn excerpt(&self) -> String {
        evaluate::excerpt(&self.0)
    }

    /// Names of the variables the program uses, without `$`; `secrets` in whatever spelling.
    #[must_use]
    pub fn variables(&self) -> &[Arc<str>] {
        &self.0.variables
    }

    /// True when the program reads the secrets argument, in any of its spellings.
    #[must_use]
    pub fn uses_secrets(&self) -> bool {
        !self.0.secrets.names.is_empty() || self.0.secrets.dynamic
    }

    /// The secrets the program may read.
    #[must_use]
    pub fn secret_names(&self) -> &SecretNames {
        &self.0.secrets
    }

    /// What in it is valid and surely not meant.
    #[must_use]
    pub fn lints(&self) -> &[Lint] {
        &self.0.lints
    }

    /// Why it is no good as a condition: it cannot be false.
    #[must_use]
    pub fn condition_lint(&self) -> Option<Lint> {
        self.0.condition
    }

    /// True when it says by itself what is percent-encoded: it uses `@uri`.
    #[must_use]
    pub fn encodes(&self) -> bool {
        self.0.encodes
    }

    /// What it gives for every input, when that is plain from its text.
    #[must_use]
    pub fn constant(&self) -> Option<&Value> {
        match &self.0.code {
            compile::Code::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// Equalities that must hold in its input for it to give `true`, or anything but `false` and
    /// `null`: not all there are, but each of these surely.
    #[must_use]
    pub fn equalities(&self) -> &[Equality] {
        &self.0.equalities
    }

    /// What it gives whatever its input is, when that is plain from its text.
    #[must_use]
    pub fn fixed(&self) -> Option<Operand> {
        Operand::of(&self.0)
    }

    /// The keys along which it goes from its input, when that is all it does.
    #[must_use]
    pub fn path(&self) -> Option<Vec<Arc<str>>> {
        equality::path_of(&self.0)
    }

    /// True when nothing in its input can end a command: it is constant, or quotes with `@sh`.
    #[must_use]
    pub fn is_safe_for_a_shell(&self) -> bool {
        self.0.quotes || self.constant().is_some()
    }

    /// Runs the program on `input`. No output gives null, one gives it, several give an array.
    ///
    /// # Errors
    /// When jq raises an error, the budget is spent, or the result is too large to keep.
    pub fn evaluate(
        &self,
        input: Value,
        scope: &dyn Scope,
        budget: Budget,
    ) -> Result<Value, EvaluationError> {
        evaluate::evaluate(&self.0, input, scope, budget)
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Program").field(&self.0.source).finish()
    }
}

/// True for the four spellings of the secrets argument.
#[must_use]
pub fn is_secrets(name: &str) -> bool {
    matches!(name, "secrets" | "secret" | "SECRETS" | "SECRET")
}
