//! The coordinator is killed when something is due: each due time starts one instance.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{QUICK, fires, schedule, scheduled, started};
use crate::load::setting;
use crate::support::dev::Dev;
use crate::support::until::moment;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

fn milliseconds(text: &str) -> i64 {
    let text = text.strip_suffix('Z').unwrap();
    let (date, time) = text.split_once('T').unwrap();
    let number = |it: &str| it.parse::<i64>().unwrap();
    let days: Vec<i64> = date.split('-').map(number).collect();
    let (clock, fraction) = time.split_once('.').unwrap();
    let clock: Vec<i64> = clock.split(':').map(number).collect();
    // Days since 1970 by the usual formula for the proleptic calendar.
    let (year, month) =
        if days[1] <= 2 { (days[0] - 1, days[1] + 9) } else { (days[0], days[1] - 3) };
    let era = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + days[2] - 1;
    ((era - 719_468) * 86_400 + clock[0] * 3_600 + clock[1] * 60 + clock[2]) * 1_000
        + number(fraction)
}

#[tokio::test]
async fn each_due_time_starts_one_instance_although_the_process_is_killed_then() {
    let mut dev = Dev::start().await;
    let text = scheduled("ticks", "1.0.0", "{ every: PT1S }", "{ catchUp: PT1H }", QUICK);
    dev.api.deploy(&text).await;
    let mut chance = fastrand::Rng::with_seed(7);
    for _ in 0..setting("WINDLASS_SCHEDULE_KILLS", 4) {
        let view = schedule(&dev.api, "ticks").await;
        let next = milliseconds(view["next"][0]["at"].as_str().unwrap());
        // About when it is due: before, between decision and disk, or after.
        let wait = (next - now()).max(0) + chance.i64(-2..12);
        moment(Duration::from_millis(wait.max(0).try_into().unwrap())).await;
        dev.restart().await;
    }
    let fired = schedule(&dev.api, "ticks").await["fired"].as_u64().unwrap();
    let view = fires(&dev.api, "ticks", fired + 3).await;
    let since = milliseconds(view["since"].as_str().unwrap());
    let started = started(&dev.api, "ticks").await;
    assert!(started.len() as u64 >= fired + 3);
    for (number, (due, id)) in (1..).zip(&started) {
        assert_eq!(milliseconds(due), since + number * 1_000, "of {due} ({id})");
        dev.api.reaches(id, "completed").await;
    }
    assert_eq!(view["skipped"], 0);
    assert_eq!(dev.stderr().matches("panicked").count(), 0);
}

#[tokio::test]
async fn what_waits_for_an_end_waits_on_after_a_kill() {
    let mut dev = Dev::start().await;
    let text = scheduled("chain", "1.0.0", "{ after: PT0.1S }", "{}", super::WAITS);
    dev.api.deploy(&text).await;
    fires(&dev.api, "chain", 1).await;
    dev.restart().await;
    let first = schedule(&dev.api, "chain").await;
    assert_eq!((&first["fired"], first["running"].as_array().unwrap().len()), (&1.into(), 1));
    for number in 1..=3 {
        let running = schedule(&dev.api, "chain").await["running"][0].as_str().unwrap().to_owned();
        dev.api.reaches(&running, "waiting").await;
        let event = serde_json::json!({
            "specversion": "1.0", "id": number.to_string(), "source": "test", "type": "go",
        });
        dev.api.event(&event).await;
        dev.restart().await;
        fires(&dev.api, "chain", number + 1).await;
    }
    assert_eq!(started(&dev.api, "chain").await.len(), 4);
}
