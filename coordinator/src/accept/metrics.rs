//! `/metrics`, `/healthz`, `/readyz`.

mod connections;
pub(super) mod counters;
mod events;
mod fleet;
mod text;

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use windlass_proto::limits;

use super::problem::ApiProblem;
use super::state::Api;
use crate::code::Code;
use crate::journal::Filter;

/// Counters for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operation", operation_id = "getMetrics",
    responses((status = 200, description = "Prometheus text format", body = String,
        content_type = "text/plain", example = "windlass_uptime_seconds 12.5\n")))]
pub(super) async fn metrics(State(api): State<Api>) -> Response {
    let requests = api.requests.used() + api.operators.used();
    let watchers = api.watchers.used();
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let mut text = api.metrics.render(requests, watchers);
    connections::add(&mut text, &api.sockets, &api.waits);
    if let Some(view) = api.coordinator.fleet().await {
        fleet::add(&mut text, &view, crate::clock::now());
    }
    if let Some(view) = api.coordinator.bus_events() {
        events::add(&mut text, &view);
    }
    let (started, too_dear) = api.coordinator.admission_counts();
    let help = "Open instances that other instances have started, as far as they count for quotas.";
    text.single("windlass_started_by_instances", "gauge", help, started as u64);
    let help = "Filters of events that took too many steps, and so did not match.";
    text.single("windlass_event_filters_too_dear_total", "counter", help, too_dear);
    let help = "Impossible states that instances were met in: each is a defect.";
    let misfits = api.coordinator.misfits();
    let misfits =
        misfits.map(|(of, count)| (format!("{{kind=\"{}\"}}", of.word()), count.to_string()));
    text.family("windlass_engine_misfits_total", "counter", help, &misfits);
    let help = "Audit events that are not on disk; past a limit no more secrets are read.";
    let waiting = api.coordinator.audit_waiting();
    text.single("windlass_audit_events_waiting", "gauge", help, waiting as u64);
    let room = api.coordinator.disk_room();
    let help = "1 while the journal's disk is full and nothing new is taken up.";
    text.single("windlass_journal_paused", "gauge", help, u64::from(room.paused));
    if let Some(free) = room.free_bytes {
        let help = "Bytes free on the journal's disk.";
        text.single("windlass_journal_disk_free_bytes", "gauge", help, free);
    }
    let (used, budget) = api.coordinator.memory();
    let help = "Bytes that instances, and what waits for them, take of the memory.";
    text.single("windlass_memory_bytes", "gauge", help, used);
    let help = "Bytes that they may take; starts are refused from three quarters of it on.";
    text.single("windlass_memory_budget_bytes", "gauge", help, budget);
    let help = "Instances set aside at the start, because the process had ended over them.";
    let name = "windlass_instances_quarantined_total";
    text.single(name, "counter", help, api.coordinator.quarantined());
    (kind, text.0).into_response()
}

/// Tells that the process runs.
#[utoipa::path(get, path = "/healthz", tag = "operation", operation_id = "getHealth",
    responses((status = 200, description = "It runs", body = String, example = "ok\n")))]
pub(super) async fn healthy() -> &'static str {
    "ok\n"
}

/// Tells whether requests can be served: the journal answers.
#[utoipa::path(get, path = "/readyz", tag = "operation", operation_id = "getReadiness", responses(
    (status = 200, description = "It takes requests", body = String, example = "ready\n"),
    (status = 503, description = "It does not", body = super::problem::ProblemBody)))]
pub(super) async fn ready(
    State(api): State<Api>,
) -> Result<(StatusCode, &'static str), ApiProblem> {
    let probe = api.coordinator.list(Filter::default(), None, 1);
    let most = Duration::from_millis(limits::API_READY_MS);
    match tokio::time::timeout(most, probe).await {
        Ok(Ok(_)) => Ok((StatusCode::OK, "ready\n")),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(ApiProblem::new(Code::JournalFailed, format!("no answer within {most:?}"))),
    }
}
