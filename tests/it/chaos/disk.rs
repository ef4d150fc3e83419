//! The coordinator's disk is full: what it cannot write it must not acknowledge, and it goes on by
//! itself when there is room.

mod mount;

use std::sync::Mutex;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::process::Command;

use super::Case;
use crate::support::client::{Answer, Api};
use crate::support::command::finish;
use crate::support::dev::Dev;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::process::Process;
use crate::support::until::{SOON, until};
use crate::support::{binary, paths, skip};
use mount::Disk;

const PAUSE: Duration = Duration::from_millis(600);
/// Bytes of the disk: room for the journal of the load, and well more than is kept in reserve.
const DISK: u64 = 256 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_of_the_coordinator_is_full() {
    let Some(mut case) = Case::new("disk-full").await else { return };
    let nats = Nats::start().await;
    let mut fleet = Fleet::prepare(Case::layout(&nats.url(), 2)).await;
    let disk = match Disk::mount(&fleet.data(), DISK).await {
        Ok(disk) => disk,
        Err(reason) => return skip("chaos disk", &reason, "mount"),
    };
    fleet.coordinator.wrapper = disk.wrapper();
    fleet.coordinator.launch();
    for worker in &mut fleet.workers {
        worker.launch();
    }
    fleet.ready().await;
    case.begin(&fleet).await;
    let keeper = fleet.api.deploy(KEEPER).await;
    let (much, fillers) = ("x".repeat(256 << 10), Mutex::new(Vec::new()));
    let lines = fleet.coordinator.lines();
    while case.goes_on(PAUSE).await {
        disk.fill();
        // Nothing more is taken up, and all that is known can be read.
        let refused = until(SOON, "a start that is refused", || async {
            let answer = start(&fleet.api, &keeper, &much).await?;
            match answer.status.as_u16() {
                507 => Some(answer),
                _ => {
                    fillers.lock().unwrap().push(answer.body["id"].as_str()?.to_owned());
                    None
                }
            }
        })
        .await;
        assert_eq!(refused.body["code"], json!("WL0608"), "{refused:?}");
        assert!(refused.body["detail"].as_str().unwrap().contains("goes on by itself"));
        let first = fillers.lock().unwrap().first().cloned();
        if let Some(id) = first {
            assert_eq!(fleet.api.show(&id).await["id"], json!(id));
            assert!(!fleet.api.history(&id).await.is_empty());
        }
        assert_eq!(fleet.api.get("/v1/instances").await.status.as_u16(), 200);
        let metrics = fleet.api.get("/metrics").await.body.to_string();
        assert!(metrics.contains("windlass_journal_paused 1"), "{metrics}");
        case.moment(Duration::from_millis(50), PAUSE).await;
        disk.free();
        // Nobody has to start anything again.
        let accepted = until(SOON, "a start that is accepted again", || async {
            let answer = start(&fleet.api, &keeper, &much).await?;
            if !answer.status.is_success() {
                return None;
            }
            Some(answer.body["id"].as_str()?.to_owned())
        })
        .await;
        fillers.lock().unwrap().push(accepted);
    }
    assert!(!lines.ended(), "the coordinator has ended:\n{}", fleet.coordinator.stderr());
    case.finish(&mut fleet).await;
    let fillers = fillers.into_inner().unwrap();
    for id in &fillers {
        let view = fleet.api.ends(id).await;
        assert_eq!((&view["status"], &view["output"]), (&json!("completed"), &json!({"kept": 1})));
    }
    println!("chaos disk-full: {} large starts were accepted", fillers.len());
    let log = fleet.coordinator.stderr();
    assert!(log.contains("the disk is full") && log.contains("there is room on the disk"), "{log}");
    assert!(!log.contains("WL0708"), "the journal failed:\n{log}");
}

/// Cancelling and suspending are how one gets out of it: they go on, in the journal's reserve, and
/// what they did is there after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn operators_can_act_on_a_full_disk() {
    let nats = Nats::start().await;
    let mut fleet = Fleet::prepare(Layout::on(&nats.url(), 0)).await;
    let disk = match Disk::mount(&fleet.data(), DISK).await {
        Ok(disk) => disk,
        Err(reason) => return skip("operators on a full disk", &reason, "mount"),
    };
    fleet.coordinator.wrapper = disk.wrapper();
    fleet.coordinator.launch();
    fleet.ready().await;
    let api = &fleet.api.clone();
    let (sleeper, parent) = (api.deploy(SLEEPER).await, api.deploy(PARENT).await);
    let root = api.start(&parent, &json!({})).await;
    let mut sleepers = Vec::new();
    for _ in 0..300 {
        sleepers.push(api.start(&sleeper, &json!({})).await);
    }
    let children = format!("/v1/instances?root={root}&status=waiting");
    until(SOON, "children that sleep", || async {
        let items = api.get(&children).await.ok();
        (items["items"].as_array()?.len() == 5).then_some(())
    })
    .await;
    disk.fill();
    let refused = until(SOON, "a start that is refused", || async {
        start(api, &sleeper, "").await.filter(|it| it.status.as_u16() == 507)
    })
    .await;
    assert!(refused.body["detail"].as_str().unwrap().contains("goes on by itself"), "{refused:?}");
    let post = |path: String| async move { api.post(&path, &json!({})).await };
    // More than a partition takes at a time.
    let cancelled = sleepers.iter().skip(1).map(|id| post(format!("/v1/instances/{id}/cancel")));
    for answer in futures_util::future::join_all(cancelled).await {
        assert!(answer.status.is_success(), "{answer:?}");
    }
    for path in [
        format!("/v1/instances/{}/suspend", sleepers[0]),
        format!("/v1/roots/{root}/cancel"),
        "/v1/namespaces/load/suspend".to_owned(),
    ] {
        let answer = post(path.clone()).await;
        assert!(answer.status.is_success(), "{path}: {answer:?}");
    }
    // Who would take it out of service for that would make reads impossible.
    let ready = api.get("/readyz").await;
    assert_eq!(ready.status.as_u16(), 200, "{ready:?}");
    assert!(ready.body.as_str().unwrap().contains("the disk is full"), "{ready:?}");
    // What makes work go on waits for room.
    for path in
        [format!("/v1/instances/{}/resume", sleepers[0]), "/v1/namespaces/load/resume".to_owned()]
    {
        assert_eq!(post(path.clone()).await.status.as_u16(), 507, "{path}");
    }
    let holds = || async {
        for id in sleepers.iter().skip(1).chain([&root]) {
            assert_eq!(api.show(id).await["status"], json!("cancelled"));
        }
        assert_eq!(api.show(&sleepers[0]).await["status"], json!("suspended"));
        let open = api.get(&children).await.ok();
        assert_eq!(open["items"], json!([]));
        let suspended = api.get("/v1/suspensions").await.ok();
        assert_eq!(suspended["items"][0]["namespace"], json!("load"), "{suspended}");
    };
    holds().await;
    let log = fleet.coordinator.stderr();
    assert!(!log.contains("WL0708"), "the journal failed:\n{log}");
    // A start needs room too, and finds it in the reserve.
    fleet.restart_coordinator().await;
    holds().await;
    assert_eq!(api.deploy(SLEEPER).await, sleeper, "what is deployed already needs no room");
    let changed = SLEEPER.replace("1.0.0", "1.0.1");
    assert_eq!(api.deploy_text(&changed).await.problem(507)["code"], json!("WL0608"));
    assert!(start(api, &sleeper, "").await.is_some_and(|it| it.status.as_u16() == 507));
    let resumed = post(format!("/v1/instances/{}/cancel", sleepers[0])).await;
    assert!(resumed.status.is_success(), "operators act after a restart as well: {resumed:?}");
    fleet.coordinator.kill().await;
    disk.free();
    fleet.coordinator.launch();
    fleet.ready().await;
    assert_eq!(api.show(&sleepers[0]).await["status"], json!("cancelled"));
    assert_eq!(api.show(&root).await["status"], json!("cancelled"));
    let ready = api.get("/readyz").await;
    assert_eq!(ready.body.as_str(), Some("ready\n"), "{ready:?}");
}

/// A start that finds the disk full or read-only says so, and not that anything is damaged.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_says_what_is_the_matter_with_the_disk() {
    let mut dev = Dev::start().await;
    let workflow = dev.api.deploy(KEEPER).await;
    dev.api.run(&workflow, &json!({})).await;
    dev.kill().await;
    let disk = match Disk::mount(dev.data(), 64 << 20).await {
        Ok(disk) => disk,
        Err(reason) => return skip("a start on a full disk", &reason, "mount"),
    };
    let data = dev.data().display().to_string();
    let starts = async || {
        let wrapper = disk.wrapper();
        let mut command = Command::new(&wrapper[0]);
        command.args(&wrapper[1..]).arg(binary::windlass()).current_dir(paths::root());
        command.args(["run", "examples/hello.yaml", "--data-dir", &data]);
        finish(Process::spawn(command)).await
    };
    disk.fill();
    let full = starts().await;
    disk.free();
    disk.make_read_only().await;
    let read_only = starts().await;
    for (output, code, word) in [(full, "WL0608", "full"), (read_only, "WL0610", "EROFS")] {
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains(code) && output.stderr.contains(word), "{output:?}");
        assert!(!output.stderr.contains("backup"), "nothing is damaged: {output:?}");
    }
}

/// Sleeps for longer than any test.
const SLEEPER: &str = "\
document: {dsl: '1.0.3', namespace: load, name: sleeper, version: '1.0.0'}
do:
- sleep: {wait: PT1H}
";

/// Has five that sleep.
const PARENT: &str = "\
document: {dsl: '1.0.3', namespace: load, name: parent, version: '1.0.0'}
do:
- each:
    for: {in: '${ [range(5)] }'}
    do:
    - child: {run: {workflow: {namespace: load, name: sleeper, version: '1.0.0'}, await: false}}
- sleep: {wait: PT1H}
";

/// Takes a large input, and ends.
const KEEPER: &str = "\
document: {dsl: '1.0.3', namespace: load, name: keeper, version: '1.0.0'}
do:
- keep: {set: {kept: 1}}
";

/// What a start with this input is answered, if it is.
async fn start(api: &Api, workflow: &serde_json::Value, input: &str) -> Option<Answer> {
    let body = json!({"workflow": workflow, "input": {"much": input}});
    let request = api.request(Method::POST, "/v1/instances").json(&body);
    Api::send(request.timeout(Duration::from_secs(10))).await.ok()
}
