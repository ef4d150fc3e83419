//! What a partition makes of deliveries, reports and losses, each alone and by hand.

use windlass_coordinator::engine::DeliveryLoss;
use windlass_coordinator::partition::{Message, Release, Verdict};
use windlass_proto::id::InstanceId;
use windlass_proto::value::Value;
use windlass_proto::wire::{Assignment, AssignmentKey, Report};

use super::regression::{Bench, ID, start_of};

/// Calls a function, then runs a child.
const PARENT: &str = "
do:
  - a: {call: work, metadata: {windlass: {pool: gpu}}}
  - b: {run: {workflow: {namespace: sim, name: child, version: 1.0.0}}}
";

fn start(bench: &Bench, id: InstanceId, priority: u8) -> Message {
    start_of(id, bench.plan("parent", PARENT), Value::Int(1), priority, None)
}

/// The assignments among releases, and whether each was recovered.
fn sent(releases: Vec<Release>) -> Vec<(Assignment, bool)> {
    let sent = releases.into_iter().filter_map(|release| match release {
        Release::Dispatch { assignment, recovered } => Some((*assignment, recovered)),
        _ => None,
    });
    sent.collect()
}

/// The only assignment of an instance that has just begun.
fn begin(bench: &mut Bench) -> Assignment {
    let start = start(bench, ID, 7);
    let batch = bench.turn(vec![start]);
    let [(assignment, false)] = <[_; 1]>::try_from(sent(bench.commit(batch))).unwrap() else {
        panic!("it was never sent before")
    };
    assignment
}

fn report(key: &AssignmentKey) -> Message {
    Message::Reported(Report::new(key.clone(), Ok(Value::Int(2))))
}

fn lost(key: &AssignmentKey, blamed: bool) -> Message {
    let loss = DeliveryLoss { blamed, ..Default::default() };
    Message::Lost { key: key.clone(), loss }
}

/// The fates told by releases.
fn verdicts(releases: &[Release]) -> Vec<(u32, Verdict)> {
    let verdicts = releases.iter().filter_map(|release| match release {
        Release::Settled(key, verdict) => Some((key.delivery, *verdict)),
        _ => None,
    });
    verdicts.collect()
}

#[test]
fn an_assignment_carries_pool_priority_and_losses() {
    let mut bench = Bench::new();
    let first = begin(&mut bench);
    assert_eq!((first.pool.as_deref(), first.priority, first.losses), (Some("gpu"), 7, 0));
    let batch = bench.turn(vec![lost(&first.key, true)]);
    let again = sent(bench.commit(batch));
    let [(again, false)] = again.as_slice() else { panic!("{again:?}") };
    assert_eq!((again.pool.as_deref(), again.priority, again.losses), (Some("gpu"), 7, 1));
    assert_eq!((again.key.delivery, again.idempotency_key()), (2, first.idempotency_key()));
}

#[test]
fn a_child_has_the_priority_of_its_parent() {
    let mut bench = Bench::new();
    let first = begin(&mut bench);
    let batch = bench.turn(vec![report(&first.key)]);
    let releases = bench.commit(batch);
    let children = releases.iter().filter_map(|release| match release {
        Release::StartChild { priority, .. } => Some(*priority),
        _ => None,
    });
    assert_eq!(children.collect::<Vec<_>>(), [7]);
}

#[test]
fn the_fate_of_a_report_leaves_with_what_it_rests_on() {
    let mut bench = Bench::new();
    let key = begin(&mut bench).key;
    let first = bench.turn(vec![report(&key), report(&key)]);
    assert_eq!(first.commit.writes.len(), 1);
    // A repeat in a later batch is told after the batch that took the first one.
    let second = bench.turn(vec![report(&key)]);
    assert!(second.is_quiet() && second.number > first.number);
    let told = verdicts(&bench.commit(first));
    assert_eq!(told, [(1, Verdict::Accepted), (1, Verdict::Stale)]);
    assert_eq!(verdicts(&bench.commit(second)), [(1, Verdict::Stale)]);
    let nobody = AssignmentKey { instance: InstanceId(uuid::Uuid::from_u128(99)), ..key };
    let batch = bench.turn(vec![report(&nobody), lost(&nobody, true)]);
    assert!(batch.is_quiet());
    assert_eq!(verdicts(&bench.commit(batch)), [(1, Verdict::Unknown)]);
}

#[test]
fn a_report_on_a_delivery_that_was_lost_is_stale() {
    let mut bench = Bench::new();
    let key = begin(&mut bench).key;
    let batch = bench.turn(vec![lost(&key, false), report(&key), lost(&key, true)]);
    let releases = bench.commit(batch);
    assert_eq!(verdicts(&releases), [(1, Verdict::Stale)]);
    let again = sent(releases);
    let [(again, false)] = again.as_slice() else { panic!("{again:?}") };
    assert_eq!((again.key.delivery, again.losses), (2, 0), "only the first loss counts");
    let batch = bench.turn(vec![report(&again.key)]);
    assert_eq!(verdicts(&bench.commit(batch)), [(2, Verdict::Accepted)]);
}

#[test]
fn a_restart_sends_under_the_same_number_and_writes_nothing() {
    let mut bench = Bench::new();
    let first = begin(&mut bench);
    let facts = bench.journal().load(ID).unwrap().unwrap().facts.len();
    let batch = bench.reopen();
    assert!(batch.is_quiet());
    let again = sent(bench.commit(batch));
    let [(again, true)] = again.as_slice() else { panic!("{again:?}") };
    assert_eq!(again.key.delivery, first.key.delivery);
    assert_eq!((again.priority, again.pool.as_deref()), (7, Some("gpu")));
    assert_eq!((&again.input, again.visit), (&first.input, first.visit));
    assert_eq!(bench.journal().load(ID).unwrap().unwrap().facts.len(), facts);
    // A worker that has survived the restart reports under the term it was sent in.
    assert!(first.key.epoch < again.key.epoch);
    let batch = bench.turn(vec![report(&first.key), report(&again.key)]);
    let told = verdicts(&bench.commit(batch));
    assert_eq!(told, [(1, Verdict::Accepted), (1, Verdict::Stale)]);
}

#[test]
fn what_belongs_to_a_later_term_changes_nothing() {
    let mut bench = Bench::new();
    let key = begin(&mut bench).key;
    let later = AssignmentKey { epoch: key.epoch + 1, ..key.clone() };
    let batch = bench.turn(vec![lost(&later, true), report(&later)]);
    assert!(batch.is_quiet());
    let releases = bench.commit(batch);
    assert_eq!(verdicts(&releases), [(1, Verdict::Stale)]);
    assert!(sent(releases).is_empty());
    let batch = bench.turn(vec![report(&key)]);
    assert_eq!(verdicts(&bench.commit(batch)), [(1, Verdict::Accepted)]);
}
