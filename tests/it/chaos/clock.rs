//! Workers whose clocks are off by minutes: leases are a matter of the coordinator's clock alone.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::Case;
use crate::support::fleet::Fleet;
use crate::support::nats::Nats;
use crate::support::{paths, skip};

const PAUSE: Duration = Duration::from_millis(600);

#[tokio::test(flavor = "multi_thread")]
async fn clocks_of_workers_are_off() {
    if let Err(reason) = faketime_works() {
        return skip("chaos clock", &reason, "faketime");
    }
    let Some(mut case) = Case::new("clock").await else { return };
    let nats = Nats::start().await;
    let mut fleet = Fleet::prepare(Case::layout(&nats.url(), 2)).await;
    for (worker, offset) in fleet.workers.iter_mut().zip(["-7m", "+7m"]) {
        worker.wrapper = ["faketime", "-f", offset].map(str::to_owned).to_vec();
        // Only the time of day is off; intervals are what they are.
        worker.variables.push(("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()));
        worker.variables.push(("DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()));
    }
    fleet.coordinator.launch();
    for worker in &mut fleet.workers {
        worker.launch();
    }
    fleet.ready().await;
    case.begin(&fleet).await;
    while case.goes_on(PAUSE).await {
        let index = case.random.usize(..2);
        forget_the_dead();
        fleet.restart_worker(index).await;
    }
    case.finish(&mut fleet).await;
}

/// faketime leaves shared memory behind when it is killed, and does not start where an earlier process
/// of the same number has left some.
fn forget_the_dead() {
    for path in paths::files(Path::new("/dev/shm")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some((_, process)) = name.rsplit_once('_').filter(|_| name.contains("faketime")) else {
            continue;
        };
        if !Path::new("/proc").join(process).exists() {
            // Another test may have been faster.
            let _ = std::fs::remove_file(&path);
        }
    }
}

fn faketime_works() -> Result<(), String> {
    let tried = Command::new("faketime").args(["-f", "-7m", "true"]).output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("faketime fails: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("faketime is not installed ({error})")),
    }
}
