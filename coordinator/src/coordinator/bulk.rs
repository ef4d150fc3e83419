//! Carrying out bulk jobs, at their rate and beside everything else.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;
use windlass_proto::audit::AuditAction;
use windlass_proto::id::InstanceId;
use windlass_proto::limits;

use super::handle::blocking;
use super::operator::Operator;
use super::{Coordinator, CoordinatorError, ResetOrder};
use crate::access::ANONYMOUS;
use crate::bulk::{Action, Done, Job, Order, Outcome, State};
use crate::clock;
use crate::engine::Requester;
use crate::journal::{BulkPage, BulkWrite, Filter, Journal, JournalError};

/// How whoever gave the order of a job is known where the job carries it out.
const BULK: &str = "bulk";

/// All jobs that are kept.
#[derive(Default)]
pub(super) struct Jobs {
    all: Mutex<BTreeMap<Uuid, Job>>,
    /// Those that a task deals with.
    carried: Mutex<HashSet<Uuid>>,
    /// Held while a job is changed and that is written: no older state may be written later.
    writing: tokio::sync::Mutex<()>,
}

impl Jobs {
    /// Those that a journal has.
    pub(super) fn open(journal: &dyn Journal) -> Result<Self, JournalError> {
        let mut jobs = BTreeMap::new();
        for body in journal.bulk_jobs()? {
            // One that cannot be read keeps nothing else from being done.
            match rmp_serde::from_slice::<Job>(&body) {
                Ok(job) => _ = jobs.insert(job.id, job),
                Err(error) => tracing::error!(%error, "a bulk job cannot be read"),
            }
        }
        let (carried, writing) = Default::default();
        Ok(Self { all: Mutex::new(jobs), carried, writing })
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
        let counted = self.count(order.filter.clone()).await?.count;
        let job = Job::new(order, counted, clock::now());
        let reason = job.order.reason.as_deref().map_or(String::new(), |it| format!(": {it}"));
        let (action, text) = (job.order.action.word(), &job.order.text);
        let detail = format!("bulk {action} {}{reason}, of {text}", job.id);
        self.audited(AuditAction::BulkChanged, detail, by).await?;
        let _writing = self.runtime.bulk.writing.lock().await;
        let open = self.runtime.bulk.all().values().filter(|it| !it.state.is_final()).count();
        if open >= limits::BULK_JOBS {
            return Err(CoordinatorError::TooManyBulkJobs);
        }
        self.keep(job.clone(), None, None).await?;
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
        let body = blocking(move || journal.bulk_page(BulkPage::Results, id, page)).await??;
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
        let _writing = self.runtime.bulk.writing.lock().await;
        let mut job = self.bulk_job(id)?;
        // It may have ended meanwhile.
        if job.state.is_final() {
            return Err(conflict(&job));
        }
        match state.is_final() {
            true => job.end(state, clock::now()),
            false => job.state = state,
        }
        self.keep(job.clone(), None, None).await?;
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

    /// Writes how a job stands, and then has it so; the caller holds the lock for that.
    async fn keep(
        &self,
        job: Job,
        ids: Option<&[InstanceId]>,
        results: Option<&[Outcome]>,
    ) -> Result<(), CoordinatorError> {
        let page = |number: u32, body: Option<Vec<u8>>| Some((number.checked_sub(1)?, body?));
        let ids = ids.filter(|it| !it.is_empty()).map(encoded).transpose()?;
        let results = results.filter(|it| !it.is_empty()).map(encoded).transpose()?;
        let write = BulkWrite {
            job: job.id,
            state: Some(encoded(&job)?),
            ids: page(job.id_pages, ids),
            results: page(job.pages, results),
        };
        let journal = self.runtime.journal.clone();
        blocking(move || journal.put_bulk(&write)).await??;
        self.runtime.bulk.all().insert(job.id, job);
        Ok(())
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
            let write = BulkWrite { job, state: None, ids: None, results: None };
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

    /// Gathers, or deals with, some more instances of a job; false when there is nothing more to do
    /// for now.
    async fn carry_on(&self, id: Uuid) -> Result<bool, CoordinatorError> {
        let Ok(job) = self.bulk_job(id) else { return Ok(false) };
        if job.state != State::Running {
            return Ok(false);
        }
        if self.runtime.is_stopping() {
            return Err(self.stopped());
        }
        self.needs_room()?;
        match job.gathered {
            true => self.give_some(&job).await?,
            false => self.gather_some(&job).await?,
        }
        Ok(true)
    }

    /// Finds some more instances that match.
    async fn gather_some(&self, job: &Job) -> Result<(), CoordinatorError> {
        // What starts later was not meant.
        let created = job.created_at.plus(1);
        let before = job.order.filter.started_before.map_or(created, |it| it.min(created));
        let filter = Filter { started_before: Some(before), ..job.order.filter.clone() };
        let found = self.search(filter, job.cursor, limits::BULK_ID_PAGE).await?;
        let ids: Vec<InstanceId> = found.items.iter().map(|(id, _)| *id).collect();
        let _writing = self.runtime.bulk.writing.lock().await;
        let mut job = self.bulk_job(job.id)?;
        if job.state != State::Running {
            return Ok(());
        }
        // More than that is more than one order: what is there is dealt with.
        let next = found.next.filter(|_| job.total < limits::BULK_INSTANCES);
        job.gather(ids.len(), next, clock::now());
        self.keep(job, Some(&ids), None).await
    }

    /// Gives the order for the next instances.
    async fn give_some(&self, job: &Job) -> Result<(), CoordinatorError> {
        let began = Instant::now();
        let (ids, next) = self.next_instances(job).await?;
        let mut results: Vec<Outcome> = Vec::with_capacity(ids.len());
        for at_once in ids.chunks(limits::BULK_AT_ONCE) {
            let given = at_once.iter().map(|it| self.give_patiently(job, *it));
            for outcome in futures_util::future::join_all(given).await {
                results.push(outcome?);
            }
        }
        {
            let _writing = self.runtime.bulk.writing.lock().await;
            // It may have been paused or ended meanwhile: what was done was done all the same.
            let mut job = self.bulk_job(job.id)?;
            job.advance(&results, next, clock::now());
            self.keep(job, None, Some(&results)).await?;
        }
        let due = Duration::from_secs_f64(results.len() as f64 / f64::from(job.order.rate.max(1)));
        tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
        Ok(())
    }

    /// The instances that are dealt with next, as many as a second allows, of one page; and where
    /// those after them are.
    async fn next_instances(
        &self,
        job: &Job,
    ) -> Result<(Vec<InstanceId>, (u32, u32)), CoordinatorError> {
        let (mut number, mut at) = job.next;
        let most = limits::BULK_PAGE.min(job.order.rate.max(1) as usize);
        while number < job.id_pages {
            let (journal, id) = (self.runtime.journal.clone(), job.id);
            let body = blocking(move || journal.bulk_page(BulkPage::Ids, id, number)).await??;
            let ids: Vec<InstanceId> = rmp_serde::from_slice(&body.unwrap_or_default())
                .map_err(|_| JournalError::Damaged("a bulk job's page cannot be read".into()))?;
            let ids: Vec<_> = ids.into_iter().skip(at as usize).take(most).collect();
            if !ids.is_empty() {
                let after = at.saturating_add(u32::try_from(ids.len()).unwrap_or(u32::MAX));
                return Ok((ids, (number, after)));
            }
            (number, at) = (number + 1, 0);
        }
        Ok((Vec::new(), (number, at)))
    }

    /// Gives the order for one instance, once more where that was not possible for want of room.
    async fn give_patiently(
        &self,
        job: &Job,
        instance: InstanceId,
    ) -> Result<Outcome, CoordinatorError> {
        let failed = |error: CoordinatorError| Outcome {
            instance,
            result: Done::Failed,
            detail: Some(error.to_string().into()),
        };
        for attempt in 1..=limits::BULK_ATTEMPTS {
            match self.give(job, instance).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) if self.runtime.is_stopping() => return Err(error),
                Err(CoordinatorError::Journal(JournalError::Damaged(what))) => {
                    return Ok(failed(JournalError::Damaged(what).into()));
                }
                Err(error) if attempt == limits::BULK_ATTEMPTS => return Ok(failed(error)),
                Err(_) => {
                    let pause = Duration::from_millis(limits::BULK_AGAIN_MS);
                    tokio::time::sleep(pause).await;
                }
            }
        }
        Err(self.stopped())
    }

    /// The handle that gives a job's orders.
    fn for_job(&self, job: &Job) -> Self {
        let (issuer, subject) = job.order.by.clone();
        let actor = (&*issuer != ANONYMOUS).then(|| [issuer, subject, BULK.into()]);
        let reason = match &job.order.reason {
            Some(reason) => format!("{reason} (bulk job {})", job.id).into(),
            None => format!("bulk job {}", job.id).into(),
        };
        let requester = Requester { actor, reason: Some(reason) };
        Self { runtime: self.runtime.clone(), requester: Some(Arc::new(requester)) }
    }

    /// Gives the order for one instance, if it still matches.
    async fn give(&self, job: &Job, instance: InstanceId) -> Result<Outcome, CoordinatorError> {
        let outcome = |result, detail: Option<String>| {
            Ok(Outcome { instance, result, detail: detail.map(Into::into) })
        };
        let journal = self.runtime.journal.clone();
        let Some(head) = blocking(move || journal.head(instance)).await?? else {
            return outcome(Done::Skipped, Some("it is gone".to_owned()));
        };
        if !head.matches(&job.order.filter) {
            let why = format!("it is {}: it does not match any more", head.status.word());
            return outcome(Done::Skipped, Some(why));
        }
        let reason = job.order.reason.as_deref().map(str::to_owned);
        let by = self.for_job(job);
        let given = match job.order.action {
            Action::Cancel => by.end(instance, reason).await.map(|it| (it, None)),
            Action::Suspend => by.suspend(instance).await.map(|()| (true, None)),
            Action::Resume => by.resume(instance).await.map(|()| (true, None)),
            Action::Retry => {
                let next = by.retry(instance).await;
                next.map(|it| (!it.repeated, Some(format!("{} goes on for it", it.id))))
            }
            Action::Reset => by.reset_of(job, instance).await,
            Action::Delete => by.delete(instance, (false, true), None).await.map(|()| (true, None)),
        };
        match given {
            Ok((true, detail)) => outcome(Done::Done, detail),
            Ok((false, detail)) => {
                outcome(Done::Skipped, detail.or_else(|| Some("it was so already".to_owned())))
            }
            Err(
                CoordinatorError::Conflict { status, .. }
                | CoordinatorError::NotEnded { status, .. },
            ) => outcome(Done::Skipped, Some(format!("it is {}", status.word()))),
            Err(
                error @ (CoordinatorError::Unrepairable { .. }
                | CoordinatorError::Unresettable { .. }),
            ) => outcome(Done::Skipped, Some(error.to_string())),
            Err(CoordinatorError::UnknownInstance(_)) => {
                outcome(Done::Skipped, Some("it is gone".to_owned()))
            }
            Err(
                error @ (CoordinatorError::Stopping
                | CoordinatorError::Overloaded(_)
                | CoordinatorError::OutOfMemory(..)
                | CoordinatorError::Journal(_)),
            ) => Err(error),
            Err(error) => outcome(Done::Failed, Some(error.to_string())),
        }
    }

    /// Resets one instance as the job says. The job is its key, so that an order that is given
    /// again after a crash starts no second one.
    async fn reset_of(
        &self,
        job: &Job,
        instance: InstanceId,
    ) -> Result<(bool, Option<String>), CoordinatorError> {
        let Some(to) = &job.order.to else { return Ok((false, None)) };
        let order = ResetOrder {
            task: to.task.to_string(),
            visit: to.visit,
            input: None,
            set: Vec::new(),
            rerun_children: to.rerun_children,
        };
        let key = format!("bulk {}", job.id);
        let (started, _) = self.reset(instance, (order, None), Some(&key), false).await?;
        let told = started.map(|it| (!it.repeated, Some(format!("{} goes on for it", it.id))));
        Ok(told.unwrap_or((false, None)))
    }
}
