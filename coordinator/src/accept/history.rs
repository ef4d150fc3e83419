//! `/v1/instances/{id}/history`: what happened, fact by fact.

use axum::Json;
use axum::extract::State;

use super::problem::{ApiProblem, ProblemBody};
use super::query::{OfInstance, Query};
use super::state::Api;
use super::view::History;
use crate::coordinator::HistoryPage;

/// Shows an instance's history, oldest first.
#[utoipa::path(get, path = "/v1/instances/{id}/history", tag = "instances", operation_id = "getInstanceHistory",
    params(("id" = String, Path, description = "The instance's id"),
        ("from" = Option<u64>, Query, description = "First sequence number, by default 0"),
        ("limit" = Option<usize>, Query, description = "1 to 1000, by default 100")),
    responses((status = 200, description = "A page", body = History),
        (status = 404, description = "No such instance (WL0503)", body = ProblemBody)))]
pub(super) async fn history(
    State(api): State<Api>,
    OfInstance(id): OfInstance,
    mut query: Query,
) -> Result<Json<History>, ApiProblem> {
    let from = query.parsed("from", str::parse::<u64>)?.unwrap_or(0);
    let limit = query.limit()?;
    query.finish()?;
    let HistoryPage { entries, next } = api.coordinator.history(id, from, limit).await?;
    Ok(Json(History { items: entries.into_iter().map(Into::into).collect(), next }))
}
