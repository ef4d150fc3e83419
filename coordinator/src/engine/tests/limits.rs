//! Shares of limits: asked for, taken, refused.

use windlass_proto::id::FrameId;
use windlass_proto::problem::Standard;

use super::driver::{Answer, Run, plan, problem};
use super::json;
use crate::engine::{Ending, Fact, Input, LimitVerdict, Rejection};
use LimitVerdict::{Displaced, Full, Taken};

const ROOT: FrameId = FrameId(0);

/// A run of a workflow under a limit.
fn limited(limit: &str, body: &str) -> Run {
    let text = format!(
        "document: {{dsl: '1.0.3', namespace: test, name: test, version: '1.0.0', metadata: \
         {{windlass: {{limit: {limit}}}}}}}\n{body}\n"
    );
    Run::planned(plan(&text))
}

/// A task under a limit that only calls.
fn task(on_full: &str) -> Run {
    let limit = format!("{{windlass: {{limit: {{concurrency: 1, onFull: {on_full}}}}}}}");
    Run::of(&format!("do: [{{a: {{call: one, metadata: {limit}}}}}, {{b: {{set: {{x: 1}}}}}}]"))
}

fn told(run: &mut Run, frame: FrameId, verdict: LimitVerdict) -> Result<(), Rejection> {
    run.feed(Input::Limit { frame, verdict })?;
    run.wait(0);
    Ok(())
}

#[test]
fn a_workflow_begins_once_it_has_its_share() {
    let mut run = limited("{key: '${ .t }', concurrency: 1}", "do: [{a: {call: one}}]")
        .input(r#"{"t": 7}"#)
        .script(|_| Answer::Never);
    run.begin();
    assert_eq!(run.jobs.len(), 0);
    assert_eq!(&*run.state.claims[&ROOT].key, "test\0w/test\x007");
    assert_eq!(told(&mut run, ROOT, Displaced), Err(Rejection::Stale));
    told(&mut run, ROOT, Taken).unwrap();
    assert_eq!(run.jobs.len(), 1);
    assert_eq!(told(&mut run, ROOT, Taken), Err(Rejection::Stale));
    told(&mut run, ROOT, Displaced).unwrap();
    assert!(matches!(run.state.ending, Some(Ending::Cancelled(Some(_)))));
    assert!(run.state.claims.is_empty());
    assert_eq!(told(&mut run, ROOT, Taken), Err(Rejection::Ended));
}

#[test]
fn a_workflow_that_gets_none_is_cancelled_or_faults() {
    for (on_full, faults) in [("skip", false), ("fail", true), ("wait", true)] {
        let limit = format!("{{concurrency: 1, onFull: {on_full}}}");
        let mut run = limited(&limit, "do: [{a: {call: one}}]");
        run.begin();
        told(&mut run, ROOT, Full).unwrap();
        assert_eq!(matches!(run.state.ending, Some(Ending::Faulted(_))), faults, "{on_full}");
        assert_eq!(run.jobs.len(), 0);
    }
}

#[test]
fn a_task_waits_is_skipped_or_fails() {
    let frame = FrameId(1);
    let mut run = task("wait").script(|_| Answer::Never);
    run.begin();
    run.feed(Input::Suspend).unwrap();
    told(&mut run, frame, Taken).unwrap();
    assert_eq!(run.jobs.len(), 0, "it is suspended");
    run.feed(Input::Resume).unwrap();
    assert_eq!(run.jobs.len(), 1);
    told(&mut run, frame, Displaced).unwrap();
    assert!(matches!(run.state.ending, Some(Ending::Faulted(_))));
    assert_eq!(run.cancelled.len(), 1);

    let mut run = task("skip");
    run.begin();
    told(&mut run, frame, Full).unwrap();
    assert!(matches!(&run.state.ending, Some(Ending::Completed(it)) if *it == json(r#"{"x": 1}"#)));
    assert_eq!(run.count(|fact| matches!(fact, Fact::TaskSkipped { .. })), 1);

    let mut run = task("fail");
    run.begin();
    told(&mut run, frame, Full).unwrap();
    let Some(Ending::Faulted(problem)) = &run.state.ending else { panic!("it has not faulted") };
    assert_eq!((&*problem.kind, problem.status), ("https://windlass.dev/errors/limit", 429));
    assert_eq!(problem.instance.as_deref(), Some("/do/0/a"));
}

#[test]
fn a_timeout_counts_while_it_waits() {
    let mut run = limited("{concurrency: 1}", "timeout: {after: PT1M}\ndo: [{a: {call: one}}]");
    run.begin();
    run.wait(61_000);
    assert!(matches!(run.state.ending, Some(Ending::Faulted(_))));
    assert!(run.state.claims.is_empty());
}

#[test]
fn who_goes_on_for_another_one_asks_anew() {
    let body = "do: [{a: {call: one}}, {b: {call: two, metadata: {windlass: {limit: \
                {rate: 1/s}}}}}]";
    let mut failed = false;
    let mut run = limited("{concurrency: 1}", body).script(move |job| match &*job.name {
        "b" if !std::mem::replace(&mut failed, true) => {
            Answer::Fail(problem(Standard::Communication, 503))
        }
        _ => Answer::Echo,
    });
    run.begin();
    told(&mut run, ROOT, Taken).unwrap();
    let frame = *run.state.claims.keys().next_back().unwrap();
    told(&mut run, frame, Taken).unwrap();
    assert!(matches!(run.state.ending, Some(Ending::Faulted(_))));
    run.retry().unwrap();
    assert_eq!(run.state.claims.len(), 2);
    assert!(run.state.claims.values().all(|it| it.taken.is_none()));
    let before = run.jobs.len();
    // The share of the task comes first, and does not let it go on alone.
    told(&mut run, frame, Taken).unwrap();
    assert_eq!(run.jobs.len(), before);
    told(&mut run, ROOT, Taken).unwrap();
    assert_eq!(run.jobs.len(), before + 1);
    assert!(matches!(run.state.ending, Some(Ending::Completed(_))));
}
