//! What runs inside: partitions on their threads, the committer, and the ways between them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use windlass_proto::definition;
use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::limits;
use windlass_proto::metric::Snapshot;
use windlass_proto::wire::{Assignment, AssignmentKey};
use windlass_telemetry::{FinishedSpan, Sampler};

use super::backups::BackupState;
use super::bulk::Jobs;
use super::retention::Retention;
use super::{Downstream, Options};
use crate::admission::Admission;
use crate::archive::Archive;
use crate::catalog::Catalog;
use crate::dispatch::http::HttpWorkers;
use crate::dispatch::{FleetView, Queue, Whereabouts};
use crate::early::EarlyEvents;
use crate::events::lifecycle::{Level, LifecycleEvent};
use crate::events::{EventsView, Outbox};
use crate::history;
use crate::journal::committer::{Committer, CommitterHandle};
use crate::journal::{Journal, JournalError};
use crate::log::LogControl;
use crate::memory::Memory;
use crate::partition::{
    Emitted, Filters, Inbox, InstanceCounts, Mailbox, Message, MisfitCounts, Owner, OwnerContext,
    PartitionContext, ReleaseTarget, Reporter, Verdict, mailbox,
};
use crate::quarantine::Quarantine;
use crate::retention::RetentionPolicy;
use crate::secrets::{Secrets, SecretsOptions};
use crate::successor::Successor;
use crate::trace::{Teller, Tracer};
use crate::webhooks::Webhooks;

/// A running coordinator.
pub(super) struct Runtime {
    /// Versions may be given another text.
    pub(super) replaces: bool,
    pub(super) router: Arc<Router>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) committer: CommitterHandle,
    /// The term of ownership.
    pub(super) epoch: u64,
    owners: Mutex<Vec<Owner>>,
    /// Dropped to end what removes old instances.
    retention: Mutex<Option<Sender<()>>>,
    pub(super) admission: Arc<Admission>,
    pub(super) filters: Arc<Filters>,
    pub(super) bulk: Jobs,
    pub(super) archive: Option<Archive>,
    pub(super) backups: Arc<BackupState>,
    /// Whether a restored copy has taken over.
    successor: Arc<Successor>,
    pub(super) misfits: Arc<MisfitCounts>,
    pub(super) counts: Arc<InstanceCounts>,
    pub(super) log: Option<Arc<dyn LogControl>>,
    stopping: Arc<AtomicBool>,
    failure: watch::Sender<Option<String>>,
    pub(super) quarantine: Arc<Quarantine>,
    pub(super) histories: Arc<history::States>,
    /// Room for reading instances from the journal to show them.
    pub(super) reads: Arc<Semaphore>,
}

/// The ways between partitions, workers and definitions.
pub(super) struct Router {
    /// Partitions that have not yet dispatched again what was open before a restart.
    recovering: AtomicUsize,
    began: Instant,
    /// How long that took; none while it goes on.
    pub(super) recovered_in: OnceLock<Duration>,
    pub(super) inboxes: Arc<[Inbox]>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) memory: Arc<Memory>,
    pub(super) early: Arc<EarlyEvents>,
    pub(super) webhooks: Arc<Webhooks>,
    /// Whether workflows start by their schedules.
    fires_schedules: bool,
    queue: Arc<dyn Queue>,
    outbox: Option<Arc<Outbox>>,
    /// Where spans go, where traces are on.
    tracer: Option<(Tracer, Teller)>,
}

impl Router {
    /// Which instances are recorded; none where nobody traces.
    pub(super) fn sampler(&self) -> Option<Sampler> {
        self.tracer.as_ref().map(|(tracer, _)| tracer.sampler())
    }

    /// False when so much of a namespace waits for workers, or so many events for the bus, that no
    /// more should be started in it.
    pub(super) fn admits(&self, namespace: &str) -> bool {
        self.queue.admits(namespace) && self.outbox.as_ref().is_none_or(|it| it.admits())
    }

    /// The workers, where they are in other processes.
    pub(super) async fn fleet(&self) -> Option<FleetView> {
        self.queue.view().await
    }

    /// The way for workers over HTTP; none where none can come.
    pub(super) fn http_workers(&self) -> Option<HttpWorkers> {
        self.queue.http_workers()
    }

    /// Where assignments are.
    pub(super) async fn whereabouts(&self, keys: Vec<AssignmentKey>) -> Vec<Option<Whereabouts>> {
        self.queue.whereabouts(keys).await
    }

    /// Events over the bus, where there is one.
    pub(super) fn events(&self) -> Option<EventsView> {
        self.outbox.as_ref().map(|it| it.view())
    }

    /// Adds what the queue has to tell of itself.
    pub(super) fn measured(&self, snapshot: &mut Snapshot) {
        self.queue.measured(snapshot);
    }

    /// Tells the workers that the coordinator ends.
    pub(super) async fn close(&self) {
        self.queue.close().await;
    }
}

impl ReleaseTarget for Router {
    fn partitions(&self) -> u16 {
        u16::try_from(self.inboxes.len()).unwrap_or(u16::MAX)
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn dispatch(&self, assignment: Assignment, recovered: bool) {
        match recovered {
            true => self.queue.recover(assignment),
            false => self.queue.send(assignment),
        }
    }

    fn early(&self) -> Option<&EarlyEvents> {
        Some(&self.early)
    }

    fn fires_schedules(&self) -> bool {
        self.fires_schedules
    }

    fn recovered(&self) {
        if self.recovering.fetch_sub(1, Ordering::AcqRel) == 1 {
            // The last one sets it, once.
            let _ = self.recovered_in.set(self.began.elapsed());
            self.queue.recovered();
        }
    }

    fn cancel(&self, key: AssignmentKey) {
        self.queue.cancel(key);
    }

    fn settled(&self, key: &AssignmentKey, verdict: Verdict) {
        self.queue.settled(key, verdict);
    }

    fn lifecycle(&self) -> Level {
        self.outbox.as_ref().map_or(Level::Off, |it| it.level())
    }

    fn announce(&self, lifecycle: LifecycleEvent) {
        if let Some(outbox) = &self.outbox {
            outbox.announce(lifecycle);
        }
    }

    fn trace(&self, spans: Vec<FinishedSpan>) {
        if let Some((tracer, _)) = &self.tracer {
            tracer.record(spans);
        }
    }

    fn tell_trace(&self, instance: InstanceId) {
        if let Some((_, teller)) = &self.tracer {
            teller.tell(instance);
        }
    }

    fn has_bus(&self) -> bool {
        self.outbox.is_some()
    }

    fn publish(&self, emitted: Emitted) {
        if let Some(outbox) = &self.outbox {
            outbox.emit(emitted);
        }
    }

    fn send(&self, partition: PartitionId, message: Message) {
        if let Some(inbox) = self.inboxes.get(usize::from(partition.0)) {
            // A partition that has stopped wants nothing any more: its journal has what is open.
            let _ = inbox.send(message);
        }
    }
}

/// The tracer and what tells again of instances; none where nobody traces, which is noted.
fn traced(
    tracer: Option<Tracer>,
    data_dir: Option<&Path>,
    journal: &Arc<dyn Journal>,
    catalog: &Arc<Catalog>,
) -> Result<Option<(Tracer, Teller)>, JournalError> {
    if let (None, Some(directory)) = (&tracer, data_dir) {
        Tracer::off(directory);
    }
    tracer.map(|it| it.start(data_dir, journal, catalog)).transpose()
}

/// Begins a term of ownership, unless a restored copy has taken over.
fn lead(
    journal: &dyn Journal,
    data_dir: Option<PathBuf>,
) -> Result<(u64, Arc<Successor>), JournalError> {
    let epoch = journal.next_epoch()?;
    let successor = Arc::new(Successor::of(data_dir));
    successor.refuse(epoch)?;
    Ok((epoch, successor))
}

impl Runtime {
    /// Opens all partitions of a journal and takes up what was left open.
    pub(super) fn start<O: Into<Downstream>>(
        journal: Arc<dyn Journal>,
        options: Options,
        downstream: impl FnOnce(&Arc<Catalog>, Reporter) -> O,
    ) -> Result<Self, JournalError> {
        let began = Instant::now();
        let (epoch, successor) = lead(&*journal, options.data_dir.clone())?;
        let (early, webhooks) = inbound(&journal, &options)?;
        let secrets = options.secrets.map_or_else(in_memory, Ok)?;
        let quarantine = Arc::new(quarantine(options.data_dir.as_deref())?);
        let memory = Memory::new(options.memory.unwrap_or(u64::MAX));
        let (quotas, log, replaces) = (options.quotas, options.log, options.replaces);
        let fires_schedules = !options.unscheduled;
        let losses = options.losses.unwrap_or(limits::DELIVERIES_LOST);
        let Options { retention: policy, archive, suspending, tracer, data_dir, .. } = options;
        let sampler = tracer.as_ref().map(Tracer::sampler);
        let (functions, strict, unversioned) =
            (options.functions, options.strict, options.unversioned);
        let rules = definition::Options { functions, strict, unversioned, ..Default::default() };
        let catalog = Arc::new(Catalog::open(journal.clone(), rules)?.suspending(suspending));
        let (inboxes, mailboxes) = boxes(journal.partitions(), &memory);
        let Downstream { queue, outbox } =
            downstream(&catalog, Reporter::new(inboxes.clone(), epoch)).into();
        let tracer = traced(tracer, data_dir.as_deref(), &journal, &catalog)?;
        let router = Arc::new(Router {
            recovering: AtomicUsize::new(inboxes.len()),
            began,
            recovered_in: OnceLock::new(),
            inboxes,
            catalog,
            secrets,
            fires_schedules,
            queue,
            outbox,
            tracer,
            memory,
            early,
            webhooks,
        });
        let runtime = Self {
            router,
            journal: journal.clone(),
            epoch,
            committer: Committer::start(journal.clone(), limits::COMMIT_QUEUE)?,
            owners: Mutex::new(Vec::new()),
            retention: Mutex::default(),
            replaces,
            admission: Arc::new(Admission::open(journal.clone(), quotas)?),
            filters: Arc::default(),
            bulk: Jobs::open(&*journal)?,
            archive: archive.clone(),
            backups: Arc::new(BackupState::new(data_dir)),
            successor,
            misfits: Arc::default(),
            counts: Arc::default(),
            log,
            stopping: Arc::new(AtomicBool::new(false)),
            failure: watch::Sender::new(None),
            quarantine,
            histories: Arc::default(),
            reads: Arc::new(Semaphore::new(limits::INSTANCE_READS)),
        };
        let shared = runtime.shared(epoch, losses, sampler);
        runtime.start_owners(&shared, mailboxes)?;
        runtime.start_retention(policy, archive)?;
        // After the partitions, which need the processors until they have read who listens.
        read_awaited(&runtime.router, runtime.stopping.clone())?;
        super::verify::start(journal, runtime.stopping.clone(), runtime.on_failure())?;
        Ok(runtime)
    }

    fn start_retention(
        &self,
        policy: RetentionPolicy,
        archive: Option<Archive>,
    ) -> Result<(), JournalError> {
        let (journal, router) = (self.journal.clone(), self.router.clone());
        let (catalog, early) = (router.catalog.clone(), router.early.clone());
        let retention = Retention::new(journal, early, catalog, router, (policy, archive));
        let started = super::retention::start(retention)?;
        *self.retention.lock().unwrap_or_else(|it| it.into_inner()) = Some(started);
        Ok(())
    }

    /// What all partitions share.
    fn shared(&self, epoch: u64, losses: u32, sampler: Option<Sampler>) -> PartitionContext {
        PartitionContext {
            journal: self.journal.clone(),
            catalog: self.router.catalog.clone(),
            epoch,
            losses,
            memory: self.router.memory.clone(),
            quarantine: self.quarantine.clone(),
            admission: self.admission.clone(),
            filters: self.filters.clone(),
            misfits: self.misfits.clone(),
            counts: self.counts.clone(),
            sampler,
            early: self.router.early.clone(),
            successor: self.successor.clone(),
        }
    }

    fn start_owners(
        &self,
        shared: &PartitionContext,
        mailboxes: Vec<Mailbox>,
    ) -> Result<(), JournalError> {
        let start = |partition, mailbox| {
            let context = OwnerContext {
                target: self.router.clone(),
                committer: self.committer.clone(),
                stopping: self.stopping.clone(),
                failed: self.on_failure(),
            };
            Owner::start(PartitionId(partition), shared.clone(), mailbox, context)
        };
        // Side by side: each reads all that listens in its partition before it starts.
        let joined: Vec<_> = thread::scope(|scope| {
            let spawn = |(id, mailbox)| {
                thread::Builder::new().spawn_scoped(scope, move || start(id, mailbox))
            };
            let starting: Vec<_> = (0u16..).zip(mailboxes).map(spawn).collect();
            starting.into_iter().map(|it| it.map(ScopedJoinHandle::join)).collect()
        });
        for owner in joined {
            let no_thread = |error| JournalError::Store(format!("no thread to be had: {error}"));
            let panicked = |_| JournalError::Store("opening a partition panicked".to_owned());
            let owner = owner.map_err(no_thread)?.map_err(panicked)??;
            self.owners.lock().unwrap_or_else(|it| it.into_inner()).push(owner);
        }
        Ok(())
    }

    /// What a failing journal leads to: everything stops, as memory and disk may differ now.
    fn on_failure(&self) -> Arc<dyn Fn(String) + Send + Sync> {
        let (stopping, failure) = (self.stopping.clone(), self.failure.clone());
        let inboxes = self.router.inboxes.clone();
        Arc::new(move |reason| {
            if !stopping.swap(true, Ordering::AcqRel) {
                tracing::error!(%reason, "the journal failed: the coordinator stops");
                failure.send_replace(Some(reason));
                inboxes.iter().for_each(Inbox::wake);
            }
        })
    }

    /// Why the coordinator stopped by itself, if it did.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Returns, with the reason, when the coordinator stops by itself.
    pub(super) async fn failed(&self) -> String {
        let mut failure = self.failure.subscribe();
        match failure.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            // The sender lives in `self`, so the channel cannot close while this waits.
            Err(_) => String::new(),
        }
    }

    /// True when it takes no more work.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// True when too many messages of a namespace wait already, or too many events for `None`, or
    /// too many in all.
    pub(super) fn is_overloaded(&self, namespace: Option<&str>) -> bool {
        self.router.inboxes.iter().any(|inbox| {
            inbox.depth() > limits::INBOX_TOTAL || inbox.waiting(namespace) > limits::INBOX_DEPTH
        })
    }

    /// Stops taking turns, makes durable what was decided, and ends the threads. Blocking.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.router.inboxes.iter().for_each(Inbox::wake);
        drop(self.retention.lock().unwrap_or_else(|it| it.into_inner()).take());
        let owners = std::mem::take(&mut *self.owners.lock().unwrap_or_else(|it| it.into_inner()));
        for owner in owners {
            owner.join();
        }
        self.committer.close();
        if let Some((_, teller)) = &self.router.tracer {
            teller.close();
        }
        self.router.secrets.audit.flush();
        self.quarantine.close();
    }
}

/// What is kept of events that came early, and of endpoints at which they come.
fn inbound(
    journal: &Arc<dyn Journal>,
    options: &Options,
) -> Result<(Arc<EarlyEvents>, Arc<Webhooks>), JournalError> {
    let ttl = options.event_ttl.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
    let early = EarlyEvents::open(journal.clone(), ttl.unwrap_or(limits::EARLY_TTL_MS))?;
    let (directory, secrets) = (options.data_dir.as_deref(), options.webhook_secrets.clone());
    let webhooks = Webhooks::open(directory, secrets)
        .map_err(|error| JournalError::Store(error.to_string()))?;
    Ok((Arc::new(early), Arc::new(webhooks)))
}

/// Finds out what definitions wait for, where events are kept for them, beside the work: that
/// takes as long as there are many.
fn read_awaited(router: &Router, stopping: Arc<AtomicBool>) -> Result<(), JournalError> {
    let keeps = router.early.keeps();
    let unread = if keeps { router.catalog.unread_awaited() } else { Vec::new() };
    if unread.is_empty() {
        return Ok(());
    }
    // What stops need not wait for all of it.
    let catalog = Arc::downgrade(&router.catalog);
    let run = move || {
        for digest in unread {
            match catalog.upgrade() {
                Some(catalog) if !stopping.load(Ordering::Acquire) => catalog.read_awaited(&digest),
                _ => return,
            }
        }
    };
    let reading = thread::Builder::new().name("awaited".to_owned()).spawn(run);
    reading.map(drop).map_err(|error| JournalError::Store(format!("no thread to be had: {error}")))
}

fn boxes(partitions: u16, memory: &Arc<Memory>) -> (Arc<[Inbox]>, Vec<Mailbox>) {
    let boxes = (0..partitions).map(|_| mailbox(memory.clone()));
    let (inboxes, mailboxes): (Vec<Inbox>, Vec<Mailbox>) = boxes.unzip();
    (inboxes.into(), mailboxes)
}

fn quarantine(directory: Option<&Path>) -> Result<Quarantine, JournalError> {
    let Some(directory) = directory else { return Ok(Quarantine::default()) };
    Quarantine::open(directory)
        .map_err(|error| JournalError::Store(format!("{}: {error}", directory.display())))
}

/// For a coordinator that was told nothing of secrets.
fn in_memory() -> Result<Arc<Secrets>, JournalError> {
    Secrets::open(SecretsOptions::default(), None)
        .map(Arc::new)
        .map_err(|error| JournalError::Store(error.to_string()))
}
