//! Expressions, data flow, schemas.

use super::super::Frame::{Root, Task};
use super::{Part, accepted, refused, warned};

pub(super) fn parts() -> Vec<Part> {
    vec![expressions(), templates(), conditions(), schemas()]
}

fn expressions() -> Part {
    let syntax = |what, written| refused(what, "WL0401", Task, written);
    let null = |what, written| warned(what, "WL0410", Task, written);
    let text = |what, written| warned(what, "WL0411", Task, written);
    Part {
        title: "Expressions",
        rows: vec![
            text("text that looks like an expression", "set: { next: .count + 1 }"),
            text("a variable in text", "set: { who: $context.user }"),
            text("a call in text", "set: { at: now() }"),
            syntax("a call without arguments, with parentheses", "set: { at: '${ now() }' }"),
            syntax("a bare word", "set: { total: '${ amount * 2 }' }"),
            syntax("single quotes", "if: \".status == 'sold'\", set: { x: 1 }"),
            syntax("`&&`", "if: '.a && .b', set: { x: 1 }"),
            syntax("`||`", "if: '.a || .b', set: { x: 1 }"),
            syntax("`!`", "if: '!.a', set: { x: 1 }"),
            syntax("`===`", "if: '.a === 1', set: { x: 1 }"),
            syntax("an unknown variable", "set: { x: '${ $inptu.a }' }"),
            syntax("the environment", "set: { x: '${ $ENV.HOME }' }"),
            syntax("a `${` that is not closed", "set: { x: '${ .a' }"),
            null("`$output` in `output.as`", "set: { x: 1 }, output: { as: $output.x }"),
            null("`$input` in `input.from`", "set: { x: 1 }, input: { from: $input.x }"),
            null("`$input` in `if`", "if: $input.ok, set: { x: 1 }"),
            warned("`$task` outside of tasks", "WL0410", Root, "output: { as: $task.output }"),
            accepted(
                "with or without `${ }`",
                Task,
                "if: '${ .ok }', set: { x: 1 }, output: { as: .x }",
            ),
        ],
    }
}

fn templates() -> Part {
    let doubtful = |what, written| warned(what, "WL0421", Task, written);
    Part {
        title: "Braces in a URI",
        rows: vec![
            accepted(
                "a list for the query",
                Task,
                "call: http, with: { method: get, endpoint: 'http://host/items{?tags*}' }",
            ),
            doubtful(
                "the variable of a `for`",
                "for: { in: .ids }, do: [ one: { call: http, with: { method: get, endpoint: 'http://host/{item}' } } ]",
            ),
            doubtful(
                "a property inside of another",
                "call: http, with: { method: get, endpoint: 'http://host/{order.id}' }",
            ),
            doubtful(
                "a dot as in an expression",
                "call: http, with: { method: get, endpoint: 'http://host/{.id}' }",
            ),
            refused(
                "an expression",
                "WL0420",
                Task,
                "call: http, with: { method: get, endpoint: 'http://host/{id|tostring}' }",
            ),
        ],
    }
}

fn conditions() -> Part {
    let always = |what, written| warned(what, "WL0413", Task, written);
    Part {
        title: "Conditions that are always the same",
        rows: vec![
            warned("`=` for `==`", "WL0412", Task, "if: .approved = true, set: { x: 1 }"),
            warned(
                "`=` in `select`",
                "WL0412",
                Task,
                "set: { x: '${ [ .[] | select(.a = 1) ] }' }",
            ),
            always("a number", "if: .items | length, set: { x: 1 }"),
            always("a text beside `or`", "if: '.a == 1 or \"b\"', set: { x: 1 }"),
            always("a text", "switch: [ a: { when: '\"approved\"', then: end } ]"),
            always("`true` for `false`", "if: .enabled // true, set: { x: 1 }"),
            warned("`type` for `.type`", "WL0414", Task, "if: 'type == \"order\"', set: { x: 1 }"),
        ],
    }
}

fn schemas() -> Part {
    Part {
        title: "Schemas",
        rows: vec![
            warned("no envelope", "WL0228", Root, "input: { schema: { type: object } }"),
            warned(
                "no envelope, but its format",
                "WL0228",
                Root,
                "input: { schema: { format: json, required: [ id ] } }",
            ),
            refused(
                "another format",
                "WL0140",
                Root,
                "input: { schema: { format: avro, document: {} } }",
            ),
            refused(
                "neither document nor resource",
                "WL0126",
                Root,
                "input: { schema: { format: json } }",
            ),
            refused(
                "no JSON Schema",
                "WL0139",
                Root,
                "input: { schema: { document: { type: text } } }",
            ),
        ],
    }
}
