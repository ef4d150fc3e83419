//! One turn: an input goes in, facts and effects come out.
//!
//! Steps are worked off in order; a step that opens a task runs it as far as it goes without the
//! outside. Every fact is applied the moment it is decided, by the same [`Instance::evolve`] that
//! recovery uses, so that later steps of the turn see it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::expression::{Budget, steps_taken};
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::limits;
use windlass_proto::plan::{Plan, Task};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::Field;

use super::admit::{admit, is_due};
use super::effect::Effect;
use super::fact::Fact;
use super::input::{ChildOutcome, Input, Rejection};
use super::instance::{Body, Ending, Frame, Instance, Origin, Parent, ROOT, Step};
use super::requester::Requested;
use super::scope::reference;

/// What one input led to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// What to keep, in order; already applied to the state.
    pub facts: Vec<Fact>,
    /// What to do once it is kept.
    pub effects: Vec<Effect>,
}

/// A turn in progress.
pub(super) struct Turn<'a> {
    pub(super) plan: &'a Plan,
    pub(super) state: &'a mut Instance,
    pub(super) at: Timestamp,
    pub(super) steps: VecDeque<Step>,
    /// The result of an evaluation by a worker, for the frame that waited for it.
    pub(super) evaluated: Option<(FrameId, Field, Value)>,
    /// The visit whose worker or child has just answered: nothing works for it any more.
    pub(super) answered: Option<FrameId>,
    /// Milliseconds for which whoever was asked for the visit that fails does not want to be asked
    /// again.
    pub(super) hold_back: u64,
    facts: Vec<Fact>,
    effects: Vec<Effect>,
    budget: u32,
    /// Bytes of the values in `facts`.
    bytes: u64,
    /// Steps of expressions of this thread when the turn began.
    began: u64,
    /// Steps that are left to tell whether an event is waited for, in all and for the task that is
    /// asked, and filters that took more.
    pub(super) offering: Cell<u64>,
    pub(super) filtering: Cell<u64>,
    pub(super) too_dear: Cell<u32>,
    /// Steps that filters have taken.
    pub(super) filtered: Cell<u64>,
    /// Whether the event that is offered came before anybody waited for it.
    pub(super) early: bool,
}

/// Accepts a new instance.
#[must_use]
pub fn create(
    plan: &Plan,
    id: InstanceId,
    at: Timestamp,
    input: Value,
    origin: Origin,
) -> (Instance, Decision) {
    let Origin { parent, labels, priority, trace, by } = origin;
    let mut state = Instance::not_started(id);
    let mut turn = Turn::new(plan, &mut state, at);
    turn.record(Fact::Started {
        workflow: plan.id.clone(),
        digest: plan.digest.clone(),
        input,
        parent,
        labels,
        priority,
        trace,
    });
    if let Some(by) = by {
        turn.record(Fact::Requested { action: Requested::Start, by });
    }
    turn.begin_workflow();
    let decision = turn.finish();
    (state, decision)
}

/// Decides what an input leads to. The state is changed by the facts returned, and by nothing else.
///
/// # Errors
/// When the input changes nothing: it is late, repeated, or not possible now.
pub fn decide(
    plan: &Plan,
    state: &mut Instance,
    at: Timestamp,
    input: Input,
) -> Result<Decision, Rejection> {
    admit(state, at, &input)?;
    let mut turn = Turn::new(plan, state, at);
    if let Input::EventArrived(event) = &input {
        turn.event_arrived(event);
        return turn.heard();
    }
    turn.take(input);
    Ok(turn.finish())
}

/// What telling whether an event is waited for has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filtered {
    /// Steps that filters took.
    pub steps: u64,
    /// Filters that took more steps than they had, and so did not match.
    pub too_dear: u32,
}

/// Offers an event to an instance, as [`Input::EventArrived`] does, for which its filters may
/// take `steps` together, and a few each when these are spent.
///
/// # Errors
/// When the instance does not wait for the event.
pub fn offer(
    plan: &Plan,
    state: &mut Instance,
    at: Timestamp,
    event: &CloudEvent,
    steps: u64,
) -> (Result<Decision, Rejection>, Filtered) {
    offer_as(plan, state, at, (event, false), steps)
}

/// Offers an event as [`offer`] does that has come before anybody waited for it.
///
/// # Errors
/// When the instance does not wait for the event.
pub fn offer_early(
    plan: &Plan,
    state: &mut Instance,
    at: Timestamp,
    event: &CloudEvent,
    steps: u64,
) -> (Result<Decision, Rejection>, Filtered) {
    offer_as(plan, state, at, (event, true), steps)
}

fn offer_as(
    plan: &Plan,
    state: &mut Instance,
    at: Timestamp,
    (event, early): (&CloudEvent, bool),
    steps: u64,
) -> (Result<Decision, Rejection>, Filtered) {
    if state.ending.is_some() {
        return (Err(Rejection::Ended), Filtered::default());
    }
    let mut turn = Turn::new(plan, state, at);
    turn.offering.set(steps);
    turn.early = early;
    turn.event_arrived(event);
    let filtered = Filtered { steps: turn.filtered.get(), too_dear: turn.too_dear.get() };
    (turn.heard(), filtered)
}

/// What must be done again after a restart: everything open that something outside works for.
///
/// What is at a worker keeps its delivery number, so nothing of it is journaled: a worker that has
/// survived the restart still holds a valid assignment. That a delivery is performed by one worker
/// at a time is for the queue to see to. The one in this process has died with it, and sends again;
/// one with workers elsewhere sends again what no worker claims, as the delivery was lost then.
#[must_use]
pub fn recover(plan: &Plan, state: &mut Instance, at: Timestamp) -> Decision {
    let mut turn = Turn::new(plan, state, at);
    if !turn.state.is_held_back() {
        turn.ask_again();
    }
    let abandoned = turn.state.abandoned.iter();
    turn.effects.extend(abandoned.map(|child| Effect::CancelChild { child: *child }));
    turn.ask_for_handler();
    if !turn.state.pending.is_empty() && !turn.state.is_stopped() {
        turn.effects.push(Effect::Yield);
    }
    turn.finish()
}

impl<'a> Turn<'a> {
    pub(super) fn new(plan: &'a Plan, state: &'a mut Instance, at: Timestamp) -> Self {
        Self {
            plan,
            state,
            at,
            steps: VecDeque::new(),
            evaluated: None,
            answered: None,
            hold_back: 0,
            facts: Vec::new(),
            effects: Vec::new(),
            budget: limits::TURN_STEPS,
            bytes: 0,
            began: steps_taken(),
            offering: Cell::new(limits::INSTANCE_FILTER_STEPS),
            filtering: Cell::new(0),
            too_dear: Cell::new(0),
            filtered: Cell::new(0),
            early: false,
        }
    }

    /// Asks once more for all that something outside works for.
    pub(super) fn ask_again(&mut self) {
        let open = self.state.frames.iter().filter(|(_, frame)| frame.body.is_outstanding());
        let open: Vec<(FrameId, Body)> =
            open.map(|(id, frame)| (*id, frame.body.clone())).collect();
        for (frame, body) in open {
            match body {
                Body::Dispatched { .. } | Body::Evaluating { .. } => self.recover_delivery(frame),
                Body::Publishing { event } => {
                    self.effects.push(Effect::Publish { frame, event: Arc::new(event) });
                }
                Body::Child { child, workflow, input, wait } => {
                    let parent = self.parent_of_child(frame, wait);
                    self.effects.push(Effect::StartChild { parent, child, workflow, input });
                }
                Body::Begun
                | Body::Sequence { .. }
                | Body::Loop { .. }
                | Body::Fork { .. }
                | Body::Trying { .. }
                | Body::Retrying { .. }
                | Body::Catching { .. }
                | Body::Extending { .. }
                | Body::Waiting
                | Body::Approving(_)
                | Body::Listening(_) => self.misfit("recover", frame),
            }
        }
    }

    /// What was sent to workers before goes out as if it never had been.
    pub(super) fn as_new(&mut self) {
        for effect in &mut self.effects {
            if let Effect::Dispatch { recovered, .. } = effect {
                *recovered = false;
            }
        }
    }

    /// Keeps a fact and applies it.
    pub(super) fn record(&mut self, fact: Fact) {
        let before = self.state.changes.misfits.count();
        self.state.evolve(self.at, &fact);
        let misfits = &self.state.changes.misfits;
        debug_assert_eq!(misfits.count(), before, "{fact:?} cannot be: {misfits:?}");
        self.bytes = self.bytes.saturating_add(fact.weight());
        self.facts.push(fact);
    }

    /// Asks for something to be done once the facts are kept.
    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// The task of a frame; `None` for the root.
    pub(super) fn task_of(&self, frame: &Frame) -> Option<&'a Task> {
        frame.task.map(|index| self.plan.task(index))
    }

    /// The budget of an evaluation in this turn.
    pub(super) fn evaluation(&self) -> Budget {
        Budget::at(self.at)
    }

    /// Applies an input that has been admitted.
    fn take(&mut self, input: Input) {
        match input {
            Input::Reported { frame, result, secrets, retry_after_ms, .. } => {
                // Of an error that is on its way up now, and of no other in this turn.
                self.hold_back = retry_after_ms.unwrap_or_default();
                self.reported(frame, result, secrets);
                self.hold_back = 0;
            }
            Input::Lost { frame, loss, most, .. } => self.lost(frame, loss, most),
            Input::TimerFired { timer } => self.timer_fired(timer),
            Input::EventArrived(event) => self.event_arrived(&event),
            Input::Published { frame, result } => self.published(frame, result),
            Input::ChildAccepted { frame: ROOT } => self.handler_settled(None),
            Input::ChildEnded { frame: ROOT, outcome } => self.handler_settled(Some(outcome)),
            Input::ChildAccepted { frame } => self.child_accepted(frame),
            Input::ChildEnded { frame, outcome } => self.child_ended(frame, outcome),
            Input::ChildGone { child } => self.record(Fact::ChildGone { child }),
            Input::Continue => self.resume_steps(),
            Input::Cancel { reason } => self.end(Ending::Cancelled(reason)),
            Input::Suspend => self.record(Fact::Suspended),
            Input::Quarantine { reason } => self.record(Fact::Quarantined(reason)),
            Input::Resume => self.resume(),
            Input::Limit { frame, verdict } => self.limit_answered(frame, verdict),
            Input::Skip { frame, output } => self.skip(frame, output),
            Input::Decide { number, verdict } => self.decided(number, verdict),
            Input::Requested { by, input } => {
                if let Some(action) = Requested::of(&input) {
                    self.record(Fact::Requested { action, by });
                }
                self.take(*input);
            }
        }
    }

    /// Closes the turn of an event: it was not waited for when nothing came of it.
    fn heard(self) -> Result<Decision, Rejection> {
        if self.facts.is_empty() { Err(Rejection::NotWaited) } else { Ok(self.finish()) }
    }

    /// Takes up the steps the last turn left over.
    pub(super) fn resume_steps(&mut self) {
        self.steps.extend(self.state.pending.iter().cloned());
        self.record(Fact::Continued);
    }

    /// An emitted event was handed over.
    fn published(&mut self, id: FrameId, result: Result<(), Problem>) {
        let Some(Body::Publishing { event }) = self.state.frame(id).map(|it| &it.body) else {
            return self.misfit("published", id);
        };
        let output = event.envelope().clone();
        match result {
            Ok(()) => self.finish_task(id, output, None),
            Err(problem) => self.fail(id, problem),
        }
    }

    /// A child that is not awaited was accepted.
    fn child_accepted(&mut self, id: FrameId) {
        let Some(frame) = self.state.frame(id) else { return self.misfit("child_accepted", id) };
        let output = frame.input.clone();
        self.finish_task(id, output, None);
    }

    /// A child ended, or could not be started.
    fn child_ended(&mut self, id: FrameId, outcome: ChildOutcome) {
        self.answered = Some(id);
        match outcome {
            ChildOutcome::Completed(output) => self.child_completed(id, output),
            ChildOutcome::Faulted(mut problem) => {
                problem.instance = None;
                self.fail(id, problem);
            }
            ChildOutcome::Cancelled(child) => {
                let detail = format!("the child workflow {child} was cancelled");
                self.fail(id, Problem::new(Standard::Runtime, detail));
            }
        }
    }

    /// Works off the steps, then closes the turn.
    pub(super) fn finish(mut self) -> Decision {
        self.work();
        for (frame, delivery) in std::mem::take(&mut self.state.changes.abandoned) {
            if !self.withdraw(frame) && self.answered != Some(frame) {
                self.effects.push(Effect::CancelAssignment { frame, delivery });
            }
        }
        for (frame, child) in std::mem::take(&mut self.state.changes.orphaned) {
            if !self.withdraw(frame) && self.answered != Some(frame) {
                self.record(Fact::ChildAbandoned { child });
                self.effects.push(Effect::CancelChild { child });
            }
        }
        let frames = &self.state.frames;
        self.effects.retain(|effect| match effect {
            Effect::Publish { frame, .. }
            | Effect::StartChild { parent: Parent { frame, .. }, .. } => {
                // What a fault starts is asked for when nothing is open any more.
                frames.contains_key(frame) || *frame == ROOT
            }
            _ => true,
        });
        debug_assert_eq!(self.state.held, self.state.clone().recount(), "what it holds");
        Decision { facts: self.facts, effects: self.effects }
    }

    /// True when others must have their turn: what one turn decides waits in memory for the disk.
    fn is_spent(&self) -> bool {
        self.budget == 0 || self.bytes >= limits::TURN_BYTES
    }

    /// Takes back what this turn would have asked for a visit that the same turn closed: what
    /// nobody has heard of need not be cancelled. True when there was something.
    fn withdraw(&mut self, closed: FrameId) -> bool {
        let before = self.effects.len();
        self.effects.retain(|effect| match effect {
            Effect::Dispatch { frame, .. }
            | Effect::StartChild { parent: Parent { frame, .. }, .. } => *frame != closed,
            _ => true,
        });
        self.effects.len() < before
    }

    /// Works off the steps until none is left, the budget is spent, or the instance must stop.
    fn work(&mut self) {
        while self.state.ending.is_none() {
            self.go_on_if_none_is_halted();
            if self.state.sequence > limits::INSTANCE_FACTS {
                let detail = format!(
                    "the history has more than {} facts: the workflow loops without end, or should \
                     continue as a new instance",
                    limits::INSTANCE_FACTS
                );
                let problem = Problem::new(Standard::Runtime, detail).at(&self.next_reference());
                self.end(Ending::Faulted(problem));
                return;
            }
            if self.steps.is_empty() {
                return;
            }
            // One step at least, or the instance would never get on.
            let spent = steps_taken().wrapping_sub(self.began) > limits::TURN_EVALUATION_STEPS;
            let spent = self.is_spent() || (spent && self.budget < limits::TURN_STEPS);
            if spent || self.state.is_stopped() {
                self.leave_over();
                return;
            }
            self.budget -= 1;
            if let Some(step) = self.steps.pop_front() {
                self.step(step);
            }
        }
    }

    /// Keeps the steps that are left for another turn.
    fn leave_over(&mut self) {
        let mut steps = self.state.pending.clone();
        steps.extend(self.steps.drain(..));
        self.record(Fact::Yielded(steps));
        if !self.state.is_stopped() {
            self.effects.push(Effect::Yield);
        }
    }

    fn step(&mut self, step: Step) {
        if step.frame().is_some_and(|it| self.state.frame(it).is_none()) {
            // Another branch, an error or a timeout has closed the visit since.
            return;
        }
        match step {
            Step::Advance { frame, position } => self.advance(frame, position),
            Step::Iterate { frame, index } => self.iterate(frame, index),
            Step::Branch { frame, position } => self.open_branch(frame, position),
            Step::NextItem { frame } => self.next_item(frame),
            Step::Again { frame } => self.again(frame),
            Step::Enter { frame } => self.enter_limited(frame),
            // Else it was cleared meanwhile.
            Step::Fire { timer } if is_due(self.state, self.at, timer) => self.timer_fired(timer),
            Step::Fire { .. } => {}
        }
    }

    /// Ends the instance.
    pub(super) fn end(&mut self, ending: Ending) {
        if matches!(ending, Ending::Faulted(_)) && !self.steps.is_empty() {
            // Who goes on for it has to know what else was to be done.
            let mut steps = self.state.pending.clone();
            steps.extend(self.steps.drain(..));
            self.record(Fact::Yielded(steps));
        }
        self.record(match ending.clone() {
            // It may be large, and the facts have it already.
            Ending::Completed(output) if output.has_same_members(&self.state.last_output()) => {
                Fact::CompletedUnchanged
            }
            Ending::Completed(output) => Fact::Completed(output),
            Ending::Faulted(problem) => Fact::Faulted(problem),
            Ending::Cancelled(reason) => Fact::Cancelled(reason),
        });
        self.steps.clear();
        if matches!(ending, Ending::Faulted(_)) {
            self.handle_fault();
        }
        if let Some(parent) = self.state.parent.filter(|parent| parent.waits) {
            let outcome = match &ending {
                Ending::Completed(output) => ChildOutcome::Completed(output.clone()),
                Ending::Faulted(problem) => ChildOutcome::Faulted(problem.clone()),
                Ending::Cancelled(_) => ChildOutcome::Cancelled(self.state.id),
            };
            let (parent, frame) = (parent.instance, parent.frame);
            self.effects.push(Effect::NotifyParent { parent, frame, outcome });
        }
        self.effects.push(Effect::Ended(ending));
    }

    /// JSON pointer of the task whose list, loop or branches would go on.
    fn next_reference(&self) -> Arc<str> {
        let step = self.steps.front().or_else(|| self.state.pending.first());
        step.and_then(Step::frame).map_or_else(|| Arc::from("/"), |frame| self.reference(frame))
    }

    /// JSON pointer of a frame's task, with the call sites of functions before it.
    pub(super) fn reference(&self, id: FrameId) -> Arc<str> {
        // The workflow as a whole, or steps that are left of a visit which is over.
        let Some((frame, task)) = self.visit(id) else { return Arc::from("/") };
        reference(self.plan, self.state, frame.parent, task)
    }
}
