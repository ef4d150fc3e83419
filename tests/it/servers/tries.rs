//! Workflows that make calls one after the other and keep what each gave, or its error; and what
//! servers note of them.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::Api;
use crate::support::until::{SOON, until};

/// How long a workflow may take that starts a Python for each of its calls, on a loaded machine.
pub(super) const LONG: Duration = Duration::from_secs(600);

/// The text of a workflow that makes these calls of one kind, each a name and its `with`. In
/// `$context`, and at last in the output, is what each gave, or its error, by name.
pub(super) fn workflow(kind: &str, name: &str, calls: &[(&str, Value)]) -> String {
    let mut text = format!(
        "document: {{ dsl: '1.0.3', namespace: servers, name: {name}, version: '1.0.0' }}\n\
         output: {{ as: $context }}\ndo:\n"
    );
    for (name, with) in calls {
        text.push_str(&format!(
            "- {name}:\n    try:\n    - it: {{call: {kind}, with: {with}}}\n    \
             catch:\n      as: e\n      do:\n      - caught: {{set: {{error: '${{ $e }}'}}}}\n    \
             export: {{as: '${{ ($context // {{}}) + {{{name}: .}} }}'}}\n"
        ));
    }
    text
}

/// Runs [`workflow`]; gives what each call gave.
pub(super) async fn outcomes(api: &Api, kind: &str, name: &str, calls: &[(&str, Value)]) -> Value {
    let id = api.start(&api.deploy(&workflow(kind, name, calls)).await, &json!({})).await;
    let view = until(LONG, "the end of all calls", async || {
        let view = api.show(&id).await;
        (view["status"] != "running").then_some(view)
    });
    let view = view.await;
    assert_eq!(view["status"], "completed", "{view}");
    view["output"].clone()
}

/// The call `name` failed with this in the detail of its error.
pub(super) fn assert_failed(got: &Value, name: &str, detail: &str) {
    let error = &got[name]["error"];
    assert!(error["type"].as_str().unwrap().ends_with("/errors/runtime"), "{name}: {got}");
    assert_eq!(error["status"], 500, "{name}: {error}");
    assert!(error["detail"].as_str().unwrap().contains(detail), "{name}: {error}");
}

/// The lines of the log in `folder` that begin with `start`, once there are as many as `count`.
pub(super) async fn noted(folder: &Path, start: &str, count: usize) -> Vec<String> {
    until(SOON, "a line in the log of a server", async || {
        let text = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().filter(|it| it.starts_with(start)).collect();
        (lines.len() >= count).then(|| lines.into_iter().map(str::to_owned).collect())
    })
    .await
}
