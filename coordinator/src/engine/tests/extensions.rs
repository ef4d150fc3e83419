//! Extensions (§1.17).

use super::driver::{Answer, Run};
use super::{check, fails, gives};
use windlass_proto::value::Value;

#[test]
fn lists_run_around_the_tasks_they_extend() {
    check(&[
        gives(
            "before and after, in declaration order, their outputs dropped",
            "{\"n\": 1}",
            "use:
  extensions:
    - one: {extend: set, before: [{b1: {wait: PT0S}}], after: [{a1: {wait: PT0S}}]}
    - two: {extend: all, before: [{b2: {emit: {event: {with: {type: t}}}}}], after: [{a2: {emit: {event: {with: {type: t}}}}}]}
do: [{s: {set: {n: '${ .n + 1 }'}}}]",
            "{\"n\": 2}",
        )
        .order("s b1 b2 a1 a2"),
        gives(
            "of the kinds they are for: `composite` is `do` and `fork`",
            "{}",
            "use:
  extensions:
    - c: {extend: composite, before: [{bc: {wait: PT0S}}]}
    - w: {extend: wait, before: [{bw: {set: {n: 1}}}]}
do: [{d: {do: [{w: {wait: PT1S}}]}}, {s: {set: {n: 2}}}]",
            "{\"n\": 2}",
        )
        .order("d bc w bw s"),
        gives(
            "before on the transformed input, after on the transformed output",
            "{\"a\": 1}",
            "use:
  extensions:
    - e:
        extend: set
        before: [{b: {raise: {error: {type: runtime, status: 500}}, if: '. != 1'}}]
        after:
          - a: {wait: PT0S, export: {as: '{dot: ., output: $output}'}}
do: [{s: {input: {from: .a}, set: {b: '${ . + 1 }'}, output: {as: .b}}}]
output: {as: '[., $context]'}",
            "[2, {\"dot\": 2, \"output\": 2}]",
        ),
        gives(
            "what the lists export is kept",
            "{}",
            "use:
  extensions:
    - e:
        extend: set
        before: [{b: {wait: PT0S, export: {as: '$context + {b: 1}'}}}]
        after: [{a: {wait: PT0S, export: {as: '$context + {a: 1}'}}}]
do: [{s: {set: {seen: '${ $context }'}, export: {as: '$context + {s: 1}'}}}]
output: {as: '[.seen, $context]'}",
            "[{\"b\": 1}, {\"b\": 1, \"a\": 1, \"s\": 1}]",
        ),
        gives(
            "`when` chooses, by `$task`",
            "{}",
            "use: {extensions: [{e: {extend: set, when: '$task.name == \"y\"', before: [{b: {wait: PT0S}}]}}]}
do: [{x: {set: {n: 1}}}, {y: {set: {n: 2}}}]",
            "{\"n\": 2}",
        )
        .order("x y b"),
        gives(
            "a `when` that fails does not hold (§3.2 P)",
            "{}",
            "use: {extensions: [{e: {extend: set, when: '$task.name.x', before: [{b: {wait: PT0S}}]}}]}
do: [{x: {set: {n: 1}}}]",
            "{\"n\": 1}",
        )
        .order("x"),
        gives(
            "`exit` before a task takes its place; `output.as` and `export.as` apply",
            "{\"a\": 1}",
            "use: {extensions: [{e: {extend: set, before: [{b: {set: {m: 1}, if: 'false'}}, {c: {wait: PT0S, then: exit}}, {d: {wait: PT0S}}], \
after: [{z: {wait: PT0S}}]}}]}
do: [{s: {input: {from: '{m: .a}'}, set: {n: 9}, output: {as: '[.m, $input.m]'}, export: {as: '{got: .}'}}}]
output: {as: '[., $context.got]'}",
            "[[1, 1], [1, 1]]",
        )
        .order("s c z"),
        gives(
            "`end` ends the workflow",
            "{\"a\": 1}",
            "use: {extensions: [{e: {extend: set, before: [{c: {wait: PT0S, then: end}}]}}]}
do: [{s: {set: {n: 9}}}]",
            "{\"a\": 1}",
        ),
        gives(
            "a skipped task is not extended",
            "{\"a\": 1}",
            "use: {extensions: [{e: {extend: set, before: [{b: {wait: PT0S}}]}}]}
do: [{s: {if: 'false', set: {n: 9}}}]",
            "{\"a\": 1}",
        )
        .order(""),
        fails(
            "nor one whose input is refused",
            "{\"a\": 1}",
            "use: {extensions: [{e: {extend: set, before: [{b: {wait: PT0S, then: end}}]}}]}
do: [{s: {input: {schema: {document: false}}, set: {n: 9}}}]",
            ("validation", 400, "/do/0/s"),
        ),
        fails(
            "an error in a list is raised there",
            "{}",
            "use: {extensions: [{e: {extend: set, after: [{r: {raise: {error: {type: runtime, status: 500}}}}]}}]}
do: [{d: {do: [{s: {set: {n: 9}}}]}}]",
            ("runtime", 500, "/use/extensions/0/e/after/0/r"),
        ),
        gives(
            "and caught around the extended task",
            "{}",
            "use: {extensions: [{e: {extend: set, after: [{r: {raise: {error: {type: runtime, status: 500}}}}]}}]}
do: [{t: {try: [{s: {set: {n: 9}}}], catch: {}}}]",
            "{}",
        ),
        gives(
            "tasks of extensions are not extended, nor functions they call",
            "{}",
            "use:
  functions: {f: {do: [{x: {set: {n: 1}}}]}}
  extensions: [{e: {extend: all, before: [{b: {call: f}}]}}]
do: [{s: {set: {n: 9}}}]",
            "{\"n\": 9}",
        )
        .order("s b f x"),
        fails(
            "pointers of an extension stand alone, below a function's call as well",
            "{}",
            "use:
  functions: {f: {do: [{x: {set: {n: 1}}}]}}
  extensions: [{e: {extend: set, before: [{b: {raise: {error: {type: runtime, status: 500}}}}]}}]
do: [{c: {call: f}}]",
            ("runtime", 500, "/use/extensions/0/e/before/0/b"),
        ),
        gives(
            "a loop's variables and the way out of a `catch` survive the lists after",
            "{}",
            "use:
  extensions:
    - f: {extend: for, after: [{a: {wait: PT0S}}]}
    - t: {extend: try, after: [{b: {wait: PT0S}}]}
do:
  - l: {for: {each: x, in: '[1, 2]'}, do: [{s: {set: {n: 1}}}], export: {as: '{x: $x}'}}
  - t: {try: [{r: {raise: {error: {type: runtime, status: 500}}}}], catch: {then: z}}
  - y: {set: {n: y}, then: end}
  - z: {set: '${ $context.x }'}",
            "2",
        ),
        fails(
            "a condition cannot name a secret",
            "{}",
            "use: {secrets: [key], extensions: [{e: {extend: set, when: $secrets.key, before: []}}]}
do: [{s: {set: {n: 9}}}]",
            ("configuration", 400, "/do/0/s"),
        ),
        fails(
            "the task's timeout covers its extensions",
            "{}",
            "use: {extensions: [{e: {extend: set, before: [{b: {wait: PT10S}}]}}]}
do: [{s: {set: {n: 9}, timeout: {after: PT5S}}}]",
            ("timeout", 408, "/do/0/s"),
        ),
    ]);
}

#[test]
fn a_dispatched_task_is_extended_like_any_other() {
    let body = "
use:
  extensions:
    - mock: {extend: call, when: '$task.name == \"mocked\"', before: [{m: {call: mock, then: exit}}]}
    - log: {extend: call, after: [{a: {call: log, with: {got: '${ $output }'}}}]}
do: [{real: {call: work, with: {n: 1}}}, {mocked: {call: work, output: {as: '{got: .}'}}}]";
    let mut run = Run::of(body).script(|job| match &*job.name {
        "m" => Answer::Give(Value::Int(7)),
        _ => Answer::Echo,
    });
    run.begin();
    while run.state.ending.is_none() {
        run.crash();
        run.settle();
    }
    assert_eq!(run.output(), r#"{"got":7}"#);
    assert_eq!(run.order(), "real a mocked m a");
    let logged: Vec<String> =
        run.jobs.iter().filter(|job| &*job.name == "a").map(|job| job.with.to_json()).collect();
    assert_eq!(logged, [r#"{"got":{"n":1}}"#, r#"{"got":{"got":7}}"#]);
}

#[test]
fn the_limit_of_an_attempt_does_not_count_what_comes_after_it() {
    let body = "
use: {extensions: [{e: {extend: try, after: [{a: {wait: PT10S}}]}}]}
do: [{t: {try: [{s: {set: {n: 1}}}], catch: {retry: {limit: {attempt: {count: 1, duration: PT5S}}}}}}]";
    assert_eq!(Run::of(body).go().output(), r#"{"n":1}"#);
}
