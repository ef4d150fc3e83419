//! Schemas that take without bound hold nobody up, and come back after no restart.

use std::fmt::Write as _;

use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{definition, echo};
use crate::support::dev::Dev;

/// Schemas of which each refers twice to the next, `levels` of them; `below`: for the member `x`.
fn doubling(levels: usize, below: bool) -> String {
    let mut text = "{ $ref: '#/$defs/s0', $defs: { ".to_owned();
    for level in 0..levels {
        let mut next = format!("{{ $ref: '#/$defs/s{}' }}", level + 1);
        if below {
            next = format!("{{ properties: {{ x: {next} }} }}");
        }
        let _ = write!(text, "s{level}: {{ anyOf: [ {next}, {next} ] }}, ");
    }
    let _ = write!(text, "s{levels}: {{ type: 'null' }} }} }}");
    text
}

/// `x` in `x`, so many times, and `last` in the innermost.
fn nested(levels: usize, last: Value) -> Value {
    (0..levels).fold(last, |inner, _| json!({"x": inner}))
}

/// Levels at which the library alone takes about a second.
const LEVELS: usize = 18;

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_doubles_at_one_place_is_refused_where_it_stands() {
    let dev = Dev::start().await;
    let schema = doubling(LEVELS, false);
    let input = format!("input: {{ schema: {{ document: {schema} }} }}\ndo:");
    let workflow = definition("double", "  - a: { set: { x: 1 } }").replace("do:", &input);
    let task = |part: &str| {
        let schema = format!("{part}: {{ schema: {{ document: {schema} }} }}");
        definition("double", &format!("  - a: {{ set: {{ x: 1 }}, {schema} }}"))
    };
    for text in [workflow, task("input"), task("output"), task("export")] {
        let problem = dev.api.deploy_text(&text).await.problem(400);
        let finding = &problem["diagnostics"][0];
        assert_eq!(finding["code"], "WL0146", "{finding}");
        let line = text.lines().nth(finding["line"].as_u64().unwrap() as usize - 1).unwrap();
        let column = finding["column"].as_u64().unwrap() as usize;
        assert!(line[column - 1..].starts_with("{ $ref: '#/$defs/s0'"), "{finding}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_doubles_with_the_value_holds_nobody_up() {
    let mut dev = Dev::start().await;
    let schema = doubling(LEVELS, true);
    let input = format!("input: {{ schema: {{ document: {schema} }} }}\ndo:");
    let text = definition("double", "  - a: { set: { x: 1 } }").replace("do:", &input);
    let (double, echo) = (dev.api.deploy(&text).await, dev.api.deploy(&echo()).await);
    let wrong = json!({"workflow": double, "input": nested(LEVELS, json!(0))});
    let starts = join_all((0..8).map(|_| dev.api.post("/v1/instances", &wrong)));
    let inputs: Vec<Value> = (0..20).map(|it| json!(it)).collect();
    let others = join_all(inputs.iter().map(|input| dev.api.run(&echo, input)));
    let (starts, others) = tokio::join!(starts, others);
    for answer in starts {
        let problem = answer.problem(400);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("takes more than 1000000 steps"), "{detail}");
    }
    assert!(others.iter().all(|it| it["status"] == "completed"), "{others:?}");
    let right = nested(LEVELS, Value::Null);
    assert_eq!(dev.api.run(&double, &right).await["status"], "completed");

    // As the schema of a task it is met again by whatever is open when the process dies.
    let parts = ["input", "output", "export"].map(|part| {
        let given = if part == "export" { "as: '${ . }', " } else { "" };
        let schema = format!("{part}: {{ {given}schema: {{ document: {schema} }} }}");
        // One that the engine performs, and one that a worker does.
        let set = format!("  - rest: {{ wait: PT2S }}\n  - a: {{ set: '${{ . }}', {schema} }}");
        let call = format!("  - rest: {{ wait: PT2S }}\n  - a: {{ call: echo, {schema} }}");
        [definition(&format!("set-{part}"), &set), definition(&format!("call-{part}"), &call)]
    });
    let mut open = Vec::new();
    for text in parts.iter().flatten() {
        let workflow = dev.api.deploy(text).await;
        open.push(dev.api.start(&workflow, &nested(LEVELS, json!(0))).await);
    }
    dev.restart().await;
    assert_eq!(dev.api.run(&echo, &json!(1)).await["status"], "completed");
    for id in &open {
        let path = format!("/v1/instances/{id}/output?wait=30s");
        let outcome = dev.api.get(&path).await.body;
        assert_eq!(outcome["status"], "faulted", "{outcome}");
        let error = &outcome["error"];
        assert_eq!(error["instance"], "/do/1/a", "{error}");
        let kind = error["type"].as_str().unwrap();
        assert!(kind.ends_with("/validation"), "{error}");
    }
    dev.process().signal(Signal::TERM);
    assert!(dev.process().wait().await.success());
}
