//! Lists of tasks, and what tasks do.

use super::super::Frame::{List, Task};
use super::{Part, accepted, refused, warned};

pub(super) fn parts() -> Vec<Part> {
    vec![lists(), calls(), programs(), errors(), events(), others()]
}

fn lists() -> Part {
    let again = "a: { set: { x: 1 }, then: b }, b: { set: { x: 1 } }, b: { set: { x: 2 } }";
    let elsewhere = "order: { wait: PT1S, then: pay }, deliver: { do: [ pay: { wait: PT1S } ] }";
    Part {
        title: "Lists of tasks",
        rows: vec![
            refused("a task without a name", "WL0130", List, "{ call: http, with: {} }"),
            refused("the same, of one property", "WL0133", List, "set: { x: 1 }"),
            refused("the same, with a list", "WL0120", List, "do: [ a: { set: { x: 1 } } ]"),
            warned("an empty name", "WL0150", List, "'': { set: { x: 1 } }"),
            refused(
                "two tasks in one item",
                "WL0130",
                List,
                "{ a: { wait: PT1S }, b: { wait: PT1S } }",
            ),
            warned("one name twice", "WL0131", List, "a: { set: { x: 1 } }, a: { set: { x: 2 } }"),
            refused("one name twice, and a `then` to it", "WL0131", List, again),
            refused("`then` to a task of another list", "WL0301", List, elsewhere),
            warned("a task called like a directive", "WL0132", List, "end: { set: { x: 1 } }"),
            refused("a task of two kinds", "WL0134", Task, "set: { x: 1 }, wait: PT1S"),
            refused("a misspelt kind", "WL0133", Task, "cal: http"),
            refused("tasks as a mapping", "WL0120", Task, "do: { a: { set: { x: 1 } } }"),
            refused("a condition called `when`", "WL0122", Task, "set: { x: 1 }, when: .ok"),
            refused("a transition", "WL0122", Task, "set: { x: 1 }, next: b"),
            refused("a description", "WL0122", Task, "set: { x: 1 }, description: sets x"),
            warned("a boolean as condition", "WL0212", Task, "if: true, set: { x: 1 }"),
        ],
    }
}

fn calls() -> Part {
    let http = |what, code, written| refused(what, code, Task, written);
    let uri = |what, code, written| warned(what, code, Task, written);
    Part {
        title: "Calls",
        rows: vec![
            http("HTTP without a method", "WL0121", "call: http, with: { endpoint: http://a }"),
            uri(
                "`uri` for `endpoint`",
                "WL0210",
                "call: http, with: { method: get, uri: http://a }",
            ),
            uri(
                "`url` for `endpoint`",
                "WL0234",
                "call: http, with: { method: get, url: http://a }",
            ),
            uri(
                "`url` for `uri`",
                "WL0234",
                "call: http, with: { method: get, endpoint: { url: http://a } }",
            ),
            http(
                "authentication beside the endpoint",
                "WL0122",
                "call: http, with: { method: get, endpoint: http://a, authentication: { use: me } }",
            ),
            http(
                "authentication of the task",
                "WL0122",
                "call: http, with: { method: get, endpoint: http://a }, authentication: { use: me }",
            ),
            http(
                "a timeout of the call",
                "WL0122",
                "call: http, with: { method: get, endpoint: http://a, timeout: PT5S }",
            ),
            http(
                "properties of the call beside `with`",
                "WL0122",
                "call: http, with: { method: get, endpoint: http://a }, body: { x: 1 }",
            ),
            http(
                "`data` to send",
                "WL0122",
                "call: http, with: { method: post, endpoint: http://a, data: { x: 1 } }",
            ),
            http(
                "parameters of a query",
                "WL0122",
                "call: http, with: { method: get, endpoint: http://a, params: { x: 1 } }",
            ),
            http(
                "a retry of the task",
                "WL0122",
                "call: http, with: { method: get, endpoint: http://a }, retry: often",
            ),
            http(
                "another output",
                "WL0124",
                "call: http, with: { method: get, endpoint: http://a, output: body }",
            ),
            uri(
                "a number as header",
                "WL0212",
                "call: http, with: { method: get, endpoint: http://a, headers: { X: 1 } }",
            ),
            accepted(
                "data inside an endpoint (encoded, see above)",
                Task,
                "call: http, with: { method: get, endpoint: 'http://a/${ .id }' }",
            ),
            uri(
                "an expression as operation",
                "WL0153",
                "call: openapi, with: { document: { endpoint: http://a }, operationId: '${ .id }' }",
            ),
            uri("a function as data", "WL0206", "call: function, with: { function: log }"),
            uri("a function nobody defines", "WL0307", "call: charge, with: { amount: 1 }"),
        ],
    }
}

fn programs() -> Part {
    let run = |what, code, written| warned(what, code, Task, written);
    let beside = "run: { script: { language: js, code: x }, arguments: [ a ] }";
    let inside = "run: { script: { language: js, code: x, return: all } }";
    Part {
        title: "Programs and child workflows",
        rows: vec![
            run(
                "data in a command",
                "WL0235",
                "run: { shell: { command: 'echo \"${ .name }\"' } }",
            ),
            accepted(
                "the same, quoted",
                Task,
                "run: { shell: { command: 'echo ${ .name | @sh }' } }",
            ),
            accepted("variables of the shell", Task, "run: { shell: { command: 'echo ${HOME}' } }"),
            run("`args`", "WL0233", "run: { shell: { command: ls, args: [ -l ] } }"),
            run(
                "a mapping of arguments (right for `dsl` 1.0.0 and 1.0.1)",
                "WL0209",
                "run: { script: { language: js, code: x, arguments: { a: 1 } } }",
            ),
            run(
                "another name of a language",
                "WL0208",
                "run: { script: { language: javascript, code: x } }",
            ),
            run(
                "an expression in code",
                "WL0153",
                "run: { script: { language: js, code: 'let x = \"${ .x }\"' } }",
            ),
            refused("arguments beside the script", "WL0122", Task, beside),
            refused("`return` inside the script", "WL0122", Task, inside),
            refused(
                "a timeout of the program",
                "WL0122",
                Task,
                "run: { shell: { command: ls, timeout: PT5S } }",
            ),
            run(
                "a child without version",
                "WL0218",
                "run: { workflow: { namespace: a, name: b } }",
            ),
            run(
                "a number as version of a child",
                "WL0212",
                "run: { workflow: { namespace: a, name: b, version: 1.0 } }",
            ),
        ],
    }
}

fn errors() -> Part {
    let raise = |what, code, written| warned(what, code, Task, written);
    Part {
        title: "Errors",
        rows: vec![
            raise("`do` inside `try`", "WL0201", "try: { do: [ a: { wait: PT1S } ] }, catch: {}"),
            raise("one task as `try`", "WL0202", "try: { set: { x: 1 } }, catch: {}"),
            raise("several clauses of `catch`", "WL0203", "try: [], catch: [ { do: [] } ]"),
            raise("`error` for `errors.with`", "WL0204", "try: [], catch: { error: http://a/b }"),
            raise("`handle` for `do`", "WL0205", "try: [], catch: { handle: [] }"),
            refused(
                "a retry policy in `catch` itself",
                "WL0122",
                Task,
                "try: [], catch: { delay: PT1S }",
            ),
            raise(
                "what a backoff does not have",
                "WL0236",
                "try: [], catch: { retry: { backoff: { exponential: { factor: 3 } } } }",
            ),
            refused(
                "a delay that shrinks, or grows a million times",
                "WL0138",
                Task,
                "try: [], catch: { retry: { backoff: { exponential: { multiplier: 1e6 } } } }",
            ),
            refused("`try` without `catch`", "WL0121", Task, "try: []"),
            raise(
                "`details` of an error",
                "WL0221",
                "raise: { error: { type: http://a, status: 400, details: x } }",
            ),
            raise(
                "a text as status",
                "WL0222",
                "raise: { error: { type: http://a, status: '400' } }",
            ),
            raise(
                "an instance that is no pointer",
                "WL0143",
                "raise: { error: { type: http://a, status: 400, instance: here } }",
            ),
            refused("an error nobody defines", "WL0305", Task, "raise: { error: notFound }"),
        ],
    }
}

fn events() -> Part {
    let filter = |what, code, written| warned(what, code, Task, written);
    let inside = "listen: { to: { any: [] }, foreach: { do: [] } }";
    Part {
        title: "Events",
        rows: vec![
            refused("attributes in `event`", "WL0121", Task, "emit: { event: { type: a.b } }"),
            refused("attributes in `emit`", "WL0122", Task, "emit: { with: { type: a.b } }"),
            refused(
                "an emitted attribute with capitals",
                "WL0125",
                Task,
                "emit: { event: { with: { type: a, orderId: 1 } } }",
            ),
            refused(
                "a filter without `with`",
                "WL0122",
                Task,
                "listen: { to: { one: { type: a.b } } }",
            ),
            refused(
                "filters without `to`",
                "WL0122",
                Task,
                "listen: { one: { with: { type: a.b } } }",
            ),
            refused("`foreach` inside `listen`", "WL0122", Task, inside),
            filter(
                "a number as attribute",
                "WL0212",
                "listen: { to: { one: { with: { type: 7 } } } }",
            ),
            filter(
                "a list as attribute",
                "WL0151",
                "listen: { to: { any: [ { with: { type: [ a, b ] } }, { with: { type: c } } ] } }",
            ),
            filter(
                "a sign that is no pattern",
                "WL0151",
                "listen: { to: { any: [ { with: { type: '*' } }, { with: { type: c } } ] } }",
            ),
            filter(
                "an attribute with capitals",
                "WL0151",
                "listen: { to: { any: [ { with: { eventType: a } }, { with: { type: c } } ] } }",
            ),
            filter(
                "an `until` that is never true",
                "WL0152",
                "listen: { to: { any: [], until: 'false' } }",
            ),
        ],
    }
}

fn others() -> Part {
    let time = |what, code, written| warned(what, code, Task, written);
    Part {
        title: "Loops, branches, time",
        rows: vec![
            time("a loop without `do`", "WL0219", "for: { in: .items }"),
            refused("`do` inside `for`", "WL0122", Task, "for: { in: .items, do: [] }, do: []"),
            time(
                "a variable declared with `$`",
                "WL0220",
                "for: { each: $item, in: .items }, do: []",
            ),
            refused(
                "a variable that is no name",
                "WL0142",
                Task,
                "for: { each: my-item, in: .x }, do: []",
            ),
            refused(
                "two defaults",
                "WL0136",
                Task,
                "switch: [ a: { then: end }, b: { then: exit } ]",
            ),
            refused(
                "a case without a name",
                "WL0130",
                Task,
                "switch: [ { when: .ok, then: end } ]",
            ),
            time("a duration inside `wait`", "WL0232", "wait: { duration: PT5S }"),
            time("a unit with capitals", "WL0211", "wait: { Seconds: 5 }"),
            time("an expression as number of a unit", "WL0223", "wait: { seconds: '${ .x }' }"),
            refused("a duration in other words", "WL0129", Task, "wait: 5s"),
        ],
    }
}
