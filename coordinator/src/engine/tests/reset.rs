//! Instances that go on for others from where an operator says.

use std::collections::BTreeSet;

use windlass_proto::problem::Standard;
use windlass_proto::value::Value;

use super::driver::{Answer, Run, problem};
use super::json;
use super::repair::CALLS;
use crate::engine::{ChildOutcome, Ending, Input, ResetOrder, Unresettable, Visited};

fn to(task: &str, visit: Option<u32>) -> ResetOrder {
    ResetOrder { task: task.to_owned(), visit, ..ResetOrder::default() }
}

/// The visits of a run, in order of their beginnings.
fn visited(run: &mut Run) -> Vec<Visited> {
    // One that is nowhere tells nothing; the first task tells all.
    let first = run.plan.task(run.plan.root[0]).reference.clone();
    let turns = crate::engine::decode(&run.written()).unwrap();
    let reset = crate::engine::reset(&run.plan, run.state.id, turns, to(&first, Some(1))).unwrap();
    reset.kept.into_iter().chain(reset.again).collect()
}

#[test]
fn a_reset_to_any_visit_comes_to_the_same() {
    for body in CALLS {
        let mut calm = Run::of(body).go();
        let visits = visited(&mut calm);
        assert!(visits.len() > 2, "{body}");
        for Visited { task, visit } in visits {
            let mut run = Run::of(body).go();
            let sent = run.jobs.len();
            run.at = run.at.plus(3_600_000);
            let reset = run.reset(to(&task, Some(visit))).unwrap();
            assert_eq!(reset.to, Visited { task: task.clone(), visit }, "{body}");
            run.settle();
            assert_eq!(run.output(), calm.output(), "{body} at {task}[{visit}]");
            let kept: BTreeSet<_> = reset.kept.iter().map(|it| &*it.task).collect();
            let again: BTreeSet<_> = reset.again.iter().map(|it| &*it.task).collect();
            for job in &run.jobs[sent..] {
                assert!(again.contains(&*job.reference), "{}: {body}", job.reference);
            }
            let once = |task: &&str| !again.contains(*task);
            for task in kept.iter().filter(|it| once(it)) {
                assert!(
                    run.jobs[sent..].iter().all(|it| &*it.reference != *task),
                    "{task}: {body}"
                );
            }
        }
    }
}

#[test]
fn the_input_and_the_context_can_be_others() {
    let body = "do: [{a: {call: f, with: {n: 1}, export: {as: '{rate: 2}'}}}, {b: {call: f, with: {n: '${ .n }', r: '${ $context.rate }'}}}]";
    let new = || Run::of(body).go();
    assert_eq!(new().output(), r#"{"n":1,"r":2}"#);
    let order = || ResetOrder {
        input: Some(json("{\"n\": 7}")),
        set: vec![("rate".into(), Value::Int(3)), ("more".into(), Value::Null)],
        ..to("/do/1/b", None)
    };
    let mut run = new();
    run.reset(order()).unwrap();
    run.crash();
    run.settle();
    assert_eq!(run.output(), r#"{"n":7,"r":3}"#);
    assert_eq!(run.jobs.len(), 3 + 1, "the first is not called again, the crash asks once more");
}

#[test]
fn another_context_is_kept_for_later_attempts() {
    let tries = "{t: {try: [{u: {try: [{a: {call: f, with: '${ $context.rate }'}}], catch: {errors: {with: {status: 503}}, retry: {limit: {attempt: {count: 1}}}}}}], catch: {errors: {with: {status: 503}}, retry: {limit: {attempt: {count: 1}}}}}}";
    let rate = "{s: {set: '${ 0 }', export: {as: '{rate: 2}'}}}";
    let list = format!("do: [{rate}, {tries}]");
    let branch = format!("do: [{rate}, {{f: {{fork: {{branches: [{tries}]}}}}}}]");
    for (body, around, output) in
        [(list, "/do/1/t", "3"), (branch, "/do/1/f/fork/branches/0/t", "[3]")]
    {
        // After the reset, three attempts in all fail: those of the inner `try`, and one more.
        let mut count = 0;
        let mut run = Run::of(&body).script(move |_| {
            count += 1;
            match count {
                2..=4 => Answer::Fail(problem(Standard::Communication, 503)),
                _ => Answer::Echo,
            }
        });
        run.begin();
        run.settle();
        let order = ResetOrder {
            set: vec![("rate".into(), Value::Int(3))],
            ..to(&format!("{around}/try/0/u/try/0/a"), None)
        };
        run.reset(order).unwrap();
        run.settle();
        assert_eq!((run.output().as_str(), run.jobs.len()), (output, 5), "{body}");
    }
}

#[test]
fn the_last_visit_counts_where_none_is_named() {
    let body = "do: [{l: {for: {in: '[1, 2, 3]'}, do: [{a: {call: f, with: {n: '${ $item }'}}}]}}]";
    let mut run = Run::of(body).go();
    let reset = run
        .reset(to("/do/0/l/for/do/0/a", None))
        .or_else(|_| run.reset(to("/do/0/l/do/0/a", None)));
    assert_eq!(reset.unwrap().to.visit, 3);
    run.settle();
    assert_eq!((run.output().as_str(), run.jobs.len()), (r#"{"n":3}"#, 4));
}

#[test]
fn what_is_not_there_is_named() {
    let mut run = Run::of("do: [{a: {call: f}}]").go();
    let none = |visits| Err(Unresettable::NotVisited { task: "/do/0/a".into(), visits });
    assert_eq!(run.reset(to("/do/0/a", Some(2))).map(|_| ()), none(1));
    let nowhere = run.reset(to("/do/7/a", None)).map(|_| ());
    assert_eq!(nowhere, Err(Unresettable::NotVisited { task: "/do/7/a".into(), visits: 0 }));
}

#[test]
fn children_that_are_over_are_kept_and_others_only_asked_for_anew() {
    let child = "{run: {workflow: {namespace: n, name: w, version: 1.0.0}}}";
    let after = format!("do: [{{c: {child}}}, {{b: {{call: f}}}}]");
    let new =
        |body: &str| Run::of(body).child(|_, _| Some(ChildOutcome::Completed(Value::Int(7)))).go();
    let mut run = new(&after);
    run.reset(to("/do/1/b", None)).unwrap();
    run.settle();
    assert_eq!((run.output().as_str(), run.children.len()), ("7", 1));
    let beside =
        format!("do: [{{f: {{fork: {{branches: [{{c: {child}}}, {{b: {{call: f}}}}]}}}}}}]");
    let mut run = new(&beside);
    let task = "/do/0/f/fork/branches/1/b";
    let refused = run.reset(to(task, None)).map(|_| ());
    assert!(matches!(refused, Err(Unresettable::Child(_))), "{refused:?}");
    run.reset(ResetOrder { rerun_children: true, ..to(task, None) }).unwrap();
    run.settle();
    assert_eq!((run.output().as_str(), run.children.len()), ("[7,{}]", 2));
}

#[test]
fn one_that_was_cancelled_can_be_reset() {
    let mut run = Run::of("do: [{a: {call: f}}, {b: {wait: PT1H}}]");
    run.begin();
    run.wait(0);
    run.feed(Input::Cancel { reason: None }).unwrap();
    run.reset(to("/do/1/b", None)).unwrap();
    run.settle();
    assert!(matches!(run.state.ending, Some(Ending::Completed(_))));
    assert_eq!(run.jobs.len(), 1);
}
