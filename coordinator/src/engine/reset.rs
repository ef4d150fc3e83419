//! Reset: an instance goes on for another one from a visit that an operator names.
//!
//! What happened before that visit was opened is kept, word for word, whichever branch it was in.
//! What else was to be done at that moment stands in no fact of its own, but the facts after it say
//! what was done then.

use std::collections::BTreeSet;
use std::sync::Arc;

use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::plan::Plan;
use windlass_proto::value::Value;

use super::fact::{Fact, Journaled};
use super::instance::{Body, Instance, Step};
use super::repair::{Given, Succession, standing_still};
use super::scope::reference;

/// A visit, as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visited {
    /// JSON pointer of the task, call sites of functions included.
    pub task: Arc<str>,
    /// Which of the visits of that task, from 1, in order of their beginnings.
    pub visit: u32,
}

/// What an operator wants of a reset.
#[derive(Clone, Debug, Default)]
pub struct ResetOrder {
    /// JSON pointer of the task that begins again.
    pub task: String,
    /// Which of its visits, from 1; the last one where nothing is said.
    pub visit: Option<u32>,
    /// What it gets in place of what it got.
    pub input: Option<Value>,
    /// Members of the context that it sees otherwise.
    pub set: Vec<(Arc<str>, Value)>,
    /// Whether children that were waited for at that moment are started anew.
    pub rerun_children: bool,
}

/// What a reset does.
#[derive(Clone, Debug)]
pub struct Reset {
    /// What the new instance begins with.
    pub succession: Succession,
    /// The visit that begins again.
    pub to: Visited,
    /// Visits that are over and are kept.
    pub kept: Vec<Visited>,
    /// Visits that go on or begin again, and those that came after them in the old instance.
    pub again: Vec<Visited>,
    /// Lists of which the facts that are not kept told at which task they go on.
    pub told: Vec<FrameId>,
}

/// Why an instance cannot be reset there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresettable {
    /// The task was not visited so often.
    #[error("it was at {task} {visits} times: name one of these visits, or another task")]
    NotVisited {
        /// The task.
        task: String,
        /// How often.
        visits: u32,
    },
    /// A child was waited for.
    #[error(
        "the child {0} was being waited for then: ask to start it anew, or go back to before it"
    )]
    Child(InstanceId),
    /// The context is no object.
    #[error("the context is no object there: its members cannot be set")]
    Context,
    /// Another definition would have led elsewhere.
    #[error(
        "by that definition it would have gone another way at {0}: go back to that task or to one \
         before it, or keep the definition"
    )]
    Diverges(Arc<str>),
    /// To follow its history by another definition would take too long.
    #[error(
        "its history is too long to be followed by another definition: go back to an earlier task, \
         or keep the definition"
    )]
    TooLong,
    /// Its facts do not say all that was going on.
    #[error("what else was to be done then cannot be told: go back to a task before")]
    Incomplete,
}

/// Finds the place that an operator names, and what is kept and done again from there.
///
/// # Errors
/// When there is no such place, or nothing can go on from it.
pub fn reset(
    plan: &Plan,
    predecessor: InstanceId,
    turns: Vec<Journaled>,
    order: ResetOrder,
) -> Result<Reset, Unresettable> {
    let (at, frame) = find(plan, predecessor, &turns, &order)?;
    let (kept, later) = split(turns, at);
    let mut state = Instance::not_started(predecessor);
    let mut followed = Followed::default();
    for turn in &kept {
        turn.facts.iter().for_each(|fact| {
            state.evolve(turn.at, fact);
            followed.take(plan, &state, fact);
        });
    }
    let since = kept.last().map(|it| it.at).unwrap_or_default();
    let waited_for = state.frames.values().find_map(|frame| match &frame.body {
        Body::Child { child, wait: true, .. } => Some(*child),
        _ => None,
    });
    if let Some(child) = waited_for.filter(|_| !order.rerun_children) {
        return Err(Unresettable::Child(child));
    }
    let (pending, told) = pending(&state, frame, &later).ok_or(Unresettable::Incomplete)?;
    let context = context(&state, frame, order.set)?;
    let given = Given { raw: order.input, context };
    let to = followed.named(frame).unwrap_or(Visited { task: "/".into(), visit: 1 });
    let kept_visits = followed.over.clone();
    let mut again: Vec<Visited> =
        state.frames.keys().filter_map(|id| followed.named(*id)).collect();
    let known = followed.begun();
    for turn in &later {
        for fact in &turn.facts {
            state.evolve(turn.at, fact);
            followed.take(plan, &state, fact);
        }
    }
    again.extend(followed.begun_since(known));
    let (reset, pending) = (Some(given), Some(pending));
    let succession = Succession { predecessor, kept, frame, since, pending, reset, by: None };
    Ok(Reset { succession, to, kept: kept_visits, again, told })
}

/// Turn and fact with which the visit was opened, and the visit.
fn find(
    plan: &Plan,
    id: InstanceId,
    turns: &[Journaled],
    order: &ResetOrder,
) -> Result<((usize, usize), FrameId), Unresettable> {
    let mut state = Instance::not_started(id);
    let (mut visits, mut found) = (0, None);
    for (turn, Journaled { at, facts }) in turns.iter().enumerate() {
        for (number, fact) in facts.iter().enumerate() {
            let frame = FrameId(state.next_frame);
            state.evolve(*at, fact);
            let Fact::TaskOpened { parent, task, .. } = fact else { continue };
            if *reference(plan, &state, *parent, plan.task(*task)) != *order.task {
                continue;
            }
            visits += 1;
            if order.visit.is_none_or(|it| it == visits) {
                found = Some(((turn, number), frame));
            }
        }
    }
    found.ok_or_else(|| Unresettable::NotVisited { task: order.task.clone(), visits })
}

/// The facts up to one, and those after it.
fn split(
    mut turns: Vec<Journaled>,
    (turn, fact): (usize, usize),
) -> (Vec<Journaled>, Vec<Journaled>) {
    let mut later = turns.split_off(turn.saturating_add(1).min(turns.len()));
    if let Some(last) = turns.last_mut() {
        let facts = last.facts.split_off(fact.saturating_add(1).min(last.facts.len()));
        later.insert(0, Journaled { at: last.at, facts });
    }
    (turns, later)
}

/// The context with other members.
fn context(
    state: &Instance,
    frame: FrameId,
    set: Vec<(Arc<str>, Value)>,
) -> Result<Option<Value>, Unresettable> {
    if set.is_empty() {
        return Ok(None);
    }
    let mut members = state.context_of(frame).as_object().cloned().ok_or(Unresettable::Context)?;
    members.extend(set);
    Ok(Some(Value::from(members)))
}

/// What else was to be done: for each list that stands still, what was done with it next; and of
/// which lists a position was told so.
fn pending(
    state: &Instance,
    again: FrameId,
    later: &[Journaled],
) -> Option<(Vec<Step>, Vec<FrameId>)> {
    let mut steps = Vec::new();
    let (branches, mut still) = standing_still(state, again, &state.pending);
    steps.extend(state.pending.iter().cloned());
    steps.extend(branches);
    let known = steps.len();
    for fact in later.iter().flat_map(|turn| &turn.facts) {
        if still.is_empty() {
            break;
        }
        if let Fact::Yielded(left) = fact {
            for step in left {
                if step.frame().is_some_and(|it| still.remove(&it)) {
                    steps.push(step.clone());
                }
            }
        } else if let Some(step) = next(state, fact)
            && step.frame().is_some_and(|it| still.remove(&it))
        {
            steps.push(step);
        }
    }
    let told = steps.iter().skip(known).filter_map(|step| match step {
        Step::Advance { frame, .. } => Some(*frame),
        _ => None,
    });
    let told = told.collect();
    still.is_empty().then_some((steps, told))
}

/// The step that a fact was the first of, for a list that stood still.
fn next(state: &Instance, fact: &Fact) -> Option<Step> {
    // Past the end of any list.
    let ended = |frame: FrameId| match &state.frame(frame)?.body {
        Body::Loop { index, .. } if state.frame(frame)?.opened == 0 => {
            Some(Step::Iterate { frame, index: *index })
        }
        Body::Listening(it) if it.item.is_none() => Some(Step::NextItem { frame }),
        _ => Some(Step::Advance { frame, position: u32::MAX }),
    };
    match fact {
        Fact::TaskOpened { parent: frame, position, .. }
        | Fact::TaskSkipped { parent: frame, position, .. } => {
            Some(Step::Advance { frame: *frame, position: *position })
        }
        Fact::Iterated { frame, index } => Some(Step::Iterate { frame: *frame, index: *index }),
        Fact::ItemBegan { frame } => Some(Step::NextItem { frame: *frame }),
        Fact::ItemEnded { frame, .. }
        | Fact::TaskCompleted { frame, .. }
        | Fact::TaskFaulted { frame, .. }
        | Fact::Halted { frame, .. }
        | Fact::EvaluationRequested { frame, .. }
        | Fact::ExtensionsBegan { frame, .. }
        | Fact::ExtensionBegan { frame, .. }
        | Fact::ExtensionsEnded { frame } => ended(*frame),
        Fact::Completed(_) | Fact::CompletedUnchanged => ended(super::instance::ROOT),
        _ => None,
    }
}

/// Visits by their names, as facts open and end them.
#[derive(Default)]
struct Followed {
    names: std::collections::BTreeMap<FrameId, Visited>,
    counts: std::collections::BTreeMap<Arc<str>, u32>,
    order: Vec<FrameId>,
    over: Vec<Visited>,
    ended: BTreeSet<FrameId>,
}

impl Followed {
    /// Takes the next fact; `state` is what it has led to.
    fn take(&mut self, plan: &Plan, state: &Instance, fact: &Fact) {
        match fact {
            Fact::TaskOpened { parent, task, .. } => {
                let task = reference(plan, state, *parent, plan.task(*task));
                let frame = FrameId(state.next_frame.saturating_sub(1));
                let visits = self.counts.entry(task.clone()).or_default();
                *visits = visits.saturating_add(1);
                self.names.insert(frame, Visited { task, visit: *visits });
                self.order.push(frame);
            }
            Fact::TaskCompleted { frame, .. } if self.ended.insert(*frame) => {
                self.over.extend(self.names.get(frame).cloned());
            }
            _ => {}
        }
    }

    fn named(&self, frame: FrameId) -> Option<Visited> {
        self.names.get(&frame).cloned()
    }

    /// How many have begun.
    fn begun(&self) -> usize {
        self.order.len()
    }

    /// Those that have begun since then.
    fn begun_since(&self, known: usize) -> impl Iterator<Item = Visited> {
        self.order.iter().skip(known).filter_map(|it| self.names.get(it).cloned())
    }
}
