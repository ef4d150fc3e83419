//! Values: JSON and MessagePack, weight and depth, order, changes in place.

use std::thread;

use jaq_core::ValT;
use jaq_core::path::Opt;
use serde_json::json;

use super::Value;
use crate::limits::VALUE_DEPTH;

fn value(text: &str) -> Value {
    Value::from_json(text).unwrap()
}

fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

/// Runs `body` on a stack as small as the runtime's threads have.
fn on_a_small_stack(body: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(2 << 20).spawn(body).unwrap().join().unwrap();
}

#[test]
fn numbers_for_which_there_is_no_value_are_refused() {
    for text in
        ["1e999", "-1e999", "[1,1e400]", &format!("1{}.5", "0".repeat(400)), &"9".repeat(1_025)]
    {
        let error = Value::from_json(text).unwrap_err();
        assert!(error.to_string().contains("beyond what 64-bit floating point holds"), "{error}");
        assert!(serde_json::from_str::<Value>(text).is_err());
    }
    assert_eq!(value("1e-999").to_json(), "0.0");
    assert_eq!(value(&"9".repeat(1_024)).to_json(), "9".repeat(1_024));
    assert!(Value::from_json_bytes(b"\"\xff\"").is_err());
    // What expressions make of it is written in the same way wherever it is written.
    for (number, text) in [(f64::INFINITY, "1.7976931348623157e+308"), (f64::NAN, "null")] {
        assert_eq!(Value::Float(number).to_json(), text);
        let written = serde_json::to_string(&Value::Float(number)).unwrap();
        assert_eq!(value(&written).to_json(), text);
    }
}

#[test]
fn members_of_a_request_can_be_read_exactly() {
    #[derive(serde::Deserialize)]
    struct Request {
        #[serde(default, deserialize_with = "super::exact")]
        input: Value,
    }
    let read = |text: &str| serde_json::from_str::<Request>(text).map(|it| it.input.to_json());
    let large = r#"{"a":[36893488147419103233]}"#;
    assert_eq!(read(&format!(r#"{{"input":{large}}}"#)).unwrap(), large);
    assert_eq!(read("{}").unwrap(), "null");
    assert!(read(r#"{"input":1e999}"#).is_err());
    assert!(read(&format!(r#"{{"input":{}}}"#, nested(1_000))).is_err());
}

#[test]
fn json_is_read_and_written() {
    for text in [
        "null",
        "true",
        "false",
        "0",
        "-5",
        "1.5",
        "1.0",
        "1e+300",
        "-0.5",
        "\"\"",
        "[]",
        "{}",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "123456789012345678901234567890",
        "-123456789012345678901234567890",
        r#"{"b":[1,{"a":null}],"a":"x"}"#,
        r#""é\n\t\"\\ü😀""#,
        "[[[]],{\"a\":{}}]",
    ] {
        assert_eq!(value(text).to_json(), text);
        assert_eq!(value(&format!(" \n{text}\t")).to_json(), text);
        // serde reads the same; big integers excepted, which it rounds.
        if text.len() < 25 || text.contains(['"', '[']) {
            let read: Value = serde_json::from_str(text).unwrap();
            assert_eq!(read, value(text), "{text}");
        }
        assert_eq!(serde_json::to_string(&value(text)).unwrap(), text);
    }
    assert_eq!(value(r#""\u0041\u00e9\ud83d\ude00\/\b\f\r""#), Value::from("Aé😀/\u{8}\u{c}\r"));
    assert_eq!(value(r#""\ud83dx""#), Value::from("\u{fffd}x"));
    assert_eq!(value(r#"{"a":1,"b":2,"a":3}"#).to_json(), r#"{"a":3,"b":2}"#);
    assert_eq!(Value::from("\u{1}\u{7f}").to_json(), r#""\u0001\u007f""#);
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    for (text, offset) in [
        ("", 0),
        ("nul", 0),
        ("[1,]", 3),
        ("[1 2]", 3),
        ("{\"a\"}", 4),
        ("{a:1}", 1),
        ("01", 2),
        ("1.", 2),
        ("-", 1),
        ("1e", 2),
        ("\"a", 2),
        ("\"\\x\"", 2),
        ("\"\\u12\"", 3),
        ("[1]x", 3),
        ("\"\n\"", 1),
        ("{\"a\":1,}", 7),
        ("+1", 0),
        ("NaN", 0),
        ("[", 1),
    ] {
        let error = Value::from_json(text).unwrap_err();
        assert_eq!(error.offset, offset, "{text:?}: {error}");
    }
}

#[test]
fn numbers_that_are_not_finite_are_written_as_jq_does() {
    assert_eq!(Value::Float(f64::NAN).to_json(), "null");
    assert_eq!(Value::Float(f64::NEG_INFINITY).to_json(), "-1.7976931348623157e+308");
    // What no number of ours can be is refused, never another value.
    assert!(Value::from_json(&"9".repeat(5000)).is_err());
}

#[test]
fn messagepack_loses_nothing() {
    let text = r#"{"n":[null,true,-1,1.5,1.0,18446744073709551615,-123456789012345678901234567890],
        "s":"é","o":{"z":{},"a":[[]]}}"#;
    let bytes = rmp_serde::to_vec_named(&value(text)).unwrap();
    let back: Value = rmp_serde::from_slice(&bytes).unwrap();
    assert_eq!(back.to_json(), value(text).to_json());
    // Bytes that are not digits stand for no value.
    assert!(rmp_serde::from_slice::<Value>(&[0xc4, 2, b'1', b'x']).is_err());
    assert!(rmp_serde::from_slice::<Value>(&[0xc4, 0]).is_err());
}

#[test]
fn nesting_is_bounded_wherever_values_come_from() {
    on_a_small_stack(|| {
        let deepest = nested(VALUE_DEPTH as usize);
        let too_deep = nested(VALUE_DEPTH as usize + 2);
        assert_eq!(value(&deepest).depth(), VALUE_DEPTH);
        assert_eq!(value(&deepest).to_json(), deepest);
        assert!(value(&deepest) == value(&deepest));
        assert!(value(&deepest).cmp(&value(&deepest)).is_eq());
        assert_eq!(serde_json::to_string(&value(&deepest)).unwrap(), deepest);
        assert!(Value::from_json(&too_deep).is_err());
        assert!(Value::from_json(&"{\"a\":".repeat(VALUE_DEPTH as usize + 2)).is_err());
        assert!(serde_json::from_str::<Value>(&too_deep).is_err());

        let bytes = rmp_serde::to_vec_named(&value(&deepest)).unwrap();
        assert_eq!(rmp_serde::from_slice::<Value>(&bytes).unwrap(), value(&deepest));
        // An array of one element is one byte in MessagePack: 0x91.
        let bytes = [vec![0x91; VALUE_DEPTH as usize + 2], vec![0xc0]].concat();
        assert!(rmp_serde::from_slice::<Value>(&bytes).is_err());
        // A refused value does not count against the next.
        assert!(rmp_serde::from_slice::<Value>(&[0x91, 0xc0]).is_ok());
    });
}

#[test]
fn lengths_are_not_taken_on_trust() {
    // An array that claims four thousand million elements.
    assert!(rmp_serde::from_slice::<Value>(&[0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0]).is_err());
    assert!(rmp_serde::from_slice::<Value>(&[0xdf, 0xff, 0xff, 0xff, 0xff, 0xc0]).is_err());
}

#[test]
fn order_is_jqs() {
    let sorted = r#"[null,false,true,-1,0,0.5,1,123456789012345678901234567890,"","a","b","é",
        [],[0],[0,1],[1],{},{"a":1},{"a":2},{"a":1,"b":0},{"b":0}]"#;
    let values = value(sorted).into_elements().unwrap();
    for (i, a) in values.iter().enumerate() {
        for (j, b) in values.iter().enumerate() {
            assert_eq!(a.cmp(b), i.cmp(&j), "{a} and {b}");
            assert_eq!(a == b, i == j, "{a} and {b}");
        }
    }
    assert_eq!(value("1"), value("1.0"));
    assert_eq!(value(r#"{"a":1,"b":2}"#), value(r#"{"b":2,"a":1}"#));
}

/// Changes `index` of `text` in place and checks the books against a value built anew.
fn change(text: &str, index: Value, new: Option<&str>) -> String {
    let new = new.map(value);
    let once = |_| new.clone().map(Ok).into_iter();
    let changed = value(text).map_index(&index, Opt::Essential, once);
    let changed = changed.unwrap_or_else(|_| Value::from("refused"));
    let fresh = value(&changed.to_json());
    assert_eq!(
        (changed.weight(), changed.depth()),
        (fresh.weight(), fresh.depth()),
        "{text} became {changed}"
    );
    changed.to_json()
}

#[test]
fn weight_and_depth_follow_every_change() {
    let key = |name: &str| Value::from(name);
    for (text, index, new, expected) in [
        (r#"{"a":[[1]],"b":"x"}"#, key("a"), Some("5"), r#"{"a":5,"b":"x"}"#),
        (r#"{"a":1}"#, key("a"), Some("[[[]]]"), r#"{"a":[[[]]]}"#),
        (r#"{"a":1}"#, key("b"), Some("\"long text\""), r#"{"a":1,"b":"long text"}"#),
        (r#"{"a":[[1]],"b":2}"#, key("a"), None, r#"{"b":2}"#),
        (r#"{"a":1}"#, key("b"), None, r#"{"a":1}"#),
        ("[1,[[2]],3]", Value::Int(1), Some("\"x\""), r#"[1,"x",3]"#),
        ("[1,[[2]],3]", Value::Int(1), None, "[1,3]"),
        ("[1]", Value::Int(3), Some("[2]"), "[1,null,null,[2]]"),
        ("[1]", Value::Int(-1), Some("2"), "[2]"),
        ("[1]", Value::Int(-2), Some("2"), "\"refused\""),
        ("null", key("a"), Some("1"), r#"{"a":1}"#),
        ("null", Value::Int(1), Some("1"), "[null,1]"),
        ("5", key("a"), Some("1"), "\"refused\""),
    ] {
        assert_eq!(change(text, index, new), expected);
    }
    let sum = (value(r#"{"a":[1],"b":1}"#) + value(r#"{"b":"xyz","c":[[]]}"#)).unwrap();
    assert_eq!((sum.weight(), sum.depth()), {
        let fresh = value(&sum.to_json());
        (fresh.weight(), fresh.depth())
    });
    let shared = value("[1,2]");
    let longer = (shared.clone() + value("[3]")).unwrap();
    assert_eq!((shared.to_json(), longer.to_json()), ("[1,2]".into(), "[1,2,3]".into()));
}

#[test]
fn weight_counts_shared_parts_as_often_as_they_appear() {
    let mut doubled = value("\"x\"");
    for _ in 0..200 {
        doubled = Value::array(vec![doubled.clone(), doubled]);
    }
    assert_eq!(doubled.weight(), u64::MAX);
    assert_eq!(doubled.depth(), 200);
}

#[test]
fn values_are_short_in_messages() {
    let long = Value::from(json!("x".repeat(100_000)).to_string());
    assert!(long.to_string().chars().count() < 130);
    assert_eq!(value(r#"{"a":[1,"b"]}"#).to_string(), r#"{"a":[1,"b"]}"#);
}

#[test]
fn an_object_that_was_put_together_again_has_the_same_members() {
    let (text, list) = (Value::from("a text"), value("[1]"));
    let of = |number| Value::object([("a", text.clone()), ("b", list.clone()), ("n", number)]);
    let (one, again) = (of(Value::Int(1)), of(Value::Int(1)));
    assert!(one.has_same_members(&again) && !one.is_same(&again));
    assert!(!one.has_same_members(&of(Value::Int(2))));
    assert!(!one.has_same_members(&value(&one.to_json())), "it looks at no contents");
    assert!(!one.has_same_members(&Value::object([("a", text.clone()), ("b", list.clone())])));
    assert!(text.has_same_members(&text.clone()) && !text.has_same_members(&list));
}
