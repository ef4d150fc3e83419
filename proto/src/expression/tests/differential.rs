//! jq's behaviour, program by program.

use super::{Budget, NOW, Program, Value, Variables, evaluate, json, names};

/// Outputs of `program` on null, as JSON with spaces between.
fn outputs(program: &str) -> Result<String, String> {
    let program = Program::compile(&format!("[{program}]"), &names())
        .map_err(|error| format!("refused: {error}, {:?}", error.hint))?;
    let outputs = program
        .evaluate(Value::Null, &Variables(Vec::new()), Budget::at(NOW))
        .map_err(|error| error.message)?;
    let outputs: Vec<String> =
        outputs.as_array().unwrap_or_default().iter().map(Value::to_json).collect();
    Ok(outputs.join(" "))
}

#[test]
fn programs_give_what_jq_gives() {
    let mut wrong = Vec::new();
    let table = include_str!("jq.txt");
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    for (program, expected) in rows.filter_map(|line| line.split_once("  =>  ")) {
        let ours = outputs(program);
        if ours.as_deref() != Ok(expected.trim()) {
            wrong.push(format!("{program}\n  expected {expected}\n  got      {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_output_is_null_and_several_are_an_array() {
    assert_eq!(evaluate("empty", "1"), Ok(Value::Null));
    assert_eq!(evaluate(".[]", "[1]"), Ok(json("1")));
    assert_eq!(evaluate(".[]", "[1,2]"), Ok(json("[1,2]")));
}

#[test]
fn the_conformance_kit_gets_by_on_missing_input() {
    assert_eq!(evaluate(r#".colors + ["red"]"#, "null"), Ok(json(r#"["red"]"#)));
    assert_eq!(evaluate(".processed.colors", "null"), Ok(Value::Null));
    assert_eq!(evaluate(".[0]", "null"), Ok(Value::Null));
    assert_eq!(evaluate(". | length", "null"), Ok(json("0")));
}

#[test]
fn plain_paths_behave_as_under_jq() {
    for input in
        [r#"{"a":{"b":[1,2]}}"#, "null", r#"{"a":null}"#, r#"{"a":{"b":null}}"#, "5", "[1]"]
    {
        for path in [".", ".a", ".a.b", ".a.b[1]", ".a.b[-1]", r#".a["b"]"#, ".[0]", "5", r#""x""#]
        {
            let direct = evaluate(path, input);
            // A pipe keeps the program from being recognised as a plain path.
            let jq = evaluate(&format!("{path} | ."), input);
            match (&direct, &jq) {
                (Ok(direct), Ok(jq)) => assert_eq!(direct, jq, "{path} on {input}"),
                (Err(direct), Err(jq)) => assert_eq!(
                    direct.message.replace(path, ""),
                    jq.message.replace(&format!("{path} | ."), ""),
                    "{path} on {input}"
                ),
                _ => assert_eq!(direct, jq, "{path} on {input}"),
            }
        }
    }
}

#[test]
fn keys_keep_their_order() {
    let input = r#"{"b":1,"a":{"d":1,"c":2}}"#;
    assert_eq!(
        evaluate(".e = 1 | del(.b)", input).map(|it| it.to_json()).as_deref(),
        Ok(r#"{"a":{"d":1,"c":2},"e":1}"#)
    );
}

#[test]
fn big_integers_are_untouched_until_computed_with() {
    let big = "123456789012345678901234567890";
    assert_eq!(
        evaluate(".a", &format!(r#"{{"a":{big}}}"#)).map(|it| it.to_json()).as_deref(),
        Ok(big)
    );
    assert_eq!(evaluate("tojson", big), Ok(Value::from(big)));
    assert_eq!(evaluate(". * 2 > 1e29", big), Ok(Value::Bool(true)));
    assert_eq!(evaluate(".", "1.0").map(|it| it.to_json()).as_deref(), Ok("1.0"));
}

#[test]
fn now_is_the_budgets() {
    assert_eq!(evaluate("now", "null"), Ok(json("1707993045.5")));
    assert_eq!(evaluate("now | todate", "null"), Ok(Value::from("2024-02-15T10:30:45Z")));
    assert_eq!(evaluate("[now, now] | unique | length", "null"), Ok(json("1")));
}

#[test]
fn nothing_reaches_outside() {
    for program in [
        "env",
        "$ENV",
        "$ENV.PATH",
        "input",
        "inputs",
        "debug",
        "debug(1)",
        "stderr",
        "halt",
        "halt_error",
        "halt(1)",
        "input_filename",
        r#"import "a" as a; 1"#,
        r#"include "a"; 1"#,
        "get_search_list | $__prog_args",
        "modulemeta",
    ] {
        assert!(Program::compile(program, &names()).is_err(), "{program} was accepted");
    }
}

#[test]
fn time_zones_of_the_machine_do_not_matter() {
    assert_eq!(evaluate("localtime == gmtime", "1707993045"), Ok(Value::Bool(true)));
    assert_eq!(evaluate(r#"strflocaltime("%H %Z")"#, "0"), Ok(Value::from("00 UTC")));
}
