//! Processes that die and processes that stand still.

use std::time::Duration;

use super::{Case, LEASE};
use crate::support::fleet::Fleet;
use crate::support::nats::Nats;

/// Between two faults at most: the slow steps take as long, so that faults hit them.
const PAUSE: Duration = Duration::from_millis(600);
const WORKERS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_killed() {
    let Some(mut case) = Case::new("worker-kill").await else { return };
    let nats = Nats::start().await;
    let mut fleet = Fleet::with(Case::layout(&nats.url(), WORKERS)).await;
    case.begin(&fleet).await;
    while case.goes_on(PAUSE).await {
        let index = case.random.usize(..WORKERS);
        fleet.workers[index].kill().await;
        case.moment(Duration::ZERO, PAUSE).await;
        fleet.workers[index].launch();
    }
    fleet.ready().await;
    case.finish(&mut fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_workers_are_killed_at_once() {
    let Some(mut case) = Case::new("workers-kill").await else { return };
    let nats = Nats::start().await;
    let mut fleet = Fleet::with(Case::layout(&nats.url(), 2)).await;
    case.begin(&fleet).await;
    while case.goes_on(PAUSE).await {
        for worker in &mut fleet.workers {
            worker.kill().await;
        }
        case.moment(Duration::ZERO, PAUSE).await;
        for worker in &mut fleet.workers {
            worker.launch();
        }
        fleet.ready().await;
    }
    case.finish(&mut fleet).await;
}

/// A worker that stood still past its lease believes that it still has its work.
#[tokio::test(flavor = "multi_thread")]
async fn workers_stand_still() {
    let Some(mut case) = Case::new("worker-stop").await else { return };
    let nats = Nats::start().await;
    let mut fleet = Fleet::with(Case::layout(&nats.url(), WORKERS)).await;
    case.begin(&fleet).await;
    while case.goes_on(PAUSE).await {
        let index = case.random.usize(..WORKERS);
        fleet.workers[index].stop().await;
        case.moment(LEASE / 2, LEASE * 2).await;
        fleet.workers[index].cont();
    }
    case.finish(&mut fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coordinator_is_killed() {
    let Some(mut case) = Case::new("coordinator-kill").await else { return };
    let nats = Nats::start().await;
    let mut fleet = Fleet::with(Case::layout(&nats.url(), 2)).await;
    case.begin(&fleet).await;
    while case.goes_on(PAUSE).await {
        fleet.coordinator.kill().await;
        // Some outages are longer than the lease, which nobody can be blamed for then.
        let most = if case.random.u8(..4) == 0 { LEASE * 2 } else { PAUSE };
        case.moment(Duration::ZERO, most).await;
        fleet.coordinator.launch();
        if case.random.bool() {
            fleet.coordinator_ready().await;
        }
    }
    fleet.coordinator_ready().await;
    case.finish(&mut fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coordinator_stands_still() {
    let Some(mut case) = Case::new("coordinator-stop").await else { return };
    let nats = Nats::start().await;
    let mut fleet = Fleet::with(Case::layout(&nats.url(), 2)).await;
    case.begin(&fleet).await;
    while case.goes_on(PAUSE).await {
        fleet.coordinator.stop().await;
        case.moment(Duration::ZERO, LEASE * 2).await;
        fleet.coordinator.cont();
    }
    case.finish(&mut fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bus_is_killed() {
    let Some(mut case) = Case::new("nats-kill").await else { return };
    let mut nats = Nats::start().await;
    let mut fleet = Fleet::with(Case::layout(&nats.url(), 2)).await;
    case.begin(&fleet).await;
    while case.goes_on(PAUSE).await {
        nats.kill().await;
        case.moment(Duration::ZERO, PAUSE).await;
        nats.restart().await;
    }
    case.finish(&mut fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bus_stands_still() {
    let Some(mut case) = Case::new("nats-stop").await else { return };
    let nats = Nats::start().await;
    let mut fleet = Fleet::with(Case::layout(&nats.url(), 2)).await;
    case.begin(&fleet).await;
    while case.goes_on(PAUSE).await {
        nats.stop().await;
        case.moment(Duration::ZERO, LEASE * 2).await;
        nats.cont();
    }
    case.finish(&mut fleet).await;
}

/// Everything at once, as on a bad day.
#[tokio::test(flavor = "multi_thread")]
async fn anything_is_killed() {
    let Some(mut case) = Case::new("anything").await else { return };
    let mut nats = Nats::start().await;
    let mut fleet = Fleet::with(Case::layout(&nats.url(), 2)).await;
    case.begin(&fleet).await;
    while case.goes_on(PAUSE).await {
        let (worker, coordinator, bus) =
            (case.random.bool(), case.random.bool(), case.random.bool());
        if worker {
            fleet.workers[0].kill().await;
        }
        if coordinator {
            fleet.coordinator.kill().await;
        }
        if bus {
            nats.kill().await;
        }
        case.moment(Duration::ZERO, PAUSE).await;
        if worker {
            fleet.workers[0].launch();
        }
        if coordinator {
            fleet.coordinator.launch();
        }
        if bus {
            nats.restart().await;
        }
    }
    fleet.ready().await;
    case.finish(&mut fleet).await;
}
