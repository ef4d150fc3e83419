//! `DELETE /v1/instances/{id}`: removing an instance for good.

use axum::extract::State;
use axum::http::StatusCode;

use windlass_proto::audit::AuditAction;

use super::access::Caller;
use super::instance::Reason;
use super::operator::By;
use super::payload::Payload;
use super::problem::{ApiProblem, ProblemBody};
use super::query::{OfInstance, Query};
use super::state::Api;
use crate::access::Permission;
use crate::coordinator::CoordinatorError;

/// Deletes an instance that has ended, with all that belongs to it.
///
/// It is for good: nothing shows, lists or counts it from the answer on, and its id and idempotency
/// key may be used again. Children and other instances linked to it stay, and so does the audit
/// trail.
#[utoipa::path(delete, path = "/v1/instances/{id}", tag = "instances", operation_id = "deleteInstance",
    params(("id" = String, Path, description = "The instance's id"),
        ("force" = Option<bool>, Query,
            description = "Cancel it first, where it has not ended; needs instance.operate as well"),
        ("archive" = Option<bool>, Query,
            description = "`false` does not archive it first, where the server has an archive")),
    request_body(content = Option<Reason>),
    responses((status = 204, description = "It is gone"),
        (status = 503, description = "It cannot be archived (WL0558)", body = ProblemBody),
        (status = 404, description = "No such instance (WL0503)", body = ProblemBody),
        (status = 409, description = "It has not ended (WL0556), or its parent waits for it (WL0557)",
            body = ProblemBody)))]
pub(super) async fn delete(
    State(api): State<Api>,
    OfInstance(id): OfInstance,
    caller: Caller,
    By(by): By,
    mut query: Query,
    payload: Payload,
) -> Result<StatusCode, ApiProblem> {
    let truth = |text: &str| match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false"),
    };
    let force = query.parsed("force", truth)?.unwrap_or(false);
    let archived = query.parsed("archive", truth)?.unwrap_or(true);
    query.finish()?;
    let reason = payload.json_or_default::<Reason>()?;
    let unknown = || CoordinatorError::UnknownInstance(id);
    let of = api.coordinator.workflow_of(id).await?.ok_or_else(unknown)?;
    if force {
        let permission = Permission::InstanceOperate;
        caller.workflow(permission, &of.namespace, &of.name, unknown)?;
    }
    let what = if force { "cancel and delete" } else { "delete" };
    let how = if archived { "" } else { ", not archived" };
    let detail = reason.told(format!("{what} {id} of {of}{how}"));
    let (action, namespace) = (AuditAction::InstanceDeleted, Some(of.namespace));
    api.coordinator.audited_in(action, namespace, detail, &by).await?;
    // What is cancelled before is cancelled for whoever asks.
    let reason = reason.reason();
    let coordinator = api.coordinator.on_behalf_of(&by, reason.as_deref());
    coordinator.delete(id, (force, archived), reason).await?;
    Ok(StatusCode::NO_CONTENT)
}
