//! What facts have to tell the world of an instance: its lifecycle.
//!
//! Facts name tasks by their frames, and frames that a decision closes are gone after it. So where
//! tasks are told of, an instance in memory keeps the pointers of its open frames.

use std::collections::HashMap;
use std::sync::Arc;

use windlass_proto::id::FrameId;
use windlass_proto::plan::{FunctionTarget, Kind, Plan, Task};
use windlass_proto::problem::Problem;
use windlass_proto::time::Timestamp;

use super::release::Release;
use crate::engine::{Fact, Instance};
use crate::events::lifecycle::{Change, Level, News, What};

/// Begins the pointers of tasks in extensions, which stand apart from what they extend.
const EXTENSIONS: &str = "/use/extensions/";

/// The open frames of an instance, by their tasks.
#[derive(Default)]
pub(super) struct Names(HashMap<FrameId, Name>);

struct Name {
    parent: FrameId,
    reference: Arc<str>,
    /// Comes before the pointers of the tasks inside: the call sites of functions.
    prefix: Arc<str>,
    /// Why the flow left it without an end of its own.
    fault: Option<Problem>,
}

impl Names {
    /// The names of an instance that was read from the journal, or has just been created.
    pub(super) fn of(plan: &Plan, instance: &Instance) -> Self {
        let mut names = Self::default();
        // A frame's number is greater than its parent's.
        for (id, frame) in &instance.frames {
            if let Some(task) = frame.task {
                names.open(*id, frame.parent, plan.task(task));
            }
        }
        names
    }

    fn open(&mut self, id: FrameId, parent: FrameId, task: &Task) -> Arc<str> {
        let above = self.0.get(&parent).map(|it| it.prefix.clone());
        let reference = self.reference(parent, task);
        let is_call = matches!(&task.kind, Kind::Function(call)
            if matches!(call.target, FunctionTarget::Defined(_)));
        let prefix = if is_call { reference.clone() } else { above.unwrap_or_default() };
        let name = Name { parent, reference: reference.clone(), prefix, fault: None };
        self.0.insert(id, name);
        reference
    }

    /// The pointer of a task inside the frame `parent`.
    fn reference(&self, parent: FrameId, task: &Task) -> Arc<str> {
        match self.0.get(&parent) {
            Some(above) if !above.prefix.is_empty() && !task.reference.starts_with(EXTENSIONS) => {
                format!("{}{}", above.prefix, task.reference).into()
            }
            _ => task.reference.clone(),
        }
    }

    fn close(&mut self, id: FrameId) -> Option<Arc<str>> {
        self.0.remove(&id).map(|it| it.reference)
    }

    /// A task failed: whatever around it closes with it, closes for that reason.
    fn blame(&mut self, id: FrameId, problem: &Problem) {
        let mut next = self.0.get(&id).map(|it| it.parent);
        while let Some(name) = next.and_then(|id| self.0.get_mut(&id)) {
            name.fault = Some(problem.clone());
            next = Some(name.parent);
        }
    }

    /// Takes out the frames that are not open any more, innermost first, and what became of them.
    fn gone(&mut self, instance: &Instance) -> Vec<(Arc<str>, Change)> {
        let mut gone: Vec<_> =
            self.0.keys().filter(|id| !instance.frames.contains_key(id)).copied().collect();
        gone.sort_unstable_by(|a, b| b.cmp(a));
        let names = gone.into_iter().filter_map(|id| self.0.remove(&id));
        let told = names.map(|name| {
            let change = name.fault.map_or(Change::Cancelled, Change::Faulted);
            (name.reference, change)
        });
        let told = told.collect();
        // What was caught is no reason for a later end.
        self.0.values_mut().for_each(|name| name.fault = None);
        told
    }
}

/// What is told of one decision.
pub(super) struct Account<'a> {
    pub(super) level: Level,
    pub(super) plan: &'a Arc<Plan>,
    /// The state the facts have led to.
    pub(super) instance: &'a Instance,
    pub(super) at: Timestamp,
}

impl Account<'_> {
    /// Adds what `facts`, the latest of the instance, have to tell.
    pub(super) fn tell(
        &self,
        facts: &[Fact],
        names: Option<&mut Names>,
        releases: &mut Vec<Release>,
    ) {
        let first = self.instance.sequence.saturating_sub(facts.len() as u64);
        let mut tasks = names.filter(|_| self.level == Level::Task).map(|names| {
            let opened = facts.iter().filter(|it| matches!(it, Fact::TaskOpened { .. })).count();
            let opened = u32::try_from(opened).unwrap_or(u32::MAX);
            (names, FrameId(self.instance.next_frame.saturating_sub(opened)))
        });
        let mut closed = false;
        for (sequence, fact) in (first..).zip(facts) {
            if let Some(what) = workflow(fact) {
                // Its tasks have ended before it.
                if let (Some((names, _)), true) = (&mut tasks, ends(fact)) {
                    self.remains(names, sequence, releases);
                    closed = true;
                }
                releases.push(self.news(sequence, what));
            } else if let Some((names, next)) = &mut tasks {
                for (task, change) in self.task(fact, names, next) {
                    releases.push(self.news(sequence, What::Task(task, change)));
                }
            }
        }
        if let (Some((names, _)), false) = (&mut tasks, closed)
            && !facts.is_empty()
        {
            self.remains(names, self.instance.sequence.saturating_sub(1), releases);
        }
    }

    /// Tells of frames that the decision closed without a fact of their own.
    fn remains(&self, names: &mut Names, sequence: u64, releases: &mut Vec<Release>) {
        for (task, change) in names.gone(self.instance) {
            releases.push(self.news(sequence, What::Task(task, change)));
        }
    }

    fn news(&self, sequence: u64, what: What) -> Release {
        let (instance, plan, at) = (self.instance.id, self.plan.clone(), self.at);
        Release::News(Box::new(News { instance, plan, sequence, at, what }))
    }

    /// What a fact has to tell of tasks.
    fn task(&self, fact: &Fact, names: &mut Names, next: &mut FrameId) -> Vec<(Arc<str>, Change)> {
        match fact {
            Fact::TaskOpened { parent, task, .. } => {
                let id = *next;
                *next = FrameId(id.0.saturating_add(1));
                let reference = names.open(id, *parent, self.plan.task(*task));
                vec![(reference.clone(), Change::Created), (reference, Change::Started)]
            }
            Fact::TaskSkipped { parent, task, frame, .. } => match frame {
                Some(frame) => {
                    names.close(*frame).map(|it| (it, Change::Skipped)).into_iter().collect()
                }
                None => {
                    let reference = names.reference(*parent, self.plan.task(*task));
                    vec![(reference.clone(), Change::Created), (reference, Change::Skipped)]
                }
            },
            Fact::TaskCompleted { frame, output, .. } => {
                let change = Change::Completed(output.clone());
                names.close(*frame).map(|it| (it, change)).into_iter().collect()
            }
            Fact::TaskFaulted { frame, problem } => {
                names.blame(*frame, problem);
                let change = Change::Faulted(problem.clone());
                names.close(*frame).map(|it| (it, change)).into_iter().collect()
            }
            Fact::AttemptBegan { frame, attempt } if *attempt > 1 => {
                let name = names.0.get(frame).map(|it| it.reference.clone());
                name.map(|it| (it, Change::Retried)).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What a fact has to tell of the workflow.
fn workflow(fact: &Fact) -> Option<What> {
    match fact {
        Fact::Started { .. } => Some(What::Started),
        Fact::Suspended => Some(What::Suspended),
        Fact::Resumed => Some(What::Resumed),
        Fact::Subscribed { .. } => Some(What::CorrelationStarted),
        Fact::EventConsumed { last: true, correlations, .. } => {
            Some(What::CorrelationCompleted(correlations.clone()))
        }
        Fact::Completed(output) => Some(What::Completed(output.clone())),
        Fact::Faulted(problem) => Some(What::Faulted(problem.clone())),
        Fact::Cancelled(_) => Some(What::Cancelled),
        _ => None,
    }
}

fn ends(fact: &Fact) -> bool {
    matches!(fact, Fact::Completed(_) | Fact::Faulted(_) | Fact::Cancelled(_))
}
