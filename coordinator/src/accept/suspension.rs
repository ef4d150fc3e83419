//! Suspending starts of definitions and namespaces, and cancelling what began with one instance.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use windlass_proto::audit::AuditAction;

use super::access::Caller;
use super::instance::Reason;
use super::operator::By;
use super::payload::Payload;
use super::problem::{ApiProblem, ProblemBody};
use super::query::OfInstance;
use super::state::Api;
use crate::access::{Permission, Visible};
use crate::admission::Suspended;
use crate::coordinator::Operator;

/// Something whose starts are suspended.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"namespace": "shop", "name": "order", "since": "2026-01-31T08:00:00Z"}))]
pub(super) struct Suspension {
    /// The namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    /// The workflow; absent when it is all of the namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The root whose instances are being cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    /// Since when.
    since: String,
}

/// All suspensions.
#[derive(Serialize, ToSchema)]
pub(super) struct Suspensions {
    items: Vec<Suspension>,
}

/// What was done.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"suspended": true, "namespace": "shop", "name": "order"}))]
pub(super) struct Done {
    /// Whether it is suspended now.
    suspended: bool,
    /// The namespace.
    namespace: String,
    /// The workflow; absent when it is all of the namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// How many were cancelled.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"root": "0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f", "cancelled": 12}))]
pub(super) struct Cancelled {
    /// The instance it all began with.
    root: String,
    /// Instances that were cancelled, the root included.
    cancelled: usize,
}

/// Lists what is suspended.
#[utoipa::path(get, path = "/v1/suspensions", tag = "operation", operation_id = "listSuspensions",
    responses((status = 200, description = "All suspensions", body = Suspensions)))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<Suspensions>, ApiProblem> {
    let visible = caller.visible(Permission::WorkflowRead);
    let mut all = api.coordinator.suspended_starts();
    let mut roots = BTreeSet::new();
    for (what, _) in &all {
        let Suspended::Root(root) = what else { continue };
        let of = api.coordinator.workflow_of(*root).await?;
        // One that is gone belongs to nobody.
        let is_visible =
            of.map_or(matches!(visible, Visible::All), |it| visible.has(&it.namespace, &it.name));
        if is_visible {
            roots.insert(*root);
        }
    }
    all.retain(|(what, _)| match what {
        Suspended::Namespace(namespace) => visible.has_namespace(namespace),
        Suspended::Workflow(namespace, name) => visible.has(namespace, name),
        Suspended::Root(root) => roots.contains(root),
    });
    let items = all.into_iter().map(|(what, since)| {
        let since = since.to_rfc3339();
        let text = |it: std::sync::Arc<str>| Some(it.to_string());
        match what {
            Suspended::Namespace(it) => {
                Suspension { namespace: text(it), name: None, root: None, since }
            }
            Suspended::Workflow(namespace, name) => {
                Suspension { namespace: text(namespace), name: text(name), root: None, since }
            }
            Suspended::Root(root) => {
                Suspension { namespace: None, name: None, root: Some(root.to_string()), since }
            }
        }
    });
    Ok(Json(Suspensions { items: items.collect() }))
}

/// Tells the audit trail what is about to be done.
async fn told(
    api: &Api,
    what: &str,
    of: &Suspended,
    payload: &Payload,
    by: &Operator,
) -> Result<(), ApiProblem> {
    let namespace = match of {
        Suspended::Namespace(namespace) | Suspended::Workflow(namespace, _) => {
            Some(namespace.clone())
        }
        Suspended::Root(root) => api.coordinator.workflow_of(*root).await?.map(|it| it.namespace),
    };
    let reason: Reason = payload.json_or_default()?;
    let detail = reason.told(format!("{what} {of}"));
    let action = AuditAction::StartsChanged;
    Ok(api.coordinator.audited_even_without_room(action, namespace, detail, by).await?)
}

/// Suspends a namespace: none of its workflows is started until it is resumed.
///
/// Durable. Requests to start one get 409 (WL0525); instances that start one as a child wait. What
/// runs goes on.
#[utoipa::path(post, path = "/v1/namespaces/{namespace}/suspend", tag = "operation",
    operation_id = "suspendNamespace",
    params(("namespace" = String, Path, description = "`document.namespace`")),
    request_body(content = Option<Reason>),
    responses((status = 200, description = "Suspended", body = Done),
        (status = 409, description = "It is suspended already (WL0505)", body = ProblemBody)))]
pub(super) async fn suspend_namespace(
    State(api): State<Api>,
    Path(namespace): Path<String>,
    By(by): By,
    payload: Payload,
) -> Result<Json<Done>, ApiProblem> {
    let what = Suspended::Namespace(namespace.as_str().into());
    told(&api, "suspend starts of", &what, &payload, &by).await?;
    api.coordinator.suspend_starts(what).await?;
    Ok(Json(Done { suspended: true, namespace, name: None }))
}

/// Resumes a suspended namespace.
#[utoipa::path(post, path = "/v1/namespaces/{namespace}/resume", tag = "operation",
    operation_id = "resumeNamespace",
    params(("namespace" = String, Path, description = "`document.namespace`")),
    request_body(content = Option<Reason>),
    responses((status = 200, description = "Resumed", body = Done),
        (status = 409, description = "It is not suspended (WL0505)", body = ProblemBody)))]
pub(super) async fn resume_namespace(
    State(api): State<Api>,
    Path(namespace): Path<String>,
    By(by): By,
    payload: Payload,
) -> Result<Json<Done>, ApiProblem> {
    let what = Suspended::Namespace(namespace.as_str().into());
    told(&api, "resume starts of", &what, &payload, &by).await?;
    api.coordinator.resume_starts(what).await?;
    Ok(Json(Done { suspended: false, namespace, name: None }))
}

/// Suspends a workflow in all its versions: it is not started until it is resumed.
///
/// Durable. Requests to start it get 409 (WL0525); instances that start it as a child wait. What
/// runs goes on.
#[utoipa::path(post, path = "/v1/workflows/{namespace}/{name}/suspend", tag = "operation",
    operation_id = "suspendWorkflow",
    params(("namespace" = String, Path, description = "`document.namespace`"),
        ("name" = String, Path, description = "`document.name`")),
    request_body(content = Option<Reason>),
    responses((status = 200, description = "Suspended", body = Done),
        (status = 409, description = "It is suspended already (WL0505)", body = ProblemBody)))]
pub(super) async fn suspend_workflow(
    State(api): State<Api>,
    Path((namespace, name)): Path<(String, String)>,
    By(by): By,
    payload: Payload,
) -> Result<Json<Done>, ApiProblem> {
    let what = Suspended::Workflow(namespace.as_str().into(), name.as_str().into());
    told(&api, "suspend starts of", &what, &payload, &by).await?;
    api.coordinator.suspend_starts(what).await?;
    Ok(Json(Done { suspended: true, namespace, name: Some(name) }))
}

/// Resumes a suspended workflow.
#[utoipa::path(post, path = "/v1/workflows/{namespace}/{name}/resume", tag = "operation",
    operation_id = "resumeWorkflow",
    params(("namespace" = String, Path, description = "`document.namespace`"),
        ("name" = String, Path, description = "`document.name`")),
    request_body(content = Option<Reason>),
    responses((status = 200, description = "Resumed", body = Done),
        (status = 409, description = "It is not suspended (WL0505)", body = ProblemBody)))]
pub(super) async fn resume_workflow(
    State(api): State<Api>,
    Path((namespace, name)): Path<(String, String)>,
    By(by): By,
    payload: Payload,
) -> Result<Json<Done>, ApiProblem> {
    let what = Suspended::Workflow(namespace.as_str().into(), name.as_str().into());
    told(&api, "resume starts of", &what, &payload, &by).await?;
    api.coordinator.resume_starts(what).await?;
    Ok(Json(Done { suspended: false, namespace, name: Some(name) }))
}

/// Cancels an instance and all that it has started, directly or through others.
///
/// None of them starts another one any more. Answers when all are cancelled; goes on without
/// whoever asked, and after a restart.
#[utoipa::path(post, path = "/v1/roots/{id}/cancel", tag = "operation", operation_id = "cancelRoot",
    params(("id" = String, Path, description = "The instance's id")),
    request_body(content = Option<Reason>),
    responses((status = 200, description = "How many", body = Cancelled),
        (status = 404, description = "No such instance (WL0503)", body = ProblemBody),
        (status = 409, description = "Another instance has started it (WL0505)",
            body = ProblemBody)))]
pub(super) async fn cancel_root(
    State(api): State<Api>,
    OfInstance(id): OfInstance,
    By(by): By,
    payload: Payload,
) -> Result<Json<Cancelled>, ApiProblem> {
    told(&api, "cancel all of", &Suspended::Root(id), &payload, &by).await?;
    let reason = payload.json_or_default::<Reason>()?.reason();
    let coordinator = api.coordinator.on_behalf_of(&by, reason.as_deref());
    let cancelled = coordinator.cancel_root(id, reason).await?;
    Ok(Json(Cancelled { root: id.to_string(), cancelled }))
}
