//! Data flow and expressions.

use serde_json::json;

use super::super::{Case, fails, gives, refuses};

pub(super) fn cases() -> Vec<Case> {
    vec![
        gives(
            "loose-mode-evaluates-texts-and-keeps-those-that-fail",
            "evaluate: { mode: loose }\ndo:\n  - a:\n      set:\n        sum: .x + 1\n        marked: '${ .x }'\n        words: Hello Ada\n        fails: .x.y\n        failed: '${ .x.y }'\n        empty: ''\n        comment: '# no input'\n        list: [ .x, x, 7 ]\n        text: '${ .x } and more'\n      output: { as: { all: ., plain: '${ \"length\" }' } }",
            json!({"x": 1}),
            json!({"all": {
                "sum": 2, "marked": 1, "words": "Hello Ada", "fails": ".x.y", "failed": "${ .x.y }",
                "empty": "", "comment": "# no input", "list": [1, "x", 7], "text": "1 and more",
            }, "plain": "length"}),
        ),
        gives(
            "loose-mode-in-what-a-worker-sends",
            "evaluate: { mode: loose }\ndo:\n  - a:\n      call: http\n      with: { method: post, endpoint: BASE/echo, headers: { x-a: .x }, body: { sum: .x + 1, method: get } }\n      output: { as: '{ a: .headers[\"x-a\"], body: (.body | fromjson) }' }",
            json!({"x": 1}),
            json!({"a": "1", "body": {"sum": 2, "method": "get"}}),
        ),
        fails(
            "loose-mode-is-not-for-conditions",
            "evaluate: { mode: loose }\ndo:\n  - a: { if: .x.y, set: { z: 1 } }",
            json!({"x": 1}),
            json!({"type": "expression", "status": 400}),
        ),
        gives(
            "workflow-input-from",
            "input: { from: .inner }\ndo:\n  - a: { set: { got: '${ . }', raw: '${ $workflow.input }' } }",
            json!({"inner": {"x": 1}}),
            json!({"got": {"x": 1}, "raw": {"inner": {"x": 1}}}),
        ),
        gives(
            "workflow-output-as",
            "do:\n  - a: { set: { x: 1, y: 2 } }\noutput: { as: '{ only: .x, ctx: $context }' }",
            json!({}),
            json!({"only": 1, "ctx": {}}),
        ),
        gives(
            "output-as-also-when-ended-early",
            "do:\n  - a: { set: { x: 1 }, then: end }\n  - b: { set: { x: 2 } }\noutput: { as: .x }",
            json!({}),
            json!(1),
        ),
        gives(
            "export-replaces-the-context",
            "do:\n  - a: { set: { x: 1 }, export: { as: '{ x: .x }' } }\n  - b: { set: { y: 2 }, export: { as: '$context + { y: $output.y }' } }\n  - c: { set: '${ $context }' }",
            json!({}),
            json!({"x": 1, "y": 2}),
        ),
        gives(
            "object-form-of-as-and-from",
            "do:\n  - a:\n      input: { from: { n: '${ .a + 1 }', k: literal .a } }\n      set: '${ . }'\n      output: { as: { n: '${ .n * 2 }', k: '${ .k }', input: '${ $input.n }' } }",
            json!({"a": 1}),
            json!({"n": 4, "k": "literal .a", "input": 2}),
        ),
        gives(
            "keys-are-never-evaluated-and-data-neither",
            "do:\n  - a: { set: { '${ .x }': '${ .x }' } }",
            json!({"x": "${ .y }"}),
            json!({"${ .x }": "${ .y }"}),
        ),
        gives(
            "text-with-expressions",
            "do:\n  - a: { set: { t: 'Dear ${ .name }, ${ .n } of ${ [1, \"}\"] }.', lone: '${ .n }' } }",
            json!({"name": "Ada", "n": 2}),
            json!({"t": "Dear Ada, 2 of [1,\"}\"].", "lone": 2}),
        ),
        gives(
            "none-one-and-many-results",
            "do:\n  - a: { set: { none: '${ empty }', one: '${ 1 }', many: '${ 1, 2 }' } }",
            json!({}),
            json!({"none": null, "one": 1, "many": [1, 2]}),
        ),
        gives(
            "null-semantics",
            "do:\n  - a: { set: { x: '${ .a.b.c }', y: '${ .list + [1] }', z: '${ null | .a[0] }' } }",
            json!({}),
            json!({"x": null, "y": [1], "z": null}),
        ),
        refuses("no-environment", "do:\n  - a: { set: { e: '${ $ENV }' } }", "WL0401"),
        refuses("no-environment-by-function", "do:\n  - a: { set: { e: '${ env }' } }", "WL0401"),
        gives(
            "task-descriptor",
            "do:\n  - outer:\n      do:\n        - inner: { set: { name: '${ $task.name }', at: '${ $task.reference }', input: '${ $task.input }' } }",
            json!({"x": 1}),
            json!({"name": "inner", "at": "/do/0/outer/do/0/inner", "input": {"x": 1}}),
        ),
        gives(
            "workflow-and-runtime-descriptors",
            "do:\n  - a: { set: { n: '${ $workflow.definition.document.name }', id: '${ $workflow.id | length }', r: '${ $runtime.name | ascii_downcase }', at: '${ $workflow.startedAt.epoch.milliseconds > 0 }' } }",
            json!({}),
            json!({"n": "workflow-and-runtime-descriptors", "id": 36, "r": "windlass", "at": true}),
        ),
        gives(
            "if-decides-on-the-raw-input-and-a-skipped-task-passes-it-on",
            "do:\n  - a: { if: .go, input: { from: .x }, set: { ran: true }, then: end }\n  - b: { set: { was: '${ . }' } }",
            json!({"go": false, "x": 1}),
            json!({"was": {"go": false, "x": 1}}),
        ),
        gives(
            "numbers-keep-their-size",
            "do:\n  - a: { set: { big: '${ .big }', whole: 9007199254740993, part: 0.1 } }",
            json!({"big": 9_007_199_254_740_993_i64}),
            json!({"big": 9_007_199_254_740_993_i64, "whole": 9_007_199_254_740_993_i64, "part": 0.1}),
        ),
        gives("an-empty-list-passes-its-input-on", "do: []", json!({"x": 1}), json!({"x": 1})),
        fails(
            "an-expression-that-fails",
            "do:\n  - a: { set: { x: '${ .a | tonumber }' } }",
            json!({"a": "many"}),
            json!({"type": "expression", "status": 400, "instance": "/do/0/a"}),
        ),
        fails(
            "task-input-schema",
            "do:\n  - a:\n      input: { schema: { document: { type: object, required: [n] } } }\n      set: { x: 1 }",
            json!({}),
            json!({"type": "validation", "status": 400, "instance": "/do/0/a"}),
        ),
        fails(
            "task-output-schema-after-as",
            "do:\n  - a:\n      set: { n: 1 }\n      output: { as: .n, schema: { document: { type: string } } }",
            json!({}),
            json!({"type": "validation", "status": 400, "instance": "/do/0/a"}),
        ),
        fails(
            "workflow-output-schema",
            "do:\n  - a: { set: { n: 1 } }\noutput: { schema: { document: { required: [m] } } }",
            json!({}),
            json!({"type": "validation", "status": 400}),
        ),
        gives(
            "export-schema-keeps-the-old-context",
            "do:\n  - a: { set: { x: 1 }, export: { as: '{ good: 1 }' } }\n  - t:\n      try:\n        - b: { set: { x: 2 }, export: { as: '{ bad: 1 }', schema: { document: { required: [good] } } } }\n      catch: { as: e, do: [ { c: { set: { context: '${ $context }', status: '${ $e.status }' } } } ] }",
            json!({}),
            json!({"context": {"good": 1}, "status": 400}),
        ),
    ]
}
