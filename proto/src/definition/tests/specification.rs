//! The published examples, conformance features and invalid fixtures, where they are at hand.

use std::path::{Path, PathBuf};

use crate::definition::{Options, Severity, load};

/// `WINDLASS_SPEC`, or the folder beside the repository; `None` skips the test, aloud.
fn folder() -> Option<PathBuf> {
    let given = std::env::var_os("WINDLASS_SPEC").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec");
    let found = given.or_else(|| beside.is_dir().then_some(beside));
    if found.is_none() {
        eprintln!("skipped: set WINDLASS_SPEC to the folder of the specification");
    }
    found
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

/// All findings, rendered.
fn findings(path: &Path, text: &str) -> (bool, String) {
    let loaded = load(text, &Options::default());
    let rendered: Vec<_> =
        loaded.diagnostics.iter().map(|it| it.render(&path.display().to_string(), text)).collect();
    (loaded.plan.is_some(), rendered.join("\n\n"))
}

#[test]
fn every_example_loads() {
    let Some(folder) = folder() else { return };
    for path in files(&folder.join("examples"), "yaml") {
        let text = std::fs::read_to_string(&path).unwrap();
        let (loaded, found) = findings(&path, &text);
        assert!(loaded, "{found}");
        eprintln!("{found}");
    }
}

#[test]
fn every_workflow_of_the_conformance_kit_loads() {
    let Some(folder) = folder() else { return };
    let mut count = 0;
    for kit in ["ctk/features", "ctk-serverlessworkflow"] {
        for path in files(&folder.join(kit), "feature") {
            let text = std::fs::read_to_string(&path).unwrap();
            // Doc strings alternate with the text around them.
            for part in text.split("\"\"\"").skip(1).step_by(2) {
                let part = part.trim_start().strip_prefix("yaml").unwrap_or(part);
                if part.contains("\n") && part.contains("document:") && part.contains("dsl:") {
                    let (loaded, found) = findings(&path, part);
                    assert!(loaded, "{found}");
                    count += 1;
                }
            }
        }
    }
    assert_eq!(count, 42);
}

#[test]
fn every_invalid_fixture_is_refused_for_its_reason() {
    let Some(folder) = folder() else { return };
    for (name, expected) in [
        ("extra-property-in-call", ("WL0122", 12)),
        ("listen-any-until-any-until", ("WL0105", 7)),
        ("two-tasks-in-one-item", ("WL0130", 12)),
    ] {
        let text = std::fs::read_to_string(folder.join(format!("invalid/{name}.yaml"))).unwrap();
        let loaded = load(&text, &Options::default());
        assert!(loaded.plan.is_none(), "{name}");
        let first = loaded.diagnostics.iter().find(|it| it.severity == Severity::Error).unwrap();
        assert_eq!((first.code, first.line), expected, "{name}: {first:?}");
    }
}

#[test]
fn the_seed_loads_with_its_deviations_named() {
    let Some(folder) = folder() else { return };
    let seed = folder.join("../seed");
    if !seed.is_dir() {
        return;
    }
    for (name, expected) in [
        ("01-header-from-secret", vec!["WL0216"]),
        ("02-oauth2-client-secret", vec!["WL0216"]),
        (
            "03-missing-secret-caught",
            vec!["WL0201", "WL0216", "WL0203", "WL0204", "WL0205", "WL0206"],
        ),
    ] {
        let text = std::fs::read_to_string(seed.join(format!("{name}.yaml"))).unwrap();
        let loaded = load(&text, &Options::default());
        assert!(loaded.plan.is_some(), "{name}: {:?}", loaded.diagnostics);
        let codes: Vec<_> = loaded.diagnostics.iter().map(|it| it.code).collect();
        assert_eq!(codes, expected, "{name}");
        let strict = load(&text, &Options { strict: true, ..Options::default() });
        assert!(strict.plan.is_none(), "{name}");
    }
}
