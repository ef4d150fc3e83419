//! What the rest of the world can ask of a coordinator.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{FrameId, InstanceId, PartitionId, WorkflowId};
use windlass_proto::limits;
use windlass_proto::value::Value;
use windlass_proto::wire::AssignmentKey;

use super::backups;
use super::runtime::Runtime;
use super::{
    Coordinator, CoordinatorError, Downstream, EventReceipt, HistoryPage, InstanceView, OpenTask,
    Options, Outcome, WorkflowRef,
};
use crate::catalog::Catalog;
use crate::dispatch::FleetView;
use crate::dispatch::http::HttpWorkers;
use crate::dispatch::{Reporter, Whereabouts};
use crate::engine::{Ending, Input, Instance};
use crate::events::EventsView;
use crate::history;
use crate::journal::{
    Counted, Filter, Found, Journal, JournalError, Room, SearchCursor, Status, StoredInstance,
};
use crate::partition::{Done, EventTicket, Message, Refusal, ReleaseTarget, Watch};

/// What callers are told to wait when too much work is open.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(limits::RETRY_AFTER_MS);

impl Coordinator {
    /// Opens a coordinator on a journal and takes up what was left open. `downstream` gets the
    /// definitions and the way back for reports, and gives the way to the workers, and that of
    /// events where they leave the process.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn open<O: Into<Downstream>>(
        journal: Arc<dyn Journal>,
        options: Options,
        downstream: impl FnOnce(&Arc<Catalog>, Reporter) -> O,
    ) -> Result<Self, JournalError> {
        let schedule = options.backups.clone();
        let runtime = Arc::new(Runtime::start(journal, options, downstream)?);
        let coordinator = Self { runtime, requester: None };
        coordinator.tell_restored();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            coordinator.go_on_cancelling(&runtime);
            coordinator.go_on_with_bulk_jobs(&runtime);
            if let Some(schedule) = schedule {
                runtime.spawn(backups::keep(Arc::downgrade(&coordinator.runtime), schedule));
            }
        }
        Ok(coordinator)
    }

    /// Stops: decisions taken are made durable, open work stays open in the journal. Blocking.
    pub fn stop(&self) {
        self.runtime.stop();
    }

    /// Why it stopped by itself, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.runtime.failure()
    }

    /// Returns, with the reason, when the coordinator stops by itself because its journal failed:
    /// the process should end then, as what it holds in memory may differ from what is on disk.
    pub async fn failed(&self) -> String {
        self.runtime.failed().await
    }

    /// How an instance ended, or `None` when it has not within `patience`.
    ///
    /// # Errors
    /// When there is no such instance.
    pub async fn wait(
        &self,
        id: InstanceId,
        patience: Duration,
    ) -> Result<Option<Outcome>, CoordinatorError> {
        let (reply, end) = oneshot::channel();
        self.send(id, Message::Watch { instance: id, watch: Watch::End(reply) })?;
        match timeout(patience, end).await {
            Ok(Ok(ending)) => Ok(Some(outcome(ending))),
            Ok(Err(_)) if self.runtime.is_stopping() => Err(self.stopped()),
            Ok(Err(_)) => Err(CoordinatorError::UnknownInstance(id)),
            Err(_) => Ok(None),
        }
    }

    /// Says of the open tasks of an instance which worker has each, or what each waits for. What
    /// the fleet does not tell stays as it is.
    pub async fn locate(&self, view: &mut InstanceView) {
        let sent = |task: &OpenTask| Some(self.key_of(view.id, task.sent?));
        let keys: Vec<_> = view.open.iter().filter_map(sent).collect();
        if keys.is_empty() {
            return;
        }
        let found = self.runtime.router.whereabouts(keys).await;
        let sent = view.open.iter_mut().filter(|it| it.sent.is_some());
        for (task, whereabouts) in sent.zip(found) {
            if let Some(whereabouts) = whereabouts {
                task.state = whereabouts.to_string();
            }
        }
    }

    /// The workflow of an instance, ended ones included; none when there is no such instance.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn workflow_of(
        &self,
        id: InstanceId,
    ) -> Result<Option<WorkflowId>, CoordinatorError> {
        let journal = self.runtime.journal.clone();
        let head = blocking(move || journal.head(id)).await??;
        Ok(head.map(|it| it.workflow))
    }

    /// Instances, those that started last first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn search(
        &self,
        filter: Filter,
        cursor: Option<SearchCursor>,
        limit: usize,
    ) -> Result<Found, CoordinatorError> {
        let journal = self.runtime.journal.clone();
        Ok(blocking(move || journal.search(&filter, cursor, limit)).await??)
    }

    /// How many instances match.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn count(&self, filter: Filter) -> Result<Counted, CoordinatorError> {
        let journal = self.runtime.journal.clone();
        Ok(blocking(move || journal.count(&filter)).await??)
    }

    /// What happened to an instance: entries from sequence number `from` on, at most `limit`, and
    /// fewer where their values are large ([`limits::HISTORY_BYTES`]).
    ///
    /// # Errors
    /// When there is no such instance, or the journal cannot be read.
    pub async fn history(
        &self,
        id: InstanceId,
        from: u64,
        limit: usize,
    ) -> Result<HistoryPage, CoordinatorError> {
        let (journal, router) = (self.runtime.journal.clone(), self.runtime.router.clone());
        let states = self.runtime.histories.clone();
        let read = move || {
            let (journal, catalog, states) = (&*journal, &*router.catalog, &*states);
            history::Reader { journal, catalog, states }.read(id, from, limit)
        };
        let page = blocking(read).await??.ok_or(CoordinatorError::UnknownInstance(id))?;
        Ok(self.located(id, page).await)
    }

    /// Adds which worker has what is not over yet. The journal does not keep that: a fact more of
    /// each task, for people only, would cost every step.
    async fn located(&self, instance: InstanceId, mut page: HistoryPage) -> HistoryPage {
        let sent = page.entries.iter().filter_map(|it| it.sent);
        let keys: Vec<_> = sent.map(|sent| self.key_of(instance, sent)).collect();
        if keys.is_empty() {
            return page;
        }
        let found = self.runtime.router.whereabouts(keys).await;
        let sent = page.entries.iter_mut().filter(|it| it.sent.is_some());
        for (entry, whereabouts) in sent.zip(found) {
            let told = match whereabouts {
                Some(Whereabouts::At(worker)) => ("worker", Value::from(worker)),
                Some(elsewhere) => ("state", Value::from(elsewhere.to_string())),
                None => continue,
            };
            let known = ["delivery"].into_iter().zip(entry.data.get("delivery").cloned());
            entry.data = Value::object(known.chain([told]));
        }
        page
    }

    /// The key of a delivery.
    fn key_of(&self, instance: InstanceId, (frame, delivery): (FrameId, u32)) -> AssignmentKey {
        let partition = self.partition(instance);
        AssignmentKey { instance, frame, delivery, partition, epoch: self.runtime.epoch }
    }

    /// Returns when the instance has facts from sequence number `from` on or has ended, or when
    /// `patience` is over.
    ///
    /// # Errors
    /// When the coordinator is stopping.
    pub async fn changed(
        &self,
        id: InstanceId,
        from: u64,
        patience: Duration,
    ) -> Result<(), CoordinatorError> {
        let (reply, news) = oneshot::channel();
        self.send(id, Message::Watch { instance: id, watch: Watch::Change(from, reply) })?;
        // Out of patience and gone are both answers here: the caller looks again.
        let _ = timeout(patience, news).await;
        Ok(())
    }

    /// Ends an instance; what it has at workers is told to stop. One that is cancelled already
    /// stays so: whoever sends the request again has what was asked for.
    ///
    /// # Errors
    /// When there is no such instance, or it has completed or faulted.
    pub async fn cancel(
        &self,
        id: InstanceId,
        reason: Option<String>,
    ) -> Result<(), CoordinatorError> {
        self.end(id, reason).await.map(|_| ())
    }

    /// Cancels an instance; false when it was cancelled before.
    pub(super) async fn end(
        &self,
        id: InstanceId,
        reason: Option<String>,
    ) -> Result<bool, CoordinatorError> {
        let reason = reason.map(Arc::from);
        match self.operate(id, Input::Cancel { reason }, "cancel").await {
            Ok(()) => Ok(true),
            Err(CoordinatorError::Conflict { status: Status::Cancelled, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Stops an instance for a while: running tasks finish, no new ones begin.
    ///
    /// # Errors
    /// When there is no such instance, or it has ended or is suspended already.
    pub async fn suspend(&self, id: InstanceId) -> Result<(), CoordinatorError> {
        self.operate(id, Input::Suspend, "suspend").await
    }

    /// Lets a suspended instance go on.
    ///
    /// # Errors
    /// When there is no such instance, or it is not suspended.
    pub async fn resume(&self, id: InstanceId) -> Result<(), CoordinatorError> {
        self.needs_room()?;
        self.operate(id, Input::Resume, "resume").await
    }

    pub(super) async fn operate(
        &self,
        id: InstanceId,
        input: Input,
        action: &'static str,
    ) -> Result<(), CoordinatorError> {
        self.needs_reserve()?;
        let (reply, answer) = oneshot::channel();
        let input = input.requested(self.requester.clone());
        let message = Message::Input { instance: id, input, reply: Some(reply) };
        match self.ask(id, message, answer).await? {
            Ok(()) => Ok(()),
            Err(Refusal::Unknown) => Err(CoordinatorError::UnknownInstance(id)),
            // Operators reach it.
            Err(Refusal::Quarantined) => {
                Err(CoordinatorError::Conflict { id, status: Status::Suspended, action })
            }
            Err(Refusal::Rejected(_, status)) => {
                Err(CoordinatorError::Conflict { id, status, action })
            }
        }
    }

    /// Hands an event to all instances that wait for it; returns once that is durable.
    ///
    /// # Errors
    /// When there is too much work, or the coordinator is stopping.
    pub async fn event(&self, event: CloudEvent) -> Result<EventReceipt, CoordinatorError> {
        self.offer(Arc::new(event))?.await
    }

    /// Hands an event to all instances that wait for it, here and now, in the order of the calls;
    /// the future is ready once that is durable.
    ///
    /// # Errors
    /// As [`Coordinator::event`].
    pub fn offer(
        &self,
        event: Arc<CloudEvent>,
    ) -> Result<
        impl Future<Output = Result<EventReceipt, CoordinatorError>> + Send + use<>,
        CoordinatorError,
    > {
        if self.runtime.is_stopping() {
            return Err(self.stopped());
        }
        self.needs_room()?;
        if self.runtime.is_overloaded(None) {
            return Err(CoordinatorError::Overloaded(RETRY_AFTER));
        }
        let (done, consumed) = oneshot::channel();
        let partitions = self.runtime.router.partitions();
        let ticket = EventTicket::new(event, partitions, Done::Caller(done));
        for partition in 0..partitions {
            self.runtime.router.send(PartitionId(partition), Message::Event(ticket.clone()));
        }
        let coordinator = self.clone();
        Ok(async move { coordinator.answered(consumed).await })
    }

    /// The workers, and what waits for them; none where the worker is in this process.
    pub async fn fleet(&self) -> Option<FleetView> {
        self.runtime.router.fleet().await
    }

    /// The way for workers over HTTP; none where none can come.
    #[must_use]
    pub fn http_workers(&self) -> Option<HttpWorkers> {
        self.runtime.router.http_workers()
    }

    /// Events over the bus, and what waits for it; none where there is no bus.
    #[must_use]
    pub fn bus_events(&self) -> Option<EventsView> {
        self.runtime.router.events()
    }

    /// Tells all workers that this coordinator ends: they keep what they hold and look for the next
    /// one. To be called before [`Coordinator::stop`].
    pub async fn dismiss_workers(&self) {
        self.runtime.router.close().await;
    }

    /// How much room the journal has.
    pub(crate) fn disk_room(&self) -> Room {
        self.runtime.journal.room()
    }

    /// What would have to be written is refused before anything is decided, while there is no room.
    pub(super) fn needs_room(&self) -> Result<(), CoordinatorError> {
        Ok(self.disk_room().needed()?)
    }

    /// What goes through the cluster's log without being in the journal is refused while the log
    /// does not answer: another coordinator may lead, to whom it would never come.
    pub(crate) fn needs_log(&self) -> Result<(), CoordinatorError> {
        let room = self.disk_room();
        if room.log_away { Err(room.refusal().into()) } else { Ok(()) }
    }

    /// What operators get out of a full disk with goes into the journal's reserve, until it is used
    /// up.
    pub(super) fn needs_reserve(&self) -> Result<(), CoordinatorError> {
        let room = self.disk_room();
        if room.reserve { Ok(()) } else { Err(room.refusal().into()) }
    }

    fn partition(&self, id: InstanceId) -> PartitionId {
        id.partition(self.runtime.router.partitions())
    }

    fn send(&self, id: InstanceId, message: Message) -> Result<(), CoordinatorError> {
        if self.runtime.is_stopping() {
            return Err(self.stopped());
        }
        self.runtime.router.send(self.partition(id), message);
        Ok(())
    }

    pub(super) async fn ask<T>(
        &self,
        id: InstanceId,
        message: Message,
        answer: oneshot::Receiver<T>,
    ) -> Result<T, CoordinatorError> {
        self.send(id, message)?;
        self.answered(answer).await
    }

    /// Asks a partition for something that is about no instance.
    pub(super) async fn ask_partition<T>(
        &self,
        partition: PartitionId,
        message: Message,
        answer: oneshot::Receiver<T>,
    ) -> Result<T, CoordinatorError> {
        if self.runtime.is_stopping() {
            return Err(self.stopped());
        }
        self.runtime.router.send(partition, message);
        self.answered(answer).await
    }

    async fn answered<T>(&self, answer: oneshot::Receiver<T>) -> Result<T, CoordinatorError> {
        match timeout(Duration::from_millis(limits::PARTITION_ANSWER_MS), answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) if self.runtime.is_stopping() => Err(self.stopped()),
            // The disk filled up on its way: nothing was decided.
            Ok(Err(_)) => {
                self.needs_room()?;
                Err(CoordinatorError::Overloaded(RETRY_AFTER))
            }
            Err(_) => Err(CoordinatorError::Overloaded(RETRY_AFTER)),
        }
    }

    pub(super) fn stopped(&self) -> CoordinatorError {
        match self.runtime.failure() {
            Some(reason) => JournalError::Store(reason).into(),
            None => CoordinatorError::Stopping,
        }
    }
}

/// Runs what reads or writes the journal away from the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CoordinatorError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| CoordinatorError::Stopping)
}

pub(super) fn outcome(ending: Ending) -> Outcome {
    match ending {
        Ending::Completed(output) => Outcome::Completed(output),
        Ending::Faulted(problem) => Outcome::Faulted(problem),
        Ending::Cancelled(_) => Outcome::Cancelled,
    }
}

pub(super) fn shown(workflow: &WorkflowRef) -> String {
    named(&workflow.namespace, &workflow.name, workflow.version.as_deref())
}

/// The same, by its parts.
pub(super) fn named(namespace: &str, name: &str, version: Option<&str>) -> String {
    format!("{namespace}/{name}:{}", version.unwrap_or("latest"))
}

/// The state that a stored instance adds up to: for tools that look at a journal from outside.
///
/// # Errors
/// When the facts cannot be decoded.
pub fn restore(id: InstanceId, stored: &StoredInstance) -> Result<Instance, JournalError> {
    crate::partition::fold(id, stored).map(|(instance, _)| instance)
}
