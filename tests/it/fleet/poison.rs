//! Tasks that take their workers down, and coordinators that would take each other's.

use rustix::process::{getgid, getuid};
use serde_json::json;

use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;

/// Workers that a task may take down.
const DEATHS: u32 = windlass_proto::limits::DELIVERIES_LOST;

/// A task that kills whoever performs it, its supervisor's parent, at once; caught, in the end.
const DEADLY: &str = "\
document: {dsl: '1.0.3', namespace: fleet, name: deadly, version: '1.0.0'}
do:
- guarded:
    try:
    - kill: {run: {shell: {command: 'set -- $(cat /proc/$PPID/stat); kill -9 $4'}}}
    catch:
      errors: {with: {status: 500}}
      as: error
      do:
      - say: {set: {why: '${ $error.detail }'}}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_kills_its_workers_is_given_up() {
    let nats = Nats::start().await;
    // Who could not kill its worker as somebody else.
    let user = format!("{}:{}", getuid(), getgid());
    let flags = ["--allow", "shell", "--task-user", &user];
    let layout = Layout::on(&nats.url(), 1).coordinator(&["--lease", "500ms"]).worker(&flags);
    let mut fleet = Fleet::with(layout).await;
    let workflow = fleet.api.deploy(DEADLY).await;
    let id = fleet.api.start(&workflow, &json!({})).await;
    for death in 1..=DEATHS {
        fleet.workers[0].ended().await;
        if death < DEATHS {
            fleet.workers[0].launch();
        }
    }
    // Nobody is left, and nobody is needed.
    let view = fleet.api.ends(&id).await;
    assert_eq!(view["status"], "completed", "{view}");
    let why = view["output"]["why"].as_str().unwrap_or_default();
    assert!(why.contains(&DEATHS.to_string()), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_coordinator_on_the_same_bus_is_refused() {
    let nats = Nats::start().await;
    let fleet = Fleet::start(&nats, 1).await;
    let mut other = Fleet::prepare(Layout::on(&nats.url(), 0)).await;
    other.coordinator.launch();
    let status = other.coordinator.ended().await;
    assert_eq!(status.code(), Some(1));
    assert!(other.coordinator.stderr().contains("another coordinator"), "{}", other.stderr());
    let workers = fleet.api.get("/v1/workers").await.ok();
    assert_eq!(workers["items"][0]["state"], "ready", "the first fleet goes on: {workers}");
}
