//! The command line: exit codes, what is on which output, bad input.

mod authors;
pub(crate) mod bad;
mod bench;
mod client;
mod configuration;
mod damage;
mod editors;
mod logs;
mod profiles;
mod resume;
mod terminal;
mod validate;

use serde_json::{Value, json};

use crate::support::command::{Output, windlass, windlass_in};
use crate::support::dev::Dev;
use crate::support::paths;

/// A definition of the namespace `cli` with these tasks.
fn definition(name: &str, tasks: &str) -> String {
    format!(
        "document:\n  dsl: '1.0.3'\n  namespace: cli\n  name: {name}\n  version: '1.0.0'\n\
         do:\n{tasks}\n"
    )
}

/// A folder with one definition in it, and the definition's path.
fn file(text: impl AsRef<[u8]>) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("workflow.yaml");
    std::fs::write(&path, text).unwrap();
    (folder, path.display().to_string())
}

/// The JSON object standard error holds.
fn problem(output: &Output) -> Value {
    let text = &output.stderr;
    let begin = text.find('{').unwrap_or_else(|| panic!("no JSON on stderr: {output:?}"));
    let mut stream = serde_json::Deserializer::from_str(&text[begin..]).into_iter::<Value>();
    stream.next().unwrap().unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[tokio::test]
async fn stdout_is_the_output_alone() {
    let (_folder, path) = file(definition("plain", "  - a: { set: { x: '${ .n + 1 }' } }"));
    let output = windlass(&["run", &path, "--input", r#"{"n": 1}"#]).await.exits(0);
    assert_eq!(output.json(), json!({"x": 2}));
    assert!(output.stdout.ends_with('\n') && !output.stdout.contains('\u{1b}'), "{output:?}");
    assert!(!output.stderr.contains('\u{1b}'), "no colours without a terminal: {output:?}");

    let (_folder, scalar) = file(definition("scalar", "  - a: { set: '${ .n }' }"));
    let output = windlass(&["run", &scalar, "--input", r#"{"n": "text"}"#]).await.exits(0);
    assert_eq!(output.json(), json!("text"));
}

#[tokio::test]
async fn input_comes_from_the_command_line_or_a_file() {
    let (folder, path) = file(definition("echo", "  - a: { set: { got: '${ . }' } }"));
    std::fs::write(folder.path().join("input.json"), "[1, 2]").unwrap();
    let output = windlass_in(folder.path(), &["run", &path, "--input", "@input.json"]).await;
    assert_eq!(output.exits(0).json(), json!({"got": [1, 2]}));
    let output = windlass(&["run", &path]).await;
    assert_eq!(output.exits(0).json(), json!({"got": {}}));
    for wrong in ["{", "@no-such-file.json"] {
        let output = windlass_in(folder.path(), &["run", &path, "--input", wrong]).await.exits(2);
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{output:?}");
    }
}

#[tokio::test]
async fn a_fault_exits_1_with_the_problem_on_stderr() {
    let tasks = "  - fail: { raise: { error: { type: https://example.com/broken, status: 418, title: Broken, detail: at sea } } }";
    let (_folder, path) = file(definition("fails", tasks));
    let output = windlass(&["run", &path]).await.exits(1);
    assert_eq!(output.stdout, "");
    let wanted = json!({
        "type": "https://example.com/broken", "status": 418, "title": "Broken",
        "detail": "at sea", "instance": "/do/0/fail",
    });
    assert_eq!(problem(&output), wanted);
}

#[tokio::test]
async fn wrong_usage_exits_2() {
    let hello = paths::example("hello.yaml").display().to_string();
    for arguments in [
        vec!["run"],
        vec!["run", "no-such-file.yaml"],
        vec!["run", &hello, "--no-such-flag"],
        vec!["no-such-command"],
        vec![],
        vec!["run", &hello, "--resolve", "nonsense"],
        vec!["run", &hello, "--ca-file", "no-such-file.pem"],
        vec!["run", &hello, "--secret", "no-value"],
        vec!["validate"],
        vec!["explain", "WL9999"],
    ] {
        let output = windlass(&arguments).await.exits(2);
        assert_eq!(output.stdout, "", "{arguments:?}");
        assert!(!output.stderr.trim().is_empty(), "{arguments:?} says nothing");
    }
}

#[tokio::test]
async fn help_version_and_explanations_are_data() {
    for (arguments, word) in [
        (vec!["--help"], "validate"),
        (vec!["--version"], env!("CARGO_PKG_VERSION")),
        (vec!["run", "--help"], "--data-dir"),
        (vec!["dev", "--help"], "docs/secrets.md"),
        (vec!["--help"], "3 not ended"),
        (vec!["cancel", "--help"], "windlass cancel [OPTIONS] --root <ID>"),
        (vec!["explain", "WL0503"], "No such instance"),
        (vec!["explain", "wl0125"], "WL0125: A text does not have the form it must have\n"),
        (vec!["explain"], "WL0125  A text does not have the form it must have\n"),
    ] {
        let output = windlass(&arguments).await.exits(0);
        assert!(output.stdout.contains(word), "{arguments:?}: {output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_directory_has_one_process() {
    let mut dev = Dev::start().await;
    let data = dev.data().display().to_string();
    let arguments = ["dev", "--bind", "127.0.0.1:0", "--data-dir", &data];
    let output = windlass(&arguments).await;
    assert!(matches!(output.code, Some(1 | 2)), "{output:?}");
    assert!(output.stderr.contains("another windlass"), "{output:?}");
    assert!(dev.api.get("/healthz").await.status.is_success());

    assert_eq!(dev.stdout(), "");
    dev.process().signal(rustix::process::Signal::TERM);
    assert!(dev.process().wait().await.success(), "a TERM is a good end: {}", dev.stderr());
    dev.launch();
    dev.ready().await;
}
