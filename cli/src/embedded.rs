//! Coordinator, queue and worker in this process: the one place that puts them together.

use std::path::PathBuf;

use windlass_coordinator::coordinator::Coordinator;

use crate::code::NOT_STARTED;
use crate::error::CliError;
use crate::options::WorkerOptions;

/// What to put together.
pub(crate) struct EmbeddedOptions {
    /// Where the journal is; none keeps nothing.
    pub(crate) data_dir: Option<PathBuf>,
    /// What the worker may do and knows.
    pub(crate) worker: WorkerOptions,
    /// Directory below which `file:` resources are read.
    pub(crate) files: Option<PathBuf>,
}

/// Coordinator, queue and worker, running.
pub(crate) struct Embedded {
    /// The handle to call.
    pub(crate) coordinator: Coordinator,
}

/// Starts coordinator, queue and worker.
///
/// # Errors
/// When an option makes no sense (bad usage), or a part cannot be set up.
#[allow(clippy::unused_async)]
pub(crate) async fn open(options: EmbeddedOptions) -> Result<Embedded, CliError> {
    let EmbeddedOptions { data_dir, worker, files } = options;
    let _ = (data_dir, crate::worker::builder(worker, files)?);
    Err(CliError::coded(&NOT_STARTED, "the embedded coordinator is not wired yet"))
}

impl Embedded {
    /// Stops worker and coordinator in an orderly way; what is open continues at the next start.
    #[allow(clippy::unused_async)]
    pub(crate) async fn close(self) {
        drop(self.coordinator);
    }
}
