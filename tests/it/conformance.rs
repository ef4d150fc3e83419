//! What the language has, what works of it, and which test proves it: a table that is checked
//! against the tests there are, and from which `docs/conformance.md` is made.
//!
//! `WINDLASS_DOCS=write` writes the document anew.

mod table;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::language;
use crate::support::paths;

/// The document, from the root.
const DOCUMENT: &str = "docs/conformance.md";

/// What a proof begins with that is a case of `language`.
const CASE: &str = "case ";

/// How it stands with a feature.
#[derive(Clone, Copy)]
enum State {
    /// As the specification says, or as we decided where it is silent.
    Works,
    /// It works, and other than the specification says: in what.
    Deviates(&'static str),
    /// It is refused when it is deployed: what to do instead.
    Not(&'static str),
}

/// One feature.
struct Row {
    what: &'static str,
    state: State,
    /// Tests: the end of the path of a function, or [`CASE`] and a name.
    proofs: &'static [&'static str],
}

/// Features of one part of the language.
struct Part {
    title: &'static str,
    rows: &'static [Row],
}

const fn works(what: &'static str, proofs: &'static [&'static str]) -> Row {
    Row { what, state: State::Works, proofs }
}

const fn deviates(what: &'static str, how: &'static str, proofs: &'static [&'static str]) -> Row {
    Row { what, state: State::Deviates(how), proofs }
}

const fn not(what: &'static str, instead: &'static str, proofs: &'static [&'static str]) -> Row {
    Row { what, state: State::Not(instead), proofs }
}

/// The paths of all tests of the repository, as `crate::module::function`.
fn tests() -> BTreeSet<String> {
    let root = paths::root();
    let crates = [
        ("it", "tests/it"),
        ("cli", "cli/src"),
        ("coordinator", "coordinator/src"),
        ("proto", "proto/src"),
        ("worker", "worker/src"),
    ];
    let mut all = BTreeSet::new();
    for (name, folder) in crates {
        collect(&root.join(folder), name, &mut all);
    }
    all
}

/// Adds the tests in the files of a folder, whose path as a module is `module`.
fn collect(folder: &Path, module: &str, all: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let module = format!("{module}::{stem}");
        if path.is_dir() {
            collect(&path, &module, all);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            all.extend(functions(&text).map(|it| format!("{module}::{it}")));
        }
    }
}

/// The names of the tests in a text.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    text.lines().map(str::trim_start).filter_map(move |line| {
        let declared = ["fn ", "async fn ", "pub fn "].iter().find_map(|it| line.strip_prefix(it));
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(name) = declared.filter(|_| std::mem::take(&mut is_test)) {
            return name.split('(').next();
        }
        None
    })
}

/// A proof as it is shown: with its whole path.
fn shown(proof: &str, tests: &BTreeSet<String>, cases: &[&str]) -> Result<String, String> {
    if let Some(case) = proof.strip_prefix(CASE) {
        let known = cases.contains(&case).then(|| format!("case `{case}`"));
        return known.ok_or_else(|| format!("`language` has no case `{case}`"));
    }
    let end = format!("::{proof}");
    let found: Vec<&String> = tests.iter().filter(|it| format!("::{it}").ends_with(&end)).collect();
    match &*found {
        [only] => Ok(format!("`{only}`")),
        [] => Err(format!("no test is called `{proof}`")),
        many => Err(format!("`{proof}` may be any of {many:?}")),
    }
}

#[test]
fn every_test_that_is_named_exists() {
    let (tests, cases) = (tests(), language::names());
    let rows = table::PARTS.iter().flat_map(|part| part.rows);
    let proofs = rows.flat_map(|row| row.proofs.iter().map(|it| shown(it, &tests, &cases)));
    let wrong: Vec<String> = proofs.filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_are_read_and_looked_up() {
    let text = "#[test]\nfn one() {}\nfn none() {}\n  #[tokio::test(x = 1)]\n  // why\n  async fn two() {}";
    let found: Vec<&str> = functions(text).collect();
    assert_eq!(found, ["one", "two"]);
    let tests = ["it::a::one", "it::b::one", "it::b::two"].map(str::to_owned).into();
    assert_eq!(shown("a::one", &tests, &[]).unwrap(), "`it::a::one`");
    assert!(shown("one", &tests, &[]).unwrap_err().contains("it::b::one"));
    assert!(shown("wo", &tests, &[]).is_err(), "only whole names");
    assert!(shown("case x", &tests, &["y"]).is_err());
}

#[test]
fn every_part_of_the_language_is_in_the_table() {
    let titles: Vec<&str> = table::PARTS.iter().map(|part| part.title).collect();
    let numbers: Vec<&str> = titles.iter().filter_map(|it| it.split(' ').next()).collect();
    let wanted: Vec<String> = (1..=21).map(|it| format!("1.{it}")).collect();
    assert_eq!(numbers, wanted);
    let whats: Vec<&str> =
        table::PARTS.iter().flat_map(|part| part.rows).map(|row| row.what).collect();
    assert_eq!(whats.iter().collect::<BTreeSet<_>>().len(), whats.len(), "a row comes twice");
    assert!(whats.len() > 150, "only {} rows", whats.len());
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
         `WINDLASS_DOCS=write cargo test --workspace --test it conformance` and look at the change"
    );
}

fn document() -> String {
    let (tests, cases) = (tests(), language::names());
    let mut out = INTRODUCTION.to_owned();
    let all = || table::PARTS.iter().flat_map(|part| part.rows);
    let count = |wanted: fn(&Row) -> bool| all().filter(|row| wanted(row)).count();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "\nOf {} rows {} work, {} deviate and {} are not there; {} have no test.",
        all().count(),
        count(|it| matches!(it.state, State::Works)),
        count(|it| matches!(it.state, State::Deviates(_))),
        count(|it| matches!(it.state, State::Not(_))),
        count(|it| it.proofs.is_empty()),
    );
    for part in table::PARTS {
        let _ =
            write!(out, "\n## {}\n\n| feature | state | proved by |\n|---|---|---|\n", part.title);
        for row in part.rows {
            let state = match row.state {
                State::Works => "works".to_owned(),
                State::Deviates(how) => format!("deviates: {how}"),
                State::Not(instead) => format!("not there: {instead}"),
            };
            let proofs: Vec<String> = row
                .proofs
                .iter()
                .map(|it| shown(it, &tests, &cases).unwrap_or_else(|wrong| wrong))
                .collect();
            let proofs = if proofs.is_empty() { "no test".into() } else { proofs.join(", ") };
            let _ = writeln!(out, "| {} | {state} | {proofs} |", row.what);
        }
    }
    out
}

const INTRODUCTION: &str = "\
# What works of the language

Every part of the Serverless Workflow DSL 1.0.x in the order of its reference, how it stands with it here, and the
tests that prove it. Where the specification is silent or contradicts itself, `works` means: as we decided, always in
the same way.

- **works**: as the specification says.
- **deviates**: it works, and in this it is other than the specification says. What people write beside the
  specification, and what becomes of it, is in [DEVIATIONS.md](DEVIATIONS.md).
- **not there**: `validate` warns of it (WL0160); `validate --strict` and `deploy` refuse it.

`it::…` are tests of the whole product in `tests/it`, the others unit tests of a crate; `case …` is a workflow of
`tests/it/language`, run on a server. The 21 scenarios of the conformance kit pass as well, in one process and over NATS
(`it::ctk`, `it::fleet`).

This file is made from a table of the tests (`tests/it/conformance`), which fail where a test is not there:
`WINDLASS_DOCS=write cargo test --workspace --test it conformance`.
";
