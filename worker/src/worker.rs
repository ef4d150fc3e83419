//! A worker as the rest of the world holds it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use windlass_proto::limits;
use windlass_proto::metric::Snapshot;
use windlass_proto::plan::{Authentication, Plan};
use windlass_proto::problem::Problem;
use windlass_proto::wire::capability::{BUILT_IN, CONTAINER, Capability, MCP_STDIO};
use windlass_proto::wire::outcome::Outcome;
use windlass_proto::wire::{Assignment, Report};

use crate::audit::{AuditSink, NoAudit};
use crate::cache::Cache;
#[cfg(feature = "containers")]
use crate::container::{ContainerError, Containers};
use crate::counts::Counts;
use crate::error::WorkerError;
use crate::function::{BY_DATA, Call, Function, FunctionError, Functions};
use crate::http_client::{Clients, HttpOptions};
use crate::perform::{Ended, fetch, perform};
use crate::processes::ProcessOptions;
use crate::secret_store::{
    DevelopmentSecrets, SecretSource, SecretStore, StoreClock, WorkerAccess,
};
use crate::shared::{NoPlans, PlanSource, Shared, Warnings};
use crate::stand_in::StandIn;
use crate::token_cache::TokenCache;
use crate::trace::Traced;

/// Performs assignments. Cheap to clone; clones share connections and caches.
#[derive(Clone)]
pub struct Worker {
    shared: Arc<Shared>,
}

impl Worker {
    /// Starts to describe a worker: the default catalog's functions, no plans, no secrets.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            functions: Functions::default_catalog(),
            only_functions: false,
            plans: Arc::new(NoPlans),
            secrets: Arc::new(WorkerAccess::new(Arc::new(DevelopmentSecrets::new()))),
            audit: Arc::new(NoAudit),
            http: HttpOptions::default(),
            processes: ProcessOptions::default(),
            stand_in: None,
            more: Arc::new(|_| ()),
            observer: None,
        }
    }

    /// Performs `assignment` and reports what came of it: the transformed output, or a problem
    /// without instance. Ends at the assignment's deadline, or at the limits where it has none, or
    /// soon after `cancelled`; never panics. Must be called inside a tokio runtime.
    pub async fn perform(
        &self,
        mut assignment: Assignment,
        cancelled: CancellationToken,
    ) -> Report {
        loop {
            match self.try_perform(assignment, cancelled.clone()).await {
                Ok(report) => return report,
                Err(given_back) => assignment = *given_back,
            }
        }
    }

    /// As [`Self::perform`], but gives the assignment back untouched when it waited so long for
    /// room for audit events that its grant should be made anew.
    ///
    /// # Errors
    /// When there was no room; nothing was done then.
    pub async fn try_perform(
        &self,
        assignment: Assignment,
        cancelled: CancellationToken,
    ) -> Result<Report, Box<Assignment>> {
        let traced = Traced::attempt(&assignment, None);
        self.try_perform_traced(assignment, cancelled, traced).await
    }

    /// As [`Self::try_perform`], with the span of the attempt, which ends with the last clone.
    pub(crate) async fn try_perform_traced(
        &self,
        assignment: Assignment,
        cancelled: CancellationToken,
        traced: Traced,
    ) -> Result<Report, Box<Assignment>> {
        // Pinned: what is moved into another future takes its room in this one twice.
        let ended = {
            let performed = pin!(perform(&self.shared, &assignment, &cancelled));
            traced.follow(performed).await
        };
        match ended {
            Ended::Reported(Outcome { result, secrets, retry_after_ms }) => {
                traced.ended(&result);
                Ok(Report { key: assignment.key, result, secrets, retry_after_ms })
            }
            Ended::NotBegun => Err(Box::new(assignment)),
        }
    }

    /// Fetches the text at `url`, of at most `most` bytes, on behalf of the workflow of `plan`,
    /// with its secrets where `authentication` names any: for who deploys it. Retries nothing.
    ///
    /// # Errors
    /// When it cannot be had within the time that a call has; no secret is in what is said of it.
    pub async fn fetch(
        &self,
        plan: &Plan,
        url: &str,
        authentication: Option<Arc<Authentication>>,
        most: usize,
    ) -> Result<String, Problem> {
        fetch(&self.shared, plan, url, authentication, most).await
    }

    /// Waits until what tasks held of secrets has been given back, and servers with sessions know
    /// that those are over, `most` at longest: for the end of the process.
    pub async fn released(&self, most: Duration) {
        self.shared.releases.close();
        let released = async {
            self.shared.releases.wait().await;
            self.shared.secrets.close().await;
        };
        #[cfg(feature = "containers")]
        let released = async {
            let containers = async {
                if let Some(containers) = &self.shared.containers {
                    containers.ended().await;
                }
            };
            tokio::join!(released, containers);
        };
        // What is not given back ends by itself.
        let _ = tokio::time::timeout(most, released).await;
    }

    /// Asks the engine of containers whether it is there, where tasks may run any, and from then on
    /// removes containers whose worker is gone. Must be called inside a tokio runtime, once, before
    /// a fleet is told what the worker offers; [`Builder::serve`] does.
    ///
    /// # Errors
    /// What the engine lacks. Tasks that run containers fail then until it is there.
    pub async fn find_engine(&self) -> Result<(), Problem> {
        #[cfg(feature = "containers")]
        if let Some(containers) = &self.shared.containers {
            containers.sweep_regularly();
            containers.answers().await.map_err(ContainerError::problem)?;
            self.shared.engine_answers.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Gives back what tasks share of secrets as soon as none uses it: no more are taken.
    pub(crate) fn give_back_shared(&self) {
        let shared = self.shared.clone();
        self.shared.releases.spawn(async move { shared.secrets.close().await });
    }

    /// What the clock of its store of secrets showed last.
    pub(crate) fn store_clock(&self) -> Option<StoreClock> {
        self.shared.secrets.clock()
    }

    /// True when nothing that tasks held of secrets is still to be given back.
    pub(crate) fn holds_no_secret_session(&self) -> bool {
        self.shared.releases.is_empty() && self.shared.secrets.holds_nothing()
    }

    /// Adds what there is to tell of attempts and secrets, for monitoring.
    pub fn measured(&self, snapshot: &mut Snapshot) {
        self.shared.counts.measured(snapshot);
        self.shared.clients.measured(snapshot);
    }

    /// Names of the functions this worker has, in alphabetical order.
    #[must_use]
    pub fn function_names(&self) -> Vec<Arc<str>> {
        self.shared.functions.names()
    }

    /// What isolates the programs that it runs, where it runs any.
    pub(crate) fn isolation(&self) -> Option<Arc<str>> {
        let processes = &self.shared.processes;
        let runs = processes.any() && !self.shared.only_functions;
        runs.then(|| processes.describe_isolation().into())
    }

    /// What it offers a fleet.
    pub(crate) fn capabilities(&self) -> Vec<Arc<str>> {
        let function = |name: Arc<str>| Arc::from(Capability::Function(name).to_string());
        let functions = &self.shared.functions;
        if self.shared.only_functions {
            return functions.added().into_iter().map(function).collect();
        }
        let names = functions.names().into_iter().chain([Arc::from(BY_DATA)]);
        // A task waits for a worker that may run it, rather than fail on one that may not.
        let allowed = |it: &&&str| match **it {
            "shell" => self.shared.processes.shell,
            "script" => self.shared.processes.script,
            MCP_STDIO => self.shared.processes.mcp,
            // Here and now: what no engine runs would only fail.
            CONTAINER => self.shared.engine_answers.load(Ordering::Relaxed),
            _ => true,
        };
        let built_in = BUILT_IN.iter().filter(allowed).map(|it| Arc::from(*it));
        built_in.chain(names.map(function)).collect()
    }
}

/// Gives what there is to tell of a worker at the moment.
pub type MetricSource = Arc<dyn Fn() -> Snapshot + Send + Sync>;

/// Adds what there is to tell of something.
pub(crate) type Measure = Arc<dyn Fn(&mut Snapshot) + Send + Sync>;

/// Describes a worker.
pub struct Builder {
    functions: Functions,
    only_functions: bool,
    plans: Arc<dyn PlanSource>,
    secrets: Arc<dyn SecretSource>,
    audit: Arc<dyn AuditSink>,
    http: HttpOptions,
    processes: ProcessOptions,
    stand_in: Option<Arc<dyn StandIn>>,
    /// Who measures what else there is to tell.
    pub(crate) more: Measure,
    /// Who is given what the worker tells.
    pub(crate) observer: Option<Box<dyn FnOnce(MetricSource) + Send>>,
}

impl Builder {
    /// Adds a function that definitions call by `name`; see [`Function::new`]. The names of the
    /// default catalog and those added already are taken: see [`Function::replacing`].
    ///
    /// ```
    /// # use windlass_worker::{Call, FunctionError, Worker};
    /// #[derive(serde::Deserialize)]
    /// struct Charge { card: String, cents: u64 }
    /// #[derive(serde::Serialize)]
    /// struct Receipt { number: String }
    ///
    /// let builder = Worker::builder().function("charge-card", |charge: Charge, call: Call| async move {
    ///     if charge.cents == 0 {
    ///         return Err(FunctionError::new("https://example.com/errors/amount", 422));
    ///     }
    ///     Ok(Receipt { number: call.idempotency_key() })
    /// });
    /// # assert!(builder.build().is_ok());
    /// ```
    #[must_use]
    pub fn function<H, I, O, F>(self, name: &str, handler: H) -> Self
    where
        H: Fn(I, Call) -> F + Send + Sync + 'static,
        I: DeserializeOwned + 'static,
        O: Serialize + 'static,
        F: Future<Output = Result<O, FunctionError>> + Send + 'static,
    {
        self.offer(Function::new(name, handler))
    }

    /// Adds a function that was described.
    #[must_use]
    pub fn offer(mut self, function: Function) -> Self {
        self.functions.add(function);
        self
    }

    /// Offers a fleet the added functions and nothing else: no HTTP calls, no scripts, no default
    /// catalog. Other workers must be there for those.
    #[must_use]
    pub fn only_functions(mut self) -> Self {
        self.only_functions = true;
        self
    }

    /// Where plans come from.
    #[must_use]
    pub fn plans(mut self, plans: Arc<dyn PlanSource>) -> Self {
        self.plans = plans;
        self
    }

    /// A store of secrets that the worker reads with rights of its own.
    #[must_use]
    pub fn secrets(self, secrets: Arc<dyn SecretStore>) -> Self {
        self.secret_source(Arc::new(WorkerAccess::new(secrets)))
    }

    /// Where secrets come from.
    #[must_use]
    pub fn secret_source(mut self, secrets: Arc<dyn SecretSource>) -> Self {
        self.secrets = secrets;
        self
    }

    /// Where to tell what is done with secrets. A worker of a fleet tells its coordinator instead.
    #[must_use]
    pub fn audit(mut self, audit: Arc<dyn AuditSink>) -> Self {
        self.audit = audit;
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

    /// Who answers calls in place of the world: for workflows that are tried out.
    #[must_use]
    pub fn stand_in(mut self, stand_in: Arc<dyn StandIn>) -> Self {
        self.stand_in = Some(stand_in);
        self
    }

    /// Adds what `measure` tells to the metrics of a worker of a fleet.
    #[must_use]
    pub fn measuring(mut self, measure: impl Fn(&mut Snapshot) + Send + Sync + 'static) -> Self {
        self.more = Arc::new(measure);
        self
    }

    /// Gives `observer` the metrics of a worker of a fleet once it is set up: for who pushes them,
    /// where `/metrics` is not enough.
    #[must_use]
    pub fn observed(mut self, observer: impl FnOnce(MetricSource) + Send + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Makes the worker.
    ///
    /// # Errors
    /// When a file of certificates cannot be read, or a function cannot have its name.
    pub fn build(self) -> Result<Worker, WorkerError> {
        let shared = Shared {
            functions: self.functions.checked()?,
            only_functions: self.only_functions,
            plans: self.plans,
            secrets: self.secrets,
            audit: self.audit,
            releases: TaskTracker::new(),
            clients: Clients::new(self.http)?,
            #[cfg(feature = "containers")]
            containers: self.processes.containers.clone().map(|it| Arc::new(Containers::new(it))),
            processes: self.processes,
            engine_answers: AtomicBool::new(false),
            tokens: TokenCache::new(),
            documents: Cache::weighing(limits::CACHED_RESOURCES, limits::CACHED_RESOURCE_BYTES),
            stateless_mcp: Cache::new(limits::KNOWN_MCP_SERVERS),
            older_agents: Cache::new(limits::KNOWN_A2A_AGENTS),
            protos: Cache::weighing(limits::CACHED_PROTOS, limits::CACHED_PROTO_BYTES),
            reflected: Cache::weighing(limits::CACHED_PROTOS, limits::CACHED_PROTO_BYTES),
            warnings: Warnings::default(),
            counts: Counts::default(),
            stand_in: self.stand_in,
        };
        Ok(Worker { shared: Arc::new(shared) })
    }
}
