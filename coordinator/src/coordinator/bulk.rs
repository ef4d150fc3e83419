//! Carrying out bulk jobs, at their rate and beside everything else.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream;
use uuid::Uuid;
use windlass_proto::audit::AuditAction;
use windlass_proto::id::InstanceId;
use windlass_proto::limits;

use super::handle::blocking;
use super::operator::Operator;
use super::{Coordinator, CoordinatorError};
use crate::bulk::{Action, Done, Job, Order, Outcome, State};
use crate::clock;
use crate::journal::{BulkWrite, Filter, Head, Journal, JournalError};

/// All jobs that are kept.
#[derive(Default)]
pub(super) struct Jobs {
    all: Mutex<BTreeMap<Uuid, Job>>,
    /// Those that a task deals with.
    carried: Mutex<HashSet<Uuid>>,
}

impl Jobs {
    /// Those that a journal has.
    pub(super) fn open(journal: &dyn Journal) -> Result<Self, JournalError> {
        let mut jobs = BTreeMap::new();
        for body in journal.bulk_jobs()? {
            let job: Job = rmp_serde::from_slice(&body)
                .map_err(|_| JournalError::Damaged("a bulk job cannot be read".to_owned()))?;
            jobs.insert(job.id, job);
        }
        Ok(Self { all: Mutex::new(jobs), carried: Mutex::default() })
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Uuid, Job>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a job is running; if it is, and no task deals with it, one does from now on.
    fn take(&self, id: Uuid) -> bool {
        let mut carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        let is_running = self.all().get(&id).is_some_and(|it| it.state == State::Running);
        is_running && carried.insert(id)
    }

    /// Whether the task that deals with a job ends, as the job does not go on.
    fn leave(&self, id: Uuid) -> bool {
        let mut carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have been resumed in this moment.
        let is_running = self.all().get(&id).is_some_and(|it| it.state == State::Running);
        !is_running && carried.remove(&id)
    }
}

fn encoded<T: serde::Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, JournalError> {
    rmp_serde::to_vec_named(value)
        .map_err(|error| JournalError::Store(format!("a bulk job cannot be encoded: {error}")))
}

impl Coordinator {
    /// Begins a bulk job, durably; it goes on by itself, also after a restart.
    ///
    /// # Errors
    /// When there are too many, or it cannot be kept.
    pub async fn bulk(&self, order: Order, by: &Operator) -> Result<Job, CoordinatorError> {
        self.needs_room()?;
        let total = self.count(order.filter.clone()).await?.count;
        let job = Job::new(order, total, clock::now());
        let (action, text) = (job.order.action.word(), &job.order.text);
        let reason = job.order.reason.as_deref().map_or(String::new(), |it| format!(": {it}"));
        let detail = format!("bulk {action} {} of {total} instances, {text}{reason}", job.id);
        self.audited(AuditAction::BulkChanged, detail, by).await?;
        {
            let mut all = self.runtime.bulk.all();
            let open = all.values().filter(|it| !it.state.is_final()).count();
            if open >= limits::BULK_JOBS {
                return Err(CoordinatorError::TooManyBulkJobs);
            }
            all.insert(job.id, job.clone());
        }
        if let Err(error) = self.keep(&job, None).await {
            self.runtime.bulk.all().remove(&job.id);
            return Err(error);
        }
        self.forget_old_jobs().await?;
        self.carry_out(job.id);
        Ok(job)
    }

    /// All bulk jobs that are kept, the newest first.
    #[must_use]
    pub fn bulk_jobs(&self) -> Vec<Job> {
        self.runtime.bulk.all().values().rev().cloned().collect()
    }

    /// A bulk job.
    ///
    /// # Errors
    /// When there is none with this id.
    pub fn bulk_job(&self, id: Uuid) -> Result<Job, CoordinatorError> {
        let job = self.runtime.bulk.all().get(&id).cloned();
        job.ok_or(CoordinatorError::UnknownBulkJob(id))
    }

    /// What came of instances of a bulk job: a page of them; none past the last one.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn bulk_results(
        &self,
        id: Uuid,
        page: u32,
    ) -> Result<Option<Vec<Outcome>>, CoordinatorError> {
        let journal = self.runtime.journal.clone();
        let body = blocking(move || journal.bulk_results(id, page)).await??;
        let read = |body: Vec<u8>| {
            rmp_serde::from_slice(&body)
                .map_err(|_| JournalError::Damaged("results of a bulk job cannot be read".into()))
        };
        Ok(body.map(read).transpose()?)
    }

    /// Pauses a bulk job, lets it go on, or ends it.
    ///
    /// # Errors
    /// When there is no such job, it has ended, or that cannot be kept.
    pub async fn set_bulk(
        &self,
        id: Uuid,
        state: State,
        by: &Operator,
    ) -> Result<Job, CoordinatorError> {
        let before = self.bulk_job(id)?;
        if before.state == state {
            return Ok(before);
        }
        let conflict = |job: &Job| CoordinatorError::BulkConflict { id, state: job.state };
        if before.state.is_final() {
            return Err(conflict(&before));
        }
        let detail = format!("bulk job {id}: {} after {}", state.word(), before.state.word());
        self.audited_even_without_room(AuditAction::BulkChanged, None, detail, by).await?;
        let job = {
            let mut all = self.runtime.bulk.all();
            let job = all.get_mut(&id).ok_or(CoordinatorError::UnknownBulkJob(id))?;
            // It may have ended meanwhile.
            if job.state.is_final() {
                return Err(conflict(job));
            }
            match state.is_final() {
                true => job.end(state, clock::now()),
                false => job.state = state,
            }
            job.clone()
        };
        self.keep(&job, None).await?;
        if state == State::Running {
            self.carry_out(id);
        }
        Ok(job)
    }

    /// Goes on with the jobs that were under way before a restart.
    pub(super) fn go_on_with_bulk_jobs(&self, runtime: &tokio::runtime::Handle) {
        let _entered = runtime.enter();
        for job in self.bulk_jobs() {
            if job.state == State::Running {
                self.carry_out(job.id);
            }
        }
    }

    async fn keep(&self, job: &Job, results: Option<&[Outcome]>) -> Result<(), CoordinatorError> {
        let page = job.pages.saturating_sub(1);
        let results = results.filter(|it| !it.is_empty()).map(encoded).transpose()?;
        let write = BulkWrite {
            job: job.id,
            state: Some(encoded(job)?),
            results: results.map(|it| (page, it)),
        };
        let journal = self.runtime.journal.clone();
        Ok(blocking(move || journal.put_bulk(&write)).await??)
    }

    /// Forgets jobs that ended longest ago, where there are too many.
    async fn forget_old_jobs(&self) -> Result<(), CoordinatorError> {
        let gone: Vec<Uuid> = {
            let mut all = self.runtime.bulk.all();
            let ended = all.values().filter(|it| it.state.is_final()).map(|it| it.id);
            let ended: Vec<Uuid> = ended.collect();
            let over = ended.len().saturating_sub(limits::BULK_JOBS_KEPT);
            let gone = ended.into_iter().take(over).collect::<Vec<_>>();
            gone.iter().for_each(|id| _ = all.remove(id));
            gone
        };
        for job in gone {
            let journal = self.runtime.journal.clone();
            let write = BulkWrite { job, state: None, results: None };
            blocking(move || journal.put_bulk(&write)).await??;
        }
        Ok(())
    }

    /// Carries a job out until it has ended, or is paused.
    fn carry_out(&self, id: Uuid) {
        if !self.runtime.bulk.take(id) {
            return;
        }
        let coordinator = self.clone();
        tokio::spawn(async move {
            loop {
                match coordinator.carry_on(id).await {
                    Ok(true) => {}
                    Ok(false) if coordinator.runtime.bulk.leave(id) => return,
                    Ok(false) => {}
                    Err(_) if coordinator.runtime.is_stopping() => return,
                    // A full disk, or too much work: it goes on when that is over.
                    Err(error) => {
                        tracing::warn!(job = %id, %error, "a bulk job waits");
                        let pause = Duration::from_millis(limits::BULK_AGAIN_MS);
                        tokio::time::sleep(pause).await;
                    }
                }
            }
        });
    }

    /// Deals with some more instances of a job; false when there is nothing more to do for now.
    async fn carry_on(&self, id: Uuid) -> Result<bool, CoordinatorError> {
        let Ok(job) = self.bulk_job(id) else { return Ok(false) };
        if job.state != State::Running {
            return Ok(false);
        }
        if self.runtime.is_stopping() {
            return Err(self.stopped());
        }
        self.needs_room()?;
        let began = Instant::now();
        // What starts later was not meant.
        let before = job
            .order
            .filter
            .started_before
            .map_or(job.created_at.plus(1), |it| it.min(job.created_at.plus(1)));
        let filter = Filter { started_before: Some(before), ..job.order.filter.clone() };
        let most = limits::BULK_PAGE.min(job.order.rate.max(1) as usize);
        let found = self.search(filter, job.cursor, most).await?;
        let given: Vec<_> = stream::iter(found.items)
            .map(|(instance, head)| self.give(&job, instance, head))
            .buffered(limits::BULK_AT_ONCE)
            .collect()
            .await;
        // What cannot be done now is done later, with the whole page.
        let results = given.into_iter().collect::<Result<Vec<_>, _>>()?;
        let job = {
            let mut all = self.runtime.bulk.all();
            let Some(job) = all.get_mut(&id) else { return Ok(false) };
            let state = job.state;
            job.advance(&results, found.next, clock::now());
            // It was paused or ended while its orders were given.
            if state != State::Running && !(state == State::Paused && found.next.is_none()) {
                job.state = state;
            }
            job.clone()
        };
        self.keep(&job, Some(&results)).await?;
        let due = Duration::from_secs_f64(results.len() as f64 / f64::from(job.order.rate.max(1)));
        tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
        Ok(job.state == State::Running)
    }

    /// Gives the order for one instance.
    async fn give(
        &self,
        job: &Job,
        instance: InstanceId,
        head: Head,
    ) -> Result<Outcome, CoordinatorError> {
        let reason = job.order.reason.as_deref().map(str::to_owned);
        let given = match job.order.action {
            Action::Cancel => self.end(instance, reason).await.map(|it| (it, None)),
            Action::Suspend => self.suspend(instance).await.map(|()| (true, None)),
            Action::Resume => self.resume(instance).await.map(|()| (true, None)),
            Action::Retry => {
                let next = self.retry(instance).await;
                next.map(|it| (!it.repeated, Some(format!("{} goes on for it", it.id))))
            }
        };
        let (result, detail) = match given {
            Ok((true, detail)) => (Done::Done, detail),
            Ok((false, detail)) => {
                (Done::Skipped, detail.or_else(|| Some("it was so already".to_owned())))
            }
            Err(CoordinatorError::Conflict { status, .. }) => {
                (Done::Skipped, Some(format!("it is {}", status.word())))
            }
            Err(error @ CoordinatorError::Unrepairable { .. }) => {
                (Done::Skipped, Some(error.to_string()))
            }
            Err(CoordinatorError::UnknownInstance(_)) => {
                (Done::Skipped, Some("it is gone".to_owned()))
            }
            Err(
                error @ (CoordinatorError::Stopping
                | CoordinatorError::Overloaded(_)
                | CoordinatorError::OutOfMemory(..)
                | CoordinatorError::Journal(_)),
            ) => return Err(error),
            Err(error) => (Done::Failed, Some(error.to_string())),
        };
        tracing::debug!(job = %job.id, %instance, workflow = %head.workflow, result = result.word(),
            "bulk job");
        Ok(Outcome { instance, result, detail: detail.map(Into::into) })
    }
}
