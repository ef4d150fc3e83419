//! The bus goes away and comes back, with and without what it had stored.

use serde_json::json;

use super::{Gate, call};
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;

/// Far longer than the bus is away here: what workers hold stays theirs.
const LEASE: &str = "60s";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_repeated_when_the_bus_is_killed_or_loses_its_data() {
    let (gate, mut nats) = (Gate::new().await, Nats::start().await);
    let layout = Layout::on(&nats.url(), 2).coordinator(&["--lease", LEASE]);
    let fleet = Fleet::with(layout).await;
    let workflow = gate.deploy(&fleet).await;
    let mut held = Vec::new();
    for (id, wiped) in [("kill", false), ("wipe", true)] {
        held.push(fleet.api.start(&workflow, &call("held", id)).await);
        gate.reached(&format!("/held/{id}"), 1).await;
        nats.kill().await;
        // Accepted while nobody can be told of it: the journal has it.
        let meanwhile = fleet.api.start(&workflow, &call("meanwhile", id)).await;
        if wiped {
            nats.wipe().await;
        } else {
            nats.restart().await;
        }
        assert_eq!(fleet.api.ends(&meanwhile).await["status"], "completed");
        let after = fleet.api.run(&workflow, &call("after", id)).await;
        assert_eq!(after["output"], json!({"path": format!("/after/{id}")}), "{after}");
    }
    gate.open();
    for id in &held {
        assert_eq!(fleet.api.ends(id).await["status"], "completed");
    }
    for (path, (count, _)) in gate.stub.by_path() {
        assert_eq!(count, 1, "{path} was repeated\n{}", fleet.stderr());
    }
    fleet.assert_sound();
}
