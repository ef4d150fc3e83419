//! Facts in words, with the names of tasks.

use std::ops::ControlFlow;
use std::sync::Arc;

use windlass_proto::id::FrameId;
use windlass_proto::limits;
use windlass_proto::plan::{Plan, TaskIx};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::HistoryEntry;
use crate::approval::ApprovalId;
use crate::engine::{
    self, Body, Fact, Instance, Question, Requested, Requester, TimerPurpose, shown_limit,
};
use crate::view::reference;

/// Tells facts while following the state they lead to, until a page is full.
pub(super) struct HistoryWriter<'p> {
    plan: &'p Plan,
    pub(super) instance: Instance,
    pub(super) page: Page,
}

/// The entries of a page, and what it may hold.
pub(super) struct Page {
    /// Sequence number of the first fact that is told.
    from: u64,
    /// How many entries it may hold.
    limit: usize,
    pub(super) entries: Vec<HistoryEntry>,
    /// Bytes of their values.
    bytes: u64,
}

impl Page {
    /// At most `limit` entries, at least one, of the facts from sequence number `from` on.
    pub(super) fn new(from: u64, limit: usize) -> Self {
        Self { from, limit: limit.max(1), entries: Vec::new(), bytes: 0 }
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= self.limit || self.bytes >= limits::HISTORY_BYTES
    }
}

impl<'p> HistoryWriter<'p> {
    pub(super) fn new(plan: &'p Plan, instance: Instance, page: Page) -> Self {
        Self { plan, instance, page }
    }

    /// Takes the next fact. Breaks when the page is full: the state is then the one after that
    /// fact.
    pub(super) fn write(&mut self, at: Timestamp, fact: &Fact) -> ControlFlow<()> {
        let sequence = self.instance.sequence;
        let told = sequence >= self.page.from;
        let before = if told { self.entry(sequence, at, fact, false) } else { None };
        self.instance.evolve(at, fact);
        self.instance.changes = Default::default();
        if !told {
            return ControlFlow::Continue(());
        }
        if let Some(entry) = before.or_else(|| self.entry(sequence, at, fact, true)) {
            self.page.bytes = self.page.bytes.saturating_add(entry.data.weight());
            self.page.entries.push(entry);
            if self.page.is_full() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// One fact in words. Facts that open something can be told only after they are applied.
    fn entry(
        &self,
        sequence: u64,
        at: Timestamp,
        fact: &Fact,
        applied: bool,
    ) -> Option<HistoryEntry> {
        let opens = matches!(fact, Fact::TaskOpened { .. });
        if opens != applied {
            return None;
        }
        let (event, frame, data) = describe(fact, &self.instance)?;
        let (task, name, index) = match frame {
            Some(frame) => self.locate(frame),
            None => (None, None, None),
        };
        let (task, name, index) = match fact {
            Fact::TaskSkipped { parent, task: index, .. } => {
                let task = self.plan.task(*index);
                let reference = engine::reference(self.plan, &self.instance, *parent, task);
                (Some(reference), Some(task.name.clone()), Some(*index))
            }
            _ => (task, name, index),
        };
        let data = Value::object(data);
        let sent = match fact {
            Fact::Dispatched { frame, delivery } => Some((*frame, *delivery)),
            _ => None,
        };
        Some(HistoryEntry { sequence, at, event, task, name, index, data, sent })
    }

    /// Takes note of the deliveries that are over by now: nobody needs to be asked where they are.
    pub(super) fn forget_ended(&mut self) {
        for entry in &mut self.page.entries {
            entry.sent.take_if(|(frame, delivery)| {
                let body = self.instance.frames.get(frame).map(|it| &it.body);
                !matches!(body, Some(Body::Dispatched { delivery: live }) if live == delivery)
            });
        }
    }

    fn locate(&self, frame: FrameId) -> (Option<Arc<str>>, Option<Arc<str>>, Option<TaskIx>) {
        let index = self.instance.frames.get(&frame).and_then(|it| it.task);
        let name = index.map(|index| self.plan.task(index).name.clone());
        let task = name.is_some().then(|| reference(self.plan, &self.instance, frame));
        (task, name, index)
    }
}

/// What was asked for, by whom, and why, as far as that is known.
fn requested(action: Requested, by: &Requester) -> Vec<(&'static str, Value)> {
    let mut data = vec![("action", Value::from(action.word()))];
    data.extend(signed(by));
    data
}

/// Who, and why.
fn signed(by: &Requester) -> Vec<(&'static str, Value)> {
    let mut data = Vec::new();
    if let Some([issuer, subject, method]) = &by.actor {
        let actor = [("issuer", issuer), ("subject", subject), ("method", method)];
        let actor = actor.map(|(key, it)| (key, Value::from(it.clone())));
        data.push(("actor", Value::object(actor.to_vec())));
    }
    data.extend(by.reason.clone().map(|it| ("reason", Value::from(it))));
    data
}

fn named([namespace, name, version]: &[Arc<str>; 3]) -> String {
    format!("{namespace}/{name}:{version}")
}

/// What people are asked; told before the fact is applied, so its number is the next one.
fn asked(instance: &Instance, question: &Question) -> Vec<(&'static str, Value)> {
    let number = instance.sequence;
    let names = |all: &[Arc<str>]| Value::array(all.iter().cloned().map(Value::from).collect());
    let id = ApprovalId { instance: instance.id, number };
    let mut data = vec![
        ("approval", Value::from(id.to_string())),
        ("title", Value::from(question.title.clone())),
    ];
    data.extend(question.description.clone().map(|it| ("description", Value::from(it))));
    data.push(("roles", names(&question.roles)));
    data.push(("users", names(&question.users)));
    data
}

/// What somebody has decided.
fn decided(
    id: ApprovalId,
    (approved, data): (bool, &Value),
    by: Option<&Requester>,
) -> Vec<(&'static str, Value)> {
    let mut told = vec![
        ("approval", Value::from(id.to_string())),
        ("approved", Value::Bool(approved)),
        ("data", data.clone()),
    ];
    told.extend(by.into_iter().flat_map(signed));
    told
}

type Told = (&'static str, Option<FrameId>, Vec<(&'static str, Value)>);

/// A fact in words: the event, the task, the details. `None` for steps only the engine cares for.
fn describe(fact: &Fact, instance: &Instance) -> Option<Told> {
    let int = |it: u32| Value::Int(i64::from(it));
    let time = |it: Timestamp| Value::from(it.to_rfc3339());
    let at = Some::<FrameId>;
    let told = match fact {
        Fact::Started { input, .. } => ("instance.started", None, vec![("input", input.clone())]),
        Fact::Completed(output) => ("instance.completed", None, vec![("output", output.clone())]),
        Fact::CompletedUnchanged => {
            ("instance.completed", None, vec![("output", instance.last_output())])
        }
        Fact::Faulted(problem) => ("instance.faulted", None, vec![("error", problem.to_value())]),
        Fact::Cancelled(reason) => {
            let reason = reason.clone().map_or(Value::Null, Value::from);
            ("instance.cancelled", None, vec![("reason", reason)])
        }
        Fact::Requested { action, by } => ("instance.requested", None, requested(*action, by)),
        Fact::Suspended => ("instance.suspended", None, Vec::new()),
        Fact::Quarantined(reason) => {
            ("instance.quarantined", None, vec![("reason", Value::from(reason.clone()))])
        }
        Fact::Resumed => ("instance.resumed", None, Vec::new()),
        Fact::Halted { frame, problem } => {
            ("task.suspended", at(*frame), vec![("error", problem.to_value())])
        }
        Fact::Overridden { frame } => ("task.overridden", at(*frame), Vec::new()),
        Fact::Succeeds { predecessor, frame, .. } => {
            let data = vec![("predecessor", Value::from(predecessor.to_string()))];
            ("instance.continues", at(*frame), data)
        }
        Fact::Succeeded { by, .. } => {
            ("instance.continued", None, vec![("successor", Value::from(by.to_string()))])
        }
        Fact::TaskOpened { .. } => {
            let frame = FrameId(instance.next_frame.saturating_sub(1));
            let input = instance.frames.get(&frame).map(|it| it.raw.clone()).unwrap_or_default();
            ("task.started", at(frame), vec![("input", input)])
        }
        Fact::TaskSkipped { .. } => ("task.skipped", None, Vec::new()),
        Fact::LimitAsked { frame, key, .. } => {
            ("limit.waiting", at(*frame), vec![("limit", Value::from(shown_limit(key)))])
        }
        Fact::LimitTaken { frame } => ("limit.taken", at(*frame), Vec::new()),
        Fact::LimitRefused { frame, displaced } => {
            ("limit.refused", at(*frame), vec![("displaced", Value::Bool(*displaced))])
        }
        Fact::HandlerStarted { child, workflow } => {
            let data = vec![
                ("instance", Value::from(child.to_string())),
                ("workflow", Value::from(named(workflow))),
            ];
            ("instance.handled", None, data)
        }
        Fact::HandlerSettled { refused: Some(problem) } => {
            ("instance.unhandled", None, vec![("error", problem.to_value())])
        }
        Fact::ApprovalAsked { frame, question } => {
            ("approval.requested", at(*frame), asked(instance, question))
        }
        Fact::ApprovalDecided { frame, number, approved, data, by } => {
            let id = ApprovalId { instance: instance.id, number: *number };
            ("approval.decided", at(*frame), decided(id, (*approved, data), by.as_deref()))
        }
        Fact::Dispatched { frame, delivery } => {
            ("task.scheduled", at(*frame), vec![("delivery", int(*delivery))])
        }
        Fact::DeliveryLost { frame, blamed, worker, reason } => {
            let delivery = instance.frames.get(frame).map_or(0, |it| it.delivery);
            let mut data = vec![("delivery", int(delivery)), ("blamed", Value::Bool(*blamed))];
            data.extend(worker.clone().map(|it| ("worker", Value::from(it))));
            data.extend(reason.map(|it| ("reason", Value::from(it.to_string()))));
            ("task.lost", at(*frame), data)
        }
        Fact::SecretsUsed { frame, secrets } => {
            let used = secrets.iter().map(|it| Value::from(it.to_string())).collect();
            ("task.secrets", at(*frame), vec![("secrets", Value::array(used))])
        }
        Fact::TaskCompleted { frame, output, .. } => {
            let input = || instance.frames.get(frame).map(|it| it.input.clone());
            let output = output.clone().or_else(input).unwrap_or_default();
            ("task.completed", at(*frame), vec![("output", output)])
        }
        Fact::TaskFaulted { frame, problem } => {
            ("task.faulted", at(*frame), vec![("error", problem.to_value())])
        }
        Fact::RetryScheduled { frame, problem, due, .. } => {
            let data = vec![("error", problem.to_value()), ("due", time(*due))];
            ("task.retried", at(*frame), data)
        }
        Fact::Caught { frame, problem, .. } => {
            ("task.caught", at(*frame), vec![("error", problem.to_value())])
        }
        Fact::TimerSet { frame, purpose: TimerPurpose::Wait, due } => {
            ("task.waiting", at(*frame), vec![("until", time(*due))])
        }
        Fact::Iterated { frame, index } => {
            ("task.iterated", at(*frame), vec![("index", int(*index))])
        }
        Fact::Emitted { frame, event } => {
            ("task.emitted", at(*frame), vec![("event", event.envelope().clone())])
        }
        Fact::Subscribed { frame, .. } => ("task.listening", at(*frame), Vec::new()),
        Fact::EventConsumed { frame, item, .. } => {
            ("task.consumed", at(*frame), vec![("event", item.clone().unwrap_or_default())])
        }
        Fact::ChildStarted { frame, child, .. } => {
            ("task.child", at(*frame), vec![("child", Value::from(child.to_string()))])
        }
        Fact::ChildAbandoned { .. }
        | Fact::HandlerSettled { refused: None }
        | Fact::ChildGone { .. }
        | Fact::InputTransformed(_)
        | Fact::TaskInput { .. }
        | Fact::EvaluationRequested { .. }
        | Fact::LoopBegan { .. }
        | Fact::Forked { .. }
        | Fact::ContextMerged { .. }
        | Fact::BranchFaulted { .. }
        | Fact::SequenceBegan { .. }
        | Fact::AttemptBegan { .. }
        | Fact::TimerSet { .. }
        | Fact::TimerFired { .. }
        | Fact::ItemBegan { .. }
        | Fact::ItemEnded { .. }
        | Fact::ListenClosed { .. }
        | Fact::ExtensionsBegan { .. }
        | Fact::ExtensionBegan { .. }
        | Fact::ExtensionsEnded { .. }
        | Fact::Yielded(_)
        | Fact::Continued => return None,
    };
    Some(told)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
