//! The life of an assignment, step by step.

mod loops;
mod silence;
mod simulation;

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use serde_bytes::ByteBuf;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::capability::Capability;
use windlass_proto::wire::message::{Beat, Held};
use windlass_proto::wire::session::SessionId;
use windlass_proto::wire::{Assignment, AssignmentKey};

use super::{Dispatcher, Order, Profile, Proofs};
use crate::dispatch::backlog::Lane;
use crate::dispatch::backlog_counts::BacklogCounts;
use crate::dispatch::testing::assignment;

const LEASE: u64 = 1_000;
const TOKEN: &[u8] = b"token";

/// Accepts one token for all; knows what is awaited.
#[derive(Default)]
struct Known(RefCell<HashSet<AssignmentKey>>);

impl Proofs for Known {
    fn is_token(&self, _key: &AssignmentKey, token: &[u8]) -> bool {
        token == TOKEN
    }

    fn is_awaited(&self, key: &AssignmentKey) -> bool {
        self.0.borrow().contains(key)
    }
}

/// A dispatcher and what it says.
struct Bench {
    dispatcher: Dispatcher,
    known: Known,
    frames: u64,
    /// How often a task was sent, and whether it failed.
    deliveries: (u32, bool),
}

fn lane(kind: &'static str) -> Lane {
    Lane { pool: "default".into(), capability: Capability::BuiltIn(kind) }
}

fn session(number: u8) -> SessionId {
    SessionId([number; 16])
}

fn profile(identity: &str, concurrency: u32) -> Profile {
    Profile {
        identity: identity.into(),
        pool: "default".into(),
        version: "1".into(),
        capabilities: [Capability::BuiltIn("http")].into(),
        concurrency,
        evaluates: true,
        isolation: None,
        owner: None,
    }
}

fn task(number: u128) -> Assignment {
    assignment(number, "a", 5, 0)
}

fn held(keys: &[&AssignmentKey]) -> Vec<Held> {
    let held = |key: &&AssignmentKey| Held { key: (*key).clone(), token: ByteBuf::from(TOKEN) };
    keys.iter().map(held).collect()
}

impl Bench {
    fn new() -> Self {
        let dispatcher = Dispatcher::new(LEASE, Arc::new(BacklogCounts::default()));
        Self { dispatcher, known: Known::default(), frames: 0, deliveries: (0, false) }
    }

    /// A worker that has beaten once.
    fn joins(&mut self, number: u8, identity: &str, concurrency: u32, at: u64) -> Vec<Order> {
        let profile = profile(identity, concurrency);
        self.dispatcher.join(session(number), profile, Timestamp(at));
        self.beats(number, concurrency, 0, &[], at)
    }

    fn beats(
        &mut self,
        number: u8,
        concurrency: u32,
        seen: u64,
        keys: &[&AssignmentKey],
        at: u64,
    ) -> Vec<Order> {
        let beat = Beat { number: 1, seen, held: held(keys), concurrency, ..Beat::default() };
        let mut orders = Vec::new();
        self.dispatcher.beat(session(number), &beat, Timestamp(at), &self.known, &mut orders);
        orders
    }

    /// Assigns what can be, each in a frame of its own.
    fn assigns(&mut self) -> Vec<(SessionId, AssignmentKey)> {
        let mut orders = Vec::new();
        self.dispatcher.assign(&mut orders);
        let sent = orders.into_iter().map(|order| match order {
            Order::Send(session, assignment) => (session, assignment.key.clone()),
            other => panic!("{other:?}"),
        });
        let sent: Vec<_> = sent.collect();
        for (_, key) in &sent {
            self.frames += 1;
            self.dispatcher.sent(key, self.frames);
        }
        sent
    }

    fn ticks(&mut self, at: u64) -> Vec<Order> {
        let mut orders = Vec::new();
        self.dispatcher.tick(Timestamp(at), &mut orders);
        orders
    }

    fn submits(&mut self, assignment: Assignment) {
        self.dispatcher.submit(lane("http"), assignment, Timestamp(0));
    }
}

fn lost(orders: &[Order]) -> Vec<(u128, bool)> {
    let mut lost: Vec<_> = orders
        .iter()
        .filter_map(|order| match order {
            Order::Lost(key, loss) => Some((key.instance.0.as_u128(), loss.blamed)),
            _ => None,
        })
        .collect();
    lost.sort_unstable();
    lost
}

#[test]
fn work_goes_to_workers_with_room_and_ability() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 2, 0);
    for number in 0..4 {
        bench.submits(task(number));
    }
    bench.dispatcher.submit(lane("shell"), task(9), Timestamp(0));
    let sent = bench.assigns();
    assert_eq!(sent.len(), 2);
    assert_eq!(bench.dispatcher.unschedulable(), [lane("shell")]);
    bench.dispatcher.reported(&sent[0].1);
    assert_eq!(bench.assigns().len(), 1, "a report makes room for one");
    let depths = bench.dispatcher.depths(Timestamp(0));
    assert_eq!(depths.in_flight[&Arc::from("default")], 2);
    assert_eq!(depths.waiting[&lane("http")].0, 1);
}

#[test]
fn times_lead_to_the_span_of_a_delivery_that_is_recorded() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 2, 0);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    for (number, flags) in [(1, "01"), (2, "00")] {
        let mut task = task(number);
        task.traceparent = Some(format!("00-{trace}-00000000000000{number:02x}-{flags}").into());
        bench.submits(task);
    }
    bench.dispatcher.passes(Timestamp(50));
    let sent = bench.assigns();
    bench.dispatcher.passes(Timestamp(450));
    sent.iter().for_each(|(_, key)| drop(bench.dispatcher.reported(key)));
    let times = bench.dispatcher.times().remove(0);
    for (spread, value, at) in [(&times.waited, 0.05, 50), (&times.ran, 0.4, 450)] {
        let [exemplar] = &spread.exemplars[..] else { panic!("{spread:?}") };
        assert_eq!((exemplar.value, exemplar.traced.span), (value, 1));
        assert_eq!(format!("{:032x}", exemplar.traced.trace), trace);
        assert_eq!((spread.count(), exemplar.traced.at), (2, Timestamp(at)));
    }
}

#[test]
fn a_worker_that_has_not_beaten_gets_nothing() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 1, 0);
    bench.dispatcher.join(session(2), profile("b", 10), Timestamp(0));
    (0..4).for_each(|number| bench.submits(task(number)));
    assert_eq!(bench.assigns().iter().map(|it| it.0).collect::<Vec<_>>(), [session(1)]);
}

#[test]
fn work_spreads_over_workers() {
    let mut bench = Bench::new();
    for number in 1..=4 {
        bench.joins(number, &number.to_string(), 100, 0);
    }
    (0..40).for_each(|number| bench.submits(task(number)));
    let sent = bench.assigns();
    for number in 1..=4 {
        assert_eq!(sent.iter().filter(|it| it.0 == session(number)).count(), 10);
    }
}

#[test]
fn a_silent_worker_loses_all_it_was_sent_which_may_be_why_it_is_silent() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 10, 0);
    bench.submits(task(1));
    let first = bench.assigns().remove(0).1;
    assert!(lost(&bench.beats(1, 10, 1, &[&first], 2)).is_empty());
    bench.submits(task(2));
    bench.assigns();
    bench.joins(2, "b", 10, 2);
    for at in (0..LEASE).step_by(100) {
        assert!(bench.ticks(2 + at).is_empty());
        bench.beats(2, 10, 0, &[], 2 + at);
    }
    assert!(bench.ticks(2 + LEASE).is_empty());
    let orders = bench.ticks(3 + LEASE);
    assert_eq!(lost(&orders), [(1, true), (2, true)]);
    assert!(orders.iter().any(|it| matches!(it, Order::Dismiss(it, _) if *it == session(1))));
    assert!(!bench.dispatcher.knows(session(1)));
}

#[test]
fn what_arrived_and_is_not_held_is_lost_and_what_is_under_way_is_not() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 10, 0);
    (1..=3).for_each(|number| bench.submits(task(number)));
    let sent = bench.assigns();
    let orders = bench.beats(1, 10, 2, &[&sent[0].1], 2);
    let missing = sent[1].1.instance.0.as_u128();
    assert_eq!(lost(&orders), [(missing, false)]);
    // The third is in a frame that was not seen: it may lie somewhere and arrive, however late.
    assert!(lost(&bench.beats(1, 10, 2, &[&sent[0].1], 10 * LEASE)).is_empty());
    let late = sent[2].1.instance.0.as_u128();
    let orders = bench.beats(1, 10, 4, &[&sent[0].1], 10 * LEASE);
    assert_eq!(lost(&orders), [(late, false)], "a later frame has arrived");
}

#[test]
fn what_could_not_be_sent_is_lost_once_and_blames_nobody() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 10, 0);
    bench.submits(task(1));
    let key = bench.assigns().remove(0).1;
    let mut orders = Vec::new();
    bench.dispatcher.unsent(std::slice::from_ref(&key), &mut orders);
    assert_eq!(lost(&orders), [(1, false)]);
    bench.dispatcher.unsent(&[key], &mut orders);
    assert_eq!(lost(&bench.beats(1, 10, 9, &[], 1)), []);
    assert_eq!(lost(&orders).len(), 1);
}

#[test]
fn a_cancelled_assignment_is_never_lost() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 10, 0);
    (1..=2).for_each(|number| bench.submits(task(number)));
    bench.dispatcher.cancel(&task(2).key, &mut Vec::new());
    let sent = bench.assigns();
    assert_eq!(sent.len(), 1, "the second was still waiting");
    let mut orders = Vec::new();
    bench.dispatcher.cancel(&sent[0].1, &mut orders);
    assert!(matches!(&orders[..], [Order::Cancel(..)]));
    let orders = bench.beats(1, 10, 0, &[&sent[0].1], 2);
    assert!(matches!(&orders[..], [Order::Cancel(..)]), "its worker has not heard of it");
    assert!(lost(&bench.beats(1, 10, 1, &[], 2)).is_empty());
    assert_eq!(bench.dispatcher.depths(Timestamp(0)).in_flight.len(), 0);
}

#[test]
fn a_worker_that_survived_a_restart_keeps_what_it_holds() {
    let mut bench = Bench::new();
    bench.dispatcher.recover(lane("http"), task(1), Timestamp(0));
    bench.dispatcher.recover(lane("http"), task(2), Timestamp(0));
    bench.joins(1, "a", 10, 1);
    let former = AssignmentKey { epoch: 0, ..task(1).key };
    let orders = bench.beats(1, 10, 0, &[&former, &task(3).key], 2);
    assert!(
        matches!(&orders[..], [Order::Cancel(_, key)] if *key == task(3).key),
        "what nobody waits for is cancelled: {orders:?}"
    );
    let mut orders = Vec::new();
    for at in (0..=LEASE).step_by(100) {
        orders.extend(bench.beats(1, 10, 0, &[&former], 1 + at));
        orders.extend(bench.ticks(1 + at));
    }
    assert!(orders.is_empty(), "{orders:?}");
    assert_eq!(lost(&bench.ticks(2 + LEASE)), [(2, false)], "nobody holds the second");
    assert!(bench.dispatcher.reported(&former).is_none());
    assert!(bench.dispatcher.depths(Timestamp(0)).in_flight.is_empty());
}

#[test]
fn a_claim_without_its_token_is_worth_nothing() {
    let mut bench = Bench::new();
    bench.dispatcher.recover(lane("http"), task(1), Timestamp(0));
    bench.joins(1, "a", 10, 1);
    let claim = Held { key: task(1).key, token: ByteBuf::from(b"guess") };
    let beat = Beat { held: vec![claim], concurrency: 10, ..Beat::default() };
    let mut orders = Vec::new();
    bench.dispatcher.beat(session(1), &beat, Timestamp(2), &bench.known, &mut orders);
    assert!(orders.is_empty());
    assert_eq!(bench.dispatcher.depths(Timestamp(0)).orphaned, 1);
}

#[test]
fn a_report_that_waits_for_its_partition_is_not_cancelled() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 10, 0);
    bench.submits(task(1));
    let key = bench.assigns().remove(0).1;
    bench.dispatcher.reported(&key);
    bench.known.0.borrow_mut().insert(key.clone());
    assert!(bench.beats(1, 10, 1, &[&key], 2).is_empty());
    bench.known.0.borrow_mut().clear();
    assert!(matches!(&bench.beats(1, 10, 1, &[&key], 3)[..], [Order::Cancel(..)]));
}

#[test]
fn a_new_session_of_the_same_process_takes_its_work_along() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 10, 0);
    (1..=2).for_each(|number| bench.submits(task(number)));
    let sent = bench.assigns();
    let (kept, dropped) = (&sent[0].1, &sent[1].1);
    let profile = bench.dispatcher.members[&session(1)].profile.clone();
    bench.dispatcher.join(session(2), profile, Timestamp(2));
    let orders = bench.beats(2, 10, 0, &[kept], 3);
    assert_eq!(lost(&orders), [(dropped.instance.0.as_u128(), false)]);
    assert!(!bench.dispatcher.knows(session(1)));
    assert_eq!(bench.dispatcher.members[&session(2)].in_flight.len(), 1);
}

#[test]
fn a_worker_that_leaves_gets_nothing_more_and_hands_back() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 10, 0);
    (1..=2).for_each(|number| bench.submits(task(number)));
    let sent = bench.assigns();
    let keys = [&sent[0].1, &sent[1].1];
    let leaving = Beat { seen: 2, held: held(&keys), leaving: true, ..Beat::default() };
    let mut orders = Vec::new();
    bench.dispatcher.beat(session(1), &leaving, Timestamp(2), &bench.known, &mut orders);
    bench.submits(task(3));
    assert!(bench.assigns().is_empty());
    bench.dispatcher.released(session(1), keys[0], &mut orders);
    let goodbye = Beat { goodbye: true, leaving: true, ..Beat::default() };
    bench.dispatcher.beat(session(1), &goodbye, Timestamp(4), &bench.known, &mut orders);
    assert_eq!(lost(&orders), [(1, false), (2, false)]);
}

#[test]
fn suspects_never_share_a_worker() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 10, 0);
    for number in 1..=3 {
        bench.submits(assignment(number, "a", 5, limits::SUSPECT_LOSSES));
    }
    bench.submits(task(4));
    let sent = bench.assigns();
    assert_eq!(sent.len(), 2, "one suspect and the innocent one: {sent:?}");
    bench.joins(2, "b", 10, 2);
    assert_eq!(bench.assigns().len(), 1);
    bench.dispatcher.reported(&sent[0].1);
    assert_eq!(bench.assigns().len(), 1);
}

#[test]
fn suspects_share_workers_by_the_dozen_at_first_and_not_at_all_in_the_end() {
    for (losses, together) in [(2, 16), (3, 4), (4, 1), (40, 1)] {
        let mut bench = Bench::new();
        bench.joins(1, "a", 256, 0);
        for number in 0..20 {
            bench.submits(assignment(number, "a", 5, losses));
        }
        assert_eq!(bench.assigns().len(), together, "{losses} losses");
        bench.submits(assignment(30, "a", 5, 4));
        bench.submits(task(31));
        assert_eq!(bench.assigns().len(), 1, "only the innocent one joins suspects");
    }
}

#[test]
fn a_worker_gets_only_so_many_bytes_at_once() {
    let mut bench = Bench::new();
    bench.joins(1, "a", 10, 0);
    let half = usize::try_from(limits::OUTSTANDING_BYTES / 2).unwrap();
    for number in 0..5 {
        let input = Value::from("x".repeat(half).as_str());
        bench.submits(Assignment { input, ..task(number) });
    }
    assert_eq!(bench.assigns().len(), 2);
}
