//! What must be equal for a program to be true, and what a program gives whatever its input.

use super::{Variables, compiled, json};
use crate::value::Value;

/// Path and value of each equality, `$item` being `{"id": 7}`.
fn equalities(text: &str) -> Vec<String> {
    let scope = Variables(vec![("item", json("{\"id\":7}"))]);
    let all = compiled(text);
    let all = all.equalities().iter();
    all.map(|it| format!("{}={}", it.path.join("."), it.operand.value(&scope).unwrap())).collect()
}

#[test]
fn equalities_are_found_where_they_surely_must_hold() {
    for (text, found) in [
        ("${ .a == 1 }", &["a=1"][..]),
        ("1.0 == .a.b", &["a.b=1"]),
        (". == \"x\"", &["=\"x\""]),
        (".[\"a-b\"] == null", &["a-b=null"]),
        (".a == $item.id", &["a=7"]),
        (".a == -1 and (.b == true and .c > 3)", &["a=-1", "b=true"]),
        (".a == 1 and (.b | length) == 2", &["a=1"]),
        (".a == 1 and (.b | test(\"x\") | not)", &["a=1"]),
        // Of several outputs an array is made, which is true.
        (".a == 1 and .b[] == 2", &[]),
        (".a == 1 and (.b, .c)", &[]),
        (".a == 1 and \"\\(.b[])\" == \"x\"", &[]),
        (".a == 1 and empty", &[]),
        (".a == 1 or .b == 2", &[]),
        ("(.a == 1) | not", &[]),
        (".a != 1", &[]),
        (".a == .b", &[]),
        (".a[0] == 1", &[]),
        (".a? == 1", &[]),
        (".a == $secrets.token", &[]),
        (". as $x | $x.a == 1", &[]),
        ("def f: .a == 1; f", &[]),
    ] {
        assert_eq!(equalities(text), found, "{text}");
    }
}

#[test]
fn what_does_not_depend_on_the_input_is_known() {
    let scope = Variables(vec![("item", json("{\"id\":7}"))]);
    let fixed = |text: &str| compiled(text).fixed().map(|it| it.value(&scope));
    assert_eq!(fixed("$item.id"), Some(Some(Value::Int(7))));
    assert_eq!(fixed("$item.none.x"), Some(Some(Value::Null)));
    assert_eq!(fixed("$item.id.x"), Some(None), "a number has no members");
    assert_eq!(fixed("\"x\""), Some(Some(Value::from("x"))));
    for text in [".a", "$item.id + .a", "$secrets.token", "[1]"] {
        assert_eq!(fixed(text), None, "{text}");
    }
    let path = |text: &str| compiled(text).path().map(|it| it.join("/"));
    assert_eq!(path(".a.b"), Some("a/b".to_owned()));
    assert_eq!(path("."), Some(String::new()));
    for text in ["$item.id", ".a[0]", ".a | tostring", "1"] {
        assert_eq!(path(text), None, "{text}");
    }
}
