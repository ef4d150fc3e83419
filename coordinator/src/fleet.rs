//! The queue that leads to workers in other processes, over NATS.
//!
//! Partitions hand assignments to [`Fleet`], which only passes them on: one task, the [`sessions`],
//! owns the sessions with all workers and the
//! [`Dispatcher`](crate::dispatch::dispatcher::Dispatcher), and says and hears everything that
//! crosses the bus.
//!
//! **Invariant:** nothing here is the truth. What the session task forgets when its process ends,
//! the journal knows; what the bus loses, a lease finds.

mod evaluation;
mod http_link;
mod registration;
mod session;
mod sessions;
mod skew;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use windlass_bus::Bus;
use windlass_proto::limits;
use windlass_proto::wire::key::CoordinatorKey;
use windlass_proto::wire::subject::Prefix;
use windlass_proto::wire::{Assignment, AssignmentKey};

use crate::catalog::Catalog;
use crate::dispatch::backlog_counts::BacklogCounts;
use crate::dispatch::dispatcher::Whereabouts;
use crate::dispatch::http::HttpWorkers;
use crate::dispatch::{FleetView, Queue, Reporter, Verdict};
use crate::secrets::{Granter, Secrets};
use sessions::{Command, Sessions, SessionsContext};

/// How a fleet is led.
pub struct FleetOptions {
    /// The first token of every subject.
    pub prefix: Prefix,
    /// The coordinator's key.
    pub key: CoordinatorKey,
    /// Silence after which a worker is taken for dead; at least 500 ms.
    pub lease: Duration,
    /// Assignments of one namespace that may wait before starts in it are refused.
    pub backlog: usize,
}

/// The way to the workers.
pub struct Fleet {
    commands: mpsc::UnboundedSender<Command>,
    backlog_counts: Arc<BacklogCounts>,
    backlog: usize,
}

impl Fleet {
    /// Opens it: workers can join from now on, over the bus where there is one, and over HTTP. What
    /// tasks may do with secrets, `secrets` says. Its work is done on `runtime`.
    #[must_use]
    pub fn open(
        bus: impl Into<Option<Bus>>,
        options: FleetOptions,
        catalog: Arc<Catalog>,
        secrets: &Arc<Secrets>,
        reporter: Reporter,
        runtime: &Handle,
    ) -> Self {
        let backlog_counts = Arc::new(BacklogCounts::default());
        let (commands, inbox) = mpsc::unbounded_channel();
        let backlog = options.backlog;
        let context = SessionsContext {
            granter: Granter::new(secrets.clone(), catalog.clone()),
            secrets: secrets.clone(),
            catalog,
            reporter,
            // The session task must not keep its own inbox open.
            commands: commands.downgrade(),
        };
        let sessions = Sessions::new(bus.into(), options, context, backlog_counts.clone());
        runtime.spawn(sessions.run(inbox));
        Self { commands, backlog_counts, backlog }
    }

    /// True when another coordinator leads a fleet under this prefix: two would take each other's
    /// workers away. Unknown, and so false, while there is no connection.
    pub async fn is_led(bus: &Bus, prefix: &Prefix) -> bool {
        let patience = Duration::from_millis(limits::BUS_TIMEOUT_MS);
        let asked = bus.client.request(prefix.presence(), Vec::new().into());
        bus.is_up() && matches!(tokio::time::timeout(patience, asked).await, Ok(Ok(_)))
    }

    fn command(&self, command: Command) {
        // The session task ends with the process: then the journal has what is open.
        let _ = self.commands.send(command);
    }
}

impl Queue for Fleet {
    fn send(&self, assignment: Assignment) {
        self.command(Command::Submit(Box::new(assignment)));
    }

    fn recover(&self, assignment: Assignment) {
        self.command(Command::Recover(Box::new(assignment)));
    }

    fn recovered(&self) {
        self.command(Command::Recovered);
    }

    fn cancel(&self, key: AssignmentKey) {
        self.command(Command::Cancel(key));
    }

    fn settled(&self, key: &AssignmentKey, verdict: Verdict) {
        self.command(Command::Settled(key.clone(), verdict));
    }

    fn http_workers(&self) -> Option<HttpWorkers> {
        let commands = self.commands.clone();
        Some(HttpWorkers::new(move |it| commands.send(Command::Http(it)).is_ok()))
    }

    fn admits(&self, namespace: &str) -> bool {
        self.backlog_counts.of(namespace) < self.backlog
    }

    fn view(&self) -> BoxFuture<'_, Option<FleetView>> {
        Box::pin(async {
            let (reply, view) = oneshot::channel();
            self.command(Command::View(reply));
            let patience = Duration::from_millis(limits::BUS_TIMEOUT_MS);
            tokio::time::timeout(patience, view).await.ok()?.ok()
        })
    }

    fn whereabouts(&self, keys: Vec<AssignmentKey>) -> BoxFuture<'_, Vec<Option<Whereabouts>>> {
        Box::pin(async move {
            let (reply, found) = oneshot::channel();
            self.command(Command::Whereabouts(keys, reply));
            let patience = Duration::from_millis(limits::BUS_TIMEOUT_MS);
            let found = tokio::time::timeout(patience, found).await;
            found.ok().and_then(Result::ok).unwrap_or_default()
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let (reply, closed) = oneshot::channel();
            self.command(Command::Close(reply));
            // What is left unsaid, the workers find out by themselves.
            let _ =
                tokio::time::timeout(Duration::from_millis(limits::BUS_TIMEOUT_MS), closed).await;
        })
    }
}
