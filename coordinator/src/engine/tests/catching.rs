//! `try` and `catch` without retries (T1-T8, Q8-Q12).

use super::driver::Run;
use super::{check, fails, gives};

#[test]
fn what_is_caught_and_what_comes_of_it() {
    check(&[
        gives(
            "without an error, the output of the last task (T1)",
            "{\"a\": 1}",
            "do: [{t: {try: [{a: {set: {b: '${ .a }'}}}], catch: {do: [{c: {set: {c: 1}}}]}}}]",
            "{\"b\": 1}",
        )
        .order("t a"),
        gives(
            "the tasks of `catch` get the transformed input of the `try` (T1)",
            "{\"a\": {\"b\": 1}}",
            "do:
  - t:
      input: {from: .a}
      try: [{s: {set: {x: 1}}}, {r: {raise: {error: {type: runtime, status: 500}}}}]
      catch: {do: [{c: {set: '${ . }'}}]}",
            "{\"b\": 1}",
        ),
        gives(
            "without `do` the error is swallowed: the output is the input (T6)",
            "{\"a\": 1}",
            "do: [{t: {try: [{r: {raise: {error: {type: runtime, status: 500}}}}], catch: {}}}]",
            "{\"a\": 1}",
        ),
        gives(
            "an empty `do` gives the input as well",
            "{\"a\": 1}",
            "do: [{t: {try: [{r: {raise: {error: {type: runtime, status: 500}}}}], catch: {do: []}}}]",
            "{\"a\": 1}",
        ),
        gives(
            "the error is bound as `error` (T3)",
            "{}",
            "do:
  - t:
      try: [{r: {raise: {error: {type: compliance, status: 400, title: T, detail: D}}}}]
      catch: {do: [{c: {set: '${ $error }'}}]}",
            "{\"type\": \"compliance\", \"status\": 400, \"title\": \"T\", \"detail\": \"D\", \
\"instance\": \"/do/0/t/try/0/r\"}",
        ),
        gives(
            "or under the name of `as` (T3)",
            "{}",
            "do:
  - t:
      try: [{r: {raise: {error: {type: compliance, status: 400}}}}]
      catch: {as: problem, do: [{c: {set: {status: '${ $problem.status }', export: 1}, \
export: {as: '{status: $problem.status}'}}}]}
output: {as: '[.status, $context.status]'}",
            "[400, 400]",
        ),
        gives(
            "output and export of the `try` apply to what `catch` gave",
            "{}",
            "do:
  - t:
      try: [{r: {raise: {error: {type: compliance, status: 400}}}}]
      catch: {do: [{c: {set: {n: 1}}}]}
      output: {as: '{n: [.n]}'}
      export: {as: '{exported: .n}'}
output: {as: '[., $context]'}",
            "[{\"n\": [1]}, {\"exported\": [1]}]",
        ),
        gives(
            "`catch.then` leads the caught path (T8)",
            "{}",
            "do:
  - t:
      try: [{r: {raise: {error: {type: runtime, status: 500}}}}]
      catch: {do: [{c: {set: {n: 1}}}], then: b}
      then: a
  - a: {set: {r: a}, then: end}
  - b: {set: {r: '${ .n }'}, then: end}",
            "{\"r\": 1}",
        ),
        gives(
            "and the task's `then` the other (T8)",
            "{}",
            "do:
  - t: {try: [{s: {set: {n: 1}}}], catch: {then: a}, then: b}
  - a: {set: {r: a}, then: end}
  - b: {set: {r: b}, then: end}",
            "{\"r\": \"b\"}",
        ),
        gives(
            "`catch.then` without `do`",
            "{\"n\": 1}",
            "do:
  - t: {try: [{r: {raise: {error: {type: runtime, status: 500}}}}], catch: {then: exit}}
  - a: {set: {r: a}}",
            "{\"n\": 1}",
        ),
        fails(
            "an error in the tasks of `catch` goes outward (T7)",
            "{}",
            "do:
  - t:
      try: [{r: {raise: {error: {type: runtime, status: 500}}}}]
      catch: {do: [{c: {raise: {error: {type: runtime, status: 501}}}}]}",
            ("runtime", 501, "/do/0/t/catch/do/0/c"),
        ),
        gives(
            "where an outer `try` catches it (T7)",
            "{}",
            "do:
  - o:
      try:
        - t:
            try: [{r: {raise: {error: {type: runtime, status: 500}}}}]
            catch: {do: [{c: {raise: {error: {type: runtime, status: '${ $error.status + 1 }'}}}}]}
      catch: {do: [{d: {set: '${ $error.status }'}}]}",
            "501",
        ),
        gives(
            "an error of a call, of an expression, of a schema: all can be caught (T5)",
            "{}",
            "do:
  - a: {try: [{x: {set: {n: '${ {} | .a.b.c + 1 | keys }'}}}], catch: {do: [{y: {set: '${ [$error.type] }'}}]}}
  - b: {try: [{x: {set: {n: 1}, output: {schema: {document: false}}}}], catch: {do: [{y: {set: '${ . + [$error.type] }'}}]}}
  - c: {try: [{x: {call: https://example.com/function.yaml}}], catch: {do: [{y: {set: '${ . + [$error.type] | map(split(\"/\") | last) }'}}]}}",
            "[\"expression\", \"validation\", \"configuration\"]",
        ),
        gives(
            "the context stays as the failed task left it",
            "{}",
            "do:
  - t:
      try: [{a: {set: {n: 1}, export: {as: '{a: 1}'}}}, {r: {raise: {error: {type: runtime, status: 500}}}}]
      catch: {do: [{c: {set: '${ $context }'}}]}",
            "{\"a\": 1}",
        ),
        gives(
            "`try` with a map, `handle` and `error`, as the seed page writes it (Q8-Q12)",
            "{}",
            "do:
  - t:
      try: {do: [{r: {raise: {error: {type: https://serverlessworkflow.io/spec/1.0.0/errors/authorization, status: 403}}}}]}
      catch:
        - error: https://serverlessworkflow.io/spec/1.0.0/errors/communication
          handle: [{c: {set: {n: 1}}}]
        - error: https://serverlessworkflow.io/spec/1.0.0/errors/authorization
          as: denied
          handle: [{d: {set: '${ $denied.status }'}}]",
            "403",
        ),
        gives(
            "of several clauses the first that matches (Q9)",
            "{}",
            "do:
  - t:
      try: [{r: {raise: {error: {type: runtime, status: 500}}}}]
      catch:
        - {errors: {with: {status: 404}}, do: [{a: {set: {n: 1}}}]}
        - {when: .status == 500, do: [{b: {set: {n: 2}}}], then: x}
        - {do: [{c: {set: {n: 3}}}]}
  - w: {set: {n: 9}}
  - x: {set: '${ .n }'}",
            "2",
        )
        .order("t r b x"),
        fails(
            "the pointer of a clause in a list says which (Q9)",
            "{}",
            "do:
  - t:
      try: [{r: {raise: {error: {type: runtime, status: 500}}}}]
      catch:
        - {errors: {with: {status: 404}}, do: [{a: {set: {n: 1}}}]}
        - {do: [{b: {raise: {error: {type: runtime, status: 501}}}}]}",
            ("runtime", 501, "/do/0/t/catch/1/do/0/b"),
        ),
    ]);
}

/// A `try` whose task raises an error, with these conditions of `catch`: is it caught?
fn is_caught(conditions: &str) -> bool {
    let body = format!(
        "do:
  - t:
      input: {{from: '{{limit: 500}}'}}
      try:
        - r:
            raise:
              error:
                type: https://serverlessworkflow.io/spec/1.0.0/errors/communication
                status: 503
                title: Down
                detail: not now
      catch:
        {conditions}
        do: [{{c: {{set: {{caught: true}}}}}}]"
    );
    Run::of(&body)
        .go()
        .state
        .ending
        .as_ref()
        .is_some_and(|ending| matches!(ending, crate::engine::Ending::Completed(_)))
}

#[test]
fn filters_and_conditions_decide_together() {
    for (conditions, caught) in [
        ("errors: {with: {status: 503}}", true),
        ("errors: {with: {status: 500}}", false),
        ("errors: {with: {status: 503, title: Up}}", false),
        ("errors: {with: {status: 503, title: Down, detail: not now}}", true),
        ("errors: {with: {details: not now}}", true),
        ("errors: {with: {details: not later}}", false),
        ("errors: {with: {instance: /do/0/t/try/0/r}}", true),
        ("errors: {with: {instance: /do/0/t}}", false),
        // §3.2 E: the spellings of a standard type are one.
        (
            "errors: {with: {type: https://serverlessworkflow.io/spec/1.0.0/errors/communication}}",
            true,
        ),
        (
            "errors: {with: {type: https://serverlessworkflow.io/dsl/errors/types/communication}}",
            true,
        ),
        (
            "errors: {with: {type: https://open-workflow-specification.org/spec/1.0.0/errors/communication}}",
            true,
        ),
        (
            "errors: {with: {type: https://serverlessworkflow.io.io/dsl/errors/types/communication}}",
            true,
        ),
        ("errors: {with: {type: communication}}", true),
        ("errors: {with: {type: https://serverlessworkflow.io/spec/1.0.0/errors/runtime}}", false),
        ("errors: {with: {type: https://example.com/errors/communication}}", false),
        // T2: a value may be an expression, on the task's input.
        ("errors: {with: {status: '${ .limit + 3 }'}}", true),
        ("errors: {with: {status: '${ .limit }'}}", false),
        ("errors: {with: {status: '503'}}", true),
        ("errors: {with: [{status: 404}, {status: 503}]}", true),
        // T4: `.` and `$error` are the error, `$input` is the task's input.
        ("when: .status == 503", true),
        ("when: '${ $error.status == 503 }'", true),
        ("when: .status > $input.limit", true),
        ("when: .status < $input.limit", false),
        ("when: .none", false),
        ("exceptWhen: .status == 503", false),
        ("exceptWhen: .status == 500", true),
        ("errors: {with: {status: 503}}\n        when: 'true'\n        exceptWhen: 'true'", false),
        ("errors: {with: {status: 500}}\n        when: 'true'", false),
        ("as: e\n        when: $e.status == 503 and .status == 503", true),
    ] {
        assert_eq!(is_caught(conditions), caught, "{conditions}");
    }
}

#[test]
fn a_condition_that_fails_raises_its_own_error_outward() {
    check(&[fails(
        "the error of the condition, at the `try`",
        "{}",
        "do:
  - t:
      try: [{r: {raise: {error: {type: runtime, status: 500}}}}]
      catch: {when: .status | keys, do: [{c: {set: {n: 1}}}]}",
        ("expression", 400, "/do/0/t"),
    )]);
}
