//! Runs test files in the format of jq's own through the expression engine, and counts.
//!
//! `cargo run -p windlass-proto --example jq_suite -- [-v] FILE…`, where a `FILE` is for example
//! `tests/jq.test` of a checkout of jq. A group is a program, its input and its outputs, each on a
//! line; a program runs as `set: {x: '${ [PROGRAM] }'}` does. A group under `%%FAIL` passes when
//! the program is refused. With `-v`, each group that does not pass is shown.

#![allow(clippy::print_stdout)]

use std::process::ExitCode;

use windlass_proto::expression::{Budget, Names, Scope, Template};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

/// 2024-02-15T10:30:45Z
const NOW: Timestamp = Timestamp(1_707_993_045_000);

/// No variable has a value.
struct Nothing;

impl Scope for Nothing {
    fn variable(&self, _: &str) -> Value {
        Value::Null
    }
}

/// Programs with what they are expected to do.
struct Group<'a> {
    line: usize,
    program: &'a str,
    /// The input and the outputs; none where the program has to be refused.
    run: Option<(&'a str, Vec<&'a str>)>,
}

/// The groups of a file: they are parted by empty lines, and `#` begins a comment.
fn groups(text: &str) -> Vec<Group<'_>> {
    let is_empty = |line: &str| line.trim().is_empty() || line.starts_with('#');
    let mut lines = text.lines().enumerate();
    let mut groups = Vec::new();
    while let Some((at, first)) = lines.by_ref().find(|(_, line)| !is_empty(line)) {
        let rest = lines.by_ref().map(|(_, line)| line).take_while(|line| !line.trim().is_empty());
        let mut rest = rest.filter(|line| !line.starts_with('#'));
        let (program, run) = if first.starts_with("%%FAIL") {
            (rest.next().unwrap_or_default(), None)
        } else {
            (first, Some(rest.next().unwrap_or_default()))
        };
        let outputs = rest.collect();
        groups.push(Group { line: at + 1, program, run: run.map(|input| (input, outputs)) });
    }
    groups
}

/// What is wrong with a group, if anything is.
fn check(group: &Group<'_>) -> Result<(), String> {
    let text = format!("${{ [{}\n] }}", group.program);
    let compiled = Template::compile(&Value::from(text), &Names::default());
    let Some((input, expected)) = &group.run else {
        return compiled.map_or(Ok(()), |_| Err("it was not refused".to_owned()));
    };
    let template = compiled.map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        format!("refused: {}", errors.join("; "))
    })?;
    let input = parse(input)?;
    let expected: Vec<Value> = expected.iter().map(|it| parse(it)).collect::<Result<_, _>>()?;
    let outputs =
        template.evaluate(&input, &Nothing, Budget::at(NOW)).map_err(|error| error.message)?;
    if outputs == Value::array(expected.clone()) {
        return Ok(());
    }
    Err(format!("expected {}\n  but got  {}", Value::array(expected).to_json(), outputs.to_json()))
}

/// A line of JSON, with what jq reads beyond it.
fn parse(line: &str) -> Result<Value, String> {
    let line = line.trim_start_matches('\u{feff}');
    Value::from_json(line).map_err(|error| format!("the line {line:?} is not JSON: {error}"))
}

fn main() -> ExitCode {
    let (flags, files): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|it| it.starts_with('-'));
    let is_verbose = flags.iter().any(|it| it == "-v");
    for file in &files {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                println!("{file}: {error}");
                return ExitCode::FAILURE;
            }
        };
        let groups = groups(&text);
        let mut passed = 0;
        for group in &groups {
            match check(group) {
                Ok(()) => passed += 1,
                Err(why) if is_verbose => {
                    println!("{file}:{}: {}\n  {why}\n", group.line, group.program);
                }
                Err(_) => {}
            }
        }
        println!("{file}: {passed} of {} groups pass", groups.len());
    }
    if files.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
