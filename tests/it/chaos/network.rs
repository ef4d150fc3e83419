//! Networks that lose, delay and cut.

use std::time::Duration;

use super::{Case, LEASE};
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::proxy::Proxy;

const PAUSE: Duration = Duration::from_millis(600);

/// A fleet of two workers, each part of it with a proxy between it and the bus.
struct Networks {
    coordinator: Proxy,
    workers: Vec<Proxy>,
}

impl Networks {
    async fn to(nats: &Nats) -> Self {
        let coordinator = Proxy::to(nats.port()).await;
        let workers = vec![Proxy::to(nats.port()).await, Proxy::to(nats.port()).await];
        Self { coordinator, workers }
    }

    fn layout(&self) -> Layout {
        let mut layout = Case::layout(&self.coordinator.nats(), self.workers.len());
        layout.workers = self.workers.iter().map(Proxy::nats).collect();
        layout
    }

    fn all(&self) -> impl Iterator<Item = &Proxy> {
        self.workers.iter().chain([&self.coordinator])
    }
}

/// Past the lease its work is given to another, and what it reports after is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_cut_off_in_silence() {
    let Some(mut case) = Case::new("worker-partition").await else { return };
    let nats = Nats::start().await;
    let networks = Networks::to(&nats).await;
    let mut fleet = Fleet::with(networks.layout()).await;
    case.begin(&fleet).await;
    while case.goes_on(PAUSE).await {
        let network = &networks.workers[case.random.usize(..networks.workers.len())];
        network.drop_all();
        case.moment(LEASE / 2, LEASE * 2).await;
        network.heal();
    }
    case.finish(&mut fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coordinator_is_cut_off_in_silence() {
    let Some(mut case) = Case::new("coordinator-partition").await else { return };
    let nats = Nats::start().await;
    let networks = Networks::to(&nats).await;
    let mut fleet = Fleet::with(networks.layout()).await;
    case.begin(&fleet).await;
    while case.goes_on(PAUSE).await {
        networks.coordinator.drop_all();
        case.moment(LEASE / 2, LEASE * 2).await;
        networks.coordinator.heal();
    }
    case.finish(&mut fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_takes_long_and_connections_break() {
    let Some(mut case) = Case::new("slow-network").await else { return };
    let nats = Nats::start().await;
    let networks = Networks::to(&nats).await;
    let mut fleet = Fleet::with(networks.layout()).await;
    case.begin(&fleet).await;
    while case.goes_on(PAUSE).await {
        for network in networks.all() {
            match case.random.u8(..3) {
                0 => network.cut(),
                1 => network.delay(Duration::from_millis(case.random.u64(..400))),
                _ => network.heal(),
            }
        }
    }
    networks.all().for_each(Proxy::heal);
    case.finish(&mut fleet).await;
}
