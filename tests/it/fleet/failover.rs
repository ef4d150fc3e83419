//! Processes that end while tasks run.

use std::time::Duration;

use serde_json::json;

use super::{Gate, call};
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::until::moment;

/// A short lease, so that a dead worker is found out soon.
const LEASE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_told_to_end_finishes_what_it_runs() {
    let (gate, nats) = (Gate::new().await, Nats::start().await);
    let mut fleet = Fleet::with(Layout::on(&nats.url(), 1).worker(&["--drain", "60s"])).await;
    let workflow = gate.deploy(&fleet).await;
    let mut held = Vec::new();
    for id in ["a", "b", "c"] {
        held.push(fleet.api.start(&workflow, &call("held", id)).await);
        gate.reached(&format!("/held/{id}"), 1).await;
    }

    fleet.workers[0].signal(rustix::process::Signal::TERM);
    // Another worker takes what comes now, while the first still has its three.
    let url = nats.url();
    let other = fleet.add_worker(&url);
    fleet.workers[other].launch();
    fleet.joins(other, 1).await;
    let view = fleet.api.run(&workflow, &call("quick", "d")).await;
    assert_eq!(view["output"], json!({"path": "/quick/d"}), "{view}");

    gate.open();
    let status = fleet.workers[0].ended().await;
    assert!(status.success(), "{status}: {}", fleet.stderr());
    for id in &held {
        assert_eq!(fleet.api.ends(id).await["status"], "completed");
    }
    for (path, (count, _)) in gate.stub.by_path() {
        assert_eq!(count, 1, "{path} was repeated\n{}", fleet.stderr());
    }
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_takes_too_long_hands_the_rest_back() {
    let (gate, nats) = (Gate::new().await, Nats::start().await);
    let mut fleet = Fleet::with(Layout::on(&nats.url(), 1).worker(&["--drain", "1s"])).await;
    let workflow = gate.deploy(&fleet).await;
    let id = fleet.api.start(&workflow, &call("held", "a")).await;
    gate.reached("/held/a", 1).await;

    // Its end comes in spite of the call, which does not.
    let status = fleet.workers[0].terminate().await;
    assert!(status.success(), "{status}: {}", fleet.stderr());
    fleet.workers[0].launch();
    gate.reached("/held/a", 2).await;
    gate.open();
    assert_eq!(fleet.api.ends(&id).await["status"], "completed");
    let (count, keys) = gate.stub.by_path().remove("/held/a").unwrap();
    assert_eq!((count, keys.len()), (2, 1), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_a_killed_worker_moves_to_another_within_the_lease() {
    let (gate, nats) = (Gate::new().await, Nats::start().await);
    let lease = format!("{}s", LEASE.as_secs());
    let layout = Layout::on(&nats.url(), 1).coordinator(&["--lease", &lease]);
    let mut fleet = Fleet::with(layout).await;
    let workflow = gate.deploy(&fleet).await;
    let id = fleet.api.start(&workflow, &call("held", "a")).await;
    gate.reached("/held/a", 1).await;
    let url = nats.url();
    let other = fleet.add_worker(&url);
    fleet.workers[other].launch();
    fleet.joins(other, 1).await;

    fleet.workers[0].kill().await;
    gate.reached("/held/a", 2).await;
    gate.open();
    assert_eq!(fleet.api.ends(&id).await["output"], json!({"path": "/held/a"}));
    let (count, keys) = gate.stub.by_path().remove("/held/a").unwrap();
    assert_eq!((count, keys.len()), (2, 1), "{keys:?}");
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_coordinator_repeats_nothing_that_workers_hold() {
    let (gate, nats) = (Gate::new().await, Nats::start().await);
    let lease = format!("{}s", LEASE.as_secs());
    let layout = Layout::on(&nats.url(), 2).coordinator(&["--lease", &lease]);
    let mut fleet = Fleet::with(layout).await;
    let workflow = gate.deploy(&fleet).await;
    let mut held = Vec::new();
    for id in ["a", "b", "c", "d"] {
        held.push(fleet.api.start(&workflow, &call("held", id)).await);
        gate.reached(&format!("/held/{id}"), 1).await;
    }

    fleet.restart_coordinator().await;
    for worker in 0..2 {
        fleet.joins(worker, 2).await;
    }
    // Time enough for everything to be taken for lost that was not adopted.
    moment(LEASE * 2).await;
    gate.open();
    for id in &held {
        assert_eq!(fleet.api.ends(id).await["status"], "completed");
    }
    for (path, (count, _)) in gate.stub.by_path() {
        assert_eq!(count, 1, "{path} was repeated\n{}", fleet.stderr());
    }
    fleet.assert_sound();
}
