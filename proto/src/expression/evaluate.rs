//! Running a compiled program.

use jaq_core::{Ctx, Vars};

use super::compile::{Code, Compiled, Root};
use super::engine::{Jq, Metered};
use super::meter::{self, Spent, Stop};
use super::{Budget, EvaluationError, Scope};
use crate::limits;
use crate::value::Value;

/// Runs `program` on `input`.
pub(super) fn evaluate(
    program: &Compiled,
    input: Value,
    scope: &dyn Scope,
    budget: Budget,
) -> Result<Value, EvaluationError> {
    if let Some(value) = direct(program, &input, scope) {
        return Ok(value);
    }
    let variables: Vec<Value> = program.variables.iter().map(|name| scope.variable(name)).collect();
    let globals: Vec<Value> = program
        .globals
        .iter()
        .map(|at| variables.get(*at).cloned().unwrap_or_else(location))
        .collect();
    let shown = if program.blind { None } else { Some(input.clone()) };
    let outcome = meter::run(budget, program.blind, || run(program, input, globals));
    let failure = match outcome {
        Ok(Ok(value)) => return fit(program, value),
        Ok(Err(message)) if program.blind => {
            format!("{message} (no values are shown, since it reads secrets)")
        }
        Ok(Err(message)) => message,
        Err(Stop::Spent(Spent::Sealed)) => {
            return Err(EvaluationError::sealed(&format!("`{}`", excerpt(program))));
        }
        Err(Stop::Spent(spent)) => describe(spent, budget),
        Err(Stop::Fault) => "the jq engine failed in a way it should not".to_owned(),
    };
    Err(error(program, &failure, shown.as_ref()))
}

/// What `$__loc__` gives.
fn location() -> Value {
    Value::object([("file", Value::from("<top-level>")), ("line", Value::Int(1))])
}

/// Follows a plain path without jq; nothing when that meets anything unusual.
fn direct(program: &Compiled, input: &Value, scope: &dyn Scope) -> Option<Value> {
    let (root, steps) = match &program.code {
        Code::Constant(value) => return Some(value.clone()),
        Code::Path(root, steps) => (root, steps),
        Code::Jq(_) => return None,
    };
    let mut value = match root {
        Root::Input => input.clone(),
        Root::Variable => scope.variable(program.variables.first()?),
    };
    for step in &**steps {
        value = value.find(step).ok()?.unwrap_or_default();
    }
    Some(value)
}

fn run(program: &Compiled, input: Value, globals: Vec<Value>) -> Result<Value, String> {
    let filter = match &program.code {
        Code::Jq(filter) => filter,
        Code::Constant(value) => return Ok(value.clone()),
        Code::Path(root, steps) => {
            let start = match root {
                Root::Input => input,
                Root::Variable => globals.into_iter().next().unwrap_or_default(),
            };
            return steps.iter().try_fold(start, |value, step| {
                value.find(step).map(Option::unwrap_or_default).map_err(message)
            });
        }
    };
    let context = Ctx::<Jq>::new(Metered(&filter.lut), Vars::new(globals));
    let mut first = None;
    let mut more = Vec::new();
    for output in filter.id.run((context, input)) {
        meter::bytes(size_of::<Value>());
        let value = output.map_err(|exception| match exception.get_err() {
            Ok(error) => message(error),
            Err(_) => "it breaks out of a label that is not around it".to_owned(),
        })?;
        if first.is_none() {
            first = Some(value);
        } else {
            more.push(value);
        }
    }
    Ok(match first {
        None => Value::Null,
        Some(value) if more.is_empty() => value,
        Some(value) => Value::checked_array([value].into_iter().chain(more).collect()),
    })
}

/// What an error says. Values in it show only their type while messages are blind.
fn message(error: jaq_core::Error<Value>) -> String {
    if !meter::may_show() {
        return "it raises an error".to_owned();
    }
    match error.into_val() {
        Value::String(text) => text.chars().take(limits::EXPRESSION_ERROR_CHARACTERS).collect(),
        other => other.to_string(),
    }
}

fn fit(program: &Compiled, value: Value) -> Result<Value, EvaluationError> {
    if value.weight() > limits::PAYLOAD_BYTES as u64 {
        let message = format!("its result is larger than {} bytes", limits::PAYLOAD_BYTES);
        return Err(error(program, &message, None));
    }
    if value.depth() > limits::VALUE_DEPTH {
        let message = format!("its result nests deeper than {} levels", limits::VALUE_DEPTH);
        return Err(error(program, &message, None));
    }
    Ok(value)
}

fn describe(spent: Spent, budget: Budget) -> String {
    match spent {
        Spent::Steps => format!("it takes more than {} steps", budget.steps),
        Spent::Bytes => format!("it builds more than {} bytes of data", budget.bytes),
        Spent::Depth => format!("it nests data deeper than {} levels", limits::VALUE_DEPTH),
        Spent::Stack => "its calls nest too deeply".to_owned(),
        Spent::Path => format!("a path is longer than {} steps", limits::PATH_LENGTH),
        Spent::Sealed => "it looks into a sealed value".to_owned(),
    }
}

fn error(program: &Compiled, what: &str, input: Option<&Value>) -> EvaluationError {
    let mut message = format!("cannot evaluate `{}`: {what}", excerpt(program));
    if let Some(input) = input {
        message.push_str(&format!("; the input was {input}"));
    }
    EvaluationError::new(message)
}

/// The program, or its beginning.
pub(super) fn excerpt(program: &Compiled) -> String {
    let source = program.source.trim();
    let short: String = source.chars().take(limits::EXPRESSION_SHOWN_CHARACTERS).collect();
    let dots = if short.len() < source.len() { "…" } else { "" };
    format!("{short}{dots}")
}
