//! `/metrics`, `/healthz`, `/readyz`.

mod connections;
pub(super) mod counters;
mod events;
mod fleet;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use windlass_proto::limits;
use windlass_proto::metric::Snapshot;
use windlass_proto::metric::text::Format;
use windlass_telemetry::MetricSource;

use super::problem::ApiProblem;
use super::state::Api;
use crate::code::Code;
use crate::coordinator::CoordinatorError;
use crate::journal::{Filter, JournalError};

/// Metrics for Prometheus, or in OpenMetrics where that is accepted: docs/metrics.md has them all.
#[utoipa::path(get, path = "/metrics", tag = "operation", operation_id = "getMetrics",
    responses((status = 200, description = "Prometheus text format", body = String,
        content_type = "text/plain", example = "windlass_uptime_seconds 12.5\n")))]
pub(super) async fn metrics(State(api): State<Api>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
    let format = Format::wanted(accept);
    let kind = [(header::CONTENT_TYPE, format.media_type())];
    (kind, format.write(&collect(&api).await)).into_response()
}

/// Where all there is to tell is had.
pub(super) fn source(api: &Api) -> MetricSource {
    let api = api.clone();
    Arc::new(move || {
        let api = api.clone();
        Box::pin(async move { collect(&api).await })
    })
}

/// All there is to tell.
async fn collect(api: &Api) -> Snapshot {
    let requests = api.requests.used() + api.operators.used();
    let mut snapshot = api.metrics.measured(requests, api.watchers.used());
    connections::add(&mut snapshot, &api.sockets, &api.waits);
    if let Some(view) = api.coordinator.fleet().await {
        fleet::add(&mut snapshot, &view, crate::clock::now());
    }
    if let Some(view) = api.coordinator.bus_events() {
        events::add(&mut snapshot, &view);
    }
    api.coordinator.measured(&mut snapshot);
    if let Some(counts) = &api.telemetry {
        counts.measured(&mut snapshot);
    }
    snapshot
}

/// Tells that the process runs.
#[utoipa::path(get, path = "/healthz", tag = "operation", operation_id = "getHealth",
    responses((status = 200, description = "It runs", body = String, example = "ok\n")))]
pub(super) async fn healthy() -> &'static str {
    "ok\n"
}

const READY_AND_AWAY: &str = "ready, but the cluster's log is away: nothing new is taken up\n";
const READY_AND_FULL: &str = "ready, but the disk is full: nothing new is taken up\n";

/// Tells whether requests can be served: the journal answers.
///
/// 200 on a full disk as well, and the text says so: reads are served all the same, and who would
/// take it out of service for that would make them impossible. 503 once a leader has not been heard
/// of by its cluster for so long that another one may lead.
#[utoipa::path(get, path = "/readyz", tag = "operation", operation_id = "getReadiness", responses(
    (status = 200, description = "It takes requests", body = String,
        example = "ready\n"),
    (status = 503, description = "It does not", body = super::problem::ProblemBody)))]
pub(super) async fn ready(
    State(api): State<Api>,
) -> Result<(StatusCode, &'static str), ApiProblem> {
    let probe = api.coordinator.search(Filter::default(), None, 1);
    let most = Duration::from_millis(limits::API_READY_MS);
    match tokio::time::timeout(most, probe).await {
        Ok(Ok(_)) if api.coordinator.disk_room().log_unheard => {
            Err(CoordinatorError::from(JournalError::LogAway).into())
        }
        Ok(Ok(_)) if api.coordinator.disk_room().log_away => Ok((StatusCode::OK, READY_AND_AWAY)),
        Ok(Ok(_)) if api.coordinator.disk_room().paused => Ok((StatusCode::OK, READY_AND_FULL)),
        Ok(Ok(_)) => Ok((StatusCode::OK, "ready\n")),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(ApiProblem::new(Code::JournalFailed, format!("no answer within {most:?}"))),
    }
}
