//! `/v1/log`: what this process logs, and changing it while it runs.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::operator::By;
use super::payload::Payload;
use super::problem::{ApiProblem, ProblemBody};
use super::query::Query;
use super::state::Api;

/// What is logged.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"directives": "warn,windlass_coordinator::fleet=debug", "initial": "info"}))]
pub(super) struct Log {
    /// What is logged now.
    directives: String,
    /// What the process began with, and a restart brings back.
    initial: String,
}

/// What is to be logged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object that may have directives")]
#[schema(example = json!({"directives": "warn,windlass_coordinator::fleet=debug"}))]
pub(super) struct LogRequest {
    /// Levels, by module where there is one; null for what the process began with.
    #[serde(default)]
    directives: Option<String>,
}

/// Shows what the coordinator logs.
#[utoipa::path(get, path = "/v1/log", tag = "operation", operation_id = "getLog",
    responses((status = 200, description = "What is logged", body = Log),
        (status = 409, description = "The log cannot be changed here (WL0528)", body = ProblemBody)))]
pub(super) async fn show(State(api): State<Api>, query: Query) -> Result<Json<Log>, ApiProblem> {
    query.finish()?;
    let (directives, initial) = api.coordinator.log_directives()?;
    Ok(Json(Log { directives, initial }))
}

/// Changes what the coordinator logs, until it ends.
///
/// A level for all, and others by module: `warn,windlass_coordinator::fleet=debug`. Libraries are
/// never heard below `info`, whatever is asked for: they log headers and bodies. Who asks is told
/// in the audit trail. Workers have a log of their own, which `WINDLASS_LOG` sets at their start.
#[utoipa::path(put, path = "/v1/log", tag = "operation", operation_id = "setLog",
    request_body(content = LogRequest),
    responses((status = 200, description = "What is logged now", body = Log),
        (status = 400, description = "Malformed (WL0510), or directives that cannot be read (WL0527)",
            body = ProblemBody),
        (status = 409, description = "The log cannot be changed here (WL0528)", body = ProblemBody),
        (status = 503, description = "It cannot be kept in the audit trail (WL0523)",
            body = ProblemBody)))]
pub(super) async fn set(
    State(api): State<Api>,
    By(by): By,
    payload: Payload,
) -> Result<Json<Log>, ApiProblem> {
    let asked = payload.json::<LogRequest>()?.directives;
    let (directives, initial) = api.coordinator.set_log_directives(asked, &by).await?;
    Ok(Json(Log { directives, initial }))
}
