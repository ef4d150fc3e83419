//! `/v1/instances`: questions about instances, and orders to them.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use windlass_proto::audit::AuditAction;
use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_proto::value::Value;

use super::access::Caller;
use super::filter::{Conditions, filter};
use super::operator::By;
use super::payload::{Payload, check_depth};
use super::problem::{ApiProblem, ProblemBody};
use super::query::{OfInstance, Query};
use super::room::Room;
use super::start::idempotency_key;
use super::state::Api;
use super::view::{Count, HistoryEntry, Instance, Instances, Standing, Workflow};
use crate::access::Permission;
use crate::archive::Rendering;
use crate::code::Code;
use crate::coordinator::{
    Coordinator, CoordinatorError, Operator, ResetOrder, ResetPlan, Started, Visited,
};
use crate::journal::{Filter, SearchCursor};

/// Lists instances, those that started last first.
///
/// All conditions given must hold. `status`, `error` and `label` may come several times: any of the
/// statuses, any of the errors, all of the labels. A page may have fewer items than `limit`, or
/// none, and `next` all the same: then a bounded part of the instances was looked at.
#[utoipa::path(get, path = "/v1/instances", tag = "instances", operation_id = "listInstances",
    params(Conditions,
        ("limit" = Option<usize>, Query, description = "1 to 1000, by default 100"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, description = "A page", body = Instances),
        (status = 400, description = "A parameter is wrong (WL0511)", body = ProblemBody)))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<Instances>, ApiProblem> {
    let limit = query.limit()?;
    let cursor = query.parsed("cursor", str::parse::<SearchCursor>)?;
    let visible = caller.visible(Permission::InstanceRead);
    let filter = Filter { visible, ..filter(&mut query)? };
    query.finish()?;
    Ok(Json(api.coordinator.search(filter, cursor, limit).await?.into()))
}

/// Counts instances.
///
/// The conditions are those of the list.
#[utoipa::path(get, path = "/v1/instances/count", tag = "instances",
    operation_id = "countInstances",
    params(Conditions),
    responses((status = 200, description = "How many there are", body = Count),
        (status = 400, description = "A parameter is wrong (WL0511)", body = ProblemBody)))]
pub(super) async fn count(
    State(api): State<Api>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<Count>, ApiProblem> {
    let visible = caller.visible(Permission::InstanceRead);
    let filter = Filter { visible, ..filter(&mut query)? };
    query.finish()?;
    Ok(Json(api.coordinator.count(filter).await?.into()))
}

/// How instances are archived: as they are shown here.
#[must_use]
pub fn rendering() -> Rendering {
    Rendering {
        instance: |view| serde_json::to_vec(&Instance::from(view)),
        entry: |entry| serde_json::to_vec(&HistoryEntry::from(entry)),
    }
}

/// Shows an instance: input, context, and what it does now.
///
/// One that was removed is shown as it was archived, where the server has an archive, with
/// `windlass-archived: true` among the headers.
#[utoipa::path(get, path = "/v1/instances/{id}", tag = "instances", operation_id = "getInstance",
    params(("id" = String, Path, description = "The instance's id")),
    responses((status = 200, description = "The instance", body = Instance),
        (status = 404, description = "No such instance (WL0503)", body = ProblemBody)))]
pub(super) async fn show(
    State(api): State<Api>,
    OfInstance(id): OfInstance,
) -> Result<Response, ApiProblem> {
    let mut view = match api.coordinator.show(id).await {
        Err(CoordinatorError::UnknownInstance(_)) => {
            let archived = api.coordinator.archived(id).await?;
            let archived = archived.ok_or(CoordinatorError::UnknownInstance(id))?;
            let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let told = (HeaderName::from_static(ARCHIVED), HeaderValue::from_static("true"));
            return Ok(([kind, told], String::from(archived.text)).into_response());
        }
        shown => shown?,
    };
    api.coordinator.locate(&mut view).await;
    Ok(Json(Instance::from(view)).into_response())
}

/// The header that tells of an instance that was removed and is shown from the archive.
const ARCHIVED: &str = "windlass-archived";

/// Tells how an instance ended.
///
/// 200 once it has ended, 202 while it has not. With `wait` the answer comes when it ends, at the
/// latest after that time. When too many wait, who has waited longest is told 202 before its time.
#[utoipa::path(get, path = "/v1/instances/{id}/output", tag = "instances", operation_id = "getInstanceOutput",
    params(("id" = String, Path, description = "The instance's id"),
        ("wait" = Option<String>, Query, description = "At most 60s", example = "30s")),
    responses((status = 200, description = "It has ended", body = Standing),
        (status = 202, description = "It has not", body = Standing),
        (status = 404, description = "No such instance (WL0503)", body = ProblemBody)))]
pub(super) async fn output(
    State(api): State<Api>,
    Extension(room): Extension<Room>,
    OfInstance(id): OfInstance,
    mut query: Query,
) -> Result<(StatusCode, Json<Standing>), ApiProblem> {
    let wait = query.wait()?.unwrap_or_default();
    query.finish()?;
    Ok(match api.outcome(&room, id, wait).await? {
        Some(outcome) => (StatusCode::OK, Json(Standing::ended(id, outcome))),
        None => {
            let Json(standing) = standing(&api, id).await?;
            // It may have ended just now, or its output may take longer to read than `wait` allows.
            let status = match standing.has_ended() {
                true => StatusCode::OK,
                false => StatusCode::ACCEPTED,
            };
            (status, Json(standing))
        }
    })
}

/// Why something is done.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object that may have reason")]
#[schema(example = json!({"reason": "ordered twice"}))]
pub(super) struct Reason {
    /// Kept in the audit trail and in the history.
    reason: Option<String>,
}

impl Reason {
    pub(super) fn of(reason: Option<String>) -> Self {
        Self { reason }
    }

    /// What is about to be done, with why, for the audit trail.
    pub(super) fn told(&self, what: String) -> String {
        match self.cut() {
            Some(reason) => format!("{what}: {reason}"),
            None => what,
        }
    }

    /// Why, as it is kept.
    pub(super) fn reason(self) -> Option<String> {
        self.cut()
    }

    fn cut(&self) -> Option<String> {
        let reason = self.reason.as_deref()?;
        Some(reason.chars().take(limits::REASON_CHARACTERS).collect())
    }
}

/// Cancels an instance.
///
/// Answers once that is durable; tasks under way on workers are told to stop. One that is cancelled
/// already is answered as it stands.
#[utoipa::path(post, path = "/v1/instances/{id}/cancel", tag = "instances", operation_id = "cancelInstance",
    params(("id" = String, Path, description = "The instance's id")),
    request_body(content = Option<Reason>),
    responses((status = 200, description = "Where it stands now", body = Standing),
        (status = 404, description = "No such instance (WL0503)", body = ProblemBody),
        (status = 409, description = "It has completed or faulted already (WL0505)", body = ProblemBody)))]
pub(super) async fn cancel(
    State(api): State<Api>,
    OfInstance(id): OfInstance,
    By(by): By,
    payload: Payload,
) -> Result<Json<Standing>, ApiProblem> {
    let request: Reason = payload.json_or_default()?;
    let coordinator = told(&api, "cancel", id, &request, &by).await?;
    coordinator.cancel(id, request.reason()).await?;
    standing(&api, id).await
}

/// Suspends an instance: no new task is started until it is resumed.
#[utoipa::path(post, path = "/v1/instances/{id}/suspend", tag = "instances", operation_id = "suspendInstance",
    params(("id" = String, Path, description = "The instance's id")),
    request_body(content = Option<Reason>),
    responses((status = 200, description = "Where it stands now", body = Standing),
        (status = 404, description = "No such instance (WL0503)", body = ProblemBody),
        (status = 409, description = "It cannot be suspended (WL0505)", body = ProblemBody)))]
pub(super) async fn suspend(
    State(api): State<Api>,
    OfInstance(id): OfInstance,
    By(by): By,
    payload: Payload,
) -> Result<Json<Standing>, ApiProblem> {
    let coordinator = told(&api, "suspend", id, &payload.json_or_default()?, &by).await?;
    coordinator.suspend(id).await?;
    standing(&api, id).await
}

/// Resumes a suspended instance.
#[utoipa::path(post, path = "/v1/instances/{id}/resume", tag = "instances", operation_id = "resumeInstance",
    params(("id" = String, Path, description = "The instance's id")),
    request_body(content = Option<Reason>),
    responses((status = 200, description = "Where it stands now", body = Standing),
        (status = 404, description = "No such instance (WL0503)", body = ProblemBody),
        (status = 409, description = "It is not suspended (WL0505)", body = ProblemBody)))]
pub(super) async fn resume(
    State(api): State<Api>,
    OfInstance(id): OfInstance,
    By(by): By,
    payload: Payload,
) -> Result<Json<Standing>, ApiProblem> {
    let coordinator = told(&api, "resume", id, &payload.json_or_default()?, &by).await?;
    coordinator.resume(id).await?;
    standing(&api, id).await
}

/// Goes on for an instance that has faulted, at the task that failed.
///
/// Another instance does: it begins with all that had happened, and tries that task again. What was
/// done is not done again. Asked again, the answer names the same instance.
#[utoipa::path(post, path = "/v1/instances/{id}/retry", tag = "instances", operation_id = "retryInstance",
    params(("id" = String, Path, description = "The instance's id")),
    request_body(content = Option<Reason>),
    responses((status = 200, description = "One goes on for it since before", body = Successor),
        (status = 201, description = "One goes on for it now", body = Successor),
        (status = 404, description = "No such instance (WL0503)", body = ProblemBody),
        (status = 409, description = "It has not faulted (WL0505), no task of it has failed \
            (WL0549), or starts of its workflow are suspended (WL0525)", body = ProblemBody),
        (status = 429, description = "Too much work is open (WL0506)", body = ProblemBody)))]
pub(super) async fn retry(
    State(api): State<Api>,
    OfInstance(predecessor): OfInstance,
    By(by): By,
    payload: Payload,
) -> Result<(StatusCode, Json<Successor>), ApiProblem> {
    let coordinator = told(&api, "retry", predecessor, &payload.json_or_default()?, &by).await?;
    let Started { id, repeated } = coordinator.retry(predecessor).await?;
    let status = if repeated { StatusCode::OK } else { StatusCode::CREATED };
    let (id, predecessor) = (id.to_string(), predecessor.to_string());
    Ok((status, Json(Successor { id, predecessor, repeated })))
}

/// Where an instance begins that goes on for another one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "an object with to")]
#[schema(example = json!({"to": "/do/2/charge[1]", "set": {"rate": 2}, "dryRun": true}))]
pub(super) struct ResetRequest {
    /// JSON pointer of the task that begins again, and which of its visits, from 1: the last one
    /// where there is no number.
    to: String,
    /// What the task gets in place of what it got.
    #[serde(default, deserialize_with = "some")]
    #[schema(value_type = Option<serde_json::Value>)]
    input: Option<Value>,
    /// Members of the context that the task sees otherwise.
    #[serde(default, deserialize_with = "some")]
    #[schema(value_type = Option<Object>)]
    set: Option<Value>,
    /// `rerun` starts children anew that were being waited for; without it they are refused.
    children: Option<Children>,
    /// Another version of the workflow, or `latest`, by which it goes on: refused where that would
    /// not have led to what is kept, with the first task at which it would have gone another way.
    definition: Option<String>,
    /// Only tells what would be kept and what done again.
    #[serde(default)]
    dry_run: bool,
    /// Kept in the audit trail and in the history.
    reason: Option<String>,
}

/// What becomes of children that were being waited for.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Children {
    /// They are started anew.
    Rerun,
}

fn some<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    windlass_proto::value::exact(from).map(Some)
}

/// A visit of a task.
#[derive(Serialize, ToSchema)]
struct VisitOf {
    /// JSON pointer of the task.
    task: String,
    /// Which of its visits, from 1.
    visit: u32,
}

impl From<Visited> for VisitOf {
    fn from(it: Visited) -> Self {
        Self { task: it.task.to_string(), visit: it.visit }
    }
}

/// What a reset does.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResetResponse {
    /// The instance that goes on; absent of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The one that it goes on for.
    predecessor: String,
    /// True when an earlier request with this key had started it.
    repeated: bool,
    /// What the new one runs.
    workflow: Workflow,
    /// SHA-256 of its text.
    digest: String,
    /// The visit that begins again.
    to: VisitOf,
    /// Visits that are over and are kept: they are not performed again. At most 1,000.
    kept: Vec<VisitOf>,
    /// Visits that go on or begin again, and those that came after them, as far as the flow takes
    /// the same way. At most 1,000.
    again: Vec<VisitOf>,
    /// How many are kept.
    kept_count: usize,
    /// How many are done again.
    again_count: usize,
}

/// Goes on for an instance that has ended, from a visit of a task.
///
/// Another instance does: it begins with all that had happened before that visit. With
/// `Idempotency-Key`, repeats start one only.
#[utoipa::path(post, path = "/v1/instances/{id}/reset", tag = "instances", operation_id = "resetInstance",
    params(("id" = String, Path, description = "The instance's id"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "Makes repeats of this request start one instance only")),
    request_body = ResetRequest,
    responses((status = 200, description = "What it would do, or had done before", body = ResetResponse),
        (status = 201, description = "One goes on for it now", body = ResetResponse),
        (status = 404, description = "No such instance (WL0503)", body = ProblemBody),
        (status = 409, description = "It has not ended (WL0505), was not there, or cannot go on \
            from there (WL0549), the key is that of another reset (WL0526), or starts of its \
            workflow are suspended (WL0525)", body = ProblemBody),
        (status = 429, description = "Too much work is open (WL0506)", body = ProblemBody)))]
pub(super) async fn reset(
    State(api): State<Api>,
    OfInstance(predecessor): OfInstance,
    By(by_whom): By,
    payload: Payload,
) -> Result<(StatusCode, Json<ResetResponse>), ApiProblem> {
    let key = idempotency_key(&payload.headers)?;
    let ResetRequest { to, input, set, children, definition, dry_run, reason } = payload.json()?;
    let order = reset_order(&to, (input, set), children)?;
    let coordinator = if dry_run {
        api.coordinator.clone()
    } else {
        let by = definition.as_ref().map_or_else(String::new, |it| format!(" by version {it}"));
        let what = format!("reset to {to}{by} of");
        told(&api, &what, predecessor, &Reason { reason }, &by_whom).await?
    };
    let order = (order, definition.as_deref());
    let (started, plan) = coordinator.reset(predecessor, order, key.as_deref(), dry_run).await?;
    let repeated = started.as_ref().is_some_and(|it| it.repeated);
    let status = if dry_run || repeated { StatusCode::OK } else { StatusCode::CREATED };
    let ResetPlan { to, kept, again, counts: (kept_count, again_count), workflow, digest } = plan;
    let (workflow, digest) = ((&workflow).into(), digest.to_string());
    let named = |all: Vec<Visited>| all.into_iter().map(VisitOf::from).collect();
    let (kept, again) = (named(kept), named(again));
    let id = started.map(|it| it.id.to_string());
    let (predecessor, to) = (predecessor.to_string(), to.into());
    let response = ResetResponse {
        id,
        predecessor,
        repeated,
        workflow,
        digest,
        to,
        kept,
        again,
        kept_count,
        again_count,
    };
    Ok((status, Json(response)))
}

fn reset_order(
    to: &str,
    (input, set): (Option<Value>, Option<Value>),
    children: Option<Children>,
) -> Result<ResetOrder, ApiProblem> {
    let (task, visit) = place(to)?;
    let input = input.map(check_depth).transpose()?;
    let set = match set.map(check_depth).transpose()? {
        None => Vec::new(),
        Some(set) => {
            let members = set.into_members();
            let members = members.map(|it| it.into_iter().collect());
            members.ok_or_else(|| {
                ApiProblem::new(Code::BadBody, "the body: `set` must be an object")
            })?
        }
    };
    let rerun_children = matches!(children, Some(Children::Rerun));
    Ok(ResetOrder { task, visit, input, set, rerun_children })
}

/// Reads `/do/2/charge[1]`.
pub(super) fn place(text: &str) -> Result<(String, Option<u32>), ApiProblem> {
    let wrong = || {
        let detail = "the body: `to` must be a task, as /do/0/task or /do/0/task[1]";
        ApiProblem::new(Code::BadBody, detail)
    };
    let (task, visit) = match text.strip_suffix(']').and_then(|it| it.rsplit_once('[')) {
        Some((task, visit)) => (task, Some(visit.parse().map_err(|_| wrong())?)),
        None => (text, None),
    };
    if !task.starts_with('/') || visit == Some(0) || text.len() > limits::RESET_PLACE_BYTES {
        return Err(wrong());
    }
    Ok((task.to_owned(), visit))
}

/// What stands for the output of a task.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object with output")]
#[schema(example = json!({"output": {"paid": true}, "reason": "paid by hand"}))]
pub(super) struct SkipRequest {
    /// The task's output, any JSON value: `output.as` has no part in it, `export.as` gets it.
    #[serde(deserialize_with = "windlass_proto::value::exact")]
    #[schema(value_type = serde_json::Value)]
    output: Value,
    /// JSON pointer of an open task, as `open` has it; absent for the one that has failed and waits
    /// for an operator.
    task: Option<String>,
    /// Kept in the audit trail and in the history.
    reason: Option<String>,
}

/// Gives the output of a task, in place of whoever works on it.
///
/// The flow goes on behind the task; what is at a worker is told to stop, and so are children. Of
/// an instance that a fault has suspended, it is the task that has failed.
#[utoipa::path(post, path = "/v1/instances/{id}/skip", tag = "instances", operation_id = "skipTask",
    params(("id" = String, Path, description = "The instance's id")),
    request_body = SkipRequest,
    responses((status = 200, description = "Where it stands now", body = Standing),
        (status = 404, description = "No such instance (WL0503)", body = ProblemBody),
        (status = 409, description = "It has ended, or not one such task is open (WL0505)",
            body = ProblemBody)))]
pub(super) async fn skip(
    State(api): State<Api>,
    OfInstance(id): OfInstance,
    By(by): By,
    payload: Payload,
) -> Result<Json<Standing>, ApiProblem> {
    let SkipRequest { output, task, reason } = payload.json()?;
    let output = check_depth(output)?;
    let coordinator = told(&api, "skip a task of", id, &Reason { reason }, &by).await?;
    coordinator.skip(id, task.as_deref(), output).await?;
    standing(&api, id).await
}

/// An instance that goes on for another one.
#[derive(Serialize, ToSchema)]
pub(super) struct Successor {
    /// The instance.
    id: String,
    /// The one that it goes on for.
    predecessor: String,
    /// True when an earlier request had started it.
    repeated: bool,
}

/// Tells the audit trail what is about to be done with an instance; gives the handle that does it,
/// so that its history says who asked for it.
pub(super) async fn told(
    api: &Api,
    what: &str,
    id: InstanceId,
    reason: &Reason,
    by: &Operator,
) -> Result<Coordinator, ApiProblem> {
    let of = api.coordinator.workflow_of(id).await?;
    let of = of.ok_or(CoordinatorError::UnknownInstance(id))?;
    let detail = reason.told(format!("{what} {id} of {of}"));
    let (action, namespace) = (AuditAction::InstanceChanged, Some(of.namespace));
    api.coordinator.audited_even_without_room(action, namespace, detail, by).await?;
    let reason = reason.cut();
    Ok(api.coordinator.on_behalf_of(by, reason.as_deref()))
}

async fn standing(api: &Api, id: InstanceId) -> Result<Json<Standing>, ApiProblem> {
    let head = api.coordinator.show(id).await?.head;
    let standing = Standing::open(id, head.status.word());
    Ok(Json(Standing { output: head.output, error: head.error, ..standing }))
}
