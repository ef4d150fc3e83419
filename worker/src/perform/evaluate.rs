//! Evaluates one expression field of a task for the coordinator, which can read no secret and open
//! nothing that is sealed.

use windlass_proto::expression::Template;
use windlass_proto::plan::{Case, Duration, Kind};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;
use windlass_proto::wire::Field;

use crate::attempt::Attempt;

impl Attempt<'_> {
    /// The value of `field`, with the assignment's input as `.`.
    ///
    /// `if` gives a boolean. The definition gives: of `set`, `emit`, `for.in`, `wait`, `call` what
    /// it evaluates to; of `raise` and `run.workflow` an object of its parts; of `switch` the
    /// position of the first case that applies, or null. An absent field gives the input, as its
    /// default.
    pub(super) async fn evaluate_field(&mut self, field: Field) -> Result<Value, Problem> {
        self.read_secrets().await?;
        let task = self.task;
        let input = &self.input;
        match field {
            Field::Condition => match &task.condition {
                Some(condition) => {
                    Ok(Value::Bool(self.evaluate_program(condition, input)?.is_truthy()))
                }
                None => Ok(Value::Bool(true)),
            },
            Field::InputFrom => self.evaluate_or_identity(task.input.from.as_ref()),
            Field::Definition => self.evaluate_definition(),
            Field::OutputAs => self.evaluate_or_identity(task.output.transform.as_ref()),
            Field::ExportAs => self.evaluate_or_identity(task.export.transform.as_ref()),
        }
    }

    fn evaluate_or_identity(&self, template: Option<&Template>) -> Result<Value, Problem> {
        let input = &self.input;
        Ok(self.evaluate_optional(template, input)?.unwrap_or_else(|| input.clone()))
    }

    fn evaluate_definition(&self) -> Result<Value, Problem> {
        let input = &self.input;
        match &self.task.kind {
            Kind::Set(template) | Kind::Emit(template) => self.evaluate(template, input),
            Kind::For(it) => self.evaluate(&it.items, input),
            Kind::Function(call) => self.evaluate_or_identity(call.with.as_ref()),
            Kind::Switch(cases) => self.first_case(cases),
            Kind::Wait(Duration::Computed(template)) => self.evaluate(template, input),
            Kind::Wait(Duration::Fixed(milliseconds)) => Ok(Value::object([(
                "milliseconds",
                Value::Int(i64::try_from(*milliseconds).unwrap_or(i64::MAX)),
            )])),
            Kind::Raise(raise) => {
                let kind = Value::from(self.expand_known(&raise.kind, input)?);
                let mut parts = vec![("type", kind)];
                for (name, template) in [
                    ("status", Some(&raise.status)),
                    ("title", raise.title.as_ref()),
                    ("detail", raise.detail.as_ref()),
                    ("instance", raise.instance.as_ref()),
                ] {
                    if let Some(value) = self.evaluate_optional(template, input)? {
                        parts.push((name, value));
                    }
                }
                // People read an error: in it, a secret is not sealed but gone.
                Ok(self.seal.shown(Value::object(parts)))
            }
            Kind::Workflow(it) => {
                let given = self.evaluate_optional(it.input.as_ref(), input)?;
                Ok(Value::object([
                    ("namespace", self.evaluate(&it.namespace, input)?),
                    ("name", self.evaluate(&it.name, input)?),
                    ("version", self.evaluate(&it.version, input)?),
                    ("input", given.unwrap_or_else(|| input.clone())),
                ]))
            }
            other => {
                let detail =
                    format!("a secret cannot be used in the definition of `{}`", other.word());
                Err(Problem::new(Standard::Configuration, detail))
            }
        }
    }

    /// The position of the case that applies: the first whose `when` is true, else the default.
    fn first_case(&self, cases: &[Case]) -> Result<Value, Problem> {
        let input = &self.input;
        for (position, case) in cases.iter().enumerate() {
            if let Some(when) = &case.when
                && self.evaluate_program(when, input)?.is_truthy()
            {
                return Ok(Value::Int(i64::try_from(position).unwrap_or(i64::MAX)));
            }
        }
        let default = cases.iter().position(|case| case.when.is_none());
        Ok(default.and_then(|it| i64::try_from(it).ok()).map_or(Value::Null, Value::Int))
    }
}
