//! What cannot be is noted, and not passed over in silence.

use windlass_proto::id::FrameId;
use windlass_proto::problem::Standard;
use windlass_proto::value::Value;

use super::driver::{Answer, Run, problem};
use crate::engine::{Doing, Fact, Instance, MisfitKind, Phase, TimerPurpose};

const ONE: FrameId = FrameId(1);

/// A workflow whose first task does what `body` says, and goes no further by itself.
fn begun(body: &str) -> Instance {
    let mut run = Run::of(body).script(|_| Answer::Never).child(|_, _| None);
    run.hold();
    run.begin();
    run.state.clone()
}

/// Applies a fact that cannot be; the visit it is about, and what that does.
fn misfit(state: &mut Instance, fact: &Fact) -> (Phase, Option<(FrameId, Doing)>) {
    let sequence = state.sequence;
    state.evolve(super::driver::START, fact);
    assert_eq!(state.sequence, sequence + 1, "it is a fact all the same");
    let misfits = std::mem::take(&mut state.changes.misfits);
    assert_eq!(misfits.count(), 1, "{fact:?} passes in silence");
    let [misfit] = misfits.first() else { panic!("{misfits:?}") };
    assert_eq!(misfit.kind, MisfitKind::Fact);
    assert!(format!("{fact:?}").starts_with(misfit.what), "{misfit} is not {fact:?}");
    (misfit.phase, misfit.visit)
}

fn completed(frame: FrameId) -> Fact {
    Fact::TaskCompleted { frame, output: None, context: None }
}

#[test]
fn facts_about_what_is_not_there_are_misfits() {
    let mut state = begun("do: [{a: {call: work}}]");
    let active = Phase::Active;
    let closed = FrameId(7);
    for fact in [
        completed(closed),
        Fact::TaskFaulted { frame: closed, problem: problem(Standard::Runtime, 500) },
        Fact::Dispatched { frame: closed, delivery: 1 },
        Fact::LoopBegan { frame: closed, items: Value::Null },
        Fact::ListenClosed { frame: closed },
    ] {
        let found = misfit(&mut state.clone(), &fact);
        assert_eq!(found, (active, Some((closed, Doing::Closed))), "{fact:?}");
    }
    assert_eq!(misfit(&mut state, &Fact::TimerFired { timer: 3 }), (active, None));
    let child = state.id;
    assert_eq!(misfit(&mut state, &Fact::ChildGone { child }), (active, None));
    assert_eq!(misfit(&mut state, &Fact::Continued), (active, None));
}

#[test]
fn facts_that_do_not_follow_from_what_a_visit_does_are_misfits() {
    let problem = problem(Standard::Runtime, 500);
    let due = super::driver::START;
    let cases = [
        ("do: [{a: {call: work}}]", Fact::Iterated { frame: ONE, index: 1 }, Doing::Dispatched),
        ("do: [{a: {call: work}}]", Fact::ItemBegan { frame: ONE }, Doing::Dispatched),
        (
            "do: [{a: {wait: PT1S}}]",
            Fact::DeliveryLost { frame: ONE, blamed: true, worker: None, reason: None },
            Doing::Waiting,
        ),
        (
            "do: [{a: {wait: PT1S}}]",
            Fact::TimerSet { frame: ONE, purpose: TimerPurpose::Wait, due },
            Doing::Waiting,
        ),
        (
            "do: [{a: {try: [{b: {call: work}}], catch: {do: []}}}]",
            Fact::AttemptBegan { frame: ONE, attempt: 2 },
            Doing::Trying,
        ),
        (
            "do: [{a: {for: {in: '[1]'}, do: [{b: {call: work}}]}}]",
            Fact::Caught { frame: ONE, clause: 0, problem: problem.clone() },
            Doing::Loop,
        ),
        (
            "do: [{a: {fork: {branches: [{b: {call: work}}]}}}]",
            Fact::BranchFaulted { frame: ONE, position: 1, problem },
            Doing::Fork,
        ),
        (
            "do: [{a: {listen: {to: {any: [{with: {type: t}}]}}}}]",
            Fact::ItemEnded { frame: ONE, output: Value::Null, context: None },
            Doing::Listening,
        ),
        (
            "do: [{a: {run: {workflow: {namespace: n, name: w, version: 1.0.0}}}}]",
            Fact::SequenceBegan { frame: ONE, value: None },
            Doing::Child,
        ),
    ];
    for (body, fact, doing) in cases {
        let found = misfit(&mut begun(body), &fact);
        assert_eq!(found, (Phase::Active, Some((ONE, doing))), "{fact:?}");
    }
}

#[test]
fn facts_that_an_instance_as_it_stands_cannot_have_are_misfits() {
    let body = "do: [{a: {call: work}}]";
    let mut not_started = Instance::not_started(begun(body).id);
    let root = Some((FrameId(0), Doing::Closed));
    let completed_all = Fact::Completed(Value::Null);
    assert_eq!(misfit(&mut not_started.clone(), &completed_all), (Phase::NotStarted, root));
    assert_eq!(misfit(&mut not_started, &Fact::Suspended), (Phase::NotStarted, None));

    let mut suspended = begun(body);
    assert_eq!(misfit(&mut suspended.clone(), &Fact::Resumed).0, Phase::Active);
    suspended.evolve(super::driver::START, &Fact::Suspended);
    assert_eq!(misfit(&mut suspended.clone(), &Fact::Suspended).0, Phase::Suspended);
    let (parent, task) = (FrameId(0), windlass_proto::plan::TaskIx(0));
    let opened = Fact::TaskOpened { parent, position: 0, task, raw: None };
    assert_eq!(misfit(&mut suspended, &opened).0, Phase::Suspended);

    let mut ended = begun(body);
    ended.evolve(super::driver::START, &completed_all);
    assert_eq!(misfit(&mut ended.clone(), &completed_all), (Phase::Ended, root));
    assert_eq!(misfit(&mut ended, &completed(ONE)).0, Phase::Ended);
}

#[test]
fn a_misfit_says_where_it_was_met_and_only_the_first_are_kept() {
    let mut state = begun("do: [{a: {wait: PT1S}}]");
    for _ in 0..50 {
        state.evolve(
            super::driver::START,
            &Fact::DeliveryLost { frame: ONE, blamed: true, worker: None, reason: None },
        );
    }
    let misfits = &state.changes.misfits;
    assert_eq!((misfits.count(), misfits.first().len()), (50, 4));
    assert_eq!(
        misfits.first()[0].to_string(),
        "the fact DeliveryLost for visit 1, which is Waiting, where the instance is Active"
    );
}

/// In debug builds, those of the tests, nobody gets past one.
#[cfg(debug_assertions)]
mod asserted {
    use super::super::driver::Run;
    use super::{Answer, ONE, Value};
    use crate::engine::{Body, Input, decide};

    fn report(damage: impl FnOnce(&mut Run)) {
        let mut run = Run::of("do: [{a: {call: work}}]").script(|_| Answer::Never);
        run.begin();
        damage(&mut run);
        let (result, secrets) = (Ok(Value::Null), Vec::new());
        let input =
            Input::Reported { frame: ONE, delivery: 1, result, secrets, retry_after_ms: None };
        let _ = decide(&run.plan, &mut run.state, run.at, input);
    }

    #[test]
    #[should_panic(expected = "TaskCompleted")]
    fn a_fact_that_cannot_be() {
        report(|run| {
            let root = run.state.frames.values_mut().next().unwrap();
            root.body = Body::Waiting;
        });
    }

    #[test]
    #[should_panic(expected = "nothing to go on with in finish_task")]
    fn something_that_must_be_there() {
        report(|run| {
            // The list of the workflow is over, in a visit that no task belongs to.
            let root = run.state.frames.values_mut().next().unwrap();
            root.body = Body::Catching {
                clause: 0,
                problem: super::problem(super::Standard::Runtime, 500),
                value: Value::Null,
            };
        });
    }
}
