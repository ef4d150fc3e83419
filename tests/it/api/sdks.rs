//! Events as the SDKs of others send them: a text as JSON in binary mode goes without its quotes.

use std::process::Stdio;

use serde_json::json;
use tokio::process::Command;

use super::definition;
use crate::support::dev::Dev;
use crate::support::until::{SOON, within};
use crate::support::{paths, tools};

/// What the program in Python needs.
const PACKAGES: [&str; 1] = ["cloudevents==2.2.0"];

/// Runs a program that sends four events to the server: a text, a map, a list, each in binary mode,
/// and a text in structured mode.
async fn sends(mut command: Command, dev: &Dev) {
    command.env("EVENTS", format!("{}/v1/events", dev.api.base()));
    let ran = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let ran = within(SOON, "a program that sends events", ran).await.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// What the events hold, in the order in which they are sent.
async fn arrives(sender: Command) {
    let dev = Dev::start().await;
    let tasks = "  - hear:\n      listen: { to: { any: [ { with: { source: /sdk } } ], until: length >= 4 } }";
    let workflow = dev.api.deploy(&definition("sdk", tasks)).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    dev.api.reaches(&id, "waiting").await;
    sends(sender, &dev).await;
    let view = dev.api.ends(&id).await;
    assert_eq!(view["output"], json!(["hi", {"a": [1, "é"]}, [1, 2], "hi"]), "{view}");
    let metrics = dev.api.get("/metrics").await.ok();
    let unquoted = metrics.as_str().unwrap().contains("windlass_events_unquoted_total 1\n");
    assert!(unquoted, "the one text that came without its quotes is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_the_sdk_for_python_arrive_as_they_are_meant() {
    let mut command = Command::new(tools::python(&PACKAGES).await);
    command.arg(paths::root().join("tests/it/api/sdks/send.py"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    arrives(command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_the_sdk_for_javascript_arrive_as_they_are_meant() {
    let source = paths::root().join("tests/it/api/sdks");
    let packages = tools::node_modules(&source).await;
    // Beside its packages, where it looks for them.
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(packages.join("node_modules"), folder.path().join("node_modules"))
        .unwrap();
    std::fs::copy(source.join("send.mjs"), folder.path().join("send.mjs")).unwrap();
    let mut command = Command::new("node");
    command.arg(folder.path().join("send.mjs"));
    arrives(command).await;
}
