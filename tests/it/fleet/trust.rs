//! The bus is not trusted, and trusts nobody more than it must.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::{Gate, call};
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::{Bus, Nats};
use crate::support::until::{SOON, until};

/// What may be done by whom, as the documentation has it.
const USERS: &str = r#"
authorization {
  users = [
    { user: coordinator, password: barrel, permissions: {
      publish: [ "windlass.coordinator.presence", "windlass.worker.>", "windlass.event.>",
                 "windlass.lifecycle.>", "windlass.audit.>", "$JS.API.>", "$JS.ACK.>", "_INBOX.>" ]
      subscribe: [ "windlass.coordinator.>", "_INBOX.>" ]
    } }
    { user: worker, password: hands, permissions: {
      publish: [ "windlass.coordinator.>" ]
      subscribe: [ "windlass.worker.>", "_INBOX.>" ]
    } }
  ]
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_needs_no_more_permissions_than_documented() {
    let (gate, nats) = (Gate::new().await, Nats::with(USERS).await);
    let as_user = |user: &str| nats.url().replace("nats://", &format!("nats://{user}@"));
    let mut layout = Layout::on(&as_user("worker:hands"), 2);
    layout.coordinator = as_user("coordinator:barrel");
    let fleet = Fleet::with(layout).await;
    let workflow = gate.deploy(&fleet).await;
    let view = fleet.api.run(&workflow, &call("quick", "a")).await;
    assert_eq!(view["output"], json!({"path": "/quick/a"}), "{view}");
    let log = nats.stderr();
    assert!(!log.contains("Violation"), "the bus refused something:\n{log}");
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
        subjects.iter().all(|it| is_heard(it)).then_some(())
    })
    .await;
    spying.abort();
    for message in heard.lock().unwrap().iter() {
        let text = String::from_utf8_lossy(&message.bytes);
        assert!(!text.contains(mark), "readable on {}: {text}", message.subject);
        assert!(!text.contains(&fleet.key), "the key is on {}", message.subject);
    }
}
