//! What the handlers share.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use windlass_proto::limits::{API_BODY_BYTES, API_REQUESTS, API_WATCHERS};

use super::metrics::Metrics;
use crate::coordinator::Coordinator;

/// Bytes of one permit of the body budget: a semaphore counts to 2^29 on small machines.
pub(super) const BODY_PERMIT_BYTES: usize = 1024;

/// State of the API; cheap to clone.
#[derive(Clone)]
pub(super) struct Api {
    /// Who answers.
    pub(super) coordinator: Coordinator,
    /// Counters of the API itself.
    pub(super) metrics: Arc<Metrics>,
    /// Requests that may run.
    pub(super) requests: Arc<Semaphore>,
    /// Watches that may be open. They are not requests: they last.
    pub(super) watchers: Arc<Semaphore>,
    /// Memory for bodies, in [`BODY_PERMIT_BYTES`].
    pub(super) bodies: Arc<Semaphore>,
    /// True once the server stops: waits and watches end then.
    closing: Arc<watch::Sender<bool>>,
}

impl Api {
    pub(super) fn new(coordinator: Coordinator) -> Self {
        Self {
            coordinator,
            metrics: Arc::new(Metrics::new()),
            requests: Arc::new(Semaphore::new(API_REQUESTS)),
            watchers: Arc::new(Semaphore::new(API_WATCHERS)),
            bodies: Arc::new(Semaphore::new(API_BODY_BYTES / BODY_PERMIT_BYTES)),
            closing: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Ends waits and watches, so that connections can drain.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Returns once [`Api::close`] was called.
    pub(super) async fn closed(&self) {
        let mut closing = self.closing.subscribe();
        // An error means the sender is gone, which `self` keeps from happening.
        let _ = closing.wait_for(|it| *it).await;
    }
}
