//! Whose silence it is: a worker's, all workers', or the coordinator's own deafness.

use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::AssignmentKey;

use super::{Bench, LEASE, Order, lane, lost, session, task};

const BEAT: u64 = LEASE / limits::BEATS_PER_LEASE;

/// Workers with a task each, which beat as they should while they are heard.
struct Scene {
    bench: Bench,
    keys: Vec<AssignmentKey>,
    now: u64,
}

impl Scene {
    fn of(workers: u8) -> Self {
        let mut bench = Bench::new();
        let keys = (1..=workers).map(|number| {
            bench.joins(number, &number.to_string(), 1, 0);
            bench.submits(task(u128::from(number)));
            bench.assigns().remove(0).1
        });
        let keys = keys.collect();
        let mut scene = Self { bench, keys, now: 0 };
        let all: Vec<_> = (1..=workers).collect();
        assert!(scene.passes(LEASE, &all).is_empty());
        scene
    }

    /// Time passes, and of the workers only these are heard; each shows the task it began with.
    fn passes(&mut self, milliseconds: u64, heard: &[u8]) -> Vec<Order> {
        let mut orders = Vec::new();
        let end = self.now + milliseconds;
        while self.now < end {
            self.now += LEASE / 20;
            if self.now % BEAT < LEASE / 20 {
                heard.iter().for_each(|it| orders.extend(self.beats(*it, *it)));
            }
            orders.extend(self.bench.ticks(self.now));
        }
        orders
    }

    /// A worker beats in this session.
    fn beats(&mut self, number: u8, session: u8) -> Vec<Order> {
        let key = self.keys.get(usize::from(number) - 1).cloned();
        let held: Vec<_> = key.iter().collect();
        self.bench.beats(session, 1, 0, &held, self.now)
    }

    /// A worker joins again, in another session; it shows its task.
    fn rejoins(&mut self, number: u8) -> Vec<Order> {
        let session = number + 100;
        let profile = super::profile(&number.to_string(), 1);
        self.bench.dispatcher.join(super::session(session), profile, Timestamp(self.now));
        self.beats(number, session)
    }

    fn sessions(&self) -> usize {
        self.bench.dispatcher.registered()
    }
}

#[test]
fn one_of_several_that_falls_silent_is_dead_after_a_lease() {
    for workers in [2, 3, 10] {
        let mut scene = Scene::of(workers);
        let others: Vec<_> = (2..=workers).collect();
        assert!(scene.passes(LEASE - BEAT, &others).is_empty());
        let orders = scene.passes(2 * BEAT, &others);
        assert_eq!(lost(&orders), [(1, true)], "one of {workers}");
    }
}

#[test]
fn when_all_fall_silent_nothing_is_lost_however_long_it_lasts() {
    for workers in [1, 2, 5] {
        for silence in [LEASE / 2, LEASE, LEASE + 50, 2 * LEASE, 3 * LEASE, 50 * LEASE] {
            if workers == 1 && silence > 5 * LEASE {
                // That of the only one is a death in the end.
                continue;
            }
            let mut scene = Scene::of(workers);
            assert_eq!(lost(&scene.passes(silence, &[])), [], "{workers} for {silence}");
            for number in 1..=workers {
                let dismissed = !scene.bench.dispatcher.knows(session(number));
                let orders = match dismissed {
                    true => scene.rejoins(number),
                    false => scene.beats(number, number),
                };
                assert!(orders.is_empty(), "{orders:?}");
                scene.now += 40;
            }
            let flying: usize =
                scene.bench.dispatcher.depths(Timestamp(scene.now)).in_flight.values().sum();
            assert_eq!(flying, usize::from(workers), "{workers} for {silence}");
        }
    }
}

#[test]
fn after_a_common_silence_everybody_has_a_lease_to_be_heard() {
    for silence in [LEASE - 50, LEASE + 50, 2 * LEASE - 100] {
        let mut scene = Scene::of(3);
        scene.passes(silence, &[]);
        assert_eq!(lost(&scene.passes(LEASE - BEAT, &[1])), [], "{silence}");
        // The second and the third were most of them, so the second's voice gives one more.
        let orders = scene.passes(LEASE + 2 * BEAT, &[1, 2]);
        assert_eq!(lost(&orders), [(3, false)], "{silence}: it has ended");
    }
}

#[test]
fn a_fleet_that_is_dead_is_noticed_after_two_leases() {
    for workers in [1, 3] {
        let mut scene = Scene::of(workers);
        scene.passes(2 * LEASE + BEAT, &[]);
        assert_eq!(scene.sessions(), 0);
        let depths = scene.bench.dispatcher.depths(Timestamp(scene.now + 2 * LEASE));
        let waiting = depths.waiting.get(&lane("http")).map(|it| it.0);
        assert_eq!(waiting, Some(usize::from(workers)), "a scaler sees what waits");
        assert!(depths.in_flight.is_empty());
    }
}

#[test]
fn what_a_dead_fleet_held_is_lost_a_lease_after_another_worker_is_heard() {
    // One worker alone may have ended by what it held; several at once have not.
    for (workers, blamed) in [(1, true), (3, false)] {
        let mut scene = Scene::of(workers);
        assert_eq!(lost(&scene.passes(4 * LEASE, &[])), []);
        scene.bench.joins(50, "new", 1, scene.now);
        scene.keys.truncate(usize::from(workers));
        assert_eq!(lost(&scene.passes(LEASE - 50, &[50])), []);
        let all: Vec<_> = (1..=u128::from(workers)).map(|number| (number, blamed)).collect();
        assert_eq!(lost(&scene.passes(BEAT, &[50])), all);
    }
}

#[test]
fn a_process_that_comes_back_without_what_it_held_is_not_blamed() {
    let mut scene = Scene::of(1);
    scene.passes(4 * LEASE, &[]);
    scene.bench.dispatcher.join(session(101), super::profile("1", 1), Timestamp(scene.now));
    let orders = scene.bench.beats(101, 1, 0, &[], scene.now);
    assert_eq!(lost(&orders), [(1, false)]);
}

#[test]
fn what_may_have_ended_the_only_worker_is_lost_though_no_other_comes() {
    let mut scene = Scene::of(1);
    assert_eq!(lost(&scene.passes(5 * LEASE, &[])), []);
    assert_eq!(lost(&scene.passes(LEASE, &[])), [(1, true)]);
}

#[test]
fn most_that_are_dead_are_noticed_after_two_leases_and_nothing_is_blamed() {
    let mut scene = Scene::of(3);
    assert_eq!(lost(&scene.passes(LEASE + BEAT, &[3])), []);
    assert!(scene.bench.dispatcher.holds_judgement());
    assert_eq!(lost(&scene.passes(LEASE + BEAT, &[3])), [(1, false), (2, false)]);
    assert!(!scene.bench.dispatcher.holds_judgement());
}

#[test]
fn one_that_beats_late_does_not_keep_the_dead_alive() {
    let mut scene = Scene::of(3);
    let mut orders = Vec::new();
    for _ in 0..12 {
        orders.extend(scene.passes(LEASE * 3 / 5, &[]));
        orders.extend(scene.beats(3, 3));
    }
    assert_eq!(lost(&orders), [(1, false), (2, false)]);
}

#[test]
fn a_coordinator_that_did_not_look_was_away() {
    for workers in [1, 2, 5] {
        for away in [LEASE, LEASE * 3 / 2, 100 * LEASE] {
            let mut scene = Scene::of(workers);
            // Whatever is first: a look round, or one of the frames that lay waiting.
            scene.now += away;
            assert!(scene.bench.ticks(scene.now).is_empty());
            assert!(scene.beats(1, 1).is_empty());
            assert!(scene.bench.ticks(scene.now + LEASE / 4).is_empty());
            scene.now += away;
            assert!(scene.beats(1, 1).is_empty());
            assert!(scene.bench.ticks(scene.now).is_empty());
            let all: Vec<_> = (1..=workers).collect();
            scene.passes(BEAT, &[]);
            assert_eq!(lost(&scene.passes(LEASE, &all)), [], "{workers} after {away}");
        }
    }
}

#[test]
fn a_coordinator_that_was_cut_off_blames_nobody() {
    let mut scene = Scene::of(2);
    // While there is no connection nobody is judged; then every lease begins anew.
    scene.passes(LEASE * 2 / 3, &[]);
    scene.bench.dispatcher.reconnected(Timestamp(scene.now));
    assert_eq!(lost(&scene.passes(LEASE * 2 / 3, &[2])), []);
    assert_eq!(lost(&scene.passes(LEASE, &[2])), [(1, false)]);
}

#[test]
fn after_a_pause_that_all_have_outlived_a_death_is_blamed_again() {
    let mut scene = Scene::of(3);
    scene.now += 5 * LEASE;
    assert_eq!(lost(&scene.passes(LEASE, &[1, 2, 3])), []);
    assert_eq!(lost(&scene.passes(LEASE + BEAT, &[2, 3])), [(1, true)]);
}

#[test]
fn a_worker_that_asks_to_join_has_not_died() {
    let mut scene = Scene::of(3);
    assert_eq!(lost(&scene.passes(LEASE / 2, &[2, 3])), []);
    let profile = super::profile("1", 1);
    scene.bench.dispatcher.join(session(101), profile, Timestamp(scene.now));
    assert_eq!(lost(&scene.passes(LEASE, &[2, 3])), [(1, false)]);
}

#[test]
fn who_only_asked_to_join_has_no_voice() {
    let mut scene = Scene::of(1);
    // The registrations of a worker that does not hear the answers.
    for number in 60..70 {
        let profile = super::profile("1", 1);
        scene.bench.dispatcher.join(session(number), profile, Timestamp(scene.now));
        assert_eq!(lost(&scene.passes(LEASE / 2, &[])), []);
    }
    assert_eq!(lost(&scene.passes(LEASE * 2, &[])), []);
    assert_eq!(scene.sessions(), 0);
}
