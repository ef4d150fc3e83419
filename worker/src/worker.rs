//! A worker as the rest of the world holds it.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use windlass_proto::id::Digest;
use windlass_proto::limits;
use windlass_proto::plan::Plan;
use windlass_proto::value::Value;
use windlass_proto::wire::{Assignment, Report};

use crate::authentication::TokenCache;
use crate::cache::Cache;
use crate::function::{FunctionError, FunctionInput, Functions};
use crate::http_client::{Clients, HttpOptions};
use crate::lease::{DevelopmentSecrets, SecretStore};
use crate::perform::{ProcessOptions, perform};
use crate::resource::ResourceCache;

/// Gives the plans that assignments name.
pub trait PlanSource: Send + Sync {
    /// The plan of `digest`; none when it is not known here.
    fn plan(&self, digest: &Digest) -> Option<Arc<Plan>>;
}

/// A plan source that has no plan.
struct NoPlans;

impl PlanSource for NoPlans {
    fn plan(&self, _digest: &Digest) -> Option<Arc<Plan>> {
        None
    }
}

/// Performs assignments. Cheap to clone; clones share connections and caches.
#[derive(Clone)]
pub struct Worker {
    inner: Arc<Inner>,
}

/// What all clones of a worker share.
pub(crate) struct Inner {
    pub(crate) functions: Functions,
    pub(crate) plans: Arc<dyn PlanSource>,
    pub(crate) secrets: Arc<dyn SecretStore>,
    pub(crate) clients: Clients,
    pub(crate) processes: ProcessOptions,
    pub(crate) tokens: TokenCache,
    pub(crate) resources: ResourceCache,
}

/// Why a worker could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A file of certificates cannot be used.
    #[error("cannot use the certificates in {path}: {reason}")]
    Certificates {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Worker {
    /// Starts to describe a worker: the default catalog's functions, no plans, no secrets.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            functions: Functions::default_catalog(),
            plans: Arc::new(NoPlans),
            secrets: Arc::new(DevelopmentSecrets::new()),
            http: HttpOptions::default(),
            processes: ProcessOptions::default(),
        }
    }

    /// Performs `assignment` and reports what came of it: the transformed output, or a problem
    /// without instance. Ends at the assignment's deadline, or at the limits where it has none, or
    /// soon after `cancelled`; never panics. Must be called inside a tokio runtime.
    pub async fn perform(&self, assignment: Assignment, cancelled: CancellationToken) -> Report {
        let result = perform(&self.inner, &assignment, &cancelled).await;
        Report { key: assignment.key, result }
    }

    /// Names of the functions this worker has, in alphabetical order.
    #[must_use]
    pub fn function_names(&self) -> Vec<Arc<str>> {
        self.inner.functions.names()
    }
}

/// Describes a worker.
pub struct Builder {
    functions: Functions,
    plans: Arc<dyn PlanSource>,
    secrets: Arc<dyn SecretStore>,
    http: HttpOptions,
    processes: ProcessOptions,
}

impl Builder {
    /// Adds a function that definitions call by `name`; replaces one of that name.
    #[must_use]
    pub fn function<H, F>(mut self, name: &str, handler: H) -> Self
    where
        H: Fn(FunctionInput) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Value, FunctionError>> + Send + 'static,
    {
        self.functions.add(name, handler);
        self
    }

    /// Where plans come from.
    #[must_use]
    pub fn plans(mut self, plans: Arc<dyn PlanSource>) -> Self {
        self.plans = plans;
        self
    }

    /// Where secrets come from.
    #[must_use]
    pub fn secrets(mut self, secrets: Arc<dyn SecretStore>) -> Self {
        self.secrets = secrets;
        self
    }

    /// How HTTP is spoken.
    #[must_use]
    pub fn http(mut self, options: HttpOptions) -> Self {
        self.http = options;
        self
    }

    /// Which processes may be run, and how.
    #[must_use]
    pub fn processes(mut self, options: ProcessOptions) -> Self {
        self.processes = options;
        self
    }

    /// Makes the worker.
    ///
    /// # Errors
    /// When a file of certificates cannot be read.
    pub fn build(self) -> Result<Worker, WorkerError> {
        let inner = Inner {
            functions: self.functions,
            plans: self.plans,
            secrets: self.secrets,
            clients: Clients::new(self.http)?,
            processes: self.processes,
            tokens: Cache::new(limits::CACHED_TOKENS),
            resources: Cache::new(limits::CACHED_RESOURCES),
        };
        Ok(Worker { inner: Arc::new(inner) })
    }
}
