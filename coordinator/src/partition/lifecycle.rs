//! What facts have to tell of an instance: its lifecycle.
//!
//! Facts name tasks by their frames, and frames that a decision closes are gone after it. So an
//! instance in memory keeps what is told of its open frames.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_proto::id::FrameId;
use windlass_proto::plan::{Plan, Task};
use windlass_proto::problem::Problem;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::release::Release;
use crate::approval::{ApprovalId, OpenApproval};
use crate::engine::{Body, Ending, Fact, Instance};
use crate::events::lifecycle::{Change, Decided, Level, LifecycleEvent, What};
use crate::trace::{Passing, Pointer};

/// What is told of the open frames of an instance.
#[derive(Default)]
pub(super) struct Open {
    /// Their tasks, where tasks are told of.
    tasks: BTreeMap<FrameId, Name>,
    /// True while some of these have a fault.
    blamed: bool,
    /// Correlation keys of those that listen.
    keys: BTreeMap<FrameId, BTreeMap<Arc<str>, Value>>,
}

struct Name {
    parent: FrameId,
    pointer: Pointer,
    /// Why the flow left it without an end of its own.
    fault: Option<Problem>,
}

impl Name {
    /// Nothing for the body of a function: it has the pointer of its call, which is told of.
    fn told(self, change: Change) -> Option<(Arc<str>, Change)> {
        (!self.pointer.silent).then_some((self.pointer.reference, change))
    }

    /// What is told of a task that the flow left without an end of its own.
    fn left(mut self) -> Option<(Arc<str>, Change)> {
        let change = self.fault.take().map_or(Change::Cancelled, Change::Faulted);
        self.told(change)
    }
}

impl Open {
    /// The open frames of an instance that was read from the journal.
    pub(super) fn of(level: Level, plan: &Plan, instance: &Instance) -> Self {
        let mut open = Self::default();
        // A frame's number is greater than its parent's.
        for (id, frame) in &instance.frames {
            if let (Level::Task, Some(task)) = (level, frame.task) {
                open.open(*id, frame.parent, plan.task(task));
            }
            if let Body::Listening(listening) = &frame.body {
                open.keys.insert(*id, listening.correlations.clone());
            }
        }
        open
    }

    /// What a fact has to tell of the workflow; `instance` is the state it has led to.
    fn workflow(&mut self, fact: &Fact, instance: &Instance) -> Option<What> {
        match fact {
            Fact::Started { .. } | Fact::Succeeds { .. } => Some(What::Started),
            Fact::Suspended | Fact::Quarantined(_) | Fact::Halted { .. } => Some(What::Suspended),
            Fact::Resumed => Some(What::Resumed),
            Fact::Subscribed { frame, expectations } => {
                self.keys.insert(*frame, expectations.iter().cloned().collect());
                Some(What::CorrelationStarted)
            }
            Fact::EventConsumed { frame, last, correlations, .. } => {
                let keys = self.keys.get_mut(frame)?;
                keys.extend(correlations.iter().cloned());
                let keys = last.then(|| self.keys.remove(frame)).flatten();
                keys.map(What::CorrelationCompleted)
            }
            Fact::ListenClosed { frame } => self.keys.remove(frame).map(What::CorrelationCompleted),
            Fact::Completed(_) | Fact::CompletedUnchanged => match &instance.ending {
                Some(Ending::Completed(output)) => Some(What::Completed(output.clone())),
                _ => None,
            },
            Fact::Faulted(problem) => Some(What::Faulted(problem.clone())),
            Fact::Cancelled(_) => Some(What::Cancelled),
            _ => None,
        }
    }

    /// Opens a task; its pointer, if it is to be told of.
    fn open(&mut self, id: FrameId, parent: FrameId, task: &Task) -> Option<Arc<str>> {
        let pointer = Pointer::of(self.tasks.get(&parent).map(|it| &it.pointer), task);
        let told = (!pointer.silent).then(|| pointer.reference.clone());
        self.tasks.insert(id, Name { parent, pointer, fault: None });
        told
    }

    /// Closes a task, and what it has left open inside.
    fn close(&mut self, id: FrameId, change: Change) -> Vec<(Arc<str>, Change)> {
        let mut told = self.empty(id);
        told.extend(self.tasks.remove(&id).and_then(|it| it.told(change)));
        told
    }

    /// Closes what is open inside a task, innermost first.
    fn empty(&mut self, id: FrameId) -> Vec<(Arc<str>, Change)> {
        let mut inside = BTreeSet::new();
        // A frame's number is greater than its parent's, so one pass in order finds them all.
        for (child, name) in self.tasks.range(FrameId(id.0.saturating_add(1))..) {
            if name.parent == id || inside.contains(&name.parent) {
                inside.insert(*child);
            }
        }
        let names = inside.into_iter().rev().filter_map(|id| self.tasks.remove(&id));
        names.filter_map(Name::left).collect()
    }

    /// A task failed: whatever around it closes with it, closes for that reason.
    fn blame(&mut self, id: FrameId, problem: &Problem) {
        self.blamed = true;
        let mut next = self.tasks.get(&id).map(|it| it.parent);
        while let Some(name) = next.and_then(|id| self.tasks.get_mut(&id)) {
            name.fault = Some(problem.clone());
            next = Some(name.parent);
        }
    }

    /// Takes out the frames that are not open any more, innermost first, and what became of them.
    fn gone(&mut self, instance: &Instance) -> Vec<(Arc<str>, Change)> {
        let mut told = Vec::new();
        // All open frames but the root are among the tasks: as many as that, and none is gone.
        if self.tasks.len() >= instance.frames.len().max(1) {
            let is_gone = |id: &FrameId| !instance.frames.contains_key(id);
            let gone: Vec<_> = self.tasks.keys().rev().copied().filter(is_gone).collect();
            for name in gone.into_iter().filter_map(|id| self.tasks.remove(&id)) {
                told.extend(name.left());
            }
        }
        if std::mem::take(&mut self.blamed) {
            // What was caught is no reason for a later end.
            self.tasks.values_mut().for_each(|name| name.fault = None);
        }
        told
    }
}

/// What is told of one decision.
pub(super) struct Announcer<'a> {
    pub(super) level: Level,
    pub(super) plan: &'a Arc<Plan>,
    /// The state the facts have led to.
    pub(super) instance: &'a Instance,
    pub(super) at: Timestamp,
    /// What goes along of its trace.
    pub(super) passing: Option<Passing<'a>>,
}

impl Announcer<'_> {
    /// Adds what `facts`, the latest of the instance, have to tell.
    pub(super) fn announce(&self, facts: &[Fact], open: &mut Open, releases: &mut Vec<Release>) {
        let first = self.instance.sequence.saturating_sub(facts.len() as u64);
        let tasks = self.level == Level::Task;
        let mut next = self.first_opened(facts);
        for (sequence, fact) in (first..).zip(facts) {
            let what = open.workflow(fact, self.instance).or_else(|| self.approval(fact, sequence));
            let mut told = Vec::new();
            if tasks {
                told = self.task(fact, open, &mut next);
                if fact.is_end() || sequence + 1 == self.instance.sequence {
                    told.append(&mut open.gone(self.instance));
                }
            }
            // What became of tasks comes before the end of their workflow, and after its start.
            let (before, after) =
                if fact.is_end() { (told, Vec::new()) } else { (Vec::new(), told) };
            let mut number = 0;
            let again = self.asked_again(fact, sequence);
            let mut push = |what: What, numbered: bool| {
                number += u32::from(numbered);
                releases.push(self.event(sequence, if numbered { number } else { 0 }, what));
            };
            before.into_iter().for_each(|(task, change)| push(What::Task(task, change), true));
            what.into_iter().for_each(|it| push(it, false));
            after.into_iter().for_each(|(task, change)| push(What::Task(task, change), true));
            again.into_iter().for_each(|it| push(it, true));
        }
        open.keys.retain(|frame, _| self.instance.frames.contains_key(frame));
    }

    /// The number of the first frame that `facts` open.
    fn first_opened(&self, facts: &[Fact]) -> FrameId {
        let opened = facts.iter().filter(|it| matches!(it, Fact::TaskOpened { .. })).count();
        let opened = u32::try_from(opened).unwrap_or(u32::MAX);
        FrameId(self.instance.next_frame.saturating_sub(opened))
    }

    /// What a fact has to tell of a question to people.
    fn approval(&self, fact: &Fact, sequence: u64) -> Option<What> {
        match fact {
            Fact::ApprovalAsked { frame, .. } => {
                let open = OpenApproval::of(self.plan, self.instance, *frame);
                // Else the same turn has closed it again.
                let open = open.filter(|(id, _)| id.number == sequence);
                open.map(|it| What::ApprovalRequested(Box::new(it)))
            }
            Fact::ApprovalDecided { number, approved, by, .. } => {
                let id = ApprovalId { instance: self.instance.id, number: *number };
                let by = by.as_ref().and_then(|it| it.name()).map(Arc::from);
                Some(What::ApprovalDecided(Box::new(Decided { id, approved: *approved, by })))
            }
            _ => None,
        }
    }

    /// Questions that an instance asks in place of the one that it goes on for: under its own name.
    fn asked_again(&self, fact: &Fact, sequence: u64) -> Vec<What> {
        if !matches!(fact, Fact::Succeeds { .. }) {
            return Vec::new();
        }
        let visits = self.instance.frames.keys();
        let open = visits.filter_map(|id| OpenApproval::of(self.plan, self.instance, *id));
        let before = open.filter(|(id, _)| id.number < sequence);
        before.map(|it| What::ApprovalRequested(Box::new(it))).collect()
    }

    fn event(&self, sequence: u64, number: u32, what: What) -> Release {
        let (instance, plan, at) = (self.instance.id, self.plan.clone(), self.at);
        let trace = self.passing.as_ref().and_then(Passing::instance);
        let event = LifecycleEvent { instance, plan, sequence, number, at, trace, what };
        Release::Lifecycle(Box::new(event))
    }

    /// What a fact has to tell of tasks.
    fn task(&self, fact: &Fact, open: &mut Open, next: &mut FrameId) -> Vec<(Arc<str>, Change)> {
        match fact {
            Fact::TaskOpened { parent, task, .. } => {
                let id = *next;
                *next = FrameId(id.0.saturating_add(1));
                let reference = open.open(id, *parent, self.plan.task(*task));
                let told = |it: Arc<str>| [(it.clone(), Change::Created), (it, Change::Started)];
                reference.into_iter().flat_map(told).collect()
            }
            Fact::TaskSkipped { frame: Some(frame), .. } => open.close(*frame, Change::Skipped),
            Fact::TaskSkipped { parent, task, frame: None, .. } => {
                let task = self.plan.task(*task);
                if task.reference.is_empty() {
                    return Vec::new();
                }
                let above = open.tasks.get(parent).map(|it| &it.pointer);
                let it = Pointer::reference(above, task);
                vec![(it.clone(), Change::Created), (it, Change::Skipped)]
            }
            Fact::TaskCompleted { frame, output, .. } => {
                open.close(*frame, Change::Completed(output.clone()))
            }
            Fact::TaskFaulted { frame, problem } => {
                open.blame(*frame, problem);
                open.close(*frame, Change::Faulted(problem.clone()))
            }
            Fact::Caught { frame, .. }
            | Fact::RetryScheduled { frame, .. }
            | Fact::EvaluationRequested { frame, .. } => open.empty(*frame),
            Fact::AttemptBegan { frame, attempt } if *attempt > 1 => {
                let pointer = open.tasks.get(frame).map(|it| &it.pointer);
                let told = pointer.filter(|it| !it.silent);
                told.map(|it| (it.reference.clone(), Change::Retried)).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}
