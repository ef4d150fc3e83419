//! Functions of `use.functions` (§1.6).

use windlass_proto::problem::Standard;

use super::driver::{Answer, Run, problem};
use super::{check, fails, gives};

#[test]
fn a_function_runs_in_place_of_its_call() {
    check(&[
        gives(
            "`with` is its input, its output that of the call",
            "{\"n\": 1}",
            "use: {functions: {add: {set: '${ .a + .b }'}}}
do: [{c: {call: add, with: {a: '${ .n }', b: 2}, output: {as: '{got: ., n: $input.n}'}}}]",
            "{\"got\": 3, \"n\": 1}",
        ),
        gives(
            "without `with` the input passes through",
            "{\"n\": 1}",
            "use: {functions: {f: {set: '${ .n + 1 }'}}}\ndo: [{c: {call: f}}]",
            "2",
        ),
        gives(
            "the seed page's way to call one (Q13)",
            "{}",
            "use: {functions: {f: {set: '${ .n + 1 }'}}}
do: [{c: {call: function, with: {function: f, arguments: {n: 1}}}}]",
            "2",
        ),
        gives(
            "its own data flow applies, then that of the call",
            "{\"n\": 1}",
            "use:
  functions:
    f: {input: {from: .a}, set: {x: '${ . }'}, output: {as: '[.x]'}, export: {as: '{inner: .}'}}
do: [{c: {call: f, with: {a: 5}, output: {as: '. + [$context.inner]'}, export: {as: '$context + {outer: .}'}}}]
output: {as: '[., $context]'}",
            "[[5, [5]], {\"inner\": [5], \"outer\": [5, [5]]}]",
        ),
        fails(
            "its input schema is checked, at the call",
            "{}",
            "use: {functions: {f: {input: {schema: {document: {required: [a]}}}, set: {n: 1}}}}
do: [{c: {call: f, with: {b: 1}}}]",
            ("validation", 400, "/do/0/c"),
        ),
        fails(
            "an error inside is placed below the call",
            "{}",
            "use: {functions: {f: {do: [{x: {raise: {error: {type: runtime, status: 500}}}}]}}}
do: [{a: {do: [{c: {call: f}}]}}]",
            ("runtime", 500, "/do/0/a/do/0/c/do/0/x"),
        ),
        fails(
            "through all calls",
            "{}",
            "use:
  functions:
    f: {do: [{x: {call: g}}]}
    g: {do: [{y: {raise: {error: {type: runtime, status: 500}}}}]}
do: [{c: {call: f}}]",
            ("runtime", 500, "/do/0/c/do/0/x/do/0/y"),
        ),
        gives(
            "`$task.reference` says the same",
            "{}",
            "use: {functions: {f: {do: [{x: {set: '${ $task.reference }'}}]}}}
do: [{c: {call: f}}]",
            "\"/do/0/c/do/0/x\"",
        ),
        gives(
            "functions may call functions, and themselves",
            "{\"n\": 5}",
            "use:
  functions:
    factorial:
      do:
        - end: {if: .n <= 1, set: '${ 1 }', then: exit}
        - more: {do: [{x: {call: factorial, with: {n: '${ .n - 1 }'}, output: {as: '. * $input.n'}}}], then: exit}
do: [{c: {call: factorial}}]",
            "120",
        ),
        fails(
            "but not without end",
            "{}",
            "use: {functions: {f: {do: [{x: {call: f}}]}}}
do: [{t: {try: [{c: {call: f}}], catch: {do: [{r: {raise: {error: {type: '${ $error.type }', status: '${ $error.status }'}}}}]}}}]",
            ("runtime", 500, "/do/0/t/catch/do/0/r"),
        ),
        gives(
            "an error can be caught around the call",
            "{}",
            "use: {functions: {f: {raise: {error: {type: runtime, status: 500}}}}}
do: [{t: {try: [{c: {call: f}}], catch: {do: [{d: {set: '${ $error.instance }'}}]}}}]",
            "\"/do/0/t/try/0/c\"",
        ),
        gives(
            "`exit` ends the function, `end` the workflow",
            "{}",
            "use:
  functions:
    f: {do: [{x: {set: {n: 1}, then: exit}}, {y: {set: {n: 2}}}]}
    g: {do: [{x: {set: {n: 3}, then: end}}, {y: {set: {n: 4}}}]}
do: [{a: {call: f}}, {b: {set: {m: '${ .n }'}}}, {c: {call: g}}, {d: {set: {n: 5}}}]
output: {as: .n}",
            "3",
        )
        .order("a f x b c g x"),
        fails(
            "what was not fetched cannot be called",
            "{}",
            "do: [{c: {call: https://example.com/functions/log/1.0.0/function.yaml}}]",
            ("configuration", 400, "/do/0/c"),
        ),
    ]);
}

#[test]
fn a_call_inside_a_function_is_dispatched_under_the_callers_pointer() {
    let body = "
use: {functions: {f: {do: [{x: {call: work, with: {n: '${ .n }'}}}]}}}
do: [{t: {try: [{c: {call: f, with: {n: 1}}}, {d: {call: f, with: {n: 2}}}], catch: {retry: {limit: {attempt: {count: 1}}}}}}]";
    let mut failed = false;
    let run = Run::of(body).script(move |job| match job.with.to_json().as_str() {
        r#"{"n":2}"# if !failed => {
            failed = true;
            Answer::Fail(problem(Standard::Communication, 500))
        }
        _ => Answer::Echo,
    });
    let run = run.go();
    let sent: Vec<&str> = run.jobs.iter().map(|job| &*job.reference).collect();
    let (c, d) = ("/do/0/t/try/0/c/do/0/x", "/do/0/t/try/1/d/do/0/x");
    assert_eq!(sent, [c, d, c, d]);
    assert_eq!(run.jobs[1].visit, run.jobs[3].visit);
}
