//! `emit` (§1.11).

use windlass_proto::problem::Standard;

use super::driver::{Run, problem};
use super::{check, fails, gives, json};

#[test]
fn an_event_is_filled_in_and_is_the_output() {
    let body =
        "do: [{e: {emit: {event: {with: {type: com.example.a, data: {n: '${ .n + 1 }'}}}}}}]";
    let run = Run::of(body).input("{\"n\": 1}").go();
    let output = json(&run.output());
    let text = |name: &str| output.get(name).and_then(|it| it.as_str()).unwrap_or("");
    assert_eq!(text("specversion"), "1.0");
    assert_eq!(text("type"), "com.example.a");
    assert_eq!(text("source"), "/test/test/1.0.0");
    assert_eq!(text("datacontenttype"), "application/json");
    assert_eq!(text("time"), "2026-01-01T00:00:00.000Z");
    assert!(uuid::Uuid::parse_str(text("id")).is_ok());
    assert_eq!(output.get("data"), Some(&json("{\"n\": 2}")));
    assert_eq!(run.published.len(), 1);
    assert_eq!(*run.published[0].envelope(), output);
}

#[test]
fn ids_are_the_same_for_the_same_visit_and_differ_otherwise() {
    let ids = |id: u128| {
        let body = "do: [{f: {for: {in: '[1, 2]'}, do: [{e: {emit: {event: {with: {type: t}}}}}]}}, \
                    {g: {emit: {event: {with: {type: t}}}}}]";
        let run = Run::of(body).id(id).go();
        run.published.iter().map(|event| event.id().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(1), ids(1), "a repeat can be told from a new event");
    let mut all: Vec<String> = [ids(1), ids(2)].concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 6, "three visits in two instances");
}

#[test]
fn an_event_that_a_crash_held_back_is_handed_over_again_with_its_id() {
    let mut run = Run::of("do: [{e: {emit: {event: {with: {type: t}}}}}]");
    run.begin();
    run.crash();
    run.settle();
    assert_eq!(run.published.len(), 2);
    assert_eq!(run.published[0], run.published[1]);
}

#[test]
fn the_authors_attributes_are_kept() {
    check(&[
        gives(
            "all of them, other than text turned to text",
            "{\"n\": 1}",
            "do:
  - e:
      emit:
        event:
          with:
            id: mine
            source: '${ \"/a/\" + (.n | tostring) }'
            type: t
            time: 2020-01-01T00:00:00Z
            subject: '${ .none }'
            priority: 5
            flag: true
            datacontenttype: text/plain
            data: plain",
            "{\"specversion\": \"1.0\", \"id\": \"mine\", \"source\": \"/a/1\", \"type\": \"t\", \
\"time\": \"2020-01-01T00:00:00Z\", \"priority\": \"5\", \"flag\": \"true\", \
\"datacontenttype\": \"text/plain\", \"data\": \"plain\"}",
        ),
        gives(
            "without data",
            "{}",
            "do: [{e: {emit: {event: {with: {id: i, source: /s, type: t, time: 2020-01-01T00:00:00Z}}}}}]",
            "{\"specversion\": \"1.0\", \"id\": \"i\", \"source\": \"/s\", \"type\": \"t\", \
\"time\": \"2020-01-01T00:00:00Z\"}",
        ),
        fails(
            "a type that comes to nothing",
            "{}",
            "do: [{e: {emit: {event: {with: {type: '${ .none }'}}}}}]",
            ("expression", 400, "/do/0/e"),
        ),
        gives(
            "the output can be transformed",
            "{}",
            "do: [{e: {emit: {event: {with: {type: t, data: {a: 1}}}}, output: {as: .data.a}}}]",
            "1",
        ),
    ]);
}

#[test]
fn an_event_that_cannot_be_handed_over_fails_the_task() {
    let body = "do: [{t: {try: [{e: {emit: {event: {with: {type: t}}}}}], \
                catch: {errors: {with: {type: communication}}, do: [{c: {set: '${ $error.instance }'}}]}}}]";
    let run = Run::of(body).unpublishable(problem(Standard::Communication, 500)).go();
    assert_eq!(run.output(), "\"/do/0/t/try/0/e\"");
}

#[test]
fn an_instance_hears_what_it_says_itself() {
    let body = "
do:
  - f:
      fork:
        branches:
          - l: {listen: {to: {one: {with: {type: t}}}}}
          - e: {do: [{w: {wait: PT1S}}, {x: {emit: {event: {with: {type: t, data: hello}}}}}], output: {as: .data}}";
    assert_eq!(Run::of(body).go().output(), r#"[["hello"],"hello"]"#);
}
