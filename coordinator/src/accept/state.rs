//! What the handlers share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use windlass_proto::id::InstanceId;
use windlass_proto::limits::{
    self, API_BODY_BYTES, API_OPERATORS, API_REQUESTS, API_WAITS, API_WATCHERS, WEBHOOK_REQUESTS,
};

use windlass_telemetry::TelemetryCounts;

use super::answer::Answers;
use super::denials::Denials;
use super::limits::ConnectionLimits;
use super::metrics::counters::Counters;
use super::room::{Budget, Room};
use super::serve::sockets::{Sockets, Waits};
use super::session::Pages;
use crate::access::{Access, Principal};
use crate::coordinator::{Coordinator, CoordinatorError, Outcome};

/// State of the API; cheap to clone.
#[derive(Clone)]
pub(super) struct Api {
    /// Who answers.
    pub(super) coordinator: Coordinator,
    /// What became of telemetry, where that is on.
    pub(super) telemetry: Option<Arc<TelemetryCounts>>,
    /// Who may do what; without it anyone may everything.
    pub(super) access: Option<Arc<Access>>,
    /// Whoever asks where nobody is asked who they are.
    pub(super) anyone: Arc<Principal>,
    /// What pages need; none where there are none.
    pub(super) pages: Option<Pages>,
    /// What the audit trail is told of those who may not do what they asked for.
    pub(super) denials: Arc<Denials>,
    /// What it is told of those who are nobody.
    pub(super) failures: Arc<Denials>,
    /// Counters of the API itself.
    pub(super) metrics: Arc<Counters>,
    /// Requests that may run.
    pub(super) requests: Budget,
    /// Requests of probes and operators that may run.
    pub(super) operators: Budget,
    /// Deliveries of webhooks that may be handled.
    pub(super) deliveries: Budget,
    /// Callers that wait for outcomes.
    pub(super) waits: Arc<Waits>,
    /// Watches that may be open. They are not requests: they last.
    pub(super) watchers: Budget,
    /// Connections.
    pub(super) sockets: Arc<Sockets>,
    /// Memory for bodies, in [`limits::PERMIT_BYTES`].
    pub(super) bodies: Arc<Semaphore>,
    /// Memory for large answers on their way.
    pub(super) answers: Answers,
    /// True once the server stops: waits and watches end then.
    closing: Closing,
}

/// Tells connections, waits and watches that a server stops; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Closing(Arc<watch::Sender<bool>>);

impl Closing {
    pub(super) fn close(&self) {
        self.0.send_replace(true);
    }

    /// Returns once [`Closing::close`] was called.
    pub(super) async fn closed(&self) {
        let mut closing = self.0.subscribe();
        // An error means the sender is gone, which `self` keeps from happening.
        let _ = closing.wait_for(|it| *it).await;
    }
}

impl Api {
    /// `routes` are the templates of all that may be asked for.
    ///
    /// The budgets together take little more than half of the connections, so that there is always
    /// one for a request that none of them counts, or that can be refused in words.
    pub(super) fn new(
        coordinator: Coordinator,
        limits: ConnectionLimits,
        telemetry: Option<Arc<TelemetryCounts>>,
        access: Option<Arc<Access>>,
        pages: Option<Pages>,
        routes: Vec<String>,
    ) -> Self {
        Self {
            coordinator,
            telemetry,
            access,
            pages,
            anyone: Arc::new(Principal::anyone()),
            denials: Arc::default(),
            failures: Arc::default(),
            metrics: Arc::new(Counters::new(routes)),
            answers: Answers::default(),
            requests: Budget::new(limits.within(API_REQUESTS, 8)),
            operators: Budget::new(limits.within(API_OPERATORS, 16)),
            deliveries: Budget::new(limits.within(WEBHOOK_REQUESTS, 32)),
            waits: Arc::new(Waits::new(limits.within(API_WAITS, 4))),
            watchers: Budget::new(limits.within(API_WATCHERS, 8)),
            sockets: Arc::new(Sockets::new(limits)),
            bodies: Arc::new(Semaphore::new(API_BODY_BYTES / limits::PERMIT_BYTES)),
            closing: Closing::default(),
        }
    }

    /// Waits for the end of an instance, outside of the `room` that the request has had.
    pub(super) async fn outcome(
        &self,
        room: &Room,
        id: InstanceId,
        patience: Duration,
    ) -> Result<Option<Outcome>, CoordinatorError> {
        room.leave();
        let wait = self.waits.enter();
        tokio::select! {
            outcome = self.coordinator.wait(id, patience) => outcome,
            () = wait.over() => Ok(None),
            () = self.closed() => Ok(None),
        }
    }

    /// Ends waits and watches, so that connections can drain.
    pub(super) fn close(&self) {
        self.closing.close();
    }

    /// Returns once [`Api::close`] was called.
    pub(super) async fn closed(&self) {
        self.closing.closed().await;
    }

    /// What tells connections that the server stops.
    pub(super) fn closing(&self) -> &Closing {
        &self.closing
    }
}
