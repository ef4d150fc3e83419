//! A fleet to measure: the coordinator in this process, its workers in processes of their own, NATS
//! between them.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use windlass_coordinator::coordinator::{Coordinator, Options};
use windlass_coordinator::fleet::{Fleet, FleetOptions};
use windlass_coordinator::journal::JournalError;
use windlass_coordinator::journal::sled::{self, SledJournal};
use windlass_coordinator::secrets::{Secrets, SecretsOptions};
use windlass_coordinator::trace::Tracer;
use windlass_proto::limits;
use windlass_proto::wire::key::CoordinatorKey;
use windlass_proto::wire::subject::Prefix;
use windlass_worker::fleet::bus::{Bus, BusOptions};

use crate::code::NOT_STARTED;
use crate::error::CliError;

/// How long NATS and the workers may take to be there.
const START: Duration = Duration::from_secs(30);

/// A fleet that runs.
pub(super) struct FleetBench {
    pub(super) coordinator: Coordinator,
    workers: Vec<Child>,
}

impl FleetBench {
    /// Starts it on a journal in `directory`, under a name of its own on the bus.
    pub(super) async fn open(
        directory: &Path,
        url: &str,
        workers: u32,
        tracer: Option<Tracer>,
    ) -> Result<Self, CliError> {
        let name = format!("bench-{}", uuid::Uuid::new_v4().simple());
        let prefix: Prefix = name.parse().map_err(|error| failed(&error))?;
        let key = CoordinatorKey::generate();
        let worker_key = key.worker_key(None).to_text();
        let options = BusOptions { url: url.to_owned(), name, ..BusOptions::default() };
        let bus = Bus::connect(&options).await.map_err(|error| failed(&error))?;
        if !bus.ready(START).await {
            return Err(failed(&format!("no NATS server answers at {url}")));
        }
        let lease = Duration::from_millis(limits::LEASE_MS);
        let fleet = FleetOptions { prefix: prefix.clone(), key, lease, backlog: usize::MAX };
        let (directory, runtime) = (directory.to_owned(), Handle::current());
        let open = move || {
            let settings =
                sled::Options { partitions: limits::NEW_PARTITIONS, ..sled::Options::default() };
            let journal = Arc::new(SledJournal::open(&directory, &settings)?);
            let secrets = Secrets::open(SecretsOptions::default(), None)
                .map_err(|error| JournalError::Store(error.to_string()))?;
            let secrets = Arc::new(secrets);
            let options = Options { secrets: Some(secrets.clone()), tracer, ..Options::default() };
            Coordinator::open(journal, options, |catalog, reporter| {
                let catalog = catalog.clone();
                Arc::new(Fleet::open(bus, fleet, catalog, &secrets, reporter, &runtime))
            })
        };
        let opened = tokio::task::spawn_blocking(open).await.map_err(|error| failed(&error))?;
        let coordinator = opened.map_err(|error| failed(&error))?;
        let program = std::env::current_exe().map_err(|error| failed(&error))?;
        let spawn = |_| {
            Command::new(&program)
                .args(["worker", "--nats", url, "--bus", &prefix.to_string()])
                .env("WINDLASS_WORKER_KEY", &*worker_key)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
        };
        let spawned = (0..workers).map(spawn).collect::<Result<Vec<_>, _>>();
        let fleet = Self { coordinator, workers: spawned.map_err(|error| failed(&error))? };
        fleet.joined().await?;
        Ok(fleet)
    }

    /// Waits until all workers are there.
    async fn joined(&self) -> Result<(), CliError> {
        let begun = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while begun.elapsed() < START {
            ticks.tick().await;
            let view = self.coordinator.fleet().await;
            let ready =
                view.map_or(0, |it| it.workers.iter().filter(|it| it.state == "ready").count());
            if ready == self.workers.len() {
                return Ok(());
            }
        }
        Err(failed(&"the workers did not join in time"))
    }

    /// The processes of the workers.
    pub(super) fn processes(&self) -> Vec<u32> {
        self.workers.iter().filter_map(Child::id).collect()
    }

    /// Ends workers and coordinator.
    pub(super) async fn close(mut self) {
        for worker in &mut self.workers {
            // It is gone already, or goes now.
            let _ = worker.kill().await;
        }
        let coordinator = self.coordinator;
        let _ = tokio::task::spawn_blocking(move || coordinator.stop()).await;
    }
}

fn failed(error: &dyn std::fmt::Display) -> CliError {
    CliError::coded(&NOT_STARTED, &error.to_string())
}
