//! Deliveries that will not be answered: sent again, counted, and given up at last.

use windlass_proto::id::FrameId;
use windlass_proto::limits::DELIVERIES_LOST;
use windlass_proto::problem::same_type;
use windlass_proto::value::Value;
use windlass_proto::wire::{Field, Work};

use super::driver::{Answer, Run};
use crate::engine::{
    DeliveryLoss, Effect, Fact, Input, Origin, Rejection, create, decide, decode, encode, recover,
};
use crate::engine::{Instance, Journaled};
use crate::status::Status;

fn lost(frame: u32, delivery: u32, blamed: bool) -> Input {
    let (frame, loss) = (FrameId(frame), DeliveryLoss { blamed, ..Default::default() });
    Input::Lost { frame, delivery, loss, most: DELIVERIES_LOST }
}

fn reported(frame: u32, delivery: u32) -> Input {
    let (result, secrets) = (Ok(Value::Int(9)), Vec::new());
    Input::Reported { frame: FrameId(frame), delivery, result, secrets, retry_after_ms: None }
}

/// A workflow whose workers never answer.
fn silent(body: &str) -> Run {
    let mut run = Run::of(body).script(|_| Answer::Never);
    run.begin();
    run
}

/// Workers end with deliveries of a visit, from `first` on, until it is given up.
fn take_down(run: &mut Run, frame: u32, first: u32) {
    for delivery in first..first + DELIVERIES_LOST {
        run.feed(lost(frame, delivery, true)).unwrap();
    }
}

#[test]
fn a_lost_delivery_is_sent_again_and_the_old_one_is_not_heard_any_more() {
    let mut run = silent("do: [{a: {call: work}}]");
    run.feed(lost(1, 1, true)).unwrap();
    let [first, second] = run.jobs.as_slice() else { panic!("{:?}", run.jobs) };
    assert_eq!((first.delivery, first.losses), (1, 0));
    assert_eq!((second.delivery, second.losses, second.recovered), (2, 1, false));
    assert_eq!((first.visit, &first.raw), (second.visit, &second.raw));
    let lost = [Fact::DeliveryLost { frame: FrameId(1), blamed: true, worker: None, reason: None }];
    assert!(run.facts.windows(2).any(|pair| {
        pair[0] == lost[0] && pair[1] == Fact::Dispatched { frame: FrameId(1), delivery: 2 }
    }));
    assert_eq!(run.feed(reported(1, 1)), Err(Rejection::Stale), "the worker was not dead");
    run.feed(reported(1, 2)).unwrap();
    assert_eq!(run.output(), "9");
    assert!(run.cancelled.is_empty(), "nobody is left to be told: {:?}", run.cancelled);
}

#[test]
fn only_the_live_delivery_can_be_lost() {
    let body = "do: [{a: {call: work}}, {w: {wait: PT1H}}]";
    let mut run = silent(body);
    for (frame, delivery) in [(0, 1), (1, 0), (1, 2), (2, 1), (u32::MAX, u32::MAX)] {
        let stale = run.feed(lost(frame, delivery, true));
        assert_eq!(stale, Err(Rejection::Stale), "{frame}/{delivery}");
    }
    run.feed(lost(1, 1, false)).unwrap();
    assert_eq!(run.feed(lost(1, 1, true)), Err(Rejection::Stale), "told twice");
    run.feed(reported(1, 2)).unwrap();
    assert_eq!(run.feed(lost(1, 2, true)), Err(Rejection::Stale), "it was answered");
    assert_eq!(run.feed(lost(2, 0, true)), Err(Rejection::Stale), "a wait is at no worker");
    run.feed(Input::Cancel { reason: None }).unwrap();
    assert_eq!(run.feed(lost(2, 0, true)), Err(Rejection::Ended));
}

#[test]
fn a_task_that_takes_down_its_workers_is_given_up() {
    let mut run = silent("do: [{a: {call: work}}]");
    take_down(&mut run, 1, 1);
    assert_eq!(run.jobs.len(), DELIVERIES_LOST as usize);
    let problem = run.problem();
    assert!(same_type(&problem.kind, "runtime"), "{}", problem.kind);
    assert_eq!((problem.status, problem.instance.as_deref()), (500, Some("/do/0/a")));
    let detail = problem.detail.as_deref().unwrap_or_default();
    assert!(detail.starts_with("5 workers ended while"), "{detail}");
    assert!(run.cancelled.is_empty(), "{:?}", run.cancelled);
}

#[test]
fn workers_that_give_an_assignment_back_are_not_counted() {
    let mut run = silent("do: [{a: {call: work}}]");
    for delivery in 1..=3 * DELIVERIES_LOST {
        run.feed(lost(1, delivery, false)).unwrap();
    }
    assert_eq!(run.jobs.last().map(|job| job.losses), Some(0));
    for delivery in 1..DELIVERIES_LOST {
        run.feed(lost(1, 3 * DELIVERIES_LOST + delivery, true)).unwrap();
    }
    assert_eq!(run.jobs.last().map(|job| job.losses), Some(DELIVERIES_LOST - 1));
    run.feed(reported(1, 4 * DELIVERIES_LOST)).unwrap();
    assert_eq!(run.output(), "9");
}

#[test]
fn what_was_given_up_can_be_caught_and_counts_anew_for_the_next_visit() {
    let body = "
do:
  - t:
      try: [{a: {call: work}}]
      catch: {errors: {with: {status: 500}}, do: [{b: {set: {why: '${ $error.detail }'}}}]}
  - c: {call: work}";
    let mut run = silent(body);
    take_down(&mut run, 2, 1);
    run.settle();
    assert_eq!(run.order(), "t a b c");
    assert_eq!(run.jobs.last().map(|job| (job.delivery, job.losses)), Some((1, 0)));
    assert!(run.jobs.last().is_some_and(|job| job.raw.to_json().contains("workers ended")));
}

#[test]
fn an_evaluation_is_sent_again_and_given_up_like_a_task() {
    let body = "use: {secrets: [key]}
do: [{f: {for: {each: x, in: '[1, 2]'}, do: [{y: {set: {n: 1}}}], output: {as: '[$x, $secrets.key]'}}}]";
    let mut run = Run::of(body).secrets("{\"key\": 7}");
    run.hold();
    run.begin();
    run.feed(lost(1, 1, false)).unwrap();
    run.feed(lost(1, 2, true)).unwrap();
    let [first, .., last] = run.jobs.as_slice() else { panic!("{:?}", run.jobs) };
    assert_eq!((last.delivery, last.losses), (3, 1));
    assert_eq!(last.work, Work::Evaluate(Field::OutputAs));
    assert_eq!((&first.raw, &first.variables), (&last.raw, &last.variables));
    assert_eq!(run.feed(reported(1, 2)), Err(Rejection::Stale));
    for delivery in 3..2 + DELIVERIES_LOST {
        run.feed(lost(1, delivery, true)).unwrap();
    }
    assert_eq!((run.problem().status, run.problem().instance.as_deref()), (500, Some("/do/0/f")));
}

#[test]
fn while_suspended_a_running_task_is_sent_again_and_its_failure_waits() {
    let body = "do: [{t: {try: [{a: {call: work}}], catch: {do: [{b: {call: work}}]}}}]";
    let mut run = silent(body);
    run.feed(Input::Suspend).unwrap();
    take_down(&mut run, 2, 1);
    assert_eq!(run.jobs.len(), DELIVERIES_LOST as usize, "it was running when that began");
    assert_eq!((run.state.status(), run.order().as_str()), (Status::Suspended, "t a"));
    run.feed(Input::Resume).unwrap();
    assert_eq!(run.order(), "t a b");
}

#[test]
fn losses_are_known_after_a_crash_and_the_delivery_stays_the_same() {
    let mut run = silent("do: [{a: {call: work}}]");
    run.feed(lost(1, 1, true)).unwrap();
    let facts = run.facts.len();
    run.crash();
    run.crash();
    assert_eq!(run.facts.len(), facts, "nothing new has happened");
    let sent: Vec<_> =
        run.jobs.iter().map(|job| (job.delivery, job.losses, job.recovered)).collect();
    assert_eq!(sent, [(1, 0, false), (2, 1, false), (2, 1, true), (2, 1, true)]);
    run.feed(reported(1, 2)).unwrap();
    assert_eq!(run.output(), "9", "a worker that held it all the while");
}

#[test]
fn the_priority_goes_with_the_instance() {
    let run = Run::of("do: [{a: {call: work}}]");
    let origin = Origin { priority: 8, ..Origin::default() };
    let (mut state, decision) = create(&run.plan, run.state.id, run.at, Value::Null, origin);
    let mut entry = Vec::new();
    encode(&Journaled { at: run.at, facts: decision.facts }, &mut entry).unwrap();
    let mut folded = Instance::not_started(run.state.id);
    for turn in decode(&entry).unwrap() {
        turn.facts.iter().for_each(|fact| folded.evolve(turn.at, fact));
    }
    assert_eq!((state.priority, folded.priority), (8, 8));
    let sent = recover(&run.plan, &mut folded, run.at).effects;
    let [Effect::Dispatch { delivery: 1, recovered: true, .. }] = sent.as_slice() else {
        panic!("{sent:?}")
    };
    let lost = decide(&run.plan, &mut state, run.at, lost(1, 1, true)).unwrap().effects;
    assert!(matches!(
        lost.as_slice(),
        [Effect::Dispatch { delivery: 2, losses: 1, recovered: false, .. }]
    ));
}
