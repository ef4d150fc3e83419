//! What is missed, paused, held or overlaps.

use windlass_proto::time::Timestamp;

use super::super::{Due, ScheduleId, State, Trigger, Why};
use super::{World, at, plan};

const NOON: &str = "2026-01-01T12:00:00Z";

#[test]
fn of_what_was_missed_the_last_one_is_made_up_for() {
    for schedule in ["{ every: PT1M }", "{ cron: '* * * * *' }"] {
        let mut world = World::new(schedule, "{}", NOON);
        assert_eq!(world.look("2026-01-01T12:59:30Z"), 1);
        assert_eq!(world.due(), ["2026-01-01T12:59:00Z"]);
        let missed = ("2026-01-01T12:01:00Z".to_owned(), Some(58), Why::Missed);
        assert_eq!(world.skipped(), [missed]);
        assert_eq!(world.look("2026-01-01T13:00:00Z"), 1, "and it goes on in step");
    }
}

#[test]
fn what_is_a_little_late_was_not_missed() {
    let mut world = World::new("{ every: PT2S }", "{}", NOON);
    assert_eq!(world.look("2026-01-01T12:00:09Z"), 4);
    assert_eq!(world.skipped(), []);
}

#[test]
fn within_the_window_all_are_made_up_for() {
    for schedule in ["{ every: PT1M }", "{ cron: '* * * * *' }"] {
        let mut world = World::new(schedule, "{ catchUp: PT10M }", NOON);
        assert_eq!(world.look("2026-01-01T13:00:30Z"), 10);
        let missed = ("2026-01-01T12:01:00Z".to_owned(), Some(50), Why::Missed);
        assert_eq!(world.skipped(), [missed]);
        assert_eq!(world.due().first().unwrap(), "2026-01-01T12:51:00Z");
        // Nothing is within a window that is shorter than the wait for the next one.
        let mut world = World::new("{ every: PT1H }", "{ catchUp: PT10M }", NOON);
        assert_eq!(world.look("2026-01-01T13:30:00Z"), 0);
        assert_eq!(world.skipped().len(), 1);
        assert_eq!(world.state.wake(), Some(at("2026-01-01T14:00:00Z")));
    }
}

#[test]
fn no_window_makes_up_for_more_than_a_thousand() {
    for schedule in ["{ every: PT1S }", "{ cron: '* * * * * *' }"] {
        let mut world = World::new(schedule, "{ catchUp: P30D }", NOON);
        assert_eq!(world.look("2026-01-20T12:00:00Z"), 1_000);
        let due = world.due();
        assert_eq!(due.last().unwrap(), "2026-01-20T12:00:00Z");
        assert_eq!(due.first().unwrap(), "2026-01-20T11:43:21Z");
        let (_, count, why) = world.skipped().remove(0);
        assert_eq!(why, Why::Missed);
        let all = 19 * 86_400 - 1_000;
        assert!(count.is_none_or(|it| it == all), "{count:?}");
    }
}

#[test]
fn a_pause_skips_and_says_so() {
    let mut world = World::new("{ every: PT1M }", "{}", NOON);
    world.state.pause(Some("closed".into()), at("2026-01-01T12:00:30Z"));
    assert_eq!(world.state.wake(), None);
    assert_eq!(world.look("2026-01-01T12:10:00Z"), 0);
    let (paused, turn) =
        world.with(|state, schedule| state.resume(schedule, at("2026-01-01T12:10:30Z")));
    assert!(paused);
    world.commit(turn, at(NOON));
    let skipped = ("2026-01-01T12:01:00Z".to_owned(), Some(10), Why::Paused);
    assert_eq!(world.skipped(), [skipped]);
    assert_eq!(world.look("2026-01-01T12:11:00Z"), 1);
    let again = world.with(|state, schedule| state.resume(schedule, at(NOON)).0);
    assert!(!again);
}

#[test]
fn while_starts_are_suspended_due_times_are_skipped() {
    let mut world = World::new("{ every: PT1M, after: PT5M }", "{}", NOON);
    assert_eq!(world.look_at(at("2026-01-01T12:02:30Z"), true), 0);
    let skipped = ("2026-01-01T12:01:00Z".to_owned(), Some(2), Why::Suspended);
    assert_eq!(world.skipped(), [skipped]);
    // The chain of `after` would never begin again: its start waits.
    assert_eq!(world.look("2026-01-01T12:02:40Z"), 1);
    assert_eq!(world.due(), [NOON]);
}

#[test]
fn after_follows_the_end_and_stops_when_cancelled() {
    let mut world = World::new("{ after: PT5M }", "{}", NOON);
    assert_eq!(world.look(NOON), 1, "the first one is at the deployment");
    assert_eq!(world.look("2026-01-01T13:00:00Z"), 0);
    let first = world.running()[0];
    world.end(first, false, "2026-01-01T13:00:00Z");
    assert_eq!(world.state.wake(), Some(at("2026-01-01T13:05:00Z")));
    assert_eq!(world.look("2026-01-01T13:05:00Z"), 1);
    let second = world.running()[0];
    world.end(second, true, "2026-01-01T13:06:00Z");
    assert_eq!(world.state.wake(), None);
    // Started by hand it goes on.
    let due = Due::at(at("2026-01-01T14:00:00Z"), Trigger::Manual);
    let turn = world.with(|state, schedule| state.trigger(schedule, due));
    world.commit(turn, due.at);
    let third = world.running()[0];
    world.end(third, false, "2026-01-01T14:00:00Z");
    assert_eq!(world.state.wake(), Some(at("2026-01-01T14:05:00Z")));
}

/// Three due times while the first instance is open, its end, and what has been started then.
fn overlapped(policy: &str) -> (World, usize, usize) {
    let mut world = World::new("{ every: PT1M }", &format!("{{ overlap: {policy} }}"), NOON);
    let minutes = ["2026-01-01T12:01:00Z", "2026-01-01T12:02:00Z", "2026-01-01T12:03:00Z"];
    let open = minutes.map(|it| world.look(it)).iter().sum();
    let later = match world.running().first() {
        Some(first) => {
            world.end(*first, policy == "cancel", "2026-01-01T12:03:10Z");
            world.look("2026-01-01T12:03:11Z")
        }
        None => 0,
    };
    (world, open, later)
}

#[test]
fn what_overlaps_goes_by_the_policy() {
    let third = "2026-01-01T12:03:00Z".to_owned();
    let second = "2026-01-01T12:02:00Z".to_owned();

    let (world, open, later) = overlapped("allow");
    assert_eq!((open, later, world.skipped().len()), (3, 0, 0));

    let (mut world, open, later) = overlapped("skip");
    assert_eq!((open, later), (1, 0));
    let skipped = [(second.clone(), Some(1), Why::Overlap), (third.clone(), Some(1), Why::Overlap)];
    assert_eq!(world.skipped(), skipped);
    assert_eq!(world.look("2026-01-01T12:04:00Z"), 1, "nothing is open any more");

    let (world, open, later) = overlapped("buffer-one");
    assert_eq!((open, later), (1, 1));
    assert_eq!(world.skipped(), [(third.clone(), Some(1), Why::Overlap)]);
    assert_eq!(*world.due().last().unwrap(), second);

    let (mut world, open, later) = overlapped("buffer-all");
    assert_eq!((open, later, world.state.waiting()), (1, 1, 1));
    let running = world.running();
    assert_eq!(running.len(), 1, "one after the other");
    world.end(running[0], false, "2026-01-01T12:03:30Z");
    assert_eq!(world.look("2026-01-01T12:03:31Z"), 1);
    assert_eq!(*world.due().last().unwrap(), third);

    let (world, open, later) = overlapped("cancel");
    assert_eq!((open, later), (1, 1));
    assert_eq!(world.cancelled.len(), 2, "asked again at the third");
    assert_eq!(world.skipped(), [(second, Some(1), Why::Superseded)]);
    assert_eq!(*world.due().last().unwrap(), third);
}

#[test]
fn no_more_wait_than_there_is_room_for() {
    let mut world = World::new(
        "{ every: PT1S }",
        "{ overlap: buffer-all, catchUp: PT1H }",
        "2026-01-01T12:00:00Z",
    );
    for minute in 1..=30 {
        world.look(&format!("2026-01-01T12:{minute:02}:00Z"));
    }
    assert_eq!(world.state.waiting(), 1_000);
    assert_eq!(world.skipped().len(), 30 * 60 - 1_001);
}

#[test]
fn a_new_version_takes_the_place_of_the_former() {
    let mut world = World::new("{ after: PT5M }", "{}", NOON);
    world.look(NOON);
    let running = world.running();
    world.state.pause(None, at(NOON));
    let later = plan("{ cron: '0 * * * *', after: PT1M }", "{ overlap: skip }");
    let definition = (later.id.clone(), later.digest.clone());
    let schedule = later.schedule.as_ref().unwrap();
    let since = at("2026-01-01T12:30:00Z");
    let state = State::deployed(Some(world.state.clone()), world.id, definition, schedule, since);
    assert_eq!(state.running(), running, "what runs of it is followed");
    assert!(state.paused.is_some(), "and the pause holds");
    assert_eq!(state.next, [None, Some(at("2026-01-01T13:00:00Z")), None]);
    world.plan = later.clone();
    world.state = state;
    world.with(|state, schedule| state.resume(schedule, since));
    world.end(running[0], false, "2026-01-01T12:40:00Z");
    assert_eq!(world.state.wake(), Some(at("2026-01-01T12:41:00Z")));
}

#[test]
fn several_triggers_count_all() {
    let mut world = World::new("{ every: PT30M, cron: '0 * * * *' }", "{}", NOON);
    for now in ["2026-01-01T12:30:00Z", "2026-01-01T13:00:00Z"] {
        world.look(now);
    }
    let hour = "2026-01-01T13:00:00Z";
    assert_eq!(world.due(), ["2026-01-01T12:30:00Z", hour, hour], "each by itself");
}

#[test]
fn what_was_due_before_can_be_made_up_for_once() {
    let mut world = World::new("{ cron: '0 0 * * *' }", "{}", NOON);
    let (from, to) = (at("2025-12-01T00:00:00Z"), at("2025-12-31T00:00:00Z"));
    assert_eq!(
        world.with(|state, schedule| state.backfill(schedule, (from, to), &mut |_| false)),
        31
    );
    assert_eq!(
        world.with(|state, schedule| state.backfill(schedule, (from, to), &mut |_| false)),
        0,
        "they wait"
    );
    assert_eq!(world.look(NOON), 31);
    let third = at("2025-12-03T00:00:00Z");
    let mut first = |it| it <= third;
    let taken = world.with(|state, schedule| state.backfill(schedule, (from, to), &mut first));
    assert_eq!(taken, 28, "but for those that were started");
    let mut world = World::new("{ every: PT6H }", "{}", NOON);
    let (from, to) = (at("2025-12-31T13:00:00Z"), at("2026-01-01T18:00:00Z"));
    assert_eq!(
        world.with(|state, schedule| state.backfill(schedule, (from, to), &mut |_| false)),
        5
    );
    world.look(NOON);
    assert_eq!(world.due()[0], "2025-12-31T18:00:00Z");
    assert_eq!(world.due().len(), 5);
}

#[test]
fn what_is_made_up_for_starts_in_parts_also_during_a_pause() {
    let mut world = World::new("{ every: PT1M }", "{}", NOON);
    world.state.pause(None, at(NOON));
    let (from, to) = (at("2025-12-31T00:00:00Z"), at(NOON));
    let taken = world.with(|state, schedule| state.backfill(schedule, (from, to), &mut |_| false));
    assert_eq!(taken, 1_000, "no more at once");
    for _ in 0..20 {
        assert!(world.state.wake().is_some());
        let turn = world.with(|state, schedule| state.due(schedule, at(NOON), false));
        assert_eq!(world.commit(turn, at(NOON)), 50);
    }
    assert_eq!(world.state.wake(), None);
    // While starts are suspended it waits.
    world.with(|state, schedule| state.backfill(schedule, (from, to), &mut |_| false));
    assert_eq!(world.look_at(at(NOON), true), 0);
    assert_eq!(world.state.wake(), Some(Timestamp(0)));
}

#[test]
fn due_times_that_a_clock_put_off_come_back_with_it() {
    let (ahead, back) = ("2031-05-01T00:00:30Z", "2026-01-01T12:10:30Z");
    for schedule in ["{ every: PT1M }", "{ cron: '* * * * *' }"] {
        let mut world = World::new(schedule, "{}", NOON);
        world.look("2026-01-01T12:10:00Z");
        world.look(ahead);
        assert!(world.state.reckoned > at(back));
        assert!(world.with(|state, schedule| state.mend(schedule, at(back))));
        assert_eq!(world.state.wake(), Some(at("2026-01-01T12:11:00Z")), "{schedule}");
        assert!(!world.with(|state, schedule| state.mend(schedule, at(back))));
    }
    // Deployed by that clock, its due times are counted back from there.
    let mut world = World::new("{ every: PT1H }", "{}", ahead);
    assert!(world.with(|state, schedule| state.mend(schedule, at(back))));
    assert_eq!(world.state.wake(), Some(at("2026-01-01T13:00:30Z")));
    let mut world = World::new("{ after: PT1H }", "{}", ahead);
    assert!(world.with(|state, schedule| state.mend(schedule, at(back))));
    assert_eq!(world.state.wake(), Some(at("2026-01-01T13:10:30Z")));
}

#[test]
fn jitter_moves_a_schedule_and_not_its_times() {
    let mut delays = std::collections::BTreeSet::new();
    for number in 0..200 {
        delays.insert(ScheduleId::of("test", &number.to_string()).delay(60_000));
    }
    assert!(delays.len() > 150 && delays.iter().all(|it| *it < 60_000));
    let mut world = World::new("{ cron: '0 * * * *' }", "{ jitter: PT1M }", NOON);
    let delay = world.state.delay;
    assert!(delay > 0);
    let due = at("2026-01-01T13:00:00Z");
    assert_eq!(world.state.wake(), Some(due.plus(delay)));
    assert_eq!(world.look_at(due.plus(delay - 1), false), 0);
    assert_eq!(world.look_at(due.plus(delay), false), 1);
    assert_eq!(world.due(), ["2026-01-01T13:00:00Z"]);
}

#[test]
fn instances_belong_to_the_partition_of_their_schedule() {
    for partitions in [1, 2, 3, 7, 16, 255, 1_000, 40_000, u16::MAX] {
        for number in 0..50 {
            let id = ScheduleId::of("test", &number.to_string());
            let mut seen = std::collections::BTreeSet::new();
            for trigger in Trigger::ALL {
                let due = Due::at(at(NOON), trigger);
                let instance = due.instance(id, partitions);
                assert_eq!(instance.partition(partitions), id.partition(partitions));
                assert_eq!(instance.0.get_version_num(), 7);
                assert_eq!(instance, due.instance(id, partitions));
                assert!(seen.insert(instance));
            }
        }
    }
}

#[test]
fn of_times_due_at_once_only_the_last_starts_where_the_next_one_cancels() {
    let mut world = World::new("{ every: PT1M }", "{ overlap: cancel, catchUp: PT10M }", NOON);
    assert_eq!(world.look("2026-01-01T12:03:30Z"), 1);
    assert_eq!(world.due(), ["2026-01-01T12:03:00Z"]);
    assert!(world.cancelled.is_empty());
    assert!(world.skipped().iter().all(|it| it.2 == Why::Superseded));
    assert_eq!(world.skipped().len(), 2);
}
