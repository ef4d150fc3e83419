//! Repairing instances: starting others that go on for them, and giving outputs of tasks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;
use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_proto::value::Value;

use super::handle::{RETRY_AFTER, blocking};
use super::runtime::Runtime;
use super::{Coordinator, CoordinatorError, OpenTask, Started};
use crate::engine::{Fact, Input, Journaled, Succession, decode, faulted, replay};
use crate::journal::{Head, JournalError, Status};
use crate::partition::{Message, NewSuccessor, Refusal, ReleaseTarget, SuccessorReply};

/// What operators ask for.
const ACTION: &str = "retry";

impl Coordinator {
    /// Starts an instance that goes on for one which has faulted, at the task that failed; gives
    /// the one that does already, where there is one.
    ///
    /// # Errors
    /// When there is no such instance, it has not faulted, no task of it has failed, or there is
    /// too much work.
    pub async fn retry(&self, predecessor: InstanceId) -> Result<Started, CoordinatorError> {
        self.needs_room()?;
        let journal = self.runtime.journal.clone();
        let head = blocking(move || journal.head(predecessor)).await??;
        let head = head.ok_or(CoordinatorError::UnknownInstance(predecessor))?;
        if head.status != Status::Faulted {
            let (id, status) = (predecessor, head.status);
            return Err(CoordinatorError::Conflict { id, status, action: ACTION });
        }
        let namespace = &head.workflow.namespace;
        if let Some(suspended) = self.runtime.admission.suspended(namespace, &head.workflow.name) {
            return Err(CoordinatorError::Suspended(suspended));
        }
        let is_busy = self.runtime.is_overloaded(Some(namespace));
        if is_busy || !self.runtime.router.admits(namespace) {
            return Err(CoordinatorError::Overloaded(RETRY_AFTER));
        }
        let patience = Duration::from_millis(limits::PARTITION_ANSWER_MS);
        let Ok(reading) = timeout(patience, self.runtime.reads.clone().acquire_owned()).await
        else {
            return Err(CoordinatorError::Overloaded(RETRY_AFTER));
        };
        let (reply, answer) = oneshot::channel();
        let runtime = self.runtime.clone();
        let made = blocking(move || {
            let _reading = reading;
            successor(&runtime, predecessor, &head, reply)
        });
        let new = made.await??;
        self.room(&new.plan.id.namespace, new.succession.weight())?;
        let message = Message::Succeed(Box::new(new));
        match self.ask(predecessor, message, answer).await? {
            Ok((id, repeated)) => Ok(Started { id, repeated }),
            Err(Refusal::Rejected(_, status)) => {
                Err(CoordinatorError::Conflict { id: predecessor, status, action: ACTION })
            }
            Err(Refusal::Unknown | Refusal::Quarantined) => {
                Err(CoordinatorError::UnknownInstance(predecessor))
            }
        }
    }
}

impl Coordinator {
    /// Gives the output of an open task in place of whoever works on it: of the one at
    /// `reference`, else of the one that has failed and waits for an operator.
    ///
    /// # Errors
    /// When there is no such instance or task, or there are several.
    pub async fn skip(
        &self,
        id: InstanceId,
        reference: Option<&str>,
        output: Value,
    ) -> Result<(), CoordinatorError> {
        self.needs_room()?;
        let view = self.show(id).await?;
        if view.head.ended_at.is_some() {
            let (status, action) = (view.head.status, "skip");
            return Err(CoordinatorError::Conflict { id, status, action });
        }
        let is_meant = |task: &&OpenTask| match reference {
            Some(reference) => *task.reference == *reference,
            None => task.halted,
        };
        let meant: Vec<&OpenTask> = view.open.iter().filter(is_meant).collect();
        let [task] = *meant else {
            let which = match reference {
                Some(reference) => format!("are open at {reference}"),
                None => "have failed and wait for an operator".to_owned(),
            };
            let hint = match (reference, meant.len()) {
                (Some(_), 0) | (None, 0) => "`windlass show ID` has those that are open",
                (None, _) => "say which, by its JSON pointer",
                (Some(_), _) => "skip the task around them, or wait until one is left",
            };
            return Err(CoordinatorError::NoSuchTask { id, found: meant.len(), which, hint });
        };
        self.room(&view.head.workflow.namespace, output.weight())?;
        self.operate(id, Input::Skip { frame: task.frame, output }, "skip").await
    }
}

/// What an instance begins with that goes on for another one: read and put together in no
/// partition's turn. What has happened does not change any more.
fn successor(
    runtime: &Runtime,
    predecessor: InstanceId,
    head: &Head,
    reply: oneshot::Sender<SuccessorReply>,
) -> Result<NewSuccessor, CoordinatorError> {
    let unrepairable = |why| CoordinatorError::Unrepairable { id: predecessor, why };
    let plan = runtime.router.catalog.required(&head.digest)?;
    let turns = turns(runtime, predecessor)?;
    let mut succession: Succession = faulted(predecessor, turns).map_err(unrepairable)?;
    let partitions = runtime.router.partitions();
    let id = InstanceId(Uuid::now_v7()).placed(predecessor.partition(partitions), partitions);
    let instance = replay(id, &mut succession).map_err(unrepairable)?;
    runtime.misfits.replayed(id, &instance.changes.misfits);
    Ok(NewSuccessor { plan: Arc::clone(&plan), succession, instance, reply })
}

/// All that has happened to an instance.
fn turns(runtime: &Runtime, id: InstanceId) -> Result<Vec<Journaled>, CoordinatorError> {
    let (mut turns, mut next, mut bytes) = (Vec::new(), 0, 0_u64);
    loop {
        let records = runtime.journal.facts(id, next, limits::FACT_RECORDS)?;
        let count = records.len();
        for record in records {
            let read = decode(&record.facts)
                .map_err(|error| JournalError::Damaged(format!("instance {id}: {error}")))?;
            let mut sequence = record.sequence;
            for Journaled { at, mut facts } in read {
                // Records may have been put together since the last ones were read.
                let known = usize::try_from(next.saturating_sub(sequence)).unwrap_or(usize::MAX);
                sequence = sequence.saturating_add(facts.len() as u64);
                facts.drain(..known.min(facts.len()));
                if facts.is_empty() {
                    continue;
                }
                next = sequence;
                bytes = facts.iter().map(Fact::weight).fold(bytes, u64::saturating_add);
                turns.push(Journaled { at, facts });
            }
        }
        if bytes > limits::REPAIR_BYTES || next >= limits::INSTANCE_FACTS {
            return Err(CoordinatorError::HistoryTooLarge(id));
        }
        if count < limits::FACT_RECORDS {
            return Ok(turns);
        }
    }
}
