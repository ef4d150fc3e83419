//! `switch` (§1.7).

use super::{check, fails, gives};

#[test]
fn the_first_case_that_holds_decides() {
    check(&[
        gives(
            "the first case that holds, not the last",
            "{\"n\": 2}",
            "do:
  - s: {switch: [{x: {when: .n == 1, then: a}}, {y: {when: .n == 2, then: b}}, {z: {when: 'true', then: a}}]}
  - a: {set: {r: a}, then: end}
  - b: {set: {r: b}, then: end}",
            "{\"r\": \"b\"}",
        ),
        gives(
            "the default may stand anywhere, and counts last",
            "{\"n\": 2}",
            "do:
  - s: {switch: [{x: {then: a}}, {y: {when: .n == 2, then: b}}]}
  - a: {set: {r: a}, then: end}
  - b: {set: {r: b}, then: end}",
            "{\"r\": \"b\"}",
        ),
        gives(
            "the default where nothing else holds",
            "{\"n\": 3}",
            "do:
  - s: {switch: [{y: {when: .n == 2, then: b}}, {x: {then: a}}, {z: {when: .none, then: b}}]}
  - b: {set: {r: b}, then: end}
  - a: {set: {r: a}, then: end}",
            "{\"r\": \"a\"}",
        ),
        gives(
            "without match and default, the task's own `then`",
            "{\"n\": 3}",
            "do:
  - s: {switch: [{y: {when: .n == 2, then: a}}], then: b}
  - a: {set: {r: a}, then: end}
  - b: {set: {r: b}, then: end}",
            "{\"r\": \"b\"}",
        ),
        gives(
            "without match, default and `then`, the next task",
            "{\"n\": 3}",
            "do:
  - s: {switch: [{y: {when: .n == 2, then: b}}]}
  - a: {set: {r: a}, then: end}
  - b: {set: {r: b}, then: end}",
            "{\"r\": \"a\"}",
        ),
        gives(
            "the case's `then` goes before the task's",
            "{\"n\": 2}",
            "do:
  - s: {switch: [{y: {when: .n == 2, then: continue}}], then: b}
  - a: {set: {r: a}, then: end}
  - b: {set: {r: b}, then: end}",
            "{\"r\": \"a\"}",
        ),
        gives(
            "a case may end the workflow or leave the list",
            "{\"n\": 2}",
            "do:
  - d: {do: [{s: {switch: [{y: {when: .n == 2, then: exit}}]}}, {a: {set: {r: a}}}]}
  - e: {switch: [{y: {then: end}}]}
  - b: {set: {r: b}}",
            "{\"n\": 2}",
        )
        .order("d s e"),
        gives(
            "the output is the transformed input",
            "{\"a\": {\"n\": 2}}",
            "do: [{s: {input: {from: .a}, switch: [{y: {when: .n == 2 and $input.n == 2, then: exit}}]}}]",
            "{\"n\": 2}",
        ),
        fails(
            "a condition that fails",
            "{\"n\": 2}",
            "do: [{s: {switch: [{y: {when: .n | keys, then: exit}}]}}]",
            ("expression", 400, "/do/0/s"),
        ),
    ]);
}
