//! Repair: a visit that has failed begins again, in its own instance where an operator was waited
//! for, or in another one that goes on for an instance which has faulted.
//!
//! The other one begins with the facts of the first, word for word, up to the fault: what they say
//! was done is not done again. What waited then for a worker or a child is asked for anew, under
//! the other's own id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::plan::Plan;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::Field;

use super::evaluate::Unevaluated;
use super::fact::{Fact, Journaled};
use super::instance::{Body, Changes, Instance, ROOT, Step};
use super::requester::{Requested, Requester};
use super::scope::Locals;
use super::task::child_id;
use super::turn::{Decision, Turn};

/// What an instance begins with that goes on for another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Succession {
    /// The other one.
    pub predecessor: InstanceId,
    /// What has happened to it, as far as that is kept.
    pub kept: Vec<Journaled>,
    /// The visit that begins again.
    pub frame: FrameId,
    /// When the facts that are kept have ended.
    pub since: Timestamp,
    /// What else was to be done then, where the facts after it say.
    pub pending: Option<Vec<Step>>,
    /// What an operator wants otherwise; nothing where it goes on at the task that failed.
    pub reset: Option<Given>,
    /// Who asks for it, where that is to be kept.
    pub by: Option<Arc<Requester>>,
}

/// What an operator gives the visit that begins again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// What it gets in place of what it got.
    pub raw: Option<Value>,
    /// The context that it sees in place of the one it saw.
    pub context: Option<Value>,
}

impl Succession {
    /// About how many bytes it takes.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.kept.iter().flat_map(|turn| &turn.facts).map(Fact::weight).sum()
    }
}

/// Why nothing can go on for an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrepairable {
    /// It has not faulted.
    #[error("it has not faulted")]
    NotFaulted,
    /// No task of it has failed: it is the workflow's own input, output, timeout or size.
    #[error(
        "no task of it has failed, but the workflow itself: in its own input, output, timeout or \
         size. Start it anew"
    )]
    NoTask,
    /// It would have to have shares of limits that others have now.
    #[error("a task around it, or beside it, has or wants a share of a limit. Start it anew")]
    Limited,
    /// Its facts do not say all that was going on.
    #[error(
        "it faulted in a version that did not keep what else was to be done at that moment. Start \
         it anew"
    )]
    Incomplete,
}

/// Looks in the facts of an instance that has faulted for the task that did.
///
/// # Errors
/// When there is none.
pub fn faulted(
    predecessor: InstanceId,
    mut turns: Vec<Journaled>,
) -> Result<Succession, Unrepairable> {
    let ends = |turn: &Journaled| turn.facts.iter().any(|it| matches!(it, Fact::Faulted(_)));
    let last = turns.iter().position(ends).ok_or(Unrepairable::NotFaulted)?;
    turns.truncate(last + 1);
    let Some(turn) = turns.last_mut() else { return Err(Unrepairable::NotFaulted) };
    let end = turn.facts.iter().position(|it| matches!(it, Fact::Faulted(_)));
    turn.facts.truncate(end.unwrap_or_default());
    let mut pending = None;
    while let Some(fact) = turn.facts.pop() {
        match fact {
            Fact::TaskFaulted { frame, .. } => {
                let since = turn.at;
                let reset = None;
                return Ok(Succession {
                    predecessor,
                    kept: turns,
                    frame,
                    since,
                    pending,
                    reset,
                    by: None,
                });
            }
            Fact::Yielded(steps) if pending.is_none() => pending = Some(steps),
            // Branches that have lost before.
            Fact::BranchFaulted { .. } => {}
            _ => break,
        }
    }
    Err(Unrepairable::NoTask)
}

/// The state that the kept facts lead to, under another id, and what was to be done then.
///
/// # Errors
/// When that is not known.
pub fn replay(id: InstanceId, succession: &mut Succession) -> Result<Instance, Unrepairable> {
    let mut state = Instance::not_started(id);
    for turn in &succession.kept {
        turn.facts.iter().for_each(|fact| state.evolve(turn.at, fact));
    }
    let misfits = std::mem::take(&mut state.changes.misfits);
    state.changes = Changes { misfits, ..Changes::default() };
    if state.frame(succession.frame).is_none() {
        return Err(Unrepairable::NoTask);
    }
    // Those of the workflow and of the visit that begins again are asked for anew.
    if state.claims.keys().any(|it| ![ROOT, succession.frame].contains(it)) {
        return Err(Unrepairable::Limited);
    }
    let pending = succession.pending.take().unwrap_or_else(|| state.pending.clone());
    succession.pending = Some(complete(&state, succession.frame, pending)?);
    Ok(state)
}

/// Adds what the state alone says is to be done, and looks whether anything else stands still that
/// nothing goes on with.
fn complete(
    state: &Instance,
    again: FrameId,
    mut pending: Vec<Step>,
) -> Result<Vec<Step>, Unrepairable> {
    let (more, still) = standing_still(state, again, &pending);
    pending.extend(more);
    if still.is_empty() { Ok(pending) } else { Err(Unrepairable::Incomplete) }
}

/// What is to be done beside `pending`, as far as the state says: branches that have not begun, and
/// visits that wait for an operator. And the visits that nothing goes on with.
pub(super) fn standing_still(
    state: &Instance,
    again: FrameId,
    pending: &[Step],
) -> (Vec<Step>, BTreeSet<FrameId>) {
    let mut below: BTreeMap<FrameId, BTreeSet<u32>> = BTreeMap::new();
    for (_, frame) in state.frames.iter().filter(|(id, frame)| frame.parent != **id) {
        below.entry(frame.parent).or_default().insert(frame.position);
    }
    let (mut more, mut still, nothing) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for (id, frame) in state.frames.iter().filter(|(id, _)| **id != again) {
        let inside = below.get(id).unwrap_or(&nothing);
        let goes_on = !inside.is_empty() || pending.iter().any(|it| it.frame() == Some(*id));
        match &frame.body {
            Body::Fork { branches, .. } => {
                for (position, branch) in (0u32..).zip(branches) {
                    let step = Step::Branch { frame: *id, position };
                    let over = branch.output.is_some() || branch.problem.is_some();
                    if !over && !inside.contains(&position) && !pending.contains(&step) {
                        more.push(step);
                    }
                }
            }
            Body::Begun if state.repair.halted.contains_key(id) => {
                more.push(Step::Again { frame: *id });
            }
            Body::Listening(it) if it.item.is_none() && !it.closed && it.queue.is_empty() => {}
            Body::Begun
            | Body::Sequence { .. }
            | Body::Loop { .. }
            | Body::Trying { .. }
            | Body::Catching { .. }
            | Body::Extending { .. }
            | Body::Listening(_) => {
                if !goes_on {
                    still.insert(*id);
                }
            }
            Body::Dispatched { .. }
            | Body::Evaluating { .. }
            | Body::Retrying { .. }
            | Body::Waiting
            | Body::Approving(_)
            | Body::Publishing { .. }
            | Body::Child { .. } => {}
        }
    }
    (more, still)
}

/// Goes on with what [`replay`] has led to.
#[must_use]
pub fn succeed(
    plan: &Plan,
    state: &mut Instance,
    at: Timestamp,
    succession: &Succession,
) -> Decision {
    let Succession { predecessor, frame, since, .. } = *succession;
    let pending = succession.pending.clone().unwrap_or_default();
    let Given { raw, context } = succession.reset.clone().unwrap_or_default();
    let mut turn = Turn::new(plan, state, at);
    turn.record(Fact::Succeeds { predecessor, frame, since, pending, raw, context });
    if let Some(by) = succession.by.clone() {
        let is_reset = succession.reset.is_some();
        let action = if is_reset { Requested::Reset } else { Requested::Retry };
        turn.record(Fact::Requested { action, by });
    }
    turn.state.changes = standing(turn.state);
    turn.rename_children();
    if !turn.state.is_held_back() {
        turn.ask_again();
        turn.as_new();
    }
    turn.steps.push_back(Step::Again { frame });
    if !turn.state.pending.is_empty() {
        turn.resume_steps();
    }
    turn.finish()
}

/// Takes note in the instance that has ended of the one that goes on for it.
#[must_use]
pub fn succeeded(
    plan: &Plan,
    state: &mut Instance,
    at: Timestamp,
    (by, reset): (InstanceId, bool),
) -> Decision {
    let mut turn = Turn::new(plan, state, at);
    turn.record(Fact::Succeeded { by, reset });
    turn.finish()
}

/// What the indexes have to learn of an instance of which they know nothing.
fn standing(state: &Instance) -> Changes {
    let listens = |body: &Body| match body.doing() {
        Body::Listening(listening) => !listening.closed,
        _ => false,
    };
    let subscribed = state.frames.iter().filter(|(_, frame)| listens(&frame.body));
    let questions = state.frames.iter().filter_map(|(id, frame)| match &frame.body {
        Body::Approving(it) => Some((*id, it.number, true)),
        _ => None,
    });
    Changes {
        timers_set: state.timers.iter().map(|(number, timer)| (*number, timer.due)).collect(),
        subscribed: subscribed.map(|(id, _)| *id).collect(),
        approvals: questions.collect(),
        claims: state.claims.iter().map(|(id, it)| (*id, it.clone(), true)).collect(),
        ..Changes::default()
    }
}

impl Turn<'_> {
    /// An operator lets it go on: visits that have failed begin again.
    pub(super) fn resume(&mut self) {
        let halted: Vec<FrameId> = self.state.repair.halted.keys().copied().collect();
        self.steps.extend(halted.into_iter().map(|frame| Step::Again { frame }));
        self.go_on();
    }

    /// Goes on where it is suspended for visits that had failed, of which none is left: something
    /// around them was skipped, or has caught the error of another branch.
    pub(super) fn go_on_if_none_is_halted(&mut self) {
        let state = &*self.state;
        let suspends = state.repair.incident.is_some_and(|it| it.suspends);
        let waits = !state.repair.halted.is_empty() || state.quarantine.is_some();
        if suspends && state.suspended && !waits {
            self.go_on();
        }
    }

    fn go_on(&mut self) {
        self.record(Fact::Resumed);
        if !self.state.pending.is_empty() {
            self.resume_steps();
        }
    }

    /// An operator gives the output of a task: the flow goes on behind it.
    pub(super) fn skip(&mut self, id: FrameId, output: Value) {
        let halted = &self.state.repair.halted;
        let is_inside = |visit: &FrameId| self.state.lineage(*visit).any(|(it, _)| it == id);
        if !halted.is_empty() && halted.keys().all(is_inside) {
            self.go_on();
        }
        self.record(Fact::Overridden { frame: id });
        self.drop_steps(id);
        match self.room_for(&[&output]) {
            Ok(()) => self.export(id, None, output, None),
            Err(problem) => self.fail(id, problem),
        }
    }

    /// A visit begins again: its `if` first.
    pub(super) fn again(&mut self, id: FrameId) {
        let Some((frame, task)) = self.visit(id) else { return self.misfit("again", id) };
        if !matches!(frame.body, Body::Begun) {
            return self.misfit("again", id);
        }
        let Some(condition) = &task.condition else { return self.enter(id, task) };
        let (parent, position, raw) = (frame.parent, frame.position, frame.raw.clone());
        let locals = Locals { task: Some((task, &raw)), ..Locals::default() };
        match self.program(condition, &raw, parent, &locals) {
            Ok(verdict) if verdict.is_truthy() => self.enter(id, task),
            Ok(_) => {
                let (task, frame) = (task.index, Some(id));
                self.record(Fact::TaskSkipped { parent, position, task, frame });
                self.after_skipped(parent, position, raw);
            }
            Err(Unevaluated::Failed(problem)) => self.fail(id, problem),
            Err(Unevaluated::Secret | Unevaluated::Sealed(_)) => {
                self.request_evaluation(id, Field::Condition, raw, None);
            }
        }
    }

    /// Children that the other one waited for were its own: they are started anew.
    fn rename_children(&mut self) {
        let children: Vec<(FrameId, [Arc<str>; 3], _, bool)> = self
            .state
            .frames
            .iter()
            .filter_map(|(id, frame)| match &frame.body {
                Body::Child { workflow, input, wait, .. } => {
                    Some((*id, workflow.clone(), input.clone(), *wait))
                }
                _ => None,
            })
            .collect();
        for (frame, workflow, input, wait) in children {
            let child = child_id(self.state.id, frame, self.at);
            self.record(Fact::ChildStarted { frame, child, workflow, input, wait });
        }
    }
}
