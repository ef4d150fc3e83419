//! `timeout` (A7, §1.13).

use windlass_proto::value::Value;

use super::driver::{Answer, Run, START};
use super::{check, fails, gives};
use crate::engine::Ending;

#[test]
fn a_task_that_takes_too_long_fails() {
    check(&[
        fails(
            "a wait",
            "{}",
            "do: [{w: {wait: PT10S, timeout: {after: PT5S}}}]",
            ("timeout", 408, "/do/0/w"),
        ),
        fails(
            "by name",
            "{}",
            "use: {timeouts: {short: {after: {seconds: 5}}}}\ndo: [{w: {wait: PT10S, timeout: short}}]",
            ("timeout", 408, "/do/0/w"),
        ),
        fails(
            "by an expression on the raw input",
            "{\"most\": \"PT5S\"}",
            "do: [{w: {wait: PT10S, timeout: {after: '${ .most }'}}}]",
            ("timeout", 408, "/do/0/w"),
        ),
        fails(
            "an expression that gives no duration",
            "{\"most\": 5}",
            "do: [{w: {wait: PT10S, timeout: {after: '${ .most }'}}}]",
            ("expression", 400, "/do/0/w"),
        ),
        gives(
            "in time",
            "{}",
            "do: [{w: {wait: PT5S, timeout: {after: PT10S}}}, {x: {wait: PT1H}}]",
            "{}",
        ),
        fails(
            "a list as a whole, whatever its tasks",
            "{}",
            "do: [{d: {timeout: {after: PT5S}, do: [{a: {wait: PT3S}}, {b: {wait: PT3S}}]}}]",
            ("timeout", 408, "/do/0/d"),
        ),
        fails(
            "of nested ones the inner, if it is shorter",
            "{}",
            "do: [{d: {timeout: {after: PT9S}, do: [{a: {wait: PT30S, timeout: {after: PT3S}}}]}}]",
            ("timeout", 408, "/do/0/d/do/0/a"),
        ),
        fails(
            "of nested ones the outer, if it is shorter",
            "{}",
            "do: [{d: {timeout: {after: PT3S}, do: [{a: {wait: PT30S, timeout: {after: PT9S}}}]}}]",
            ("timeout", 408, "/do/0/d"),
        ),
        gives(
            "a task's timeout can be caught",
            "{}",
            "do:
  - t:
      try: [{w: {wait: PT10S, timeout: {after: PT5S}}}]
      catch: {errors: {with: {type: timeout, status: 408}}, do: [{c: {set: '${ $error.instance }'}}]}",
            "\"/do/0/t/try/0/w\"",
        ),
        fails(
            "the timeout of the `try` itself is outside of it (T5)",
            "{}",
            "do: [{t: {timeout: {after: PT5S}, try: [{w: {wait: PT10S}}], catch: {do: []}}}]",
            ("timeout", 408, "/do/0/t"),
        ),
        fails(
            "a timeout covers all attempts and their delays",
            "{}",
            "do:
  - t:
      timeout: {after: PT5S}
      try: [{r: {raise: {error: {type: runtime, status: 500}}}}]
      catch: {retry: {delay: PT2S}}",
            ("timeout", 408, "/do/0/t"),
        ),
        fails(
            "the workflow's cannot be caught, and its instance is the root (§1.13)",
            "{}",
            "timeout: {after: PT5S}
do: [{t: {try: [{w: {wait: PT10S}}], catch: {do: []}}}]",
            ("timeout", 408, "/"),
        ),
        gives(
            "the workflow in time",
            "{}",
            "timeout: {after: PT15S}\ndo: [{w: {wait: PT10S}}]",
            "{}",
        ),
    ]);
}

#[test]
fn workers_know_the_nearest_deadline_and_are_called_off() {
    let body = "
timeout: {after: PT1H}
do: [{d: {timeout: {after: PT10S}, do: [{p: {wait: PT2S}}, {a: {call: slow, timeout: {after: PT20S}}}, {b: {set: {n: 1}}}]}}]";
    let run = Run::of(body).script(|_| Answer::Never).go();
    let job = run.jobs.first().unwrap();
    assert_eq!(job.deadline, Some(START.plus(10_000)), "the nearest");
    assert_eq!(run.cancelled, [(job.frame, job.delivery)]);
    assert_eq!(run.elapsed(), 10_000);
    assert_eq!(run.problem().instance.as_deref(), Some("/do/0/d"));
}

#[test]
fn a_report_after_the_timeout_is_too_late() {
    let body = "do: [{t: {try: [{a: {call: slow, timeout: {after: PT5S}}}], catch: {do: [{c: {wait: PT1M}}]}}}]";
    let run =
        Run::of(body).script(|_| Answer::After(6_000, Box::new(Answer::Give(Value::Int(1))))).go();
    assert_eq!(run.output(), "{}");
    assert_eq!(run.elapsed(), 65_000);
}

#[test]
fn the_workflows_timeout_ends_all_that_runs() {
    let body = "
timeout: {after: PT5S}
do: [{f: {fork: {branches: [{a: {call: slow}}, {b: {listen: {to: {any: []}}}}, {c: {wait: PT1H}}]}}}]";
    let run = Run::of(body).script(|_| Answer::Never).go();
    assert!(matches!(&run.state.ending, Some(Ending::Faulted(problem)) if problem.status == 408));
    assert_eq!(run.cancelled.len(), 1);
}

#[test]
fn a_loop_is_ended_by_the_workflows_timeout_between_turns() {
    let body = "timeout: {after: PT5S}\ndo: [{a: {set: {n: 1}, then: a}}]";
    let mut run = Run::of(body);
    run.begin();
    assert!(!run.state.pending.is_empty());
    run.at = run.at.plus(5_000);
    run.feed(crate::engine::Input::TimerFired { timer: 0 }).unwrap();
    assert_eq!(run.problem().status, 408);
    assert_eq!(run.feed(crate::engine::Input::Continue), Err(crate::engine::Rejection::Ended));
}
