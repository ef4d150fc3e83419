//! What one turn of a partition takes, what waits, and that nothing is lost or done twice by it.

use std::sync::Arc;

use tokio::sync::oneshot;
use windlass_coordinator::admission::StartQuotas;
use windlass_coordinator::engine::{ChildOutcome, Fact, Input, Parent};
use windlass_coordinator::partition::{Done, EventTicket, Message, Release};
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::limits;
use windlass_proto::plan::Plan;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::check;
use super::regression::{Bench, start_of};

fn id(number: u128) -> InstanceId {
    InstanceId(uuid::Uuid::from_u128(number))
}

fn start(id: InstanceId, plan: &Arc<Plan>, parent: Option<Parent>) -> Message {
    start_of(id, plan.clone(), Value::empty_object(), 5, parent)
}

/// Takes turns until nothing waits; gives all releases.
fn settle(bench: &mut Bench, messages: Vec<Message>) -> Vec<Release> {
    let mut messages = Some(messages);
    let mut releases = Vec::new();
    while messages.is_some() || bench.partition().next_wake() == Timestamp(0) {
        let batch = bench.turn(messages.take().unwrap_or_default());
        releases.extend(bench.commit(batch));
    }
    releases
}

fn event() -> Message {
    let event = r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":1}"#;
    let event = CloudEvent::from_value(serde_json::from_str(event).unwrap()).unwrap();
    let (done, _) = oneshot::channel();
    Message::Event(EventTicket::new(Arc::new(event), 1, Done::Caller(done)))
}

fn consumed(releases: &[Release]) -> Option<usize> {
    releases.iter().find_map(|it| match it {
        Release::Stamp(_, consumed) => Some(*consumed),
        _ => None,
    })
}

#[test]
fn an_event_in_slices_is_consumed_once_by_each_though_the_process_ends_between_them() {
    const LISTENERS: u128 = 100;
    let mut bench = Bench::new();
    let body = "do: [{l: {listen: {to: {any: [{with: {type: t, data: '${ [range(4000)] | length > 0 }'}}], \
                until: '(. | length) == 3'}}}}]";
    let plan = bench.plan("listens", body);
    for number in 1..=LISTENERS {
        settle(&mut bench, vec![start(id(number), &plan, None)]);
    }
    for slices in 1..=2 {
        let mut messages = vec![event()];
        for _ in 0..slices {
            let batch = bench.turn(std::mem::take(&mut messages));
            let releases = bench.commit(batch);
            assert_eq!(consumed(&releases), None, "it is acknowledged before all had it");
        }
        let batch = bench.reopen();
        bench.commit(batch);
    }
    let releases = settle(&mut bench, vec![event()]);
    assert_eq!(consumed(&releases), Some(LISTENERS as usize));
    // It is not one any more that comes again in parts.
    assert_eq!(consumed(&settle(&mut bench, vec![event()])), Some(0));
    for number in 1..=LISTENERS {
        let facts = check::facts(bench.journal(), id(number));
        let times = facts.iter().filter(|(_, it)| matches!(it, Fact::EventConsumed { .. }));
        assert_eq!(times.count(), 1, "listener {number}");
    }
}

#[test]
fn what_one_namespace_has_waiting_does_not_hold_up_another() {
    let mut bench = Bench::new();
    let sleep = "do: [{w: {wait: PT1H}}]";
    let (many, few) = (bench.plan_in("many", "w", sleep), bench.plan_in("few", "w", sleep));
    let mut messages: Vec<Message> = (1..=2_000).map(|it| start(id(it), &many, None)).collect();
    messages.push(start(id(9_000), &few, None));
    let batch = bench.turn(messages);
    assert!(batch.commit.writes.iter().any(|it| it.instance == id(9_000)), "it waits for others");
    assert!(batch.commit.writes.len() < 2_000, "one turn takes all there is");
    bench.commit(batch);
    let waiting = bench.partition().waiting();
    assert_eq!(waiting.keys().collect::<Vec<_>>(), [&Some(Arc::from("many"))]);
    settle(&mut bench, Vec::new());
    for number in 1..=2_000 {
        assert!(bench.journal().head(id(number)).unwrap().is_some(), "{number} is lost");
    }
}

fn child_of(root: InstanceId, frame: u32) -> Option<Parent> {
    let (instance, frame, root) = (root, FrameId(frame), Some(root));
    Some(Parent { instance, frame, waits: true, depth: 1, root, generation: 1, handles: false })
}

#[test]
fn children_over_quota_wait_for_room_and_are_given_up_in_the_end() {
    let mut bench = Bench::with(StartQuotas { root: 2, namespace: 100, ..StartQuotas::default() });
    let plan = bench.plan("sleeps", "do: [{w: {wait: PT1H}}]");
    let (root, other) = (id(1), id(2));
    for number in 10..14 {
        let frame = u32::try_from(number).unwrap();
        settle(&mut bench, vec![start(id(number), &plan, child_of(root, frame))]);
        // Another repeat of it changes nothing.
        settle(&mut bench, vec![start(id(number), &plan, child_of(root, frame))]);
    }
    settle(&mut bench, vec![start(id(20), &plan, child_of(other, 1))]);
    let is_there = |bench: &Bench, it| bench.journal().head(id(it)).unwrap().is_some();
    let there: Vec<_> = (10..14).map(|it| is_there(&bench, it)).collect();
    assert_eq!((there, bench.partition().parked()), (vec![true, true, false, false], 2));
    assert!(is_there(&bench, 20), "the quota of one root keeps out another");

    let cancel = Input::Cancel { reason: None };
    let cancel = Message::Input { instance: id(10), input: cancel, reply: None };
    settle(&mut bench, vec![cancel]);
    bench.pass(limits::PARKED_AGAIN_MS);
    settle(&mut bench, Vec::new());
    assert!(is_there(&bench, 12) && !is_there(&bench, 13), "the first in line goes first");

    bench.pass(limits::PARKED_MS);
    let releases = settle(&mut bench, Vec::new());
    let told = releases.iter().find_map(|it| match it {
        Release::Tell(to, Input::ChildEnded { frame, outcome: ChildOutcome::Faulted(problem) }) => {
            Some((*to, *frame, problem.status))
        }
        _ => None,
    });
    assert_eq!(told, Some((root, FrameId(13), 500)));
    assert_eq!((bench.partition().parked(), is_there(&bench, 13)), (0, false));
}

#[test]
fn a_child_that_waits_for_room_is_not_started_once_its_parent_wants_it_no_more() {
    let mut bench = Bench::with(StartQuotas { root: 1, namespace: 100, ..StartQuotas::default() });
    let plan = bench.plan("sleeps", "do: [{w: {wait: PT1H}}]");
    let root = id(1);
    for number in [10, 11] {
        settle(&mut bench, vec![start(id(number), &plan, child_of(root, 1))]);
    }
    assert_eq!(bench.partition().parked(), 1);
    let releases = settle(&mut bench, vec![Message::CancelChild { parent: root, child: id(11) }]);
    let gone = |it: &Release| matches!(it, Release::Tell(_, Input::ChildGone { .. }));
    assert!(releases.iter().any(gone), "its parent waits to hear that it is gone");
    let cancel = Input::Cancel { reason: None };
    settle(&mut bench, vec![Message::Input { instance: id(10), input: cancel, reply: None }]);
    bench.pass(limits::PARKED_AGAIN_MS);
    settle(&mut bench, Vec::new());
    assert!(bench.journal().head(id(11)).unwrap().is_none(), "it has started all the same");
}
