//! Workers that would keep the coordinator busy with nothing, and places that are taken as long as
//! something runs in them.

use std::sync::Arc;

use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::{Assignment, AssignmentKey};

use super::{Bench, LEASE, Order, lost, profile, session, task};
use crate::dispatch::dispatcher::{Admission, Profile};

/// Lets worker 1 get rid of everything it is sent, in one way or another, for so long; the bench
/// has then how often the task was sent, and whether it failed.
fn rid(
    bench: &mut Bench,
    for_ms: u64,
    way: impl Fn(&mut Bench, &AssignmentKey, u64) -> Vec<Order>,
) {
    let (mut delivery, mut failed) = (1, false);
    bench.submits(task(1));
    for at in (0..for_ms).step_by(50) {
        let mut orders = bench.beats(1, 1, 0, &[], at);
        if let Some((_, key)) = bench.assigns().pop() {
            orders.extend(way(bench, &key, at));
        }
        orders.extend(bench.ticks(at));
        for order in orders {
            match order {
                Order::Lost(key, loss) => {
                    assert!(!loss.blamed && key.delivery == delivery);
                    delivery += 1;
                    let key = AssignmentKey { delivery, ..key };
                    bench.dispatcher.submit(
                        super::lane("http"),
                        Assignment { key, ..task(1) },
                        Timestamp(at),
                    );
                }
                Order::GiveUp(_, times, worker) => {
                    assert_eq!((times, &*worker), (limits::HANDED_BACK, "a"));
                    failed = true;
                }
                Order::Delayed(worker, _, times, _) => {
                    assert_eq!((&*worker, times), ("a", delivery))
                }
                other => panic!("{other:?}"),
            }
        }
    }
    bench.deliveries = (delivery, failed);
}

fn released(bench: &mut Bench, key: &AssignmentKey, _: u64) -> Vec<Order> {
    let mut orders = Vec::new();
    bench.dispatcher.released(session(1), key, &mut orders);
    orders
}

#[test]
fn what_is_handed_back_at_once_rests_longer_each_time_and_fails_in_the_end() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 1, 0);
    rid(&mut bench, 60_000, released);
    assert_eq!(bench.deliveries, (9, false), "in a minute");
    let mut bench = Bench::new();
    bench.joins(1, "a", 1, 0);
    rid(&mut bench, 3_600_000, released);
    assert_eq!(bench.deliveries, (limits::HANDED_BACK, true), "in an hour");
}

#[test]
fn what_arrives_and_is_not_held_rests_as_well() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 1, 0);
    rid(&mut bench, 60_000, |bench, _, at| bench.beats(1, 1, bench.frames, &[], at));
    assert_eq!(bench.deliveries, (9, false));
}

#[test]
fn what_the_bus_does_not_take_rests_and_never_fails() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 1, 0);
    rid(&mut bench, 3_600_000, |bench, key, _| {
        let mut orders = Vec::new();
        bench.dispatcher.unsent(std::slice::from_ref(key), &mut orders);
        orders
    });
    let (deliveries, failed) = bench.deliveries;
    assert!(!failed && (limits::HANDED_BACK..200).contains(&deliveries), "{deliveries}");
}

#[test]
fn who_shows_what_rests_has_it_and_who_cancels_it_ends_it() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 2, 0);
    let mut keys = Vec::new();
    for number in 1..=2 {
        bench.submits(task(number));
        let key = bench.assigns().remove(0).1;
        assert_eq!(lost(&released(&mut bench, &key, 0)).len(), 1);
        bench.submits(task(number));
        let key = bench.assigns().remove(0).1;
        assert!(matches!(&released(&mut bench, &key, 0)[..], [Order::Delayed(..)]));
        keys.push(key);
    }
    let waiting = bench.dispatcher.depths(Timestamp(0)).waiting;
    assert_eq!(waiting[&super::lane("http")].0, 2, "a scaler sees what rests");
    assert!(bench.beats(1, 2, 0, &[&keys[0]], 1).is_empty());
    let mut orders = Vec::new();
    bench.dispatcher.cancel(&keys[1], &mut orders);
    orders.extend(bench.ticks(limits::REDELIVERY_BACKOFF_MS + 1));
    assert!(orders.is_empty(), "{orders:?}");
    assert!(bench.dispatcher.in_flight.contains_key(&keys[0]));
}

#[test]
fn a_cancelled_task_takes_its_place_until_it_has_ended() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 1, 0);
    bench.submits(task(1));
    let key = bench.assigns().remove(0).1;
    bench.dispatcher.cancel(&key, &mut Vec::new());
    bench.submits(task(2));
    bench.beats(1, 1, 9, &[&key], 1);
    assert!(bench.assigns().is_empty(), "the first still runs");
    let mut orders = Vec::new();
    bench.dispatcher.released(session(1), &key, &mut orders);
    assert!(orders.is_empty());
    let second = bench.assigns().remove(0).1;

    // The word that it has ended gets lost: the next beat says the same.
    bench.dispatcher.cancel(&second, &mut Vec::new());
    bench.submits(task(3));
    bench.beats(1, 1, 9, &[&second], 2);
    assert!(bench.assigns().is_empty());
    bench.beats(1, 1, 9, &[], 3);
    assert_eq!(bench.assigns().len(), 1);
}

#[test]
fn what_nobody_knows_any_more_takes_its_place_as_well() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 1, 0);
    bench.submits(task(2));
    let orders = bench.beats(1, 1, 0, &[&task(1).key], 1);
    assert!(matches!(&orders[..], [Order::Cancel(..)]));
    assert!(bench.assigns().is_empty());
    bench.beats(1, 1, 0, &[], 2);
    assert_eq!(bench.assigns().len(), 1);
}

#[test]
fn the_second_of_two_processes_with_one_identity_is_kept_out() {
    let (mut bench, name) = (Bench::new(), Arc::from("a"));
    bench.joins(1, "a", 1, 0);
    let mut admissions = Vec::new();
    let mut at = 0;
    // The first one beats, the second asks again and again.
    while admissions.last() != Some(&Admission::Refuse) {
        at += LEASE / 4;
        assert!(at < 10 * LEASE, "{admissions:?}");
        bench.beats(1, 1, 0, &[], at);
        admissions.push(bench.dispatcher.admits(&name, None, Timestamp(at)));
    }
    let of = |it| admissions.iter().filter(|at| **at == it).count();
    assert_eq!(of(Admission::Welcome), limits::TAKEOVERS as usize);
    assert!(of(Admission::Wait) >= 8, "{admissions:?}");
    // Another identity is none of its business, and neither is a later day.
    assert_eq!(bench.dispatcher.admits(&Arc::from("b"), None, Timestamp(at)), Admission::Welcome);
    at += limits::TAKEOVER_MEMORY_MS + 1;
    bench.beats(1, 1, 0, &[], at);
    assert_eq!(bench.dispatcher.admits(&name, None, Timestamp(at)), Admission::Welcome);
}

#[test]
fn who_registers_anew_after_stalls_of_the_coordinator_is_nobody_else() {
    let (mut bench, name) = (Bench::new(), Arc::from("a"));
    bench.joins(1, "a", 1, 0);
    let mut at = 0;
    for stall in 0..4 * limits::TAKEOVERS {
        at += 2 * LEASE;
        // A last beat of the session it has left lay there, and so did more than one registration.
        if stall % 2 == 0 {
            bench.beats(1, 1, 0, &[], at);
        }
        for _ in 0..3 {
            let admission = bench.dispatcher.admits(&name, None, Timestamp(at));
            assert_eq!(admission, Admission::Welcome, "stall {stall}");
        }
        bench.beats(1, 1, 0, &[], at);
    }
}

#[test]
fn a_process_that_registers_often_is_let_in_as_its_session_is_silent() {
    let (mut bench, name) = (Bench::new(), Arc::from("a"));
    let (mut at, mut number) = (0, 0);
    for _ in 0..20 {
        number += 1;
        bench.dispatcher.join(session(number), profile("a", 1), Timestamp(at));
        bench.beats(number, 1, 0, &[], at);
        let asked = at;
        while bench.dispatcher.admits(&name, None, Timestamp(at)) != Admission::Welcome {
            at += LEASE / 20;
        }
        assert!(at - asked <= LEASE * 6 / 10);
    }
}

#[test]
fn an_identity_is_whose_worker_has_it() {
    let mut bench = Bench::new();
    let (ours, other): (Arc<str>, Arc<str>) = (Arc::from("ours"), Arc::from("other"));
    let http = Profile { owner: Some(ours.clone()), ..profile("http", 2) };
    // Not yet heard, and somebody's all the same.
    bench.dispatcher.join(session(1), http, Timestamp(0));
    bench.joins(2, "bus", 2, 0);
    let mut admits = |identity: &str, owner: Option<&Arc<str>>| {
        bench.dispatcher.admits(&Arc::from(identity), owner, Timestamp(10))
    };
    assert_eq!(admits("http", Some(&other)), Admission::Refuse);
    assert_eq!(admits("http", Some(&ours)), Admission::Welcome);
    assert_eq!(admits("http", None), Admission::Welcome, "the key of the fleet is more");
    assert_eq!(admits("bus", Some(&ours)), Admission::Refuse);
    assert_eq!(admits("bus", None), Admission::Welcome);
}

#[test]
fn a_session_ends_no_session_of_another_owner() {
    let mut bench = Bench::new();
    let of = |owner: &str| Profile { owner: Some(Arc::from(owner)), ..profile("w", 2) };
    bench.dispatcher.join(session(1), of("a"), Timestamp(0));
    bench.beats(1, 2, 0, &[], 0);
    // However it came to be let in.
    bench.dispatcher.join(session(2), of("b"), Timestamp(5));
    bench.beats(2, 2, 0, &[], 5);
    assert!(bench.dispatcher.knows(session(1)));
    bench.dispatcher.join(session(3), of("a"), Timestamp(6));
    bench.beats(3, 2, 0, &[], 6);
    assert!(!bench.dispatcher.knows(session(1)), "the same process again");
}
