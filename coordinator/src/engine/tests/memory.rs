//! What an instance may hold, and what one turn may write.

use windlass_proto::limits;
use windlass_proto::value::Value;

use super::driver::{Run, START, definition, plan};
use crate::engine::{Decision, Effect, Fact, Input, Instance, Origin, create, decide};

/// Bytes of the texts that tasks make here: eight fit into an instance.
const LARGE: usize = 8 << 20;

/// An expression that makes a text of that size, ending in `mark` so that no two are alike.
fn large(mark: &str) -> String {
    format!("${{ (\"x\" * {LARGE}) + \"{mark}\" }}")
}

fn fork(branches: usize) -> String {
    let branches = (0..branches).map(|it| format!("{{b{it}: {{set: '{}'}}}}", large("b")));
    format!("f: {{fork: {{branches: [{}]}}}}", branches.collect::<Vec<_>>().join(", "))
}

#[test]
fn a_fork_that_holds_more_than_an_instance_may_fails() {
    let run = Run::of(&format!("do: [{{{}}}]", fork(40))).go();
    let problem = run.problem();
    assert_eq!(
        (problem.status, &*problem.kind),
        (500, "https://serverlessworkflow.io/spec/1.0.0/errors/runtime")
    );
    assert!(problem.detail.as_deref().unwrap().contains("may hold 67108864"), "{problem:?}");
    assert!(problem.instance.as_deref().unwrap().starts_with("/do/0/f/fork/branches/"));
    let made = run.facts.iter().filter(|it| it.weight() > LARGE as u64).count();
    assert!(made < 9, "{made} branches were kept");
}

#[test]
fn what_is_too_much_can_be_caught_and_the_instance_goes_on() {
    let body = format!(
        "do: [{{t: {{try: [{{{}}}], catch: {{errors: {{with: {{status: 500}}}}, as: e, \
         do: [{{c: {{set: '${{ {{s: $e.status, n: (\"y\" * {LARGE} | length)}} }}'}}}}]}}}}}}, \
         {{last: {{set: '{}', output: {{as: '${{ length }}'}}}}}}]",
        fork(40),
        large("l")
    );
    let run = Run::of(&body).go();
    assert_eq!(run.output(), (LARGE + 1).to_string());
}

#[test]
fn a_large_value_that_is_passed_on_is_written_where_it_comes_in_only() {
    let steps: Vec<_> =
        (0..5).map(|it| format!("{{s{it}: {{set: {{text: '${{ .text }}'}}}}}}")).collect();
    let input = Value::object([("text", Value::from("x".repeat(1 << 20)))]);
    let run = Run::of(&format!("do: [{}]", steps.join(", "))).value(input.clone()).go();
    let large: Vec<_> = run.facts.iter().filter(|it| it.weight() > 1 << 20).collect();
    assert!(matches!(*large, [Fact::Started { .. }]), "{} facts", large.len());
    assert_eq!(run.output(), input.to_json());
}

#[test]
fn a_large_value_that_many_share_counts_once() {
    let large = Value::from("x".repeat(1 << 20));
    let nested = "do: [{a: {do: [{b: {do: [{c: {do: [{w: {wait: {days: 1}}}]}}]}}]}}]";
    let branches: Vec<_> = (0..50).map(|it| format!("{{b{it}: {{wait: {{days: 1}}}}}}")).collect();
    let wide = format!("do: [{{f: {{fork: {{branches: [{}]}}}}}}]", branches.join(", "));
    for (body, holders) in [(nested, 8), (&*wide, 100)] {
        let mut run = Run::of(body).value(large.clone());
        run.begin();
        // All turns it takes now.
        run.wait(0);
        let held = run.state.held.clone();
        assert!(held.bytes() < 2 << 20, "{}", held.bytes());
        assert!(held.spread() > holders << 20, "{}", held.spread());
        // So it does after a restart, from the facts or from a snapshot.
        let read = Instance::from_bytes(&run.state.to_bytes().unwrap()).unwrap();
        assert_eq!((read.held.bytes(), read.held.spread()), (held.bytes(), held.spread()));
    }
}

/// Runs until nothing is left over, and gives what each turn decided.
fn turns(body: &str, most: usize) -> Vec<Decision> {
    let plan = plan(&definition(body));
    let id = Instance::not_started(Run::of(body).state.id).id;
    let (mut state, first) = create(&plan, id, START, Value::empty_object(), Origin::default());
    let mut decisions = vec![first];
    while decisions.len() < most
        && decisions.last().is_some_and(|it| it.effects.contains(&Effect::Yield))
    {
        decisions.push(decide(&plan, &mut state, START, Input::Continue).unwrap());
    }
    decisions
}

#[test]
fn a_turn_is_cut_by_the_bytes_it_writes() {
    let step = (LARGE as u64) * 2;
    let endless = format!("do: [{{a: {{set: {{x: '{}'}}, then: a}}}}]", large("a"));
    let gathering = "do: [{a: {set: {x: '${ [range(60000)] }'}, \
                     export: {as: '${ {old: ($context.new // 0), new: .x} }'}, then: a}}]";
    for body in [&*endless, gathering] {
        let decisions = turns(body, 20);
        assert_eq!(decisions.len(), 20, "it goes on and on");
        for decision in &decisions {
            let bytes: u64 = decision.facts.iter().map(Fact::weight).sum();
            assert!(bytes < limits::TURN_BYTES + step, "{bytes} bytes in one turn");
        }
    }
}

#[test]
fn an_instance_without_room_still_does_what_is_small() {
    let body = format!(
        "do: [{{a: {{wait: {{seconds: 1}}}}}}, {{b: {{set: {{n: 1}}}}}}, {{c: {{set: '{}'}}}}]",
        large("c")
    );
    let mut run = Run::of(&body).value(Value::from("x".repeat(1000)));
    run.begin();
    // Two open tasks at a time.
    run.state.allowance = run.state.held.bytes() + 1024;
    run.settle();
    assert_eq!(run.problem().instance.as_deref(), Some("/do/2/c"));
}
