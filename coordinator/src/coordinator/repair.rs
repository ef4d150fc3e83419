//! Repairing instances: starting others that go on for them, and giving outputs of tasks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;
use windlass_proto::id::{Digest, FrameId, InstanceId, WorkflowId};
use windlass_proto::limits;
use windlass_proto::plan::Plan;
use windlass_proto::value::Value;

use super::handle::{RETRY_AFTER, blocking};
use super::runtime::Runtime;
use super::{Coordinator, CoordinatorError, OpenTask, Started, WorkflowRef};
use crate::engine::{
    Fact, Given, Input, Instance, Journaled, Reset, ResetOrder, Succession, Visited, decode,
    faulted, replay, reset, retrace,
};
use crate::journal::{Head, JournalError, Status};
use crate::partition::{Message, NewSuccessor, NoSuccessor, ReleaseTarget};

/// What a reset does, or would do.
#[derive(Clone, Debug)]
pub struct ResetPlan {
    /// The visit that begins again.
    pub to: Visited,
    /// Visits that are over and are kept; no more than [`limits::RESET_VISITS`].
    pub kept: Vec<Visited>,
    /// Visits that go on or begin again, and those that came after them, as many at most.
    pub again: Vec<Visited>,
    /// How many are kept, and how many are done again.
    pub counts: (usize, usize),
    /// What the new one runs.
    pub workflow: WorkflowId,
    /// The text of that.
    pub digest: Digest,
}

/// What is put together of an instance's history.
struct Made {
    plan: Arc<Plan>,
    succession: Succession,
    instance: Instance,
}

impl Coordinator {
    /// Starts an instance that goes on for one which has faulted, at the task that failed; gives
    /// the one that does already, where there is one.
    ///
    /// # Errors
    /// When there is no such instance, it has not faulted, no task of it has failed, or there is
    /// too much work.
    pub async fn retry(&self, predecessor: InstanceId) -> Result<Started, CoordinatorError> {
        const ACTION: &str = "retry";
        let head = self.ended(predecessor, ACTION).await?;
        if head.status != Status::Faulted {
            let (id, status) = (predecessor, head.status);
            return Err(CoordinatorError::Conflict { id, status, action: ACTION });
        }
        let id = placed(&self.runtime, Uuid::now_v7(), predecessor);
        let WorkflowId { namespace, name, .. } = &head.workflow;
        let refusal = self.admits(namespace, name).err();
        let make = move |runtime: &Runtime| {
            let unrepairable = |why| CoordinatorError::Unrepairable { id: predecessor, why };
            let turns = turns(runtime, predecessor)?;
            // One that was removed is no more: another one may go on.
            if let Some(earlier) = retried(&turns)
                && runtime.journal.head(earlier)?.is_some()
            {
                return Ok(Err(earlier));
            }
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
            let succession = faulted(predecessor, turns).map_err(unrepairable)?;
            let plan = runtime.router.catalog.required(&head.digest)?;
            made(runtime, id, plan, succession).map(Ok)
        };
        match self.reading(make).await? {
            Ok(made) => self.succeed(predecessor, ACTION, made).await,
            Err(id) => Ok(Started { id, repeated: true }),
        }
    }

    /// Starts an instance that goes on for one which has ended, from where `order` says; or only
    /// tells what that would do, where it is `dry`. With a `key`, repeats start one only. It goes
    /// on by the definition that the first one had, or by another `version` of the workflow, where
    /// that would have led to what is kept.
    ///
    /// # Errors
    /// When there is no such instance or version, it has not ended, it was not at that task, the
    /// other version would have led elsewhere, the key is of another reset, or there is too much
    /// work.
    pub async fn reset(
        &self,
        predecessor: InstanceId,
        (order, version): (ResetOrder, Option<&str>),
        key: Option<&str>,
        dry: bool,
    ) -> Result<(Option<Started>, ResetPlan), CoordinatorError> {
        const ACTION: &str = "reset";
        let head = self.ended(predecessor, ACTION).await?;
        let id = match key {
            Some(key) => {
                let name = [predecessor.0.as_bytes().as_slice(), key.as_bytes()].concat();
                Uuid::new_v5(&Uuid::NAMESPACE_OID, &name)
            }
            None => Uuid::now_v7(),
        };
        let id = placed(&self.runtime, id, predecessor);
        let keyed = key.is_some() && !dry;
        // Only what may be a repeat is looked at all the same.
        let WorkflowId { namespace, name, .. } = &head.workflow;
        let admitted = self.admits(namespace, name);
        let other = match version {
            None => Ok(None),
            Some(version) => {
                let (namespace, name) = (namespace.to_string(), name.to_string());
                let version = Some(version.to_owned());
                self.plan(&WorkflowRef { namespace, name, version }).await.map(Some)
            }
        };
        let (refusal, other) = match keyed {
            true => (admitted.err(), other),
            false => {
                admitted?;
                (None, Ok(other?))
            }
        };
        let version = version.map(str::to_owned);
        let resetting = Resetting { predecessor, id, order, keyed, version, other, refusal };
        let make = move |runtime: &Runtime| resetting.make(runtime, &head);
        let (made, asked, plan) = self.reading(make).await?;
        if dry {
            return Ok((None, plan));
        }
        let Some(made) = made else { return Ok((Some(Started { id, repeated: true }), plan)) };
        let started = self.succeed(predecessor, ACTION, made).await?;
        if started.repeated {
            // Both came at the same time.
            self.reading(move |runtime| asked.is_done_by(runtime, id)).await?;
        }
        Ok((Some(started), plan))
    }

    /// The head of an instance that has ended: another one may go on for it.
    async fn ended(&self, id: InstanceId, action: &'static str) -> Result<Head, CoordinatorError> {
        self.needs_room()?;
        let journal = self.runtime.journal.clone();
        let head = blocking(move || journal.head(id)).await??;
        let head = head.ok_or(CoordinatorError::UnknownInstance(id))?;
        if !head.status.is_final() {
            let status = head.status;
            return Err(CoordinatorError::Conflict { id, status, action });
        }
        Ok(head)
    }

    /// Whether an instance of a workflow may start now.
    pub(super) fn admits(&self, namespace: &str, name: &str) -> Result<(), CoordinatorError> {
        if let Some(suspended) = self.runtime.admission.suspended(namespace, name) {
            return Err(CoordinatorError::Suspended(suspended));
        }
        let is_busy = self.runtime.is_overloaded(Some(namespace));
        if is_busy || !self.runtime.router.admits(namespace) {
            return Err(CoordinatorError::Overloaded(RETRY_AFTER));
        }
        Ok(())
    }

    /// Reads a history, away from the async threads and in no partition's turn, a few at a time.
    pub(super) async fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Runtime) -> Result<T, CoordinatorError> + Send + 'static,
    ) -> Result<T, CoordinatorError> {
        let patience = Duration::from_millis(limits::PARTITION_ANSWER_MS);
        let Ok(room) = timeout(patience, self.runtime.reads.clone().acquire_owned()).await else {
            return Err(CoordinatorError::Overloaded(RETRY_AFTER));
        };
        let runtime = self.runtime.clone();
        let work = move || {
            // Also when nobody waits for it any more.
            let _room = room;
            read(&runtime)
        };
        blocking(work).await?
    }

    async fn succeed(
        &self,
        predecessor: InstanceId,
        action: &'static str,
        made: Made,
    ) -> Result<Started, CoordinatorError> {
        let Made { plan, mut succession, instance } = made;
        succession.by.clone_from(&self.requester);
        self.room(&plan.id.namespace, succession.weight())?;
        let (reply, answer) = oneshot::channel();
        let workflow = plan.id.clone();
        let new = NewSuccessor { plan, succession, instance, reply };
        match self.ask(predecessor, Message::Succeed(Box::new(new)), answer).await? {
            Ok((id, repeated)) => Ok(Started { id, repeated }),
            Err(NoSuccessor::Retired) => Err(CoordinatorError::Retired(workflow)),
            Err(NoSuccessor::TooMany) => Err(CoordinatorError::TooManySuccessors(predecessor)),
            Err(NoSuccessor::Status(status)) => {
                Err(CoordinatorError::Conflict { id: predecessor, status, action })
            }
            Err(NoSuccessor::Unknown) => Err(CoordinatorError::UnknownInstance(predecessor)),
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

/// The state that an instance begins with which goes on for another one. What has happened does not
/// change any more.
fn made(
    runtime: &Runtime,
    id: InstanceId,
    plan: Arc<Plan>,
    mut succession: Succession,
) -> Result<Made, CoordinatorError> {
    let predecessor = succession.predecessor;
    let unrepairable = |why| CoordinatorError::Unrepairable { id: predecessor, why };
    let instance = replay(id, &mut succession).map_err(unrepairable)?;
    runtime.misfits.replayed(id, &instance.changes.misfits);
    Ok(Made { plan, succession, instance })
}

/// An id in the partition of the instance that it goes on for.
fn placed(runtime: &Runtime, id: Uuid, predecessor: InstanceId) -> InstanceId {
    let partitions = runtime.router.partitions();
    InstanceId(id).placed(predecessor.partition(partitions), partitions)
}

/// The instance that goes on at the task that failed, where one does already.
fn retried(turns: &[Journaled]) -> Option<InstanceId> {
    turns.iter().rev().flat_map(|turn| turn.facts.iter().rev()).find_map(|fact| match fact {
        Fact::Succeeded { by, reset: false } => Some(*by),
        _ => None,
    })
}

/// A reset that is asked for.
struct Resetting {
    predecessor: InstanceId,
    /// What the new instance is called.
    id: InstanceId,
    order: ResetOrder,
    keyed: bool,
    /// Another version that it is to go on by, as it is asked for.
    version: Option<String>,
    /// What that is now.
    other: Result<Option<Arc<Plan>>, CoordinatorError>,
    /// Why nothing may start now.
    refusal: Option<CoordinatorError>,
}

impl Resetting {
    /// Puts together what the new instance begins with; nothing where there is one already.
    fn make(
        self,
        runtime: &Runtime,
        head: &Head,
    ) -> Result<(Option<Made>, Asked, ResetPlan), CoordinatorError> {
        let Self { predecessor, id, order, keyed, version, other, refusal } = self;
        let plan = runtime.router.catalog.required(&head.digest)?;
        let turns = turns(runtime, predecessor)?;
        let unresettable = |why| CoordinatorError::Unresettable { id: predecessor, why };
        let found = reset(&plan, predecessor, turns, order).map_err(unresettable)?;
        let Reset { mut succession, to, mut kept, mut again, told } = found;
        let counts = (kept.len(), again.len());
        kept.truncate(limits::RESET_VISITS);
        again.truncate(limits::RESET_VISITS);
        let planned = |workflow: &WorkflowId, digest: &Digest| {
            let (workflow, digest) = (workflow.clone(), digest.clone());
            ResetPlan { to, kept, again, counts, workflow, digest }
        };
        // What that version is by now does not matter to a repeat.
        if keyed
            && let Some(earlier) = runtime.journal.head(id)?
            && version.as_deref().is_some_and(|it| is_version(it, &earlier.workflow))
        {
            let asked = Asked::of(&succession, &earlier.workflow, &earlier.digest);
            asked.is_done_by(runtime, id)?;
            return Ok((None, asked, planned(&earlier.workflow, &earlier.digest)));
        }
        let other = other?;
        let runs = other.as_ref().unwrap_or(&plan).clone();
        let asked = Asked::of(&succession, &runs.id, &runs.digest);
        let planned = planned(&runs.id, &runs.digest);
        if keyed && asked.is_done_by(runtime, id)? {
            return Ok((None, asked, planned));
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        if let Some(other) = &other {
            let made = retrace(&plan, other, predecessor, &succession.kept, &told);
            succession.kept = made.map_err(unresettable)?;
        }
        Ok((Some(made(runtime, id, runs, succession)?), asked, planned))
    }
}

/// Whether a version that is asked for may have been this one.
fn is_version(asked: &str, workflow: &WorkflowId) -> bool {
    asked == "latest" || *asked == *workflow.version
}

/// What a reset under a key asks for: another one under it must not be taken for a repeat.
struct Asked {
    predecessor: InstanceId,
    frame: FrameId,
    given: Given,
    workflow: WorkflowId,
    digest: Digest,
}

impl Asked {
    fn of(succession: &Succession, workflow: &WorkflowId, digest: &Digest) -> Self {
        let Succession { predecessor, frame, reset, .. } = succession;
        let given = reset.clone().unwrap_or_default();
        let (workflow, digest) = (workflow.clone(), digest.clone());
        Self { predecessor: *predecessor, frame: *frame, given, workflow, digest }
    }

    /// Whether an instance began with this; an error where it began with something else.
    fn is_done_by(&self, runtime: &Runtime, id: InstanceId) -> Result<bool, CoordinatorError> {
        let Some(head) = runtime.journal.head(id)? else { return Ok(false) };
        let goes_on = |fact: &Fact| match fact {
            Fact::Succeeds { predecessor, frame, raw, context, .. }
                if *predecessor == self.predecessor =>
            {
                Some((*frame, raw.clone(), context.clone()))
            }
            _ => None,
        };
        let is_it = |turn: &Journaled| turn.facts.iter().any(|it| goes_on(it).is_some());
        let turns = turns_until(runtime, id, is_it)?;
        let other = match turns.iter().rev().flat_map(|it| &it.facts).find_map(goes_on) {
            None => "no reset",
            Some((frame, ..)) if frame != self.frame => "a reset to another visit",
            Some(_) if head.digest != self.digest => "a reset by another definition",
            Some((_, raw, _)) if raw != self.given.raw => "a reset with another input",
            Some((.., context)) if context != self.given.context => "a reset with another context",
            Some(_) => return Ok(true),
        };
        Err(CoordinatorError::OtherStart {
            id,
            other,
            workflow: self.workflow.clone(),
            digests: None,
        })
    }
}

/// All that has happened to an instance.
pub(super) fn turns(runtime: &Runtime, id: InstanceId) -> Result<Vec<Journaled>, CoordinatorError> {
    turns_until(runtime, id, |_| false)
}

/// What has happened to an instance up to a turn, and a little more.
fn turns_until(
    runtime: &Runtime,
    id: InstanceId,
    is_last: impl Fn(&Journaled) -> bool,
) -> Result<Vec<Journaled>, CoordinatorError> {
    let (mut turns, mut next, mut bytes) = (Vec::new(), 0, 0_u64);
    loop {
        let records = runtime.journal.facts(id, next, limits::FACT_RECORDS)?;
        let (count, before) = (records.len(), turns.len());
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
        if turns.iter().skip(before).any(&is_last) {
            return Ok(turns);
        }
        if bytes > limits::REPAIR_BYTES || next >= limits::INSTANCE_FACTS {
            return Err(CoordinatorError::HistoryTooLarge(id));
        }
        if count < limits::FACT_RECORDS {
            return Ok(turns);
        }
    }
}
