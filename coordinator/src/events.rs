//! CloudEvents over the bus: in, out, and those that tell of workflows themselves.
//!
//! ```text
//!  WINDLASS_EVENTS ──> intake ──> Coordinator::offer ──> partitions ──> acknowledged once durable
//!                                                            │
//!  WINDLASS_EVENTS <── publisher <── outbox <── emitted ─────┤   (its visit stays open until then)
//!  WINDLASS_LIFECYCLE <── lifecycle_publisher <── outbox <───┘   (best effort, drops are counted)
//!  WINDLASS_AUDIT <── audit_publisher <── audit events on disk   (best effort)
//! ```
//!
//! [`stream_manager`] makes the streams and looks after them.
//!
//! **Invariant:** nothing here is the truth. All streams can be deleted at any time: what was
//! emitted and not acknowledged is open in the journal, and is published again.

mod audit_publisher;
mod context;
mod counts;
pub(crate) mod envelope;
mod intake;
pub mod lifecycle;
mod lifecycle_publisher;
mod outbox;
mod publisher;
mod stream;
mod stream_manager;

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use windlass_bus::Bus;
use windlass_proto::limits;
use windlass_proto::wire::subject::Prefix;

pub use counts::{EventsView, Totals};
pub use intake::{EventConsumer, NotTaken};
pub use outbox::Outbox;
pub use stream::StreamStatus;

use crate::audit::Publish;
use crate::partition::Reporter;
use context::BusContext;
use lifecycle::Level;
use stream_manager::StreamManager;

/// How events travel over the bus.
#[derive(Clone, Debug)]
pub struct EventOptions {
    /// The first token of every subject.
    pub prefix: Prefix,
    /// What this coordinator is called on the bus: letters and digits, the same over restarts,
    /// another one for every journal.
    pub origin: String,
    /// Replicas of streams that are made, from 1 to [`limits::STREAM_REPLICAS`].
    pub replicas: u8,
    /// What is told of workflows.
    pub lifecycle: Level,
    /// The JetStream domain that has the streams; none for that of the servers themselves.
    pub domain: Option<String>,
}

/// Events over the bus.
pub struct Events {
    context: BusContext,
    runtime: Handle,
    level: Level,
}

impl Events {
    /// Opens the way: streams are made and looked after from now on. Work is done on `runtime`.
    #[must_use]
    pub fn open(bus: &Bus, options: EventOptions, runtime: &Handle) -> Self {
        let EventOptions { prefix, origin, replicas, lifecycle, domain } = options;
        let patience = Duration::from_millis(limits::BUS_TIMEOUT_MS);
        let builder = jetstream::ContextBuilder::new().timeout(patience);
        let builder = builder.backpressure_on_inflight(true);
        let client = bus.client.clone();
        let jetstream = match domain {
            Some(domain) => builder.domain(domain).build(client),
            None => builder.build(client),
        };
        let (stream_manager, watch) =
            StreamManager::new(bus.clone(), jetstream.clone(), &prefix, replicas);
        runtime.spawn(stream_manager.run());
        let context = BusContext {
            bus: bus.clone(),
            jetstream,
            prefix,
            origin: origin.into(),
            streams: watch,
            counts: Arc::default(),
        };
        Self { context, runtime: runtime.clone(), level: lifecycle }
    }

    /// The way out for what partitions emit and tell.
    #[must_use]
    pub fn outbox(&self, reporter: Reporter) -> Arc<Outbox> {
        let (outbox, emitted, lifecycle) = Outbox::new(self.context.clone(), self.level);
        let deferred = outbox.deferred();
        self.runtime.spawn(publisher::run(self.context.clone(), reporter, emitted, deferred));
        if self.level != Level::Off {
            self.runtime.spawn(lifecycle_publisher::run(self.context.clone(), lifecycle));
        }
        Arc::new(outbox)
    }

    /// Where audit events go that are to be published.
    #[must_use]
    pub fn audit_publisher(&self) -> Publish {
        let (audited, lines) = mpsc::channel(limits::AUDIT_PUBLISH_QUEUE);
        self.runtime.spawn(audit_publisher::run(self.context.clone(), lines));
        audited
    }

    /// Takes events from the bus to `consumer` from now on, until that stops.
    pub fn consume(&self, consumer: impl EventConsumer) {
        self.runtime.spawn(intake::run(self.context.clone(), consumer));
    }
}
