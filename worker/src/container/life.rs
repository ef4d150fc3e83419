//! The life of a container: it is made for a task, looked after, and gone with it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::models::ImageConfig;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ContainerOptions;
use super::engine::Engine;
use super::error::ContainerError;
use super::exchange::Exited;
use super::order::{Cleanup, Order, PullPolicy, labels};
use super::owner::Owner;
use crate::clock;

/// The containers of a worker.
pub(crate) struct Containers {
    pub(crate) options: ContainerOptions,
    pub(super) owner: Owner,
    /// Attempts that somebody here looks after.
    held: Mutex<BTreeSet<String>>,
    /// What is being removed or run.
    running: TaskTracker,
    /// Ends them all.
    all: CancellationToken,
}

/// A container that was ordered; it is ended when this is dropped, unless it was let go.
pub(crate) struct Ordered {
    guard: tokio_util::sync::DropGuard,
    started: oneshot::Receiver<()>,
    ended: oneshot::Receiver<Result<Exited, ContainerError>>,
}

impl Ordered {
    /// Waits for its end.
    pub(crate) async fn end(self) -> Result<Exited, ContainerError> {
        let _guard = self.guard;
        match self.ended.await.unwrap_or_else(|_| Err(lost())) {
            // The task has not failed: it begins again with the next worker, and until this one is
            // gone nobody may be told otherwise.
            Err(ContainerError::Ending) => std::future::pending().await,
            ended => ended,
        }
    }

    /// Waits for its start, and lets it run on.
    pub(crate) async fn start(mut self) -> Result<(), ContainerError> {
        if (&mut self.started).await.is_err() {
            // It ended without.
            return self.end().await.map(drop);
        }
        self.guard.disarm();
        Ok(())
    }
}

fn lost() -> ContainerError {
    ContainerError::Lost("the worker ends".to_owned())
}

impl Containers {
    pub(crate) fn new(options: ContainerOptions) -> Self {
        let (held, running) = (Mutex::default(), TaskTracker::new());
        Self { options, owner: Owner::new(), held, running, all: CancellationToken::new() }
    }

    /// Makes what `order` says, on a task of its own: what is asked of the engine is not left
    /// halfway when nobody waits for it any more. Its output is thrown away unless `kept`.
    pub(crate) fn order(self: &Arc<Self>, order: Order, kept: bool) -> Ordered {
        // Given up by whoever waits, or with the worker.
        let cancelled = self.all.child_token();
        let guard = cancelled.clone().drop_guard();
        let (ended_here, ended) = oneshot::channel();
        let (started_here, started) = oneshot::channel();
        let containers = self.clone();
        let work = async move {
            let result = containers.run(order, kept, &cancelled, started_here).await;
            if let (Err(error), true) = (&result, ended_here.is_closed()) {
                // Its words may hold what the task has evaluated.
                tracing::debug!(kind = error.kind(), "container of a task that is over");
            }
            let _ = ended_here.send(result);
        };
        self.running.spawn(work);
        Ordered { guard, started, ended }
    }

    /// Ends all containers, those that nobody waits for as well: who would look after them ends.
    pub(crate) async fn ended(&self) {
        self.all.cancel();
        self.running.close();
        self.running.wait().await;
    }

    async fn run(
        self: &Arc<Self>,
        mut order: Order,
        kept: bool,
        cancelled: &CancellationToken,
        started: oneshot::Sender<()>,
    ) -> Result<Exited, ContainerError> {
        let prepared = tokio::select! {
            prepared = timeout(clock::until(order.deadline), self.prepare(&order)) => prepared,
            () = cancelled.cancelled() => return Err(self.why_cancelled()),
        };
        let (engine, image) = prepared.map_err(|_| ContainerError::Late)??;
        let held = Held::new(self.clone(), order.attempt.clone());
        let body = order.body(image.as_ref(), &self.options, &self.owner.label());
        let stdin = order.stdin.take();
        let id = match engine.create(&order.name, body).await {
            Ok(id) => id,
            Err(error) => {
                if matches!(error, ContainerError::Slow) {
                    // It may be there all the same.
                    self.remove_labelled(&engine, labels::ATTEMPT, &order.attempt).await;
                }
                return Err(error);
            }
        };
        let left = clock::until(order.deadline);
        let result = tokio::select! {
            ran = timeout(left, engine.exchange(&id, stdin, kept, started)) => {
                ran.unwrap_or(Err(ContainerError::Late))
            }
            () = cancelled.cancelled() => Err(self.why_cancelled()),
        };
        match (&result, order.cleanup) {
            (Ok(_), Cleanup::Never) => {}
            (Ok(_), Cleanup::Eventually(after)) => {
                tokio::spawn(async move {
                    let held = held;
                    sleep(Duration::from_millis(after)).await;
                    held.containers.remove(&engine, &id).await;
                });
            }
            _ => self.remove(&engine, &id).await,
        }
        result
    }

    fn why_cancelled(&self) -> ContainerError {
        if self.all.is_cancelled() { ContainerError::Ending } else { ContainerError::Cancelled }
    }

    /// Finds the engine, ends what is left of earlier deliveries, and has the image.
    async fn prepare(
        &self,
        order: &Order,
    ) -> Result<(Engine, Option<ImageConfig>), ContainerError> {
        let engine = Engine::connect(&self.options.engine).await?;
        let label = format!("{}={}", labels::TASK, order.task);
        for earlier in engine.list(&label).await? {
            let delivery = earlier.label(labels::DELIVERY).and_then(|it| it.parse::<u32>().ok());
            if delivery.is_some_and(|it| it < order.delivery) {
                engine.remove(&earlier.id).await?;
            }
        }
        let found = match order.pull {
            PullPolicy::Always => None,
            PullPolicy::IfNotPresent | PullPolicy::Never => engine.image(&order.image).await?,
        };
        let image = match found {
            Some(image) => Some(image),
            None if order.pull == PullPolicy::Never => {
                return Err(ContainerError::NoImage(order.image.clone()));
            }
            None => {
                engine.pull(&order.image).await?;
                engine.image(&order.image).await?
            }
        };
        Ok((engine, image))
    }

    /// Removes a container; what cannot be removed now is when containers are looked through.
    pub(super) async fn remove(&self, engine: &Engine, id: &str) {
        if let Err(error) = engine.remove(id).await {
            tracing::warn!(container = id, %error, "a container is not removed yet");
        }
    }

    async fn remove_labelled(&self, engine: &Engine, name: &str, value: &str) {
        match engine.list(&format!("{name}={value}")).await {
            Ok(found) => {
                for container in found {
                    self.remove(engine, &container.id).await;
                }
            }
            Err(error) => tracing::warn!(%error, "containers cannot be listed"),
        }
    }

    /// The attempts that somebody here looks after.
    pub(super) fn held(&self) -> BTreeSet<String> {
        // A panic elsewhere cannot leave the set half changed.
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An attempt that somebody looks after.
struct Held {
    containers: Arc<Containers>,
    attempt: String,
}

impl Held {
    fn new(containers: Arc<Containers>, attempt: String) -> Self {
        let mut held = containers.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(attempt.clone());
        drop(held);
        Self { containers, attempt }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.containers.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&self.attempt);
    }
}
