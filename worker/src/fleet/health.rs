//! What an orchestrator of containers asks a worker: does it live, is it ready, how much does it
//! do.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use windlass_bus::Bus;

use super::FleetError;

/// What is known of a worker.
#[derive(Default)]
pub(super) struct State {
    joined: AtomicBool,
    held: AtomicUsize,
    performed: AtomicU64,
    registrations: AtomicU64,
}

impl State {
    pub(super) fn joined(&self) {
        self.joined.store(true, Ordering::Relaxed);
        self.registrations.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn left(&self) {
        self.joined.store(false, Ordering::Relaxed);
    }

    pub(super) fn holds(&self, count: usize) {
        self.held.store(count, Ordering::Relaxed);
    }

    pub(super) fn performed(&self) {
        self.performed.fetch_add(1, Ordering::Relaxed);
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        let joined = u8::from(self.joined.load(Ordering::Relaxed));
        let each = [
            ("windlass_worker_joined", "gauge", "1 while registered.", u64::from(joined)),
            (
                "windlass_worker_assignments",
                "gauge",
                "Assignments held at the last beat.",
                self.held.load(Ordering::Relaxed) as u64,
            ),
            (
                "windlass_worker_performed_total",
                "counter",
                "Assignments performed.",
                self.performed.load(Ordering::Relaxed),
            ),
            (
                "windlass_worker_registrations_total",
                "counter",
                "Registrations.",
                self.registrations.load(Ordering::Relaxed),
            ),
        ];
        for (name, kind, help, value) in each {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        }
        text
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
pub(super) async fn serve(
    address: SocketAddr,
    state: Arc<State>,
    bus: Bus,
) -> Result<Served, FleetError> {
    let failed = |error: std::io::Error| FleetError::Health { address, reason: error.to_string() };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tracing::info!(address = %bound, "health endpoint");
    let ready = |Shared(state): Shared<Arc<State>>| async move {
        match (bus.is_up(), state.joined.load(Ordering::Relaxed)) {
            (true, true) => (StatusCode::OK, "ready\n"),
            (true, false) => (StatusCode::SERVICE_UNAVAILABLE, "not registered\n"),
            // The session outlives a moment without the bus; work cannot arrive meanwhile.
            (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "no connection to NATS\n"),
        }
    };
    let router = Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(|Shared(state): Shared<Arc<State>>| async move { state.metrics() }))
        .with_state(state);
    let server = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the health endpoint has ended");
        }
    });
    Ok(Served(server.abort_handle()))
}
