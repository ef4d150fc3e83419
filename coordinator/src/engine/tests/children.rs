//! `run.workflow` (§1.12).

use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::limits;
use windlass_proto::problem::Standard;
use windlass_proto::value::Value;

use super::driver::{Run, problem};
use super::json;
use crate::engine::{ChildOutcome, Fact, Input, Parent, Rejection};

const CHILD: &str = "do: [{c: {run: {workflow: {namespace: test, name: child, version: 1.0.0}}}}]";

#[test]
fn a_child_gets_its_input_and_gives_its_output() {
    let body = "do: [{c: {run: {workflow: {namespace: '${ \"test\" }', name: child, version: latest, \
                input: {n: '${ .n + 1 }', text: .n}}}, output: {as: '{got: .}'}}}]";
    let run = Run::of(body)
        .input("{\"n\": 1}")
        .child(|_, _| Some(ChildOutcome::Completed(Value::Int(5))))
        .go();
    assert_eq!(run.output(), r#"{"got":5}"#);
    let (workflow, input, awaited) = &run.children[0];
    assert_eq!(workflow.each_ref().map(|it| &**it), ["test", "child", "latest"]);
    assert_eq!((input, *awaited), (&json(r#"{"n":2,"text":".n"}"#), true));
}

#[test]
fn without_input_the_tasks_own_is_passed_on() {
    let body = "do: [{c: {input: {from: .a}, run: {workflow: {namespace: test, name: child, version: 1.0.0}}}}]";
    let run = Run::of(body).input("{\"a\": {\"b\": 1}}").go();
    assert_eq!(run.output(), r#"{"b":1}"#);
}

#[test]
fn a_child_that_is_not_awaited_changes_nothing() {
    let body = "do: [{c: {run: {workflow: {namespace: test, name: child, version: 1.0.0, input: {x: 1}}, await: false}}}, \
                {d: {wait: PT1S}}]";
    let run = Run::of(body).input("{\"a\": 1}").go();
    assert_eq!(run.output(), r#"{"a":1}"#);
    assert!(!run.children[0].2);
    assert!(run.cancelled_children.is_empty());
}

#[test]
fn output_none_gives_null() {
    let body = "do: [{c: {run: {return: none, workflow: {namespace: test, name: child, version: 1.0.0}}}}]";
    assert_eq!(Run::of(body).input("{\"a\": 1}").go().output(), "null");
}

#[test]
fn the_fault_of_a_child_is_the_tasks() {
    let body = format!(
        "do: [{{t: {{try: [{}], catch: {{do: [{{e: {{set: '${{ $error }}'}}}}]}}}}}}]",
        &CHILD[5..CHILD.len() - 1]
    );
    let run = Run::of(&body)
        .child(|_, _| {
            let problem = problem(Standard::Communication, 502);
            Some(ChildOutcome::Faulted(problem.at(&"/do/7/deep".into())))
        })
        .go();
    let error = json(&run.output());
    assert_eq!(error.get("status"), Some(&Value::Int(502)));
    assert_eq!(error.get("instance"), Some(&Value::from("/do/0/t/try/0/c")));
    assert!(run.cancelled_children.is_empty(), "the child has ended already");
}

#[test]
fn a_child_that_does_not_exist_or_is_cancelled_fails_the_task() {
    let missing = || ChildOutcome::Faulted(problem(Standard::Configuration, 400));
    let run = Run::of(CHILD).child(move |_, _| Some(missing())).go();
    assert_eq!((run.problem().status, run.problem().instance.as_deref()), (400, Some("/do/0/c")));
    let id: InstanceId = "01920000-0000-7000-8000-000000000009".parse().unwrap();
    let run = Run::of(CHILD).child(move |_, _| Some(ChildOutcome::Cancelled(id))).go();
    assert_eq!(run.problem().status, 500);
    assert!(run.problem().detail.as_deref().unwrap().contains("was cancelled"));
    let body = CHILD.replace("version: 1.0.0}", "version: 1.0.0}, await: false");
    let run = Run::of(&body)
        .child(move |_, _| Some(ChildOutcome::Faulted(problem(Standard::Configuration, 400))))
        .go();
    assert_eq!(run.problem().status, 400, "even when its end is not awaited");
}

#[test]
fn a_parent_that_ends_takes_its_child_along() {
    let mut run = Run::of(CHILD).child(|_, _| None).go();
    run.feed(Input::Cancel { reason: None }).unwrap();
    assert_eq!(run.cancelled_children.len(), 1);
    let started = run.facts.iter().find_map(|fact| match fact {
        Fact::ChildStarted { child, .. } => Some(*child),
        _ => None,
    });
    assert_eq!(run.cancelled_children.first().copied(), started);

    let body = CHILD.replace("version: 1.0.0}", "version: 1.0.0}, await: false");
    let mut run = Run::of(&body).child(|_, _| None).go();
    run.feed(Input::Cancel { reason: None }).unwrap();
    assert!(run.cancelled_children.is_empty(), "unless it does not wait for it");
}

#[test]
fn an_abandoned_child_is_cancelled_until_it_is_gone() {
    let mut run = Run::of(CHILD).child(|_, _| None).go();
    run.feed(Input::Cancel { reason: None }).unwrap();
    let child = *run.cancelled_children.first().unwrap();
    assert!(run.state.is_hot(), "a crash may have taken the message");
    run.crash();
    assert_eq!(run.cancelled_children, [child, child]);
    run.feed(Input::ChildGone { child }).unwrap();
    assert!(!run.state.is_hot());
    run.crash();
    assert_eq!(run.cancelled_children.len(), 2);
    assert_eq!(run.feed(Input::ChildGone { child }), Err(Rejection::Stale));
}

#[test]
fn a_start_is_repeated_after_a_crash_under_the_same_id() {
    let mut run = Run::of(CHILD).child(|_, _| None).go();
    run.at = run.at.plus(5_000);
    run.crash();
    assert_eq!(run.children.len(), 2);
    let ids: Vec<_> =
        run.facts.iter().filter(|it| matches!(it, Fact::ChildStarted { .. })).collect();
    assert_eq!(ids.len(), 1, "nothing new is journaled");
    let frame = *run.state.frames.keys().next_back().unwrap();
    let outcome = ChildOutcome::Completed(Value::Int(1));
    run.feed(Input::ChildEnded { frame, outcome: outcome.clone() }).unwrap();
    assert_eq!(run.output(), "1");
    assert_eq!(run.feed(Input::ChildEnded { frame, outcome }), Err(Rejection::Ended));
}

#[test]
fn a_child_tells_its_parent_how_it_ended() {
    let parent = |waits| Parent {
        instance: "01920000-0000-7000-8000-000000000002".parse().unwrap(),
        frame: FrameId(3),
        waits,
        depth: 1,
        root: None,
        generation: 1,
        handles: false,
    };
    let run = Run::of("do: [{a: {set: {n: 1}}}]").parent(parent(true)).go();
    let (_, frame, outcome) = &run.notified[0];
    assert_eq!((*frame, outcome), (FrameId(3), &ChildOutcome::Completed(json("{\"n\": 1}"))));
    let run = Run::of("do: [{a: {raise: {error: {type: runtime, status: 500}}}}]")
        .parent(parent(true))
        .go();
    assert!(matches!(&run.notified[0].2, ChildOutcome::Faulted(problem) if problem.status == 500));
    let mut run = Run::of("do: [{a: {wait: PT1H}}]").parent(parent(true));
    run.begin();
    run.feed(Input::Cancel { reason: None }).unwrap();
    assert_eq!(run.notified[0].2, ChildOutcome::Cancelled(run.state.id));
    let run = Run::of("do: []").parent(parent(false)).go();
    assert!(run.notified.is_empty());
}

#[test]
fn workflows_that_wait_for_one_another_are_bounded() {
    let start = |depth, waits, body: &str| {
        let instance = "01920000-0000-7000-8000-000000000002".parse().unwrap();
        let (frame, root, generation) = (FrameId(3), None, depth);
        Run::of(body)
            .parent(Parent { instance, frame, waits, depth, root, generation, handles: false })
            .go()
    };
    assert!(start(limits::CHILD_DEPTH - 1, true, CHILD).state.ending.is_some());
    let deep = start(limits::CHILD_DEPTH, true, CHILD);
    assert_eq!((deep.problem().status, deep.children.len()), (500, 0));
    // Who goes on as a new instance is not waited for, and may do so many times.
    let on = CHILD.replace("version: 1.0.0}", "version: 1.0.0}, await: false");
    assert_eq!(start(limits::CHILD_DEPTH, true, &on).children.len(), 1);
    assert_eq!(start(0, false, CHILD).children.len(), 1);
}

#[test]
fn the_chain_of_starts_is_known_and_bounded_though_nobody_waits() {
    let root = "01920000-0000-7000-8000-000000000001".parse().unwrap();
    let instance = "01920000-0000-7000-8000-000000000002".parse().unwrap();
    let on = CHILD.replace("version: 1.0.0}", "version: 1.0.0}, await: false");
    let start = |generation| {
        let (frame, waits, depth) = (FrameId(3), false, 0);
        let parent =
            Parent { instance, frame, waits, depth, root: Some(root), generation, handles: false };
        Run::of(&on).parent(parent).go()
    };
    let child = start(limits::GENERATIONS - 1);
    let parent = child.parents[0];
    assert_eq!((parent.root(), parent.generation), (root, limits::GENERATIONS));
    let last = start(limits::GENERATIONS);
    assert_eq!((last.problem().status, last.children.len()), (500, 0));
    // One that nobody has started is itself the root.
    let first = Run::of(&on).go();
    assert_eq!(first.parents[0].root(), first.state.id);
    assert_eq!(first.parents[0].generation, 1);
}
