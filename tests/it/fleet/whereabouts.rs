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
        said("worker registered", worker).await;
    }
    fleet.workers[0].kill().await;
    said("worker lost", "worker-0").await;
    fleet.workers[1].stop().await;
    said("worker lost", "worker-1").await;
    fleet.workers[1].cont();
    said("worker re-registered", "worker-1").await;
    assert!(fleet.workers[2].terminate().await.success(), "{}", fleet.stderr());
    said("worker deregistered", "worker-2").await;
    assert!(fleet.workers[1].terminate().await.success(), "{}", fleet.stderr());
    assert!(fleet.coordinator.terminate().await.success(), "{}", fleet.stderr());
    let all = fleet.stderr();
    assert!(!all.contains("disconnected from NATS"), "all ended in order:\n{all}");
    assert_eq!(log.text().matches("worker lost").count(), 2, "{all}");
    fleet.assert_sound();
}

/// The entries of an instance's history that tell of deliveries, as (event, data).
async fn deliveries(fleet: &Fleet, id: &str) -> Vec<(String, Value)> {
    let page = at(fleet, &["history", id]).await.exits(0).json();
    let items = page["items"].as_array().unwrap().iter();
    let told = items.map(|it| (it["event"].as_str().unwrap().to_owned(), it["data"].clone()));
    told.filter(|(event, _)| ["task.scheduled", "task.lost"].contains(&&**event)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_names_the_worker_that_has_a_delivery_and_the_one_it_was_lost_with() {
    let nats = Nats::start().await;
    let layout = Layout::on(&nats.url(), 2).coordinator(&["--lease", "1s"]);
    let mut fleet = Fleet::with(layout).await;
    let gate = Gate::new().await;
    let workflow = gate.deploy(&fleet).await;
    let id = fleet.api.start(&workflow, &json!({"kind": "held", "id": "1"})).await;
    gate.reached("/held/1", 1).await;
    let told = deliveries(&fleet, &id).await;
    let [(event, data)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((event.as_str(), &data["delivery"]), ("task.scheduled", &json!(1)));
    let first = data["worker"].as_str().unwrap_or_else(|| panic!("no worker is named: {data}"));
    let number = usize::from(first.starts_with("worker-1"));
    fleet.workers[number].kill().await;
    gate.reached("/held/1", 2).await;
    let told = deliveries(&fleet, &id).await;
    let [_, (lost, why), (again, data)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((lost.as_str(), again.as_str()), ("task.lost", "task.scheduled"));
    let reason = "the worker was not heard for a lease";
    let expected = json!({"delivery": 1, "blamed": true, "worker": first, "reason": reason});
    assert_eq!(*why, expected);
    let second = data["worker"].as_str().unwrap_or_default();
    assert!(second.starts_with(&format!("worker-{}", 1 - number)), "{data}");
    gate.open();
    fleet.api.ends(&id).await;
    // The journal keeps who had what was lost; who did what went well it does not.
    let told = deliveries(&fleet, &id).await;
    assert_eq!((&told[1].1, &told[2].1), (&expected, &json!({"delivery": 2})));
    fleet.assert_sound();
}
