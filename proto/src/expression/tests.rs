//! Tests of expressions as a whole.

mod differential;
mod equality;
mod refusals;
mod runaway;
mod sealed;
mod templates;

use std::sync::Arc;

use super::{Budget, EvaluationError, Names, Program, Scope, Template};
use crate::time::Timestamp;
use crate::value::Value;

/// 2024-02-15T10:30:45.500Z
const NOW: Timestamp = Timestamp(1_707_993_045_500);

/// Variables for tests.
struct Variables(Vec<(&'static str, Value)>);

impl Scope for Variables {
    fn variable(&self, name: &str) -> Value {
        self.0.iter().find(|it| it.0 == name).map(|it| it.1.clone()).unwrap_or_default()
    }
}

fn names() -> Names {
    Names {
        secrets: ["api-key", "api-key-secret", "db", "token"].map(Arc::from).to_vec(),
        bound: vec!["item".into(), "$color".into()],
        loose: false,
    }
}

fn json(text: &str) -> Value {
    Value::from_json(text).expect("a test's JSON")
}

fn compiled(text: &str) -> Program {
    Program::compile(text, &names()).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn evaluate(text: &str, input: &str) -> Result<Value, EvaluationError> {
    compiled(text).evaluate(json(input), &Variables(Vec::new()), Budget::at(NOW))
}
