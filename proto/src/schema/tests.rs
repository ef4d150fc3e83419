//! What is refused, what it is refused with, and what it may cost.

use std::fmt::Write as _;

use super::{Schema, SchemaError, Unfit, Value};
use crate::limits;

fn schema(text: &str) -> Schema {
    Schema::compile(&Value::from_json(text).unwrap()).unwrap()
}

fn check(schema: &Schema, text: &str) -> Result<(), Unfit> {
    schema.validate(&Value::from_json(text).unwrap())
}

#[test]
fn messages_name_places_but_no_values() {
    let schema = schema(
        r#"{"type":"object","required":["a"],"properties":{"a":{"type":"integer"},
        "b":{"items":{"maxLength":3}}}}"#,
    );
    assert_eq!(check(&schema, r#"{"a":1,"b":["x"]}"#), Ok(()));
    let message = check(&schema, r#"{"a":"SECRET","b":["ok","SECRET"]}"#).unwrap_err().to_string();
    assert!(message.contains("/a: ") && message.contains("/b/1: "), "{message}");
    assert!(!message.contains("SECRET"), "{message}");
    assert!(check(&schema, "{}").unwrap_err().to_string().starts_with("/: "));
}

#[test]
fn only_a_few_errors_are_listed() {
    let schema = schema(r#"{"items":{"type":"string"}}"#);
    let message = check(&schema, &format!("[{}0]", "0,".repeat(500))).unwrap_err().to_string();
    assert!(message.ends_with("and more") && message.len() < 500, "{message}");
}

#[test]
fn drafts_are_told_apart() {
    let old = schema(
        r#"{"$schema":"http://json-schema.org/draft-07/schema#","items":[{"type":"string"}]}"#,
    );
    assert!(check(&old, "[1]").is_err());
    let new = schema(r#"{"prefixItems":[{"type":"string"}],"unevaluatedItems":false}"#);
    assert!(check(&new, r#"["a"]"#).is_ok());
    assert!(check(&new, r#"["a",1]"#).is_err());
    assert!(check(&schema("false"), "1").is_err());
    assert!(check(&schema("true"), "1").is_ok());
}

#[test]
fn references_outside_the_document_are_refused() {
    for reference in ["http://127.0.0.1:1/x.json", "file:///etc/passwd", "other.json"] {
        let text = format!(r#"{{"$ref":"{reference}"}}"#);
        assert!(Schema::compile(&Value::from_json(&text).unwrap()).is_err(), "{reference}");
    }
    let inside = schema(r##"{"$defs":{"n":{"type":"null"}},"items":{"$ref":"#/$defs/n"}}"##);
    assert!(check(&inside, "[null]").is_ok());
    assert!(check(&inside, "[1]").is_err());
}

#[test]
fn what_is_no_schema_is_refused() {
    for text in [r#"{"type":"strin"}"#, "5", r#"{"pattern":"("}"#, r#"{"required":"a"}"#] {
        assert!(Schema::compile(&Value::from_json(text).unwrap()).is_err(), "{text}");
    }
}

#[test]
fn schemas_that_refer_to_themselves_end() {
    let tree = schema(r##"{"properties":{"next":{"$ref":"#"}},"required":["v"]}"##);
    assert!(check(&tree, r#"{"v":1,"next":{"v":2}}"#).is_ok());
    assert!(check(&tree, r#"{"v":1,"next":{}}"#).is_err());
    let levels = r#"{"v":1,"next":"#.repeat(250);
    let deep = format!(r#"{levels}{{"v":0}}{}"#, "}".repeat(250));
    let body = move || assert!(check(&tree, &deep).is_ok());
    std::thread::Builder::new().stack_size(2 << 20).spawn(body).unwrap().join().unwrap();
}

fn refused(text: &str) -> String {
    match Schema::compile(&Value::from_json(text).unwrap()) {
        Err(SchemaError::TooCostly(what)) => what,
        other => panic!("{other:?}"),
    }
}

/// Definitions of which each refers twice to the next, `levels` of them: with `below` around each
/// reference it is for the member `x`, without for the same place.
fn doubling(levels: usize, below: bool, last: &str) -> String {
    let mut text = r##"{"$ref":"#/$defs/s0","$defs":{"##.to_owned();
    for level in 0..levels {
        let next = format!(r##"{{"$ref":"#/$defs/s{}"}}"##, level + 1);
        let inner = match below {
            true => format!(r#"{{"properties":{{"x":{next}}}}}"#),
            false => next,
        };
        let _ = write!(text, r#""s{level}":{{"anyOf":[{inner},{inner}]}},"#);
    }
    let _ = write!(text, r#""s{levels}":{last}}}}}"#);
    text
}

/// `{"x":{"x":…{"x":0}…}}`
fn nested(levels: usize) -> String {
    format!("{}0{}", r#"{"x":"#.repeat(levels), "}".repeat(levels))
}

#[test]
fn references_that_double_at_one_place_are_counted_at_load() {
    let fits = schema(&doubling(10, false, r#"{"type":"string"}"#));
    assert!(check(&fits, "1").is_err());
    assert!(check(&fits, r#""a""#).is_ok());
    for last in [r#"{"type":"string"}"#, "true", "false", "{}", r#"{"title":"a"}"#] {
        let what = refused(&doubling(12, false, last));
        assert!(what.contains("more than 10000"), "{what}");
    }
    // What needs no look at the value is charged with the looks there are.
    let blind = schema(&doubling(10, false, "false"));
    let items =
        format!(r##"{{"items":{}}}"##, doubling(10, false, "false").replace("#/", "#/items/"));
    assert!(check(&blind, "1").unwrap_err().to_string().starts_with("/: "));
    let many = format!("[{}0]", "0,".repeat(5_000));
    let always = items.replace(r#""s10":false"#, r#""s10":true"#).replace("anyOf", "allOf");
    let costly = check(&schema(&always), &many).unwrap_err();
    assert!(matches!(costly, Unfit::TooCostly(_)), "{costly}");
}

#[test]
fn references_that_double_with_each_level_of_the_value_are_counted_as_it_is_checked() {
    let levels = |count| schema(&doubling(count, true, r#"{"type":"null"}"#));
    assert!(check(&levels(8), &nested(8)).unwrap_err().to_string().starts_with("/: "));
    // The library alone takes about a second.
    let costly = check(&levels(18), &nested(18)).unwrap_err();
    assert_eq!(
        costly.to_string(),
        "checking the value takes more than 1000000 steps; make the schema simpler or the value \
         smaller"
    );
    assert!(check(&levels(18), &nested(18).replace('0', "null")).is_ok());
}

#[test]
fn errors_that_double_are_not_collected_without_bound() {
    // The value is refused at once, and all errors at every place are many more.
    let schema = schema(&doubling(14, true, r#"{"allOf":[{"type":"null"},{"const":1}]}"#));
    let message = check(&schema, &nested(14)).unwrap_err();
    assert!(matches!(message, Unfit::Refused(_)), "{message}");
    assert!(message.to_string().len() < 2_000, "{message}");
}

#[test]
fn a_long_place_is_not_copied_for_every_error() {
    let key = "k".repeat(1 << 20);
    let schema = schema(r#"{"additionalProperties":{"items":{"type":"string"}}}"#);
    let value = format!(r#"{{"{key}":[{}0]}}"#, "0,".repeat(2_000));
    let message = check(&schema, &value).unwrap_err().to_string();
    assert!(message.len() < 1_000 && message.ends_with("and more"), "{} bytes", message.len());
}

#[test]
fn a_text_is_charged_for_each_keyword_that_reads_it_whole() {
    let many = |count: usize| {
        let all = vec![r#"{"contentMediaType":"application/json"}"#; count].join(",");
        let draft = "http://json-schema.org/draft-07/schema#";
        schema(&format!(r#"{{"$schema":"{draft}","allOf":[{all}]}}"#))
    };
    let value = format!("\"[{}1]\"", "1,".repeat(20_000));
    assert!(check(&many(2), &value).is_ok());
    let costly = check(&many(100), &value).unwrap_err();
    assert!(matches!(costly, Unfit::TooCostly(_)), "{costly}");
}

#[test]
fn a_schema_that_stays_at_one_place_for_ever_is_refused() {
    for text in [
        r##"{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"}"##,
        r##"{"allOf":[{"not":{"$ref":"#"}}]}"##,
        r##"{"$dynamicAnchor":"n","anyOf":[{"$dynamicRef":"#n"}]}"##,
    ] {
        assert!(refused(text).contains("refers to itself"), "{text}");
    }
}

#[test]
fn schemas_nest_so_deep_and_no_deeper() {
    let chain = |levels: usize| {
        let mut text = r##"{"$ref":"#/$defs/s0","$defs":{"##.to_owned();
        for level in 0..levels {
            let _ = write!(text, r##""s{level}":{{"not":{{"$ref":"#/$defs/s{}"}}}},"##, level + 1);
        }
        let _ = write!(text, r#""s{levels}":{{"type":"null"}}}}}}"#);
        text
    };
    assert!(check(&schema(&chain(30)), "null").is_ok());
    assert!(refused(&chain(40)).contains("deeper than 64"));
    let text = format!("{}{{}}{}", r#"{"items":"#.repeat(130), "}".repeat(130));
    assert!(refused(&text).contains("deeper than 128"));
    // At each level of the value the stack takes what it takes for all that applies there.
    let levels = chain(30).replace(r#"{"type":"null"}"#, r##"{"items":{"$ref":"#"}}"##);
    let levels = schema(&levels);
    let value = format!("{}{}", "[".repeat(250), "]".repeat(250));
    let body = move || {
        let _ = check(&levels, &value);
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(body).unwrap().join().unwrap();
}

#[test]
fn resources_that_lead_to_each_other_are_compiled_so_often_and_no_more() {
    let resources = |count: usize| {
        let mut text = r#"{"$ref":"r0","$defs":{"#.to_owned();
        for one in 0..count {
            let others = (0..count).map(|it| format!(r#""p{it}":{{"$ref":"r{it}"}}"#));
            let others = others.collect::<Vec<_>>().join(",");
            let _ = write!(text, r#""d{one}":{{"$id":"r{one}","properties":{{{others}}}}},"#);
        }
        text.pop();
        text + "}}"
    };
    let id = |text: String| text.replacen('{', r#"{"$id":"http://a.example/s","#, 1);
    assert!(check(&schema(&id(resources(4))), r#"{"p1":{"p2":{"p3":1}}}"#).is_ok());
    assert!(refused(&id(resources(8))).contains("more than 50000 schemas"));
}

#[test]
fn patterns_are_linear_and_small() {
    let fits = schema(r#"{"pattern":"^[a-z]+(-[a-z0-9]{1,20})*$"}"#);
    assert!(check(&fits, r#""ab-c1""#).is_ok());
    assert!(check(&fits, r#""ab-C1""#).is_err());
    for text in [
        r#"{"pattern":"^(?!a)b"}"#,
        r#"{"pattern":"(a)\\1"}"#,
        r#"{"patternProperties":{"(?<=a)b":{}}}"#,
        r#"{"items":{"pattern":"((a{1,20}){1,20}){1,100}"}}"#,
    ] {
        let error = Schema::compile(&Value::from_json(text).unwrap()).unwrap_err().to_string();
        assert!(error.contains("the pattern"), "{text}: {error}");
    }
    let long = format!(r#"{{"pattern":"{}"}}"#, "a".repeat(5_000));
    assert!(refused(&long).contains("longer than 4096"));
    let many: Vec<String> =
        (0..40).map(|it| format!(r#"{{"pattern":"a{{1,4000}}{it}"}}"#)).collect();
    assert!(refused(&format!(r#"{{"allOf":[{}]}}"#, many.join(","))).contains("200000 states"));
    // Many long texts against a large automaton.
    let large = schema(r#"{"items":{"pattern":"(a|b)*c(a|b){1,1000}d"}}"#);
    let texts = format!(r#"["{}"]"#, "ac".repeat(50_000));
    assert!(matches!(check(&large, &texts), Err(Unfit::TooCostly(_))));
}

#[test]
fn unique_items_are_told_from_each_other() {
    let unique = schema(r#"{"uniqueItems":true}"#);
    for text in ["[1,1.0]", r#"[{"a":1,"b":[2]},{"b":[2.0],"a":1}]"#, "[[],[]]", "[null,0,null]"] {
        assert!(check(&unique, text).is_err(), "{text}");
    }
    for text in
        ["[1,true,\"1\",[1]]", "[[],[[]],{}]", "[36893488147419103232,36893488147419103233]"]
    {
        assert!(check(&unique, text).is_ok(), "{text}");
    }
    let big = |it: usize| format!("36893488147419{it:06}");
    let run = |count| (0..count).map(big).collect::<Vec<_>>().join(",");
    assert!(check(&unique, &format!("[{}]", run(100))).is_ok());
    assert!(check(&unique, &format!("[{},{}]", run(100), big(50))).is_err());
    assert!(matches!(check(&unique, &format!("[{}]", run(3_000))), Err(Unfit::TooCostly(_))));
    let many: Vec<String> = (0..20_000).map(|it| it.to_string()).collect();
    assert!(check(&unique, &format!("[{}]", many.join(","))).is_ok());
}

#[test]
fn what_was_evaluated_is_found_in_bounded_time() {
    let closed = r#""unevaluatedProperties":false,"properties":"#;
    let levels = |count| {
        let text = doubling(count, true, r#"{"type":"null"}"#);
        schema(&text.replace(r#""properties":"#, closed))
    };
    assert!(check(&levels(5), &nested(5).replace('0', "null")).is_ok());
    assert!(matches!(check(&levels(5), &nested(5)), Err(Unfit::Refused(_))));
    assert!(matches!(check(&levels(18), &nested(18)), Err(Unfit::TooCostly(_))));
    // Each level looks again for what those below have evaluated.
    let mut text = r#"{"properties":{"a":true}}"#.to_owned();
    for _ in 0..14 {
        text = format!(r#"{{"allOf":[{text}],"unevaluatedProperties":false}}"#);
    }
    assert!(refused(&text).contains("more than 10000"));
    let contains = doubling(12, true, r#"{"contains":{"const":1}}"#);
    let value = nested(12).replace('0', &format!("[{}0]", "0,".repeat(500)));
    assert!(matches!(check(&schema(&contains), &value), Err(Unfit::TooCostly(_))));
}

#[test]
fn large_values_are_checked_where_there_is_time() {
    let schema = schema(r#"{"items":{"type":"integer","minimum":0}}"#);
    let many = Value::from_json(&format!("[{}0]", "0,".repeat(1_000_000))).unwrap();
    assert!(matches!(schema.validate(&many), Err(Unfit::TooCostly(_))));
    assert_eq!(schema.validate_within(&many, limits::SCHEMA_WORKER_STEPS), Ok(()));
}

#[test]
fn every_draft_reads_its_own_keywords() {
    let any = r#"{"$ref":"https://json-schema.org/draft/2020-12/schema"}"#;
    assert!(check(&schema(any), r#"{"type":"string"}"#).is_ok());
    assert!(check(&schema(any), r#"{"type":5}"#).is_err());
    // Up to draft 7 what stands beside a reference is not read, so this is no circle.
    let old = r##"{"$schema":"http://json-schema.org/draft-07/schema#","$ref":"#/definitions/a",
        "allOf":[{"$ref":"#"}],"definitions":{"a":{"type":"null","format":"email"}}}"##;
    assert!(check(&schema(old), "null").is_ok());
    let format = r#"{"$schema":"http://json-schema.org/draft-07/schema#","format":"regex"}"#;
    assert!(check(&schema(format), r#""a+""#).is_ok());
    assert!(check(&schema(format), r#""a(""#).is_err());
    assert!(check(&schema(format), &format!("\"{}\"", "a".repeat(5_000))).is_err());
}

#[test]
fn values_are_what_they_are() {
    let checks = [
        (r#"{"type":"integer"}"#, "36893488147419103232", true),
        (r#"{"type":"integer"}"#, "1.0", true),
        (r#"{"type":"integer"}"#, "1.5", false),
        (r#"{"const":{"a":[1,null]}}"#, r#"{"a":[1.0,null]}"#, true),
        (r#"{"enum":["a",2,[]]}"#, "[]", true),
        (r#"{"enum":["a",2,[]]}"#, "[0]", false),
        (r#"{"maximum":18446744073709551615}"#, "18446744073709551615", true),
        (r#"{"maximum":18446744073709551614}"#, "18446744073709551615", false),
        (r#"{"multipleOf":0.01}"#, "0.07", true),
        (r#"{"maxLength":2}"#, r#""äöü""#, false),
        (r#"{"propertyNames":{"pattern":"^a"}}"#, r#"{"ab":1}"#, true),
        (r#"{"propertyNames":{"pattern":"^a"}}"#, r#"{"ab":1,"b":1}"#, false),
        (
            r#"{"patternProperties":{"^a":{"type":"null"}},"additionalProperties":false}"#,
            r#"{"ab":null}"#,
            true,
        ),
        (
            r#"{"patternProperties":{"^a":{"type":"null"}},"additionalProperties":false}"#,
            r#"{"b":null}"#,
            false,
        ),
        (r#"{"contains":{"const":1},"maxContains":1}"#, "[1,2,1]", false),
    ];
    for (text, value, fits) in checks {
        assert_eq!(check(&schema(text), value).is_ok(), fits, "{text} {value}");
    }
}
