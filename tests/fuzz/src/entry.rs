//! What is fuzzed, and what must hold for any bytes. Shared by the fuzz targets and by the quick
//! mutation test that runs with the other tests.

use windlass_coordinator::engine;
use windlass_proto::definition::{self, Options, Severity};
use windlass_proto::expression::{Budget, Names, Program, Scope, Template};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

/// The text of a definition: a plan, or at least one error; every finding has a place in the text.
pub fn definition(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let loaded = definition::load(&text, &Options::default());
    let error = loaded.diagnostics.iter().any(|it| it.severity == Severity::Error);
    assert_eq!(loaded.plan.is_none(), error, "a plan, or an error: {:?}", loaded.diagnostics);
    // A lone carriage return ends a line too, and an error may stand behind the last line.
    let lines = text.matches(['\n', '\r']).count() + 2;
    for finding in &loaded.diagnostics {
        assert!((1..=lines).contains(&finding.line), "no such line: {finding:?}");
        assert!(finding.column >= 1 && finding.length >= 1, "no such place: {finding:?}");
        assert!(finding.code.starts_with("WL") && !finding.message.is_empty(), "{finding:?}");
    }
}

struct Nothing;

impl Scope for Nothing {
    fn variable(&self, _name: &str) -> Value {
        Value::Null
    }
}

/// A program: refused, or it gives the same result each time, within a small budget.
pub fn expression(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let budget = Budget { steps: 20_000, bytes: 1 << 20, ..Budget::at(Timestamp::default()) };
    let names = Names::default();
    let input: Value = sample();
    match Program::compile(&text, &names) {
        Ok(program) => {
            let first = program.evaluate(input.clone(), &Nothing, budget);
            assert_eq!(first, program.evaluate(input.clone(), &Nothing, budget), "not the same");
        }
        Err(error) => {
            assert!(!error.message.is_empty());
            assert!(error.offset <= text.len(), "{error:?} is outside the text");
        }
    }
    let template = Value::array(vec![Value::from(&*text), input.clone()]);
    if let Ok(template) = Template::compile(&template, &names) {
        let _ = template.evaluate(&input, &Nothing, budget);
    }
}

fn sample() -> Value {
    serde_json::from_str(r#"{"a": [1, 2.5, "x", null, {"b": true}], "n": -3, "s": "héllo"}"#)
        .unwrap_or(Value::Null)
}

/// Facts and snapshots: refused, or what is read is written as bytes that give themselves again.
/// (Bytes are compared, because a number that is none does not equal itself.)
pub fn record(bytes: &[u8]) {
    fn facts(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut written = Vec::new();
        for turn in engine::decode(bytes).ok()? {
            engine::encode(&turn, &mut written).ok()?;
        }
        Some(written)
    }
    fn snapshot(bytes: &[u8]) -> Option<Vec<u8>> {
        engine::Instance::from_bytes(bytes).ok()?.to_bytes().ok()
    }
    for again in [facts, snapshot] {
        if let Some(written) = again(bytes) {
            assert_eq!(again(&written).as_ref(), Some(&written), "what was read does not return");
        }
    }
}
