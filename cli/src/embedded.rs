//! Coordinator, queue and worker in this process: the one place that puts them together.

mod queue;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use windlass_coordinator::admission::StartQuotas;
use windlass_coordinator::archive::Archive;
use windlass_coordinator::catalog::Catalog;
use windlass_coordinator::coordinator::{
    Coordinator, CoordinatorError, Downstream, Options, WorkflowRef,
};
use windlass_coordinator::fleet::{Fleet, FleetOptions};
use windlass_coordinator::identity::IdentityOptions;
use windlass_coordinator::journal::memory::MemoryJournal;
use windlass_coordinator::journal::sled::{self, SledJournal};
use windlass_coordinator::journal::{Journal, JournalError};
use windlass_coordinator::retention::RetentionPolicy;
use windlass_coordinator::secrets::{Granter, Secrets, SecretsError, SecretsOptions};
use windlass_coordinator::trace::Tracer;
use windlass_proto::audit::AuditEvent;
use windlass_proto::id::Digest;
use windlass_proto::limits;
use windlass_proto::plan::Plan;
use windlass_proto::wire::key::CoordinatorKey;
use windlass_proto::wire::subject::Prefix;
use windlass_worker::{AuditRoom, AuditSink, Egress, PlanSource, SandboxMode, Worker};

use crate::code::NOT_STARTED;
use crate::definition::Checked;
use crate::error::CliError;
use crate::memory::MemoryOptions;
use crate::options::isolate;
use crate::options::{Allow, InboundOptions, JournalOptions, WorkerOptions, describe_processes};
use crate::secret_options::SecretArgs;
use crate::worker::Files;

/// Processes that tasks may run here unless the options say otherwise: they are one's own, on one's
/// own machine.
pub(crate) const ALLOWED: &[Allow] = &[Allow::Shell, Allow::Script, Allow::Mcp, Allow::Container];

/// What to put together.
pub(crate) struct EmbeddedOptions {
    /// Where the journal is; none keeps nothing.
    pub(crate) data_dir: Option<PathBuf>,
    /// What to do with a journal that is damaged.
    pub(crate) journal: JournalOptions,
    /// What the worker may do and knows.
    pub(crate) worker: WorkerOptions,
    /// Files that no task's program may read.
    pub(crate) hidden: Vec<PathBuf>,
    /// Where `file:` resources are read.
    pub(crate) files: Files,
    /// How long ended instances are kept.
    pub(crate) retention: RetentionPolicy,
    /// Namespaces whose instances wait for an operator where their definitions say nothing of
    /// errors.
    pub(crate) suspending: Vec<Arc<str>>,
    /// Where they are kept before they are removed.
    pub(crate) archive: Option<Archive>,
    /// How long events are kept, and where the secrets of webhooks are.
    pub(crate) inbound: InboundOptions,
    /// How many instances that others have started may be open.
    pub(crate) quotas: StartQuotas,
    /// Who may read which secrets.
    pub(crate) secrets: SecretArgs,
    /// How tasks prove who they are.
    pub(crate) identity: IdentityOptions,
    /// How much memory instances may take.
    pub(crate) memory: MemoryOptions,
    /// Which instances are recorded, where traces are on.
    pub(crate) tracer: Option<Tracer>,
    /// Leave schedules alone.
    pub(crate) unscheduled: bool,
    /// Whether workers of one's own may come, over HTTP.
    pub(crate) outside: Outside,
}

/// Workers beside the one in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outside {
    /// They offer functions that it has not, where there is a data directory.
    Welcome,
    /// There are none.
    Nobody,
}

impl Outside {
    /// By which key they are known. What they are given stays theirs over a restart, so it is kept.
    fn key(self, data_dir: Option<&Path>) -> Result<Option<CoordinatorKey>, CliError> {
        let data_dir = data_dir.filter(|_| self == Self::Welcome);
        let kept = data_dir.map(|it| crate::key::kept(&it.join("coordinator.key"))).transpose()?;
        Ok(kept.map(|(key, _)| key))
    }
}

/// Coordinator, queue and worker, running.
pub(crate) struct Embedded {
    /// The handle to call.
    pub(crate) coordinator: Coordinator,
    worker: Worker,
    /// What people are told of the processes that tasks may run; nothing where there are none.
    pub(crate) processes: Option<String>,
}

/// What the worker has of the coordinator, which is made after it: definitions, straight from the
/// catalog, and a place for audit events.
struct Definitions {
    catalog: OnceLock<Arc<Catalog>>,
    secrets: OnceLock<Arc<Secrets>>,
    room: Arc<AuditRoom>,
}

/// Frees the place of an event when it is kept, or cannot be.
struct Place(Arc<AuditRoom>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.free(1);
    }
}

impl PlanSource for Definitions {
    fn plan(&self, digest: &Digest) -> Option<Arc<Plan>> {
        self.catalog.get()?.plan(digest)
    }
}

impl AuditSink for Definitions {
    fn record(&self, event: AuditEvent) {
        if let Some(secrets) = self.secrets.get() {
            secrets.audit.record(AuditEvent { worker: Some(WORKER.into()), ..event });
        }
    }

    fn record_reserved(&self, event: AuditEvent) {
        let place = Place(self.room.clone());
        if let Some(secrets) = self.secrets.get() {
            let event = AuditEvent { worker: Some(WORKER.into()), ..event };
            secrets.audit.keep(vec![event], move || drop(place));
        }
    }

    fn reserve(&self, places: usize) -> BoxFuture<'_, ()> {
        Box::pin(self.room.reserve(places, || ()))
    }

    fn give_back(&self, places: usize) {
        self.room.free(places);
    }
}

/// What the worker of this process is called in the audit trail.
const WORKER: &str = "embedded";

/// Starts coordinator, queue and worker.
///
/// # Errors
/// When an option makes no sense (bad usage), or a part cannot be set up.
pub(crate) async fn open(options: EmbeddedOptions) -> Result<Embedded, CliError> {
    let EmbeddedOptions {
        data_dir,
        journal,
        worker,
        files,
        retention,
        inbound,
        archive,
        suspending,
        quotas,
        secrets,
        identity,
        memory,
        tracer,
        hidden,
        unscheduled,
        outside,
    } = options;
    let key = outside.key(data_dir.as_deref())?;
    let mut secrets = secrets.options(data_dir.as_deref(), identity)?;
    // Tasks run here, and usually as the same user.
    secrets.keep_keys = false;
    let definitions = Arc::new(Definitions {
        catalog: OnceLock::new(),
        secrets: OnceLock::new(),
        room: Arc::new(AuditRoom::new(limits::AUDIT_OUTBOX)),
    });
    // They are one's own: what they write is to stay, here as on a machine without bubblewrap.
    let hidden = data_dir.iter().cloned().chain(hidden).collect();
    let processes = worker.processes(ALLOWED)?;
    let processes = isolate(&worker, processes, SandboxMode::Off, hidden).await?;
    let told = describe_processes(&processes);
    let worker = crate::worker::builder(worker, files, Egress::unrestricted())?
        .processes(processes)
        .plans(definitions.clone())
        .audit(definitions.clone())
        .build()
        .map_err(|error| CliError::Usage(error.to_string()))?;
    look_for_engine(worker.clone());
    let runtime = Handle::current();
    let hands = worker.clone();
    let options = Options {
        // Others may come and offer more.
        functions: key.is_none().then(|| worker.function_names()),
        unversioned: true,
        retention,
        event_ttl: inbound.event_ttl,
        webhook_secrets: inbound.webhook_secrets,
        archive,
        suspending,
        quotas,
        memory: Some(memory.budget()),
        data_dir,
        log: crate::log::control(),
        tracer,
        unscheduled,
        replaces: true,
        ..Options::default()
    };
    let start = move || {
        let journal = open_journal(options.data_dir.as_deref(), journal)?;
        let hands = Hands { worker: hands, outside: key };
        start(journal, hands, &definitions, runtime, options, secrets)
    };
    let started = tokio::task::spawn_blocking(start).await;
    let coordinator =
        started.map_err(|error| CliError::coded(&NOT_STARTED, &error.to_string()))??;
    Ok(Embedded { coordinator, worker, processes: told })
}

/// Looks for an engine of containers; nobody waits for one that most definitions do not need.
fn look_for_engine(worker: Worker) {
    tokio::spawn(async move {
        if let Err(problem) = worker.find_engine().await {
            let detail = problem.detail.as_deref().unwrap_or_default();
            tracing::debug!(detail, "no engine of containers");
        }
    });
}

fn open_journal(
    data_dir: Option<&Path>,
    journal: JournalOptions,
) -> Result<Arc<dyn Journal>, StartError> {
    let Some(directory) = data_dir else {
        return Ok(Arc::new(MemoryJournal::in_memory(limits::NEW_PARTITIONS)?));
    };
    let missing = journal.missing();
    let options =
        sled::Options { partitions: limits::NEW_PARTITIONS, missing, ..sled::Options::default() };
    Ok(Arc::new(SledJournal::open(directory, &options)?))
}

/// Who performs tasks.
struct Hands {
    /// The worker of this process.
    worker: Worker,
    /// By which key others are known, where they may come.
    outside: Option<CoordinatorKey>,
}

/// Opens the coordinator on its journal. Blocking.
fn start(
    journal: Arc<dyn Journal>,
    hands: Hands,
    definitions: &Definitions,
    runtime: Handle,
    options: Options,
    secrets: SecretsOptions,
) -> Result<Coordinator, StartError> {
    // The journal is locked: the directory is this process's alone.
    let secrets = crate::secret_options::open(secrets, None, &runtime)?;
    let options = Options { secrets: Some(secrets.clone()), ..options };
    let opened = Coordinator::open(journal, options, |catalog, reporter| {
        // Only this closure sets them, once.
        let _ = definitions.catalog.set(catalog.clone());
        let _ = definitions.secrets.set(secrets.clone());
        let Hands { worker, outside } = hands;
        let granter = Granter::new(secrets.clone(), catalog.clone());
        let offered = worker.function_names();
        let inside = queue::EmbeddedQueue::new(worker, granter, reporter.clone(), runtime.clone());
        let Some(key) = outside else { return Downstream::from(Arc::new(inside)) };
        let options = FleetOptions {
            prefix: Prefix::default(),
            key,
            lease: Duration::from_millis(limits::LEASE_MS),
            backlog: limits::BACKLOG,
        };
        let fleet = Fleet::open(None, options, catalog.clone(), &secrets, reporter, &runtime);
        Arc::new(queue::SplitQueue::new(inside, fleet, catalog.clone(), offered)).into()
    });
    Ok(opened?)
}

/// Why a coordinator in this process cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Keys, policy or audit trail.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Journal(error) => CoordinatorError::from(error).into(),
            StartError::Secrets(error) => Self::coded(&NOT_STARTED, &error.to_string()),
        }
    }
}

impl Embedded {
    /// Definitions with the functions of catalogs that they call; those that are deployed already
    /// have theirs, and nobody is asked for them again.
    ///
    /// # Errors
    /// When a function cannot be had; it was shown which.
    pub(crate) async fn with_functions(
        &self,
        definitions: Vec<Checked>,
    ) -> Result<Vec<Checked>, CliError> {
        let mut ready = Vec::with_capacity(definitions.len());
        for mut definition in definitions {
            if definition.wants_functions {
                let id = &definition.id;
                let workflow = WorkflowRef {
                    namespace: id.namespace.to_string(),
                    name: id.name.to_string(),
                    version: Some(id.version.to_string()),
                };
                let deployed = self.coordinator.definition(&workflow).await.ok();
                if !definition.is_deployed_as(deployed.as_deref()) {
                    definition = definition.with_functions(&self.worker).await?;
                }
            }
            ready.push(definition);
        }
        Ok(ready)
    }

    /// Stops worker and coordinator in an orderly way; what is open continues at the next start.
    pub(crate) async fn close(self) {
        // First, so that what is told of it is still recorded and audited.
        self.worker.released(Duration::from_millis(limits::RELEASE_MS)).await;
        let coordinator = self.coordinator;
        // Joining threads blocks; a panic in one of them was reported by it.
        let _ = tokio::task::spawn_blocking(move || coordinator.stop()).await;
    }
}
