//! `for` (§1.8).

use super::{check, fails, gives};

#[test]
fn each_iteration_works_on_the_output_of_the_one_before() {
    check(&[
        gives(
            "the output is threaded, item and index are bound",
            "{\"of\": [\"a\", \"b\"], \"got\": []}",
            "do:
  - f:
      for: {each: x, at: i, in: .of}
      do: [{s: {set: {of: '${ .of }', got: '${ .got + [[$x, $i]] }'}}}]
      output: {as: .got}",
            "[[\"a\", 0], [\"b\", 1]]",
        )
        .order("f s s"),
        gives(
            "the names are `item` and `index` where none are given",
            "[7]",
            "do: [{f: {for: {in: .}, do: [{s: {set: '${ [$item, $index] }'}}]}}]",
            "[7, 0]",
        ),
        gives(
            "names may be written with `$`",
            "[7]",
            "do: [{f: {for: {each: $x, at: $i, in: .}, do: [{s: {set: '${ [$x, $i] }'}}]}}]",
            "[7, 0]",
        ),
        gives(
            "`in` may be an inline array",
            "{\"n\": 1}",
            "do:
  - f:
      for: {each: x, in: [{a: 1}, {a: '${ .n + 1 }'}]}
      do: [{s: {set: '${ $x.a + 10 }'}}]",
            "12",
        ),
        gives(
            "`in` is evaluated once, before the loop",
            "{\"of\": [1, 2]}",
            "do: [{f: {for: {in: .of}, do: [{s: {set: {of: []}, export: {as: '{n: ($context.n // 0 | . + 1)}'}}}]}}]
output: {as: $context.n}",
            "2",
        ),
        gives(
            "null gives no iteration: the output is the transformed input (D16)",
            "{\"a\": 1}",
            "do: [{f: {input: {from: '{b: .a}'}, for: {in: .none}, do: [{s: {set: {c: 1}}}]}}]",
            "{\"b\": 1}",
        )
        .order("f"),
        gives(
            "an empty array gives no iteration",
            "{\"a\": 1}",
            "do: [{f: {for: {in: '[]'}, do: [{s: {set: {c: 1}}}]}}]",
            "{\"a\": 1}",
        ),
        fails(
            "anything else is an error",
            "{\"a\": 1}",
            "do: [{f: {for: {in: .a}, do: [{s: {set: {c: 1}}}]}}]",
            ("expression", 400, "/do/0/f"),
        ),
        fails(
            "an expression that fails",
            "{\"a\": 1}",
            "do: [{f: {for: {in: .a.b.c}, do: [{s: {set: {c: 1}}}]}}]",
            ("expression", 400, "/do/0/f"),
        ),
        gives(
            "a loop without tasks gives its input",
            "[1, 2]",
            "do: [{f: {for: {in: .}, do: []}}]",
            "[1, 2]",
        ),
        gives(
            "`while` is asked before each iteration, on what was gathered",
            "{\"n\": 0}",
            "do: [{f: {for: {each: x, at: i, in: '[1, 2, 3, 4]'}, while: .n < 3 and $x < 4 and $i < 9, \
do: [{s: {set: {n: '${ .n + $x }'}}}]}}]",
            "{\"n\": 3}",
        )
        .order("f s s"),
        gives(
            "`while` may refuse the first iteration",
            "{\"n\": 0}",
            "do: [{f: {for: {in: '[1, 2]'}, while: .n > 0, do: [{s: {set: {n: 9}}}]}}]",
            "{\"n\": 0}",
        )
        .order("f"),
        fails(
            "a `while` that fails",
            "{\"n\": 0}",
            "do: [{f: {for: {in: '[1, 2]'}, while: .n.x, do: [{s: {set: {n: 9}}}]}}]",
            ("expression", 400, "/do/0/f"),
        ),
        gives(
            "the last item stays bound for the loop's own output and export (§3.2 O)",
            "[1, 2]",
            "do: [{f: {for: {each: x, in: .}, do: [{s: {set: {n: 1}}}], output: {as: '[$x, $index]'}, \
export: {as: '{x: $x}'}}}]
output: {as: '[., $context.x]'}",
            "[[2, 1], 2]",
        ),
        gives(
            "no item is bound where there was none",
            "[]",
            "do: [{f: {for: {each: x, in: .}, do: [{s: {set: {n: 1}}}], output: {as: '[$x, $index]'}}}]",
            "[null, null]",
        ),
        gives(
            "item and index are seen in all nested scopes (§1.3)",
            "[[1, 2], [3]]",
            "do:
  - f:
      for: {each: row, at: r, in: .}
      do:
        - g:
            for: {each: cell, at: c, in: $row}
            do:
              - d:
                  try:
                    - s:
                        do:
                          - w: {call: work, with: '${ [$r, $c, $cell, ($row | length)] }'}
                          - x: {raise: {error: {type: runtime, status: '${ 500 + $cell }'}}}
                  catch:
                    as: e
                    do: [{k: {set: {cell: '${ $cell }', row: '${ $r }', status: '${ $e.status }'}}}]
                  export: {as: '$context + {(\"\\($r)\\($c)\"): $cell}'}
output: {as: '[., $context]'}",
            "[{\"cell\": 3, \"row\": 1, \"status\": 503}, {\"00\": 1, \"01\": 2, \"10\": 3}]",
        ),
        gives(
            "the inner of two equal names hides the outer",
            "[[1, 2], [3]]",
            "do: [{f: {for: {in: .}, do: [{g: {for: {in: $item}, do: [{s: {set: '${ $item }'}}], \
output: {as: '[., $item]'}, export: {as: '{seen: $item}'}}}], output: {as: '[., $item, $context.seen]'}}}]",
            "[[3, 3], [3], 3]",
        ),
        gives(
            "the context goes from one iteration to the next",
            "[1, 2, 3]",
            "do: [{f: {for: {in: .}, do: [{s: {set: {n: 1}, export: {as: '{sum: (($context.sum // 0) + $item)}'}}}]}}]
output: {as: $context.sum}",
            "6",
        ),
        gives(
            "`then` inside jumps within one iteration",
            "[1, 2]",
            "do: [{f: {for: {in: .}, do: [{a: {set: {n: '${ $item }'}, then: c}}, {b: {set: {n: 9}}}, \
{c: {set: '${ .n }'}}]}}]",
            "2",
        )
        .order("f a c a c"),
    ]);
}
