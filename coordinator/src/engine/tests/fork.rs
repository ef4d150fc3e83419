//! `fork` (§1.9).

use windlass_proto::problem::Standard;
use windlass_proto::value::Value;

use super::driver::{Answer, Run, problem};
use super::{check, fails, gives};
use crate::engine::Fact;

#[test]
fn branches_run_side_by_side_from_the_same_start() {
    check(&[
        gives(
            "outputs stand in declaration order",
            "{\"n\": 1}",
            "do:
  - f:
      fork:
        branches:
          - a: {wait: PT5S}
          - b: {set: {b: '${ .n }'}}
          - c: {do: [{d: {wait: PT1S}}, {e: {set: '${ .n + 2 }'}}]}",
            "[{\"n\": 1}, {\"b\": 1}, 3]",
        ),
        gives("no branches give an empty array", "{}", "do: [{f: {fork: {branches: []}}}]", "[]"),
        gives(
            "branches get the fork's transformed input",
            "{\"a\": 5}",
            "do: [{f: {input: {from: .a}, fork: {branches: [{b: {set: '${ . }'}}]}, output: {as: '.[0]'}}}]",
            "5",
        ),
        gives(
            "each branch begins with the context as it was, and what they export is merged in \
declaration order",
            "{}",
            "do:
  - s: {set: {n: 1}, export: {as: '{x: 0, y: 0, gone: 1}'}}
  - f:
      fork:
        branches:
          - a: {do: [{a1: {wait: PT5S}}, {a2: {set: {n: 1}, export: {as: '$context + {x: 1, a: $context.y}'}}}]}
          - b: {set: {n: 1}, export: {as: '$context + {x: 2, y: 2}'}}
          - c: {set: {n: 1}, export: {as: '$context | del(.gone)'}}
output: {as: $context}",
            "{\"x\": 2, \"y\": 2, \"a\": 0}",
        ),
        gives(
            "a context that is no object replaces all",
            "{}",
            "do:
  - f: {fork: {branches: [{a: {set: {n: 1}, export: {as: '{x: 1}'}}}, {b: {set: {n: 1}, export: {as: '7'}}}]}}
output: {as: $context}",
            "7",
        ),
        gives(
            "a fork in a fork",
            "{}",
            "do:
  - f:
      fork:
        branches:
          - a:
              fork:
                branches:
                  - b: {set: {n: 1}, export: {as: '$context + {b: 1}'}}
                  - c: {set: {n: 2}, export: {as: '$context + {c: 1}'}}
          - d: {set: {n: 3}, export: {as: '$context + {d: 1}'}}
output: {as: '[., $context]'}",
            "[[[{\"n\": 1}, {\"n\": 2}], {\"n\": 3}], {\"b\": 1, \"c\": 1, \"d\": 1}]",
        ),
        gives(
            "a skipped branch gives its raw input",
            "{\"n\": 1}",
            "do: [{f: {fork: {branches: [{a: {if: 'false', set: {a: 1}}}, {b: {set: {b: 1}}}]}}}]",
            "[{\"n\": 1}, {\"b\": 1}]",
        ),
        gives(
            "a branch's `if` sees the context",
            "{\"n\": 1}",
            "do:
  - s: {set: {n: 1}, export: {as: '{x: 1}'}}
  - f: {fork: {branches: [{a: {if: $context.x == 1, set: {a: 1}}}]}}",
            "[{\"a\": 1}]",
        ),
        fails(
            "an error that a branch does not catch is the fork's (A12)",
            "{}",
            "do: [{f: {fork: {branches: [{a: {wait: PT1H}}, {b: {raise: {error: {type: runtime, status: 599}}}}]}}}]",
            ("runtime", 599, "/do/0/f/fork/branches/1/b"),
        ),
        gives(
            "the error of a branch is caught above, and the context it left is kept out",
            "{}",
            "do:
  - t:
      try:
        - f:
            fork:
              branches:
                - a: {set: {n: 1}, export: {as: '{x: 1}'}}
                - b: {raise: {error: {type: runtime, status: 599}}}
      catch: {do: [{c: {set: {status: '${ $error.status }', context: '${ $context }'}}}]}",
            "{\"status\": 599, \"context\": {}}",
        ),
        gives(
            "the first to succeed wins, and only its context counts",
            "{}",
            "do:
  - f:
      fork:
        compete: true
        branches:
          - a: {do: [{a1: {set: {n: 1}, export: {as: '{a: 1}'}}}, {a2: {wait: PT5S}}]}
          - b: {do: [{b1: {wait: PT1S}}, {b2: {set: {n: 2}, export: {as: '{b: 1}'}}}]}
          - c: {do: [{c1: {wait: PT3S}}, {c2: {set: {n: 3}}}]}
output: {as: '[., $context]'}",
            "[{\"n\": 2}, {\"b\": 1}]",
        ),
        gives(
            "a failure loses the race, no more",
            "{}",
            "do:
  - f:
      fork:
        compete: true
        branches:
          - a: {raise: {error: {type: runtime, status: 500}}}
          - b: {do: [{b1: {wait: PT1S}}, {b2: {set: {n: 2}}}]}",
            "{\"n\": 2}",
        ),
        fails(
            "when all fail, the first error is the fork's",
            "{}",
            "do:
  - f:
      fork:
        compete: true
        branches:
          - a: {do: [{a1: {wait: PT2S}}, {a2: {raise: {error: {type: runtime, status: 501}}}}]}
          - b: {raise: {error: {type: runtime, status: 502}}}",
            ("runtime", 501, "/do/0/f/fork/branches/0/a/do/1/a2"),
        ),
        gives(
            "a skipped branch takes no part in the race",
            "{\"n\": 1}",
            "do:
  - f:
      fork:
        compete: true
        branches: [{a: {if: 'false', set: {a: 1}}}, {b: {do: [{c: {wait: PT1S}}, {d: {set: {b: 1}}}]}}]",
            "{\"b\": 1}",
        ),
        gives(
            "where all are skipped, the race gives the input",
            "{\"n\": 1}",
            "do:
  - f: {fork: {compete: true, branches: [{a: {if: 'false', set: {a: 1}}}, {b: {if: 'false', set: {b: 1}}}]}}",
            "{\"n\": 1}",
        ),
        fails(
            "where all others fail, skipping is no success",
            "{\"n\": 1}",
            "do:
  - f:
      fork:
        compete: true
        branches: [{b: {raise: {error: {type: runtime, status: 502}}}}, {a: {if: 'false', set: {a: 1}}}]",
            ("runtime", 502, "/do/0/f/fork/branches/0/b"),
        ),
    ]);
}

#[test]
fn an_error_cancels_what_other_branches_have_at_workers() {
    let body = "
do:
  - f:
      fork:
        branches:
          - slow: {do: [{one: {call: slow}}]}
          - bad: {call: bad}
          - waiting: {wait: PT1H}
          - child: {run: {workflow: {namespace: test, name: child, version: 1.0.0}}}";
    let run = Run::of(body).child(|_, _| None).script(|job| match &*job.name {
        "bad" => Answer::After(10, Box::new(Answer::Fail(problem(Standard::Communication, 502)))),
        _ => Answer::Never,
    });
    let run = run.go();
    assert_eq!(run.problem().status, 502);
    let slow = run.jobs.iter().find(|job| &*job.name == "one").unwrap();
    assert_eq!(run.cancelled, [(slow.frame, slow.delivery)], "and nothing that has answered");
    assert_eq!(run.cancelled_children.len(), 1);
}

#[test]
fn what_the_same_turn_asks_and_closes_is_never_sent() {
    let body = "
do:
  - f:
      fork:
        branches:
          - slow: {call: slow}
          - told: {emit: {event: {with: {type: t}}}}
          - child: {run: {workflow: {namespace: test, name: child, version: 1.0.0}}}
          - bad: {raise: {error: {type: runtime, status: 500}}}";
    let run = Run::of(body).go();
    assert_eq!(run.problem().status, 500);
    assert!(run.jobs.is_empty() && run.cancelled.is_empty());
    assert!(run.children.is_empty() && run.cancelled_children.is_empty());
    assert!(run.published.is_empty());
}

#[test]
fn the_winner_of_a_race_cancels_the_others() {
    let body = "do: [{f: {fork: {compete: true, branches: [{a: {call: a}}, {b: {call: b}}, {c: {call: c}}]}}}]";
    let run = Run::of(body).script(|job| match &*job.name {
        "a" => Answer::After(5, Box::new(Answer::Fail(problem(Standard::Communication, 500)))),
        "b" => Answer::After(10, Box::new(Answer::Give(Value::Int(2)))),
        _ => Answer::After(20, Box::new(Answer::Give(Value::Int(3)))),
    });
    let run = run.go();
    assert_eq!(run.output(), "2");
    assert_eq!(run.cancelled.len(), 1);
    assert_eq!(run.count(|fact| matches!(fact, Fact::BranchFaulted { .. })), 1);
}

#[test]
fn the_losers_of_a_race_end_although_the_fork_waits_for_an_evaluation() {
    for later in ["export: {as: '{k: $secrets.k}'}", "output: {as: '{k: $secrets.k}'}"] {
        let body = format!(
            "use: {{secrets: [k]}}
do:
  - f:
      fork:
        compete: true
        branches:
          - wins: {{set: {{n: 1}}}}
          - fails: {{raise: {{error: {{type: runtime, status: 500}}}}}}
          - works: {{call: a}}
      {later}
  - out: {{set: '${{ .n // .k }}'}}"
        );
        let run = Run::of(&body).secrets(r#"{"k": 1}"#).go();
        assert_eq!(run.output(), "1", "{later}");
    }
}

#[test]
fn the_losers_of_a_race_end_although_extensions_come_after_the_fork() {
    let body = "
use: {extensions: [{x: {extend: composite, after: [{w: {wait: PT1S}}]}}]}
do:
  - f:
      fork:
        compete: true
        branches:
          - wins: {set: {n: 1}}
          - fails: {raise: {error: {type: runtime, status: 500}}}";
    assert_eq!(Run::of(body).go().output(), "{\"n\":1}");
}

#[test]
fn arrays_of_arrays_do_not_grow_without_bound() {
    // Nothing here evaluates the growing value: the fork alone must notice.
    let body = "do: [{f: {fork: {branches: [{w: {wait: PT0S}}]}, then: f}}]";
    let run = Run::of(body).go();
    assert_eq!(run.problem().status, 500);
    assert!(run.problem().detail.as_deref().unwrap().contains("256 levels"));
}
