//! `windlass validate`.

use serde_json::Value;

use super::{definition, file};
use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::{paths, skip};

const WRONG: &str =
    "  - one: { set: { x: '${ .a | }' } }\n  - two: { set: { y: 1 }, then: nowhere }";

#[tokio::test]
async fn every_finding_is_shown_with_its_place_and_its_line() {
    let (_folder, path) = file(definition("wrong", WRONG));
    let output = windlass(&["validate", &path]).await.exits(2);
    let shown = format!("{}{}", output.stdout, output.stderr);
    for line in [7, 8] {
        assert!(shown.contains(&format!("{path}:{line}:")), "no finding on line {line}:\n{shown}");
    }
    assert!(shown.contains("error[WL"), "{shown}");
    assert!(shown.contains("then: nowhere"), "the line itself is shown:\n{shown}");
    assert!(shown.contains('^'), "the place is marked:\n{shown}");
}

#[tokio::test]
async fn a_directory_is_all_its_definitions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let none = windlass(&["validate", &path]).await.exits(2);
    assert!(none.stderr.contains("has no *.yaml or *.yml"), "{none:?}");
    std::fs::create_dir_all(folder.path().join("b/.git")).unwrap();
    let good = definition("good", "  - a: { set: { x: 1 } }");
    for (name, text) in [("b/c.yml", &good), ("a.yaml", &good), ("b/.git/d.yaml", &WRONG.into())] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    std::fs::write(folder.path().join("notes.txt"), WRONG).unwrap();
    let all = windlass(&["validate", &path, "--output", "json"]).await.exits(0).json();
    let files = all.as_array().unwrap().iter().map(|it| it["file"].as_str().unwrap());
    let files: Vec<_> = files.map(|it| it.strip_prefix(&*path).unwrap()).collect();
    assert_eq!(files, ["/a.yaml", "/b/c.yml"]);
    std::fs::write(folder.path().join("b/c.yml"), definition("wrong", WRONG)).unwrap();
    let said = windlass(&["validate", &path]).await.exits(2);
    assert!(said.stderr.contains("1 of 2 valid"), "{said:?}");
}

#[tokio::test]
async fn warnings_are_seen_where_no_terminal_is() {
    // A namespace with a dot is accepted beside the specification.
    let text = definition("warned", "  - a: { set: { x: 1 } }").replace("cli", "c.li");
    let (_folder, path) = file(text);
    let output = windlass(&["run", &path]).await.exits(0);
    assert!(output.stderr.contains("warning[WL"), "{output:?}");
    assert_eq!(output.json(), serde_json::json!({"x": 1}));
}

#[tokio::test]
async fn json_is_for_editors() {
    let (_folder, path) = file(definition("wrong", WRONG));
    let good = paths::example("hello.yaml").display().to_string();
    let output = windlass(&["validate", &path, &good, "--output", "json"]).await.exits(2);
    let text = output.json().to_string();
    for part in ["\"line\":7", "\"line\":8", "\"severity\":\"error\"", "\"code\":\"WL", &path] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let output = windlass(&["validate", &good, "--output", "json"]).await.exits(0);
    assert!(!output.json().to_string().contains("\"error\""), "{output:?}");
}

#[tokio::test]
async fn a_good_file_is_silent_or_says_so() {
    let good = paths::example("hello.yaml").display().to_string();
    let output = windlass(&["validate", &good]).await.exits(0);
    assert!(!format!("{}{}", output.stdout, output.stderr).contains("error"), "{output:?}");
}

#[tokio::test]
async fn a_definition_in_json_is_one_too() {
    let (_folder, path) = file(
        r#"{"document": {"dsl": "1.0.3", "namespace": "cli", "name": "json", "version": "1.0.0"},
            "do": [{"a": {"set": {"x": "${ 1 + 1 }"}}}]}"#,
    );
    windlass(&["validate", &path]).await.exits(0);
    assert_eq!(windlass(&["run", &path]).await.exits(0).json()["x"], 2);
}

#[tokio::test]
async fn every_published_example_loads() {
    let Some(folder) = paths::shared("spec/examples") else {
        return skip("validate examples", "the specification is not here", "spec");
    };
    let files = definitions(&folder);
    assert!(files.len() > 50, "only {} examples", files.len());
    let mut refused = Vec::new();
    for file in files {
        let output = windlass(&["validate", &file]).await;
        if output.code != Some(0) {
            refused.push(format!("{file}: {output:?}"));
        }
    }
    assert!(refused.is_empty(), "refused:\n{}", refused.join("\n"));
}

#[tokio::test]
async fn every_published_counterexample_is_refused() {
    let Some(folder) = paths::shared("spec/invalid") else {
        return skip("validate invalid", "the specification is not here", "spec");
    };
    for file in definitions(&folder) {
        let output = windlass(&["validate", &file]).await.exits(2);
        let shown = format!("{}{}", output.stdout, output.stderr);
        assert!(shown.contains(&format!("{file}:")), "no place in {shown}");
    }
}

fn definitions(folder: &std::path::Path) -> Vec<String> {
    let mut files = paths::files(folder);
    files.retain(|it| it.extension().is_some_and(|it| it == "yaml" || it == "json"));
    files.iter().map(|it| it.display().to_string()).collect()
}

#[tokio::test]
async fn warnings_do_not_fail() {
    let text = definition("lenient", "  - a: { set: { x: 1 } }") + "unknownRootKey: 1\n";
    let (_folder, path) = file(text);
    let output = windlass(&["validate", &path, "--output", "json"]).await.exits(0);
    let found: Value = output.json();
    assert!(found.to_string().contains("\"severity\":\"warning\""), "{found}");
}

#[tokio::test]
async fn a_version_is_needed_where_definitions_are_kept_and_not_where_they_are_run() {
    let text = "document: { dsl: '1.0', namespace: com.example_shop, name: draft }\n\
                do: [ a: { set: { x: 1 } }, a: { set: '${ .x + 1 }' } ]\n";
    let (_folder, path) = file(text);
    let output = windlass(&["validate", &path]).await.exits(2);
    let shown = format!("{}{}", output.stdout, output.stderr);
    assert!(shown.contains("error[WL0121]") && shown.contains("version: 0.1.0"), "{shown}");
    assert_eq!(shown.matches("error[").count(), 1, "{shown}");
    for code in ["WL0131", "WL0229", "WL0231"] {
        assert!(shown.contains(&format!("warning[{code}]")), "no {code}: {shown}");
    }
    assert_eq!(windlass(&["run", &path]).await.exits(0).json(), serde_json::json!(2));
    let dev = Dev::start().await;
    let deployed = dev.api.deploy_text(text).await.ok();
    assert!(deployed.to_string().contains("0.0.0"), "{deployed}");
    // A version may be asked for as short as it may be written.
    let workflow =
        serde_json::json!({"namespace": "com.example_shop", "name": "draft", "version": "0.0"});
    assert_eq!(dev.api.run(&workflow, &serde_json::json!({})).await["output"], 2);
}
