//! Calls that do not come to their own end: what takes too long, is cancelled, or loses its worker.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::super::tries::{LONG, noted};
use super::{SDKS, at, http, started, tool, workflow};
use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::until::{SOON, until};

/// Waits until the process is gone that says in `line` which one it is.
async fn goes(line: &str) {
    let place = format!("/proc/{}/cmdline", line.rsplit(' ').next().unwrap());
    until(SOON, "the end of a server", async || {
        let command = std::fs::read(&place).unwrap_or_default();
        (!String::from_utf8_lossy(&command).contains("server.py")).then_some(())
    })
    .await;
}

/// Runs a call that takes too long, and begins all the same: a machine that is slow today gets more
/// time. Gives what it noted when it began.
async fn times_out(api: &Api, name: &str, transport: &Value, folder: &Path) -> String {
    let begun = || {
        let text = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        text.lines().rfind(|it| it.starts_with("held began")).map(str::to_owned)
    };
    for seconds in [3, 30, 300] {
        let name = format!("{name}-{seconds}");
        let text = workflow(&name, transport, &held(Some(&format!("PT{seconds}S"))));
        let id = api.start(&api.deploy(&text).await, &json!({})).await;
        let ended = until(LONG, "a call that takes too long", async || {
            let view = api.show(&id).await;
            (view["status"] != "running").then_some(view)
        });
        let view = ended.await;
        let error = &view["output"]["it"]["error"];
        assert_eq!(error["status"], 408, "{view}");
        assert!(error["detail"].as_str().unwrap().contains("the MCP call did not end"), "{view}");
        if let Some(line) = begun() {
            return line;
        }
    }
    panic!("the tool {name} never began")
}

fn held(timeout: Option<&str>) -> [(&'static str, Value); 1] {
    let mut call = tool("held", json!({}));
    if let Some(timeout) = timeout {
        call["timeout"] = json!(timeout);
    }
    [("it", call)]
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_over_http_are_told_that_nobody_waits_any_more() {
    let dev = Dev::start().await;
    for (at_work, sdk) in SDKS.iter().enumerate() {
        let server = http(sdk).await;
        let place = server.folder.path();
        times_out(&dev.api, &format!("late-{at_work}"), &at(&server), place).await;
        noted(place, "held ended CancelledError", 1).await;

        let text = workflow(&format!("cancelled-{at_work}"), &at(&server), &held(None));
        let id = dev.api.start(&dev.api.deploy(&text).await, &json!({})).await;
        noted(place, "held began", 2).await;
        dev.api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
        noted(place, "held ended CancelledError", 2).await;
        assert_eq!(dev.api.ends(&id).await["status"], "cancelled");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_end_with_the_call() {
    let dev = Dev::start().await;
    for (at_work, sdk) in SDKS.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let transport = started(sdk, folder.path()).await;
        let name = format!("stdio-late-{at_work}");
        goes(&times_out(&dev.api, &name, &transport, folder.path()).await).await;

        let text = workflow(&format!("stdio-cancelled-{at_work}"), &transport, &held(None));
        let id = dev.api.start(&dev.api.deploy(&text).await, &json!({})).await;
        let began = noted(folder.path(), "held began", 2).await;
        dev.api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
        assert_eq!(dev.api.ends(&id).await["status"], "cancelled");
        goes(&began[1]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_worker_is_killed_is_made_again() {
    let nats = Nats::start().await;
    // Where the program may read what pip has installed, and write its log.
    let user = std::fs::metadata("/proc/self").unwrap().uid().to_string();
    let flags = ["--allow", "mcp.stdio", "--task-user", &user];
    let layout = Layout::on(&nats.url(), 1).worker(&flags).coordinator(&["--lease", "1s"]);
    let mut fleet = Fleet::with(layout).await;
    for (at_work, sdk) in SDKS.iter().enumerate() {
        let server = http(sdk).await;
        let folder = tempfile::tempdir().unwrap();
        let program = started(sdk, folder.path()).await;
        let transports =
            [("http", at(&server), server.folder.path()), ("stdio", program, folder.path())];
        for (kind, transport, folder) in transports {
            let text = workflow(&format!("killed-{kind}-{at_work}"), &transport, &held(None));
            let id = fleet.api.start(&fleet.api.deploy(&text).await, &json!({})).await;
            let began = noted(folder, "held began", 1).await;
            fleet.workers[0].kill().await;
            if kind == "stdio" {
                goes(&began[0]).await;
            }
            fleet.workers[0].launch();
            noted(folder, "held began", 2).await;
            std::fs::write(folder.join("log.go"), "").unwrap();
            let view = fleet.api.ends(&id).await;
            let released = json!({"result": "released"});
            assert_eq!(view["output"]["it"]["structuredContent"], released, "{view}");
        }
    }
}
