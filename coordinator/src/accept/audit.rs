//! `/v1/audit`: what was done with secrets.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use windlass_proto::audit::AuditEvent;
use windlass_proto::limits::API_PAGE;

use super::access::Caller;
use super::problem::{ApiProblem, ProblemBody};
use super::query::Query;
use super::state::Api;
use crate::access::{Permission, Visible};
use crate::audit::AuditLine;

/// Audit events.
#[derive(Serialize, ToSchema)]
pub(super) struct Audit {
    /// Newest first.
    #[schema(value_type = Vec<Object>)]
    items: Vec<AuditLine>,
}

/// Shows the last audit events.
///
/// The file `audit.jsonl` in the coordinator's data directory and the JetStream stream of audit
/// events have more of them.
#[utoipa::path(get, path = "/v1/audit", tag = "secrets", operation_id = "listAuditEvents",
    params(("limit" = Option<usize>, Query, description = "1 to 1000, by default 100")),
    responses((status = 200, description = "The last events", body = Audit),
        (status = 400, description = "A parameter is wrong (WL0511)", body = ProblemBody),
        (status = 503, description = "The trail cannot be read (WL0523)", body = ProblemBody)))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<Audit>, ApiProblem> {
    let limit = query.limit()?;
    query.finish()?;
    let visible = caller.visible(Permission::AuditRead);
    if matches!(visible, Visible::All) {
        return Ok(Json(Audit { items: api.coordinator.audit(limit).await? }));
    }
    let mut items = api.coordinator.audit(API_PAGE).await?;
    items.retain(|it| concerns(&it.event, &visible));
    items.truncate(limit);
    Ok(Json(Audit { items }))
}

/// True for what was done in a namespace, or for a task, that is visible; what concerns the whole
/// server is for who sees all.
fn concerns(event: &AuditEvent, visible: &Visible) -> bool {
    match (&event.task, &event.namespace) {
        (Some(task), _) => visible.has(&task.workflow.namespace, &task.workflow.name),
        (None, Some(namespace)) => visible.has_namespace(namespace),
        (None, None) => false,
    }
}
