//! Faults upon a fleet under load: processes killed and stopped, the bus wiped, networks cut,
//! clocks off, a disk full. Each accepted workflow ends once, with the right output, and no side
//! effect is lost or repeated under another key.
//!
//! Each test is a case of a few seconds. To look for what is rare, change the run:
//! `WINDLASS_CHAOS_SECONDS` (4) is how long faults come in each case, `WINDLASS_CHAOS_INSTANCES`
//! (48) the number of workflows in each, `WINDLASS_CHAOS_SEED` (random, printed) repeats a run as
//! far as that is possible, `WINDLASS_CHAOS_CASES` names those to run, separated by commas.

mod bus;
mod clock;
mod disk;
mod network;
mod process;
mod stall;

use std::time::{Duration, Instant};

use crate::load::{Load, setting};
use crate::support::fleet::{Fleet, Layout};
use crate::support::until::moment;

/// A worker silent this long is taken for dead: short, so that every case sees it happen.
const LEASE: Duration = Duration::from_secs(2);
/// Faults of each case at least, however long one takes.
const FAULTS: u32 = 2;

/// One case: a load, and the time in which faults come.
struct Case {
    random: fastrand::Rng,
    load: Load,
    name: &'static str,
    /// How long faults come.
    time: Duration,
    begun: Instant,
    faults: u32,
}

impl Case {
    /// The case of this name, unless `WINDLASS_CHAOS_CASES` leaves it out.
    async fn new(name: &'static str) -> Option<Self> {
        if let Ok(cases) = std::env::var("WINDLASS_CHAOS_CASES")
            && !cases.split(',').any(|it| it.trim() == name)
        {
            println!("chaos {name}: left out");
            return None;
        }
        let seed = setting("WINDLASS_CHAOS_SEED", fastrand::u64(..1_000_000));
        let count = setting("WINDLASS_CHAOS_INSTANCES", 48);
        let time = Duration::from_secs(setting("WINDLASS_CHAOS_SECONDS", 4));
        println!(
            "chaos {name}: WINDLASS_CHAOS_SEED={seed}, {count} instances, faults for {time:?}"
        );
        let mut random = fastrand::Rng::with_seed(seed);
        let load = Load::new(usize::try_from(count).unwrap(), &mut random).await;
        Some(Self { random, load, name, time, begun: Instant::now(), faults: 0 })
    }

    /// A coordinator and workers straight on one bus, with the short lease. Workers die here far
    /// more often than a task could be blamed for.
    fn layout(url: &str, workers: usize) -> Layout {
        let lease = format!("{}s", LEASE.as_secs());
        Layout::on(url, workers)
            .coordinator(&["--lease", &lease, "--max-losses", "1000"])
            .worker(&["--drain", "2s"])
    }

    /// Sets the load upon a fleet; the time for faults begins.
    async fn begin(&mut self, fleet: &Fleet) {
        self.load.begin(&fleet.api).await;
        self.begun = Instant::now();
    }

    /// Lets the load go on for a moment chosen by chance, at most `most`; false when the case has
    /// had its faults.
    async fn goes_on(&mut self, most: Duration) -> bool {
        let elapsed = self.begun.elapsed();
        if elapsed >= self.time && self.faults >= FAULTS {
            return false;
        }
        self.faults += 1;
        // Spread over the time, so that each fault hits work.
        let all = u64::try_from(self.time.as_millis()).unwrap();
        let next = (elapsed + most).max(self.time * self.faults / (FAULTS + 1));
        self.load.allow(u64::try_from(next.as_millis()).unwrap(), all);
        self.moment(Duration::from_millis(20), most).await;
        true
    }

    /// Lets a moment pass, chosen by chance between the two.
    async fn moment(&mut self, least: Duration, most: Duration) {
        let millis = |it: Duration| u64::try_from(it.as_millis()).unwrap();
        moment(Duration::from_millis(self.random.u64(millis(least)..=millis(most)))).await;
    }

    /// The faults are over: waits for the end of everything and checks it. What was an outcome is
    /// one after a further restart too.
    async fn finish(&mut self, fleet: &mut Fleet) {
        let (faults, took) = (self.faults, self.begun.elapsed());
        let outcomes = self.load.finish(&fleet.api).await;
        let drained = self.begun.elapsed() - took;
        println!("chaos {}: {faults} faults in {took:.1?}, drained in {drained:.1?}", self.name);
        fleet.restart_coordinator().await;
        self.load.check_unchanged(&fleet.api, &outcomes).await;
        fleet.assert_sound();
    }
}
