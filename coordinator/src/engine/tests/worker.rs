//! What a worker does, with scripted calls: schemas, `input.from`, `with`, `output.as`.

use std::sync::Arc;

use windlass_proto::expression::{Budget, Program, Scope, Template, is_secrets};
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::plan::{Kind, Plan, SchemaSource, Task, TaskIx};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::sealed::Sealed;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::{Field, Work};

use super::driver::Answer;
use super::json;
use crate::engine::Effect;

/// An assignment, as the script sees it.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) frame: FrameId,
    pub(super) delivery: u32,
    pub(super) name: Arc<str>,
    pub(super) reference: Arc<str>,
    pub(super) visit: u64,
    pub(super) work: Work,
    pub(super) deadline: Option<Timestamp>,
    pub(super) variables: Vec<(Arc<str>, Value)>,
    /// Raw input.
    pub(super) raw: Value,
    /// Transformed input.
    pub(super) input: Value,
    /// `with`, evaluated; the transformed input where there is none.
    pub(super) with: Value,
    pub(super) losses: u32,
    pub(super) recovered: bool,
    /// True when something sealed came along. What the job shows is opened.
    pub(super) carried_sealed: bool,
    task: TaskIx,
}

/// Part of every secret of these tests.
pub(super) const CANARY: &str = "s3cret";

/// A value as a worker seals it.
pub(super) fn sealed(value: &Value) -> Value {
    Value::Sealed(Arc::new(Sealed {
        key: "test".into(),
        namespace: "test".into(),
        instance: InstanceId(uuid::Uuid::nil()),
        ciphertext: value.to_json().into_bytes(),
    }))
}

fn opened(value: Value) -> Value {
    value.map_sealed(&mut |it| json(std::str::from_utf8(&it.ciphertext).unwrap()))
}

/// What a worker reports: nothing plain that contains a secret.
fn protected(value: Value) -> Value {
    match &value {
        Value::String(text) if text.contains(CANARY) => sealed(&value),
        Value::Array(_) => {
            Value::array(value.into_elements().unwrap().into_iter().map(protected).collect())
        }
        Value::Object(_) => Value::object(
            value.into_members().unwrap().into_iter().map(|(key, it)| (key, protected(it))),
        ),
        _ => value,
    }
}

struct WorkerScope<'a> {
    job: &'a Job,
    input: Value,
    output: Value,
    secrets: &'a Value,
}

impl Scope for WorkerScope<'_> {
    fn variable(&self, name: &str) -> Value {
        if is_secrets(name) {
            return self.secrets.clone();
        }
        let given = self.job.variables.iter().find(|(known, _)| **known == *name);
        match name {
            "input" if given.is_none() => self.input.clone(),
            "output" if given.is_none() => self.output.clone(),
            _ => given.map(|(_, value)| value.clone()).unwrap_or_default(),
        }
    }
}

impl Job {
    pub(super) fn new(plan: &Plan, effect: Effect) -> Self {
        let Effect::Dispatch {
            frame,
            delivery,
            task,
            reference,
            visit,
            work,
            input,
            variables,
            deadline,
            losses,
            recovered,
        } = effect
        else {
            panic!("not an assignment: {effect:?}")
        };
        let name = plan.task(task).name.clone();
        let carried_sealed = input.has_sealed() || variables.iter().any(|it| it.1.has_sealed());
        let input = opened(input);
        let open = |(name, value): (Arc<str>, Value)| (name, opened(value));
        let variables = variables.into_iter().map(open).collect();
        let (raw, with) = (input.clone(), Value::Null);
        Self {
            frame,
            delivery,
            name,
            reference,
            visit,
            work,
            deadline,
            variables,
            raw,
            input,
            with,
            task,
            losses,
            recovered,
            carried_sealed,
        }
    }

    pub(super) fn is_evaluation(&self) -> bool {
        matches!(self.work, Work::Evaluate(_))
    }

    /// A variable that came with the assignment.
    pub(super) fn variable(&self, name: &str) -> String {
        let found = self.variables.iter().find(|(known, _)| **known == *name);
        found.map_or("absent".to_owned(), |(_, value)| value.to_json())
    }

    fn scope<'a>(&'a self, input: &Value, secrets: &'a Value) -> WorkerScope<'a> {
        WorkerScope { job: self, input: input.clone(), output: Value::Null, secrets }
    }

    /// Input schema, `input.from` and `with`.
    pub(super) fn prepare(
        mut self,
        plan: &Plan,
        at: Timestamp,
        secrets: &Value,
    ) -> Result<Self, Problem> {
        if self.is_evaluation() {
            return Ok(self);
        }
        let task = plan.task(self.task);
        fits(task.input.schema.as_ref(), &self.raw)?;
        let early = self.scope(&Value::Null, secrets);
        let input = optional(task.input.from.as_ref(), &self.raw, &early, at)?;
        let scope = self.scope(&input, secrets);
        let with = match &task.kind {
            Kind::Function(call) => optional(call.with.as_ref(), &input, &scope, at)?,
            Kind::Http(call) => optional(call.body.as_ref(), &input, &scope, at)?,
            _ => input.clone(),
        };
        self.input = input;
        self.with = with;
        Ok(self)
    }
}

/// The report: `None` when the worker never answers.
pub(super) fn perform(
    plan: &Plan,
    job: &Job,
    answer: Answer,
    at: Timestamp,
    secrets: &Value,
) -> Option<Result<Value, Problem>> {
    let task = plan.task(job.task);
    if let Work::Evaluate(field) = job.work {
        return Some(evaluate(task, job, field, at, secrets).map(protected));
    }
    let raw = match answer {
        Answer::Echo => job.with.clone(),
        Answer::Give(value) => value,
        Answer::Fail(problem) | Answer::Busy(problem, _) => return Some(Err(problem)),
        Answer::After(..) | Answer::Never => return None,
    };
    let scope = job.scope(&job.input, secrets);
    Some(optional(task.output.transform.as_ref(), &raw, &scope, at).and_then(|output| {
        fits(task.output.schema.as_ref(), &output)?;
        Ok(protected(output))
    }))
}

fn evaluate(
    task: &Task,
    job: &Job,
    field: Field,
    at: Timestamp,
    secrets: &Value,
) -> Result<Value, Problem> {
    let scope = job.scope(&job.raw, secrets);
    let run = |program: &Program| {
        program.evaluate(job.raw.clone(), &scope, Budget::at(at)).map_err(expression)
    };
    let template = |it: Option<&Template>| optional(it, &job.raw, &scope, at);
    match (field, &task.kind) {
        (Field::Condition, _) => {
            let condition = task.condition.as_ref().unwrap();
            run(condition).map(|it| Value::Bool(it.is_truthy()))
        }
        (Field::InputFrom, _) => template(task.input.from.as_ref()),
        (Field::OutputAs, _) => template(task.output.transform.as_ref()),
        (Field::ExportAs, _) => template(task.export.transform.as_ref()),
        (Field::Definition, Kind::Set(it) | Kind::Emit(it)) => template(Some(it)),
        (Field::Definition, Kind::For(it)) => template(Some(&it.items)),
        (Field::Definition, Kind::Function(it)) => template(it.with.as_ref()),
        (Field::Definition, Kind::Raise(raise)) => {
            let mut parts = vec![
                ("type", template(Some(&raise.kind.template))?),
                ("status", template(Some(&raise.status))?),
            ];
            for (name, part) in [("title", &raise.title), ("detail", &raise.detail)] {
                if let Some(part) = part {
                    parts.push((name, template(Some(part))?));
                }
            }
            Ok(Value::object(parts))
        }
        (Field::Definition, Kind::Switch(cases)) => {
            for (number, case) in (0i64..).zip(cases) {
                if let Some(when) = &case.when
                    && run(when)?.is_truthy()
                {
                    return Ok(Value::Int(number));
                }
            }
            let default = (0i64..).zip(cases).find(|(_, case)| case.when.is_none());
            Ok(default.map_or(Value::Null, |(number, _)| Value::Int(number)))
        }
        (Field::Definition, Kind::Workflow(child)) => Ok(Value::object([
            ("namespace", template(Some(&child.namespace))?),
            ("name", template(Some(&child.name))?),
            ("version", template(Some(&child.version))?),
            ("input", template(child.input.as_ref())?),
        ])),
        (field, kind) => panic!("{field:?} of {} does not go to a worker", kind.word()),
    }
}

fn optional(
    template: Option<&Template>,
    input: &Value,
    scope: &dyn Scope,
    at: Timestamp,
) -> Result<Value, Problem> {
    match template {
        None => Ok(input.clone()),
        Some(template) => template.evaluate(input, scope, Budget::at(at)).map_err(expression),
    }
}

fn fits(schema: Option<&SchemaSource>, value: &Value) -> Result<(), Problem> {
    match schema {
        Some(SchemaSource::Inline(schema)) => schema
            .validate(value)
            .map_err(|error| Problem::new(Standard::Validation, error.to_string())),
        Some(SchemaSource::External(_)) | None => Ok(()),
    }
}

#[allow(clippy::needless_pass_by_value)]
fn expression(error: windlass_proto::expression::EvaluationError) -> Problem {
    Problem::new(Standard::Expression, error.message)
}
