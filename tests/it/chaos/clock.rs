//! Workers whose clocks are off by minutes: leases are a matter of the coordinator's clock alone.

use std::time::Duration;

use super::Case;
use crate::support::fleet::Fleet;
use crate::support::nats::Nats;
use crate::support::{faketime, skip};

const PAUSE: Duration = Duration::from_millis(600);

#[tokio::test(flavor = "multi_thread")]
async fn clocks_of_workers_are_off() {
    if let Err(reason) = faketime::works() {
        return skip("chaos clock", &reason, "faketime");
    }
    let Some(mut case) = Case::new("clock").await else { return };
    let nats = Nats::start().await;
    let mut fleet = Fleet::prepare(Case::layout(&nats.url(), 2)).await;
    for (worker, offset) in fleet.workers.iter_mut().zip(["-7m", "+7m"]) {
        faketime::wrap(worker, offset);
    }
    fleet.coordinator.launch();
    for worker in &mut fleet.workers {
        worker.launch();
    }
    fleet.ready().await;
    case.begin(&fleet).await;
    while case.goes_on(PAUSE).await {
        let index = case.random.usize(..2);
        faketime::forget_the_dead();
        fleet.restart_worker(index).await;
    }
    case.finish(&mut fleet).await;
}
