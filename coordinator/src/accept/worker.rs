//! `/v1/workers`: who performs tasks.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{ApiProblem, ProblemBody};
use super::query::Query;
use super::state::Api;
use crate::dispatch::dispatcher::WorkerView;

/// The workers of a coordinator.
#[derive(Serialize, ToSchema)]
pub(super) struct Workers {
    /// By pool and identity.
    items: Vec<WorkerView>,
}

/// Lists the workers that are registered now.
///
/// A worker in the coordinator's own process, as in `windlass dev`, is none of them.
#[utoipa::path(get, path = "/v1/workers", tag = "operation", operation_id = "listWorkers",
    responses((status = 200, description = "All of them", body = Workers),
        (status = 400, description = "A parameter is wrong (WL0511)", body = ProblemBody)))]
pub(super) async fn list(
    State(api): State<Api>,
    query: Query,
) -> Result<Json<Workers>, ApiProblem> {
    query.finish()?;
    let view = api.coordinator.fleet().await;
    Ok(Json(Workers { items: view.map(|it| it.workers).unwrap_or_default() }))
}
