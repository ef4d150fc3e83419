//! A worker of a fleet: joins a coordinator over NATS, takes what it is assigned, reports.
//!
//! ```text
//!  join ──> session: take ──> perform ──> report ──> (answered: forgotten)
//!    ^         │ the session is gone, or the coordinator silent
//!    └─────────┘ what is held is kept and shown to the next session
//! ```
//!
//! **Invariant:** a report is repeated until the coordinator has answered it; an answer means that
//! it is on disk there, or not wanted. So is an audit event, which is always wanted.

mod environment;
mod health;
mod held;
mod join;
mod outbox;
mod plans;
mod session;
mod signal;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use windlass_bus::{Bus, BusError, BusOptions};
use windlass_proto::limits;
use windlass_proto::plan::DEFAULT_POOL;
use windlass_proto::wire::key::WorkerKey;
use windlass_proto::wire::subject::Prefix;

use crate::error::WorkerError;
use crate::worker::Builder;
use held::Held;
use outbox::Outbox;
use plans::Plans;
use session::{End, Member};

pub use environment::{EnvironmentError, host_name};
pub use signal::until_signal;
pub use windlass_bus as bus;

/// How a worker joins a fleet.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// Where NATS is, and how to be let in.
    pub bus: BusOptions,
    /// The first token of every subject.
    pub prefix: Prefix,
    /// What lets it join, as `windlass coordinator key` prints it.
    pub key: WorkerKey,
    /// Its pool: it gets only tasks of that pool.
    pub pool: String,
    /// What people know it by; a random part is added for each process.
    pub name: String,
    /// Assignments it takes at once; at most [`limits::WORKER_CONCURRENCY`].
    pub concurrency: u32,
    /// How long it may take to finish what it works on when it is told to stop; what is left then
    /// is handed back.
    pub drain: Duration,
    /// Where `/healthz`, `/readyz` and `/metrics` are served, if anywhere.
    pub health: Option<SocketAddr>,
}

impl FleetOptions {
    /// The usual options for a key and a NATS server.
    #[must_use]
    pub fn new(url: &str, key: WorkerKey) -> Self {
        let pool = key.pool().unwrap_or(DEFAULT_POOL).to_owned();
        Self {
            bus: BusOptions { url: url.to_owned(), ..BusOptions::default() },
            prefix: Prefix::default(),
            key,
            pool,
            name: "worker".to_owned(),
            concurrency: 256,
            drain: Duration::from_millis(limits::DRAIN_MS),
            health: None,
        }
    }
}

/// Why a worker cannot join.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The worker itself cannot be set up.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// There is no way to the bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The coordinator does not want it, and will not later.
    #[error("the coordinator refuses this worker: {0}")]
    Refused(String),
    /// The health endpoint cannot listen.
    #[error("cannot serve the health endpoint on {address}: {reason}")]
    Health {
        /// Where.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
}

/// What happens to a worker of a fleet, for who runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is registered under this session.
    Joined(String),
    /// Its session is gone, or the coordinator silent; it registers again.
    Lost,
    /// It takes nothing more and finishes what it works on.
    Draining,
}

impl Builder {
    /// Makes the worker and serves a fleet with it until SIGTERM or SIGINT, then drains: all that
    /// the main function of a worker has to do after [`guard_process`](crate::guard_process). What
    /// happens to it goes to the log.
    ///
    /// ```no_run
    /// # use windlass_worker::{Call, Worker, fleet::FleetOptions};
    /// # async fn main_of_a_worker() -> Result<(), Box<dyn std::error::Error>> {
    /// let shout = |text: String, _: Call| async move { Ok(text.to_uppercase()) };
    /// Worker::builder().function("shout", shout).run(FleetOptions::from_environment()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Builder::serve`].
    pub async fn run(self, options: FleetOptions) -> Result<(), FleetError> {
        crate::guard::harden();
        let notify = |event| match event {
            Event::Joined(session) => tracing::info!(session, "joined"),
            Event::Lost => tracing::warn!("the session is gone; joining again"),
            Event::Draining => tracing::info!("stopping; finishing what runs"),
        };
        self.serve(options, until_signal(), notify).await
    }

    /// Makes the worker and serves a fleet with it until `stop` is done, then drains. A coordinator
    /// or bus that cannot be reached is waited for.
    ///
    /// # Errors
    /// When the worker cannot be set up, the bus refuses the credentials, or the coordinator
    /// refuses the worker.
    pub async fn serve(
        self,
        options: FleetOptions,
        stop: impl Future<Output = ()> + Send + 'static,
        notify: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<(), FleetError> {
        let mut named = options.bus.clone();
        if named.name.is_empty() {
            named.name = format!("windlass worker {}", options.name);
        }
        let bus = Bus::connect(&named).await?;
        self.serve_on(bus, options, stop, notify).await
    }

    /// As [`Builder::serve`], over a connection that exists.
    ///
    /// # Errors
    /// As [`Builder::serve`].
    pub async fn serve_on(
        mut self,
        bus: Bus,
        options: FleetOptions,
        stop: impl Future<Output = ()> + Send + 'static,
        notify: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<(), FleetError> {
        let plans = Arc::new(Plans::default());
        // Whatever was set: audit events of a fleet are its coordinator's to keep.
        let outbox = Arc::new(Outbox::default());
        let (more, observer) = (self.more.clone(), self.observer.take());
        let worker = self.plans(plans.clone()).audit(outbox.clone()).build()?;
        let health = Arc::new(health::State::default());
        let measured = health::Measured {
            state: health.clone(),
            worker: worker.clone(),
            outbox: outbox.clone(),
            bus: bus.clone(),
            more,
        };
        if let Some(observer) = observer {
            let measured = measured.clone();
            observer(Arc::new(move || measured.snapshot()));
        }
        let _served = match options.health {
            Some(address) => Some(health::serve(address, measured.clone()).await?),
            None => None,
        };
        if let Err(problem) = worker.find_engine().await {
            let detail = problem.detail.as_deref().unwrap_or_default();
            tracing::warn!(detail, "tasks with containers are not taken");
        }
        let capabilities = worker.capabilities();
        // Bounded by the assignments held, which the coordinator bounds by the concurrency.
        let (events, inbox) = mpsc::unbounded_channel();
        let random = uuid::Uuid::new_v4().simple().to_string();
        let identity = Arc::from(format!("{}-{}", options.name, &random[..8]));
        let mut member = Member {
            worker,
            plans,
            bus,
            held: Held::default(),
            outbox,
            events,
            inbox,
            health,
            capabilities,
            identity,
            options,
            drained_by: None,
            gave_up: false,
            store_seen: None,
        };
        // On a thread of the pool, where the connection and the tasks run too. From the thread that
        // blocks on the whole runtime, as `main` does, every message would wake another thread
        // twice.
        let work = tokio::spawn(async move {
            let worked = member.work(stop, notify).await;
            member.worker.released(Duration::from_millis(limits::RELEASE_MS)).await;
            worked
        });
        match AbortOnDropHandle::new(work).await {
            Ok(worked) => worked,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only a runtime that shuts down cancels it.
                Err(_) => Ok(()),
            },
        }
    }
}

impl Member {
    /// Joins, attends, joins again, until it has left.
    async fn work(
        &mut self,
        stop: impl Future<Output = ()> + Send + 'static,
        notify: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<(), FleetError> {
        let mut stop = std::pin::pin!(stop);
        loop {
            let Some(joined) = self.join(stop.as_mut(), &notify).await? else { return Ok(()) };
            notify(Event::Joined(joined.session.to_string()));
            match self.run_session(joined, stop.as_mut(), &notify).await {
                End::Left => return Ok(()),
                End::Lost => notify(Event::Lost),
            }
        }
    }
}
