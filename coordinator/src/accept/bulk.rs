//! `/v1/bulk`: one order for all instances that match a filter.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use windlass_proto::limits;

use super::access::{Caller, forbidden};
use super::filter;
use super::instance::{Children, place};
use super::operator::By;
use super::payload::Payload;
use super::problem::{ApiProblem, ProblemBody};
use super::query::{Query, Segments};
use super::state::Api;
use crate::access::{Permission, Visible};
use crate::bulk::{Action, Job, Order, Outcome, ResetTo, State as JobState};
use crate::coordinator::CoordinatorError;
use crate::journal::Filter;

/// An order for many instances.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object with action and filter")]
#[schema(as = BulkOrder, example = json!({
    "action": "cancel", "filter": "workflow=shop/order status=waiting", "reason": "recalled",
    "rate": 500,
}))]
pub(super) struct BulkOrder {
    /// `cancel`, `suspend`, `resume`, `retry`, `reset` or `delete`.
    action: String,
    /// Which instances, in the language of `filter` of the list; of those, the ones that had
    /// started when the order was given.
    filter: String,
    /// Kept in the audit trail, and in the histories of the instances.
    #[serde(default)]
    reason: Option<String>,
    /// Instances a second at most, by default 500.
    #[serde(default)]
    rate: Option<u32>,
    /// Of a reset, JSON pointer of the task that begins again, and which of its visits, from 1: the
    /// last one where there is no number.
    #[serde(default)]
    to: Option<String>,
    /// Of a reset: `rerun` starts children anew that were being waited for; without it instances
    /// that waited for any are skipped.
    #[serde(default)]
    children: Option<Children>,
    /// Only tell how many there are.
    #[serde(default)]
    preview: bool,
}

impl BulkOrder {
    /// Where instances go on that are reset.
    fn reset_to(&self, action: Action) -> Result<Option<ResetTo>, ApiProblem> {
        match (action, &self.to) {
            (Action::Reset, Some(to)) => {
                let (task, visit) = place(to)?;
                let rerun_children = matches!(self.children, Some(Children::Rerun));
                Ok(Some(ResetTo { task: task.into(), visit, rerun_children }))
            }
            (Action::Reset, None) => {
                Err(ApiProblem::parameter("to", "name the task that begins again, as /do/0/task"))
            }
            _ if self.to.is_some() || self.children.is_some() => {
                Err(ApiProblem::parameter("to", "`to` and `children` belong to a reset"))
            }
            _ => Ok(None),
        }
    }
}

/// A bulk job, or what one would be about.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BulkJob)]
pub(super) struct BulkJob {
    /// Its id; absent of a preview.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// What is done with each instance.
    action: String,
    /// Which instances.
    filter: String,
    /// `running`, `paused`, `completed` or `cancelled`; absent of a preview.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    /// How many matched when it was given; as they were counted, until they are gathered.
    total: u64,
    /// With how many it was done.
    done: u64,
    /// With how many there was nothing to do.
    skipped: u64,
    /// With how many it failed.
    failed: u64,
    /// Instances a second at most.
    rate: u32,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Of a reset, the task that begins again.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// Who gave it, as far as they were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// When it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
}

impl From<&Job> for BulkJob {
    fn from(job: &Job) -> Self {
        Self {
            id: Some(job.id.to_string()),
            action: job.order.action.word().to_owned(),
            filter: job.order.text.to_string(),
            status: Some(job.state.word()),
            total: if job.gathered { job.total } else { job.total.max(job.counted) },
            done: job.done,
            skipped: job.skipped,
            failed: job.failed,
            rate: job.order.rate,
            reason: job.order.reason.as_deref().map(str::to_owned),
            to: job.order.to.as_ref().map(|it| match it.visit {
                Some(visit) => format!("{}[{visit}]", it.task),
                None => it.task.to_string(),
            }),
            by: Some(format!("{}:{}", job.order.by.0, job.order.by.1)),
            created_at: Some(job.created_at.to_rfc3339()),
            ended_at: job.ended_at.map(|it| it.to_rfc3339()),
        }
    }
}

/// All bulk jobs.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkJobs)]
pub(super) struct BulkJobs {
    /// The newest first.
    items: Vec<BulkJob>,
}

/// What came of one instance.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkResult)]
pub(super) struct BulkResult {
    /// The instance.
    id: String,
    /// `done`, `skipped` or `failed`.
    result: &'static str,
    /// Why nothing was done, or why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Some of what came of instances.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkResults)]
pub(super) struct BulkResults {
    items: Vec<BulkResult>,
    /// Send it as `cursor` to get the next page; absent at the end of what there is so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Begins a bulk job.
///
/// It is durable: it goes on by itself, also after a restart, at the rate that it is given. The
/// order is given for instances that had started before, those that started last first.
#[utoipa::path(post, path = "/v1/bulk", tag = "instances", operation_id = "startBulkJob",
    request_body = BulkOrder,
    responses((status = 200, description = "What it would be about", body = BulkJob),
        (status = 202, description = "It has begun", body = BulkJob),
        (status = 400, description = "A parameter is wrong (WL0511)", body = ProblemBody),
        (status = 409, description = "Too many are under way (WL0505)", body = ProblemBody)))]
pub(super) async fn start(
    State(api): State<Api>,
    caller: Caller,
    By(by): By,
    payload: Payload,
) -> Result<(StatusCode, Json<BulkJob>), ApiProblem> {
    let request: BulkOrder = payload.json()?;
    let action = Action::ALL.into_iter().find(|it| it.word() == request.action);
    let action = action.ok_or_else(|| {
        let words = Action::ALL.map(Action::word).join(", ");
        ApiProblem::parameter("action", format!("must be one of {words}"))
    })?;
    let rate = request.rate.unwrap_or(limits::BULK_RATE);
    if !(1..=limits::BULK_RATE_MOST).contains(&rate) {
        let why = format!("must be from 1 to {}", limits::BULK_RATE_MOST);
        return Err(ApiProblem::parameter("rate", why));
    }
    let filter = filter::of_text(&request.filter)?;
    if filter.is_empty() {
        let why = "has no condition: say which instances are meant, such as `started<TIME`";
        return Err(ApiProblem::parameter("filter", why));
    }
    let permission = action.permission();
    let visible = caller.visible(permission);
    if !caller.principal().may_somewhere(permission) {
        return Err(forbidden(permission, ""));
    }
    let to = request.reset_to(action)?;
    let filter = Filter { visible, ..filter }.among(action.statuses());
    let filter = filter.ok_or_else(|| {
        let words: Vec<_> = action.statuses().iter().map(|it| it.word()).collect();
        let (action, words) = (action.word(), words.join(", "));
        ApiProblem::parameter("filter", format!("asks for no status that {action} is for: {words}"))
    })?;
    let principal = caller.principal();
    let cut = |it: String| it.chars().take(limits::REASON_CHARACTERS).collect::<String>();
    let order = Order {
        action,
        filter,
        text: request.filter.trim().into(),
        reason: request.reason.map(|it| cut(it).into()),
        rate,
        by: (principal.issuer.clone(), principal.subject.clone()),
        to,
    };
    if request.preview {
        let total = api.coordinator.count(order.filter.clone()).await?.count;
        let job = BulkJob {
            id: None,
            status: None,
            created_at: None,
            by: None,
            ..BulkJob::from(&Job::new(order, total, crate::clock::now()))
        };
        return Ok((StatusCode::OK, Json(job)));
    }
    let job = api.coordinator.bulk(order, &by).await?;
    Ok((StatusCode::ACCEPTED, Json((&job).into())))
}

/// Whether somebody sees a job: it is theirs, with the rights that they have still, or they may
/// operate all instances. Names alone do not do: tokens of different rights may share one.
fn sees(caller: &Caller, job: &Job) -> bool {
    let (principal, visible) = (caller.principal(), caller.visible(job.order.action.permission()));
    let own = job.order.by == (principal.issuer.clone(), principal.subject.clone());
    caller.visible(Permission::InstanceOperate) == Visible::All
        || (own && visible == job.order.filter.visible)
}

fn seen(api: &Api, caller: &Caller, id: &str) -> Result<Job, ApiProblem> {
    let id = Uuid::parse_str(id)
        .map_err(|_| ApiProblem::parameter("id", format!("`{id}` is not a job's id (a UUID)")))?;
    let job = api.coordinator.bulk_job(id)?;
    match sees(caller, &job) {
        true => Ok(job),
        false => Err(CoordinatorError::UnknownBulkJob(id).into()),
    }
}

/// Lists bulk jobs, the newest first: one's own, and all for whoever may operate all instances.
#[utoipa::path(get, path = "/v1/bulk", tag = "instances", operation_id = "listBulkJobs",
    responses((status = 200, description = "All that are kept", body = BulkJobs)))]
pub(super) async fn list(State(api): State<Api>, caller: Caller) -> Json<BulkJobs> {
    let jobs = api.coordinator.bulk_jobs();
    Json(BulkJobs { items: jobs.iter().filter(|it| sees(&caller, it)).map(Into::into).collect() })
}

/// Shows a bulk job.
#[utoipa::path(get, path = "/v1/bulk/{id}", tag = "instances", operation_id = "getBulkJob",
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, description = "How it stands", body = BulkJob),
        (status = 404, description = "No such job (WL0550)", body = ProblemBody)))]
pub(super) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Json<BulkJob>, ApiProblem> {
    Ok(Json((&seen(&api, &caller, &id)?).into()))
}

/// Shows what came of each instance of a bulk job, in the order in which it was dealt with.
#[utoipa::path(get, path = "/v1/bulk/{id}/results", tag = "instances",
    operation_id = "getBulkResults",
    params(("id" = String, Path, description = "The job's id"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, description = "A page", body = BulkResults),
        (status = 404, description = "No such job (WL0550)", body = ProblemBody)))]
pub(super) async fn results(
    State(api): State<Api>,
    caller: Caller,
    Segments(id): Segments<String>,
    mut query: Query,
) -> Result<Json<BulkResults>, ApiProblem> {
    let job = seen(&api, &caller, &id)?;
    let page = query.parsed("cursor", str::parse::<u32>)?.unwrap_or(0);
    query.finish()?;
    let outcomes = api.coordinator.bulk_results(job.id, page).await?.unwrap_or_default();
    let item = |it: Outcome| BulkResult {
        id: it.instance.to_string(),
        result: it.result.word(),
        detail: it.detail.as_deref().map(str::to_owned),
    };
    let next = page.checked_add(1).filter(|it| *it < job.pages).map(|it| it.to_string());
    Ok(Json(BulkResults { items: outcomes.into_iter().map(item).collect(), next }))
}

async fn set(
    api: &Api,
    caller: &Caller,
    id: &str,
    state: JobState,
    By(by): &By,
) -> Result<Json<BulkJob>, ApiProblem> {
    let job = seen(api, caller, id)?;
    Ok(Json((&api.coordinator.set_bulk(job.id, state, by).await?).into()))
}

/// Pauses a bulk job: orders that are being given are given.
#[utoipa::path(post, path = "/v1/bulk/{id}/pause", tag = "instances", operation_id = "pauseBulkJob",
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, description = "How it stands", body = BulkJob),
        (status = 404, description = "No such job (WL0550)", body = ProblemBody),
        (status = 409, description = "It has ended (WL0505)", body = ProblemBody)))]
pub(super) async fn pause(
    State(api): State<Api>,
    caller: Caller,
    Segments(id): Segments<String>,
    by: By,
) -> Result<Json<BulkJob>, ApiProblem> {
    set(&api, &caller, &id, JobState::Paused, &by).await
}

/// Lets a bulk job go on.
#[utoipa::path(post, path = "/v1/bulk/{id}/resume", tag = "instances",
    operation_id = "resumeBulkJob",
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, description = "How it stands", body = BulkJob),
        (status = 404, description = "No such job (WL0550)", body = ProblemBody),
        (status = 409, description = "It has ended (WL0505)", body = ProblemBody)))]
pub(super) async fn resume(
    State(api): State<Api>,
    caller: Caller,
    Segments(id): Segments<String>,
    by: By,
) -> Result<Json<BulkJob>, ApiProblem> {
    set(&api, &caller, &id, JobState::Running, &by).await
}

/// Ends a bulk job: what it has done stays done.
#[utoipa::path(post, path = "/v1/bulk/{id}/cancel", tag = "instances",
    operation_id = "cancelBulkJob",
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, description = "How it stands", body = BulkJob),
        (status = 404, description = "No such job (WL0550)", body = ProblemBody),
        (status = 409, description = "It has ended (WL0505)", body = ProblemBody)))]
pub(super) async fn cancel(
    State(api): State<Api>,
    caller: Caller,
    Segments(id): Segments<String>,
    by: By,
) -> Result<Json<BulkJob>, ApiProblem> {
    set(&api, &caller, &id, JobState::Cancelled, &by).await
}
