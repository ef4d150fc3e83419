//! What expressions mean, in zones and on the nights when clocks change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Cron, CronError, Zone};
use crate::time::Timestamp;

fn at(text: &str) -> Timestamp {
    let moment: jiff::Timestamp = text.parse().unwrap();
    Timestamp(moment.as_millisecond().try_into().unwrap())
}

fn cron(text: &str, zone: &str) -> Cron {
    Cron::parse(text, Zone::named(zone).unwrap()).unwrap()
}

/// The first times after a moment.
fn times(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let cron = cron(text, zone);
    let mut last = at(after);
    let mut times = Vec::new();
    for _ in 0..count {
        let Some(next) = cron.next_after(last) else { break };
        assert!(next > last);
        times.push(next.to_rfc3339().replace(":00.000Z", "Z"));
        last = next;
    }
    times
}

const BERLIN: &str = "Europe/Berlin";
const SPRING: &str = "2026-03-28T12:00:00Z";
const AUTUMN: &str = "2026-10-24T12:00:00Z";

#[test]
fn a_time_that_clocks_leave_out_runs_when_they_have_gone_forward() {
    // 02:30 is not there on 29 March: 02:00 is 03:00, at 01:00 UTC.
    let due = ["2026-03-29T01:00Z", "2026-03-30T00:30Z"];
    assert_eq!(times("30 2 * * *", BERLIN, SPRING, 2), due);
    // Two times of the same hour are one then, and one that is there at 03:00 as well.
    let due = ["2026-03-29T01:00Z", "2026-03-29T02:15Z"];
    assert_eq!(times("15,45 2 29 3 *", BERLIN, SPRING, 1), due[..1]);
    assert_eq!(
        times("0 1-3 29 3 *", BERLIN, SPRING, 2),
        ["2026-03-29T00:00Z", "2026-03-29T01:00Z"]
    );
    assert_eq!(times("15 4,2 29 3 *", BERLIN, SPRING, 2), due);
}

#[test]
fn a_time_that_comes_twice_runs_the_first_time() {
    let due = ["2026-10-25T00:30Z", "2026-10-26T01:30Z"];
    assert_eq!(times("30 2 * * *", BERLIN, AUTUMN, 2), due);
    // From between the two as well.
    assert_eq!(times("30 2 * * *", BERLIN, "2026-10-25T00:45:00Z", 1), due[1..]);
    assert_eq!(times("30 2 * * *", BERLIN, "2026-10-25T01:15:00Z", 1), due[1..]);
}

#[test]
fn what_follows_the_clock_is_even_across_its_changes() {
    for (start, hours) in [("2026-03-29T00:00:00Z", 3), ("2026-10-24T23:00:00Z", 4)] {
        let cron = cron("*/30 * * * *", BERLIN);
        let mut last = at(start);
        for _ in 0..hours * 2 {
            let next = cron.next_after(last).unwrap();
            assert_eq!(next.since(last), 30 * 60_000, "{}", next.to_rfc3339());
            last = next;
        }
    }
    // Only its hour is by the clock: it is not there in spring, and comes twice in autumn.
    assert_eq!(times("*/30 2 29 3 *", BERLIN, SPRING, 1), ["2027-03-29T00:00Z"]);
    let both = ["2026-10-25T00:00Z", "2026-10-25T00:30Z", "2026-10-25T01:00Z", "2026-10-25T01:30Z"];
    assert_eq!(times("*/30 2 25 10 *", BERLIN, AUTUMN, 4), both);
}

#[test]
fn changes_of_half_an_hour_and_in_the_south() {
    // Lord Howe goes from 02:00 to 02:30 on 4 October, at 15:30 UTC of the day before.
    let due = times("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 2);
    assert_eq!(due, ["2026-10-03T15:30Z", "2026-10-04T15:15Z"]);
    // A day that was left out: Samoa had no 30 December 2011.
    let due = times("0 12 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", 2);
    assert_eq!(due, ["2011-12-29T22:00Z", "2011-12-30T10:00Z"]);
}

#[test]
fn the_traps_between_programs_are_decided() {
    let refused = |text: &str| Cron::parse(text, Zone::utc()).unwrap_err().to_string();
    let said = [
        ("5/15 * * * *", "write `5-59/15`"),
        ("*/61 * * * *", "a step is 1 to 59"),
        ("*/0 * * * *", "a step is 1 to 59"),
        ("* 22-2 * * *", "write `22-23,0-2`"),
        ("1,,2 * * * *", "nothing between two commas"),
        ("MON * * * *", "numbers from 0 to 59"),
        ("* * * * MONDAY", "or SUN, MON"),
        ("* * * 0 *", "from 1 to 12"),
        ("60 * * * *", "numbers from 0 to 59"),
        ("+5 * * * *", "numbers from 0 to 59"),
        ("* * * * *?", "numbers from 0 to 7"),
        ("? * * * *", "numbers from 0 to 59"),
        ("* * * * 5#6", "1 to 5"),
        ("* * W * *", "there is no day"),
        ("* * 40W * *", "numbers from 1 to 31"),
        ("* * * *", "it has 4 fields"),
        ("@reboot", "@hourly"),
        ("", "it has 0 fields"),
    ];
    for (text, why) in said {
        let refusal = refused(text);
        assert!(refusal.contains(why), "{text}: {refusal}");
    }
    assert_eq!(Cron::parse("0 0 30 2 *", Zone::utc()).unwrap_err(), CronError::Never);
    // Thursday to Monday goes round; Friday to Sunday is Friday to 7.
    let (round, named) = (cron("0 0 * * THU-mon", "UTC"), cron("0 0 * * 4,5,6,0,1", "UTC"));
    let mut last = at("2026-01-01T00:00:00Z");
    for _ in 0..30 {
        assert_eq!(round.next_after(last), named.next_after(last));
        last = round.next_after(last).unwrap();
    }
    let weekend =
        ["2026-01-02T00:00Z", "2026-01-03T00:00Z", "2026-01-04T00:00Z", "2026-01-09T00:00Z"];
    assert_eq!(times("0 0 * * FRI-SUN", "UTC", "2026-01-01T00:00:00Z", 4), weekend);
}

#[test]
fn other_forms() {
    let new_year = "2026-01-01T00:00:00Z";
    assert_eq!(times("@hourly", "UTC", new_year, 1), ["2026-01-01T01:00Z"]);
    assert_eq!(times("0 0 ? * 1", "UTC", new_year, 1), ["2026-01-05T00:00Z"]);
    assert_eq!(times("0 0 L 2 *", "UTC", new_year, 1), ["2026-02-28T00:00Z"]);
    assert_eq!(times("0 0 * * FRI#2", "UTC", new_year, 1), ["2026-01-09T00:00Z"]);
    assert_eq!(times("0 0 * * 5L", "UTC", new_year, 1), ["2026-01-30T00:00Z"]);
    assert_eq!(times("0 0 LW 1 *", "UTC", new_year, 1), ["2026-01-30T00:00Z"]);
    let seconds = ["2026-01-01T00:00:20.000Z", "2026-01-01T00:00:40.000Z", "2026-01-01T00:01Z"];
    assert_eq!(times("*/20 * * * * *", "UTC", new_year, 3), seconds);
    // Years end it.
    assert_eq!(times("0 0 0 1 1 * 2027-2028", "UTC", new_year, 9).len(), 2);
    // Either day, where both are named.
    let either = ["2026-01-05T00:00Z", "2026-01-12T00:00Z", "2026-01-13T00:00Z"];
    assert_eq!(times("0 0 13 * MON", "UTC", new_year, 3), either);
}

#[test]
fn the_last_one_of_a_stretch_is_found() {
    let cron = cron("30 2 * * *", BERLIN);
    let (from, until) = (at("2020-01-01T00:00:00Z"), at("2026-06-15T12:00:00Z"));
    assert_eq!(cron.last_until(from, until), Some(at("2026-06-15T00:30:00Z")));
    let due = at("2026-06-15T00:30:00Z");
    assert_eq!(cron.last_until(from, due), Some(due));
    assert_eq!(cron.last_until(due, until), None);
    assert_eq!(cron.last_until(Timestamp(due.0 - 1), until), Some(due));
}

#[test]
fn zones_have_the_names_of_the_database() {
    assert_eq!(Zone::named("europe/berlin").unwrap().name(), BERLIN);
    assert!(Zone::named("Europe/Atlantis").is_none());
    assert!(Zone::named("../etc/passwd").is_none());
    assert_eq!(Zone::utc().name(), "UTC");
}

/// In Chile clocks go forward at midnight: the day begins at 01:00.
#[test]
fn a_day_may_begin_after_the_gap_at_midnight() {
    let next = |text: &str, after: &str| times(text, "America/Santiago", after, 1).remove(0);
    // On 6 September 2026 they go from 24:00 to 01:00, which is 04:00 in UTC.
    for text in ["0 0 * * *", "@daily", "30 0 * * *", "0 0 6 9 *", "0 0 * * SUN", "0 1 * * *"] {
        assert_eq!(next(text, "2026-09-05T12:00:00Z"), "2026-09-06T04:00Z", "{text}");
    }
    assert_eq!(next("0 0 * * *", "2026-09-06T04:00:00Z"), "2026-09-07T03:00Z", "and once");
    // What follows the clock has nothing in the hour that is left out.
    assert_eq!(next("*/20 0 * * *", "2026-09-05T12:00:00Z"), "2026-09-07T03:00Z");
    assert_eq!(next("*/30 * * * *", "2026-09-06T03:30:00Z"), "2026-09-06T04:00Z");
}
