//! The queues of one process: assignments go to the worker in it, as tasks of its runtime, or, for
//! functions that it has not, to workers that ask over HTTP.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use windlass_coordinator::catalog::Catalog;
use windlass_coordinator::clock;
use windlass_coordinator::dispatch::http::HttpWorkers;
use windlass_coordinator::dispatch::{FleetView, Queue, Reporter, Verdict, Whereabouts};
use windlass_coordinator::fleet::Fleet;
use windlass_coordinator::secrets::Granter;
use windlass_proto::limits;
use windlass_proto::metric::Snapshot;
use windlass_proto::wire::capability::Capability;
use windlass_proto::wire::{Assignment, AssignmentKey, Report};
use windlass_worker::{CancellationToken, Worker};

/// Hands assignments to a worker in the same process.
pub(super) struct EmbeddedQueue {
    shared: Arc<Shared>,
    runtime: Handle,
}

struct Shared {
    worker: Worker,
    granter: Granter,
    reporter: Reporter,
    permits: Semaphore,
    running: Mutex<HashMap<AssignmentKey, CancellationToken>>,
}

impl EmbeddedQueue {
    /// A queue to `worker`, whose tasks run on `runtime` and may do with secrets what `granter`
    /// says.
    pub(super) fn new(
        worker: Worker,
        granter: Granter,
        reporter: Reporter,
        runtime: Handle,
    ) -> Self {
        let permits = Semaphore::new(limits::EMBEDDED_CONCURRENCY);
        let running = Mutex::new(HashMap::new());
        Self { shared: Arc::new(Shared { worker, granter, reporter, permits, running }), runtime }
    }
}

impl Queue for EmbeddedQueue {
    fn send(&self, assignment: Assignment) {
        let shared = self.shared.clone();
        let token = CancellationToken::new();
        shared.running().insert(assignment.key.clone(), token.clone());
        self.runtime.spawn(shared.perform(assignment, token));
    }

    fn measured(&self, snapshot: &mut Snapshot) {
        self.shared.worker.measured(snapshot);
    }

    fn cancel(&self, key: AssignmentKey) {
        if let Some(token) = self.shared.running().get(&key) {
            token.cancel();
        }
    }
}

impl Shared {
    async fn perform(self: Arc<Self>, mut assignment: Assignment, token: CancellationToken) {
        let key = assignment.key.clone();
        // The semaphore is never closed; without a permit nothing is lost but the bound.
        let permit = self.permits.acquire().await.ok();
        while !token.is_cancelled() {
            // Only now: what is proved by it lasts a minute.
            let ended = match self.granter.grant(&assignment, clock::now()) {
                Ok(grant) => {
                    assignment.grant = grant;
                    self.worker.try_perform(assignment, token.clone()).await
                }
                Err(problem) => Ok(Report::new(assignment.key, Err(problem))),
            };
            match ended {
                Ok(report) => {
                    self.reporter.report(report);
                    break;
                }
                // It waited for room in the audit trail, and nothing was done.
                Err(given_back) => assignment = *given_back,
            }
        }
        drop(permit);
        self.running().remove(&key);
    }

    fn running(&self) -> MutexGuard<'_, HashMap<AssignmentKey, CancellationToken>> {
        self.running.lock().unwrap_or_else(|it| it.into_inner())
    }
}

/// The worker of this process for what it can do, others for their functions.
pub(super) struct SplitQueue {
    inside: EmbeddedQueue,
    outside: Fleet,
    catalog: Arc<Catalog>,
    /// Functions of the worker of this process.
    offered: HashSet<Arc<str>>,
}

impl SplitQueue {
    pub(super) fn new(
        inside: EmbeddedQueue,
        outside: Fleet,
        catalog: Arc<Catalog>,
        offered: Vec<Arc<str>>,
    ) -> Self {
        Self { inside, outside, catalog, offered: offered.into_iter().collect() }
    }

    /// Whether others have to perform it.
    fn is_outside(&self, assignment: &Assignment) -> bool {
        // Whose definition cannot be read, the worker of this process says.
        let Some(plan) = self.catalog.plan(&assignment.digest) else { return false };
        let Some(task) = plan.tasks.get(assignment.task.0 as usize) else { return false };
        match Capability::needed(task, &assignment.work) {
            Capability::Function(name) => !self.offered.contains(&name),
            Capability::BuiltIn(_) => false,
        }
    }
}

impl Queue for SplitQueue {
    fn send(&self, assignment: Assignment) {
        match self.is_outside(&assignment) {
            true => self.outside.send(assignment),
            false => self.inside.send(assignment),
        }
    }

    fn recover(&self, assignment: Assignment) {
        match self.is_outside(&assignment) {
            true => self.outside.recover(assignment),
            false => self.inside.recover(assignment),
        }
    }

    fn recovered(&self) {
        self.outside.recovered();
    }

    fn cancel(&self, key: AssignmentKey) {
        self.inside.cancel(key.clone());
        self.outside.cancel(key);
    }

    fn settled(&self, key: &AssignmentKey, verdict: Verdict) {
        self.outside.settled(key, verdict);
    }

    fn admits(&self, namespace: &str) -> bool {
        self.outside.admits(namespace)
    }

    fn view(&self) -> BoxFuture<'_, Option<FleetView>> {
        // Nobody has to know of a fleet that nobody has.
        Box::pin(async { self.outside.view().await.filter(|it| !it.workers.is_empty()) })
    }

    fn measured(&self, snapshot: &mut Snapshot) {
        self.inside.measured(snapshot);
    }

    fn whereabouts(&self, keys: Vec<AssignmentKey>) -> BoxFuture<'_, Vec<Option<Whereabouts>>> {
        self.outside.whereabouts(keys)
    }

    fn http_workers(&self) -> Option<HttpWorkers> {
        self.outside.http_workers()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.outside.close()
    }
}
