//! The data flow of a task around what it does, for whoever performs one: `input.from` before it,
//! `output.as` after it, what their expressions see, and the errors of what does not fit.
//!
//! Who may evaluate what, and where schemas come from, is the performer's own to say.

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::Arc;

use super::{FunctionCall, Task};
use crate::expression::{Scope, Template};
use crate::limits;
use crate::problem::{Problem, Standard};
use crate::value::Value;

/// What the expressions of a task see of its data.
pub struct TaskData<'a> {
    /// What came with the assignment.
    pub variables: Cow<'a, [(Arc<str>, Value)]>,
    /// `$input`, once the input is transformed.
    input: Option<Value>,
    /// The raw output, which `$task.output` shows from then on.
    raw_output: Option<Value>,
}

impl<'a> TaskData<'a> {
    /// That of a task whose input is not transformed yet.
    #[must_use]
    pub fn new(variables: &'a [(Arc<str>, Value)]) -> Self {
        Self { variables: Cow::Borrowed(variables), input: None, raw_output: None }
    }

    fn given(&self, name: &str) -> Value {
        let found = self.variables.iter().find(|(known, _)| **known == *name);
        found.map_or(Value::Null, |(_, value)| value.clone())
    }

    /// `$task`, with the raw output that the coordinator cannot know.
    fn task(&self) -> Value {
        let task = self.given("task");
        let (Some(output), Value::Object(_)) = (&self.raw_output, &task) else { return task };
        let mut members = task.into_members().unwrap_or_default();
        members.insert("output".into(), output.clone());
        Value::from(members)
    }
}

impl Scope for TaskData<'_> {
    fn variable(&self, name: &str) -> Value {
        match name {
            "input" => self.input.clone().unwrap_or_else(|| self.given("input")),
            "task" => self.task(),
            _ => self.given(name),
        }
    }
}

/// Who performs a task: the steps of its data flow, on top of how it evaluates an expression.
pub trait DataFlow<'a> {
    /// `template` with its expressions evaluated on `input`.
    ///
    /// # Errors
    /// When an expression fails, or must not be evaluated here.
    fn evaluate(&self, template: &Template, input: &Value) -> Result<Value, Problem>;

    /// What the expressions see.
    fn data(&mut self) -> &mut TaskData<'a>;

    /// The input after `input.from`, which is `$input` from then on.
    ///
    /// # Errors
    /// As [`DataFlow::evaluate`].
    fn transform_input(&mut self, task: &Task, raw: &Value) -> Result<Value, Problem> {
        let input = match &task.input.from {
            Some(from) => self.evaluate(from, raw)?,
            None => raw.clone(),
        };
        self.data().input = Some(input.clone());
        Ok(input)
    }

    /// What a function is called with: `with`, or else the transformed input.
    ///
    /// # Errors
    /// As [`DataFlow::evaluate`].
    fn arguments(&self, call: &FunctionCall, input: Value) -> Result<Value, Problem> {
        match &call.with {
            Some(with) => self.evaluate(with, &input),
            None => Ok(input),
        }
    }

    /// The output after `output.as`, which sees the raw one as `$task.output`.
    ///
    /// # Errors
    /// As [`DataFlow::evaluate`].
    fn transform_output(&mut self, task: &Task, raw: Value) -> Result<Value, Problem> {
        match &task.output.transform {
            Some(transform) => {
                self.data().raw_output = Some(raw.clone());
                self.evaluate(transform, &raw)
            }
            None => Ok(raw),
        }
    }
}

/// The error of a task's input or output (`what`) that its schema refuses.
#[must_use]
pub fn unfit(what: &str, message: impl Display) -> Problem {
    let detail = format!("the task's {what} does not fit its schema: {message}");
    Problem::new(Standard::Validation, detail)
}

/// The error of an output beyond [`limits::PAYLOAD_BYTES`].
#[must_use]
pub fn too_large() -> Problem {
    let most = limits::PAYLOAD_BYTES;
    let detail = format!("the output is larger than {most} bytes: keep less with `output.as`");
    Problem::new(Standard::Runtime, detail)
}
