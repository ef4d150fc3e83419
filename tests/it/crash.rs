//! SIGKILL at random moments over a load of workflows: each accepted one ends once, with the right
//! output, and no side effect is lost or repeated under another key.
//!
//! `WINDLASS_CRASH_KILLS` (20), `WINDLASS_CRASH_INSTANCES` (210) and `WINDLASS_CRASH_SEED` (random,
//! printed) change the run.

use std::time::Duration;

use crate::load::{Load, setting};
use crate::support::dev::Dev;
use crate::support::until::moment;

#[tokio::test(flavor = "multi_thread")]
async fn every_accepted_workflow_survives_kills() {
    let kills = setting("WINDLASS_CRASH_KILLS", 20);
    let count = setting("WINDLASS_CRASH_INSTANCES", 210);
    let seed = setting("WINDLASS_CRASH_SEED", fastrand::u64(..1_000_000));
    println!("crash: WINDLASS_CRASH_SEED={seed}, {kills} kills, {count} instances");
    let mut random = fastrand::Rng::with_seed(seed);

    let mut dev = Dev::start().await;
    let mut load = Load::new(usize::try_from(count).unwrap(), &mut random).await;
    load.begin(&dev.api).await;

    for kill in 1..=kills {
        // The load is spread over the kills, so that each of them hits work.
        load.allow(kill, kills);
        // One kill in six comes while the process is still starting.
        if random.u8(..6) > 0 {
            dev.ready().await;
            moment(Duration::from_millis(random.u64(5..500))).await;
        } else {
            moment(Duration::from_millis(random.u64(0..120))).await;
        }
        dev.kill().await;
        dev.launch();
    }
    dev.ready().await;
    let outcomes = load.finish(&dev.api).await;

    dev.restart().await;
    load.check_unchanged(&dev.api, &outcomes).await;
    let log = dev.stderr();
    assert!(!log.contains("panicked at"), "{log}");
}
