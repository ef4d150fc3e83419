//! CloudEvents over the bus: in, out, and those that tell of workflows themselves.
//!
//! ```text
//!  WINDLASS_EVENTS ──> intake ──> Coordinator::offer ──> partitions ──> acknowledged once durable
//!                                                            │
//!  WINDLASS_EVENTS <── publisher <── outlet <── emitted ─────┤   (the visit stays open until the ack)
//!  WINDLASS_LIFECYCLE <── teller <── outlet <── news ────────┘   (best effort, drops are counted)
//!  WINDLASS_AUDIT <── auditor <── audit events that are on disk  (best effort)
//! ```
//!
//! [`keeper`] makes the streams and looks after them.
//!
//! **Invariant:** nothing here is the truth. All streams can be deleted at any time: what was emitted
//! and not acknowledged is open in the journal, and is published again.

mod auditor;
mod counts;
pub(crate) mod envelope;
mod intake;
mod keeper;
pub mod lifecycle;
mod outlet;
mod publisher;
mod reach;
mod stream;
mod teller;

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use windlass_bus::Bus;
use windlass_proto::limits;
use windlass_proto::wire::subject::Prefix;

pub use counts::{EventsView, Totals};
pub use intake::{NotTaken, TakeEvents};
pub use outlet::Outlet;
pub use stream::Standing;

use crate::audit::Publish;
use crate::partition::Reporter;
use keeper::Keeper;
use lifecycle::Level;
use reach::Reach;

/// How events travel over the bus.
#[derive(Clone, Debug)]
pub struct EventOptions {
    /// The first token of every subject.
    pub prefix: Prefix,
    /// What this coordinator is called on the bus: letters and digits, the same over restarts, another
    /// one for every journal.
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
    reach: Reach,
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
        let context = match domain {
            Some(domain) => builder.domain(domain).build(client),
            None => builder.build(client),
        };
        let (keeper, watch) = Keeper::new(bus.clone(), context.clone(), &prefix, replicas);
        runtime.spawn(keeper.run());
        let reach = Reach {
            bus: bus.clone(),
            context,
            prefix,
            origin: origin.into(),
            keeper: watch,
            counts: Arc::default(),
        };
        Self { reach, runtime: runtime.clone(), level: lifecycle }
    }

    /// The way out for what partitions emit and tell.
    #[must_use]
    pub fn outlet(&self, reporter: Reporter) -> Arc<Outlet> {
        let (outlet, emitted, news) = Outlet::new(self.reach.clone(), self.level);
        let deferred = outlet.deferred();
        self.runtime.spawn(publisher::run(self.reach.clone(), reporter, emitted, deferred));
        if self.level != Level::Off {
            self.runtime.spawn(teller::run(self.reach.clone(), news));
        }
        Arc::new(outlet)
    }

    /// Where audit events go that are to be published.
    #[must_use]
    pub fn auditor(&self) -> Publish {
        let (audited, lines) = mpsc::channel(limits::AUDIT_PUBLISH_QUEUE);
        self.runtime.spawn(auditor::run(self.reach.clone(), lines));
        audited
    }

    /// Takes events from the bus to `taker` from now on, until that stops.
    pub fn attend(&self, taker: impl TakeEvents) {
        self.runtime.spawn(intake::run(self.reach.clone(), taker));
    }
}
