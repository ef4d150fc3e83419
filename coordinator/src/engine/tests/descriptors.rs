//! `$task`, `$workflow`, `$runtime` (§1.3).

use super::driver::Run;
use super::{check, gives, json};

#[test]
fn a_task_is_described_to_its_own_expressions() {
    check(&[
        gives(
            "name, reference, input, and the definition's keys",
            "{\"n\": 1}",
            "do:
  - a:
      input: {from: '{m: .n}'}
      metadata: {x: 1}
      set: '${ $task | [.name, .reference, .input, .metadata.x, .definition.metadata.x, (.set | type), .output] }'",
            "[\"a\", \"/do/0/a\", {\"n\": 1}, 1, 1, \"string\", null]",
        ),
        gives(
            "the raw output, from `output.as` on",
            "{}",
            "do: [{a: {set: {n: 1}, output: {as: '[$task.output.n, .n]'}, export: {as: '{raw: $task.output, out: .}'}}}]
output: {as: $context}",
            "{\"raw\": {\"n\": 1}, \"out\": [1, 1]}",
        ),
        gives(
            "in `if` as well",
            "{\"n\": 1}",
            "do: [{d: {do: [{a: {if: '$task.reference == \"/do/0/d/do/0/a\" and $task.input.n == 1', set: {n: 2}}}]}}]",
            "{\"n\": 2}",
        ),
        gives(
            "it is null where there is no task",
            "{}",
            "do: []\noutput: {as: '[$task, $input, $output, $authorization]'}",
            "[null, null, null, null]",
        ),
    ]);
}

#[test]
fn workflow_and_runtime_are_described() {
    let body =
        "do: [{a: {set: {w: '${ $workflow }', r: '${ $runtime }', t: '${ $task.startedAt }'}}}]";
    let run = Run::of(body).input("{\"n\": 1}").go();
    let output = json(&run.output());
    let workflow = output.get("w").unwrap();
    let started = json(
        r#"{"iso8601":"2026-01-01T00:00:00.000Z","epoch":{"seconds":1767225600,"milliseconds":1767225600000}}"#,
    );
    assert_eq!(workflow.get("id").unwrap().as_str(), Some("01920000-0000-7000-8000-000000000001"));
    assert_eq!(workflow.get("input"), Some(&json("{\"n\": 1}")));
    assert_eq!(workflow.get("startedAt"), Some(&started));
    assert_eq!(output.get("t"), Some(&started));
    let name = workflow.get("definition").and_then(|it| it.get("document")?.get("name"));
    assert_eq!(name.and_then(|it| it.as_str()), Some("test"));
    let runtime = output.get("r").unwrap();
    assert_eq!(runtime.get("name").and_then(|it| it.as_str()), Some("windlass"));
    assert_eq!(runtime.get("version").and_then(|it| it.as_str()), Some(env!("CARGO_PKG_VERSION")));
}

#[test]
fn now_is_the_time_of_the_turn() {
    let body = "do: [{a: {set: {n: '${ now | floor }'}}}, {w: {wait: PT10S}}, {b: {set: '${ (now | floor) - .n }'}}]";
    assert_eq!(json(&Run::of(body).go().output()), json("10"));
}
