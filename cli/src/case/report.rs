//! Outcomes for people and for programs: text, JSON, JUnit XML, TAP.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use windlass_proto::duration;
use windlass_proto::xml::escaped as xml;

use super::judge::{Failure, Outcome};
use super::reach::Summary;
use crate::output::printable;

/// What came of a file of tests.
pub(crate) struct Tested {
    /// The file.
    pub(crate) file: String,
    /// What came of its cases.
    pub(crate) outcomes: Vec<Outcome>,
    /// How much of its workflows they have come to.
    pub(crate) coverage: Summary,
}

/// How many cases there were, and how many of them failed.
pub(crate) fn counts(all: &[Tested]) -> (usize, usize) {
    let outcomes = || all.iter().flat_map(|it| &it.outcomes);
    (outcomes().count(), outcomes().filter(|it| !it.failures.is_empty()).count())
}

/// A file for people: a line for each case, and all about those that failed.
pub(crate) fn text(tested: &Tested) -> String {
    let mut text = format!("{}\n", tested.file);
    for outcome in &tested.outcomes {
        let word = if outcome.failures.is_empty() { "ok  " } else { "FAIL" };
        let took = duration::written(outcome.took);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {word} {} ({took})", printable(&outcome.name));
        for failure in &outcome.failures {
            text.push_str(&indented(&about(failure, &tested.file), 7));
        }
        if !outcome.before.is_empty() {
            text.push_str(&indented(&format!("what happened:\n{}", before(outcome)), 7));
        }
    }
    text
}

fn before(outcome: &Outcome) -> String {
    let lines: Vec<_> = outcome.before.iter().map(|it| format!("  {}", printable(it))).collect();
    lines.join("\n")
}

fn about(failure: &Failure, file: &str) -> String {
    let mut text = format!("{file}:{}: {}", failure.line, failure.message);
    if !failure.detail.is_empty() {
        text.push('\n');
        text.push_str(&indented(failure.detail.trim_end(), 2));
    }
    if let Some(task) = &failure.task {
        let text_end = text.trim_end().len();
        text.truncate(text_end);
        let _ = write!(text, "\nat {task}");
    }
    text
}

fn indented(text: &str, by: usize) -> String {
    let pad = " ".repeat(by);
    text.trim_end().lines().fold(String::new(), |all, line| format!("{all}{pad}{line}\n"))
}

/// Everything as one JSON document.
pub(crate) fn json(all: &[Tested], coverage: &Summary) -> Json {
    let (total, failed) = counts(all);
    let file = |it: &Tested| {
        let cases: Vec<_> = it.outcomes.iter().map(case).collect();
        json!({"file": it.file, "cases": cases})
    };
    let files: Vec<_> = all.iter().map(file).collect();
    json!({
        "files": files,
        "total": total,
        "failed": failed,
        "coverage": {
            "percent": coverage.percent(),
            "reached": coverage.reached,
            "all": coverage.all,
            "missed": coverage.missed,
        },
    })
}

fn case(outcome: &Outcome) -> Json {
    let failures: Vec<_> = outcome
        .failures
        .iter()
        .map(|it| {
            json!({"message": it.message, "detail": it.detail, "line": it.line, "task": it.task})
        })
        .collect();
    json!({
        "name": outcome.name,
        "line": outcome.line,
        "passed": failures.is_empty(),
        "took": duration::written(outcome.took),
        "failures": failures,
        "history": outcome.before,
    })
}

/// As JUnit has it, which tools of CI read. Times are those of the instances' own clock, so that
/// the file is the same each time.
pub(crate) fn junit(all: &[Tested]) -> String {
    let (total, failed) = counts(all);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        text,
        "<testsuites name=\"windlass\" tests=\"{total}\" failures=\"{failed}\" errors=\"0\">"
    );
    for tested in all {
        let (total, failed) = counts(std::slice::from_ref(tested));
        let file = xml(&tested.file);
        let _ = writeln!(
            text,
            "  <testsuite name=\"{file}\" tests=\"{total}\" failures=\"{failed}\" errors=\"0\">"
        );
        for outcome in &tested.outcomes {
            let (name, took) = (xml(&outcome.name), seconds(outcome.took));
            let _ = write!(
                text,
                "    <testcase name=\"{name}\" classname=\"{file}\" file=\"{file}\" line=\"{}\" \
                 time=\"{took}\"",
                outcome.line
            );
            let Some(first) = outcome.failures.first() else {
                text.push_str("/>\n");
                continue;
            };
            text.push_str(">\n");
            let said: Vec<_> = outcome.failures.iter().map(|it| about(it, &tested.file)).collect();
            let said = format!("{}\nwhat happened:\n{}", said.join("\n"), before(outcome));
            let _ = writeln!(
                text,
                "      <failure message=\"{}\" type=\"expectation\">{}</failure>\n    </testcase>",
                xml(&first.message),
                xml(&said)
            );
        }
        text.push_str("  </testsuite>\n");
    }
    text + "</testsuites>\n"
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1_000, milliseconds % 1_000)
}

/// As the Test Anything Protocol has it, version 14.
pub(crate) fn tap(all: &[Tested]) -> String {
    let (total, _) = counts(all);
    let mut text = format!("TAP version 14\n1..{total}\n");
    let mut number = 0;
    for tested in all {
        for outcome in &tested.outcomes {
            number += 1;
            let word = if outcome.failures.is_empty() { "ok" } else { "not ok" };
            let name = format!("{} > {}", tested.file, outcome.name);
            // `#` begins a directive.
            let name = printable(&name).replace('\\', "\\\\").replace('#', "\\#");
            let _ = writeln!(text, "{word} {number} - {name}");
            if outcome.failures.is_empty() {
                continue;
            }
            let said: Vec<_> = outcome.failures.iter().map(|it| about(it, &tested.file)).collect();
            let said = format!("{}\nwhat happened:\n{}", said.join("\n"), before(outcome));
            let _ = write!(text, "  ---\n  message: |\n{}  ...\n", indented(&said, 4));
        }
    }
    text
}

#[cfg(test)]
mod tests;
