//! From one task to the next: `if`, `then`, loops made of `then` (A1-A9).

use windlass_proto::limits;

use super::driver::Run;
use super::{check, fails, gives};
use crate::engine::Fact;

#[test]
fn a_task_whose_condition_does_not_hold_is_skipped() {
    check(&[
        gives(
            "its output is its raw input, and nothing else of it applies (D4)",
            "{\"a\": 1}",
            "do:
  - a:
      if: .a == 2
      input: {from: '{b: 1}', schema: {document: false}}
      set: {c: 1}
      output: {as: '{d: 1}', schema: {document: false}}
      export: {as: '{e: 1}'}
  - b: {set: {input: '${ . }', context: '${ $context }'}}",
            "{\"input\": {\"a\": 1}, \"context\": {}}",
        )
        .order("b"),
        gives(
            "its `then` is ignored (A9)",
            "{\"a\": 1}",
            "do: [{a: {if: 'false', set: {b: 1}, then: end}}, {b: {set: {c: 1}}}]",
            "{\"c\": 1}",
        ),
        gives(
            "null and false are false, all else is true (D4)",
            "{}",
            "do:
  - a: {if: .none, set: {n: null}}
  - b: {if: '${ false }', set: {n: false}}
  - c: {if: '0', set: {n: 0}}
  - d: {if: '\"\"', set: {n: '${ .n + 1 }'}}
  - e: {if: '[]', set: {n: '${ .n + 1 }'}}",
            "{\"n\": 2}",
        )
        .order("c d e"),
        gives(
            "`if` sees the raw input, the context and the task (D4)",
            "{\"a\": {\"b\": 1}}",
            "do:
  - a: {if: '.a.b == 1 and $context == {} and $task.name == \"a\" and $task.input.a.b == 1', \
input: {from: .a}, set: {c: '${ .b }'}}",
            "{\"c\": 1}",
        ),
        gives(
            "the last task of a list may be skipped",
            "{\"a\": 1}",
            "do: [{a: {do: [{b: {set: {c: 1}}}, {d: {if: 'false', set: {e: 1}}}]}}]",
            "{\"c\": 1}",
        ),
    ]);
}

#[test]
fn directives_lead_where_they_say_in_every_scope() {
    check(&[
        gives(
            "`continue` goes on (A1)",
            "{}",
            "do: [{a: {set: {n: 1}, then: continue}}, {b: {set: {n: 2}}}]",
            "{\"n\": 2}",
        ),
        gives(
            "a name jumps forward (A2)",
            "{}",
            "do: [{a: {set: {n: 1}, then: c}}, {b: {set: {n: 2}}}, {c: {set: '${ .n + 10 }'}}]",
            "11",
        )
        .order("a c"),
        gives(
            "a name jumps backward (A2)",
            "{\"n\": 0}",
            "do:
  - a: {set: {n: '${ .n + 1 }'}}
  - b: {switch: [{again: {when: .n < 3, then: a}}, {over: {then: continue}}]}
  - c: {set: '${ .n }'}",
            "3",
        )
        .order("a b a b a b c"),
        gives(
            "`exit` ends the root list and so the workflow, with `output.as` (A3, D12)",
            "{}",
            "do: [{a: {set: {n: 1}, then: exit}}, {b: {set: {n: 2}}}]\noutput: {as: .n}",
            "1",
        ),
        gives(
            "`exit` ends a `do`, whose own `then` applies (A3, A5)",
            "{}",
            "do:
  - a: {do: [{b: {set: {n: 1}, then: exit}}, {c: {set: {n: 2}}}], then: e}
  - d: {set: {n: 3}}
  - e: {set: '${ .n }'}",
            "1",
        )
        .order("a b e"),
        gives(
            "`exit` ends an iteration only (A3)",
            "[1, 2, 3]",
            "do:
  - a:
      for: {in: .}
      do: [{b: {set: '${ $item }', then: exit}}, {c: {set: {n: 9}}}]",
            "3",
        )
        .order("a b b b"),
        gives(
            "`exit` ends a `try`, which succeeds (A3)",
            "{}",
            "do:
  - a: {try: [{b: {set: {n: 1}, then: exit}}, {c: {raise: {error: {type: runtime, status: 500}}}}], catch: {}}
  - d: {set: '${ .n }'}",
            "1",
        ),
        gives(
            "`exit` ends the tasks of `catch` (A3)",
            "{}",
            "do:
  - a:
      try: [{b: {raise: {error: {type: runtime, status: 500}}}}]
      catch: {do: [{c: {set: {n: 1}, then: exit}}, {d: {set: {n: 2}}}]}
  - e: {set: '${ .n }'}",
            "1",
        ),
        gives(
            "`end` ends the workflow from any depth, with `output.as` (A4, D12)",
            "{}",
            "do:
  - a: {do: [{b: {for: {in: '[1, 2]'}, do: [{c: {set: {n: 1}, then: end}}], output: {as: '9'}}}]}
  - d: {set: {n: 2}}
output: {as: .n}",
            "1",
        )
        .order("a b c"),
        gives(
            "`end` in a `try` is no error (A4)",
            "{}",
            "do:
  - a: {try: [{b: {set: {n: 1}, then: end}}], catch: {do: [{c: {set: {n: 2}}}]}}
  - d: {set: {n: 3}}",
            "{\"n\": 1}",
        ),
        gives(
            "`end` in `catch` ends the workflow (A4)",
            "{}",
            "do:
  - a:
      try: [{b: {raise: {error: {type: runtime, status: 500}}}}]
      catch: {do: [{c: {set: {n: 1}, then: end}}]}
  - d: {set: {n: 3}}",
            "{\"n\": 1}",
        ),
        gives(
            "`end` in a branch ends the workflow, with what the branch exported (A4)",
            "{}",
            "do:
  - a:
      fork:
        branches:
          - b: {do: [{c: {set: {n: 1}, export: {as: '{x: 1}'}}}, {d: {set: {n: 2}, then: end}}]}
          - e: {call: slow}
  - f: {set: {n: 3}}
output: {as: '{n, x: $context.x}'}",
            "{\"n\": 2, \"x\": 1}",
        ),
        gives(
            "`end` of a branch's own task shows its context as well",
            "{}",
            "do: [{a: {fork: {branches: [{b: {set: {n: 1}, export: {as: '{x: 1}'}, then: end}}]}}}]
output: {as: '{n, x: $context.x}'}",
            "{\"n\": 1, \"x\": 1}",
        ),
        gives(
            "`exit` and names in a branch end the branch: branches are no sequence (A6)",
            "{}",
            "do: [{a: {fork: {branches: [{b: {set: {n: 1}, then: exit}}, {c: {set: {n: 2}}}]}}}]",
            "[{\"n\": 1}, {\"n\": 2}]",
        ),
        gives(
            "a directive applies after the children of a composite (A5)",
            "{}",
            "do:
  - a: {for: {in: '[1]'}, do: [{b: {set: {n: 1}}}], then: d}
  - c: {set: {n: 2}}
  - d: {set: '${ .n }'}",
            "1",
        ),
        fails(
            "an error that nobody catches ends the workflow where it was raised (A12)",
            "{}",
            "do:
  - a:
      for: {in: '[1]'}
      do:
        - b:
            fork:
              branches:
                - c:
                    do:
                      - d/e:
                          try: [{f~g: {raise: {error: {type: authorization, status: 403}}}}]
                          catch: {errors: {with: {status: 404}}}",
            ("authorization", 403, "/do/0/a/do/0/b/fork/branches/0/c/do/0/d~1e/try/0/f~0g"),
        ),
    ]);
}

#[test]
fn a_loop_of_sets_yields_and_goes_on() {
    let body = "
do:
  - count: {set: {n: '${ .n + 1 }'}}
  - again: {switch: [{more: {when: .n < 2500, then: count}}]}
  - over: {set: '${ .n }'}";
    let run = Run::of(body).input("{\"n\": 0}").go();
    assert_eq!(run.output(), "2500");
    let turns = 5_000 / limits::TURN_STEPS as usize;
    assert!((turns - 1..=turns + 1).contains(&run.yields), "{} yields", run.yields);
    assert_eq!(run.count(|fact| matches!(fact, Fact::Yielded(_))), run.yields);
}

#[test]
fn a_loop_without_end_meets_the_limit_of_facts() {
    let body = "do: [{a: {set: {n: 1}}}, {b: {wait: PT0S, then: a}}]";
    let run = Run::of(body).aged(limits::INSTANCE_FACTS - 5_000);
    let problem = run.problem();
    assert_eq!(problem.status, 500);
    let detail = problem.detail.as_deref().unwrap();
    assert!(detail.contains("1000000 facts") && detail.contains("loops without end"), "{detail}");
    // Where it would have gone on; the tasks of the workflow itself have no task around them.
    assert_eq!(problem.instance.as_deref(), Some("/"));
    assert!(run.yields >= 1);
    let inner = "do: [{l: {for: {in: '${ [range(10)] }'}, do: \
                 [{a: {wait: PT0S, then: b}}, {b: {set: {n: 1}, then: a}}]}}]";
    let run = Run::of(inner).aged(limits::INSTANCE_FACTS - 5_000);
    assert_eq!(run.problem().instance.as_deref(), Some("/do/0/l"));
}

#[test]
fn exits_out_of_many_levels_do_not_need_a_large_stack() {
    // Each level ends by `exit`, so the levels close one within the other.
    let body = "
use:
  functions:
    down:
      do:
        - more: {if: '. < 100', call: down, with: '${ . + 1 }', then: exit}
        - stop: {set: '${ . }', then: exit}
do: [{start: {call: down, with: '${ 0 }', then: exit}}]";
    let run = Run::of(body).go();
    assert_eq!(run.output(), "100");
}
