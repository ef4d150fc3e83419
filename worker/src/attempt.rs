//! One attempt at a task: what it works on, and its expressions.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use windlass_proto::expression::{Budget, EvaluationError, Program, Template, UriTemplate};
use windlass_proto::plan::data_flow::{DataFlow, TaskData};
use windlass_proto::plan::{self, Plan, Task};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::secret::SecretUse;
use windlass_proto::value::Value;
use windlass_proto::wire::Assignment;

use crate::audit::AttemptAudit;
use crate::egress::Caller;
use crate::scope::TaskScope;
use crate::seal::Seal;
use crate::secret_store::SecretSession;
use crate::shared::Shared;
use crate::trace;

/// One delivery of one task, while it is performed.
pub(crate) struct Attempt<'a> {
    pub(crate) worker: &'a Shared,
    pub(crate) plan: &'a Plan,
    pub(crate) task: &'a Task,
    pub(crate) assignment: &'a Assignment,
    pub(crate) cancelled: &'a CancellationToken,
    /// When it came.
    pub(crate) began: Instant,
    /// The raw input, or what a field is evaluated on: opened where something in it was sealed.
    pub(crate) input: Value,
    pub(crate) scope: TaskScope<'a>,
    pub(crate) seal: Seal,
    /// What it holds of the store of secrets; none before it needs one.
    pub(crate) secret_session: Option<Box<dyn SecretSession>>,
    /// The secrets it has read.
    pub(crate) used: Vec<SecretUse>,
    /// Whether it has read them again after a refusal.
    pub(crate) read_again: bool,
    /// Milliseconds for which the server that it has failed on does not want to be asked again.
    pub(crate) retry_after_ms: Option<u64>,
    /// Where to tell what it does with secrets, and what it may not call.
    pub(crate) audit: OnceLock<AttemptAudit>,
}

impl<'a> DataFlow<'a> for Attempt<'a> {
    fn evaluate(&self, template: &Template, input: &Value) -> Result<Value, Problem> {
        Attempt::evaluate(self, template, input)
    }

    fn data(&mut self) -> &mut TaskData<'a> {
        &mut self.scope.data
    }
}

impl Attempt<'_> {
    /// `template` with its expressions evaluated on `input`.
    pub(crate) fn evaluate(&self, template: &Template, input: &Value) -> Result<Value, Problem> {
        if let Template::Constant(value) = template {
            return Ok(value.clone());
        }
        trace::expression(|| {
            template.evaluate(input, &self.scope, self.budget()).map_err(expression_problem)
        })
    }

    /// [`Self::evaluate`] for a field that may be absent.
    pub(crate) fn evaluate_optional(
        &self,
        template: Option<&Template>,
        input: &Value,
    ) -> Result<Option<Value>, Problem> {
        template.map(|template| self.evaluate(template, input)).transpose()
    }

    pub(crate) fn evaluate_program(
        &self,
        program: &Program,
        input: &Value,
    ) -> Result<Value, Problem> {
        trace::expression(|| {
            program.evaluate(input.clone(), &self.scope, self.budget()).map_err(expression_problem)
        })
    }

    pub(crate) fn expand(&self, uri: &UriTemplate, input: &Value) -> Result<String, Problem> {
        uri.expand(input, &self.scope, self.budget()).map_err(expression_problem)
    }

    /// Like [`Self::expand`], for the type of an error: a `{name}` without a property stays.
    pub(crate) fn expand_known(&self, uri: &UriTemplate, input: &Value) -> Result<String, Problem> {
        uri.expand_known(input, &self.scope, self.budget()).map_err(expression_problem)
    }

    /// A duration that may be absent.
    pub(crate) fn optional_duration(
        &self,
        duration: Option<&plan::Duration>,
        input: &Value,
    ) -> Result<Option<Duration>, Problem> {
        let milliseconds = match duration {
            None => return Ok(None),
            Some(plan::Duration::Fixed(milliseconds)) => *milliseconds,
            Some(plan::Duration::Computed(template)) => {
                let value = self.evaluate(template, input)?;
                let parsed = windlass_proto::duration::parse(&value);
                parsed.map_err(|it| Problem::new(Standard::Expression, it.to_string()))?.0
            }
        };
        Ok(Some(Duration::from_millis(milliseconds)))
    }

    /// Where to tell what it does with secrets, and what it may not call.
    pub(crate) fn audit(&self) -> &AttemptAudit {
        let new = || AttemptAudit::new(self.worker.audit.clone(), self.assignment);
        self.audit.get_or_init(new)
    }

    /// On whose behalf its calls are made.
    pub(crate) fn caller(&self) -> Caller<'_> {
        Caller { seal: &self.seal, audit: self.audit() }
    }

    fn budget(&self) -> Budget {
        Budget::at(self.assignment.now)
    }
}

#[allow(clippy::needless_pass_by_value)]
fn expression_problem(error: EvaluationError) -> Problem {
    Problem::new(Standard::Expression, error.message)
}
