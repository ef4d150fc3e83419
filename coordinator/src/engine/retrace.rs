//! What has happened to an instance, followed by another definition.
//!
//! Each turn is decided once more, by the other definition and with what came from outside as its
//! facts tell it; what comes of it must be what is kept. So a change of what was not reached yet is
//! taken, and so is one that leads to the same; the first task at which it would have gone another
//! way is named. What the facts do not tell, such as the event behind what was read of it, asks for
//! the same definition of the task that heard it.

use std::cell::Cell;
use std::sync::Arc;

use windlass_proto::expression::steps_taken;
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::limits;
use windlass_proto::plan::{FunctionTarget, Kind, Plan, Return, TaskIx};
use windlass_proto::problem::Problem;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::Field;

use super::fact::{Fact, Journaled};
use super::input::{ChildOutcome, Input, LimitVerdict, Verdict};
use super::instance::{Body, Changes, Instance, Origin, Step};
use super::loss::DeliveryLoss;
use super::repair::{Given, Succession, succeed};
use super::requester::Requested;
use super::reset::Unresettable;
use super::scope::{reference, reference_of};
use super::turn::{Decision, Turn, create, decide};

/// The facts that `new` leads to where `old` has led to `kept`, which end within a turn. Of the
/// lists `told`, facts that are not kept say where they go on, so they must be the same ones.
///
/// # Errors
/// With the first task of which another thing is told; where it would take too long.
pub fn retrace(
    old: &Plan,
    new: &Plan,
    id: InstanceId,
    kept: &[Journaled],
    told: &[FrameId],
) -> Result<Vec<Journaled>, Unresettable> {
    follow((old, new), id, kept, told, limits::RETRACE_STEPS)
}

pub(super) fn follow(
    (old, new): (&Plan, &Plan),
    id: InstanceId,
    kept: &[Journaled],
    told: &[FrameId],
    most: u64,
) -> Result<Vec<Journaled>, Unresettable> {
    let is = Instance::not_started(id);
    let (spent, began) = (Cell::new(0), steps_taken());
    let mut following = Following { old, new, was: is.clone(), is, spent };
    let mut made = Vec::with_capacity(kept.len());
    for (turn, (owner, is_cut)) in kept.iter().zip(owners(id, kept)) {
        (following.was.id, following.is.id) = (owner, owner);
        made.push(following.turn(turn, is_cut)?);
        let spent = following.spent.get().saturating_add(steps_taken().wrapping_sub(began));
        if spent > most {
            return Err(Unresettable::TooLong);
        }
    }
    match told.iter().find(|it| !following.is_same_list(**it)) {
        Some(list) => Err(Unresettable::Diverges(reference_of(old, &following.was, *list))),
        None => Ok(made),
    }
}

/// For each turn whose it was, and whether it ends within: what another one goes on for does, and
/// so does the last.
fn owners(id: InstanceId, kept: &[Journaled]) -> Vec<(InstanceId, bool)> {
    let (mut owner, mut is_cut) = (id, true);
    let mut owners: Vec<_> = kept
        .iter()
        .rev()
        .map(|turn| {
            let of_turn = (owner, is_cut);
            let before = predecessor(turn);
            is_cut = before.is_some();
            owner = before.unwrap_or(owner);
            of_turn
        })
        .collect();
    owners.reverse();
    owners
}

/// The instance that a turn goes on for.
fn predecessor(turn: &Journaled) -> Option<InstanceId> {
    turn.facts.iter().find_map(|fact| match fact {
        Fact::Succeeds { predecessor, .. } => Some(*predecessor),
        _ => None,
    })
}

/// Both states, side by side.
struct Following<'p> {
    old: &'p Plan,
    new: &'p Plan,
    was: Instance,
    is: Instance,
    /// What it has cost beside expressions, in steps of these.
    spent: Cell<u64>,
}

impl Following<'_> {
    fn turn(&mut self, turn: &Journaled, is_cut: bool) -> Result<Journaled, Unresettable> {
        let Journaled { at, facts } = turn;
        self.spend(facts.len());
        // Whether somebody did not want to be asked again for a while is in no fact, but it shows
        // in when the next attempt begins.
        let due = facts.iter().find_map(|fact| match fact {
            Fact::RetryScheduled { due, .. } => Some(due.since(*at)),
            _ => None,
        });
        let before = (is_cut || due.is_some()).then(|| self.copied(&self.is));
        let mut decided = self.decided(*at, facts, None);
        if let (Some(state), Some(wait)) = (&before, due)
            && decided
                .as_ref()
                .is_none_or(|it| self.first_other(facts, &it.facts, is_cut).is_some())
        {
            self.is = state.clone();
            decided = self.decided(*at, facts, Some(wait));
        }
        let mut made = decided.map(|it| it.facts).unwrap_or_default();
        if let Some(other) = self.first_other(facts, &made, is_cut) {
            return Err(self.divergence(*at, facts, other));
        }
        if let (true, Some(state)) = (made.len() > facts.len(), before) {
            made.truncate(facts.len());
            self.is = state;
            made.iter().for_each(|fact| self.is.evolve(*at, fact));
        }
        facts.iter().for_each(|fact| self.was.evolve(*at, fact));
        (self.was.changes, self.is.changes) = (Changes::default(), Changes::default());
        Ok(Journaled { at: *at, facts: made })
    }

    /// The first fact that is another one; of a turn that was cut, more may follow.
    fn first_other(&self, was: &[Fact], is: &[Fact], is_cut: bool) -> Option<usize> {
        let differs = |(number, (this, that)): (usize, (&Fact, &Fact))| {
            !self.is_same(this, that) && !self.gives_same(was, number, that)
        };
        let differs = was.iter().zip(is).enumerate().position(differs);
        let longer = is.len() > was.len() && !is_cut;
        differs.or((is.len() < was.len() || longer).then_some(is.len().min(was.len())))
    }

    /// Whether a task gives the same where one of both does not say it, as it is the input: that
    /// goes by what lies in the same place in memory, which is no difference of definitions.
    fn gives_same(&self, facts: &[Fact], number: usize, that: &Fact) -> bool {
        let (
            Some(Fact::TaskCompleted { frame, output, context }),
            Fact::TaskCompleted { frame: of, output: other, context: seen },
        ) = (facts.get(number), that)
        else {
            return false;
        };
        if frame != of || context != seen || output.is_some() == other.is_some() {
            return false;
        }
        let mut state = self.copied(&self.was);
        facts.iter().take(number).for_each(|fact| state.evolve(Timestamp::default(), fact));
        let input = state.frame(*frame).map(|it| &it.input);
        input.is_some() && output.as_ref().or(other.as_ref()) == input
    }

    /// Tasks have other numbers in another definition.
    fn is_same(&self, was: &Fact, is: &Fact) -> bool {
        match (was, is) {
            (
                Fact::Started { input, parent, labels, priority, trace, .. },
                Fact::Started {
                    input: other_input,
                    parent: other_parent,
                    labels: other_labels,
                    priority: other_priority,
                    trace: other_trace,
                    ..
                },
            ) => {
                (input, parent, labels, priority, trace)
                    == (other_input, other_parent, other_labels, other_priority, other_trace)
            }
            (
                Fact::TaskOpened { parent, position, task, raw },
                Fact::TaskOpened {
                    parent: other_parent,
                    position: other_position,
                    task: other_task,
                    raw: other_raw,
                },
            ) => {
                (parent, position, raw) == (other_parent, other_position, other_raw)
                    && self.is_same_task(*task, *other_task)
            }
            (
                Fact::TaskSkipped { parent, position, task, frame },
                Fact::TaskSkipped {
                    parent: other_parent,
                    position: other_position,
                    task: other_task,
                    frame: other_frame,
                },
            ) => {
                (parent, position, frame) == (other_parent, other_position, other_frame)
                    && self.is_same_task(*task, *other_task)
            }
            (was, is) => was == is,
        }
    }

    /// Whether both go on with the same list of tasks.
    fn is_same_list(&self, id: FrameId) -> bool {
        let (Some(was), Some(is)) = (self.was.frame(id), self.is.frame(id)) else { return false };
        let same_use = || self.old.definition.get("use") == self.new.definition.get("use");
        match (was.task, is.task) {
            (Some(this), Some(that)) => {
                let (this, that) = (self.old.task(this), self.new.task(that));
                // Tasks of functions and extensions stand elsewhere.
                let own = !matches!(this.kind, Kind::Function(_))
                    && !matches!(was.body, Body::Extending { .. });
                this.definition == that.definition && (own || same_use())
            }
            (None, None) => self.old.definition.get("do") == self.new.definition.get("do"),
            _ => false,
        }
    }

    /// A state, which takes time to be copied.
    fn copied(&self, state: &Instance) -> Instance {
        self.spend(state.frames.len());
        state.clone()
    }

    /// Some microseconds each.
    fn spend(&self, items: usize) {
        let steps = (items as u64).saturating_add(1).saturating_mul(limits::RETRACE_ITEM_STEPS);
        self.spent.set(self.spent.get().saturating_add(steps));
    }

    fn is_same_task(&self, was: TaskIx, is: TaskIx) -> bool {
        self.old.task(was).reference == self.new.task(is).reference
    }

    /// Names the task that the fact is about, as the old definition has it.
    fn divergence(&mut self, at: Timestamp, facts: &[Fact], other: usize) -> Unresettable {
        let mut task = Arc::from("");
        // What follows a fact may be about nothing of its own: then it is where that was.
        for (number, fact) in facts.iter().enumerate() {
            let before = self.place(fact);
            self.was.evolve(at, fact);
            let told = before.or_else(|| self.place(fact));
            task = told.unwrap_or(task);
            if number == other {
                break;
            }
        }
        let task = if task.is_empty() { Arc::from("/") } else { task };
        Unresettable::Diverges(task)
    }

    /// The task that a fact is about.
    fn place(&self, fact: &Fact) -> Option<Arc<str>> {
        let place = match fact {
            Fact::TaskOpened { parent, task, .. } | Fact::TaskSkipped { parent, task, .. } => {
                reference(self.old, &self.was, *parent, self.old.task(*task))
            }
            Fact::Started { .. } | Fact::InputTransformed(_) => Arc::from("/"),
            fact => reference_of(self.old, &self.was, about(fact)?),
        };
        Some(place).filter(|it| !it.is_empty())
    }

    /// What the new definition makes of what came from outside.
    fn decided(
        &mut self,
        at: Timestamp,
        facts: &[Fact],
        hold_back: Option<u64>,
    ) -> Option<Decision> {
        match facts.first()? {
            Fact::Started { input, parent, labels, priority, trace, .. } => {
                let by = facts.get(1).and_then(|fact| match fact {
                    Fact::Requested { action: Requested::Start, by } => Some(by.clone()),
                    _ => None,
                });
                let (parent, labels, priority) = (*parent, labels.clone(), *priority);
                let origin = Origin { parent, labels, priority, trace: trace.clone(), by };
                let (state, decision) = create(self.new, self.is.id, at, input.clone(), origin);
                self.is = state;
                Some(decision)
            }
            Fact::Succeeds { .. } => {
                let succession = succession(facts)?;
                Some(succeed(self.new, &mut self.is, at, &succession))
            }
            Fact::EventConsumed { .. } => self.heard(at, facts),
            _ => {
                let input = self.input(facts, hold_back)?;
                decide(self.new, &mut self.is, at, input).ok()
            }
        }
    }

    /// Events are taken as they were read: there is no telling what else they held.
    fn heard(&mut self, at: Timestamp, facts: &[Fact]) -> Option<Decision> {
        let (old, was) = (self.old, &self.was);
        let mut turn = Turn::new(self.new, &mut self.is, at);
        for fact in facts {
            let Fact::EventConsumed { frame, item, last, .. } = fact else { break };
            let task = old.task(was.frame(*frame)?.task?);
            let (Body::Listening(listening), Kind::Listen(_)) = turn.work_of(*frame)? else {
                return None;
            };
            let same =
                turn.visit(*frame)?.1.definition.get("listen") == task.definition.get("listen");
            if listening.closed || !same {
                return None;
            }
            turn.record(fact.clone());
            if item.is_some() || *last {
                turn.steps.push_back(Step::NextItem { frame: *frame });
            }
        }
        Some(turn.finish())
    }

    /// What came from outside, as far as the facts tell.
    fn input(&self, facts: &[Fact], hold_back: Option<u64>) -> Option<Input> {
        let skipped = facts.iter().position(|it| matches!(it, Fact::Overridden { .. }));
        Some(match (facts.first()?, skipped) {
            (Fact::Requested { by, .. }, _) => {
                let input = self.input(facts.get(1..)?, hold_back)?;
                input.requested(Some(by.clone()))
            }
            (_, Some(at)) => {
                let Fact::Overridden { frame } = facts.get(at)? else { return None };
                // Its input is what it got once more.
                let raw = self.was.frame(*frame)?.raw.clone();
                Input::Skip { frame: *frame, output: given(facts.get(at..)?, *frame, &raw)? }
            }
            (Fact::Suspended, _) => Input::Suspend,
            (Fact::Quarantined(reason), _) => Input::Quarantine { reason: reason.clone() },
            (Fact::Resumed, _) => Input::Resume,
            (Fact::Continued, _) => Input::Continue,
            (Fact::TimerFired { timer }, _) => Input::TimerFired { timer: *timer },
            // What it does waits until somebody resumes the instance.
            (Fact::Yielded(steps), _) => match steps.last()? {
                Step::Fire { timer } => Input::TimerFired { timer: *timer },
                _ => return None,
            },
            (Fact::LimitTaken { frame }, _) => {
                Input::Limit { frame: *frame, verdict: LimitVerdict::Taken }
            }
            (Fact::LimitRefused { frame, displaced }, _) => {
                let full = LimitVerdict::Full;
                let verdict = if *displaced { LimitVerdict::Displaced } else { full };
                Input::Limit { frame: *frame, verdict }
            }
            (Fact::ChildGone { child }, _) => Input::ChildGone { child: *child },
            (Fact::ApprovalDecided { number, approved, data, by, .. }, _) => {
                let (approved, data, by) = (*approved, data.clone(), by.clone());
                Input::Decide { number: *number, verdict: Verdict { approved, data, by } }
            }
            (Fact::DeliveryLost { frame, blamed, worker, reason }, _) => {
                let (blamed, worker, reason) = (*blamed, worker.clone(), *reason);
                let again = matches!(
                    facts.get(1),
                    Some(Fact::Dispatched { .. } | Fact::EvaluationRequested { .. })
                );
                Input::Lost {
                    frame: *frame,
                    delivery: self.was.frame(*frame)?.delivery,
                    loss: DeliveryLoss { blamed, worker, reason },
                    most: if again { u32::MAX } else { 0 },
                }
            }
            _ => self.answer(facts, hold_back)?,
        })
    }

    /// What a worker, a child or the bus has answered.
    fn answer(&self, facts: &[Fact], retry_after_ms: Option<u64>) -> Option<Input> {
        let (secrets, facts) = match facts.first()? {
            Fact::SecretsUsed { secrets, .. } => (secrets.clone(), facts.get(1..)?),
            _ => (Vec::new(), facts),
        };
        let frame = about(facts.first()?)?;
        let visit = self.was.frame(frame)?;
        let delivery = visit.delivery;
        let report = |result| Input::Reported { frame, delivery, result, secrets, retry_after_ms };
        let error = failed(facts, frame);
        Some(match (&visit.body, error) {
            (Body::Dispatched { .. } | Body::Evaluating { .. }, Some(problem)) => {
                report(Err(problem))
            }
            (Body::Dispatched { .. }, None) => report(Ok(given(facts, frame, &visit.input)?)),
            (Body::Evaluating { field, .. }, None) => {
                report(Ok(self.evaluated(facts, frame, *field)?))
            }
            (Body::Publishing { .. }, None) => Input::Published { frame, result: Ok(()) },
            (Body::Publishing { .. }, Some(problem)) => {
                Input::Published { frame, result: Err(problem) }
            }
            (Body::Child { wait: false, .. }, None) => Input::ChildAccepted { frame },
            (Body::Child { .. }, Some(problem)) => {
                Input::ChildEnded { frame, outcome: ChildOutcome::Faulted(problem) }
            }
            (Body::Child { .. }, None) => {
                let task = self.old.task(visit.task?);
                let Kind::Workflow(child) = &task.kind else { return None };
                let output = match (child.output, &task.output.transform) {
                    (Return::None, _) => Value::Null,
                    (_, None) => given(facts, frame, &visit.input)?,
                    // What it was made of is not kept here.
                    (_, Some(_)) => return None,
                };
                Input::ChildEnded { frame, outcome: ChildOutcome::Completed(output) }
            }
            _ => return None,
        })
    }

    /// What a worker made of an expression.
    fn evaluated(&self, facts: &[Fact], frame: FrameId, field: Field) -> Option<Value> {
        let visit = self.was.frame(frame)?;
        match field {
            Field::Condition => {
                let skipped = |it: &Fact| matches!(it, Fact::TaskSkipped { frame: Some(it), .. } if *it == frame);
                Some(Value::Bool(!facts.first().is_some_and(skipped)))
            }
            Field::InputFrom => facts.iter().find_map(|fact| match fact {
                Fact::TaskInput { frame: of, input } if *of == frame => Some(input.clone()),
                _ => None,
            }),
            Field::OutputAs => given(facts, frame, &visit.input),
            Field::ExportAs => facts.iter().find_map(|fact| match fact {
                Fact::TaskCompleted { frame: of, context, .. } if *of == frame => context.clone(),
                _ => None,
            }),
            Field::Definition => {
                let task = self.old.task(visit.task?);
                match &task.kind {
                    Kind::Set(_) if task.output.transform.is_none() => {
                        given(facts, frame, &visit.input)
                    }
                    Kind::Function(call) if matches!(call.target, FunctionTarget::Defined(_)) => {
                        facts.iter().find_map(|fact| match fact {
                            Fact::SequenceBegan { frame: of, value } if *of == frame => {
                                value.clone()
                            }
                            _ => None,
                        })
                    }
                    Kind::Workflow(_) => facts.iter().find_map(|fact| match fact {
                        Fact::ChildStarted { frame: of, input, .. } if *of == frame => {
                            Some(Value::object([("input", input.clone())]))
                        }
                        _ => None,
                    }),
                    _ => None,
                }
            }
        }
    }
}

/// How an instance began that goes on for another one.
fn succession(facts: &[Fact]) -> Option<Succession> {
    let Fact::Succeeds { predecessor, frame, since, pending, raw, context } = facts.first()? else {
        return None;
    };
    let (action, by) = match facts.get(1) {
        Some(Fact::Requested { action, by }) => (Some(*action), Some(by.clone())),
        _ => (None, None),
    };
    let given = Given { raw: raw.clone(), context: context.clone() };
    let is_reset = action == Some(Requested::Reset) || given != Given::default();
    Some(Succession {
        predecessor: *predecessor,
        kept: Vec::new(),
        frame: *frame,
        since: *since,
        pending: Some(pending.clone()),
        reset: is_reset.then_some(given),
        by,
    })
}

/// The error with which a visit is told to end.
fn failed(facts: &[Fact], frame: FrameId) -> Option<Problem> {
    facts.iter().find_map(|fact| match fact {
        Fact::TaskFaulted { frame: of, problem } | Fact::Halted { frame: of, problem }
            if *of == frame =>
        {
            Some(problem.clone())
        }
        _ => None,
    })
}

/// The output of a visit, which had `input` before these facts.
fn given(facts: &[Fact], frame: FrameId, input: &Value) -> Option<Value> {
    let mut input = input;
    for fact in facts {
        match fact {
            Fact::TaskInput { frame: of, input: other } if *of == frame => input = other,
            Fact::TaskCompleted { frame: of, output, .. } if *of == frame => {
                return Some(output.clone().unwrap_or_else(|| input.clone()));
            }
            Fact::ExtensionsBegan { frame: of, value, after: true, .. }
            | Fact::EvaluationRequested { frame: of, value, field: Field::ExportAs, .. }
                if *of == frame =>
            {
                return Some(value.clone());
            }
            _ => {}
        }
    }
    None
}

/// The visit that a fact is about.
fn about(fact: &Fact) -> Option<FrameId> {
    match fact {
        Fact::TaskInput { frame, .. }
        | Fact::TaskSkipped { frame: Some(frame), .. }
        | Fact::Dispatched { frame, .. }
        | Fact::EvaluationRequested { frame, .. }
        | Fact::DeliveryLost { frame, .. }
        | Fact::SecretsUsed { frame, .. }
        | Fact::TaskCompleted { frame, .. }
        | Fact::TaskFaulted { frame, .. }
        | Fact::LoopBegan { frame, .. }
        | Fact::Iterated { frame, .. }
        | Fact::Forked { frame, .. }
        | Fact::ContextMerged { frame, .. }
        | Fact::BranchFaulted { frame, .. }
        | Fact::SequenceBegan { frame, .. }
        | Fact::AttemptBegan { frame, .. }
        | Fact::RetryScheduled { frame, .. }
        | Fact::Caught { frame, .. }
        | Fact::TimerSet { frame, .. }
        | Fact::Emitted { frame, .. }
        | Fact::Subscribed { frame, .. }
        | Fact::EventConsumed { frame, .. }
        | Fact::ItemBegan { frame }
        | Fact::ItemEnded { frame, .. }
        | Fact::ListenClosed { frame }
        | Fact::ChildStarted { frame, .. }
        | Fact::ExtensionsBegan { frame, .. }
        | Fact::ExtensionBegan { frame, .. }
        | Fact::ExtensionsEnded { frame }
        | Fact::Halted { frame, .. }
        | Fact::Overridden { frame }
        | Fact::ApprovalAsked { frame, .. }
        | Fact::ApprovalDecided { frame, .. }
        | Fact::LimitAsked { frame, .. }
        | Fact::LimitTaken { frame }
        | Fact::LimitRefused { frame, .. } => Some(*frame),
        Fact::TaskOpened { parent, .. } | Fact::TaskSkipped { parent, .. } => Some(*parent),
        Fact::Started { .. }
        | Fact::InputTransformed(_)
        | Fact::TimerFired { .. }
        | Fact::ChildAbandoned { .. }
        | Fact::ChildGone { .. }
        | Fact::Yielded(_)
        | Fact::Continued
        | Fact::Requested { .. }
        | Fact::Suspended
        | Fact::Resumed
        | Fact::Quarantined(_)
        | Fact::Completed(_)
        | Fact::CompletedUnchanged
        | Fact::Faulted(_)
        | Fact::Cancelled(_)
        | Fact::Succeeds { .. }
        | Fact::Succeeded { .. }
        | Fact::HandlerStarted { .. }
        | Fact::HandlerSettled { .. } => None,
    }
}
