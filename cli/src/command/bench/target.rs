//! What is measured: a coordinator in this process, or a server.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use windlass_coordinator::catalog::Unsupported;
use windlass_coordinator::coordinator::{
    Coordinator, CoordinatorError, Operator, Outcome, Start, StartPolicy, Started, WorkflowRef,
};
use windlass_coordinator::retention::RetentionPolicy;
use windlass_coordinator::trace::Tracer;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::limits::{API_PAGE, API_WAIT_MS};
use windlass_proto::value::Value;

use super::fleet::FleetBench;
use super::measure::{self, Usage};
use super::store::Store;
use super::workload::{self, Load};
use crate::client::Client;
use crate::code::{BENCH_FAILED, NOT_STARTED};
use crate::embedded::{self, Embedded, EmbeddedOptions};
use crate::error::CliError;
use crate::options::{InboundOptions, ProfileOptions, Remote, WorkerOptions};
use crate::telemetry;
use crate::worker::Files;

/// The longest that a workflow may take: the deepest queue is worked off sooner.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often a start is repeated when there is too much work, and the pause before it.
const RETRIES: u32 = 300;
const PAUSE: Duration = Duration::from_secs(1);

/// What is measured.
pub(super) enum Target {
    /// In this process.
    Local(Box<Local>),
    /// Elsewhere.
    Server(Arc<Server>),
}

/// A coordinator in this process.
pub(super) struct Local {
    system: System,
    coordinator: Coordinator,
    directory: PathBuf,
    start: Start,
    expected: Value,
    /// Where its worker finds secrets.
    store: Option<Store>,
    /// Removed when dropped.
    _temporary: Option<TempDir>,
}

/// What performs the tasks of a local coordinator.
enum System {
    Embedded(Embedded),
    Fleet(FleetBench),
}

/// Where the workers of a local coordinator are: processes of their own, behind NATS.
#[derive(Clone, Copy)]
pub(super) struct Workers<'a> {
    pub(super) nats: &'a str,
    pub(super) count: u32,
}

/// A server.
pub(super) struct Server {
    client: Client,
    start: Json,
    expected: Json,
    /// Tells the events of this run from those of others.
    name: String,
}

/// Opens what is to be measured and deploys the definition.
pub(super) async fn open(
    load: &Load,
    remote: Option<&str>,
    data_dir: Option<&Path>,
    workers: Option<Workers<'_>>,
) -> Result<Target, CliError> {
    match remote {
        Some(url) => Ok(Target::Server(Arc::new(Server::open(load, url).await?))),
        None => Ok(Target::Local(Box::new(Local::open(load, data_dir, workers).await?))),
    }
}

impl Target {
    /// Runs one workflow and checks its output; returns its id.
    pub(super) async fn run(&self) -> Result<String, CliError> {
        match self {
            Self::Local(local) => local.run().await,
            Self::Server(server) => {
                let (status, answer) = server.start(Some(PATIENCE)).await?;
                match status {
                    StatusCode::OK => server.check(&answer)?,
                    _ => server.finish(&answer).await?,
                }
                Ok(answer["id"].as_str().unwrap_or_default().to_owned())
            }
        }
    }

    /// Reads one page of a workflow's history: how many entries it has, and where the next one
    /// begins.
    pub(super) async fn page(&self, id: &str, from: u64) -> Result<(usize, Option<u64>), CliError> {
        match self {
            Self::Local(local) => {
                let id = id.parse().map_err(|_| wrong("it has no id"))?;
                let page = local.coordinator.history(id, from, API_PAGE).await?;
                Ok((page.entries.len(), page.next))
            }
            Self::Server(server) => {
                let query = [("from", from.to_string()), ("limit", API_PAGE.to_string())];
                let page = server.client.get(&["v1", "instances", id, "history"], &query).await?;
                Ok((page["items"].as_array().map_or(0, Vec::len), page["next"].as_u64()))
            }
        }
    }

    /// Starts the listener with this number; it listens when this returns.
    pub(super) async fn listen(&self, number: u64) -> Result<(), CliError> {
        match self {
            Self::Local(local) => local.listen(number).await,
            Self::Server(server) => {
                let start = json!({
                    "workflow": server.start["workflow"], "input": workload::listener(number),
                });
                server.post(&["v1", "instances"], &start).await.map(drop)
            }
        }
    }

    /// Sends an event that one listener must consume.
    pub(super) async fn event(&self, number: u64, listener: u64) -> Result<(), CliError> {
        let consumed = match self {
            Self::Local(local) => local.event(number, listener).await?,
            Self::Server(server) => {
                let event = workload::event(&server.name, number, listener);
                server.post(&["v1", "events"], &event).await?.1["consumed"].as_u64().unwrap_or(0)
            }
        };
        match consumed {
            1 => Ok(()),
            consumed => Err(wrong(&format!("an event was consumed {consumed} times"))),
        }
    }

    /// The server, when that is what is measured.
    pub(super) fn server(&self) -> Option<Arc<Server>> {
        match self {
            Self::Local(_) => None,
            Self::Server(server) => Some(server.clone()),
        }
    }

    /// What each workflow is started with, when the coordinator is in this process.
    pub(super) fn start(&self) -> Option<&Start> {
        match self {
            Self::Local(local) => Some(&local.start),
            Self::Server(_) => None,
        }
    }

    /// The coordinator, when it is in this process.
    pub(super) fn coordinator(&self) -> Option<&Coordinator> {
        match self {
            Self::Local(local) => Some(&local.coordinator),
            Self::Server(_) => None,
        }
    }

    /// Where the journal is, when it is here.
    pub(super) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Local(local) => Some(&local.directory),
            Self::Server(_) => None,
        }
    }

    /// The processes of its workers, where they are not in this one.
    fn processes(&self) -> Vec<u32> {
        match self {
            Self::Local(local) => match &local.system {
                System::Embedded(_) => Vec::new(),
                System::Fleet(fleet) => fleet.processes(),
            },
            Self::Server(_) => Vec::new(),
        }
    }

    /// What it has used until now.
    pub(super) fn usage(&self) -> Usage {
        Usage::now(&self.processes(), self.directory())
    }

    /// CPU time of the store of secrets until now, where there is one to measure.
    pub(super) fn store_cpu(&self) -> Option<Duration> {
        match self {
            Self::Local(local) => measure::cpu_of(local.store.as_ref()?.process()?),
            Self::Server(_) => None,
        }
    }

    /// Stops it, if it is ours.
    pub(super) async fn close(self) {
        if let Self::Local(local) = self {
            match local.system {
                System::Embedded(embedded) => embedded.close().await,
                System::Fleet(fleet) => fleet.close().await,
            }
        }
    }
}

impl Local {
    async fn open(
        load: &Load,
        data_dir: Option<&Path>,
        workers: Option<Workers<'_>>,
    ) -> Result<Self, CliError> {
        let (directory, temporary) = match data_dir {
            Some(directory) => (directory.to_owned(), None),
            None => {
                let temporary = tempfile::Builder::new().prefix("windlass-bench-").tempdir();
                let temporary = temporary.map_err(|error| {
                    let detail = format!("no temporary directory: {error}; give --data-dir");
                    CliError::coded(&NOT_STARTED, &detail)
                })?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let store = match &load.secrets {
            Some(way) => Some(Store::start(way).await?),
            None => None,
        };
        // As the variables say: what it costs is one of the things to measure.
        let tracer = telemetry::tracer();
        let (system, coordinator) = match workers {
            Some(Workers { nats, count }) => {
                let fleet = FleetBench::open(&directory, nats, count, tracer).await?;
                let coordinator = fleet.coordinator.clone();
                (System::Fleet(fleet), coordinator)
            }
            None => embedded(&directory, store.as_ref(), (tracer, load.scheduled)).await?,
        };
        if let Some(store) = &store {
            store.admit(&coordinator.identity_keys()).await?;
        }
        let deployed = coordinator
            .deploy(load.definition.to_string(), Unsupported::Refuse, Operator::default())
            .await?;
        let workflow = WorkflowRef {
            namespace: deployed.workflow.namespace.to_string(),
            name: deployed.workflow.name.to_string(),
            version: Some(deployed.workflow.version.to_string()),
        };
        let input = load.input.clone();
        let start = Start {
            workflow,
            input,
            id: None,
            idempotency_key: None,
            policy: StartPolicy::default(),
            labels: Vec::new(),
            priority: None,
            trace: None,
        };
        let expected = load.expected.clone();
        Ok(Self { system, coordinator, directory, start, expected, store, _temporary: temporary })
    }

    async fn listen(&self, number: u64) -> Result<(), CliError> {
        let input = serde_json::from_value(workload::listener(number)).unwrap_or_default();
        let start = Start { input, ..self.start.clone() };
        patiently(|| self.coordinator.start(start.clone())).await?;
        Ok(())
    }

    async fn event(&self, number: u64, listener: u64) -> Result<u64, CliError> {
        let value = serde_json::from_value(workload::event("local", number, listener));
        let event = CloudEvent::from_value(value.unwrap_or_default());
        let event = event.map_err(|error| wrong(&error.to_string()))?;
        let receipt = patiently(|| self.coordinator.event(event.clone())).await?;
        Ok(receipt.consumed as u64)
    }

    async fn run(&self) -> Result<String, CliError> {
        let (started, outcome) = attempt(&self.coordinator, &self.start).await?;
        match outcome {
            Some(Outcome::Completed(output)) if output == self.expected => {
                Ok(started.id.to_string())
            }
            Some(Outcome::Completed(output)) => Err(wrong(&format!("it gave {output}"))),
            Some(Outcome::Faulted(problem)) => Err(wrong(&format!("it faulted: {problem}"))),
            Some(Outcome::Cancelled) => Err(wrong("it was cancelled")),
            None => Err(wrong(&format!("it had not ended after {} s", PATIENCE.as_secs()))),
        }
    }
}

/// A coordinator with its worker in this process.
async fn embedded(
    directory: &Path,
    store: Option<&Store>,
    (tracer, scheduled): (Option<Tracer>, bool),
) -> Result<(System, Coordinator), CliError> {
    let secrets_config = store.map(Store::workers_config);
    let worker = WorkerOptions { secrets_config, ..WorkerOptions::default() };
    let (data_dir, files, retention) =
        (Some(directory.to_owned()), Files::default(), RetentionPolicy::default());
    let (journal, quotas, secrets, identity, memory) = Default::default();
    let options = EmbeddedOptions {
        data_dir,
        journal,
        worker,
        hidden: Vec::new(),
        files,
        retention,
        inbound: InboundOptions::default(),
        archive: None,
        suspending: Vec::new(),
        quotas,
        secrets,
        identity,
        memory,
        unscheduled: !scheduled,
        outside: embedded::Outside::Nobody,
        tracer,
    };
    let embedded = embedded::open(options).await?;
    let coordinator = embedded.coordinator.clone();
    Ok((System::Embedded(embedded), coordinator))
}

/// Runs a workflow.
pub(super) async fn attempt(
    coordinator: &Coordinator,
    start: &Start,
) -> Result<(Started, Option<Outcome>), CoordinatorError> {
    let run = || coordinator.run(start.clone(), PATIENCE);
    patiently(run).await
}

/// Does something at a coordinator; waits and tries again while there is too much work.
async fn patiently<T, F>(act: impl Fn() -> F) -> Result<T, CoordinatorError>
where
    F: Future<Output = Result<T, CoordinatorError>>,
{
    let mut tries = 0;
    loop {
        match act().await {
            Err(CoordinatorError::Overloaded(pause)) if tries < RETRIES => {
                tries += 1;
                tokio::time::sleep(pause).await;
            }
            other => return other,
        }
    }
}

impl Server {
    async fn open(load: &Load, url: &str) -> Result<Self, CliError> {
        let client =
            Client::new(&Remote::at(Some(url.to_owned()), ProfileOptions::of_environment()))?;
        let request = client
            .request(Method::POST, &["v1", "workflows"])
            .header(CONTENT_TYPE, "application/yaml")
            .body(load.definition.to_string());
        client.send(request).await?;
        let workflow = json!({"namespace": load.namespace(), "name": load.name});
        let start = json!({ "workflow": workflow, "input": load.input });
        let name = uuid::Uuid::new_v4().to_string();
        Ok(Self { client, start, expected: json!(load.expected), name })
    }

    /// Starts a workflow, and waits at most `wait` for its end; tries again while there is too much
    /// work.
    pub(super) async fn start(
        &self,
        wait: Option<Duration>,
    ) -> Result<(StatusCode, Json), CliError> {
        let wait = wait.map(|wait| [("wait", slice(wait))]);
        self.patiently(|| {
            let request = self.client.request(Method::POST, &["v1", "instances"]);
            let request = match &wait {
                Some(wait) => request.query(wait),
                None => request,
            };
            request.json(&self.start)
        })
        .await
    }

    async fn post(&self, path: &[&str], body: &Json) -> Result<(StatusCode, Json), CliError> {
        self.patiently(|| self.client.request(Method::POST, path).json(body)).await
    }

    /// Sends a request; tries again while there is too much work.
    async fn patiently(
        &self,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<(StatusCode, Json), CliError> {
        let mut tries = 0;
        loop {
            match self.client.send(request()).await {
                Err(error) if is_overload(&error) && tries < RETRIES => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                other => return other,
            }
        }
    }

    /// Waits for the end of a workflow that was started, and checks its output.
    pub(super) async fn finish(&self, started: &Json) -> Result<(), CliError> {
        let id = started["id"].as_str().unwrap_or_default();
        let mut tries = 0;
        loop {
            let request = self.client.request(Method::GET, &["v1", "instances", id, "output"]);
            match self.client.send(request.query(&[("wait", slice(PATIENCE))])).await {
                Ok((StatusCode::OK, answer)) => return self.check(&answer),
                Ok(_) if tries < RETRIES => tries += 1,
                Err(error) if is_overload(&error) && tries < RETRIES => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Ok((_, answer)) => return Err(wrong(&format!("it is still {answer}"))),
                Err(error) => return Err(error),
            }
        }
    }

    fn check(&self, answer: &Json) -> Result<(), CliError> {
        if answer["status"] == "completed" && answer["output"] == self.expected {
            return Ok(());
        }
        Err(wrong(&format!("it gave {answer}")))
    }
}

/// One request's share of a wait.
fn slice(wait: Duration) -> String {
    format!("{}ms", wait.min(Duration::from_millis(API_WAIT_MS)).as_millis())
}

fn is_overload(error: &CliError) -> bool {
    matches!(error, CliError::Problem(problem) if problem["status"] == 429)
}

fn wrong(what: &str) -> CliError {
    /// Characters shown; a fork gives a thousand outputs.
    const SHOWN: usize = 400;
    let what: String = what.chars().take(SHOWN).collect();
    CliError::coded(&BENCH_FAILED, &format!("a workflow did not do what it should: {what}"))
}
