//! Sealed values may be moved; looking into one ends the evaluation, whatever the program does
//! about errors.

use std::sync::Arc;

use super::{Budget, EvaluationError, NOW, Program, Scope, Template, Value, compiled, json, names};
use crate::expression::UriTemplate;
use crate::expression::engine::library;
use crate::id::InstanceId;
use crate::sealed::{SHOWN, Sealed};

fn sealed(text: &str) -> Value {
    Value::Sealed(Arc::new(Sealed {
        key: "k".into(),
        namespace: "n".into(),
        instance: InstanceId(uuid::Uuid::nil()),
        ciphertext: text.as_bytes().to_vec(),
    }))
}

/// `$context` is the sealed value itself, `$input` holds it.
struct Here;

impl Scope for Here {
    fn variable(&self, name: &str) -> Value {
        match name {
            "context" => sealed("a"),
            _ => input(),
        }
    }
}

fn input() -> Value {
    Value::object([
        ("s", sealed("a")),
        ("t", sealed("b")),
        ("list", Value::from(vec![sealed("a"), Value::Int(1), Value::from("x")])),
        ("n", Value::Int(2)),
    ])
}

fn evaluate(text: &str) -> Result<Value, EvaluationError> {
    compiled(text).evaluate(input(), &Here, Budget::at(NOW))
}

#[test]
fn moving_a_sealed_value_is_free() {
    for (text, expected) in [
        (".s", SHOWN),
        ("$context", SHOWN),
        ("{a: .s, b: [.t, .n]}", r#"{"a":"«sealed»","b":["«sealed»",2]}"#),
        ("[.list[]]", r#"["«sealed»",1,"x"]"#),
        (".list | first, last", r#"["«sealed»","x"]"#),
        (".new = .s | keys", r#"["list","n","new","s","t"]"#),
        ("del(.s, .t, .list)", r#"{"n":2}"#),
        (".list | length", "3"),
        (".list + [.s] | length", "4"),
        ("{a: {b: .s}} * {a: {c: 1}}", r#"{"a":{"b":"«sealed»","c":1}}"#),
        ("null + .s", SHOWN),
        ("if .s then 1 else 2 end", "1"),
        (".s // 1", SHOWN),
        (".s and true", "true"),
        (".s | not", "false"),
        (
            "[.s == null, .s != null, .s == true, .s == [], .s == {}]",
            "[false,true,false,false,false]",
        ),
        ("[null, .s, []] | sort", "[null,\"«sealed»\",[]]"),
        ("[.. | .id?]", "[null]"),
        ("[paths]", r#"[["s"],["t"],["list"],["list",0],["list",1],["list",2],["n"]]"#),
        ("getpath([\"list\", 0])", SHOWN),
        ("to_entries | from_entries | .s", SHOWN),
        ("[.list, [.s]] | flatten | length", "4"),
        ("[[.s], [.t]] | transpose", r#"[["«sealed»","«sealed»"]]"#),
        ("try error(.s) catch .", SHOWN),
        ("[limit(1; .list[])]", r#"["«sealed»"]"#),
        ("reduce .list[] as $x ([]; [$x] + .) | length", "3"),
        ("walk(.) | .s", SHOWN),
        ("map_values(.) | .s", SHOWN),
        ("with_entries(.) | .s", SHOWN),
        (".list[0] |= [.] | .list[0][0]", SHOWN),
        ("tojson? // 1", ""),
        ("walk(.) | tostring", ""),
    ] {
        let value = evaluate(text);
        if expected.is_empty() {
            assert!(value.unwrap_err().sealed, "{text}");
            continue;
        }
        let value = value.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(value.to_text(), expected, "{text}");
    }
}

#[test]
fn looking_into_a_sealed_value_ends_the_evaluation_and_cannot_be_caught() {
    for text in [
        ".s == \"x\"",
        ".s == .t",
        ".s == .s",
        ".s == 1",
        "1 < .s",
        "[.s, .t] | sort",
        "[.list[]] | unique",
        ".list | min",
        ".list | group_by(.)",
        "[{k: .s}, {k: 1}] | sort_by(.k)",
        ".list | index(\"x\")",
        ".list | inside([1])",
        ".list - [1]",
        ".s + \"x\"",
        "\"x\" + .s",
        ".s + 1",
        ".s * 2",
        ".s / \",\"",
        ".s % 2",
        "- .s",
        "\"Bearer \\(.s)\"",
        "@json \"\\(.list)\"",
        "@base64 \"\\(.s)\"",
        "{(.s): 1}",
        "{a: 1}[.s]",
        "[1, 2][.s]",
        ".list[.n:.s]",
        ".s[1:]",
        ".s[1:]?",
        ".s[1:] = \"x\"",
        ".[.s] = 1",
        "setpath([.s]; 1)",
        "delpaths([[.s]])",
        "getpath([.s])",
        "has(.s)",
        ".list | contains([\"x\"])",
        "\"abc\" | test($context)",
        "\"abc\" | sub(\"b\"; $context)",
        "\"abc\" | split($context)",
        "range(.s)",
        "limit(.s; 1)",
        "[.s, \"x\"] | join(\",\")",
        "[.s, \"x\"] | add",
        "[.s] | implode",
        "[.s] | @csv",
        "[.s] | @tsv",
        "[{key: .s}] | from_entries",
        "[[.s]] | INDEX(.[0])",
        "[.s] | bsearch(\"x\")",
        "[.[] | strings]",
        "tostream | tostring",
        "try (.s | length) catch 1",
        "(.s | length)? // 1",
        // However it came there.
        "[1] | .[0] = $context | tojson",
        "[] | .[2] = $context | tojson",
        "[[1]] | .[0][0] = $context | tojson",
        "[1, 2] | .[0:1] = [$context] | tojson",
        "[1] + [$context] | tojson",
        "[1] | map($context) | tojson",
        "{a: 1} | .a = $context | tojson",
        "{} | .x.y = $context | tojson",
        "{a: [1]} | .a[0] |= $context | tojson",
        "{a: 1} + {a: $context} | tojson",
        "{a: {}} * {a: {b: $context}} | tojson",
        "{a: 1} | map_values($context) | tojson",
        "setpath([\"q\", 0]; $context) | .q | tojson",
        "reduce range(2) as $i ([]; . + [$context]) | tojson",
        "{\"a\": $context} | tojson",
        "label $out | (.s | type), break $out",
        "first(.s | ascii_downcase)",
    ] {
        match evaluate(text) {
            Err(error) => {
                assert!(error.sealed, "{text}: {error}");
                assert!(error.message.contains("a worker"), "{error}");
            }
            Ok(value) => panic!("{text} gave {value}"),
        }
    }
}

/// Everywhere the same value.
struct Everywhere(Value);

impl Scope for Everywhere {
    fn variable(&self, _name: &str) -> Value {
        self.0.clone()
    }
}

/// A filter that gives something on a sealed value, with sealed arguments, gives the same on the
/// string or the number that it stands for: it has not looked.
#[test]
fn every_filter_stops_or_does_not_depend_on_what_is_sealed() {
    let mut signatures: Vec<_> = library().names().collect();
    signatures.sort_unstable();
    signatures.dedup();
    let (mut stopped, mut free) = (0, 0);
    for (name, arity) in signatures {
        let arguments = vec!["$context"; arity].join("; ");
        let call = if arity == 0 { name.to_owned() } else { format!("{name}({arguments})") };
        for around in ["$context", "[$context]", "[$context, $context]", "{a: $context}"] {
            // A bound on those that never end.
            let text = format!("[limit(3; {around} | {call})]");
            let Ok(program) = Program::compile(&text, &names()) else { continue };
            let run = |value: &Value| {
                let scope = Everywhere(value.clone());
                let budget = Budget { steps: 100_000, ..Budget::at(NOW) };
                program.evaluate(Value::Null, &scope, budget)
            };
            let outcome = match run(&sealed("12")) {
                Err(error) if error.sealed => {
                    stopped += 1;
                    continue;
                }
                outcome => outcome,
            };
            free += 1;
            for plain in [Value::from("12"), Value::Int(12)] {
                match (&outcome, run(&plain)) {
                    (Ok(value), Ok(expected)) => {
                        let opened = value.clone().map_sealed(&mut |_| plain.clone());
                        assert_eq!(opened.to_json(), expected.to_json(), "{text}");
                    }
                    (Err(_), Err(_)) => {}
                    (one, other) => panic!("{text}: {one:?} but {other:?}"),
                }
            }
        }
    }
    assert!(stopped > 300 && free > 100, "{stopped} stopped, {free} free");
}

#[test]
fn texts_around_a_sealed_value_are_not_made() {
    let template = |text: &str| Template::compile(&json(text), &names()).unwrap();
    let evaluate = |text: &str| template(text).evaluate(&input(), &Here, Budget::at(NOW));
    assert_eq!(
        evaluate(r#"{"a": "${ .s }", "b": ["${ .list }"]}"#).unwrap().to_json(),
        r#"{"a":"«sealed»","b":[["«sealed»",1,"x"]]}"#
    );
    assert!(evaluate(r#""${ .s }""#).unwrap().has_sealed());
    for text in [r#""Bearer ${ .s }""#, r#"["${ .list } items"]"#, r#"{"a": "${ . }!"}"#] {
        assert!(evaluate(text).unwrap_err().sealed, "{text}");
    }
    for text in ["http://h/{s}", "http://h/${ .s }", "${ .s }", "${ .s }/x"] {
        let uri = UriTemplate::compile(text, &names()).unwrap();
        assert!(uri.expand(&input(), &Here, Budget::at(NOW)).unwrap_err().sealed, "{text}");
    }
    let uri = UriTemplate::compile("http://h/{n}", &names()).unwrap();
    assert_eq!(uri.expand(&input(), &Here, Budget::at(NOW)).unwrap(), "http://h/2");
}

#[test]
fn messages_about_a_sealed_value_show_that_it_is_one() {
    for (text, part) in [
        (".s.a", "Cannot index sealed value"),
        (".s[]", "Cannot iterate over sealed value"),
        ("[.s] | error", "«sealed»"),
        (".s | keys", "sealed value"),
    ] {
        let error = evaluate(text).unwrap_err();
        assert!(!error.sealed && error.message.contains(part), "{text}: {error}");
    }
}
