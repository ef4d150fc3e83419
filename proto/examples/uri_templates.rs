//! Runs test files of the form that the project `uritemplate-test` has, and counts by level:
//!
//! `cargo run -p windlass-proto --example uri_templates -- spec-examples.json negative-tests.json`
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::error::Error;

use windlass_proto::expression::{Budget, Names, Scope, UriTemplate};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

struct Nothing;

impl Scope for Nothing {
    fn variable(&self, _: &str) -> Value {
        Value::Null
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    for path in std::env::args().skip(1) {
        let file =
            Value::from_json(&std::fs::read_to_string(&path)?).map_err(|it| it.to_string())?;
        let mut counts = BTreeMap::<String, (usize, usize)>::new();
        for (group, content) in file.as_object().into_iter().flatten() {
            let level = content.get("level").map_or_else(|| "-".to_owned(), Value::to_text);
            let variables = content.get("variables").cloned().unwrap_or_default();
            for case in content.get("testcases").and_then(Value::as_array).unwrap_or_default() {
                let [Value::String(template), expected] = case.as_array().unwrap_or_default()
                else {
                    return Err(format!("{path}: {} is no test case", case.to_json()).into());
                };
                let given = expand(template, &variables);
                let is_right = match (&given, expected) {
                    (Err(_), expected) => *expected == Value::Bool(false),
                    (Ok(given), Value::Array(_)) => {
                        let any = expected.as_array().unwrap_or_default();
                        any.iter().any(|it| it.as_str() == Some(given))
                    }
                    (Ok(given), expected) => expected.as_str() == Some(given),
                };
                let count = counts.entry(level.clone()).or_default();
                count.0 += usize::from(is_right);
                count.1 += 1;
                if !is_right {
                    println!("{group}: {template} gives {given:?}, not {}", expected.to_json());
                }
            }
        }
        for (level, (right, all)) in counts {
            println!("{path}, level {level}: {right} of {all}");
        }
    }
    Ok(())
}

fn expand(template: &str, variables: &Value) -> Result<String, String> {
    let uri = UriTemplate::compile(template, &Names::default()).map_err(|it| it.to_string())?;
    let expanded = uri.expand(variables, &Nothing, Budget::at(Timestamp(0)));
    expanded.map_err(|error| error.message)
}
