//! An instance's history for people: facts, told with the names of tasks.

use std::sync::Arc;

use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::limits;
use windlass_proto::plan::Plan;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use crate::catalog::Catalog;
use crate::coordinator::{HistoryEntry, HistoryPage};
use crate::engine::{self, Body, Fact, Instance, Journaled, TimerPurpose, decode};
use crate::journal::{Head, Journal, JournalError};
use crate::view::reference;

/// Reads an instance's facts from the first on and tells those from `from`: a page ends after `limit`
/// entries or about [`limits::HISTORY_BYTES`] of values. `None` when there is no such instance.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) fn read(
    journal: &dyn Journal,
    catalog: &Catalog,
    id: InstanceId,
    from: u64,
    limit: usize,
) -> Result<Option<HistoryPage>, JournalError> {
    /// Records read at once: each may hold one of the largest payloads.
    const RECORDS: usize = 8;
    let Some(Head { digest, .. }) = journal.head(id)? else { return Ok(None) };
    let missing = || JournalError::Damaged(format!("the definition {digest} is missing"));
    let plan = catalog.plan(&digest).ok_or_else(missing)?;
    let mut teller = Teller::new(&plan, Instance::unborn(id));
    let (mut entries, mut next) = (Vec::new(), 0);
    let mut bytes: u64 = 0;
    loop {
        let records = journal.facts(id, next, RECORDS)?;
        for stored in &records {
            next = stored.sequence + u64::from(stored.count);
            let turns = decode(&stored.facts)
                .map_err(|error| JournalError::Damaged(format!("instance {id}: {error}")))?;
            let known = entries.len();
            for turn in turns {
                teller.tell(&turn, from, &mut entries);
            }
            let new = entries.iter().skip(known);
            bytes = new.map(|it| it.data.weight()).fold(bytes, u64::saturating_add);
            if entries.len() >= limit || bytes >= limits::HISTORY_BYTES {
                entries.truncate(limit);
                teller.forget_ended(&mut entries);
                let next = entries.last().map(|it| it.sequence.saturating_add(1));
                return Ok(Some(HistoryPage { entries, next }));
            }
        }
        if records.len() < RECORDS {
            teller.forget_ended(&mut entries);
            return Ok(Some(HistoryPage { entries, next: None }));
        }
    }
}

/// Tells facts while following the state they lead to.
pub(crate) struct Teller<'p> {
    plan: &'p Plan,
    instance: Instance,
}

impl<'p> Teller<'p> {
    pub(crate) fn new(plan: &'p Plan, instance: Instance) -> Self {
        Self { plan, instance }
    }

    /// Tells the facts of one turn, those from sequence number `from` on.
    pub(crate) fn tell(&mut self, turn: &Journaled, from: u64, entries: &mut Vec<HistoryEntry>) {
        for fact in &turn.facts {
            let sequence = self.instance.sequence;
            let before = self.entry(sequence, turn.at, fact, false);
            self.instance.evolve(turn.at, fact);
            let entry = before.or_else(|| self.entry(sequence, turn.at, fact, true));
            if sequence >= from {
                entries.extend(entry);
            }
        }
        self.instance.changes = Default::default();
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
        let (task, name) = match frame {
            Some(frame) => self.locate(frame),
            None => (None, None),
        };
        let (task, name) = match fact {
            Fact::TaskSkipped { parent, task, .. } => {
                let task = self.plan.task(*task);
                let reference = engine::reference(self.plan, &self.instance, *parent, task);
                (Some(reference), Some(task.name.clone()))
            }
            _ => (task, name),
        };
        let data = Value::object(data);
        let sent = match fact {
            Fact::Dispatched { frame, delivery } => Some((*frame, *delivery)),
            _ => None,
        };
        Some(HistoryEntry { sequence, at, event, task, name, data, sent })
    }

    /// Takes note of the deliveries that are over by now: nobody needs to be asked where they are.
    fn forget_ended(&self, entries: &mut [HistoryEntry]) {
        for entry in entries {
            entry.sent.take_if(|(frame, delivery)| {
                let body = self.instance.frames.get(frame).map(|it| &it.body);
                !matches!(body, Some(Body::Dispatched { delivery: live }) if live == delivery)
            });
        }
    }

    fn locate(&self, frame: FrameId) -> (Option<Arc<str>>, Option<Arc<str>>) {
        let index = self.instance.frames.get(&frame).and_then(|it| it.task);
        let name = index.map(|index| self.plan.task(index).name.clone());
        let task = name.is_some().then(|| reference(self.plan, &self.instance, frame));
        (task, name)
    }
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
        Fact::Faulted(problem) => ("instance.faulted", None, vec![("error", problem.to_value())]),
        Fact::Cancelled(reason) => {
            let reason = reason.clone().map_or(Value::Null, Value::from);
            ("instance.cancelled", None, vec![("reason", reason)])
        }
        Fact::Suspended => ("instance.suspended", None, Vec::new()),
        Fact::Quarantined(reason) => {
            ("instance.quarantined", None, vec![("reason", Value::from(reason.clone()))])
        }
        Fact::Resumed => ("instance.resumed", None, Vec::new()),
        Fact::TaskOpened { .. } => {
            let frame = FrameId(instance.next_frame.saturating_sub(1));
            let input = instance.frames.get(&frame).map(|it| it.raw.clone()).unwrap_or_default();
            ("task.started", at(frame), vec![("input", input)])
        }
        Fact::TaskSkipped { .. } => ("task.skipped", None, Vec::new()),
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
mod tests {
    use windlass_proto::definition::{Options, load};
    use windlass_proto::id::{FrameId, InstanceId};
    use windlass_proto::secret::{SecretName, SecretUse};
    use windlass_proto::time::Timestamp;
    use windlass_proto::value::Value;

    use super::Teller;
    use crate::engine::{DeliveryLoss, Input, Instance, Journaled, LossReason, create, decide};

    #[test]
    fn a_lost_delivery_is_told_with_its_number_and_the_next_one_after_it() {
        let text = "document: {dsl: '1.0.3', namespace: n, name: w, version: '1.0.0'}\n\
                    do: [{a: {call: work}}]\n";
        let functions = Some(vec!["work".into()]);
        let plan = load(text, &Options { functions, ..Options::default() }).plan.unwrap();
        let (id, at) = (InstanceId(uuid::Uuid::nil()), Timestamp(1));
        let (mut state, begun) = create(&plan, id, at, Value::Null, None, Vec::new(), 5);
        let (worker, reason) = (Some("a-1".into()), Some(LossReason::Silent));
        let loss = DeliveryLoss { blamed: true, worker, reason };
        let lost = Input::Lost { frame: FrameId(1), delivery: 1, loss, most: 5 };
        let lost = decide(&plan, &mut state, at, lost).unwrap();
        let facts = begun.facts.into_iter().chain(lost.facts).collect();
        let mut entries = Vec::new();
        let mut teller = Teller::new(&plan, Instance::unborn(id));
        teller.tell(&Journaled { at, facts }, 0, &mut entries);
        let told: Vec<String> = entries
            .iter()
            .map(|it| {
                let task = it.task.as_deref().unwrap_or("");
                format!("{} {task} {}", it.event, it.data.to_json())
            })
            .collect();
        assert_eq!(
            told[2..],
            [
                r#"task.scheduled /do/0/a {"delivery":1}"#,
                r#"task.lost /do/0/a {"delivery":1,"blamed":true,"worker":"a-1","reason":"the worker was not heard for a lease"}"#,
                r#"task.scheduled /do/0/a {"delivery":2}"#,
            ]
        );
        teller.forget_ended(&mut entries);
        let live: Vec<_> = entries.iter().filter_map(|it| it.sent).collect();
        assert_eq!(live, [(FrameId(1), 2)], "only where this one is can be asked");
    }

    #[test]
    fn secrets_are_told_with_their_versions() {
        let text = "document: {dsl: '1.0.3', namespace: n, name: w, version: '1.0.0'}\n\
                    use: {secrets: [api-key]}\ndo: [{a: {call: work}}]\n";
        let functions = Some(vec!["work".into()]);
        let plan = load(text, &Options { functions, ..Options::default() }).plan.unwrap();
        let (id, at) = (InstanceId(uuid::Uuid::nil()), Timestamp(1));
        let (mut state, begun) = create(&plan, id, at, Value::Null, None, Vec::new(), 5);
        let name = SecretName("api-key".into());
        let secrets = vec![SecretUse { name, version: Some("7".into()) }];
        let (frame, result) = (FrameId(1), Ok(Value::Null));
        let report = Input::Reported { frame, delivery: 1, result, secrets };
        let reported = decide(&plan, &mut state, at, report).unwrap();
        let facts = begun.facts.into_iter().chain(reported.facts).collect();
        let mut entries = Vec::new();
        let mut teller = Teller::new(&plan, Instance::unborn(id));
        teller.tell(&Journaled { at, facts }, 0, &mut entries);
        let told = entries.iter().find(|it| it.event == "task.secrets").unwrap();
        assert_eq!(told.task.as_deref(), Some("/do/0/a"));
        assert_eq!(told.data.to_json(), r#"{"secrets":["api-key@7"]}"#);
    }
}
