//! Odd, broken and hostile text.

use super::{DOCUMENT, loaded, plan};
use crate::definition::{Options, Severity, data, load};
use crate::limits;
use crate::value::Value;

fn codes(text: &str) -> Vec<&'static str> {
    load(text, &Options::default()).diagnostics.iter().map(|it| it.code).collect()
}

#[test]
fn json_loads_like_yaml_with_tabs_and_surrogate_pairs() {
    let json = "{\n\t\"document\": {\"dsl\":\"1.0.0\",\"namespace\":\"a\",\"name\":\"b\",\"version\":\"1.0.0\"},\n\
                \t\"do\":[\t{\"x\": {\"set\": {\"a\": \"\\ud83d\\ude00 \\/ \\u00e9 \\\\u\t\", \"n\": 1.50, \"on\": true}}} ]\n}\n";
    let loaded = load(json, &Options::default());
    let plan = loaded.plan.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let set = plan.tasks[0].definition.get("set").unwrap();
    assert_eq!(set.get("a").unwrap().as_str().unwrap(), "😀 / é \\u\t");
    assert_eq!(set.get("on"), Some(&Value::Bool(true)));
    let compact = json.replace(['\n', '\t'], "");
    assert!(load(&compact, &Options::default()).plan.is_some());
    let broken = load("{\n\t\"document\": {,}\n}", &Options::default());
    assert_eq!((broken.diagnostics[0].code, broken.diagnostics[0].line), ("WL0102", 2));
}

#[test]
fn json_means_the_same_in_a_yaml_file() {
    let long = "9".repeat(1_024);
    for json in [
        "0",
        "-0",
        "-0.0",
        "1.50",
        "1e5",
        "1E+2",
        "1e-7",
        "12345678901234567890",
        "0.1",
        "-9223372036854775809",
        "1.7976931348623157e308",
        &long,
        "true",
        "null",
        r#""\ud83d\ude00 \u00e9 \b\f\/\n\"\\""#,
        r#""\\ud83d""#,
        "[\t1,\t{}]",
        r#"["\uD83D\uDE00"]"#,
    ] {
        let value = Value::from_json(json).unwrap();
        for text in [json.to_owned(), format!("a:\n- {json}\n"), format!("{{\"a\": [{json}]}}")] {
            let read = data(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let inner = read.get("a").map_or(read.clone(), |it| it.as_array().unwrap()[0].clone());
            assert_eq!(inner.to_json(), value.to_json(), "{text}");
        }
    }
    for refused in [format!("{long}9"), "1e999".to_owned()] {
        assert!(Value::from_json(&refused).is_err(), "{refused}");
        assert!(data(&format!("a: {refused}")).is_err(), "{refused}");
    }
}

#[test]
fn byte_order_mark_and_line_ends_change_neither_meaning_nor_places() {
    let text = format!("{DOCUMENT}do:\n  - a:\n      set: {{ x: 1 }}\n      thn: end\n");
    for text in [
        text.clone(),
        format!("\u{feff}{text}"),
        text.replace('\n', "\r\n"),
        text.replace('\n', "\r"),
    ] {
        let found = load(&text, &Options::default()).diagnostics;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].line, found[0].column, found[0].length), (9, 7, 3));
        assert!(found[0].render("a.yaml", &text).contains("9 |       thn: end\n"));
    }
}

#[test]
fn tabs_in_the_indentation_are_refused_with_a_hint() {
    let found = loaded("do:\n\t- a: { set: { x: 1 } }\n").diagnostics;
    assert_eq!((found[0].code, found[0].line), ("WL0102", 7));
    assert!(found[0].hint.as_deref().unwrap().contains("spaces"), "{found:?}");
}

#[test]
fn anchors_and_aliases_expand_and_merge_keys_mean_nothing() {
    let plan = plan(
        "do:\n  - a:\n      set: &it { x: &one 1, y: [*one, *one] }\n  - b:\n      set: { <<: *it }\n",
    );
    assert_eq!(plan.tasks[1].definition.to_json(), r#"{"set":{"<<":{"x":1,"y":[1,1]}}}"#);
}

#[test]
fn a_million_laughs_are_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..6 {
        let before = level - 1;
        let aliases = vec![format!("*a{before}"); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert_eq!(codes(&text), ["WL0104"]);
}

#[test]
fn long_text_counts_each_time_an_alias_repeats_it() {
    let long = "x".repeat(100_000);
    let aliases = vec!["*a"; 100].join(", ");
    assert_eq!(codes(&format!("a: &a {long}\nb: [{aliases}]\n")), ["WL0104"]);
}

#[test]
fn depth_is_bounded_in_every_style() {
    let deep = limits::DEFINITION_DEPTH + 2;
    let flow = format!("{}{}", "[".repeat(deep), "]".repeat(deep));
    let keys = "{a: ".repeat(deep);
    let block = "- ".repeat(deep);
    let questions = "? ".repeat(deep);
    for text in [flow, keys, block] {
        assert_eq!(codes(&text), ["WL0103"], "{}", &text[..10]);
    }
    assert_eq!(codes(&questions), ["WL0108"]);
    // An alias brings its own depth along.
    let mut text = String::from("a0: &a0 [1]\n");
    for level in 1..70 {
        text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert_eq!(codes(&text), ["WL0103"]);
}

#[test]
fn text_of_more_than_a_megabyte_is_not_even_parsed() {
    assert_eq!(codes(&format!("a: \"{}\"", "x".repeat(limits::DEFINITION_BYTES))), ["WL0101"]);
}

#[test]
fn of_a_megabyte_of_findings_the_first_hundred_are_reported() {
    let tasks: String =
        (0..10_000).map(|at| format!("  - t{at}: {{ sett: {{ a: {at} }} }}\n")).collect();
    let found = loaded(&format!("do:\n{tasks}")).diagnostics;
    assert_eq!(found.len(), 100);
    let tasks: String =
        (0..8_000).map(|at| format!("  - t{at}: {{ set: {{ a: 1 }}, then: s{at} }}\n")).collect();
    assert_eq!(loaded(&format!("do:\n{tasks}")).diagnostics.len(), 100);
    let secrets = "$secrets.x ".repeat(2_000);
    let secrets = format!(
        "do:\n  - a: {{ set: {{ x: '${{ [ {} ] }}' }} }}\n",
        secrets.trim().replace(' ', ",")
    );
    assert!(!loaded(&secrets).diagnostics.is_empty());
    assert!(found.windows(2).all(|pair| pair[0].line <= pair[1].line));
}

#[test]
fn an_error_is_told_however_many_warnings_there_are() {
    let secrets: String = (0..200).map(|at| format!(" ${{ $secrets.x{at} }}")).collect();
    let found =
        loaded(&format!("do:\n  - a: {{ set: {{ x: '{secrets}' }} }}\n  - b: {{ sett: 1 }}\n"));
    assert!(found.plan.is_none());
    let errors: Vec<_> =
        found.diagnostics.iter().filter(|it| it.severity == Severity::Error).collect();
    assert_eq!(errors.iter().map(|it| it.code).collect::<Vec<_>>(), ["WL0133"]);
    assert_eq!(found.diagnostics.len(), 101);
}

#[test]
fn findings_inside_aliases_are_reported_once() {
    let found = loaded("do:\n  - a: &a { set: { x: 1 }, thn: end }\n  - b: *a\n").diagnostics;
    let codes: Vec<_> = found.iter().map(|it| (it.code, it.line, it.message.as_str())).collect();
    assert_eq!(
        codes,
        [
            ("WL0122", 7, "the task `a` has no property `thn`"),
            ("WL0122", 7, "the task `b` has no property `thn`")
        ]
    );
}

#[test]
fn findings_are_rendered_with_their_line() {
    let text = format!(
        "{DOCUMENT}do:\n  - a:\n      call: http\n      with: {{ metod: get, endpoint: http://a }}\n"
    );
    let found = load(&text, &Options::default()).diagnostics;
    let rendered: Vec<_> = found.iter().map(|it| it.render("w.yaml", &text)).collect();
    assert_eq!(
        rendered[1],
        "error[WL0122]: the `with` of an HTTP call has no property `metod`\n \
         --> w.yaml:9:15\n  \
         |\n\
         9 |       with: { metod: get, endpoint: http://a }\n  \
         |               ^^^^^\n  \
         = hint: did you mean `method`?"
    );
    assert!(rendered[0].starts_with("error[WL0121]: the `with` of an HTTP call needs `method`"));
    assert_eq!(found[1].pointer, "/do/0/a/with/metod");
}

#[test]
fn names_are_bounded_and_messages_fit_a_terminal() {
    let long = "n".repeat(129);
    let found = loaded(&format!("do:\n  - {long}: {{ set: {{ x: 1 }} }}\n")).diagnostics;
    assert_eq!((found[0].code, found[0].line, found[0].column), ("WL0144", 7, 5));
    assert_eq!(plan(&format!("do:\n  - {}: {{ set: {{ x: 1 }} }}\n", &long[1..])).tasks.len(), 1);
    let key = "k".repeat(500_000);
    let text = format!("do:\n  - a: {{ set: {{ x: 1 }}, \"\\e[31m{key}\": 1 }}\n");
    let found = loaded(&text).diagnostics;
    assert_eq!(found[0].code, "WL0122");
    let rendered = found[0].render("a.yaml", &text);
    assert!(rendered.len() < 2_000 && found[0].pointer.len() < 5_000, "{}", rendered.len());
    assert!(!rendered.contains('\u{1b}'));
}
