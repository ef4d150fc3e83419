//! Each operator and modifier, and what is refused.

use super::{UriError, UriTemplate};
use crate::expression::{Budget, EvaluationError, Names, Scope};
use crate::time::Timestamp;
use crate::value::Value;

struct Nothing;

impl Scope for Nothing {
    fn variable(&self, _: &str) -> Value {
        Value::Null
    }
}

const INPUT: &str = r#"{
    "city": "Köln", "road": "a/b c", "done": "50%2F%", "none": "", "no": null, "n": 12, "yes": true,
    "big": 123456789012345678901234567890, "tags": ["x", 1, null, "ü"], "nothing": [], "hole": [null],
    "map": { "k 1": "v/1", "e": "", "gone": null }, "deep": [[1]], "deeper": { "a": {} },
    "pet.name": "Rex", "pet-name": "Tom", "größe": "L", "a%20b": "ab", "7": "seven", "brace": "{n}"
}"#;

fn expand(text: &str) -> Result<String, EvaluationError> {
    let uri = UriTemplate::compile(text, &Names::default()).expect(text);
    uri.expand(&Value::from_json(INPUT).unwrap(), &Nothing, Budget::at(Timestamp(0)))
}

#[test]
fn every_operator_and_modifier() {
    for (template, expected) in [
        ("{city}", "K%C3%B6ln"),
        ("/{road}/{n}/{yes}/{none}/{no}/{unknown}.", "/a%2Fb%20c/12/true///."),
        ("{done}", "50%252F%25"),
        ("{big}", "123456789012345678901234567890"),
        ("{n,city,no,yes}", "12,K%C3%B6ln,true"),
        ("{no,unknown}", ""),
        ("{brace}", "%7Bn%7D"),
        ("{city:2}-{city:999}-{n:1}", "K%C3%B6-K%C3%B6ln-1"),
        ("{tags*}", "x,1,%C3%BC"),
        ("{map*}", "k%201=v%2F1,e="),
        ("{+road}{+done}", "a/b%20c50%2F%25"),
        ("{+city,n}", "K%C3%B6ln,12"),
        ("{+road:3}", "a/b"),
        ("{+tags}", "x,1,%C3%BC"),
        ("{+map}", "k%201,v/1,e,"),
        ("{+map*}", "k%201=v/1,e="),
        ("{#road,n}", "#a/b%20c,12"),
        ("{#no}", ""),
        ("{#tags*}", "#x,1,%C3%BC"),
        ("{#none}", "#"),
        ("x{.n,yes}", "x.12.true"),
        ("x{.tags}", "x.x,1,%C3%BC"),
        ("x{.tags*}", "x.x.1.%C3%BC"),
        ("{/n,road,no,none}", "/12/a%2Fb%20c/"),
        ("{/tags*,n}", "/x/1/%C3%BC/12"),
        ("{/map*}", "/k%201=v%2F1/e="),
        ("{;n,none,no}", ";n=12;none"),
        ("{;tags}", ";tags=x,1,%C3%BC"),
        ("{;tags*}", ";tags=x;tags=1;tags=%C3%BC"),
        ("{;map*}", ";k%201=v%2F1;e"),
        ("{?n,no,none,road:1}", "?n=12&none=&road=a"),
        ("{?no,unknown}", ""),
        ("{?tags}", "?tags=x,1,%C3%BC"),
        ("{?tags*}", "?tags=x&tags=1&tags=%C3%BC"),
        ("{?map}", "?map=k%201,v%2F1,e,"),
        ("{?map*}", "?k%201=v%2F1&e="),
        ("{?nothing,hole*,n}", "?n=12"),
        ("?a=1{&n,tags*}", "?a=1&n=12&tags=x&tags=1&tags=%C3%BC"),
        ("{pet.name}{pet-name}{?pet-name}", "RexTom?pet-name=Tom"),
        ("{größe}{?größe}", "L?gr%C3%B6%C3%9Fe=L"),
        ("{a%20b}{?a%20b}", "ab?a%20b=ab"),
        ("{7}", "seven"),
        ("http://h/straße/{n}", "http://h/stra%C3%9Fe/12"),
    ] {
        assert_eq!(expand(template), Ok(expected.to_owned()), "{template}");
    }
}

#[test]
fn values_that_do_not_fit_are_errors() {
    for (template, message) in [
        ("/{tags}", "a list is written with `*`"),
        ("/{n,map}", "`map` of the URI template"),
        ("/{nothing}", "neither a string, a number nor a boolean"),
        ("{?tags:2}", "has no first characters"),
        ("{+map:1}", "has no first characters"),
        ("{/deep*}", "more than strings, numbers and booleans"),
        ("{?deeper}", "more than strings, numbers and booleans"),
    ] {
        let error = expand(template).expect_err(template);
        assert!(error.message.contains(message) && !error.sealed, "{template}: {}", error.message);
    }
}

#[test]
fn what_is_no_part_of_an_address_is_an_error_before_the_query() {
    for (template, message) in [
        ("http://h/a/${ .no }/b", "`${ .no }` gives null in the host or path"),
        ("http://h/${ .unknown }", "gives null"),
        ("http://h/x-${ .tags }.json", "gives a list"),
        ("/a/${ .map }?q=1", "gives an object"),
        ("http://${ .no }/a", "gives null"),
        ("http://${ .city }:${ .no }/a", "gives null"),
        ("${ .no }/a", "gives null"),
        ("${ .no }", "the expression gives null where a URI belongs"),
        ("${ .map }", "gives an object where"),
        ("${ .tags }", "gives a list where"),
        ("${ .yes }", "gives a boolean where"),
        ("${ .n }", "gives a number where"),
    ] {
        let error = expand(template).expect_err(template);
        assert!(error.message.contains(message) && !error.sealed, "{template}: {}", error.message);
    }
    for (template, expected) in [
        ("http://h/${ .n }/${ .yes }/${ .city }", "http://h/12/true/K%C3%B6ln"),
        // Nothing there is asked for by name, and an author who writes `""` means it.
        ("http://h/${ .none }/b", "http://h//b"),
        ("http://h/a?q=${ .no }&t=${ .tags[:2] }", "http://h/a?q=null&t=%5B%22x%22%2C1%5D"),
        ("http://h/a{?n}&m=${ .map.gone }", "http://h/a?n=12&m=null"),
        ("http://h/a#${ .no }", "http://h/a#null"),
    ] {
        assert_eq!(expand(template), Ok(expected.to_owned()), "{template}");
    }
}

#[test]
fn names_in_braces_are_told_with_their_places() {
    let found = UriTemplate::names_in("http://h/{a}/${ {b: 1} | .b }/{.c}{?d*,e.f:3}$${g}");
    let expected = [(9, "a", false), (30, "c", true), (34, "d", false), (34, "e.f", false)];
    assert_eq!(found, [&expected[..], &[(47, "g", false)]].concat());
}

/// `§` stands before and after the place.
#[test]
fn what_is_no_template_is_refused_with_its_place() {
    for template in [
        "http://h/§{§a",
        "http://h/{n}/§}§",
        "{§}",
        "{n,§}",
        "{?§}",
        "{user§ §name}",
        "{n,§ §a}",
        "{§=§a}",
        "{§!§a}",
        "{§@§a}",
        "{§|§a}",
        "{?§?§a}",
        "{/§?§a}",
        "{§*§a?}",
        "{§\"§a\":1}",
        "{§$§a}",
        "{n}${ {a: 1} | .a }{a§+§}",
        "{a§:0§}",
        "{a§:01§}",
        "{a§:10000§}",
        "{a§:§}",
        "{a§:3*§}",
        "{a§:x§}",
        "{a§*§*}",
        "{a§.§}",
        "{a.§.§b}",
        "{a§%§2}",
        "{§~§a}",
        "{a§{§b}",
        "{a§$§{ .b }}",
    ] {
        let text = template.replace('§', "");
        let places: Vec<_> = template.match_indices('§').map(|it| it.0).collect();
        let start = places[0];
        let end = places.last().unwrap() - if places.len() > 1 { '§'.len_utf8() } else { 0 };
        match UriTemplate::compile(&text, &Names::default()) {
            Err(UriError::Template(error)) => {
                assert_eq!((error.offset, error.offset + error.length), (start, end), "{template}");
            }
            other => panic!("{template}: {other:?}"),
        }
    }
    let broken = UriTemplate::compile("http://h/{n}/${ .x | }", &Names::default());
    assert!(matches!(broken, Err(UriError::Expression(_))), "{broken:?}");
}

#[test]
fn braces_of_expressions_are_not_those_of_the_template() {
    for (template, expected) in [
        ("http://h/${ {a: .n} | .a }/{n}", "http://h/12/12"),
        ("${ .brace }", "{n}"),
        ("http://h/${ .brace }", "http://h/%7Bn%7D"),
        ("http://h/${ \"}\" }", "http://h/%7D"),
    ] {
        assert_eq!(expand(template), Ok(expected.to_owned()), "{template}");
    }
}

#[test]
fn types_of_errors_keep_braces_that_name_nothing() {
    for (template, expected) in [
        ("urn:{n}:{unknown}:{?n,unknown}", "urn:12:{unknown}:?n=12"),
        ("urn:{some thing}:{n", "urn:{some thing}:{n"),
        ("urn:ü:{no}", "urn:ü:"),
    ] {
        let uri = UriTemplate::compile_known(template, &Names::default()).unwrap();
        let input = Value::from_json(INPUT).unwrap();
        let expanded = uri.expand_known(&input, &Nothing, Budget::at(Timestamp(0)));
        assert_eq!(expanded, Ok(expected.to_owned()));
    }
}

#[test]
fn a_uri_cannot_grow_beyond_a_payload() {
    let uri = UriTemplate::compile(&"{x}".repeat(20), &Names::default()).unwrap();
    let input = Value::object([("x", Value::from("x".repeat(1 << 20)))]);
    let error = uri.expand(&input, &Nothing, Budget::at(Timestamp(0))).unwrap_err();
    assert!(error.message.contains("larger than"), "{}", error.message);
}
