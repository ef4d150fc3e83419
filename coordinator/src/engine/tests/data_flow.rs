//! Input, output, export and their schemas (D1-D17).

use super::driver::{Answer, Run};
use super::{check, fails, gives, json};

#[test]
fn data_flows_in_the_order_of_the_specification() {
    check(&[
        gives("nothing to do gives the input (L7)", "{\"a\": 1}", "do: []", "{\"a\": 1}"),
        gives("no input is an empty object (D15)", "{}", "do: [{a: {set: '${ . }'}}]", "{}"),
        gives(
            "`input.from` of the workflow, as text (D2)",
            "{\"a\": {\"b\": 1}}",
            "input: {from: .a}\ndo: [{a: {set: '${ {got: .} }'}}]",
            "{\"got\": {\"b\": 1}}",
        ),
        gives(
            "`input.from` of the workflow, as an object (D2)",
            "{\"a\": 1}",
            "input: {from: {x: '${ .a }', y: .a}}\ndo: []",
            "{\"x\": 1, \"y\": \".a\"}",
        ),
        gives(
            "`$workflow.input` is the raw input",
            "{\"a\": 1}",
            "input: {from: .a}\ndo: [{a: {set: '${ [., $workflow.input.a] }'}}]",
            "[1, 1]",
        ),
        gives(
            "`$context` begins as an empty object (D3)",
            "{}",
            "do: [{a: {set: '${ [$context, $context.x] }'}}]",
            "[{}, null]",
        ),
        gives(
            "`.` and `$input` of a task are its transformed input (D6, D7)",
            "{\"a\": {\"b\": 2}}",
            "do: [{a: {input: {from: .a}, set: {dot: '${ .b }', input: '${ $input.b }'}}}]",
            "{\"dot\": 2, \"input\": 2}",
        ),
        gives(
            "`output.as` sees the raw output, and `$input` (D8)",
            "{\"a\": 1}",
            "do: [{a: {set: {b: 2}, output: {as: '{b: .b, a: $input.a, none: $output}'}}}]",
            "{\"b\": 2, \"a\": 1, \"none\": null}",
        ),
        gives(
            "`export.as` sees the transformed output and replaces the context (D10)",
            "{\"a\": 1}",
            "do:
  - a: {set: {b: 2}, output: {as: .b}, export: {as: '{got: ., output: $output, input: $input}'}}
  - b: {set: '${ $context }', export: {as: '{second: true}'}}
  - c: {set: {before: '${ . }', now: '${ $context }'}}",
            "{\"before\": {\"got\": 2, \"output\": 2, \"input\": {\"a\": 1}}, \"now\": {\"second\": true}}",
        ),
        gives(
            "the next task gets the transformed output (D16)",
            "{}",
            "do: [{a: {set: {b: {c: 3}}, output: {as: .b}}}, {b: {set: '${ .c }'}}]",
            "3",
        ),
        gives(
            "a list in a list begins with the transformed input (D16)",
            "{\"a\": {\"b\": 4}}",
            "do: [{a: {input: {from: .a}, do: [{b: {set: '${ .b }'}}], output: {as: '[., $input]'}}}]",
            "[4, {\"b\": 4}]",
        ),
        gives(
            "an empty list gives its transformed input (D16)",
            "{\"a\": 5}",
            "do: [{a: {input: {from: .a}, do: []}}]",
            "5",
        ),
        gives(
            "`output.as` of the workflow, on the last output (D12)",
            "{}",
            "do: [{a: {set: {b: 2}, export: {as: '{c: 3}'}}}]\noutput: {as: '{b, c: $context.c}'}",
            "{\"b\": 2, \"c\": 3}",
        ),
        gives(
            "any JSON can flow (D14)",
            "[1, null, \"x\", true]",
            "do: [{a: {set: '${ .[1] }'}}, {b: {wait: PT0S}}]",
            "null",
        ),
        gives(
            "keys keep their order, numbers their kind (D17)",
            "{\"z\": 12345678901234567890, \"a\": 1}",
            "do: [{a: {set: {y: '${ .z }', b: '${ .a }'}}}]",
            "{\"y\": 12345678901234567890, \"b\": 1}",
        ),
        gives(
            "text found in data is never evaluated (X12)",
            "{\"a\": \"${ .b }\", \"b\": 1}",
            "do: [{a: {set: {a: '${ .a }'}}}, {b: {set: '${ .a }'}}]",
            "\"${ .b }\"",
        ),
        gives(
            "`$input` is null where the specification gives none",
            "{\"a\": 1}",
            "input: {from: '{a, i: $input}'}
do: [{a: {if: '$input == null', input: {from: '{a, i, j: $input}'}, set: '${ . }'}}]
output: {as: '{a, i, j, k: $input}'}",
            "{\"a\": 1, \"i\": null, \"j\": null, \"k\": null}",
        ),
    ]);
}

#[test]
fn every_schema_is_checked_where_the_specification_says() {
    check(&[
        fails(
            "the workflow's input, before `from` (D1)",
            "{\"a\": \"x\"}",
            "input: {schema: {document: {properties: {a: {type: integer}}}}, from: '{a: 1}'}\ndo: []",
            ("validation", 400, "/"),
        ),
        fails(
            "the task's input, before `from` (D5)",
            "{\"a\": \"x\"}",
            "do:
  - a: {input: {schema: {document: {properties: {a: {type: integer}}}}, from: '{a: 1}'}, set: {b: 1}}",
            ("validation", 400, "/do/0/a"),
        ),
        fails(
            "the task's output, after `as` (D9)",
            "{}",
            "do: [{a: {set: {b: 1}, output: {as: .b, schema: {document: {type: object}}}}}]",
            ("validation", 400, "/do/0/a"),
        ),
        fails(
            "the context, after `export.as` (D11)",
            "{}",
            "do: [{a: {set: {b: 1}, export: {as: .b, schema: {document: {type: object}}}}}]",
            ("validation", 400, "/do/0/a"),
        ),
        fails(
            "the workflow's output, after `as` (D12)",
            "{}",
            "do: [{a: {set: {b: 1}}}]\noutput: {as: .b, schema: {document: {type: object}}}",
            ("validation", 400, "/"),
        ),
        fails(
            "a schema may be `false` (D13)",
            "{}",
            "do: [{a: {input: {schema: {document: false}}, set: {b: 1}}}]",
            ("validation", 400, "/do/0/a"),
        ),
        gives(
            "a schema may be `true`, with a version in its format (D13)",
            "{}",
            "do: [{a: {input: {schema: {format: 'json:2020-12', document: true}}, set: {b: 1}}}]",
            "{\"b\": 1}",
        ),
        gives(
            "a context that its schema refuses is not kept (D11)",
            "{}",
            "do:
  - a: {set: {b: 1}, export: {as: '{old: true}'}}
  - t:
      try: [{b: {set: {b: 2}, export: {as: '{old: false}', schema: {document: {required: [new]}}}}}]
      catch: {do: [{c: {set: '${ $context }'}}]}",
            "{\"old\": true}",
        ),
        fails(
            "an expression that fails (X11)",
            "{}",
            "do: [{a: {do: [{b: {set: {b: '${ 1 + {} }'}}}]}}]",
            ("expression", 400, "/do/0/a/do/0/b"),
        ),
        fails(
            "`input.from` of the workflow fails",
            "{}",
            "input: {from: '1 + {}'}\ndo: []",
            ("expression", 400, "/"),
        ),
        fails(
            "`output.as` of the workflow fails",
            "{}",
            "do: []\noutput: {as: '1 + {}'}",
            ("expression", 400, "/"),
        ),
        fails(
            "`if` fails (D4)",
            "{}",
            "do: [{a: {if: '1 + {}', set: {b: 1}}}]",
            ("expression", 400, "/do/0/a"),
        ),
        fails(
            "`output.as` of a task fails",
            "{}",
            "do: [{a: {set: {b: 1}, output: {as: '1 + {}'}}}]",
            ("expression", 400, "/do/0/a"),
        ),
        fails(
            "`export.as` of a task fails",
            "{}",
            "do: [{a: {set: {b: 1}, export: {as: '1 + {}'}}}]",
            ("expression", 400, "/do/0/a"),
        ),
    ]);
}

#[test]
fn the_worker_transforms_a_dispatched_task_and_the_coordinator_exports() {
    let body = "
do:
  - before: {set: {a: {b: 1}, c: 2}, export: {as: '{kept: true}'}}
  - call:
      call: work
      input: {from: .a}
      with: {b: '${ .b }', context: '${ $context }', task: '${ $task.name }'}
      output: {as: '{got: ., input: $input}'}
      export: {as: '{output: $output, input: $input, raw: $task.input.c}'}
  - after: {set: {output: '${ . }', context: '${ $context }'}}";
    let run = Run::of(body).go();
    let got = "{\"got\": {\"b\": 1, \"context\": {\"kept\": true}, \"task\": \"call\"}, \
               \"input\": {\"b\": 1}}";
    let wanted = format!(
        "{{\"output\": {got}, \"context\": {{\"output\": {got}, \"input\": {{\"b\": 1}}, \"raw\": 2}}}}"
    );
    assert_eq!(json(&run.output()), json(&wanted));
    let job = run.jobs.first().unwrap();
    assert_eq!(job.raw, json("{\"a\": {\"b\": 1}, \"c\": 2}"), "the worker gets the raw input");
    assert_eq!(job.variable("context"), "{\"kept\":true}");
    assert_eq!(job.variable("workflow"), "absent", "only what its expressions name travels");
}

#[test]
fn a_dispatched_task_that_fails_leaves_the_context_alone() {
    let body = "
do:
  - a: {set: {n: 1}, export: {as: '{old: true}'}}
  - t:
      try:
        - b: {call: work, with: {x: 1}, output: {schema: {document: {required: [y]}}}, export: {as: '{}'}}
      catch: {as: e, do: [{c: {set: {context: '${ $context }', status: '${ $e.status }'}}}]}";
    let run = Run::of(body).script(|_| Answer::Echo).go();
    assert_eq!(run.output(), "{\"context\":{\"old\":true},\"status\":400}");
    assert_eq!(run.order(), "a t b c");
}
