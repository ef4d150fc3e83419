//! Expressions: here where that is possible, at a worker where it is not.
//!
//! The coordinator has no secret and can open nothing that is sealed. An expression that names a
//! secret, or looks into a sealed value while it is evaluated, is asked of a worker if it stands in
//! a field that a worker may evaluate alone; anywhere else it is an error.

use windlass_proto::expression::{Budget, EvaluationError, Program, Template, UriTemplate};
use windlass_proto::id::FrameId;
use windlass_proto::plan::Flow;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;
use windlass_proto::wire::Field;

use super::scope::Locals;
use super::turn::Turn;

/// Why an expression has no value here.
pub(super) enum Unevaluated {
    /// It names a secret.
    Secret,
    /// It looks into a sealed value; the message says which expression.
    Sealed(String),
    /// It fails, as it would at a worker.
    Failed(Problem),
}

impl Unevaluated {
    /// The error where no worker can be asked; `what` says which field that is.
    pub(super) fn without_worker(self, what: &str) -> Problem {
        match self {
            Self::Secret => no_secrets_here(what),
            Self::Sealed(message) => Problem::new(
                Standard::Expression,
                format!(
                    "{what} cannot depend on a sealed value: {message}. Decide it in a task before, \
                     with `set` or `switch`, or with `output.as` of the task that gave the value"
                ),
            ),
            Self::Failed(problem) => problem,
        }
    }

    /// A sealed value stands where a plain one is needed.
    pub(super) fn plain_needed(what: &str) -> Self {
        Self::Sealed(format!("{what} is sealed as a whole"))
    }
}

impl From<EvaluationError> for Unevaluated {
    fn from(error: EvaluationError) -> Self {
        if error.sealed {
            Self::Sealed(error.message)
        } else {
            Self::Failed(Problem::new(Standard::Expression, error.message))
        }
    }
}

impl From<Problem> for Unevaluated {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

/// The problem of a secret where no worker could evaluate it.
pub(super) fn no_secrets_here(what: &str) -> Problem {
    Problem::new(
        Standard::Configuration,
        format!("{what} cannot name a secret: use it in a task that a worker performs"),
    )
}

impl Turn<'_> {
    /// Evaluates a program for a frame.
    pub(super) fn program(
        &self,
        program: &Program,
        input: &Value,
        frame: FrameId,
        locals: &Locals<'_>,
    ) -> Result<Value, Unevaluated> {
        self.program_within(program, input, (frame, locals), self.evaluation())
    }

    /// The same within a budget.
    pub(super) fn program_within(
        &self,
        program: &Program,
        input: &Value,
        (frame, locals): (FrameId, &Locals<'_>),
        budget: Budget,
    ) -> Result<Value, Unevaluated> {
        if program.uses_secrets() {
            return Err(Unevaluated::Secret);
        }
        let scope = self.scope(frame, locals);
        Ok(program.evaluate(input.clone(), &scope, budget)?)
    }

    /// Evaluates a template for a frame.
    pub(super) fn template(
        &self,
        template: &Template,
        input: &Value,
        frame: FrameId,
        locals: &Locals<'_>,
    ) -> Result<Value, Unevaluated> {
        self.template_within(template, input, (frame, locals), self.evaluation())
    }

    /// The same within a budget.
    pub(super) fn template_within(
        &self,
        template: &Template,
        input: &Value,
        (frame, locals): (FrameId, &Locals<'_>),
        budget: Budget,
    ) -> Result<Value, Unevaluated> {
        if template.uses_secrets() {
            return Err(Unevaluated::Secret);
        }
        let scope = self.scope(frame, locals);
        let value = template.evaluate(input, &scope, budget)?;
        self.room_for(&[&value])?;
        Ok(value)
    }

    /// Expands the type of an error for a frame; a `{name}` without a property stays as it is.
    pub(super) fn uri_of_type(
        &self,
        kind: &UriTemplate,
        input: &Value,
        frame: FrameId,
    ) -> Result<String, Unevaluated> {
        if kind.template.uses_secrets() {
            return Err(Unevaluated::Secret);
        }
        let locals = Locals::default();
        let scope = self.scope(frame, &locals);
        Ok(kind.expand_known(input, &scope, self.evaluation())?)
    }

    /// The value of one field of a task: what a worker answered, or what `here` gives, or else a
    /// worker is asked for it. `None` when it is not there yet, or the task failed.
    ///
    /// `input` is what the worker evaluates the field on, and `flow` where the task leads if it has
    /// decided that.
    pub(super) fn field(
        &mut self,
        id: FrameId,
        field: Field,
        (input, flow): (&Value, Option<Flow>),
        here: impl FnOnce(&Self) -> Result<Value, Unevaluated>,
    ) -> Option<Value> {
        if let Some(value) = self.take_evaluated(id, field) {
            return Some(value);
        }
        match here(self) {
            Ok(value) => return Some(value),
            Err(Unevaluated::Failed(problem)) => self.fail(id, problem),
            Err(Unevaluated::Secret | Unevaluated::Sealed(_)) => {
                self.request_evaluation(id, field, input.clone(), flow);
            }
        }
        None
    }
}

/// A value that is made a text of; a sealed one cannot be.
pub(super) fn text(value: &Value, what: &str) -> Result<String, Unevaluated> {
    if value.has_sealed() { Err(Unevaluated::plain_needed(what)) } else { Ok(value.to_text()) }
}
