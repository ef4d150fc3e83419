//! What `$name` means to the expressions of one task.

use std::borrow::Cow;
use std::sync::Arc;

use windlass_proto::expression::{Scope, is_secrets};
use windlass_proto::value::{Members, Value};

/// The variables of one assignment, and those that only the worker knows.
pub(crate) struct TaskScope<'a> {
    /// What came with the assignment; opened where something in it was sealed.
    pub(crate) variables: Cow<'a, [(Arc<str>, Value)]>,
    /// `$input`, once the input is transformed.
    pub(crate) input: Option<Value>,
    /// The raw output, which `$task.output` shows from then on.
    pub(crate) raw_output: Option<Value>,
    /// `$secrets`: those the task's expressions name.
    pub(crate) secrets: Members,
    /// `$authorization`, once the call is authenticated.
    pub(crate) authorization: Option<Value>,
}

impl<'a> TaskScope<'a> {
    pub(crate) fn new(variables: &'a [(Arc<str>, Value)]) -> Self {
        Self {
            variables: Cow::Borrowed(variables),
            input: None,
            raw_output: None,
            secrets: Members::new(),
            authorization: None,
        }
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

impl Scope for TaskScope<'_> {
    fn variable(&self, name: &str) -> Value {
        match name {
            "input" => self.input.clone().unwrap_or_else(|| self.given("input")),
            "authorization" => self.authorization.clone().unwrap_or_default(),
            "task" => self.task(),
            _ if is_secrets(name) => Value::from(self.secrets.clone()),
            _ => self.given(name),
        }
    }
}
