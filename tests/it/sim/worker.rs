//! A worker without network, clock or secrets: what an assignment gives, at once.

use std::sync::Arc;

use windlass_proto::expression::{Budget, Scope, Template, is_secrets};
use windlass_proto::plan::{FunctionTarget, Kind, Plan, Task};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;
use windlass_proto::wire::{Assignment, Field, Work};

use super::model::SECRET;

/// The variables that came with an assignment, and the secret.
struct Variables<'a>(&'a [(Arc<str>, Value)]);

impl Scope for Variables<'_> {
    fn variable(&self, name: &str) -> Value {
        if is_secrets(name) {
            return Value::object([(SECRET.0, Value::from(SECRET.1))]);
        }
        let found = self.0.iter().find(|(it, _)| &**it == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

/// Performs an assignment; `visit` counts the visits of the task so far, this one included. Gives
/// nothing where the worker ends with it.
pub(super) fn perform(
    plan: &Plan,
    assignment: &Assignment,
    visit: u32,
) -> Result<Option<Value>, Problem> {
    let task = plan.task(assignment.task);
    let (scope, budget) = (Variables(&assignment.variables), Budget::at(assignment.now));
    let expression = |message: String| Problem::new(Standard::Expression, message);
    let evaluate = |template: &Template, on: &Value| {
        template.evaluate(on, &scope, budget).map_err(|error| expression(error.message))
    };
    let transform = |template: &Option<Template>, on: Value| match template {
        Some(template) => evaluate(template, &on),
        None => Ok(on),
    };
    match &assignment.work {
        Work::Evaluate(Field::Condition) => {
            let condition = task.condition.as_ref().unwrap();
            let verdict = condition.evaluate(assignment.input.clone(), &scope, budget);
            verdict.map(Some).map_err(|error| expression(error.message))
        }
        Work::Evaluate(field) => evaluate(named(task, *field), &assignment.input).map(Some),
        Work::Perform => {
            let Kind::Function(call) = &task.kind else { panic!("{} is dispatched", task.name) };
            let FunctionTarget::Registered(name) = &call.target else { panic!("a function") };
            let input = transform(&task.input.from, assignment.input.clone())?;
            let arguments = transform(&call.with, input)?;
            let number = |key| arguments.get(key).and_then(Value::as_i64).unwrap_or(0);
            if &**name == "flaky" && i64::from(visit) <= number("fail") {
                let status = u16::try_from(number("status")).unwrap();
                return Err(Problem::new(Standard::Runtime, "not yet").with_status(status));
            }
            if &**name == "deadly" {
                return Ok(None);
            }
            transform(&task.output.transform, arguments).map(Some)
        }
    }
}

/// The template that an evaluation is about.
fn named(task: &Task, field: Field) -> &Template {
    let template = match field {
        Field::InputFrom => task.input.from.as_ref(),
        Field::OutputAs => task.output.transform.as_ref(),
        Field::ExportAs => task.export.transform.as_ref(),
        Field::Definition => match &task.kind {
            Kind::Set(template) | Kind::Emit(template) => Some(template),
            _ => None,
        },
        Field::Condition => None,
    };
    template.unwrap_or_else(|| panic!("{field:?} of {} names no secret", task.name))
}
