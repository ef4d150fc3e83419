//! What is started when an instance faults.

use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use super::driver::{Run, plan};
use super::json;
use crate::engine::{ChildOutcome, Effect, Fact, Input, Parent, Rejection, recover};

const ROOT: FrameId = FrameId(0);

/// A workflow that names one to be started, with these tasks.
fn guarded(tasks: &str) -> Run {
    let text = format!(
        "document: {{dsl: '1.0.3', namespace: test, name: test, version: '1.0.0', metadata: \
         {{windlass: {{onFault: {{workflow: sweep}}}}}}}}\n{tasks}"
    );
    Run::planned(plan(&text)).input(r#"{"order": 7}"#)
}

const FAULTS: &str = "do: [{a: {raise: {error: {type: runtime, status: 500, detail: gone}}}}]";

/// What says that something is to be started for a fault.
fn started(fact: &Fact) -> bool {
    matches!(fact, Fact::HandlerStarted { .. })
}

#[test]
fn a_fault_starts_what_the_definition_names_and_tells_it_all() {
    let mut run = guarded(FAULTS);
    run.begin();
    let [(workflow, input, wait)] = &run.children[..] else { panic!("{:?}", run.children) };
    assert_eq!(workflow.each_ref().map(|it| &**it), ["test", "sweep", "latest"]);
    assert!(!wait);
    let expected = format!(
        r#"{{"instance":"{}","workflow":{{"namespace":"test","name":"test","version":"1.0.0"}},"error":{},"input":{{"order":7}}}}"#,
        run.state.id,
        run.problem().to_value().to_json(),
    );
    assert_eq!(*input, json(&expected));
    let parent = run.parents[0];
    assert!(parent.handles && parent.instance == run.state.id && parent.root == Some(run.state.id));
    // It is known to have started once the answer is kept; a second answer is none.
    assert!(run.state.is_hot());
    run.feed(Input::ChildAccepted { frame: ROOT }).unwrap();
    assert!(!run.state.is_hot());
    let again = run.feed(Input::ChildAccepted { frame: ROOT });
    assert_eq!(again, Err(Rejection::Ended));
    let handler = run.state.repair.handler.clone().unwrap();
    assert_eq!((handler.pending, handler.refused), (false, None));
}

#[test]
fn what_is_not_known_to_have_started_is_asked_for_again_under_the_same_id() {
    let mut run = guarded(FAULTS);
    run.begin();
    let handler = run.state.repair.handler.clone().unwrap();
    let mut state = run.state.clone();
    let decision = recover(&run.plan, &mut state, run.at.plus(60_000));
    assert!(decision.facts.is_empty());
    let [Effect::StartChild { child, input, .. }] = &decision.effects[..] else {
        panic!("{:?}", decision.effects)
    };
    assert_eq!((*child, input), (handler.instance, &run.children[0].1));
    let detail = "it is not deployed";
    let outcome = ChildOutcome::Faulted(Problem::new(Standard::Configuration, detail));
    run.feed(Input::ChildEnded { frame: ROOT, outcome }).unwrap();
    let refused = run.state.repair.handler.clone().unwrap().refused.unwrap();
    assert_eq!(refused.detail.as_deref(), Some(detail));
    assert!(recover(&run.plan, &mut run.state.clone(), run.at).effects.is_empty());
}

#[test]
fn nothing_is_started_for_other_ends_nor_for_what_is_caught() {
    let mut cancelled = guarded("do: [{a: {wait: PT1H}}]");
    cancelled.begin();
    cancelled.feed(Input::Cancel { reason: None }).unwrap();
    assert_eq!(cancelled.count(started), 0);
    for tasks in [
        "do: [{a: {set: {x: 1}}}]",
        "do: [{a: {try: [{b: {raise: {error: {type: runtime, status: 500}}}}], catch: {}}}]",
    ] {
        assert_eq!(guarded(tasks).go().count(started), 0, "{tasks}");
    }
    // The workflow's own timeout is a fault as any other.
    let late = "timeout: {after: PT1M}\ndo: [{a: {wait: PT1H}}]";
    assert_eq!(guarded(late).go().count(started), 1);
}

#[test]
fn what_handles_a_fault_and_all_that_it_starts_is_not_handled() {
    let instance = InstanceId(uuid::Uuid::from_u128(7));
    let (root, handles) = (Some(instance), true);
    let parent =
        Parent { instance, frame: ROOT, waits: false, depth: 0, root, generation: 1, handles };
    assert_eq!(guarded(FAULTS).parent(parent).go().count(started), 0);
    let tasks = "do: [{a: {run: {workflow: {namespace: n, name: m, version: latest}, await: false}}}, \
                 {b: {call: x}}]";
    let mut run = guarded(tasks)
        .parent(parent)
        .script(|_| super::driver::Answer::Fail(Problem::new(Standard::Runtime, "gone")));
    run.begin();
    run.settle();
    assert!(run.parents[0].handles, "a chain through others would have no end either");
    assert_eq!(run.count(started), 0);
    // Nor is one that goes on for it, although that has no parent.
    run.retry().unwrap();
    run.settle();
    assert_eq!((run.state.parent, run.count(started)), (None, 0));
}

#[test]
fn who_is_retried_and_faults_again_is_handled_again() {
    let mut run = guarded("do: [{a: {call: x}}]")
        .script(|_| super::driver::Answer::Fail(Problem::new(Standard::Runtime, "gone")));
    run.begin();
    run.settle();
    let first = run.state.repair.handler.clone().unwrap().instance;
    run.feed(Input::ChildAccepted { frame: ROOT }).unwrap();
    run.retry().unwrap();
    assert_eq!(run.state.repair.handler, None);
    run.settle();
    let second = run.state.repair.handler.clone().unwrap();
    assert!(second.pending && second.instance != first);
    assert_eq!(run.count(started), 1, "what is kept ends before the first fault");
}

#[test]
fn a_large_input_is_left_out() {
    let large = Value::from("x".repeat(100 << 10));
    let mut run = guarded(FAULTS).value(large);
    run.begin();
    assert_eq!(run.children[0].1.get("input"), None);
    assert!(run.children[0].1.get("error").is_some());
}
