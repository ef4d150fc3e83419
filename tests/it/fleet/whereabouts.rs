//! What people are told: why a task does not go on, and which workers come, go and come back.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Gate, at};
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::until::{SOON, until, within};

/// Tasks that the one worker of pool `default` cannot take, by name, and what is said of each.
const WANTING: [(&str, &str, &str); 3] = [
    (
        "pooled",
        "{ call: charge-card, metadata: { windlass: { pool: gpu } } }",
        "waiting for a worker (there is none in pool gpu)",
    ),
    (
        "unknown",
        "{ call: charge-card }",
        "waiting for a worker (none in pool default offers function:charge-card)",
    ),
    (
        "program",
        "{ run: { shell: { command: 'true' } } }",
        "waiting for a worker (none in pool default allows shell: `windlass worker --allow shell` \
         does)",
    ),
];

/// The states of an instance's open tasks, by name.
async fn states(fleet: &Fleet, id: &str) -> BTreeMap<String, String> {
    let shown = at(fleet, &["show", id]).await.exits(0).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let open = shown["open"].as_array().unwrap().iter();
    open.map(|it| (text(&it["name"]), text(&it["state"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_task_says_who_has_it_or_what_it_waits_for() {
    let nats = Nats::start().await;
    let layout = Layout::on(&nats.url(), 1).worker(&["--concurrency", "1"]);
    let fleet = Fleet::with(layout).await;
    let gate = Gate::new().await;
    let branches = WANTING.map(|(name, task, _)| format!("      - {name}: {task}\n"));
    let text = format!(
        "document: {{dsl: '1.0.3', namespace: fleet, name: shown, version: '1.0.0'}}\n\
         do:\n- all:\n    fork:\n      branches:\n{}",
        branches.concat()
    );
    let workflow = fleet.api.deploy(&text).await;
    let id = fleet.api.start(&workflow, &json!({})).await;
    let wanted: BTreeMap<_, _> =
        WANTING.map(|(name, _, said)| (name.to_owned(), said.to_owned())).into();
    until(SOON, "all branches say what they wait for", async || {
        let mut states = states(&fleet, &id).await;
        states.remove("all");
        (states == wanted).then_some(())
    })
    .await;

    let held = gate.deploy(&fleet).await;
    let call =
        async |number: &str| fleet.api.start(&held, &json!({"kind": "held", "id": number})).await;
    let first = call("1").await;
    until(SOON, "the call", async || (gate.stub.count("/held/1") == 1).then_some(())).await;
    let second = call("2").await;
    let state = states(&fleet, &first).await["call"].clone();
    assert!(state.starts_with("at worker worker-0"), "{state}");
    let busy = "waiting for a worker (those in pool default that offer http are busy)";
    until(SOON, "the second call waits", async || {
        (states(&fleet, &second).await["call"] == busy).then_some(())
    })
    .await;
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_come_go_and_come_back_are_named() {
    let nats = Nats::start().await;
    let layout = Layout::on(&nats.url(), 3).coordinator(&["--lease", "1s"]);
    let mut fleet = Fleet::with(layout).await;
    let log = fleet.coordinator.lines();
    let said = async |what: &str, worker: &str| {
        let line = |line: &str| (line.contains(what) && line.contains(worker)).then_some(());
        within(SOON, &format!("{what}, {worker}"), log.find(line)).await.expect("it goes on");
    };
    for worker in ["worker-0", "worker-1", "worker-2"] {
        said("a worker joins", worker).await;
    }
    fleet.workers[0].kill().await;
    said("a worker is lost", "worker-0").await;
    fleet.workers[1].stop().await;
    said("a worker is lost", "worker-1").await;
    fleet.workers[1].cont();
    said("a worker is back", "worker-1").await;
    assert!(fleet.workers[2].terminate().await.success(), "{}", fleet.stderr());
    said("a worker leaves", "worker-2").await;
    assert!(fleet.workers[1].terminate().await.success(), "{}", fleet.stderr());
    assert!(fleet.coordinator.terminate().await.success(), "{}", fleet.stderr());
    let all = fleet.stderr();
    assert!(!all.contains("the connection to NATS is gone"), "all ended in order:\n{all}");
    assert_eq!(log.text().matches("a worker is lost").count(), 2, "{all}");
    fleet.assert_sound();
}
