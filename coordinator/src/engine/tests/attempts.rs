//! Retries (T6, T9-T15).

use std::cell::Cell;
use std::rc::Rc;

use windlass_proto::problem::Standard;
use windlass_proto::value::Value;

use super::driver::{Answer, Run, problem};
use super::{check, fails, gives};
use crate::engine::Fact;

/// A worker that fails so many times with 503 before it answers.
fn flaky(failures: u32) -> impl FnMut(&super::worker::Job) -> Answer {
    let mut left = failures;
    move |_| {
        if left == 0 {
            return Answer::Give(Value::Int(42));
        }
        left -= 1;
        Answer::Fail(problem(Standard::Communication, 503))
    }
}

fn body(policy: &str) -> String {
    format!("do: [{{t: {{try: [{{w: {{call: work}}}}], catch: {{retry: {policy}}}}}}}]")
}

/// Runs a failing call under a policy: how many calls, and after how long each retry began.
fn delays(policy: &str, failures: u32) -> (usize, Vec<u64>, Run) {
    let run = Run::of(&body(policy)).script(flaky(failures)).go();
    let mut from = super::driver::START;
    let mut delays = Vec::new();
    for fact in &run.facts {
        if let Fact::RetryScheduled { due, .. } = fact {
            delays.push(due.since(from));
            from = *due;
        }
    }
    (run.jobs.len(), delays, run)
}

#[test]
fn a_delay_that_grows_without_end_is_no_longer_than_any_duration() {
    let most = windlass_proto::limits::LONGEST_DURATION_MS;
    for (policy, last) in [
        (
            "{delay: P1D, backoff: {exponential: {multiplier: 1000}}, limit: {attempt: {count: 3}}}",
            most,
        ),
        ("{delay: P50Y, backoff: {linear: {}}, limit: {attempt: {count: 3}}}", most),
        ("{delay: P90Y, jitter: {from: P20Y, to: P90Y}, limit: {attempt: {count: 3}}}", most),
        ("{backoff: {exponential: {multiplier: 1000}}, limit: {attempt: {count: 3}}}", 0),
    ] {
        let run = Run::of(&body(policy)).input("{}").script(flaky(3)).go();
        let dues = run.facts.iter().filter_map(|fact| match fact {
            Fact::RetryScheduled { due, .. } => Some(due.0),
            _ => None,
        });
        let mut before = super::driver::START.0;
        let mut delays = Vec::new();
        for due in dues {
            delays.push(due - before);
            before = due;
        }
        assert_eq!((delays.len(), delays.last()), (3, Some(&last)), "{policy}: {delays:?}");
    }
}

#[test]
fn delays_grow_as_the_backoff_says() {
    for (policy, expected) in [
        ("{limit: {attempt: {count: 3}}}", [0, 0, 0]),
        ("{delay: PT2S, limit: {attempt: {count: 3}}}", [2_000, 2_000, 2_000]),
        ("{delay: PT2S, backoff: {constant: {}}, limit: {attempt: {count: 3}}}", [2_000; 3]),
        (
            "{delay: PT2S, backoff: {linear: {}}, limit: {attempt: {count: 3}}}",
            [2_000, 4_000, 6_000],
        ),
        (
            "{delay: PT2S, backoff: {exponential: {}}, limit: {attempt: {count: 3}}}",
            [2_000, 4_000, 8_000],
        ),
        (
            "{delay: {seconds: 2}, backoff: {exponential: {multiplier: 3, maxDelay: PT10S}}, limit: {attempt: {count: 3}}}",
            [2_000, 6_000, 10_000],
        ),
        ("{delay: '${ .pause }', limit: {attempt: {count: 3}}}", [1_000, 1_000, 1_000]),
    ] {
        let run = Run::of(&body(policy)).input("{\"pause\": \"PT1S\"}").script(flaky(3)).go();
        let dues: Vec<u64> = run
            .facts
            .iter()
            .filter_map(|fact| match fact {
                Fact::RetryScheduled { due, .. } => Some(due.since(super::driver::START)),
                _ => None,
            })
            .collect();
        let mut total = 0;
        let sums: Vec<u64> = expected
            .iter()
            .map(|it| {
                total += it;
                total
            })
            .collect();
        assert_eq!(dues, sums, "{policy}");
        assert_eq!(run.output(), "42", "{policy}");
        assert_eq!(run.elapsed(), total, "{policy}");
    }
}

/// The delays before the retries of a call that is asked to wait so long each time.
fn held_back(policy: &str, wait: u64) -> (Vec<u64>, Run) {
    let mut left = 3;
    let busy = move |_: &super::worker::Job| {
        left -= 1;
        match left {
            0.. => Answer::Busy(problem(Standard::Communication, 429), wait),
            _ => Answer::Give(Value::Int(42)),
        }
    };
    let run = Run::of(&body(policy)).script(busy).go();
    let mut from = super::driver::START;
    let dues = run.facts.iter().filter_map(|fact| match fact {
        Fact::RetryScheduled { due, .. } => Some(*due),
        _ => None,
    });
    let delays = dues.map(|due| {
        let delay = due.since(from);
        from = due;
        delay
    });
    (delays.collect(), run)
}

#[test]
fn no_retry_begins_before_whoever_was_asked_wants_it() {
    let most = windlass_proto::limits::RETRY_AFTER_MOST_MS;
    for (policy, wait, expected) in [
        ("{limit: {attempt: {count: 3}}}", 5_000, [5_000; 3]),
        ("{delay: PT7S}", 5_000, [7_000; 3]),
        ("{delay: PT2S, backoff: {linear: {}}}", 5_000, [5_000, 5_000, 6_000]),
        // What the definition calls its longest is about its own delays.
        ("{delay: PT2S, backoff: {exponential: {maxDelay: PT3S}}}", 5_000, [5_000; 3]),
        ("{delay: PT1S}", 0, [1_000; 3]),
        ("{delay: PT1S}", u64::MAX, [most; 3]),
    ] {
        let (delays, run) = held_back(policy, wait);
        assert_eq!(delays, expected, "{policy}");
        assert_eq!(run.output(), "42", "{policy}");
    }
    // Many are told the same: they do not come back together.
    let (delays, _) = held_back("{jitter: {from: PT1S, to: PT3S}}", 5_000);
    assert!(delays.iter().all(|it| (6_000..=8_000).contains(it)), "{delays:?}");
    // What would be too late is not tried at all.
    let (delays, run) = held_back("{limit: {duration: PT12S}}", 5_000);
    assert_eq!((delays, run.problem_status()), (vec![5_000, 5_000], Some(429)));
}

#[test]
fn what_one_error_asks_for_holds_no_other_back() {
    // The inner clause catches the answer; the error of its tasks is another one.
    let body = "
do:
  - t:
      try:
        - i:
            try: [{w: {call: work}}]
            catch: {do: [{r: {raise: {error: {type: 'https://a/b', status: 500}}}}]}
      catch: {retry: {delay: PT1S, limit: {attempt: {count: 1}}}, do: [{o: {set: {n: 1}}}]}";
    let busy = |_: &super::worker::Job| Answer::Busy(problem(Standard::Communication, 503), 60_000);
    let run = Run::of(body).script(busy).go();
    assert_eq!((run.jobs.len(), run.elapsed()), (2, 1_000));
    // Through a `try` that does not catch it, it goes on as it is.
    let outer = "
do:
  - t:
      try: [{i: {try: [{w: {call: work}}], catch: {errors: {with: {status: 500}}}}}]
      catch: {retry: {delay: PT1S, limit: {attempt: {count: 1}}}, do: [{o: {set: {n: 1}}}]}";
    let run = Run::of(outer).script(busy).go();
    assert_eq!((run.jobs.len(), run.elapsed()), (2, 60_000));
}

#[test]
fn jitter_stays_within_its_bounds_and_differs() {
    let policy = "{delay: PT1S, jitter: {from: PT0.1S, to: PT0.5S}, limit: {attempt: {count: 40}}}";
    let (calls, delays, _) = delays(policy, 40);
    assert_eq!(calls, 41);
    assert!(delays.iter().all(|delay| (1_100..=1_500).contains(delay)), "{delays:?}");
    let different: std::collections::BTreeSet<_> = delays.iter().collect();
    assert!(different.len() > 20, "{delays:?}");
    let other = Run::of(&body(policy)).id(7).script(flaky(40)).go();
    let same = other.facts.iter().filter(|fact| {
        matches!(fact, Fact::RetryScheduled { due, .. } if due.since(super::driver::START) == delays[0])
    });
    assert!(same.count() == 0, "instances do not retry in step");
}

#[test]
fn the_count_is_of_retries() {
    // T13
    for (count, failures, calls, succeeds) in
        [(0, 1, 1, false), (1, 1, 2, true), (5, 5, 6, true), (5, 6, 6, false)]
    {
        let policy = format!("{{limit: {{attempt: {{count: {count}}}}}}}");
        let (sent, _, run) = delays(&policy, failures);
        assert_eq!(sent, calls, "{count} retries, {failures} failures");
        assert_eq!(run.problem_status(), if succeeds { None } else { Some(503) });
    }
    // Absent means no limit.
    let (sent, _, run) = delays("{delay: PT1S}", 200);
    assert_eq!((sent, run.problem_status()), (201, None));
}

impl Run {
    fn problem_status(&self) -> Option<u16> {
        match self.state.ending.as_ref().unwrap() {
            crate::engine::Ending::Faulted(problem) => Some(problem.status),
            _ => None,
        }
    }
}

#[test]
fn all_attempts_together_are_bounded_by_the_duration() {
    // T14: the retry that would begin after ten seconds is not made.
    let (calls, delays, run) = delays("{delay: PT3S, limit: {duration: PT10S}}", 99);
    assert_eq!((calls, delays.len()), (4, 3));
    assert_eq!(run.problem_status(), Some(503));
}

#[test]
fn one_attempt_is_bounded_by_its_duration() {
    // T14: an attempt that takes too long fails with a timeout and is retried.
    let body = body("{delay: PT1S, limit: {attempt: {count: 2, duration: PT5S}}}");
    let run =
        Run::of(&body).script(|_| Answer::After(7_000, Box::new(Answer::Give(Value::Int(1))))).go();
    assert_eq!(run.problem().status, 408);
    assert_eq!(run.problem().instance.as_deref(), Some("/do/0/t"));
    assert_eq!(run.elapsed(), 5_000 + 1_000 + 5_000 + 1_000 + 5_000);
    assert_eq!(run.jobs.len(), 3);
    assert_eq!(run.cancelled.len(), 3, "each late attempt is called off");
    for job in &run.jobs {
        assert!(job.deadline.is_some(), "the worker knows when it is over");
    }
}

#[test]
fn an_attempt_in_time_is_not_disturbed_by_its_limit() {
    let body = "do: [{t: {try: [{w: {call: work}}], catch: {retry: {limit: {attempt: {count: 2, duration: PT5S}}}}}}, \
                {z: {wait: PT1M}}]";
    let run = Run::of(body).script(|_| Answer::After(4_000, Box::new(Answer::Give(Value::Int(1)))));
    let run = run.go();
    assert_eq!((run.output().as_str(), run.elapsed()), ("1", 64_000));
}

#[test]
fn a_timer_of_the_attempt_does_not_leave_a_second_flow_behind() {
    // The instance yields inside of the `try`; the limit of the attempt fires before it goes on.
    let body = "
do:
  - t:
      try:
        - a: {set: {n: '${ .n + 1 }'}}
        - b: {switch: [{again: {when: .n < 1200, then: a}}]}
        - c: {call: work}
      catch: {retry: {limit: {attempt: {count: 1, duration: PT5S}}}}";
    let mut run = Run::of(body).input("{\"n\": 0}").script(|_| Answer::Give(Value::Int(1)));
    run.begin();
    assert_eq!(run.state.pending.len(), 1, "the turn's budget is spent");
    run.at = run.at.plus(5_000);
    run.feed(crate::engine::Input::TimerFired { timer: 0 }).unwrap();
    run.settle();
    assert_eq!(run.output(), "1");
    assert_eq!(run.jobs.len(), 1, "only the second attempt came so far");
}

#[test]
fn policies_choose_what_they_retry() {
    let calls = |policy: &str| {
        let run = Run::of(&body(policy)).script(flaky(1)).go();
        (run.jobs.len(), run.problem_status())
    };
    // T9: `.` and `$error` are the error.
    assert_eq!(calls("{when: .status == 503}"), (2, None));
    assert_eq!(calls("{when: '${ $error.status == 404 }'}"), (1, Some(503)));
    assert_eq!(calls("{exceptWhen: .status == 503}"), (1, Some(503)));
    assert_eq!(calls("{exceptWhen: .status == 404}"), (2, None));
}

#[test]
fn named_policies_see_the_error_whatever_the_clause_calls_it() {
    let body = "
use: {retries: {often: {when: $error.status == 503 and .status == 503, limit: {attempt: {count: 3}}}}}
do: [{t: {try: [{w: {call: work}}], catch: {as: e, retry: often}}}]";
    let run = Run::of(body).script(flaky(3)).go();
    assert_eq!((run.output().as_str(), run.jobs.len()), ("42", 4));
}

#[test]
fn what_follows_when_the_retries_are_spent() {
    // T6, T8
    check(&[
        gives(
            "the tasks of the clause",
            "{}",
            "do:
  - t:
      try: [{a: {raise: {error: {type: runtime, status: 500}}}}]
      catch: {retry: {limit: {attempt: {count: 2}}}, do: [{c: {set: '${ $error.status }'}}]}",
            "500",
        )
        .order("t a a a c"),
        gives(
            "its `then`",
            "{\"n\": 1}",
            "do:
  - t:
      try: [{a: {raise: {error: {type: runtime, status: 500}}}}]
      catch: {retry: {limit: {attempt: {count: 1}}}, then: c}
  - b: {set: {n: 2}}
  - c: {set: '${ .n }'}",
            "1",
        ),
        gives(
            "the tasks, where the policy does not want to retry",
            "{}",
            "do:
  - t:
      try: [{a: {raise: {error: {type: runtime, status: 500}}}}]
      catch: {retry: {when: .status == 503}, do: [{c: {set: {n: 1}}}]}",
            "{\"n\": 1}",
        )
        .order("t a c"),
        fails(
            "or the error again",
            "{}",
            "do:
  - t:
      try: [{a: {raise: {error: {type: runtime, status: 500}}}}]
      catch: {retry: {limit: {attempt: {count: 1}}}}",
            ("runtime", 500, "/do/0/t/try/0/a"),
        ),
        gives(
            "which an outer `try` may catch",
            "{}",
            "do:
  - o:
      try:
        - t:
            try: [{a: {raise: {error: {type: runtime, status: 500}}}}]
            catch: {retry: {limit: {attempt: {count: 1}}}}
      catch: {do: [{c: {set: '${ $error.instance }'}}]}",
            "\"/do/0/o/try/0/t/try/0/a\"",
        ),
    ]);
}

#[test]
fn each_attempt_begins_again_with_input_and_context_as_they_were() {
    // T15
    let body = "
do:
  - s: {set: {n: 1}, export: {as: '{kept: true}'}}
  - t:
      input: {from: '{n: .n}'}
      try:
        - a: {set: {n: '${ .n + 1 }'}, export: {as: '$context + {tries: (($context.tries // 0) + 1)}'}}
        - w: {call: work, with: {n: '${ .n }', context: '${ $context }'}}
      catch: {retry: {limit: {attempt: {count: 5}}}}";
    let seen = Rc::new(Cell::new(0));
    let count = seen.clone();
    let run = Run::of(body).script(move |job| {
        assert_eq!(job.with.to_json(), r#"{"n":2,"context":{"kept":true,"tries":1}}"#);
        count.set(count.get() + 1);
        match count.get() {
            1..=3 => Answer::Fail(problem(Standard::Runtime, 500)),
            _ => Answer::Echo,
        }
    });
    let run = run.go();
    assert_eq!(run.output(), r#"{"n":2,"context":{"kept":true,"tries":1}}"#);
    assert_eq!(seen.get(), 4);
    let visits: std::collections::BTreeSet<u64> = run.jobs.iter().map(|job| job.visit).collect();
    assert_eq!(visits.len(), 1, "attempts repeat their side effects under one key");
}

#[test]
fn the_error_is_bound_while_the_next_attempt_is_awaited() {
    let body = "do: [{t: {try: [{w: {call: work}}], catch: {retry: {delay: PT1S, limit: {attempt: {count: 1}}}}}}]";
    let mut run = Run::of(body).script(flaky(1));
    run.begin();
    run.wait(500);
    assert_eq!(run.state.status(), crate::status::Status::Waiting);
    run.crash();
    run.settle();
    assert_eq!(run.output(), "42");
}
