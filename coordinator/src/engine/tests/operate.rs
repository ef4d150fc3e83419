//! Cancel, suspend, resume, crashes, late and repeated answers (§1.13, §1.20).

use std::sync::Arc;

use windlass_proto::id::FrameId;
use windlass_proto::problem::Standard;
use windlass_proto::value::Value;

use super::driver::{Answer, Run, problem};
use crate::engine::{
    Effect, Ending, Fact, Input, Origin, Rejection, Requested, Requester, create, decide,
};
use crate::status::Status;

fn cancel() -> Input {
    Input::Cancel { reason: Some("enough".into()) }
}

#[test]
fn cancelling_ends_everything() {
    let body = "
timeout: {after: PT1H}
do:
  - f:
      fork:
        branches:
          - a: {call: slow}
          - b: {wait: PT1M}
          - c: {listen: {to: {any: []}}}
          - d: {try: [{e: {raise: {error: {type: runtime, status: 500}}}}], catch: {retry: {delay: PT1M}}}";
    let mut run = Run::of(body).script(|_| Answer::Never);
    run.begin();
    run.feed(cancel()).unwrap();
    assert_eq!(run.state.ending, Some(Ending::Cancelled(Some("enough".into()))));
    assert_eq!(run.cancelled.len(), 1);
    for input in [cancel(), Input::Suspend, Input::Resume, Input::Continue] {
        assert_eq!(run.feed(input), Err(Rejection::Ended));
    }
}

#[test]
fn the_facts_say_who_asked() {
    let mut run = Run::of("do: [{a: {wait: PT1H}}]");
    run.begin();
    let actor = Some(["idp".into(), "ada".into(), "jwt".into()]);
    let by = Arc::new(Requester { actor, reason: Some("too early".into()) });
    let ask = |input: Input| input.requested(Some(by.clone()));
    // What is refused leaves nothing.
    assert_eq!(run.feed(ask(Input::Resume)), Err(Rejection::WrongStatus));
    for input in [Input::Suspend, Input::Resume, cancel()] {
        run.feed(ask(input)).unwrap();
    }
    let asked = run.facts.iter().filter_map(|it| match it {
        Fact::Requested { action, by } => Some((*action, by.clone())),
        _ => None,
    });
    let asked: Vec<_> = asked.collect();
    let all = [Requested::Suspend, Requested::Resume, Requested::Cancel];
    assert_eq!(asked, all.map(|it| (it, by.clone())));
}

#[test]
fn nothing_catches_a_cancellation() {
    let mut run =
        Run::of("do: [{t: {try: [{a: {wait: PT1H}}], catch: {do: [{b: {wait: PT1H}}]}}}]");
    run.begin();
    run.feed(cancel()).unwrap();
    assert_eq!(run.state.status(), Status::Cancelled);
}

#[test]
fn while_suspended_running_tasks_finish_and_nothing_new_begins() {
    let body = "do: [{a: {call: one}}, {b: {call: two}}]";
    let mut run = Run::of(body).script(|job| match &*job.name {
        "a" => Answer::After(1_000, Box::new(Answer::Give(Value::Int(1)))),
        _ => Answer::Give(Value::Int(2)),
    });
    run.begin();
    run.feed(Input::Suspend).unwrap();
    assert_eq!(run.state.status(), Status::Suspended);
    assert_eq!(run.feed(Input::Suspend), Err(Rejection::WrongStatus));
    run.wait(60_000);
    assert_eq!(run.jobs.len(), 1);
    assert_eq!(run.count(|fact| matches!(fact, Fact::TaskCompleted { .. })), 1);
    assert_eq!(run.feed(Input::Continue), Err(Rejection::Stale));
    run.crash();
    assert_eq!(run.state.status(), Status::Suspended, "a restart does not resume it");
    run.feed(Input::Resume).unwrap();
    assert_eq!(run.feed(Input::Resume), Err(Rejection::WrongStatus));
    run.settle();
    assert_eq!(run.output(), "2");
}

#[test]
fn timers_keep_counting_while_suspended_and_fire_on_resume() {
    let mut run = Run::of("do: [{a: {wait: PT10S}}, {b: {set: {n: 1}}}]");
    run.begin();
    run.feed(Input::Suspend).unwrap();
    run.wait(60_000);
    assert_eq!(run.feed(Input::TimerFired { timer: 0 }), Err(Rejection::Stale), "deferred already");
    run.crash();
    run.feed(Input::Resume).unwrap();
    run.settle();
    assert_eq!((run.output().as_str(), run.elapsed()), (r#"{"n":1}"#, 60_000));
}

#[test]
fn a_timeout_that_comes_due_while_suspended_is_taken_up_on_resume() {
    let mut run = Run::of("timeout: {after: PT10S}\ndo: [{a: {wait: PT1H}}]");
    run.begin();
    run.feed(Input::Suspend).unwrap();
    run.wait(20_000);
    assert!(run.state.ending.is_none());
    run.feed(Input::Resume).unwrap();
    assert_eq!(run.problem().status, 408);
}

#[test]
fn what_is_left_of_a_turn_waits_for_resume() {
    let body =
        "do: [{a: {set: {n: '${ .n + 1 }'}}}, {b: {switch: [{c: {when: .n < 1500, then: a}}]}}]";
    let mut run = Run::of(body).input("{\"n\": 0}");
    run.begin();
    run.feed(Input::Suspend).unwrap();
    run.settle();
    assert!(run.state.ending.is_none());
    run.feed(Input::Resume).unwrap();
    run.settle();
    assert_eq!(run.output(), r#"{"n":1500}"#);
}

#[test]
fn events_are_kept_while_suspended() {
    let mut run = Run::of(
        "do: [{l: {listen: {to: {one: {with: {type: a}}}}, foreach: {do: [{w: {call: work}}]}}}]",
    );
    run.begin();
    run.feed(Input::Suspend).unwrap();
    run.event_of("a", "1").unwrap();
    assert!(run.jobs.is_empty());
    run.feed(Input::Resume).unwrap();
    run.settle();
    assert_eq!(run.output(), "[1]");
}

#[test]
fn cancelling_works_while_suspended() {
    let mut run = Run::of("do: [{a: {wait: PT1H}}]");
    run.begin();
    run.feed(Input::Suspend).unwrap();
    run.feed(cancel()).unwrap();
    assert_eq!(run.state.status(), Status::Cancelled);
}

fn reported(frame: u32, delivery: u32) -> Input {
    let (result, secrets) = (Ok(Value::Int(9)), Vec::new());
    Input::Reported { frame: FrameId(frame), delivery, result, secrets, retry_after_ms: None }
}

#[test]
fn only_the_live_delivery_is_heard() {
    let mut run = Run::of("do: [{a: {call: slow}}, {b: {call: slow}}]").script(|_| Answer::Never);
    run.begin();
    for (frame, delivery) in [(0, 1), (1, 0), (1, 2), (2, 1), (u32::MAX, u32::MAX)] {
        assert_eq!(
            run.feed(reported(frame, delivery)),
            Err(Rejection::Stale),
            "{frame}/{delivery}"
        );
    }
    run.crash();
    let again = &run.jobs[1];
    assert_eq!((again.delivery, again.recovered), (1, true), "the one before the crash stays live");
    run.feed(reported(1, 1)).unwrap();
    assert_eq!(run.feed(reported(1, 1)), Err(Rejection::Stale), "a repeat");
    assert!(run.state.ending.is_none());
}

#[test]
fn answers_to_nothing_are_stale() {
    let mut run = Run::of("do: [{a: {wait: PT1H}}]");
    run.begin();
    let frame = FrameId(1);
    for input in [
        Input::Published { frame, result: Ok(()) },
        Input::ChildAccepted { frame },
        Input::ChildEnded { frame, outcome: crate::engine::ChildOutcome::Completed(Value::Null) },
        Input::TimerFired { timer: 7 },
        Input::Continue,
    ] {
        assert_eq!(run.feed(input), Err(Rejection::Stale));
    }
    assert_eq!(
        run.feed(Input::TimerFired { timer: 0 }),
        Err(Rejection::Stale),
        "it is not due yet"
    );
    assert_eq!(run.event_of("a", "1"), Err(Rejection::NotWaited));
}

#[test]
fn a_crash_at_any_moment_changes_nothing() {
    let body = "
use: {secrets: [key]}
do:
  - a: {set: {n: 1}, export: {as: '{x: null}'}}
  - f:
      fork:
        branches:
          - b: {for: {in: '[1, 2]'}, do: [{c: {call: work, with: '${ $item }', output: {as: '. + $index'}}}]}
          - d: {wait: PT1S, output: {as: 'null'}}
          - e: {emit: {event: {with: {type: t}}}, output: {as: .type}}
          - g: {if: '$secrets.key == 1', set: {k: 1}}
  - h: {try: [{i: {call: flaky}}], catch: {retry: {delay: PT1S, limit: {attempt: {count: 2}}}, do: [{j: {set: '${ $error.status }'}}]}}
output: {as: '[., $context]'}";
    let new = || {
        Run::of(body).secrets("{\"key\": 1}").script(|job| match &*job.name {
            "i" => Answer::Fail(problem(Standard::Communication, 503)),
            _ => Answer::Echo,
        })
    };
    let calm = new().go();
    assert_eq!(calm.output(), "[503,{\"x\":null}]");
    // An event takes two steps: it is offered, then reported as handed over.
    for every in 2..8 {
        let mut run = new();
        run.begin();
        let mut steps = 0;
        while run.state.ending.is_none() {
            steps += 1;
            assert!(steps < 1_000);
            if steps % every == 0 {
                run.crash();
            }
            run.nudge();
        }
        assert_eq!(run.output(), calm.output(), "a crash every {every} steps");
        assert_eq!(run.order(), calm.order());
    }
}

#[test]
fn a_result_and_its_effects_are_a_function_of_what_came_in() {
    let run = Run::of("do: [{a: {call: work}}]");
    let id = run.state.id;
    let origin = || Origin { labels: vec![("k".into(), "v".into())], ..Origin::default() };
    let new = || create(&run.plan, id, run.at, Value::Int(1), origin());
    let ((mut state, first), (_, second)) = (new(), new());
    assert_eq!(first, second);
    assert_eq!(state.labels.len(), 1);
    assert!(matches!(first.effects.as_slice(), [Effect::Dispatch { delivery: 1, .. }]));
    let done = decide(&run.plan, &mut state, run.at, reported(1, 1)).unwrap();
    assert!(matches!(done.effects.as_slice(), [Effect::Ended(Ending::Completed(Value::Int(9)))]));
}
