use windlass_proto::definition::Diagnostic;

use super::{suite, surroundings};
use crate::case::{Given, Start, Target};

const CASES: &str = "workflow: a.yaml\ncases:\n  - name: a\n";

fn found(text: &str) -> Vec<Diagnostic> {
    suite(text).err().unwrap_or_default()
}

#[test]
fn mistakes_are_refused_where_they_are_made() {
    for (text, place, words) in [
        ("", (1, 1), "empty"),
        ("[]", (1, 1), "a list stands where a mapping belongs"),
        ("cases: [ { name: a } ]", (1, 1), "`workflow` is missing"),
        ("workflow: a.yaml\n", (1, 1), "`cases` is missing"),
        ("workflow: a.yaml\ncases: []", (2, 8), "from 1 to"),
        ("workflow: a.yaml\ncases: {}", (2, 8), "a mapping stands where a list"),
        ("workflow: 1\ncases: [ { name: a } ]", (1, 11), "a number stands where a string"),
        ("workflow: a.yaml\nmoks: []\ncases: [ { name: a } ]", (2, 1), "`moks` is not known"),
    ] {
        let found = found(text);
        let first = found.first().unwrap_or_else(|| panic!("{text} is taken"));
        assert_eq!((first.line, first.column), place, "{text}: {found:?}");
        assert!(first.message.contains(words), "{text}: {found:?}");
    }
}

#[test]
fn mistakes_in_cases_are_refused_where_they_are_made() {
    for (more, column, words) in [
        ("inptu: 1", 5, "`inptu` is not known"),
        ("schedule: 0", 15, "from 1 to"),
        ("schedule: 1\n    input: 1", 15, "exclude"),
        ("now: tomorrow", 10, "a time belongs here"),
        ("events: [ { event: { data: 1 } } ]", 24, "it has no `type`"),
        ("events: [ { at: 5s, event: { type: a } } ]", 21, "not a duration"),
        ("mocks: [ { answer: { output: 1 } } ]", 14, "one of `task`, `http`"),
        ("mocks: [ { task: a } ]", 14, "has no answer"),
        ("mocks: [ { task: a, answer: {} } ]", 33, "one of five"),
        ("mocks: [ { task: a, answer: { status: 99 } } ]", 43, "from 100 to 599"),
        ("mocks: [ { task: a, answer: { outptu: 1 } } ]", 35, "`outptu` is not known"),
        ("mocks: [ { task: a, answer: { error: { status: 1 } } } ]", 42, "`type` is missing"),
        ("mocks: [ { task: a, when: '.a ==', answer: { output: 1 } } ]", 37, "expression"),
        ("expect: { output: 1, error: timeout }", 23, "exclude"),
        ("expect: { check: 1 }", 22, "a number stands where a jq"),
        ("expect: { tasks: { a: twice } }", 27, "how often"),
        ("expect: { calls: [ { task: a, number: 0 } ] }", 43, "from 1 to"),
        ("expect: { duration: { min: x } }", 32, "not a duration"),
    ] {
        let text = format!("{CASES}    {more}\n");
        let found = found(&text);
        let fits =
            |it: &Diagnostic| (it.line, it.column) == (4, column) && it.message.contains(words);
        assert!(found.iter().any(fits), "{more}: {found:#?}");
        let due = if words.ends_with("is not known") { "WL0170" } else { "WL0171" };
        let code = found.iter().find(|it| fits(it)).map(|it| it.code);
        assert!(code.is_some_and(|it| it == due || it.starts_with("WL04")), "{more}: {found:?}");
    }
    let twice = found(&format!("{CASES}  - name: a\n"));
    assert!(twice.iter().any(|it| it.message.contains("two cases are called `a`")), "{twice:?}");
}

#[test]
fn what_is_said_is_read() {
    let text = "
workflow: a.yaml
with: [ b.yaml ]
secrets: { k: shared, l: 1 }
mocks: [ { task: shared, answer: { output: 1 } } ]
cases:
  - name: a
    secrets: { k: own }
    mocks:
      - { http: post https://a/*, answers: [ { status: 503, times: 2, delay: PT1S }, { body: x } ] }
  - { name: b, schedule: 2 }
";
    let suite = suite(text).unwrap_or_else(|found| panic!("{found:#?}"));
    assert_eq!(suite.with.len(), 1);
    let around = &suite.cases[0].around;
    assert_eq!(around.secrets.len(), 2);
    let http = Target::Http(Some("POST".to_owned()), "https://a/*".to_owned());
    assert_eq!(around.mocks[0].target, http);
    assert_eq!(around.mocks[1].target, Target::Task("shared".to_owned()));
    let [first, second] = &around.mocks[0].answers[..] else { panic!("two answers") };
    assert!(matches!(first.given, Given::Response { status: 503, .. }));
    assert_eq!((first.times, first.delay), (2, 1_000));
    assert!(matches!(second.given, Given::Response { status: 200, .. }));
    assert!(matches!(suite.cases[1].start, Start::Schedule(2)));
    assert!(surroundings("mocks: []\nsecrets: { a: b }\n").is_ok());
    assert!(surroundings(text).is_ok());
    assert!(surroundings("cases_: []\n").is_err());
}
