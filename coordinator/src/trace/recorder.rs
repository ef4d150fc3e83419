//! Follows an instance by its facts, and tells the spans that end.
//!
//! Facts name visits by their frames, and frames that a decision closes are gone after it. So what
//! is open is kept here while its instance is in memory. The same code follows the live instance
//! and its history; so both tell the same spans.

mod restore;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::plan::{Plan, TaskIx};
use windlass_proto::time::Timestamp;
use windlass_proto::trace::{SpanId, span_of_instance};
use windlass_telemetry::{FinishedSpan, names};

use super::delivery::{Delivery, answered};
use super::finish::{Finisher, attempt, failed};
use super::pointer::Pointer;
use super::visit::{End, Fault, Visit};
use super::{ROOT, is_traced};
use crate::engine::{Fact, Instance};

/// The visits of an instance that go on.
pub(crate) struct Recorder {
    open: BTreeMap<FrameId, Visit>,
    /// The number of the next frame.
    next: u32,
    /// Bytes that these take.
    bytes: u64,
    /// True while some of these have a fault.
    blamed: bool,
    /// The task that has failed and that nothing has caught yet.
    failed: Option<Arc<str>>,
    /// The id of the instance, as attributes have it.
    id: Arc<str>,
    /// Its span.
    root: SpanId,
    /// The latest time known: a clock that was set back would end visits before they began, and
    /// those around them before those inside.
    now: Timestamp,
}

/// What is told of facts that were decided together.
pub(crate) struct Decided<'d> {
    pub(crate) plan: &'d Plan,
    /// The state that they have led to.
    pub(crate) instance: &'d Instance,
    /// When.
    pub(crate) at: Timestamp,
}

impl Recorder {
    /// Of an instance that begins with its next facts.
    pub(crate) fn new(id: InstanceId) -> Self {
        Self {
            open: BTreeMap::new(),
            next: 1,
            bytes: 0,
            blamed: false,
            failed: None,
            id: id.to_string().into(),
            root: span_of_instance(id),
            now: Timestamp(0),
        }
    }

    /// Takes the next facts; gives the spans that they end.
    pub(crate) fn take(&mut self, decided: &Decided, facts: &[Fact]) -> Vec<FinishedSpan> {
        self.now = self.now.max(decided.at);
        let decided = &Decided { at: self.now, ..*decided };
        let mut finisher = Finisher::new(decided, &self.id, self.root);
        for fact in facts {
            if let Some(frame) = answered(fact) {
                self.answered(frame, &mut finisher);
            }
            self.task(decided, fact, &mut finisher);
            self.note(decided, fact);
            self.whole(decided, fact, &mut finisher);
        }
        if decided.instance.ending.is_none() {
            self.gone(decided.instance, &mut finisher);
        }
        finisher.spans
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn begin(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
        let pointer = Pointer { reference: "".into(), prefix: "".into(), silent: false };
        self.insert(ROOT, Visit::new(ROOT, None, pointer, at));
    }

    /// What goes on here for another instance is told from now on: the rest has been.
    fn succeeds(&mut self, frame: FrameId, at: Timestamp) {
        let mut inside = BTreeSet::from([frame]);
        self.open.retain(|id, visit| {
            let is_inside = *id != frame && inside.contains(&visit.parent);
            if is_inside {
                inside.insert(*id);
            }
            !is_inside
        });
        for (id, visit) in &mut self.open {
            visit.began = visit.began.max(at);
            visit.delivery.take_if(|_| *id == frame);
            if let Some(delivery) = &mut visit.delivery {
                delivery.sent = at;
            }
        }
        self.bytes = self.open.values().map(Visit::weight).sum();
    }

    /// Begins and ends of the instance.
    fn whole(&mut self, decided: &Decided, fact: &Fact, finisher: &mut Finisher) {
        let end = match fact {
            Fact::Started { .. } => return self.begin(decided.at),
            Fact::Succeeds { frame, .. } => return self.succeeds(*frame, decided.at),
            Fact::Completed(_) | Fact::CompletedUnchanged => End::Completed,
            Fact::Faulted(problem) => End::Faulted(Fault::from(problem)),
            Fact::Cancelled(_) => End::Cancelled,
            _ => return,
        };
        self.empty(ROOT, finisher);
        if let Some(root) = self.remove(ROOT) {
            finisher.instance(root, end, self.failed.take());
        }
        self.open.clear();
        self.bytes = 0;
    }

    /// Begins and ends of visits.
    fn task(&mut self, decided: &Decided, fact: &Fact, finisher: &mut Finisher) {
        match fact {
            Fact::TaskOpened { parent, task, .. } => {
                let id = FrameId(self.next);
                self.next = self.next.saturating_add(1);
                self.open(decided.plan, id, *parent, *task, decided.at);
            }
            Fact::TaskSkipped { frame: Some(frame), .. } => {
                self.close(*frame, End::Skipped, finisher);
            }
            Fact::Dispatched { frame, delivery } => {
                self.sent(*frame, *delivery, false, decided.at);
            }
            Fact::EvaluationRequested { frame, delivery, .. } => {
                self.empty(*frame, finisher);
                self.sent(*frame, *delivery, true, decided.at);
            }
            Fact::DeliveryLost { frame, worker, reason, .. } => {
                if let Some(visit) = self.open.get_mut(frame)
                    && let Some(delivery) = visit.delivery.take()
                {
                    finisher.lost(*frame, visit, delivery, worker.clone(), *reason);
                }
            }
            Fact::TaskCompleted { frame, .. } => self.close(*frame, End::Completed, finisher),
            Fact::TaskFaulted { frame, problem } => {
                let fault = Fault::from(problem);
                self.blame(*frame, &fault);
                self.close(*frame, End::Faulted(fault), finisher);
            }
            Fact::Caught { frame, .. } | Fact::RetryScheduled { frame, .. } => {
                self.failed = None;
                self.empty(*frame, finisher);
            }
            Fact::Halted { frame, .. } | Fact::Overridden { frame } => {
                self.empty(*frame, finisher);
            }
            _ => {}
        }
    }

    /// What happens within visits, and within the instance.
    fn note(&mut self, decided: &Decided, fact: &Fact) {
        let at = decided.at;
        let frame = match fact {
            Fact::AttemptBegan { frame, .. }
            | Fact::RetryScheduled { frame, .. }
            | Fact::Caught { frame, .. }
            | Fact::Iterated { frame, .. }
            | Fact::ItemBegan { frame }
            | Fact::ChildStarted { frame, .. }
            | Fact::Emitted { frame, .. }
            | Fact::EventConsumed { frame, .. } => *frame,
            Fact::Suspended | Fact::Halted { .. } | Fact::Resumed | Fact::Quarantined(_) => ROOT,
            _ => return,
        };
        let Some(visit) = self.open.get_mut(&frame).filter(|it| it.traced) else { return };
        let before = visit.weight();
        match fact {
            Fact::AttemptBegan { attempt: number, .. } => {
                visit.more().attempts = *number;
                if *number > 1 {
                    visit.notes.add(names::RETRY, at, attempt(*number));
                }
            }
            Fact::RetryScheduled { problem, .. } => {
                visit.notes.add(names::RETRY_SCHEDULED, at, failed(&problem.into()));
            }
            Fact::Caught { problem, .. } => {
                visit.notes.add(names::CAUGHT, at, failed(&problem.into()));
            }
            Fact::Iterated { index, .. } => visit.more().iterations = index.saturating_add(1),
            // Without `foreach` nothing goes round.
            Fact::ItemBegan { .. } if visit.is_foreach(decided.plan) => {
                let more = visit.more();
                more.iterations = more.iterations.saturating_add(1);
            }
            Fact::ChildStarted { child, .. } => {
                visit.started(*child);
            }
            Fact::Emitted { event, .. } => visit.emitted(event),
            Fact::EventConsumed { trace: Some(trace), .. } => {
                visit.notes.link(trace.clone(), true);
            }
            Fact::Suspended | Fact::Halted { .. } => {
                visit.notes.add(names::SUSPENDED, at, Vec::new())
            }
            Fact::Quarantined(_) => visit.notes.add(names::QUARANTINED, at, Vec::new()),
            Fact::Resumed => visit.notes.add(names::RESUMED, at, Vec::new()),
            _ => {}
        }
        self.bytes = (self.bytes + visit.weight()).saturating_sub(before);
    }

    fn open(&mut self, plan: &Plan, id: FrameId, parent: FrameId, task: TaskIx, at: Timestamp) {
        self.now = self.now.max(at);
        let above = self.open.get(&parent).filter(|it| it.task.is_some());
        let pointer = Pointer::of(above.map(|it| &it.pointer), plan.task(task));
        let mut visit = Visit::new(parent, Some(task), pointer, at);
        visit.traced = is_traced(id);
        if !visit.traced
            && let Some(around) = self.traced_around(parent)
        {
            let untraced = around.untraced.get_or_insert_default();
            untraced.count = untraced.count.saturating_add(1);
        }
        self.insert(id, visit);
    }

    fn insert(&mut self, id: FrameId, visit: Visit) {
        self.bytes += visit.weight();
        self.open.insert(id, visit);
    }

    fn remove(&mut self, id: FrameId) -> Option<Visit> {
        let visit = self.open.remove(&id)?;
        self.bytes = self.bytes.saturating_sub(visit.weight());
        Some(visit)
    }

    /// The nearest visit that has a span, from `id` outwards.
    fn traced_around(&mut self, mut id: FrameId) -> Option<&mut Visit> {
        while !self.open.get(&id)?.traced {
            id = self.open.get(&id)?.parent;
        }
        self.open.get_mut(&id)
    }

    fn sent(&mut self, frame: FrameId, number: u32, evaluates: bool, sent: Timestamp) {
        if let Some(visit) = self.open.get_mut(&frame) {
            visit.delivery = Some(Delivery { number, sent, evaluates });
        }
        let mut next = Some(frame);
        while let Some(id) = next
            && let Some(visit) = self.open.get_mut(&id)
            && !visit.encloses
        {
            visit.encloses = true;
            next = (id != ROOT).then_some(visit.parent);
        }
    }

    fn answered(&mut self, frame: FrameId, finisher: &mut Finisher) {
        if let Some(visit) = self.open.get_mut(&frame)
            && let Some(delivery) = visit.delivery.take()
        {
            finisher.reported(frame, visit, delivery);
        }
    }

    /// Ends a visit, and what it has left open inside.
    fn close(&mut self, id: FrameId, end: End, finisher: &mut Finisher) {
        self.empty(id, finisher);
        self.end(id, Some(end), finisher);
    }

    /// Ends what is open inside a visit, innermost first.
    fn empty(&mut self, id: FrameId, finisher: &mut Finisher) {
        let mut inside = BTreeSet::new();
        // A frame's number is greater than its parent's, so one pass in order finds them all.
        for (child, visit) in self.open.range(FrameId(id.0.saturating_add(1))..) {
            if visit.parent == id || inside.contains(&visit.parent) {
                inside.insert(*child);
            }
        }
        inside.into_iter().rev().for_each(|id| self.end(id, None, finisher));
    }

    /// Ends one visit, as the flow left it where it has no end of its own.
    fn end(&mut self, id: FrameId, end: Option<End>, finisher: &mut Finisher) {
        let Some(mut visit) = self.remove(id) else { return };
        if !visit.traced {
            let lasted = finisher.at().since(visit.began);
            if let Some(around) = self.traced_around(visit.parent) {
                around.untraced.get_or_insert_default().ended(lasted);
            }
            return;
        }
        if let Some(delivery) = visit.delivery.take() {
            finisher.abandoned(id, &visit, delivery);
        }
        let end = end.unwrap_or_else(|| visit.left());
        finisher.visit(id, visit, end);
    }

    /// A visit failed: whatever around it closes with it, closes for that reason.
    fn blame(&mut self, id: FrameId, fault: &Fault) {
        self.blamed = true;
        let failed = self.open.get(&id);
        if self.failed.is_none() {
            self.failed = failed.map(|it| it.pointer.reference.clone());
        }
        let mut next = failed.map(|it| it.parent);
        while let Some(id) = next.filter(|it| *it != ROOT)
            && let Some(visit) = self.open.get_mut(&id)
        {
            visit.fault = Some(fault.clone());
            next = Some(visit.parent);
        }
    }

    /// Ends the visits whose frames are not open any more.
    fn gone(&mut self, instance: &Instance, finisher: &mut Finisher) {
        // All open frames are among these: as many as that, and none is gone.
        if self.open.len() > instance.frames.len() {
            let is_gone = |id: &FrameId| !instance.frames.contains_key(id);
            let gone: Vec<_> = self.open.keys().rev().copied().filter(is_gone).collect();
            gone.into_iter().for_each(|id| self.end(id, None, finisher));
        }
        if std::mem::take(&mut self.blamed) {
            // What was caught is no reason for a later end.
            self.open.values_mut().for_each(|visit| visit.fault = None);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
