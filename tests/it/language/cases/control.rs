//! do, for, fork, switch, wait, directives, functions, extensions.

use serde_json::json;

use super::super::{Case, fails, gives};

pub(super) fn cases() -> Vec<Case> {
    vec![
        gives(
            "for-without-items",
            "do:\n  - a: { for: { each: x, in: .list }, do: [ { b: { set: { n: 1 } } } ] }",
            json!({"list": null, "k": 1}),
            json!({"list": null, "k": 1}),
        ),
        gives(
            "for-with-while-and-index",
            "do:\n  - a:\n      for: { each: x, in: '[10, 20, 30]', at: i }\n      while: $i < 2\n      do: [ { b: { set: { seen: '${ (.seen // []) + [[$i, $x]] }' } } } ]",
            json!({}),
            json!({"seen": [[0, 10], [1, 20]]}),
        ),
        gives(
            "for-over-a-list-in-the-text",
            "do:\n  - a:\n      for: { each: x, in: [ { n: 1 }, { n: 2 } ] }\n      do: [ { b: { set: { sum: '${ (.sum // 0) + $x.n }' } } } ]",
            json!({}),
            json!({"sum": 3}),
        ),
        fails(
            "for-over-what-is-no-list",
            "do:\n  - a: { for: { in: .n }, do: [ { b: { set: { x: 1 } } } ] }",
            json!({"n": 5}),
            json!({"type": "expression", "status": 400, "instance": "/do/0/a"}),
        ),
        gives(
            "for-exit-ends-one-iteration",
            "do:\n  - a:\n      for: { each: x, in: '[1, 2, 3]' }\n      do:\n        - one: { set: { s: '${ (.s // \"\") + ($x | tostring) }' } }\n        - skip: { if: $x == 2, set: '${ . }', then: exit }\n        - two: { set: { s: '${ .s + \"!\" }' } }",
            json!({}),
            json!({"s": "1!23!"}),
        ),
        gives(
            "exit-leaves-a-list-and-end-the-workflow",
            "do:\n  - a:\n      do:\n        - b: { switch: [ { c: { when: .x == 1, then: exit } }, { d: { then: end } } ] }\n        - never: { set: { x: never } }\n  - after: { set: { x: '${ .x + 10 }' } }",
            json!({"x": 1}),
            json!({"x": 11}),
        ),
        gives(
            "end-from-within",
            "do:\n  - a: { for: { in: '[1, 2]' }, do: [ { b: { do: [ { c: { set: { done: true }, then: end } } ] } } ] }\n  - never: { set: { done: false } }",
            json!({}),
            json!({"done": true}),
        ),
        gives(
            "a-jump-back-is-a-loop",
            "do:\n  - add: { set: { n: '${ .n + 1 }' } }\n  - again: { switch: [ { more: { when: .n < 2000, then: add } } ] }\n  - out: { set: { n: '${ .n }' } }",
            json!({"n": 0}),
            json!({"n": 2000}),
        ),
        gives(
            "switch-default-counts-only-when-nothing-else-fits",
            "do:\n  - s: { switch: [ { other: { then: b } }, { one: { when: .n == 1, then: a } } ] }\n  - a: { set: { got: a }, then: end }\n  - b: { set: { got: b } }",
            json!({"n": 1}),
            json!({"got": "a"}),
        ),
        gives(
            "fork-keeps-the-order-of-its-branches",
            "do:\n  - f: { fork: { branches: [ { slow: { do: [ { w: { wait: { milliseconds: 150 } } }, { s: { set: { b: 1 } } } ] } }, { fast: { set: { b: 2 } } } ] } }",
            json!({}),
            json!([{"b": 1}, {"b": 2}]),
        ),
        gives(
            "fork-compete-takes-the-first-that-succeeds",
            "do:\n  - f: { fork: { compete: true, branches: [ { slow: { wait: PT1H } }, { bad: { raise: { error: { type: 'https://x.example/e', status: 500 } } } }, { good: { do: [ { w: { wait: { milliseconds: 50 } } }, { s: { set: { won: true } } } ] } } ] } }",
            json!({}),
            json!({"won": true}),
        ),
        fails(
            "fork-fails-with-its-branch",
            "do:\n  - f: { fork: { branches: [ { slow: { wait: PT1H } }, { bad: { raise: { error: { type: 'https://x.example/e', status: 507 } } } } ] } }",
            json!({}),
            json!({"type": "https://x.example/e", "status": 507, "instance": "/do/0/f/fork/branches/1/bad"}),
        ),
        gives("fork-of-nothing", "do:\n  - f: { fork: { branches: [] } }", json!({}), json!([])),
        gives(
            "fork-joins-contexts-in-order",
            "do:\n  - f: { fork: { branches: [ { a: { do: [ { w: { wait: { milliseconds: 80 } } }, { s: { set: { x: 1 }, export: { as: '$context + { a: 1, both: 1 }' } } } ] } }, { b: { set: { x: 2 }, export: { as: '$context + { b: 2, both: 2 }' } } } ] } }\n  - g: { set: '${ $context }' }",
            json!({}),
            json!({"a": 1, "b": 2, "both": 2}),
        ),
        gives(
            "waits-take-every-form",
            "do:\n  - a: { wait: { milliseconds: 10 } }\n  - b: { wait: PT0.02S }\n  - c: { wait: '${ .d }' }\n  - e: { wait: { seconds: 0 } }",
            json!({"d": "PT0.01S"}),
            json!({"d": "PT0.01S"}),
        ),
        fails(
            "a-duration-that-is-none",
            "do:\n  - a: { wait: '${ .d }' }",
            json!({"d": "a while"}),
            json!({"type": "expression", "status": 400}),
        ),
        gives(
            "functions-get-their-arguments-as-input",
            "use: { functions: { double: { input: { schema: { document: { required: [n] } } }, set: { r: '${ .n * 2 }' }, output: { as: .r } } } }\ndo:\n  - a: { call: double, with: { n: '${ .k + 1 }' }, output: { as: '{ got: ., k: $input.k }' } }",
            json!({"k": 3}),
            json!({"got": 8, "k": 3}),
        ),
        fails(
            "a-function-checks-its-input",
            "use: { functions: { double: { input: { schema: { document: { required: [n] } } }, set: { r: 1 } } } }\ndo:\n  - a: { call: double, with: { m: 1 } }",
            json!({}),
            json!({"type": "validation", "status": 400}),
        ),
        gives(
            "extensions-surround-tasks",
            "use: { extensions: [ { mock: { extend: call, when: '$task.with.endpoint | tostring | contains(\"mocked\")', before: [ { m: { set: { mocked: true }, then: exit } } ] } } ] }\ndo:\n  - a: { call: http, with: { method: get, endpoint: 'http://mocked.invalid/' } }",
            json!({}),
            json!({"mocked": true}),
        ),
        gives(
            "names-with-special-characters",
            "do:\n  - 'a/b~c d': { set: { at: '${ $task.reference }' } }",
            json!({}),
            json!({"at": "/do/0/a~1b~0c d"}),
        ),
        gives(
            "the-names-of-the-frozen-specification",
            "evaluate: { language: jq, mode: strict }\ndo:\n  - a: { set: { x: '${ 1 }' } }",
            json!({}),
            json!({"x": 1}),
        ),
    ]
}
