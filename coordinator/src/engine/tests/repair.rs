//! Tasks that have failed begin again: in an instance that goes on for the one which faulted, or in
//! their own where the definition asks to suspend.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use windlass_proto::id::FrameId;
use windlass_proto::problem::Standard;
use windlass_proto::value::Value;

use super::driver::{Answer, Run, definition, plan, problem};
use super::json;
use crate::engine::fact::TimerPurpose;
use crate::engine::{
    ChildOutcome, Ending, Fact, Input, Instance, Journaled, Rejection, Step, Unrepairable, faulted,
    replay,
};
use crate::status::Status;

/// Workers that fail the calls of these numbers, counted from 0, and echo all others.
fn failing(numbers: &[usize]) -> impl FnMut(&super::worker::Job) -> Answer + use<> {
    let numbers: BTreeSet<usize> = numbers.iter().copied().collect();
    let mut count = 0;
    move |_| {
        count += 1;
        match numbers.contains(&(count - 1)) {
            true => Answer::Fail(problem(Standard::Communication, 503)),
            false => Answer::Echo,
        }
    }
}

fn suspending(body: &str) -> Run {
    let text = definition(body).replacen(
        "version: '1.0.0'",
        "version: '1.0.0', metadata: {windlass: {onFault: suspend}}",
        1,
    );
    Run::planned(plan(&text))
}

/// Workflows with calls in all places there are.
pub(super) const CALLS: [&str; 9] = [
    "do: [{a: {call: f, with: {n: 1}}}, {b: {call: f, with: {n: '${ .n + 1 }'}}}, {c: {call: f}}]",
    "do: [{a: {do: [{b: {call: f, with: '${ 1 }'}}, {c: {call: f, with: '${ . + 1 }'}}]}}, {d: {call: f}}]",
    "do: [{l: {for: {in: '[1, 2, 3]'}, do: [{a: {call: f, with: '${ $item }', export: {as: '$context + {(\"k\\($item)\"): .}'}}}, {b: {call: f}}]}}]\noutput: {as: '[., $context]'}",
    "do: [{f: {fork: {branches: [{a: {do: [{b: {call: f, with: '${ 1 }'}}, {c: {call: f, with: '${ 2 }'}}]}}, {d: {call: f, with: '${ 3 }'}}, {e: {do: [{g: {set: '${ 5 }'}}, {h: {call: f}}]}}]}}}, {i: {call: f}}]",
    "do: [{t: {try: [{a: {call: f, with: '${ 1 }'}}, {b: {call: f, with: '${ 2 }'}}], catch: {errors: {with: {status: 404}}, do: [{c: {set: '${ 9 }'}}]}}}, {d: {call: f}}]",
    "use: {functions: {g: {do: [{a: {call: f, with: {n: '${ .n }'}}}, {b: {call: f}}]}}}\ndo: [{c: {call: g, with: {n: 4}}}, {d: {call: f}}]",
    "use: {extensions: [{x: {extend: call, before: [{xb: {set: '${ 1 }'}}], after: [{xa: {set: '${ 2 }'}}]}}]}\ndo: [{a: {call: f, with: '${ 1 }'}}, {b: {if: '. == 1', call: f}}]",
    "do: [{s: {set: {n: '${ (.n? // 0) + 1 }'}}}, {a: {call: f, then: w}}, {z: {set: '${ 0 }'}}, {w: {switch: [{m: {when: .n < 3, then: s}}]}}]",
    "do: [{a: {emit: {event: {with: {type: t, id: '1', source: /s, time: '2026-01-01T00:00:00Z'}}}}}, {b: {wait: PT5S}}, {c: {call: f, timeout: {after: PT10S}}}, {d: {call: f, output: {as: .type}}}]",
];

/// What was done: completed visits, by place and number.
fn completed(facts: &[Fact], run: &Run) -> BTreeSet<(Arc<str>, u64)> {
    let mut state = Instance::not_started(run.state.id);
    let mut done = BTreeSet::new();
    for fact in facts {
        if let Fact::TaskCompleted { frame, .. } = fact {
            let visit = state.frames[frame].visit;
            done.insert((crate::view::reference(&run.plan, &state, *frame), visit));
        }
        state.evolve(super::driver::START, fact);
    }
    done
}

#[test]
fn a_fault_at_any_call_and_a_retry_come_to_the_same_as_no_fault() {
    for body in CALLS {
        let calm = Run::of(body).go();
        let calls = calm.jobs.len();
        assert!(calls > 1, "{body}");
        for number in 0..calls {
            let mut run = Run::of(body).script(failing(&[number])).go();
            assert_eq!(run.problem().status, 503, "{body}");
            let (before, first) = (run.facts.clone(), run.state.id);
            let sent = run.jobs.len();
            let done = completed(&before, &run);
            run.at = run.at.plus(3_600_000);
            run.retry().unwrap();
            assert_eq!(run.state.repair.predecessor, Some(first));
            run.settle();
            assert_eq!(run.output(), calm.output(), "{body}, call {number}");
            for job in &run.jobs[sent..] {
                let place = (job.reference.clone(), job.visit);
                assert!(!done.contains(&place), "{} is done again: {body}", job.reference);
                assert!(!job.recovered, "nobody has had it: {body}");
            }
            let published: BTreeSet<_> =
                run.published.iter().map(|it| it.id().to_owned()).collect();
            assert_eq!(published.len(), calm.published.len(), "{body}");
        }
    }
}

#[test]
fn a_retry_can_fail_and_be_retried_and_crash() {
    for body in CALLS {
        let calm = Run::of(body).go();
        let mut run = Run::of(body).script(failing(&[0, 1, 3])).go();
        for _ in 0..4 {
            if !matches!(run.state.ending, Some(Ending::Faulted(_))) {
                break;
            }
            run.retry().unwrap();
            run.crash();
            run.settle();
        }
        assert_eq!(run.output(), calm.output(), "{body}");
    }
}

#[test]
fn a_suspended_fault_at_any_call_is_tried_again_by_resume() {
    for body in CALLS {
        let calm = Run::of(body).go();
        for number in 0..calm.jobs.len() {
            let mut run = suspending(body).script(failing(&[number])).go();
            assert_eq!(run.state.status(), Status::Suspended, "{body}");
            let halt = run.state.repair.halted.values().next().unwrap();
            assert_eq!(halt.problem.status, 503);
            run.crash();
            run.wait(3_600_000);
            run.feed(Input::Resume).unwrap();
            run.settle();
            assert_eq!(run.output(), calm.output(), "{body}, call {number}");
            assert_eq!(run.count(|it| matches!(it, Fact::TaskFaulted { .. })), 0);
        }
    }
}

#[test]
fn what_a_try_catches_suspends_nothing() {
    let caught = "do: [{t: {try: [{a: {call: f}}], catch: {do: [{b: {set: '${ 1 }'}}]}}}]";
    assert_eq!(suspending(caught).script(failing(&[0])).go().output(), "1");
    let retried = "do: [{t: {try: [{a: {call: f, with: '${ 7 }'}}], catch: {retry: {delay: PT1S, limit: {attempt: {count: 2}}}}}}]";
    assert_eq!(suspending(retried).script(failing(&[0, 1])).go().output(), "7");
    let mut run = suspending(retried).script(failing(&[0, 1, 2, 3, 4])).go();
    assert_eq!((run.state.status(), run.jobs.len()), (Status::Suspended, 3));
    run.feed(Input::Resume).unwrap();
    run.settle();
    assert_eq!((run.output().as_str(), run.jobs.len()), ("7", 6), "it has all its attempts again");
}

#[test]
fn a_race_is_lost_only_when_all_have_failed() {
    let body = "do: [{r: {fork: {compete: true, branches: [{a: {call: f, with: '${ 1 }'}}, {b: {call: f, with: '${ 2 }'}}]}}}]";
    assert_eq!(suspending(body).script(failing(&[0])).go().output(), "2");
    let mut run = suspending(body).script(failing(&[0, 1])).go();
    assert_eq!(run.state.status(), Status::Suspended);
    run.feed(Input::Resume).unwrap();
    run.settle();
    assert_eq!(run.output(), "2");
    let mut run = Run::of(body).script(failing(&[0, 1])).go();
    run.retry().unwrap();
    run.settle();
    assert_eq!(run.output(), "2");
}

#[test]
fn tasks_say_for_themselves_and_for_what_is_inside() {
    let body = "do: [{a: {do: [{b: {call: f}}, {c: {call: f, metadata: {windlass: {onFault: fault}}}}], metadata: {windlass: {onFault: suspend}}}}]";
    assert_eq!(Run::of(body).script(failing(&[0])).go().state.status(), Status::Suspended);
    assert_eq!(Run::of(body).script(failing(&[1])).go().state.status(), Status::Faulted);
}

#[test]
fn branches_may_fail_one_after_the_other_and_all_begin_again() {
    let body = "do: [{f: {fork: {branches: [{a: {call: f, with: '${ 1 }'}}, {b: {call: f, with: '${ 2 }'}}, {c: {call: f, with: '${ 3 }'}}]}}}]";
    let mut run = suspending(body).script(failing(&[0, 2])).go();
    assert_eq!(run.state.repair.halted.len(), 2);
    assert_eq!(run.state.outstanding, 0, "what runs may end");
    run.feed(Input::Resume).unwrap();
    run.settle();
    assert_eq!((run.output().as_str(), run.jobs.len()), ("[1,2,3]", 5));
}

#[test]
fn a_suspended_fault_can_be_skipped_or_cancelled() {
    let body = "do: [{a: {call: f, export: {as: '{given: .}'}}}, {b: {set: '${ [., $context] }'}}]";
    let new = || suspending(body).script(failing(&[0])).go();
    let mut run = new();
    let skip = |output: &str| Input::Skip { frame: FrameId(1), output: json(output) };
    run.feed(skip("{\"paid\": 1}")).unwrap();
    run.settle();
    assert_eq!(run.output(), r#"[{"paid":1},{"given":{"paid":1}}]"#);
    assert_eq!(run.feed(skip("1")), Err(Rejection::Ended));
    let mut run = new();
    run.feed(Input::Cancel { reason: None }).unwrap();
    assert_eq!(run.state.status(), Status::Cancelled);
    assert!(run.state.repair.halted.is_empty());
}

/// Two branches at workers below a list, with more behind it.
const BRANCHES: &str = "{f: {fork: {branches: [{a: {call: f, with: '${ 1 }'}}, {b: {call: f, with: '${ 2 }'}}, {c: {do: [{s: {set: '${ 3 }'}}, {w: {wait: PT1S}}]}}]}}}";

#[test]
fn a_skip_around_all_that_failed_goes_on() {
    let body = format!("do: [{{o: {{do: [{BRANCHES}]}}}}, {{d: {{set: {{x: '${{ . }}'}}}}}}]");
    let mut run = suspending(&body).script(failing(&[0, 1])).go();
    assert_eq!(run.state.repair.halted.len(), 2);
    run.crash();
    run.feed(Input::Skip { frame: FrameId(1), output: Value::Int(7) }).unwrap();
    run.settle();
    assert_eq!(run.output(), r#"{"x":7}"#);
    assert_eq!(run.count(|it| matches!(it, Fact::Resumed)), 1);
}

#[test]
fn a_skip_of_some_leaves_the_others() {
    let body = format!("do: [{BRANCHES}]");
    let mut run = suspending(&body).script(failing(&[0, 1])).go();
    for frame in run.state.repair.halted.clone().into_keys() {
        assert_eq!(run.state.status(), Status::Suspended);
        run.feed(Input::Skip { frame, output: Value::Int(7) }).unwrap();
    }
    run.settle();
    assert_eq!(run.output(), "[7,7,3]");
}

/// The first fails at once, the second after a while with another error, which is caught.
fn one_caught(catch: &str) -> Run {
    let body = format!(
        "timeout: {{after: PT1M}}\ndo: [{{t: {{try: [{BRANCHES}], catch: {{errors: {{with: {{status: 404}}}}, {catch}}}}}}}]"
    );
    let mut count = 0;
    suspending(&body).script(move |_| {
        count += 1;
        match count {
            1 => Answer::Fail(problem(Standard::Communication, 503)),
            2 => {
                let other = Answer::Fail(problem(Standard::Communication, 404));
                Answer::After(3_600_000, Box::new(other))
            }
            _ => Answer::Echo,
        }
    })
}

#[test]
fn an_error_that_is_caught_around_what_failed_goes_on() {
    let retried = "retry: {delay: PT1S, limit: {attempt: {count: 1, duration: PT30S}}}";
    let at_once = "retry: {limit: {attempt: {count: 1, duration: PT30S}}}";
    for (catch, output) in
        [("do: [{g: {set: '${ 9 }'}}]", "9"), (retried, "[1,2,3]"), (at_once, "[1,2,3]")]
    {
        let mut run = one_caught(catch);
        run.begin();
        run.wait(3_500_000);
        assert_eq!(run.state.status(), Status::Suspended);
        run.settle();
        assert_eq!(run.output(), output, "{catch}: the timeout does not count the hour");
        assert!(run.state.repair.incident.is_none());
    }
}

#[test]
fn the_time_limit_of_an_attempt_counts_from_its_beginning() {
    let mut run = one_caught("retry: {limit: {attempt: {count: 1, duration: PT30S}}}");
    run.begin();
    run.wait(3_600_000);
    assert!(!run.state.suspended);
    let (timers, at) = (&run.state.timers, run.at);
    let due = timers.values().find(|it| it.purpose == TimerPurpose::Attempt).unwrap().due;
    assert_eq!(due, at.plus(30_000));
}

#[test]
fn what_an_operator_has_suspended_stays_so() {
    let mut run = one_caught("do: [{g: {set: '${ 9 }'}}]");
    run.begin();
    run.feed(Input::Suspend).unwrap();
    run.settle();
    assert_eq!(run.state.status(), Status::Suspended, "nobody has resumed it");
    assert!(run.state.repair.halted.is_empty());
    run.feed(Input::Resume).unwrap();
    run.settle();
    assert_eq!(run.output(), "9");
}

/// Timeouts leave out the time since the first one failed, whichever is skipped first.
#[test]
fn the_first_failure_counts_also_when_it_is_skipped() {
    let body = format!("timeout: {{after: PT1M}}\ndo: [{BRANCHES}]");
    let mut count = 0;
    let mut run = suspending(&body).script(move |_| {
        count += 1;
        let fails = || Answer::Fail(problem(Standard::Communication, 503));
        match count {
            1 => fails(),
            2 => Answer::After(3_600_000, Box::new(fails())),
            _ => Answer::After(1_000, Box::new(Answer::Echo)),
        }
    });
    run.begin();
    run.wait(3_600_000);
    let first = *run.state.repair.halted.keys().next().unwrap();
    run.feed(Input::Skip { frame: first, output: Value::Int(7) }).unwrap();
    run.crash();
    run.wait(60_000);
    run.feed(Input::Resume).unwrap();
    run.settle();
    assert_eq!(run.output(), "[7,2,3]");
}

#[test]
fn what_runs_can_be_skipped_as_well() {
    let body = "do: [{a: {wait: PT1H}}, {b: {call: f}}, {c: {listen: {to: {one: {with: {type: t}}}}}}, {d: {run: {workflow: {namespace: n, name: w, version: 1.0.0}}}}]";
    let mut run = Run::of(body).script(|_| Answer::Never).child(|_, _| None);
    run.begin();
    for frame in 1..=4 {
        assert_eq!(
            run.feed(Input::Skip { frame: FrameId(9), output: Value::Null }),
            Err(Rejection::Stale)
        );
        assert_eq!(
            run.feed(Input::Skip { frame: FrameId(0), output: Value::Null }),
            Err(Rejection::Stale),
            "the workflow is no task"
        );
        run.feed(Input::Skip { frame: FrameId(frame), output: Value::Int(frame.into()) }).unwrap();
    }
    assert_eq!(run.output(), "4");
    assert_eq!((run.cancelled.len(), run.cancelled_children.len()), (1, 1), "nobody works on");
}

#[test]
fn timeouts_do_not_count_the_time_that_nobody_looked() {
    let body = "timeout: {after: PT1M}\ndo: [{a: {do: [{w: {wait: PT5S}}, {b: {call: f}}, {v: {wait: PT5S}}], timeout: {after: PT12S}}}]";
    let mut run = Run::of(body).script(failing(&[0])).go();
    run.at = run.at.plus(3_600_000);
    run.retry().unwrap();
    run.settle();
    assert!(matches!(run.state.ending, Some(Ending::Completed(_))), "{:?}", run.state.ending);
    let mut run = suspending(body).script(failing(&[0])).go();
    run.wait(3_600_000);
    run.feed(Input::Resume).unwrap();
    run.settle();
    assert!(matches!(run.state.ending, Some(Ending::Completed(_))), "{:?}", run.state.ending);
}

#[test]
fn a_child_that_was_waited_for_is_started_anew() {
    let body = "do: [{f: {fork: {branches: [{c: {run: {workflow: {namespace: n, name: w, version: 1.0.0}}}}, {b: {call: f}}]}}}]";
    let started = Rc::new(RefCell::new(0));
    let count = started.clone();
    let mut run = Run::of(body).script(failing(&[0])).child(move |_, _| {
        *count.borrow_mut() += 1;
        (*count.borrow() > 1).then(|| ChildOutcome::Completed(Value::Int(7)))
    });
    run.begin();
    run.settle();
    let child = |run: &Run| {
        run.facts.iter().rev().find_map(|it| match it {
            Fact::ChildStarted { child, .. } => Some(*child),
            _ => None,
        })
    };
    let before = child(&run).unwrap();
    run.retry().unwrap();
    assert_ne!(child(&run).unwrap(), before, "its own");
    run.settle();
    assert_eq!((run.output().as_str(), *started.borrow()), ("[7,{}]", 2));
    assert_eq!(run.parents[1].instance, run.state.id);
}

#[test]
fn a_child_that_goes_on_alone_has_no_parent() {
    let parent = crate::engine::Parent {
        instance: windlass_proto::id::InstanceId(uuid::Uuid::nil()),
        frame: FrameId(3),
        waits: true,
        depth: 1,
        root: None,
        generation: 1,
        handles: false,
    };
    let mut run = Run::of("do: [{a: {call: f}}]").parent(parent).script(failing(&[0])).go();
    assert_eq!(run.notified.len(), 1);
    run.retry().unwrap();
    run.settle();
    assert_eq!(run.notified.len(), 1, "whoever waited has been told");
}

#[test]
fn only_a_task_that_failed_can_be_tried_again() {
    let mut run = Run::of("do: [{a: {set: '${ 1 }'}}]\noutput: {as: '${ .x }'}").go();
    assert_eq!(run.retry(), Err(Unrepairable::NoTask));
    let mut run = Run::of("timeout: {after: PT1S}\ndo: [{a: {wait: PT1H}}]").go();
    assert_eq!(run.retry(), Err(Unrepairable::NoTask));
    let mut run = Run::of("do: [{a: {set: '${ 1 }'}}]").go();
    assert_eq!(run.retry(), Err(Unrepairable::NotFaulted));
}

/// Facts of a version that did not keep what else was to be done when an instance faulted.
#[test]
fn older_facts_are_gone_on_with_where_they_say_enough() {
    let old = |body: &str| {
        let run = Run::of(body).go();
        let facts: Vec<Fact> =
            run.facts.iter().filter(|it| !matches!(it, Fact::Yielded(_))).cloned().collect();
        assert!(facts.len() < run.facts.len(), "{body}");
        let turns = vec![Journaled { at: run.at, facts }];
        let mut succession = faulted(run.state.id, turns).unwrap();
        replay(run.state.id, &mut succession).map(|_| succession.pending.unwrap())
    };
    let fork = "do: [{f: {fork: {branches: [{a: {raise: {error: {type: runtime, status: 500}}}}, {b: {set: '${ 1 }'}}]}}}]";
    let branch = Step::Branch { frame: FrameId(1), position: 1 };
    assert_eq!(old(fork), Ok(vec![branch]), "which branches have not begun can be seen");
    let list = "do: [{f: {fork: {branches: [{b: {do: [{c: {set: '${ 1 }'}}]}}, {a: {raise: {error: {type: runtime, status: 500}}}}]}}}]";
    assert_eq!(old(list), Err(Unrepairable::Incomplete));
}

#[test]
fn snapshots_keep_what_waits_for_an_operator() {
    let mut run = suspending("do: [{a: {call: f}}]").script(failing(&[0])).go();
    let before = run.state.repair.halted.clone();
    run.crash();
    let shown: BTreeMap<_, _> =
        run.state.repair.halted.iter().map(|(id, it)| (*id, it.problem.clone())).collect();
    assert_eq!(shown, before.into_iter().map(|(id, it)| (id, it.problem)).collect());
}
