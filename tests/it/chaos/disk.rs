//! The coordinator's disk is full: what it cannot write it must not acknowledge.

mod mount;

use std::sync::Mutex;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::Case;
use crate::support::client::Api;
use crate::support::fleet::Fleet;
use crate::support::nats::Nats;
use crate::support::skip;
use crate::support::until::{SOON, until};
use mount::Disk;

const PAUSE: Duration = Duration::from_millis(600);
/// Bytes of the disk: room for the journal of the load.
const DISK: u64 = 96 << 20;

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
    while case.goes_on(PAUSE).await {
        disk.fill();
        // It notices at the next write that needs room, and must not go on as if nothing were.
        let lines = fleet.coordinator.lines();
        until(SOON, "the end of a coordinator whose disk is full", || async {
            let started = start(&fleet.api, &keeper, &much).await;
            fillers.lock().unwrap().extend(started);
            lines.ended().then_some(())
        })
        .await;
        let status = fleet.coordinator.ended().await;
        assert!(!status.success(), "{status}");
        disk.free();
        fleet.coordinator.launch();
        fleet.coordinator_ready().await;
    }
    case.finish(&mut fleet).await;
    let fillers = fillers.into_inner().unwrap();
    for id in &fillers {
        let view = fleet.api.ends(id).await;
        assert_eq!((&view["status"], &view["output"]), (&json!("completed"), &json!({"kept": 1})));
    }
    println!("chaos disk-full: {} large starts were accepted", fillers.len());
    let log = fleet.coordinator.stderr();
    assert!(log.contains("WL0708"), "no message says that the journal failed:\n{log}");
}

/// Takes a large input, and ends.
const KEEPER: &str = "\
document: {dsl: '1.0.3', namespace: load, name: keeper, version: '1.0.0'}
do:
- keep: {set: {kept: 1}}
";

/// The id of an instance with this input, if the start was acknowledged.
async fn start(api: &Api, workflow: &serde_json::Value, input: &str) -> Option<String> {
    let body = json!({"workflow": workflow, "input": {"much": input}});
    let request = api.request(Method::POST, "/v1/instances").json(&body);
    let answer = Api::send(request.timeout(Duration::from_secs(10))).await.ok()?;
    answer.status.is_success().then(|| answer.body["id"].as_str().unwrap().to_owned())
}
