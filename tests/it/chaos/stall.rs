//! Stalls: what stands between coordinator and workers stops for longer than a lease, or the
//! coordinator itself does, and nobody has died. Each call that was under way is made once, and no
//! worker is blamed. `--max-losses` is as it comes, and there are more stalls than it allows
//! deaths.

use std::time::Duration;

use crate::fleet::{Gate, call};
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::proxy::Proxy;
use crate::support::until::{SOON, moment, until};

const LEASE: Duration = Duration::from_secs(2);
/// One more than the deaths after which a task is given up.
const STALLS: u32 = windlass_proto::limits::DELIVERIES_LOST + 1;
const CALLS: usize = 20;

/// A fleet with calls under way, which end when the gate is opened.
struct Scene {
    gate: Gate,
    fleet: Fleet,
    ids: Vec<String>,
}

impl Scene {
    async fn on(coordinator: &str, worker: &str, workers: usize) -> Self {
        let gate = Gate::new().await;
        let lease = format!("{}s", LEASE.as_secs());
        let mut layout = Layout::on(worker, workers).coordinator(&["--lease", &lease]);
        layout.coordinator = coordinator.to_owned();
        let fleet = Fleet::with(layout).await;
        let workflow = gate.deploy(&fleet).await;
        let mut ids = Vec::new();
        for number in 0..CALLS {
            ids.push(fleet.api.start(&workflow, &call("held", &number.to_string())).await);
        }
        for number in 0..CALLS {
            gate.reached(&format!("/held/{number}"), 1).await;
        }
        Self { gate, fleet, ids }
    }

    /// How long a stall takes: some less than two leases, some more.
    async fn stalls(number: u32) {
        moment(LEASE * 5 / 4 + LEASE / 2 * (number % 3)).await;
    }

    /// Waits until all workers are heard again.
    async fn recovers(&self) {
        until(SOON, "all workers are heard", || async {
            let workers = self.fleet.api.get("/v1/workers").await.ok();
            let items = workers["items"].as_array()?;
            let heard = |it: &&serde_json::Value| {
                it["state"] == "ready"
                    && it["silentMs"]
                        .as_u64()
                        .is_some_and(|ms| u128::from(ms) < LEASE.as_millis() / 2)
            };
            (items.iter().filter(heard).count() == self.fleet.workers.len()).then_some(())
        })
        .await;
    }

    /// Everything ends well, was called once, and nothing was lost or blamed.
    async fn finish(self) {
        self.gate.open();
        for id in &self.ids {
            let view = self.fleet.api.ends(id).await;
            assert_eq!(view["status"], "completed", "{view}");
            let history = self.fleet.api.history(id).await;
            let lost: Vec<_> = history.iter().filter(|it| it["event"] == "task.lost").collect();
            assert!(lost.is_empty(), "{lost:?}");
            assert!(history.iter().any(|it| it["event"] == "task.started"), "{history:?}");
        }
        let calls = self.gate.stub.by_path();
        assert_eq!(calls.len(), CALLS);
        for (path, (count, _)) in calls {
            assert_eq!(count, 1, "{path} was repeated");
        }
        self.fleet.assert_sound();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_bus_stands_still_nobody_has_died() {
    the_bus_stands_still(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_only_worker_behind_a_bus_that_stands_still_has_not_died() {
    the_bus_stands_still(1).await;
}

/// The bus stops again and again between the coordinator and so many workers.
async fn the_bus_stands_still(workers: usize) {
    let nats = Nats::start().await;
    let scene = Scene::on(&nats.url(), &nats.url(), workers).await;
    for number in 0..STALLS {
        nats.stop().await;
        Scene::stalls(number).await;
        nats.cont();
        scene.recovers().await;
    }
    scene.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_coordinator_stands_still_nobody_has_died() {
    let nats = Nats::start().await;
    let scene = Scene::on(&nats.url(), &nats.url(), 2).await;
    for number in 0..STALLS {
        scene.fleet.coordinator.stop().await;
        Scene::stalls(number).await;
        scene.fleet.coordinator.cont();
        scene.recovers().await;
    }
    scene.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nothing_is_forwarded_to_the_coordinator_nobody_has_died() {
    let nats = Nats::start().await;
    let link = Proxy::to(nats.port()).await;
    let scene = Scene::on(&link.nats(), &nats.url(), 2).await;
    for number in 0..STALLS {
        link.drop_all();
        Scene::stalls(number).await;
        link.heal();
        scene.recovers().await;
    }
    scene.finish().await;
}
