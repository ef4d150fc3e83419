//! Instances that go on by another definition.

use windlass_proto::problem::Standard;
use windlass_proto::value::Value;

use super::driver::{Answer, Run, definition, plan, problem};
use super::repair::CALLS;
use crate::engine::retrace::follow;
use crate::engine::{Input, ResetOrder, Unresettable, decode, retrace};

/// One that calls `a`, and `b` in a `try`, which fails; then `c`.
const OLD: &str = "do:
- a: {call: f, with: {n: 1}, export: {as: '{a: .n}'}}
- t:
    try: [{b: {call: g}}]
    catch: {errors: {with: {status: 503}}}
- c: {call: h}";

fn to(task: &str) -> ResetOrder {
    ResetOrder { task: task.to_owned(), ..ResetOrder::default() }
}

/// One that has faulted at `b`, for another reason than the `try` around it expects.
fn faulted() -> Run {
    let mut failed = false;
    Run::of(OLD)
        .script(move |job| match &*job.name {
            "b" if !std::mem::replace(&mut failed, true) => {
                Answer::Fail(problem(Standard::Runtime, 500))
            }
            _ => Answer::Echo,
        })
        .go()
}

fn go_on(body: &str, task: &str) -> Result<Run, Unresettable> {
    let mut run = faulted();
    run.reset_by(plan(&definition(body)), to(task))?;
    run.settle();
    Ok(run)
}

#[test]
fn what_was_not_reached_may_change() {
    let sent = faulted().jobs.len();
    for (body, order) in [
        // A clause that catches it, another task behind it, and one before the last.
        (OLD.replace("503", "500"), "a t b c"),
        (
            OLD.replace("- c: {call: h}", "- x: {set: {x: 1}}\n- c: {call: h}\n- d: {wait: PT1S}"),
            "a t b x c d",
        ),
        // The task itself is another one.
        (OLD.replace("{call: g}", "{set: {b: '${ $context.a }'}}"), "a t b c"),
        // Tasks have other numbers.
        (
            format!("use: {{functions: {{own: {{do: [{{z: {{set: {{x: 1}}}}}}]}}}}}}\n{OLD}"),
            "a t b c",
        ),
        // What was done is not asked for in another way once more, and gives the same all the same.
        (OLD.replace("with: {n: 1}", "with: {n: 2}"), "a t b c"),
        (OLD.replace("'{a: .n}'", "'{a: (.n + 0)}'"), "a t b c"),
    ] {
        let run = go_on(&body, "/do/1/t/try/0/b").unwrap();
        assert_eq!(run.order(), order, "{body}");
        assert!(run.state.ending.is_some());
        assert_eq!(run.state.digest, run.plan.digest);
        let again = run.jobs.get(sent..).unwrap_or_default();
        assert!(again.iter().all(|it| &*it.name != "a"), "what is kept is not done again");
    }
}

#[test]
fn what_would_have_gone_another_way_is_named() {
    let first = OLD.replace("do:\n", "do:\n- z: {set: {z: 1}}\n");
    for (body, task) in [
        (OLD.replace("'{a: .n}'", "'{a: (.n + 1)}'"), "/do/0/a"),
        (OLD.replace("- a: {call", "- a: {if: 'false', call"), "/do/0/a"),
        (OLD.replace("- a:", "- renamed:"), "/do/0/a"),
        (
            OLD.replace("- a: {call: f", "- a: {wait: PT1S, x: f")
                .replace(", x: f, with: {n: 1}", ""),
            "/do/0/a",
        ),
        (OLD.replace("- t:", "- t:\n    if: '.n == 2'"), "/do/1/t"),
        (OLD.replace("try: [{b", "try: [{z: {set: {x: 1}}}, {b"), "/do/1/t/try/0/b"),
        (OLD.replace("- t:", "- t:\n    timeout: {after: PT1M}"), "/do/1/t"),
        (first, "/do/0/a"),
        (format!("timeout: {{after: PT1H}}\n{OLD}"), "/do/0/a"),
        (format!("input: {{from: '{{x: 1}}'}}\n{OLD}"), "/do/0/a"),
    ] {
        let refused = go_on(&body, "/do/1/t/try/0/b").map(|it| it.order());
        assert_eq!(refused, Err(Unresettable::Diverges(task.into())), "{body}");
    }
    // Before it, nothing of that was done.
    let renamed = OLD.replace("'{a: .n}'", "'{a: (.n + 1)}'");
    assert_eq!(go_on(&renamed, "/do/0/a").unwrap().order(), "a t b c");
}

#[test]
fn events_are_taken_as_they_were_read_by_the_same_listen() {
    let body = "do: [{l: {listen: {to: {any: [{with: {type: x}}], until: '. | length == 2'}}, foreach: {do: [{s: {set: {v: '${ $item }'}}}]}}}, {c: {call: h}}]";
    let run = || {
        let mut run = Run::of(body).script(|_| Answer::Fail(problem(Standard::Runtime, 500)));
        run.begin();
        for n in 0..2 {
            run.event_of("x", &format!("{n}")).unwrap();
        }
        run.settle();
        assert_eq!(run.problem().status, 500);
        run
    };
    run()
        .reset_by(plan(&definition(&body.replace("call: h", "set: {x: 1}"))), to("/do/1/c"))
        .unwrap();
    for (from, into) in [("type: x", "type: y"), ("length == 2", "length == 1")] {
        let other = plan(&definition(&body.replace(from, into)));
        let refused = run().reset_by(other, to("/do/1/c"));
        assert_eq!(refused, Err(Unresettable::Diverges("/do/0/l".into())), "{from}");
    }
}

#[test]
fn whoever_went_on_for_another_one_may_go_on_by_another_definition() {
    let mut run = faulted();
    run.retry().unwrap();
    run.settle();
    let fails =
        OLD.replace("- c: {call: h}", "- c: {raise: {error: {type: runtime, status: 500}}}");
    run.reset_by(plan(&definition(&fails)), to("/do/2/c")).unwrap();
    run.settle();
    assert_eq!(run.problem().status, 500);
    let refused = run.reset_by(plan(&definition(&OLD.replace("'{a: .n}'", "'{}'"))), to("/do/2/c"));
    assert_eq!(refused, Err(Unresettable::Diverges("/do/0/a".into())));
}

/// Whatever the flow, what has happened is what the same definition leads to.
#[test]
fn the_same_definition_never_goes_another_way() {
    for body in CALLS {
        let run = Run::of(body).go();
        let turns = decode(&run.written()).unwrap();
        for count in 1..=turns.len() {
            let part = &turns[..count];
            let made = retrace(&run.plan, &run.plan, run.state.id, part, &[]);
            assert!(made.is_ok(), "{count} turns of {body}: {made:?}");
        }
    }
    // Suspended, skipped, resumed, cut off.
    let mut run = Run::of("do: [{a: {wait: PT1M}}, {b: {wait: PT1H}}, {c: {call: g}}]");
    run.begin();
    run.feed(Input::Suspend).unwrap();
    run.wait(90_000);
    run.feed(Input::Resume).unwrap();
    let frame = *run.state.frames.keys().next_back().unwrap();
    run.feed(Input::Skip { frame, output: Value::Int(4) }).unwrap();
    run.settle();
    let turns = decode(&run.written()).unwrap();
    assert!(retrace(&run.plan, &run.plan, run.state.id, &turns, &[]).is_ok());
}

#[test]
fn a_list_of_which_later_facts_tell_where_it_goes_on_must_be_the_same() {
    let body = "do: [{f: {fork: {branches: [{left: {do: [{a1: {set: {x: 1}}}]}}, {right: {do: [{b1: {set: {x: 2}}}, {b2: {call: g}}]}}]}}}]";
    let faulted = || Run::of(body).script(|_| Answer::Fail(problem(Standard::Runtime, 500))).go();
    let to_b1 = || to("/do/0/f/fork/branches/1/right/do/0/b1");
    let longer = body.replace("{a1: {set: {x: 1}}}", "{a1: {set: {x: 1}}}, {x: {call: h}}");
    let refused = faulted().reset_by(plan(&definition(&longer)), to_b1());
    let list = "/do/0/f/fork/branches/0/left";
    assert_eq!(refused, Err(Unresettable::Diverges(list.into())), "`x` would be left out");
    // What comes after in the branch that begins again may be any other.
    let other = body.replace("{b2: {call: g}}", "{b2: {set: {x: 3}}}");
    faulted().reset_by(plan(&definition(&other)), to_b1()).unwrap();
}

#[test]
fn a_history_that_takes_too_long_to_follow_is_refused_by_name() {
    let run = Run::of("do: [{l: {for: {in: '[range(50)]'}, do: [{s: {set: {x: 1}}}]}}]").go();
    let turns = decode(&run.written()).unwrap();
    let within = |most| follow((&run.plan, &run.plan), run.state.id, &turns, &[], most);
    assert!(within(u64::MAX).is_ok());
    assert_eq!(within(10).map(|_| ()), Err(Unresettable::TooLong));
}
