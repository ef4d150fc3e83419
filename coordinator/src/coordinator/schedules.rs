//! Schedules: what there is, what is due and was, and what operators do about it.

use std::sync::Arc;

use tokio::sync::oneshot;
use windlass_proto::audit::AuditAction;
use windlass_proto::id::{InstanceId, PartitionId, WorkflowId};
use windlass_proto::limits;
use windlass_proto::plan::Plan;
use windlass_proto::time::Timestamp;

use super::handle::blocking;
use super::{Coordinator, CoordinatorError, Operator};
use crate::access::Visible;
use crate::catalog::Catalog;
use crate::journal::{Journal, JournalError};
use crate::partition::{Message, ScheduleAction, ScheduleAnswer, ScheduleOrder};
use crate::schedule::{Due, Kept, Occurrence, ScheduleId, State, next_times};

/// A schedule as people see it.
#[derive(Debug)]
pub struct ScheduleView {
    /// Its state.
    pub state: State,
    /// The definition it is of.
    pub plan: Arc<Plan>,
    /// The next due times, as far as the calendar knows them.
    pub next: Vec<Due>,
    /// What became of the last ones, the latest first.
    pub past: Vec<Occurrence>,
}

/// A page of schedules.
#[derive(Debug)]
pub struct SchedulePage {
    /// The schedules, in the order of their ids.
    pub items: Vec<ScheduleView>,
    /// Where the next page starts; absent at the end.
    pub next: Option<ScheduleId>,
}

impl Coordinator {
    /// Schedules that are `visible`, of one namespace or of all, at most `limit` after `cursor`.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn schedules(
        &self,
        namespace: Option<String>,
        visible: Visible,
        cursor: Option<ScheduleId>,
        limit: usize,
    ) -> Result<SchedulePage, CoordinatorError> {
        let (journal, catalog) = (self.runtime.journal.clone(), self.catalog());
        let read = move || {
            let wanted = |it: &WorkflowId| {
                namespace.as_ref().is_none_or(|wanted| **wanted == *it.namespace)
                    && visible.has(&it.namespace, &it.name)
            };
            let (found, next) = page(&*journal, wanted, cursor, limit)?;
            let of = |it: &State| ScheduleId::of(&it.workflow.namespace, &it.workflow.name);
            let items = found.into_iter().map(|state| {
                let past = past(&*journal, of(&state))?;
                view(&catalog, state, past)
            });
            Ok(SchedulePage { items: items.collect::<Result<_, JournalError>>()?, next })
        };
        blocking(read).await?
    }

    /// One schedule, with what became of its last due times.
    ///
    /// # Errors
    /// When there is none, or the journal cannot be read.
    pub async fn schedule(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<ScheduleView, CoordinatorError> {
        let (journal, catalog) = (self.runtime.journal.clone(), self.catalog());
        let id = ScheduleId::of(namespace, name);
        let unknown = unknown(namespace, name);
        let read = move || {
            let Some(state) = journal.schedule(id)? else { return Err(unknown) };
            let past = past(&*journal, id)?;
            Ok(view(&catalog, decode(&state)?, past)?)
        };
        blocking(read).await?
    }

    /// Pauses a schedule: nothing of it starts by itself. Durable; pausing again changes the
    /// reason.
    ///
    /// # Errors
    /// When there is none, or that cannot be kept.
    pub async fn pause_schedule(
        &self,
        namespace: &str,
        name: &str,
        reason: Option<String>,
        by: Operator,
    ) -> Result<(), CoordinatorError> {
        let told = reason.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
        self.changes(namespace, name, format!("pause {namespace}/{name}{told}"), by).await?;
        let action = ScheduleAction::Pause(reason.map(Arc::from));
        self.order(namespace, name, action).await.map(drop)
    }

    /// Lets a schedule go on; what was due meanwhile is skipped.
    ///
    /// # Errors
    /// As [`Coordinator::pause_schedule`].
    pub async fn resume_schedule(
        &self,
        namespace: &str,
        name: &str,
        by: Operator,
    ) -> Result<(), CoordinatorError> {
        self.changes(namespace, name, format!("resume {namespace}/{name}"), by).await?;
        self.order(namespace, name, ScheduleAction::Resume).await.map(drop)
    }

    /// Starts an instance of a schedule at once, paused or not.
    ///
    /// # Errors
    /// As [`Coordinator::pause_schedule`], and when starts of the workflow are suspended.
    pub async fn trigger_schedule(
        &self,
        namespace: &str,
        name: &str,
        by: Operator,
    ) -> Result<InstanceId, CoordinatorError> {
        self.starts(namespace, name)?;
        self.changes(namespace, name, format!("trigger {namespace}/{name}"), by).await?;
        match self.order(namespace, name, ScheduleAction::Trigger).await? {
            ScheduleAnswer::Started(instance) => Ok(instance),
            ScheduleAnswer::Done(_) | ScheduleAnswer::Unknown => Err(unknown(namespace, name)),
        }
    }

    /// Starts what a schedule would have started from one time to another, at most
    /// [`limits::SCHEDULE_CATCH_UP`] instances, some in each turn; returns how many due times were
    /// taken up. The same time again is the same instance.
    ///
    /// # Errors
    /// As [`Coordinator::trigger_schedule`].
    pub async fn backfill_schedule(
        &self,
        namespace: &str,
        name: &str,
        (from, to): (Timestamp, Timestamp),
        by: Operator,
    ) -> Result<usize, CoordinatorError> {
        self.starts(namespace, name)?;
        let times = format!("from {} to {}", from.to_rfc3339(), to.to_rfc3339());
        self.changes(namespace, name, format!("backfill {namespace}/{name} {times}"), by).await?;
        match self.order(namespace, name, ScheduleAction::Backfill(from, to)).await? {
            ScheduleAnswer::Done(count) => Ok(count),
            ScheduleAnswer::Started(_) | ScheduleAnswer::Unknown => Err(unknown(namespace, name)),
        }
    }

    /// Counts what a backfill would take up.
    ///
    /// # Errors
    /// When there is no such schedule, or the coordinator has ended.
    pub async fn preview_backfill(
        &self,
        namespace: &str,
        name: &str,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<usize, CoordinatorError> {
        match self.order(namespace, name, ScheduleAction::Preview(from, to)).await? {
            ScheduleAnswer::Done(count) => Ok(count),
            ScheduleAnswer::Started(_) | ScheduleAnswer::Unknown => Err(unknown(namespace, name)),
        }
    }

    /// Has a schedule follow the definition that is deployed now.
    pub(super) async fn sync_schedule(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<(), CoordinatorError> {
        self.order(namespace, name, ScheduleAction::Sync).await.map(drop)
    }

    /// Puts into the audit trail what an operator is about to do to a schedule that there is.
    async fn changes(
        &self,
        namespace: &str,
        name: &str,
        detail: String,
        by: Operator,
    ) -> Result<(), CoordinatorError> {
        let (journal, id) = (self.runtime.journal.clone(), ScheduleId::of(namespace, name));
        if blocking(move || journal.schedule(id)).await??.is_none() {
            return Err(unknown(namespace, name));
        }
        let namespace = Some(namespace.into());
        self.audited_in(AuditAction::ScheduleChanged, namespace, detail, &by).await
    }

    fn starts(&self, namespace: &str, name: &str) -> Result<(), CoordinatorError> {
        match self.runtime.admission.suspended(namespace, name) {
            Some(suspended) => Err(CoordinatorError::Suspended(suspended)),
            None => Ok(()),
        }
    }

    async fn order(
        &self,
        namespace: &str,
        name: &str,
        action: ScheduleAction,
    ) -> Result<ScheduleAnswer, CoordinatorError> {
        self.needs_room()?;
        let (reply, answer) = oneshot::channel();
        let order = ScheduleOrder { namespace: namespace.into(), name: name.into(), action, reply };
        let partition = order.schedule().partition(self.runtime.journal.partitions());
        match self.ask_partition(partition, Message::Schedule(order), answer).await? {
            ScheduleAnswer::Unknown => Err(unknown(namespace, name)),
            answer => Ok(answer),
        }
    }

    fn catalog(&self) -> Arc<Catalog> {
        self.runtime.router.catalog.clone()
    }
}

pub(super) fn unknown(namespace: &str, name: &str) -> CoordinatorError {
    CoordinatorError::UnknownSchedule(format!("{namespace}/{name}"))
}

/// States of schedules, one partition after the other, and the last one of a full page.
fn page(
    journal: &dyn Journal,
    wanted: impl Fn(&WorkflowId) -> bool,
    cursor: Option<ScheduleId>,
    limit: usize,
) -> Result<(Vec<State>, Option<ScheduleId>), JournalError> {
    let partitions = journal.partitions();
    let (first, mut after) = (cursor.map_or(0, |it| it.partition(partitions).0), cursor);
    let mut found = Vec::new();
    for partition in first..partitions {
        loop {
            let page = journal.schedules(PartitionId(partition), after.take(), limit)?;
            for (id, bytes) in &page {
                let state: State = decode(bytes)?;
                if wanted(&state.workflow) {
                    found.push(state);
                    if found.len() == limit {
                        return Ok((found, Some(*id)));
                    }
                }
            }
            if page.len() < limit {
                break;
            }
            after = page.last().map(|it| it.0);
        }
    }
    Ok((found, None))
}

/// What became of the last due times, the latest first.
fn past(journal: &dyn Journal, id: ScheduleId) -> Result<Vec<Occurrence>, JournalError> {
    let kept = journal.occurrences(id)?;
    let mut past =
        kept.iter().map(|it| decode::<Kept>(it)).collect::<Result<Vec<_>, JournalError>>()?;
    past.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    Ok(past.into_iter().map(|it| it.1).collect())
}

fn view(
    catalog: &Catalog,
    state: State,
    past: Vec<Occurrence>,
) -> Result<ScheduleView, JournalError> {
    let plan = catalog.required(&state.digest)?;
    let next = match &plan.schedule {
        Some(schedule) if state.paused.is_none() => {
            next_times(&state, schedule, limits::SCHEDULE_NEXT)
        }
        _ => Vec::new(),
    };
    Ok(ScheduleView { state, plan, next, past })
}

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, JournalError> {
    rmp_serde::from_slice(bytes)
        .map_err(|error| JournalError::Damaged(format!("a schedule does not decode: {error}")))
}
