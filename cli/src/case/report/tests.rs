use super::{Tested, json, junit, tap, text};
use crate::case::judge::{Failure, Outcome};
use crate::case::reach::Summary;

fn tested() -> Vec<Tested> {
    let failure = Failure {
        message: "`.a < 1` does not hold".to_owned(),
        detail: "{\n  \"a\": \"]]>&\u{1b}\"\n}\n".to_owned(),
        line: 7,
        task: Some("a.yaml:3 /do/0/x".to_owned()),
    };
    let outcome = |name: &str, failures: Vec<Failure>| {
        let before = failures.iter().map(|_| "+PT0S instance.started".to_owned()).collect();
        Outcome { name: name.to_owned(), line: 3, failures, took: 1_500, before }
    };
    let outcomes =
        vec![outcome("good # one", Vec::new()), outcome("a \"bad\" <one>", vec![failure])];
    vec![Tested { file: "a.test.yaml".to_owned(), outcomes, coverage: Summary::default() }]
}

#[test]
fn people_see_what_failed_where() {
    let shown = text(&tested()[0]);
    assert!(shown.contains("  ok   good # one (PT1.5S)\n"), "{shown}");
    assert!(shown.contains("  FAIL a \"bad\" <one> (PT1.5S)\n"), "{shown}");
    assert!(shown.contains("       a.test.yaml:7: `.a < 1` does not hold\n"), "{shown}");
    assert!(shown.contains("       at a.yaml:3 /do/0/x\n"), "{shown}");
}

#[test]
fn junit_is_well_formed() {
    let xml = junit(&tested());
    assert!(xml.contains("tests=\"2\" failures=\"1\""), "{xml}");
    assert!(xml.contains("name=\"a &quot;bad&quot; &lt;one&gt;\""), "{xml}");
    assert!(xml.contains("message=\"`.a &lt; 1` does not hold\""), "{xml}");
    assert!(xml.contains("]]&gt;&amp; &quot;"), "{xml}");
    assert!(!xml.contains('\u{1b}') && xml.ends_with("</testsuites>\n"));
    let opened = xml.matches("<testcase").count();
    assert_eq!(opened, xml.matches("</testcase>").count() + xml.matches("\"/>").count());
}

#[test]
fn tap_has_a_line_for_each_case() {
    let tap = tap(&tested());
    assert!(tap.starts_with("TAP version 14\n1..2\nok 1 - a.test.yaml > good \\# one\n"), "{tap}");
    assert!(tap.contains("\nnot ok 2 - a.test.yaml > a \"bad\" <one>\n  ---\n"), "{tap}");
    assert!(tap.ends_with("\n  ...\n"), "{tap}");
}

#[test]
fn programs_get_all_of_it() {
    let document = json(&tested(), &Summary { reached: 3, all: 4, missed: Vec::new() });
    assert_eq!((&document["total"], &document["failed"]), (&2.into(), &1.into()));
    assert_eq!(document["coverage"]["percent"], 75);
    let case = &document["files"][0]["cases"][1];
    assert_eq!((&case["passed"], &case["took"]), (&false.into(), &"PT1.5S".into()));
    assert_eq!(case["failures"][0]["task"], "a.yaml:3 /do/0/x");
}
