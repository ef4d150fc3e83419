//! What an orchestrator of containers asks a worker: does it live, is it ready, how much does it
//! do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use windlass_bus::Bus;
use windlass_proto::metric::table::{process, worker as table};
use windlass_proto::metric::text::Format;
use windlass_proto::metric::{Counter, Snapshot};

use super::FleetError;
use super::outbox::Outbox;
use crate::worker::{Measure, Worker};

/// What is known of a worker.
pub(super) struct State {
    began: Instant,
    joined: AtomicBool,
    held: AtomicUsize,
    slots: AtomicUsize,
    performed: Counter,
    registrations: Counter,
    refused: Counter,
}

impl Default for State {
    fn default() -> Self {
        let (joined, held, slots) = Default::default();
        let (performed, registrations, refused) = Default::default();
        let began = Instant::now();
        Self { began, joined, held, slots, performed, registrations, refused }
    }
}

impl State {
    pub(super) fn joined(&self) {
        self.joined.store(true, Ordering::Relaxed);
        self.registrations.one();
    }

    pub(super) fn left(&self) {
        self.joined.store(false, Ordering::Relaxed);
    }

    /// What a beat told.
    pub(super) fn beat(&self, held: usize, slots: u32) {
        self.held.store(held, Ordering::Relaxed);
        self.slots.store(slots as usize, Ordering::Relaxed);
    }

    pub(super) fn performed(&self) {
        self.performed.one();
    }

    /// A frame was not the coordinator's, or could not be read.
    pub(super) fn refused(&self) {
        self.refused.one();
    }
}

/// All that there is to tell of a worker.
#[derive(Clone)]
pub(super) struct Measured {
    pub(super) state: Arc<State>,
    pub(super) worker: Worker,
    pub(super) outbox: Arc<Outbox>,
    pub(super) bus: Bus,
    /// What else there is to tell.
    pub(super) more: Measure,
}

impl Measured {
    /// What there is to tell now.
    pub(super) fn snapshot(&self) -> Snapshot {
        let State { began, joined, held, slots, performed, registrations, refused } = &*self.state;
        let mut snapshot = Snapshot::default();
        snapshot.labelled(&process::BUILD_INFO, [env!("CARGO_PKG_VERSION")], 1_u64);
        snapshot.add(&process::UPTIME, began.elapsed().as_secs_f64());
        snapshot.add(&process::BUS_CONNECTED, self.bus.is_up());
        snapshot.add(&process::BUS_RECONNECTS, self.bus.reconnects());
        snapshot.add(&table::JOINED, joined.load(Ordering::Relaxed));
        snapshot.add(&table::ASSIGNMENTS, held.load(Ordering::Relaxed));
        snapshot.add(&table::SLOTS, slots.load(Ordering::Relaxed));
        snapshot.add(&table::PERFORMED, performed);
        snapshot.add(&table::REGISTRATIONS, registrations);
        snapshot.add(&table::FRAMES_REFUSED, refused);
        snapshot.add(&table::AUDIT_WAITING, self.outbox.waiting());
        self.worker.measured(&mut snapshot);
        (self.more)(&mut snapshot);
        snapshot
    }
}

/// Ends the server when it is dropped.
pub(super) struct Served(AbortHandle);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves `/healthz` (the process lives), `/readyz` (it is registered, and the bus is there) and
/// `/metrics`.
pub(super) async fn serve(address: SocketAddr, measured: Measured) -> Result<Served, FleetError> {
    let failed = |error: std::io::Error| FleetError::Health { address, reason: error.to_string() };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tracing::info!(address = %bound, "health endpoint");
    let ready = |Shared(it): Shared<Measured>| async move {
        match (it.bus.is_up(), it.state.joined.load(Ordering::Relaxed)) {
            (true, true) => (StatusCode::OK, "ready\n"),
            (true, false) => (StatusCode::SERVICE_UNAVAILABLE, "not registered\n"),
            // The session outlives a moment without the bus; work cannot arrive meanwhile.
            (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "no connection to NATS\n"),
        }
    };
    let metrics = |Shared(it): Shared<Measured>, headers: HeaderMap| async move {
        let format = Format::wanted(headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()));
        ([(header::CONTENT_TYPE, format.media_type())], format.write(&it.snapshot()))
    };
    let router = Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(measured);
    let server = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the health endpoint has ended");
        }
    });
    Ok(Served(server.abort_handle()))
}
