//! What `$name` means to the expressions of one task.

use std::sync::Arc;

use windlass_proto::expression::{Scope, is_secrets};
use windlass_proto::plan::data_flow::TaskData;
use windlass_proto::value::{Members, Value};

/// The data of one task, and the variables that only the worker knows.
pub(crate) struct TaskScope<'a> {
    /// What came with the assignment, opened where something in it was sealed, and what becomes of
    /// it.
    pub(crate) data: TaskData<'a>,
    /// `$secrets`: those the task's expressions name.
    pub(crate) secrets: Members,
    /// `$authorization`, once the call is authenticated.
    pub(crate) authorization: Option<Value>,
}

impl<'a> TaskScope<'a> {
    pub(crate) fn new(variables: &'a [(Arc<str>, Value)]) -> Self {
        Self { data: TaskData::new(variables), secrets: Members::new(), authorization: None }
    }
}

impl TaskScope<'_> {
    /// Makes `name` stand for `value`, whatever it stood for.
    pub(crate) fn bind(&mut self, name: &Arc<str>, value: Value) {
        let variables = self.data.variables.to_mut();
        match variables.iter_mut().find(|(known, _)| known == name) {
            Some((_, bound)) => *bound = value,
            None => variables.push((name.clone(), value)),
        }
    }
}

impl Scope for TaskScope<'_> {
    fn variable(&self, name: &str) -> Value {
        match name {
            "authorization" => self.authorization.clone().unwrap_or_default(),
            _ if is_secrets(name) => Value::from(self.secrets.clone()),
            _ => self.data.variable(name),
        }
    }
}
