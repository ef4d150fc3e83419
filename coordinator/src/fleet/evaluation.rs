//! Function calls for workers that cannot evaluate expressions: written in another language, they
//! get evaluated arguments and give a raw result; what a worker of ours does around the call is
//! done here.
//!
//! Only tasks that name no secret, give the function nothing that is sealed and need no document
//! from elsewhere can go this way: the coordinator can read none of it.

use std::sync::Arc;

use windlass_proto::expression::{Budget, Scope};
use windlass_proto::limits;
use windlass_proto::plan::{FunctionCall, Kind, Plan, SchemaSource, Task};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;
use windlass_proto::wire::Assignment;

/// The evaluated arguments of a function call: input schema, `input.from`, `with`.
///
/// # Errors
/// As the task would fail on a worker; or when the task cannot go this way.
pub(super) fn arguments(plan: &Plan, assignment: &Assignment) -> Result<Value, Problem> {
    let (task, call) = call_of(plan, assignment)?;
    check(task.input.schema.as_ref(), &assignment.input, "input")?;
    let scope = input(task, assignment)?;
    let input = scope.input.clone().unwrap_or_default();
    let arguments = match &call.with {
        None => input,
        Some(with) if with.uses_secrets() => return Err(not_here("names a secret")),
        Some(with) => {
            with.evaluate(&input, &scope, Budget::at(assignment.now)).map_err(expression)?
        }
    };
    if arguments.has_sealed() { Err(not_here("has a sealed argument")) } else { Ok(arguments) }
}

/// The transformed output of a function call: `output.as`, output schema.
///
/// # Errors
/// As the task would fail on a worker.
pub(super) fn output(plan: &Plan, assignment: &Assignment, raw: Value) -> Result<Value, Problem> {
    let (task, _) = call_of(plan, assignment)?;
    let output = match &task.output.transform {
        None => raw,
        Some(transform) if transform.uses_secrets() => return Err(not_here("names a secret")),
        Some(transform) => {
            let scope = CallScope { raw_output: Some(raw.clone()), ..input(task, assignment)? };
            let budget = Budget::at(assignment.now);
            transform.evaluate(&raw, &scope, budget).map_err(expression)?
        }
    };
    check(task.output.schema.as_ref(), &output, "output")?;
    if output.weight() > limits::PAYLOAD_BYTES as u64 {
        let most = limits::PAYLOAD_BYTES;
        let detail = format!("the output is larger than {most} bytes: keep less with `output.as`");
        return Err(Problem::new(Standard::Runtime, detail));
    }
    Ok(output)
}

fn call_of<'p>(
    plan: &'p Plan,
    assignment: &Assignment,
) -> Result<(&'p Task, &'p FunctionCall), Problem> {
    match plan.tasks.get(assignment.task.0 as usize) {
        Some(task @ Task { kind: Kind::Function(call), .. }) => Ok((task, call)),
        _ => Err(not_here("is no function call")),
    }
}

/// What the expressions of the call see, with the transformed input.
fn input<'a>(task: &Task, assignment: &'a Assignment) -> Result<CallScope<'a>, Problem> {
    let mut scope = CallScope { assignment, input: None, raw_output: None };
    let raw = assignment.input.clone();
    scope.input = Some(match &task.input.from {
        None => raw,
        Some(from) if from.uses_secrets() => return Err(not_here("names a secret")),
        Some(from) => {
            from.evaluate(&raw, &scope, Budget::at(assignment.now)).map_err(expression)?
        }
    });
    Ok(scope)
}

fn check(source: Option<&SchemaSource>, value: &Value, what: &str) -> Result<(), Problem> {
    match source {
        None => Ok(()),
        Some(SchemaSource::External(_)) => Err(not_here("has a schema that must be fetched")),
        Some(SchemaSource::Inline(schema)) => schema.validate(value).map_err(|message| {
            let detail = format!("the task's {what} does not fit its schema: {message}");
            Problem::new(Standard::Validation, detail)
        }),
    }
}

#[allow(clippy::needless_pass_by_value)]
fn expression(error: windlass_proto::expression::EvaluationError) -> Problem {
    if error.sealed {
        return not_here("looks into a sealed value");
    }
    Problem::new(Standard::Expression, error.message)
}

fn not_here(why: &str) -> Problem {
    let detail = format!(
        "a task that {why} needs a worker that evaluates expressions; the one that offers this \
         function does not"
    );
    Problem::new(Standard::Configuration, detail)
}

/// The variables of an assignment, and what becomes known on the way.
struct CallScope<'a> {
    assignment: &'a Assignment,
    input: Option<Value>,
    raw_output: Option<Value>,
}

impl Scope for CallScope<'_> {
    fn variable(&self, name: &str) -> Value {
        let variables: &[(Arc<str>, Value)] = &self.assignment.variables;
        let given = || {
            let found = variables.iter().find(|(known, _)| **known == *name);
            found.map_or(Value::Null, |(_, value)| value.clone())
        };
        match (name, &self.input, &self.raw_output) {
            ("input", Some(input), _) => input.clone(),
            ("task", _, Some(output)) => {
                let mut members = given().into_members().unwrap_or_default();
                members.insert("output".into(), output.clone());
                Value::from(members)
            }
            _ => given(),
        }
    }
}
