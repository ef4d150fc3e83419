//! Function calls for workers that cannot evaluate expressions: written in another language, they
//! get evaluated arguments and give a raw result; what a worker of ours does around the call is
//! done here.
//!
//! Only tasks that name no secret, give the function nothing that is sealed and need no document
//! from elsewhere can go this way: the coordinator can read none of it.

use windlass_proto::expression::{Budget, EvaluationError, Template};
use windlass_proto::limits;
use windlass_proto::plan::data_flow::{DataFlow, TaskData, too_large, unfit};
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
    let mut evaluation = Evaluation::new(assignment);
    let input = evaluation.transform_input(task, &assignment.input)?;
    let arguments = evaluation.arguments(call, input)?;
    if arguments.has_sealed() { Err(not_here("has a sealed argument")) } else { Ok(arguments) }
}

/// The transformed output of a function call: `output.as`, output schema.
///
/// # Errors
/// As the task would fail on a worker.
pub(super) fn output(plan: &Plan, assignment: &Assignment, raw: Value) -> Result<Value, Problem> {
    let (task, _) = call_of(plan, assignment)?;
    let mut evaluation = Evaluation::new(assignment);
    if task.output.transform.is_some() {
        // It may name the input.
        evaluation.transform_input(task, &assignment.input)?;
    }
    let output = evaluation.transform_output(task, raw)?;
    check(task.output.schema.as_ref(), &output, "output")?;
    if output.weight() > limits::PAYLOAD_BYTES as u64 { Err(too_large()) } else { Ok(output) }
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

/// The data flow of one call, as far as the coordinator may evaluate it.
struct Evaluation<'a> {
    assignment: &'a Assignment,
    data: TaskData<'a>,
}

impl<'a> Evaluation<'a> {
    fn new(assignment: &'a Assignment) -> Self {
        Self { assignment, data: TaskData::new(&assignment.variables) }
    }
}

impl<'a> DataFlow<'a> for Evaluation<'a> {
    fn evaluate(&self, template: &Template, input: &Value) -> Result<Value, Problem> {
        if template.uses_secrets() {
            return Err(not_here("names a secret"));
        }
        let budget = Budget::at(self.assignment.now);
        template.evaluate(input, &self.data, budget).map_err(expression)
    }

    fn data(&mut self) -> &mut TaskData<'a> {
        &mut self.data
    }
}

fn check(source: Option<&SchemaSource>, value: &Value, what: &str) -> Result<(), Problem> {
    match source {
        None => Ok(()),
        Some(SchemaSource::External(_)) => Err(not_here("has a schema that must be fetched")),
        Some(SchemaSource::Inline(schema)) => {
            schema.validate(value).map_err(|message| unfit(what, message))
        }
    }
}

#[allow(clippy::needless_pass_by_value)]
fn expression(error: EvaluationError) -> Problem {
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
