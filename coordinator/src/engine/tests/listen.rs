//! `listen` (§1.11).

use super::driver::Run;
use super::json;
use crate::engine::{Ending, Rejection};
use crate::status::Status;

/// A listening instance that has begun.
fn listening(to: &str) -> Run {
    Run::of(&format!("do: [{{l: {{listen: {to}}}}}]")).input("{\"room\": 7, \"least\": 10}").go()
}

/// Feeds events `type=data`; true for each that was taken.
fn feed(run: &mut Run, events: &[(&str, &str)]) -> Vec<bool> {
    let mut taken = Vec::new();
    for (kind, data) in events {
        let result = run.event_of(kind, data);
        assert!(
            matches!(result, Ok(()) | Err(Rejection::NotWaited | Rejection::Ended)),
            "{result:?}"
        );
        taken.push(result.is_ok());
        run.settle();
    }
    taken
}

#[test]
fn strategies_end_when_they_have_what_they_want() {
    let any = "{to: {any: [{with: {type: a}}, {with: {type: b}}]";
    for (to, events, taken, output) in [
        // One event is enough, and the output is an array all the same.
        ("{to: {one: {with: {type: a}}}}", "b=1 a=2 a=3", "010", "[2]"),
        // Each filter once, in order of arrival; repeats of a filter are left alone.
        (
            "{to: {all: [{with: {type: a}}, {with: {type: b}}]}}",
            "b=1 b=2 c=3 a=4 a=5",
            "10010",
            "[1,4]",
        ),
        ("{to: {all: []}}", "", "", "[]"),
        // Of two filters that match, the event fills the first that is still open.
        ("{to: {all: [{with: {type: a}}, {with: {type: '[ab]'}}]}}", "a=1 a=2", "11", "[1,2]"),
        ("ANY}}", "c=1 b=2 a=3", "010", "[2]"),
        ("ANY, until: false}}", "b=2", "1", "[2]"),
        // `until` as a condition, after each event, on what was gathered.
        ("ANY, until: '(. | length) == 3'}}", "a=1 c=0 b=2 a=3 a=4", "10110", "[1,2,3]"),
        ("ANY, until: '${ .[-1] > 2 }'}}", "a=1 b=2 a=3", "111", "[1,2,3]"),
        ("ANY, until: '. | any(. > $input.least)'}}", "a=1 b=12 a=3", "110", "[1,12]"),
        // `until` as a strategy: its events are not part of the output.
        ("ANY, until: {one: {with: {type: end}}}}}", "a=1 b=2 end=3 a=4", "1110", "[1,2]"),
        ("ANY, until: {any: [{with: {type: x}}, {with: {type: y}}]}}}", "a=1 y=0", "11", "[1]"),
        (
            "ANY, until: {all: [{with: {type: x}}, {with: {type: y}}]}}}",
            "x=0 a=1 y=0",
            "111",
            "[1]",
        ),
        ("{to: {any: [], until: {one: {with: {type: end}}}}}", "a=1 b=2 end=3", "111", "[1,2]"),
        ("{to: {any: []}}", "a=1 b=2", "10", "[1]"),
        // Lifecycle events are for those who ask for them.
        (
            "{to: {any: [], until: '. | length == 2'}}",
            "io.serverlessworkflow.workflow.started.v1=0 a=1 b=2",
            "011",
            "[1,2]",
        ),
        (
            "{to: {one: {with: {type: io.serverlessworkflow.workflow.started.v1}}}}",
            "a=0 io.serverlessworkflow.workflow.started.v1=1",
            "01",
            "[1]",
        ),
        // An event without data is one too.
        ("{to: {one: {with: {type: a}}}}", "a=null", "1", "[null]"),
    ] {
        let to = to.replace("ANY", any);
        let mut run = listening(&to);
        let events: Vec<(&str, &str)> =
            events.split_whitespace().map(|event| event.split_once('=').unwrap()).collect();
        let got: String =
            feed(&mut run, &events).iter().map(|it| if *it { '1' } else { '0' }).collect();
        assert_eq!(got, taken, "{to}");
        assert_eq!(run.output(), output, "{to}");
    }
}

#[test]
fn filters_match_by_equality_pattern_containment_or_expression() {
    let event = r#"{"specversion":"1.0","id":"1","source":"/s/1","type":"com.example.a-b","subject":"s","priority":"5",
        "data":{"a":{"b":[1,2],"c":"text"},"n":38}}"#;
    for (with, matches) in [
        ("{type: com.example.a-b}", true),
        ("{type: com.example.a}", false),
        ("{type: 'com\\.example\\..*'}", true),
        ("{type: 'com\\.example'}", false),
        ("{type: 'com.*', source: /s/1}", true),
        ("{type: 'com.*', source: /s/2}", false),
        ("{type: '('}", false),
        ("{subject: S}", false),
        ("{missing: x}", false),
        ("{priority: 5}", true),
        ("{priority: '5'}", true),
        ("{priority: 6}", false),
        ("{data: {n: 38}}", true),
        ("{data: {n: 38.0}}", true),
        ("{data: {n: '38'}}", false),
        ("{data: {a: {c: 'te.*'}}}", true),
        ("{data: {a: {b: [1, 2]}}}", true),
        ("{data: {a: {b: [1]}}}", false),
        ("{data: {a: {}, n: 38}}", true),
        ("{data: {x: 1}}", false),
        ("{data: '${ .n > 37 }'}", true),
        ("{data: '${ .n > 38 }'}", false),
        ("{data: '${ .a }'}", true),
        ("{data: '${ .x }'}", false),
        ("{data: {n: '${ . > 37 }'}}", true),
        ("{data: {n: '${ $input.least + 28 }'}}", true),
        ("{data: {n: '${ $input.least }'}}", false),
        ("{source: '${ startswith(\"/s\") }'}", true),
        ("{source: '${ \"/s/1\" }'}", true),
        ("{source: '${ \"/s/2\" }'}", false),
        ("{subject: 's${ $input.none // \"\" }'}", true),
        // A filter that fails does not match, and ends nothing.
        ("{data: '${ .n.x.y }'}", false),
        ("{data: '${ error(\"no\") }'}", false),
    ] {
        let mut run = listening(&format!("{{to: {{one: {{with: {with}}}}}, read: envelope}}"));
        let expected = if matches { Ok(()) } else { Err(Rejection::NotWaited) };
        assert_eq!(run.event(event), expected, "{with}");
        run.settle();
        assert_eq!(run.state.ending.is_some(), matches, "{with}");
    }
}

#[test]
fn events_are_read_as_the_author_says() {
    for (read, event, item) in [
        ("data", r#"{"data":{"a":1}}"#, r#"{"a":1}"#),
        ("data", "{}", "null"),
        ("raw", r#"{"data":{"a":1}}"#, r#""{\"a\":1}""#),
        ("raw", r#"{"data":"text"}"#, r#""text""#),
        ("raw", r#"{"data_base64":"AAE="}"#, r#""AAE=""#),
    ] {
        let event = json(event);
        let mut members = event.as_object().unwrap().clone();
        for (name, value) in [("id", "1"), ("source", "/s"), ("type", "a"), ("specversion", "1.0")]
        {
            members.insert(name.into(), value.into());
        }
        let event = windlass_proto::value::Value::from(members).to_json();
        let mut run = listening(&format!("{{to: {{one: {{with: {{type: a}}}}}}, read: {read}}}"));
        run.event(&event).unwrap();
        assert_eq!(run.output(), format!("[{item}]"), "{read} of {event}");
        let mut run = listening("{to: {one: {with: {type: a}}}, read: envelope}");
        run.event(&event).unwrap();
        assert_eq!(json(&run.output()), json(&format!("[{event}]")));
    }
}

#[test]
fn correlations_hold_events_together() {
    let filter =
        |kind: &str, correlate: &str| format!("{{with: {{type: {kind}}}, correlate: {correlate}}}");
    // `expect` as an expression on the input, as a constant, or of the first event.
    for (correlate, events, taken) in [
        ("{room: {from: .data.room, expect: '${ .room }'}}", "a=8 a=7", "01"),
        ("{room: {from: .data.room, expect: 8}}", "a=7 a=8", "01"),
        ("{room: {from: .data.none}}", "a=7", "0"),
        ("{room: {from: .type, expect: a}}", "a=7", "1"),
        ("{room: {from: '.data | keys | .[0] | .x.y', expect: a}}", "a=7", "0"),
        ("{room: {from: .data.room, expect: 7}, kind: {from: .type, expect: b}}", "a=7", "0"),
    ] {
        let mut run = listening(&format!("{{to: {{one: {}}}}}", filter("a", correlate)));
        let got = feed_rooms(&mut run, events);
        assert_eq!(got, taken, "{correlate}");
    }
    // A key is shared by all filters of the listen; the first event fixes it.
    let shared = "{room: {from: .data.room}}";
    let all = format!("{{to: {{all: [{}, {}]}}}}", filter("a", shared), filter("b", shared));
    let mut run = listening(&all);
    assert_eq!(feed_rooms(&mut run, "b=3 a=4 a=3"), "101");
    assert_eq!(run.output(), r#"[{"room":3},{"room":3}]"#);
    // So it is in `until`, whose own expectations count as well.
    let until = format!(
        "{{to: {{any: [{}], until: {{one: {}}}}}}}",
        filter("a", shared),
        filter("end", "{room: {from: .data.room, expect: '${ .room }'}}")
    );
    let mut run = listening(&until);
    assert_eq!(feed_rooms(&mut run, "a=8 end=8 a=7 end=7"), "0011");
    assert_eq!(run.output(), r#"[{"room":7}]"#);
}

fn feed_rooms(run: &mut Run, events: &str) -> String {
    let mut taken = String::new();
    for event in events.split_whitespace() {
        let (kind, room) = event.split_once('=').unwrap();
        let result = run.event_of(kind, &format!("{{\"room\":{room}}}"));
        taken.push(if result.is_ok() { '1' } else { '0' });
        run.settle();
    }
    taken
}

#[test]
fn each_event_goes_through_foreach() {
    let body = "
do:
  - s: {set: {n: 1}, export: {as: '{sum: 0}'}}
  - l:
      listen: {to: {any: [{with: {type: a}}], until: '($context.sum >= 10)'}, read: data}
      foreach:
        item: event
        at: i
        do:
          - one: {set: {dot: '${ . }', item: '${ $event }', i: '${ $i }'}}
          - two: {set: '${ [.dot, .item, .i, $event] }'}
        output: {as: '{got: ., i: $i}'}
        export: {as: '$context + {sum: ($context.sum + $event), last: .got}'}
      output: {as: '{all: ., sum: $context.sum}'}
  - z: {set: {all: '${ .all }', sum: '${ .sum }', last: '${ $context.last }'}}";
    let mut run = Run::of(body).go();
    assert_eq!(feed(&mut run, &[("a", "3"), ("a", "8"), ("a", "9")]), [true, true, false]);
    assert_eq!(
        json(&run.output()),
        json(
            r#"{"all":[{"got":[3,3,0,3],"i":0},{"got":[8,8,1,8],"i":1}],"sum":11,"last":[8,8,1,8]}"#
        )
    );
    assert_eq!(run.order(), "s l one two one two z");
}

#[test]
fn foreach_without_tasks_transforms_the_items() {
    let body = "do: [{l: {listen: {to: {all: [{with: {type: a}}, {with: {type: b}}]}}, \
                foreach: {output: {as: '. + $index'}}}}]";
    let mut run = Run::of(body).go();
    feed(&mut run, &[("a", "1"), ("b", "1")]);
    assert_eq!(run.output(), "[1,2]");
}

#[test]
fn events_queue_while_foreach_works() {
    let body = "
do:
  - l:
      listen: {to: {any: [{with: {type: a}}], until: {one: {with: {type: end}}}}}
      foreach: {do: [{w: {call: work, with: '${ . }'}}], output: {as: '. * 10'}}";
    let mut run = Run::of(body)
        .script(|job| {
            super::driver::Answer::After(
                1_000,
                Box::new(super::driver::Answer::Give(job.with.clone())),
            )
        })
        .go();
    // The driver's clock stands still between these.
    run.event_of("a", "1").unwrap();
    run.event_of("a", "2").unwrap();
    run.event_of("a", "3").unwrap();
    run.event_of("end", "0").unwrap();
    assert_eq!(run.event_of("a", "4"), Err(Rejection::NotWaited), "it wants no more");
    assert_eq!(run.jobs.len(), 1, "one after the other");
    run.crash();
    run.settle();
    assert_eq!(run.output(), "[10,20,30]");
    assert_eq!(run.elapsed(), 3_000);
}

#[test]
fn a_condition_that_holds_drops_what_still_waits() {
    let body = "
do:
  - l:
      listen: {to: {any: [{with: {type: a}}], until: '. | length == 1'}}
      foreach: {do: [{w: {call: work}}]}";
    let mut run = Run::of(body)
        .script(|job| {
            super::driver::Answer::After(
                1_000,
                Box::new(super::driver::Answer::Give(job.raw.clone())),
            )
        })
        .go();
    run.event_of("a", "1").unwrap();
    run.event_of("a", "2").unwrap();
    run.settle();
    assert_eq!(run.output(), "[1]");
}

#[test]
fn an_error_in_foreach_is_the_listens_and_a_schema_is_checked() {
    let body = "
do:
  - t:
      try:
        - l:
            listen: {to: {any: [{with: {type: a}}], until: 'false'}}
            foreach: {do: [{r: {if: '. == 2', raise: {error: {type: runtime, status: 500}}}}]}
      catch: {do: [{c: {set: '${ [$error.instance, $item] }'}}]}"
        .replace(", $item", "");
    let mut run = Run::of(&body).go();
    feed(&mut run, &[("a", "1"), ("a", "2")]);
    assert_eq!(run.output(), r#"["/do/0/t/try/0/l/foreach/do/0/r"]"#);

    let body = "do: [{l: {listen: {to: {one: {with: {type: a}}}}, \
                foreach: {output: {schema: {document: {type: string}}}}}}]";
    let mut run = Run::of(body).go();
    feed(&mut run, &[("a", "1")]);
    assert_eq!((run.problem().status, run.problem().instance.as_deref()), (400, Some("/do/0/l")));
}

#[test]
fn directives_in_foreach_end_the_item_or_the_workflow() {
    let body = |then: &str| {
        format!(
            "do: [{{l: {{listen: {{to: {{any: [{{with: {{type: a}}}}], until: '. | length == 2'}}}}, \
             foreach: {{do: [{{x: {{set: '${{ . + 1 }}', then: {then}}}}}, {{y: {{set: {{n: 1}}}}}}]}}}}}}]"
        )
    };
    let mut run = Run::of(&body("exit")).go();
    feed(&mut run, &[("a", "1"), ("a", "2")]);
    assert_eq!(run.output(), "[2,3]");
    let mut run = Run::of(&body("end")).go();
    feed(&mut run, &[("a", "1")]);
    assert_eq!(run.output(), "2");
}

#[test]
fn one_event_serves_all_who_wait_in_an_instance() {
    let body = "do: [{f: {fork: {branches: [{a: {listen: {to: {one: {with: {type: a}}}}}}, \
                {b: {listen: {to: {one: {with: {type: a}}}}}}, {c: {listen: {to: {one: {with: {type: c}}}}}}]}}}]";
    let mut run = Run::of(body).go();
    assert_eq!(run.state.status(), Status::Waiting);
    assert_eq!(feed(&mut run, &[("a", "1"), ("a", "2"), ("c", "3")]), [true, false, true]);
    assert_eq!(run.output(), "[[1],[1],[3]]");
}

#[test]
fn a_listen_that_is_closed_hears_nothing_more() {
    let body = "do: [{l: {listen: {to: {one: {with: {type: a}}}}, timeout: {after: PT5S}}}]";
    let mut run = Run::of(body).go();
    assert!(matches!(&run.state.ending, Some(Ending::Faulted(problem)) if problem.status == 408));
    assert_eq!(run.event_of("a", "1"), Err(Rejection::Ended));
}

#[test]
fn what_waits_for_foreach_is_bounded() {
    let body = "
do:
  - l:
      listen: {to: {any: [{with: {type: a}}], until: 'false'}}
      foreach: {do: [{w: {call: work}}]}";
    let mut run = Run::of(body).script(|_| super::driver::Answer::Never).go();
    let text = "x".repeat(1 << 20);
    for _ in 0..40 {
        let _ = run.event_of("a", &format!("\"{text}\""));
    }
    assert_eq!(run.problem().status, 500);
    assert!(run.problem().detail.as_deref().unwrap().contains("until"));
}
