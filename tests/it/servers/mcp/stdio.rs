//! As programs.

use std::os::unix::fs::MetadataExt as _;

use serde_json::json;

use super::{SDKS, assert_some, outcomes, some, started, tool, workflow};
use crate::support::dev::Dev;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::until::{SOON, within};

#[tokio::test(flavor = "multi_thread")]
async fn both_servers_are_asked_as_programs() {
    let dev = Dev::start().await;
    for (at_work, sdk) in SDKS.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let transport = started(sdk, folder.path()).await;
        let name = format!("stdio-{at_work}");
        let got = outcomes(&dev.api, &name, &transport, &some()).await;
        assert_some(&got);
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
        assert_eq!(log, "add 1 2\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_no_server_is_said() {
    let dev = Dev::start().await;
    let list = [("it", json!({"method": "tools/list"}))];
    let shell = |command: &str| json!({"stdio": {"command": "sh", "arguments": ["-c", command]}});
    for (name, transport, expected) in [
        (
            "dies",
            shell("echo starting; echo no key >&2; exit 3"),
            "with exit code 3, before it answered: no key",
        ),
        ("closes", shell("exec >&-; read line; exit 0"), "before it answered"),
        (
            "endless",
            shell("while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done | cat"),
            "it wrote more than",
        ),
        (
            "missing",
            json!({"stdio": {"command": "no-such-program"}}),
            "cannot start no-such-program",
        ),
    ] {
        let got = outcomes(&dev.api, name, &transport, &list).await;
        let error = &got["it"]["error"];
        assert!(error["type"].as_str().unwrap().ends_with("/errors/runtime"), "{name}: {error}");
        assert!(error["detail"].as_str().unwrap().contains(expected), "{name}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_waits_for_a_worker_that_may_start_it() {
    let folder = tempfile::tempdir().unwrap();
    let nats = Nats::start().await;
    let layout = Layout::on(&nats.url(), 1).coordinator(&["--lease", "500ms"]);
    let mut fleet = Fleet::with(layout).await;
    let calls = [("sum", tool("add", json!({"a": 3, "b": 4})))];
    let text = workflow("waits", &started(SDKS[0], folder.path()).await, &calls);
    let id = fleet.api.start(&fleet.api.deploy(&text).await, &json!({})).await;
    let said = |line: &str| line.contains("offers `mcp.stdio`").then(|| line.to_owned());
    let log = fleet.coordinator.lines();
    let line = within(SOON, "the warning", log.find(said)).await.expect("it goes on");
    assert!(line.contains("--allow mcp.stdio"), "{line}");
    assert_eq!(fleet.api.show(&id).await["status"], "running");
    // Where the program may read what pip has installed.
    let user = std::fs::metadata("/proc/self").unwrap().uid().to_string();
    let able = fleet.add_worker(&nats.url());
    let flags = ["--allow", "mcp.stdio", "--task-user", &user].map(str::to_owned);
    fleet.workers[able].arguments.extend(flags);
    fleet.workers[able].launch();
    let view = fleet.api.ends(&id).await;
    assert_eq!(view["output"]["sum"]["structuredContent"], json!({"result": 7}), "{view}");
    let told = fleet.workers[able].stderr();
    assert!(told.contains("mcp.stdio tasks are allowed and run as "), "{told}");

    let dev = Dev::with(&["--allow", "shell"].map(str::to_owned)).await;
    let view = dev.api.run(&dev.api.deploy(&text).await, &json!({})).await;
    let error = &view["output"]["sum"]["error"];
    assert!(error["type"].as_str().unwrap().ends_with("/errors/configuration"), "{view}");
    assert!(error["detail"].as_str().unwrap().contains("--allow mcp.stdio"), "{view}");
}
