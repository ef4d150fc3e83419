//! `raise` and `wait` (§1.7).

use super::driver::{Run, START};
use super::{check, fails, gives};

#[test]
fn an_error_is_raised_as_the_author_wrote_it() {
    check(&[
        fails(
            "in place, with the task as instance",
            "{}",
            "do: [{a: {raise: {error: {type: https://example.com/errors/mine, status: 418}}}}]",
            ("https://example.com/errors/mine", 418, "/do/0/a"),
        ),
        fails(
            "by name",
            "{}",
            "use: {errors: {mine: {type: https://example.com/errors/mine, status: 418}}}
do: [{a: {raise: {error: mine}}}]",
            ("https://example.com/errors/mine", 418, "/do/0/a"),
        ),
        fails(
            "a JSON pointer of the author's own wins",
            "{}",
            "do: [{a: {raise: {error: {type: runtime, status: 500, instance: /somewhere/else}}}}]",
            ("runtime", 500, "/somewhere/else"),
        ),
        fails(
            "what is no JSON pointer does not",
            "{}",
            "do: [{a: {raise: {error: {type: runtime, status: 500, instance: somewhere}}}}]",
            ("runtime", 500, "/do/0/a"),
        ),
        fails(
            "an expression for the instance",
            "{\"at\": \"/here\"}",
            "do: [{a: {raise: {error: {type: runtime, status: 500, instance: '${ .at }'}}}}]",
            ("runtime", 500, "/here"),
        ),
        fails(
            "expressions for the rest",
            "{\"kind\": \"https://example.com/a\", \"status\": 404}",
            "do: [{a: {raise: {error: {type: '${ .kind }', status: '${ .status }'}}}}]",
            ("https://example.com/a", 404, "/do/0/a"),
        ),
        fails(
            "a status that is none",
            "{\"status\": \"many\"}",
            "do: [{a: {raise: {error: {type: runtime, status: '${ .status }'}}}}]",
            ("expression", 400, "/do/0/a"),
        ),
        fails(
            "a type is a URI template; what is not there stays (§1.3)",
            "{\"kind\": \"a b\"}",
            "do: [{a: {raise: {error: {type: 'https://example.com/{kind}/{other}', status: 500}}}}]",
            ("https://example.com/a%20b/{other}", 500, "/do/0/a"),
        ),
        gives(
            "`then` of a raise is never taken",
            "{}",
            "do:
  - t:
      try: [{a: {raise: {error: {type: runtime, status: 500}}, then: end}}]
      catch: {do: [{c: {set: {c: 1}}}]}
  - d: {set: {c: '${ .c + 1 }'}}",
            "{\"c\": 2}",
        ),
    ]);
}

#[test]
fn title_and_detail_are_kept() {
    let body = "do: [{a: {raise: {error: {type: compliance, status: 400, title: 'Not ${ .a }', \
                detail: '${ .b }'}}}}]";
    let run = Run::of(body).input("{\"a\": \"good\", \"b\": {\"c\": 1}}").go();
    let problem = run.problem();
    assert_eq!(problem.title.as_deref(), Some("Not good"));
    assert_eq!(problem.detail.as_deref(), Some("{\"c\":1}"));
    assert_eq!(&*problem.kind, "compliance", "the author's spelling stays");
}

#[test]
fn a_wait_takes_its_time_and_gives_its_input() {
    for (wait, milliseconds) in [
        ("PT1.5S", 1_500),
        ("P1DT2H", 93_600_000),
        ("PT0S", 0),
        ("{seconds: 1, milliseconds: 20}", 1_020),
        ("'${ .iso }'", 60_000),
        ("'${ .object }'", 2_000),
    ] {
        let body = format!(
            "do: [{{a: {{input: {{from: '. + {{n: 1}}'}}, wait: {wait}}}}}, {{b: {{set: '${{ .n }}'}}}}]"
        );
        let input = r#"{"iso": "PT1M", "object": {"seconds": 2}}"#;
        let run = Run::of(&body).input(input).go();
        assert_eq!((run.output().as_str(), run.elapsed()), ("1", milliseconds), "{wait}");
    }
    check(&[
        fails(
            "a duration below nothing",
            "{\"a\": {\"seconds\": -5}}",
            "do: [{w: {wait: '${ .a }'}}]",
            ("expression", 400, "/do/0/w"),
        ),
        fails(
            "what is no duration",
            "{\"a\": \"soon\"}",
            "do: [{w: {wait: '${ .a }'}}]",
            ("expression", 400, "/do/0/w"),
        ),
        fails(
            "an expression that fails",
            "{\"a\": \"soon\"}",
            "do: [{w: {wait: '${ .a.b }'}}]",
            ("expression", 400, "/do/0/w"),
        ),
    ]);
}

#[test]
fn a_waiting_instance_says_so() {
    let mut run = Run::of("do: [{a: {wait: PT1H}}]");
    run.begin();
    assert_eq!(run.state.status(), crate::status::Status::Waiting);
    assert!(!run.state.is_hot(), "nothing must be done for it after a restart");
    run.wait(3_599_999);
    assert!(run.state.ending.is_none());
    run.wait(1);
    assert_eq!(run.output(), "{}");
    assert_eq!(run.state.ended_at, Some(START.plus(3_600_000)));
}
