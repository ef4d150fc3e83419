//! Coordinator, queue and worker in this process: the one place that puts them together.

mod queue;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use windlass_coordinator::catalog::Catalog;
use windlass_coordinator::coordinator::{Coordinator, Options};
use windlass_coordinator::journal::memory::MemoryJournal;
use windlass_coordinator::journal::sled::{self, SledJournal};
use windlass_coordinator::journal::{Journal, JournalError};
use windlass_proto::id::Digest;
use windlass_proto::limits;
use windlass_proto::plan::Plan;
use windlass_worker::{PlanSource, Worker};

use crate::code::NOT_STARTED;
use crate::error::CliError;
use crate::options::WorkerOptions;

/// Partitions of a new journal: one process has little use for more, and each more makes the
/// groups that share an fdatasync smaller.
pub(crate) const PARTITIONS: u16 = 2;

/// What to put together.
pub(crate) struct EmbeddedOptions {
    /// Where the journal is; none keeps nothing.
    pub(crate) data_dir: Option<PathBuf>,
    /// What the worker may do and knows.
    pub(crate) worker: WorkerOptions,
    /// Directory below which `file:` resources are read.
    pub(crate) files: Option<PathBuf>,
    /// How long ended instances are kept; none keeps them for ever.
    pub(crate) retention: Option<Duration>,
}

/// Coordinator, queue and worker, running.
pub(crate) struct Embedded {
    /// The handle to call.
    pub(crate) coordinator: Coordinator,
    worker: Worker,
}

/// Definitions for the worker, straight from the coordinator's catalog.
struct Definitions(std::sync::OnceLock<Arc<Catalog>>);

impl PlanSource for Definitions {
    fn plan(&self, digest: &Digest) -> Option<Arc<Plan>> {
        self.0.get()?.plan(digest)
    }
}

/// Starts coordinator, queue and worker.
///
/// # Errors
/// When an option makes no sense (bad usage), or a part cannot be set up.
pub(crate) async fn open(options: EmbeddedOptions) -> Result<Embedded, CliError> {
    let EmbeddedOptions { data_dir, worker, files, retention } = options;
    let definitions = Arc::new(Definitions(std::sync::OnceLock::new()));
    let worker = crate::worker::builder(worker, files)?
        .plans(definitions.clone())
        .build()
        .map_err(|error| CliError::Usage(error.to_string()))?;
    let runtime = Handle::current();
    let hands = worker.clone();
    let start = move || start(data_dir.as_deref(), hands, &definitions, runtime, retention);
    let started = tokio::task::spawn_blocking(start).await;
    let coordinator = started
        .map_err(|error| CliError::coded(&NOT_STARTED, &error.to_string()))?
        .map_err(|error| CliError::coded(&NOT_STARTED, &error.to_string()))?;
    Ok(Embedded { coordinator, worker })
}

/// Opens the journal, then the coordinator on it. Blocking.
fn start(
    data_dir: Option<&Path>,
    worker: Worker,
    definitions: &Definitions,
    runtime: Handle,
    retention: Option<Duration>,
) -> Result<Coordinator, JournalError> {
    let journal: Arc<dyn Journal> = match data_dir {
        Some(directory) => {
            let options = sled::Options { partitions: PARTITIONS, ..sled::Options::default() };
            Arc::new(SledJournal::open(directory, &options)?)
        }
        None => Arc::new(MemoryJournal::in_memory(PARTITIONS)?),
    };
    let options = Options {
        functions: Some(worker.function_names()),
        strict: false,
        retention,
        losses: None,
    };
    Coordinator::open(journal, options, |catalog, reporter| {
        // Only this closure sets it, once.
        let _ = definitions.0.set(catalog.clone());
        Arc::new(queue::EmbeddedQueue::new(worker, reporter, runtime))
    })
}

impl Embedded {
    /// Stops worker and coordinator in an orderly way; what is open continues at the next start.
    pub(crate) async fn close(self) {
        // First, so that what is told of it is still recorded.
        self.worker.released(Duration::from_millis(limits::RELEASE_MS)).await;
        let coordinator = self.coordinator;
        // Joining threads blocks; a panic in one of them was reported by it.
        let _ = tokio::task::spawn_blocking(move || coordinator.stop()).await;
    }
}
