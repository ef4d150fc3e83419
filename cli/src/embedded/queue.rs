//! The queue of one process: assignments go to the worker in it, as tasks of its runtime.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use windlass_coordinator::clock;
use windlass_coordinator::dispatch::{Queue, Reporter};
use windlass_coordinator::secrets::Granter;
use windlass_proto::limits;
use windlass_proto::metric::Snapshot;
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
