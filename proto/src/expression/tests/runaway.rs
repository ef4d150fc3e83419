//! Programs that would run for ever, or take all memory or stack, end with an error.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::{Budget, NOW, Program, Value, Variables, names};

/// What the threads of the runtime have.
const STACK: usize = 2 << 20;

/// Generous for a debug build on a busy machine; without a budget these would never end.
const DEADLINE: Duration = Duration::from_secs(60);

/// Compiles and runs `program` on a small stack; gives the result or what went wrong.
fn outcome_within(program: &str, budget: Budget) -> Result<Value, String> {
    let program = program.to_owned();
    let (send, receive) = mpsc::channel();
    let run = move || {
        let result = Program::compile(&program, &names())
            .map_err(|error| format!("refused: {}", error.message))
            .and_then(|program| {
                let input = Value::Null;
                let result = program.evaluate(input, &Variables(Vec::new()), budget);
                result.map_err(|error| error.message)
            });
        let _ = send.send(result);
    };
    thread::Builder::new().stack_size(STACK).spawn(run).unwrap();
    receive.recv_timeout(DEADLINE).expect("it neither ended nor survived")
}

fn outcome(program: &str) -> Result<Value, String> {
    // A tenth of the usual steps: the programs below would take any number of them.
    let steps = Budget::at(NOW).steps / 10;
    outcome_within(program, Budget { steps, ..Budget::at(NOW) })
}

fn assert_stopped(programs: &[&str], reason: &str) {
    for program in programs {
        let error = outcome(program).expect_err(program);
        assert!(error.contains(reason), "{program}: {error}");
    }
}

#[test]
fn endless_loops_run_out_of_steps() {
    assert_stopped(
        &[
            "[range(1e12)]",
            "[repeat(.)]",
            "last(range(infinite))",
            "until(false; .)",
            "[while(true; .)]",
            "[recurse(.; true)]",
            "[recurse(if . == null then 1 else . + 1 end)]",
            "first(repeat(empty))",
            "isempty(repeat(empty))",
            "label $f | repeat(.)",
            "[range(0; 1; 0)]",
            "[range(1; 1e9; 1e-9)]",
            "limit(1e12; range(1e12)) | empty",
            "any(range(1e12); false)",
            "try repeat(.) catch .",
            "input_line_number | until(. < 0; . + 1)",
            "{} | until(.a == 1e9; .a += 1)",
            "def f: until(false; .); [1] | map(f)",
            "[limit(1e9; repeat(\"x\"))]",
            "last(path(recurse(.a)))",
        ],
        "steps",
    );
}

#[test]
fn the_usual_budget_ends_loops_too() {
    let error = outcome_within("[repeat(.)]", Budget::at(NOW)).unwrap_err();
    assert!(error.contains("takes more than") && error.contains("steps"), "{error}");
}

#[test]
fn growth_beyond_measure_is_stopped() {
    assert_stopped(
        &[
            "\"x\" * 2e9",
            "try (\"x\" * 2e9) catch \"caught\"",
            "[range(1e6)] | map([range(1e6)])",
            "\"x\" * 1e7 | @base64 | @base64 | @base64 | @base64",
            "[range(30) | [range(10)]] | combinations",
            "[range(10)] | [combinations(10)]",
            "([range(1e4)]) as $a | $a | contains($a)",
            "\"a\" * 1e5 as $a | [$a | indices(\"a\" * 5e4)]",
            "[foreach range(1e6) as $i ([]; . + [$i])]",
            "reduce range(1e6) as $i (\"\"; . + \"x\")",
            "[limit(1e6; repeat([range(1000)]))]",
            "\"%Y\" * 1e6 as $f | 0 | strftime($f)",
            "[range(1e6)] | implode",
            "\"x\" * 6e7 | explode",
            "reduce range(30) as $i ([1]; . + .)",
            "reduce range(64) as $i (\"x\"; . + .)",
        ],
        "takes more than",
    );
    assert_stopped(
        &[
            "reduce range(40) as $i (1; [., .]) | tojson",
            "reduce range(40) as $i (1; {a: ., b: .}) == 1",
            ".[5e8] = 1",
            "[1] | .[500000000] = 1",
            "setpath([\"a\", 5e8]; 1)",
            "\"x\" * 1e6 as $x | [limit(100; repeat($x))] | add",
            "{a: \"x\" * 1e7} | [limit(100; repeat(.))] | tojson",
        ],
        "bytes",
    );
}

#[test]
fn nesting_without_end_is_stopped() {
    assert_stopped(
        &[
            "reduce range(1e5) as $i (1; [.])",
            "reduce range(1e5) as $i (1; {a: .}) | tojson",
            "def deeper: [.]; [limit(1000; 1 | recurse(deeper))] | last",
        ],
        "nests data deeper",
    );
    assert_stopped(
        &[
            "setpath([range(1e4) | \"a\"]; 1)",
            "(reduce range(1e5) as $i (.; .[0])) |= 1",
            "getpath([range(1e4) | \"a\"]) |= 1",
        ],
        "nest",
    );
    assert_stopped(
        &[
            "path(getpath([range(3000) | tostring]))",
            "path(limit(1; skip(1e4; repeat(.[0:]))))",
            "path(last(limit(5000; recurse(.a))))",
        ],
        "a path is longer",
    );
    assert_stopped(&["\"[\" * 100000 | fromjson"], "nested too deeply");
}

#[test]
fn deep_data_is_handled_up_to_the_limit() {
    let deep = "(\"[\" * 250) + (\"]\" * 250) | fromjson";
    for rest in [
        "tojson | length",
        "walk(.) | tojson | length",
        "[paths] | length",
        "[..] | length",
        "[tostream] | length",
        "flatten | length",
        ". == .",
        "[., .] | unique | length",
        "(.. | select(type == \"array\")) |= . | tojson | length",
        "del(.. | select(length == 0)) | tojson | length",
        "delpaths([[0, 0, 0]]) | length",
        "contains(.)",
        "{a: .} * {a: .} | tojson | length",
    ] {
        let program = format!("{deep} | {rest}");
        let result = outcome_within(&program, Budget::at(NOW));
        assert!(result.is_ok(), "{rest}: {result:?}");
    }
}

#[test]
fn definitions_may_call_themselves_as_often_as_the_budget_allows() {
    for (program, result) in [
        ("def f($n): if $n > 0 then f($n - 1) else \"done\" end; f(9)", "\"done\""),
        ("def f: if . < 5000 then . + 1 | f else . end; 0 | f", "5000"),
        ("def f: if . <= 1 then 1 else . * (. - 1 | f) end; 20 | f", "2432902008176640000"),
        ("def f(g): if . > 100 then . else g | f(g) end; 0 | f(. + 1)", "101"),
        (
            "def even: if . == 0 then true else . - 1 | (def odd: if . == 0 then false
          else . - 1 | even end; odd) end; 500 | even",
            "true",
        ),
        ("def f(g): def h: if . < 3 then g | f(g) else . end; h; 0 | f(. + 1)", "3"),
        ("def f(g): g; def f(g; $x): f(g) + $x; 1 | f(. + 1; 10)", "12"),
        ("def f(f): f; f(1)", "1"),
        ("def f: 1; def f($x): f + $x; f(1)", "2"),
        ("def f: 1; def g: f; g", "1"),
        (
            "def w(f): if type == \"array\" then map(w(f)) else f end; [1, [2, [3]]] | w(. * 2) | tojson",
            "\"[2,[4,[6]]]\"",
        ),
        ("[def f: ., (if . < 3 then . + 1 | f else empty end); 0 | path(f)?] | length", "1"),
    ] {
        let result = Value::from_json(result).unwrap();
        assert_eq!(outcome(program), Ok(result), "{program}");
    }
}

#[test]
fn recursion_without_end_is_stopped_before_the_stack_is() {
    for program in [
        "def f: f; f",
        "def f: f, f; f",
        "def f: 1 + f; f",
        "def f(g): f(g | g); f(.)",
        "def f(g): f(g); f(.)",
        "def f(g): . + 1 | f(g); 0 | f(.)",
        "def f(g): g | f(g | . + 1); 0 | f(.)",
        "def f(g): . as $a | . as $b | . as $c | . as [$d, $e] | f(g | $a); [] | f(.)",
        "def f(g): def h(i): f(g | i); h(g); f(.)",
        "def f(g): label $x | f(g), break $x; f(.)",
        "def f: def g: f; g; f",
        "def f: try f catch f; f",
        "def f: f?; f",
        "def f: [f]; f",
        "def f: . as $x | f; f",
        "def f: . as [$x] ?// $x | f; f",
        "def f: (., .) | f; f",
        "def f: ., (f | [.]); f",
        "def f: reduce f as $x (0; 1); f",
        "def f: .a | f; path(f)",
        "def f: .a | f; f |= 1",
        "def f(g): g | f(.a); f(.) |= 1",
        "[1] | map(def f: [f]; f)",
        "def r(f): f | r(f); def s: r(r(s)); s",
    ] {
        let error = outcome(program).expect_err(program);
        let reasons = ["steps", "nest too deeply", "bytes", "deeper than", "a path is longer"];
        assert!(reasons.iter().any(|it| error.contains(it)), "{program}: {error}");
    }
}

#[test]
fn long_texts_are_one_part() {
    let lines = "a\\n\\\"b\\\"\\t".repeat(2_000);
    let parts = "x\\(.)\\n".repeat(300);
    let several = "\\(1, 2)".repeat(20);
    for (program, length) in [
        (format!("\"{lines}\" + \"x\" | length"), "12001"),
        (format!("7 | \"{parts}\" | length"), "900"),
        (format!("[limit(3; \"{several}\")] | length"), "3"),
    ] {
        let length = Value::from_json(length).unwrap();
        assert_eq!(outcome(&program), Ok(length), "{}", program.get(..20).unwrap_or_default());
    }
    let error = outcome(&vec!["\"a\""; 402].join(" + ")).expect_err("many operators");
    assert!(error.contains("more than 400 operators"), "{error}");
}

#[test]
fn programs_that_nest_too_deeply_are_refused_before_parsing() {
    let many = |text: &str| text.repeat(20_000);
    for program in [
        many("("),
        many("["),
        format!("{}1{}", "[".repeat(1000), "]".repeat(1000)),
        many("{a:"),
        many("\"\\("),
        format!("{}1", many("- ")),
        format!("{}1", many("try ")),
        format!("{}1", many("if . then ")),
        format!("{}1", many(". as $x | ")),
        format!("{}.", many(". | ")),
        format!("{}1", many("1 + ")),
        format!("{}1", many("1, ")),
        format!("{}1", many("reduce ")),
        format!("{}1", many("def f: ")),
        format!("{}1", many("label $x | ")),
        many(".a"),
        many("[0]"),
        many("?"),
    ] {
        let short: String = program.chars().take(20).collect();
        // Longer texts than allowed are refused for their length; shorten to just below it.
        let program: String = program.chars().take(60_000).collect();
        let error = outcome(&program).expect_err(&short);
        assert!(!error.contains("longer than"), "{short}: {error}");
    }
}

#[test]
fn programs_as_deep_as_allowed_compile_and_run_or_say_why_not() {
    let levels = crate::limits::EXPRESSION_LEVELS - 1;
    for program in [
        vec!["."; levels].join(" | "),
        vec!["1"; levels].join(" + "),
        format!("[{}] | length", vec!["1"; levels - 2].join(",")),
        format!("{}1", ". as $x | ".repeat(levels / 2)),
        format!("{}1", "- ".repeat(levels)),
        format!("{}1", "try ".repeat(levels)),
        format!("{}.", ".a | ".repeat(levels / 2)),
        format!("{}.{}", "map(".repeat(60), ")".repeat(60)),
        format!("{}1{}", "[".repeat(60), "]".repeat(60)),
        format!("\"{}\"", "\\(1)".repeat(levels - 1)),
    ] {
        let result = outcome(&program);
        let short: String = program.chars().take(20).collect();
        let stack = "its calls nest too deeply";
        assert!(
            result.as_ref().is_ok_and(|_| true)
                || result.as_ref().is_err_and(|it| it.contains(stack) || it.contains("iterate")),
            "{short}: {result:?}"
        );
    }
}

#[test]
fn regular_expressions_cannot_run_away() {
    assert_stopped(
        &[
            "\"a\" * 2e4 | [match(\"a.*b|a\"; \"g\")] | length",
            "\"é\" * 1e5 | test(\"\\\\ba.{30}c\\\\b\")",
            "\"a\" * 1e6 | gsub(\"a\"; \"bb\")",
        ],
        "steps",
    );
    assert_stopped(
        &[
            "\"x\" | test(\"((a{1000}){1000}){1000}\")",
            "\"x\" | test(\"(\\\\w{1000}){50}\")",
            "\"x\" | test(\"(\" * 1000)",
            "\"x\" | test(\"(?=a\")",
            "\"x\" | test(\"(?=\" * 100)",
        ],
        "not a regular expression",
    );
    // What an automaton cannot find is searched for within bounds.
    for (program, reason) in [
        ("\"a\" * 60 | test(\"^(a|aa|a?)*(?=b)\\\\1$\")", "goes back more than"),
        ("\"a\" * 2e4 | test(\"(?=a)a\")", "only searched for in texts"),
        ("\"ab\" * 8e3 | [match(\"(?=a)a|(?<=a)b\"; \"g\")] | length", "steps"),
        ("\"x\" | test(\"(?=x)((x{1000}){1000}){1000}\")", "not a regular expression"),
    ] {
        let error = outcome(program).expect_err(program);
        assert!(error.contains(reason), "{program}: {error}");
    }
    assert_eq!(outcome("\"a\" * 3e4 | test(\"(a+)+$b\")"), Ok(Value::Bool(false)));
    assert_eq!(outcome("\"aaaa\" | test(\"(a*)*b\")"), Ok(Value::Bool(false)));
}

#[test]
fn what_no_budget_bounds_is_absent() {
    for program in [
        "path_value(last(recurse(.a)))",
        "matches(\"a\"; \"g\")",
        "split_matches(\"a\"; \"g\")",
        "split_(\"a\"; \"g\")",
        "jn(2e9; 1)",
        "yn(2e9; 1)",
    ] {
        let error = outcome(program).expect_err(program);
        assert!(error.contains("does not exist"), "{program}: {error}");
    }
}

#[test]
fn the_ends_of_numbers_do_no_harm() {
    for program in [
        "-9223372036854775807 - 1 | abs, length, -.",
        "(-9223372036854775807 - 1) / -1, (-9223372036854775807 - 1) % -1",
        "[1] | .[-9223372036854775807 - 1], .[1e300], .[-1e300]",
        "[1] | .[:1e300], .[-1e300:]",
        "\"abc\" | .[1e18:], .[:-1e18]",
        "1 | ldexp(.; 1e9), scalb(.; 1e9)",
        "9223372036854775807 + 1, 9223372036854775807 * 9223372036854775807",
        "\"1\" * 1e5 | tonumber",
        "[-9223372036854775807 - 1, 1e300, -1e300] | implode",
        "nan | floor, tostring, -., . % 1",
        "[nan, nan] | sort, unique, min, max",
    ] {
        assert!(outcome(program).is_ok(), "{program}: {:?}", outcome(program));
    }
    for program in [
        "1e300 | todate",
        "[1e300, 1, 1, 1, 1, 1] | mktime",
        "[2024, 127, 1, 0, 0, -1e9] | mktime",
        "0 | strftime(\"%1000000000d\")",
        "5 % 0",
        "5 / 0",
        "[1] | .[nan] = 1",
        "[1] | .[9223372036854775807] = 1",
        "\"x\" * 1e11",
        "getpath([range(2e4) | \"a\"]) |= 1",
    ] {
        let error = outcome(program).expect_err(program);
        assert!(!error.contains("should not"), "{program}: {error}");
    }
}

#[test]
fn a_thread_is_as_good_as_new_after_a_program_was_stopped() {
    let stopped = Program::compile("[repeat(.)]", &names()).unwrap();
    let fine = Program::compile("[range(10)] | add", &names()).unwrap();
    for _ in 0..3 {
        let budget = Budget { steps: 1000, ..Budget::at(NOW) };
        assert!(stopped.evaluate(Value::Null, &Variables(Vec::new()), budget).is_err());
        let sum = fine.evaluate(Value::Null, &Variables(Vec::new()), budget);
        assert_eq!(sum, Ok(Value::Int(45)));
    }
    // Outside an evaluation nothing is charged.
    let large: Value = (0..1_000_000).map(Value::Int).collect();
    assert_eq!(large.weight(), 16_000_016);
}
