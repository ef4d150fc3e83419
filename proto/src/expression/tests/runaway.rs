//! Programs that take more steps, bytes, nesting or stack than they may end with an error.
//!
//! All of them end by themselves, a little beyond a bound: jq alone runs each within a second or
//! so, on the stack of a thread. Budgets are small, so that little is needed to go beyond them.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::{Budget, NOW, Program, Value, Variables, names};

/// What the threads of the runtime have.
const STACK: usize = 2 << 20;

/// Generous for a debug build on a busy machine.
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

/// A hundredth of the usual budget: ten thousand steps, two thirds of a MiB.
fn small() -> Budget {
    let usual = Budget::at(NOW);
    Budget { steps: usual.steps / 100, bytes: usual.bytes / 100, ..usual }
}

fn outcome(program: &str) -> Result<Value, String> {
    outcome_within(program, small())
}

fn assert_stopped(programs: &[&str], reason: &str) {
    for program in programs {
        let error = outcome(program).expect_err(program);
        assert!(error.contains(reason), "{program}: {error}");
    }
}

/// With a tenth of the usual steps, for what takes some to come to its bound.
fn outcome_in_time(program: &str) -> Result<Value, String> {
    let usual = Budget::at(NOW);
    outcome_within(program, Budget { steps: usual.steps / 10, ..usual })
}

#[test]
fn long_loops_run_out_of_steps() {
    assert_stopped(
        &[
            "[range(2e4)]",
            "[limit(2e4; repeat(.))]",
            "last(range(2e4))",
            "0 | until(. == 2e4; . + 1)",
            "[0 | while(. < 2e4; . + 1)]",
            "[limit(2e4; recurse(.; true))]",
            "[limit(2e4; recurse(if . == null then 1 else . + 1 end))]",
            "first(range(2e4) | empty)",
            "isempty(range(2e4) | empty)",
            "label $f | range(2e4) | empty",
            "[range(0; 1; 5e-5)]",
            "[range(1; 3; 1e-4)]",
            "limit(3e4; range(2e4)) | empty",
            "any(range(2e4); false)",
            "try (range(2e4) | empty) catch .",
            "input_line_number | until(. == 2e4; . + 1)",
            "{} | until(.a == 2e4; .a += 1)",
            "def f: until(. == 2e4; . + 1); [1] | map(f)",
            "[limit(2e4; repeat(\"x\"))]",
            "last(path(range(2e4) as $i | .a))",
        ],
        "steps",
    );
}

#[test]
fn the_usual_budget_ends_loops_too() {
    let error = outcome_within("last(range(1e6 + 10))", Budget::at(NOW)).unwrap_err();
    assert!(error.contains("takes more than") && error.contains("steps"), "{error}");
}

#[test]
fn growth_beyond_measure_is_stopped() {
    assert_stopped(
        &[
            "\"x\" * 1e6",
            "try (\"x\" * 1e6) catch \"caught\"",
            "[range(300)] | map([range(300)])",
            "\"x\" * 4e5 | @base64 | @base64 | @base64 | @base64",
            "[range(5) | [range(10)]] | combinations",
            "[range(10)] | [combinations(4)]",
            "([range(1e3)]) as $a | $a | contains($a)",
            "\"a\" * 4e4 as $a | [$a | indices(\"a\" * 2e4)]",
            "[foreach range(500) as $i ([]; . + [$i])]",
            "reduce range(5e3) as $i (\"\"; . + \"x\")",
            "[limit(1e3; repeat([range(100)]))]",
            "\"%Y\" * 1e5 as $f | 0 | strftime($f)",
            "[range(5e4)] | implode",
            "\"x\" * 1e5 | explode",
            "reduce range(17) as $i ([1]; . + .)",
            "reduce range(20) as $i (\"x\"; . + .)",
        ],
        // Steps or bytes.
        "s more than",
    );
    assert_stopped(
        &[
            "reduce range(17) as $i (1; [., .]) | tojson",
            "reduce range(17) as $i (1; {a: ., b: .}) == 1",
            ".[1e5] = 1",
            "[1] | .[100000] = 1",
            "setpath([\"a\", 1e5]; 1)",
            "\"x\" * 1e5 as $x | [limit(20; repeat($x))] | add",
            "{a: \"x\" * 1e5} | [limit(20; repeat(.))] | tojson",
        ],
        "bytes",
    );
}

#[test]
fn nesting_beyond_the_limit_is_stopped() {
    assert_stopped(
        &[
            "reduce range(260) as $i (1; [.])",
            "reduce range(260) as $i (1; {a: .}) | tojson",
            "def deeper: [.]; [limit(260; 1 | recurse(deeper))] | last",
        ],
        "nests data deeper",
    );
    assert_stopped(
        &[
            "setpath([range(260) | \"a\"]; 1)",
            "(reduce range(260) as $i (.; .[0])) |= 1",
            "getpath([range(260) | \"a\"]) |= 1",
        ],
        "nest",
    );
    for program in [
        "path(getpath([range(1100) | tostring]))",
        "path(limit(1; skip(1100; repeat(.[0:]))))",
        "path(last(limit(1100; recurse(.a))))",
    ] {
        let error = outcome_in_time(program).expect_err(program);
        assert!(error.contains("a path is longer"), "{program}: {error}");
    }
    assert_stopped(&["\"[\" * 260 | fromjson"], "nested too deeply");
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
        assert_eq!(outcome_in_time(program), Ok(result), "{program}");
    }
}

/// Programs that recurse `N` levels deep, and end.
const RECURSIONS: [&str; 20] = [
    "def f: if . > 0 then . - 1 | f else . end; N | f",
    "def f: if . > 0 then (. - 1 | f), 0 else . end; [N | f] | length",
    "def f: if . > 0 then 1 + (. - 1 | f) else . end; N | f",
    "def f(g): if . > 0 then . - 1 | f(g | g) else . end; N | f(.)",
    "def f(g): if . > 0 then . - 1 | f(g) else . end; N | f(.)",
    "def f(g): if . > 0 then g | f(g) else . end; N | f(. - 1)",
    "def f(g): if . > 0 then g | f(g | .) else . end; N | f(. - 1)",
    "def f(g): if . > 0 then . as $a | . as $b | . as $c | . - 1 | f(g | $a) else . end; N | f(.)",
    "def f(g): if . > 0 then . - 1 | (def h(i): f(g | i); h(g)) else . end; N | f(.)",
    "def f(g): if . > 0 then . - 1 | label $x | f(g), break $x else . end; N | f(.)",
    "def f: if . > 0 then . - 1 | (def g: f; g) else . end; N | f",
    "def f: if . > 0 then try (. - 1 | f) catch . else . end; N | f",
    "def f: if . > 0 then (. - 1 | f)? else . end; N | f",
    "def f: if . > 0 then [. - 1 | f] else . end; N | f",
    "def f: if . > 0 then . as $x | $x - 1 | f else . end; N | f",
    "def f: if . > 0 then reduce (. - 1 | f) as $x (0; 1) else . end; N | f",
    "def f($n): if $n > 0 then .a | f($n - 1) else . end; path(f(N))",
    "def f($n): if $n > 0 then .a | f($n - 1) else . end; null | f(N) |= 1",
    "def f(g; $n): if $n > 0 then g | f(.a; $n - 1) else . end; null | f(.; N) |= 1",
    "def r(f; $n): if $n > 0 then f | r(f; $n - 1) else . end; 0 | r(r(. + 1; 2); N)",
];

#[test]
fn deep_recursion_is_stopped_before_the_stack_ends() {
    for recursion in RECURSIONS {
        let at = |levels: u32| outcome_in_time(&recursion.replace('N', &levels.to_string()));
        assert!(at(8).is_ok(), "{recursion}: {:?}", at(8));
        // The first depth beyond a bound is at most twice as deep as one within it.
        let stopped = (4..18).find_map(|bits| at(1 << bits).err()).expect(recursion);
        let reasons =
            ["steps", "nest too deeply", "bytes", "deeper than", "nest", "a path is longer"];
        assert!(reasons.iter().any(|it| stopped.contains(it)), "{recursion}: {stopped}");
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
    let around = |before: &str, inner: &str, after: &str| {
        let levels = crate::limits::EXPRESSION_DEPTH + 1;
        format!("{}{inner}{}", before.repeat(levels), after.repeat(levels))
    };
    for program in [
        around("(", "1", ")"),
        around("[", "1", "]"),
        around("{a:", "1", "}"),
        around("\"\\(", "1", ")\""),
        around("(", "", ""),
    ] {
        let error = outcome(&program).expect_err(&program);
        assert!(error.contains("brackets nest deeper than 64"), "{program}: {error}");
    }
    let chained = |before: &str, count: usize, last: &str| {
        let levels = crate::limits::EXPRESSION_LEVELS + 1;
        format!("{}{last}", before.repeat(levels * count))
    };
    for program in [
        chained("- ", 1, "1"),
        chained("try ", 1, "1"),
        chained(". as $x | ", 1, "1"),
        chained(". | ", 1, "."),
        chained("1 + ", 1, "1"),
        chained("1, ", 1, "1"),
        chained("def f: 1; ", 1, "1"),
        chained("label $x | ", 1, "1"),
        // Three steps of a path take what an operator takes.
        chained(".a", 3, ""),
    ] {
        let short: String = program.chars().take(20).collect();
        let error = outcome(&program).expect_err(&short);
        assert!(error.contains("more than 400 operators"), "{short}: {error}");
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
            "\"a\" * 1e4 | [match(\"a.*b|a\"; \"g\")] | length",
            "\"é\" * 1e4 | test(\"\\\\ba.{30}c\\\\b\")",
            "\"a\" * 1e4 | gsub(\"a\"; \"bb\")",
        ],
        "steps",
    );
    assert_stopped(
        &[
            // Compiled, these take some megabytes.
            "\"x\" | test(\"(a{300}){300}\")",
            "\"x\" | test(\"\\\\w{400}\")",
            "\"x\" | test(\"(\")",
            "\"x\" | test(\"(?=a\")",
            "\"x\" | test(\"(?=\")",
        ],
        "not a regular expression",
    );
    // What an automaton cannot find is searched for within bounds.
    for (program, reason) in [
        ("\"a\" * 16 | test(\"^(a|aa|a?)*(?=b)\\\\1$\")", "goes back more than"),
        ("\"a\" * 2e4 | test(\"(?=a)a\")", "only searched for in texts"),
        ("\"ab\" * 8e3 | [match(\"(?=a)a|(?<=a)b\"; \"g\")] | length", "steps"),
        ("\"(?=x)x\" * 5001 as $long | \"x\" | test($long)", "not a regular expression"),
    ] {
        let error = outcome_in_time(program).expect_err(program);
        assert!(error.contains(reason), "{program}: {error}");
    }
    let usual = |program| outcome_within(program, Budget::at(NOW));
    assert_eq!(usual("\"a\" * 3e4 | test(\"(a+)+$b\")"), Ok(Value::Bool(false)));
    assert_eq!(usual("\"aaaa\" | test(\"(a*)*b\")"), Ok(Value::Bool(false)));
}

#[test]
fn what_no_budget_bounds_is_absent() {
    for program in [
        "path_value(.a)",
        "matches(\"a\"; \"g\")",
        "split_matches(\"a\"; \"g\")",
        "split_(\"a\"; \"g\")",
        "jn(2; 1)",
        "yn(2; 1)",
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
        "\"1\" * 1e4 | tonumber",
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
        "0 | strftime(\"%256d\")",
        "5 % 0",
        "5 / 0",
        "[1] | .[nan] = 1",
        "[1] | .[1e5] = 1",
        "\"x\" * 1e6",
        "getpath([range(260) | \"a\"]) |= 1",
    ] {
        let error = outcome(program).expect_err(program);
        assert!(!error.contains("should not"), "{program}: {error}");
    }
}

#[test]
fn a_thread_is_as_good_as_new_after_a_program_was_stopped() {
    let stopped = Program::compile("[range(2000)]", &names()).unwrap();
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
