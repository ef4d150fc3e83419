//! The bus is not trusted, and trusts nobody more than it must.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::{Gate, call};
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::{Bus, Nats};
use crate::support::paths;
use crate::support::until::{SOON, until};

/// What may be done by whom, as operators install it, with passwords in the place of keys.
fn accounts() -> String {
    let path = paths::root().join("deploy/nats/accounts.conf");
    let mut text = std::fs::read_to_string(path).unwrap();
    for user in ["coordinator", "worker", "producer", "sys"] {
        let key = format!("nkey: $NATS_{}_NKEY", user.to_uppercase());
        assert!(text.contains(&key), "no {key} in {text}");
        text = text.replace(&key, &format!("user: {user}, password: {PASSWORD}"));
    }
    text
}

/// The password of everyone; not all of its letters can stand in a URL as they are.
const PASSWORD: &str = "barrel@hands";

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_needs_no_more_permissions_than_installed() {
    let (gate, nats) = (Gate::new().await, Nats::with(&accounts()).await);
    let as_user = |user: &str| {
        let login = format!("nats://{user}:{}@", PASSWORD.replace('@', "%40"));
        nats.url().replace("nats://", &login)
    };
    let mut layout = Layout::on(&as_user("worker"), 2);
    layout.coordinator = as_user("coordinator");
    let fleet = Fleet::with(layout).await;
    let workflow = gate.deploy(&fleet).await;
    let view = fleet.api.run(&workflow, &call("quick", "a")).await;
    assert_eq!(view["output"], json!({"path": "/quick/a"}), "{view}");
    let log = nats.stderr();
    assert!(!log.contains("Violation"), "the bus refused something:\n{log}");
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_the_key_of_another_coordinator_is_told_so() {
    let nats = Nats::start().await;
    let mut fleet = Fleet::prepare(Layout::on(&nats.url(), 1)).await;
    let other = Fleet::prepare(Layout::on(&nats.url(), 0)).await;
    fleet.coordinator.launch();
    fleet.coordinator_ready().await;
    let worker = &mut fleet.workers[0];
    worker.variables.push(("WINDLASS_WORKER_KEY".to_owned(), other.key.clone()));
    worker.launch();
    let (log, worker) = (fleet.coordinator.lines(), fleet.workers[0].lines());
    until(SOON, "both to say what is wrong", || async {
        let asked = log.text().contains("malformed registration ignored");
        let told = worker.text().contains("key is that of another coordinator");
        (asked && told).then_some(())
    })
    .await;
    let text = fleet.api.get("/metrics").await.ok();
    let counted = text.as_str().unwrap().lines();
    let mut counted = counted.filter(|it| it.starts_with("windlass_registrations_foreign_total "));
    assert!(counted.next().is_some_and(|it| !it.ends_with(" 0")), "{text}");
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_on_the_bus_learns_nothing_of_tasks() {
    let (gate, nats) = (Gate::new().await, Nats::start().await);
    let mut spy = Bus::connect(nats.port()).await;
    spy.subscribe(">").await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let into = heard.clone();
    let spying = tokio::spawn(async move {
        loop {
            let message = spy.next().await;
            into.lock().unwrap().push(message);
        }
    });

    let fleet = Fleet::start(&nats, 1).await;
    let workflow = gate.deploy(&fleet).await;
    let mark = "mark-of-the-task-6620";
    let view = fleet.api.run(&workflow, &call("quick", mark)).await;
    assert_eq!(view["output"], json!({"path": format!("/quick/{mark}")}), "{view}");
    // Assignment and report at least have passed; the spy may be a moment behind.
    let subjects = ["windlass.worker.", "windlass.coordinator.session."];
    until(SOON, "the spy hearing both directions", || async {
        let heard = heard.lock().unwrap();
        let is_heard = |it: &&str| heard.iter().any(|message| message.subject.starts_with(*it));
        subjects.iter().all(is_heard).then_some(())
    })
    .await;
    spying.abort();
    for message in heard.lock().unwrap().iter() {
        let text = String::from_utf8_lossy(&message.bytes);
        // Lifecycle events are there to be read, outputs among them.
        let public = message.subject.starts_with("windlass.lifecycle.")
            || message.subject.starts_with("$JS.");
        assert!(public || !text.contains(mark), "readable on {}: {text}", message.subject);
        assert!(!text.contains(&fleet.key), "the key is on {}", message.subject);
    }
}
