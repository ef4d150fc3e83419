//! `docs/compare.md` names a test for what it says of Windlass, and each of those is there.

use std::collections::BTreeSet;

use crate::support::paths;

/// Names of tests in the document, as `cargo test` has them.
fn named(text: &str) -> BTreeSet<String> {
    let is_test = |it: &&str| {
        it.contains("::")
            && it.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c))
    };
    text.split('`').skip(1).step_by(2).filter(is_test).map(str::to_owned).collect()
}

/// True where the file of this test declares it.
fn is_there(test: &str) -> bool {
    let Some((module, function)) = test.rsplit_once("::") else { return false };
    let path = paths::root().join("tests/it").join(module.replace("::", "/")).with_extension("rs");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let declares = |line: &str| {
        [format!("async fn {function}("), format!("fn {function}(")]
            .iter()
            .any(|it| line.starts_with(it))
    };
    let at = lines.iter().position(|it| declares(it));
    // Not any function of that name, but a test.
    at.is_some_and(|at| at > 0 && lines[at - 1].starts_with("#[") && lines[at - 1].contains("test"))
}

#[test]
fn what_is_said_of_windlass_is_tested() {
    let text = std::fs::read_to_string(paths::root().join("docs/compare.md")).unwrap();
    let named = named(&text);
    assert!(named.len() > 15, "too few were found: {named:?}");
    let missing: Vec<_> = named.iter().filter(|it| !is_there(it)).collect();
    assert!(missing.is_empty(), "there are no such tests: {missing:?}");
    // Each row that is about Windlass has one.
    let rows = text.lines().filter(|it| it.starts_with("| ") && !it.starts_with("| |"));
    let bare: Vec<_> = rows.filter(|it| named.iter().all(|test| !it.contains(&**test))).collect();
    assert!(bare.is_empty(), "rows without a test: {bare:#?}");
    for other in ["Temporal", "Restate", "DBOS", "Hatchet", "Conductor", "Step Functions"] {
        assert!(text.contains(other), "{other}");
    }
    assert!(!is_there("compare::named") && !is_there("compare::no_such_test"));
}
