//! `windlass.approval`: people decide.

use std::sync::Arc;

use windlass_proto::problem::Standard;
use windlass_proto::value::Value;

use super::driver::{Answer, Run, problem};
use super::json;
use crate::engine::{Body, Fact, Input, Question, Rejection, Requester, ResetOrder, Verdict};
use crate::status::Status;

const PAY: &str = "do: [{pay: {call: windlass.approval, with: {title: 'Pay ${ .n }?', \
                   assignees: {roles: ['${ .role }'], users: ['corp:ada']}}, timeout: {after: P1D}, \
                   output: {as: '. + {n: $input.n}'}}}]";

fn verdict(approved: bool, data: &str) -> Verdict {
    let actor = Some(["corp".into(), "ada".into(), "jwt".into()]);
    let by = Requester { actor, reason: Some("as agreed".into()) };
    Verdict { approved, data: json(data), by: Some(Arc::new(by)) }
}

/// The numbers of the questions that are open.
fn open(run: &Run) -> Vec<u64> {
    let asked = run.state.frames.values().filter_map(|it| match &it.body {
        Body::Approving(asked) => Some(asked.number),
        _ => None,
    });
    asked.collect()
}

fn decide(run: &mut Run, number: u64, verdict: Verdict) -> Result<(), Rejection> {
    run.feed(Input::Decide { number, verdict })
}

#[test]
fn the_decision_is_the_output() {
    for (approved, data) in [(true, r#"{"x":1}"#), (false, "null")] {
        let mut run = Run::of(PAY).input(r#"{"n": 7, "role": "boss"}"#);
        run.begin();
        assert_eq!(run.state.status(), Status::Waiting);
        let numbers = open(&run);
        let [number] = numbers[..] else { panic!("{numbers:?}") };
        assert!(matches!(
            &run.facts[usize::try_from(number).unwrap()],
            Fact::ApprovalAsked { question: Question { title, roles, users, .. }, .. }
                if &**title == "Pay 7?" && *roles == ["boss".into()] && *users == ["corp:ada".into()]
        ));
        // Nobody else's question, nor one of before.
        let other = decide(&mut run, number + 1, verdict(true, "1"));
        assert_eq!(other, Err(Rejection::Stale));
        run.crash();
        assert_eq!(open(&run), [number]);
        decide(&mut run, number, verdict(approved, data)).unwrap();
        let at = run.at.to_rfc3339();
        let expected = format!(
            r#"{{"approved":{approved},"at":"{at}","by":"corp:ada","data":{data},"n":7,"reason":"as agreed"}}"#
        );
        assert_eq!(json(&run.output()), json(&expected));
        assert_eq!(decide(&mut run, number, verdict(true, data)), Err(Rejection::Ended));
    }
}

#[test]
fn a_question_ends_with_its_task() {
    // Its timeout.
    let run = Run::of(PAY).input(r#"{"n": 1, "role": "r"}"#).go();
    assert_eq!(run.problem().status, 408);
    assert_eq!(run.elapsed(), 86_400_000);
    // A skip.
    let mut run = Run::of(PAY).input(r#"{"n": 1, "role": "r"}"#);
    run.begin();
    let frame = *run.state.frames.keys().next_back().unwrap();
    let number = open(&run)[0];
    run.feed(Input::Skip { frame, output: Value::Int(3) }).unwrap();
    assert_eq!(run.output(), "3");
    assert_eq!(decide(&mut run, number, verdict(true, "1")), Err(Rejection::Ended));
    // A race.
    let body = "do: [{f: {fork: {compete: true, branches: [{a: {call: windlass.approval, with: \
                {title: t}}}, {b: {wait: PT1M}}]}}}, {c: {wait: PT1M}}]";
    let mut run = Run::of(body);
    run.begin();
    let number = open(&run)[0];
    run.wait(60_000);
    assert!(open(&run).is_empty());
    assert_eq!(decide(&mut run, number, verdict(true, "1")), Err(Rejection::Stale));
}

#[test]
fn who_asks_again_asks_another_question() {
    let body = "do: [{t: {try: [{a: {call: windlass.approval, with: {title: t}}}, {b: {call: x}}], \
                catch: {retry: {limit: {attempt: {count: 2}}}}}}]";
    let mut failed = false;
    let mut run = Run::of(body).script(move |_| match std::mem::replace(&mut failed, true) {
        false => Answer::Fail(problem(Standard::Runtime, 500)),
        true => Answer::Give(Value::Int(1)),
    });
    run.begin();
    let first = open(&run)[0];
    decide(&mut run, first, verdict(true, "1")).unwrap();
    run.settle();
    let second = open(&run)[0];
    assert!(second > first);
    assert_eq!(decide(&mut run, first, verdict(true, "1")), Err(Rejection::Stale));
    decide(&mut run, second, verdict(true, "1")).unwrap();
    run.settle();
    assert_eq!(run.output(), "1");
}

#[test]
fn who_goes_on_for_another_asks_on_and_who_is_reset_asks_anew() {
    let body = "do: [{f: {fork: {branches: [{a: {call: windlass.approval, with: {title: t}}}, \
                {b: {call: x}}]}}}]";
    let mut failed = false;
    let mut run = Run::of(body).script(move |_| match std::mem::replace(&mut failed, true) {
        false => Answer::Fail(problem(Standard::Runtime, 500)),
        true => Answer::Give(Value::Int(1)),
    });
    run.begin();
    let asked = open(&run);
    run.settle();
    assert_eq!(run.problem().status, 500);
    run.retry().unwrap();
    run.settle();
    assert_eq!(open(&run), asked, "under the name of the new instance");
    decide(&mut run, asked[0], verdict(false, "null")).unwrap();
    run.settle();
    let order = ResetOrder { task: "/do/0/f/fork/branches/0/a".into(), ..ResetOrder::default() };
    run.reset(order).unwrap();
    run.settle();
    let again = open(&run);
    assert!(again.len() == 1 && again[0] > asked[0], "{again:?}");
    decide(&mut run, again[0], verdict(true, "null")).unwrap();
}

#[test]
fn while_suspended_a_decision_is_taken_and_nothing_goes_on() {
    let body = "do: [{a: {call: windlass.approval, with: {title: t}}}, {b: {wait: PT1M}}]";
    let mut run = Run::of(body);
    run.begin();
    let number = open(&run)[0];
    run.feed(Input::Suspend).unwrap();
    decide(&mut run, number, verdict(true, "1")).unwrap();
    assert_eq!((run.state.status(), run.order().as_str()), (Status::Suspended, "a"));
    run.feed(Input::Resume).unwrap();
    assert_eq!(run.order(), "a b");
}

#[test]
fn what_cannot_be_asked_is_an_error() {
    let long = "x".repeat(201);
    for (with, detail) in [
        (format!("{{title: '{long}'}}"), "`title` of the approval has more than 200 characters"),
        ("{title: t, assignees: {users: ['${ .nobody }']}}".to_owned(), "an assignee"),
        ("{title: t, assignees: {roles: ['${ \"\" }']}}".to_owned(), "an assignee"),
    ] {
        let run = Run::of(&format!("do: [{{a: {{call: windlass.approval, with: {with}}}}}]")).go();
        let problem = run.problem();
        assert_eq!(problem.status, 400);
        assert!(problem.detail.as_deref().unwrap().contains(detail), "{problem:?}");
    }
}

#[test]
fn an_error_of_its_output_can_wait_for_an_operator() {
    let body = "document: {dsl: '1.0.3', namespace: t, name: t, version: '1.0.0', metadata: \
                {windlass: {onFault: suspend}}}\ndo: [{a: {call: windlass.approval, with: {title: t}, \
                output: {as: '${ .data | tonumber }'}}}]";
    let mut run = Run::planned(super::driver::plan(body));
    run.begin();
    let first = open(&run)[0];
    decide(&mut run, first, verdict(true, r#""x""#)).unwrap();
    assert_eq!(run.state.status(), Status::Suspended);
    run.feed(Input::Resume).unwrap();
    let second = open(&run)[0];
    assert!(second > first);
    decide(&mut run, second, verdict(true, r#""4""#)).unwrap();
    assert_eq!(run.output(), "4");
}
