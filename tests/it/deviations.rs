//! What people write beside the specification, and what becomes of it: a table that is tested, and
//! from which `docs/DEVIATIONS.md` is made.
//!
//! `WINDLASS_DOCS=write` writes the document anew.

mod table;

use std::fmt::Write as _;

use windlass_proto::definition::{Diagnostic, Options, Severity, explain, load};

use crate::support::paths;

/// The document, from the root.
const DOCUMENT: &str = "docs/DEVIATIONS.md";

/// What becomes of a deviation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing is said.
    Accepted,
    /// It works, and a finding says what to change.
    Warned,
    /// It is an error.
    Refused,
}

/// What is around the text of a row.
#[derive(Clone, Copy)]
enum Frame {
    /// Members of `document`; those it has not are added.
    Document,
    /// Properties of the workflow.
    Root,
    /// Items of a list of tasks.
    List,
    /// Properties of a task.
    Task,
    /// All but `document`.
    Workflow,
    /// Nothing.
    Whole,
}

/// One deviation.
struct Row {
    /// What is different, in a few words.
    what: &'static str,
    frame: Frame,
    written: &'static str,
    outcome: Outcome,
    /// The code of its finding; empty where nothing is said.
    code: &'static str,
}

/// Deviations of one part of a definition.
struct Part {
    title: &'static str,
    rows: Vec<Row>,
}

impl Row {
    /// The whole definition.
    fn text(&self) -> String {
        let written = self.written;
        match self.frame {
            Frame::Document => {
                let usual = ["dsl: 1.0.3", "namespace: shop", "name: order", "version: 1.0.0"];
                let missing = usual.into_iter().filter(|member| {
                    let key = &member[..=member.find(':').unwrap()];
                    !written.contains(key)
                });
                let members: Vec<&str> = missing.chain([written]).collect();
                format!("document: {{ {} }}\ndo: []\n", members.join(", "))
            }
            Frame::Root => format!("{HEAD}{written}\ndo: []\n"),
            Frame::Workflow => format!("{HEAD}{written}\n"),
            Frame::List => format!("{HEAD}do: [ {written} ]\n"),
            Frame::Task => format!("{HEAD}do: [ task: {{ {written} }} ]\n"),
            Frame::Whole => written.to_owned(),
        }
    }

    fn findings(&self, strict: bool) -> (Outcome, Vec<Diagnostic>) {
        let loaded = load(&self.text(), &Options { strict, ..Options::default() });
        let outcome = match loaded.plan {
            None => Outcome::Refused,
            Some(_) if loaded.diagnostics.is_empty() => Outcome::Accepted,
            Some(_) => Outcome::Warned,
        };
        (outcome, loaded.diagnostics)
    }
}

const HEAD: &str = "document: { dsl: 1.0.3, namespace: shop, name: order, version: 1.0.0 }\n";

/// What is not as the row says.
fn check(row: &Row) -> Option<String> {
    let (outcome, findings) = row.findings(false);
    let wrong = |what: &str| Some(format!("{what}:\n{}\n{findings:#?}", row.text()));
    if outcome != row.outcome {
        return wrong(&format!("{outcome:?} and not {:?}", row.outcome));
    }
    if outcome == Outcome::Accepted {
        return None;
    }
    let Some(finding) = findings.iter().find(|it| it.code == row.code) else {
        return wrong(&format!("no {}", row.code));
    };
    let error = finding.severity == Severity::Error;
    if error != (outcome == Outcome::Refused) || explain(row.code).is_none() {
        return wrong("another severity, or no explanation");
    }
    if finding.hint.is_none() {
        return wrong("nothing says what to do");
    }
    let others = findings.iter().any(|it| it.code != row.code);
    if others && !error { wrong("more is found") } else { None }
}

#[test]
fn every_deviation_has_the_outcome_and_the_hint_it_should() {
    let parts = table::parts();
    let wrong: Vec<_> = parts.iter().flat_map(|part| &part.rows).filter_map(check).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let count = parts.iter().map(|part| part.rows.len()).sum::<usize>();
    assert!(count > 80, "only {count} deviations");
}

#[test]
fn every_code_of_a_deviation_has_a_row() {
    let parts = table::parts();
    let codes: Vec<_> = parts.iter().flat_map(|part| &part.rows).map(|row| row.code).collect();
    // What only `run` and `dev` accept is beside the table.
    for number in (201..300).filter(|it| *it != 230) {
        let code = format!("WL0{number}");
        assert!(explain(&code).is_none() || codes.contains(&&*code), "{code}");
    }
}

#[test]
fn the_document_says_what_the_table_says() {
    let file = paths::root().join(DOCUMENT);
    let made = document();
    if std::env::var("WINDLASS_DOCS").is_ok_and(|it| it == "write") {
        std::fs::write(&file, &made).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == made,
        "{DOCUMENT} is not what the table gives: run \
         `WINDLASS_DOCS=write cargo test --workspace --test it deviations` and look at the change"
    );
}

fn document() -> String {
    let mut out = INTRODUCTION.to_owned();
    for part in table::parts() {
        // Writing to a String cannot fail.
        let _ = write!(out, "\n## {}\n\n", part.title);
        out.push_str("| what | written so | becomes | `--strict` | code | hint |\n");
        out.push_str("|---|---|---|---|---|---|\n");
        for row in part.rows {
            let (outcome, findings) = row.findings(false);
            let (strict, _) = row.findings(true);
            let finding = findings.into_iter().find(|it| it.code == row.code);
            let hint = finding.and_then(|it| it.hint).unwrap_or_default();
            let written = row.written.trim_end().replace('\n', " ⏎ ");
            let cells = [
                row.what.replace('|', "\\|"),
                code_span(&written),
                word(outcome).to_owned(),
                word(strict).to_owned(),
                row.code.to_owned(),
                hint.replace('|', "\\|"),
            ];
            let _ = writeln!(out, "| {} |", cells.join(" | "));
        }
    }
    out
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted => "accepted",
        Outcome::Warned => "warned",
        Outcome::Refused => "refused",
    }
}

/// Text as code in a cell of a table.
fn code_span(text: &str) -> String {
    let text = text.replace('|', "\\|");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

const INTRODUCTION: &str = "\
# What people write, and what becomes of it

Definitions in the wild deviate from the specification. Where it is plain what is meant, Windlass accepts it with a warning;
`windlass validate --strict`, and `metadata: { compat: strict }` in `document`, make such warnings errors. What is valid and surely not
meant is warned of as well. Everything else is refused, with a hint. `windlass explain CODE` tells more about each code.

- **accepted**: nothing is said.
- **warned**: it runs, and the finding says what to write instead.
- **refused**: it is an error; the hint says what to write.

This file is made from a table of the tests (`tests/it/deviations`): `WINDLASS_DOCS=write cargo test --workspace --test it deviations`.

## Data that becomes syntax

Two places are read by others once data is in them, so they are treated by themselves:

- **Endpoints.** What `${ }` gives inside a literal endpoint is percent-encoded where it comes after the authority, as what `{name}` gives is:
  in `http://host/items/${ .id }?q=${ .q }` neither `/` nor `&` of the data ends anything. Data that makes `.` or `..` a part of the path, or brings
  `/`, `?`, `#`, `@` or `\\` into a host that is only in part data, is an error of the task. To put data in as it is, make the whole endpoint one
  expression, `${ \"http://host/\" + .path }`, or encode by yourself: an expression that uses `@uri` is left alone, as
  `${ .path | split(\"/\") | map(@uri) | join(\"/\") }`.
  Null, a list or an object is an error before the query (400, `expression`) and never `/items/null`; a list or an object for the query is
  `{?tags*}` or `{?filter*}`, or the property `query` of the call. A `{name}` that the input has not, or has as null, is nothing: the specification says so,
  and `/items/{id}` is `/items/` then. Where that must not be, write `${ .id }`. Names that surely or likely are no properties are warned of (WL0421).
- **Shell commands.** What `${ }` puts into `run.shell.command` is carried out by the shell, whatever it is. That is warned of (WL0235); `arguments`
  and `environment` take data that stays data, and so does `@sh`.
";
