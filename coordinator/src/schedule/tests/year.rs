//! A year in four zones, with looks that come late and crashes that undo a batch.

use windlass_proto::time::Timestamp;

use super::super::State;
use super::{World, at};

const DAY: u64 = 86_400_000;

/// Lives through 2026 in steps of a few minutes, more or less; sometimes a batch is lost with all
/// that was in it, and the state is read again.
fn live(world: &mut World, seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let (mut now, end) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    while now < end {
        let wake = world.state.wake().unwrap();
        now = Timestamp(wake.0.max(now.0) + chance.u64(0..8_000));
        if now >= end {
            break;
        }
        let bytes = rmp_serde::to_vec(&world.state).unwrap();
        let turn = world.with(|state, schedule| state.due(schedule, now, false));
        if chance.u8(0..4) == 0 {
            // Nothing of it was committed.
            world.state = rmp_serde::from_slice::<State>(&bytes).unwrap();
            continue;
        }
        world.commit(turn, now);
    }
}

fn due(cron: &str, zone: &str, seed: u64) -> Vec<u64> {
    let mut world = World::new(
        &format!("{{ cron: '{cron}' }}"),
        &format!("{{ timezone: {zone} }}"),
        "2026-01-01T00:00:00Z",
    );
    live(&mut world, seed);
    assert_eq!(world.skipped(), [], "{cron} in {zone}");
    let mut due: Vec<u64> = world.started.values().map(|it| it.0.0).collect();
    due.sort_unstable();
    due
}

/// Zones whose clocks change in the north, in the south, by half an hour, and never.
const ZONES: [&str; 4] =
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"];

#[test]
fn a_daily_time_comes_once_on_each_day_of_the_year() {
    for (seed, zone) in (1..).zip(ZONES) {
        // In the gap and in the fold of each zone that has them.
        for cron in ["30 2 * * *", "45 1 * * *", "15 2 * * *"] {
            let due = due(cron, zone, seed);
            let zone_of = jiff::tz::TimeZoneDatabase::bundled().get(zone).unwrap();
            let days: std::collections::BTreeSet<_> = due
                .iter()
                .map(|it| {
                    let at = jiff::Timestamp::from_millisecond(*it as i64).unwrap();
                    zone_of.to_datetime(at).date()
                })
                .collect();
            assert_eq!(days.len(), due.len(), "{cron} in {zone}: twice on one day");
            assert!((364..=366).contains(&due.len()), "{cron} in {zone}: {}", due.len());
            for pair in due.windows(2) {
                let apart = pair[1] - pair[0];
                assert!((DAY - 3_600_000..=DAY + 3_600_000).contains(&apart), "{cron} in {zone}");
            }
        }
    }
}

#[test]
fn what_follows_the_clock_is_even_all_the_year() {
    for (seed, zone) in (1..).zip(ZONES) {
        let due = due("*/30 * * * *", zone, seed);
        assert!(due.windows(2).all(|it| it[1] - it[0] == 1_800_000), "{zone}");
        assert!(due.len() >= 365 * 48 - 1, "{zone}: {}", due.len());
    }
}

#[test]
fn an_interval_knows_no_clocks() {
    let mut world = World::new("{ every: PT7M }", "{ catchUp: PT1H }", "2026-01-01T00:00:00Z");
    live(&mut world, 9);
    let mut due: Vec<u64> = world.started.values().map(|it| it.0.0).collect();
    due.sort_unstable();
    assert_eq!(due[0], at("2026-01-01T00:07:00Z").0);
    assert!(due.windows(2).all(|it| it[1] - it[0] == 420_000));
    assert_eq!(due.len() as u64, (365 * DAY - 1) / 420_000);
    assert_eq!(world.skipped(), []);
}
