//! `/v1/schedules`: what is due and was, and orders to schedules.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use windlass_proto::limits::SCHEDULE_REASON_BYTES;
use windlass_proto::time::Timestamp;

use super::access::Caller;
use super::operator::By;
use super::payload::Payload;
use super::problem::{ApiProblem, ProblemBody};
use super::query::{Query, Segments};
use super::schedule_view::{Backfilled, Schedule, Schedules, Standing, Triggered, cursor};
use super::state::Api;
use crate::access::Permission;
use crate::code::Code;

/// Why a schedule is paused.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object that may have reason")]
#[schema(example = json!({"reason": "the shop is closed"}))]
pub(super) struct Pause {
    /// Shown with the schedule.
    #[serde(default)]
    reason: Option<String>,
}

/// What to make up for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object with from and to")]
#[schema(example = json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-31T00:00:00Z"}))]
pub(super) struct Backfill {
    /// The first due time it may be, RFC 3339.
    from: String,
    /// The last one.
    to: String,
    /// Only tell how many due times would be taken up.
    #[serde(default)]
    preview: bool,
}

/// Lists schedules.
#[utoipa::path(get, path = "/v1/schedules", tag = "schedules", operation_id = "listSchedules",
    params(("namespace" = Option<String>, Query, description = "`document.namespace`"),
        ("limit" = Option<usize>, Query, description = "1 to 1000, by default 100"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, description = "A page", body = Schedules),
        (status = 400, description = "A parameter is wrong (WL0511)", body = ProblemBody)))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<Schedules>, ApiProblem> {
    let limit = query.limit()?;
    let namespace = query.one("namespace")?;
    let cursor = query.parsed("cursor", cursor)?;
    query.finish()?;
    let visible = caller.visible(Permission::ScheduleRead);
    Ok(Json(api.coordinator.schedules(namespace, visible, cursor, limit).await?.into()))
}

/// One schedule, with its next due times and what became of the last ones.
#[utoipa::path(get, path = "/v1/schedules/{namespace}/{name}", tag = "schedules",
    operation_id = "getSchedule",
    params(("namespace" = String, Path, description = "`document.namespace`"),
        ("name" = String, Path, description = "`document.name`")),
    responses((status = 200, description = "The schedule", body = Schedule),
        (status = 404, description = "No such schedule (WL0529)", body = ProblemBody)))]
pub(super) async fn show(
    State(api): State<Api>,
    Segments((namespace, name)): Segments<(String, String)>,
) -> Result<Json<Schedule>, ApiProblem> {
    Ok(Json(api.coordinator.schedule(&namespace, &name).await?.into()))
}

/// Pauses a schedule: nothing of it starts by itself until it is resumed.
///
/// Durable. What runs goes on; due times of the pause are skipped. Once more changes the reason.
#[utoipa::path(post, path = "/v1/schedules/{namespace}/{name}/pause", tag = "schedules",
    operation_id = "pauseSchedule",
    params(("namespace" = String, Path, description = "`document.namespace`"),
        ("name" = String, Path, description = "`document.name`")),
    request_body(content = Option<Pause>),
    responses((status = 200, description = "Paused", body = Standing),
        (status = 404, description = "No such schedule (WL0529)", body = ProblemBody)))]
pub(super) async fn pause(
    State(api): State<Api>,
    Segments((namespace, name)): Segments<(String, String)>,
    By(by): By,
    payload: Payload,
) -> Result<Json<Standing>, ApiProblem> {
    let reason = payload.json_or_default::<Pause>()?.reason;
    if reason.as_ref().is_some_and(|it| it.len() > SCHEDULE_REASON_BYTES) {
        let detail = format!("`reason` is longer than {SCHEDULE_REASON_BYTES} bytes");
        return Err(ApiProblem::new(Code::BadBody, detail));
    }
    api.coordinator.pause_schedule(&namespace, &name, reason, by).await?;
    Ok(Json(Standing { namespace, name, paused: true }))
}

/// Lets a schedule go on.
#[utoipa::path(post, path = "/v1/schedules/{namespace}/{name}/resume", tag = "schedules",
    operation_id = "resumeSchedule",
    params(("namespace" = String, Path, description = "`document.namespace`"),
        ("name" = String, Path, description = "`document.name`")),
    responses((status = 200, description = "It goes on", body = Standing),
        (status = 404, description = "No such schedule (WL0529)", body = ProblemBody)))]
pub(super) async fn resume(
    State(api): State<Api>,
    Segments((namespace, name)): Segments<(String, String)>,
    By(by): By,
) -> Result<Json<Standing>, ApiProblem> {
    api.coordinator.resume_schedule(&namespace, &name, by).await?;
    Ok(Json(Standing { namespace, name, paused: false }))
}

/// Starts an instance at once, although the schedule may be paused or another one open.
#[utoipa::path(post, path = "/v1/schedules/{namespace}/{name}/trigger", tag = "schedules",
    operation_id = "triggerSchedule",
    params(("namespace" = String, Path, description = "`document.namespace`"),
        ("name" = String, Path, description = "`document.name`")),
    responses((status = 200, description = "The instance", body = Triggered),
        (status = 404, description = "No such schedule (WL0529)", body = ProblemBody),
        (status = 409, description = "Starts are suspended (WL0525)", body = ProblemBody)))]
pub(super) async fn trigger(
    State(api): State<Api>,
    Segments((namespace, name)): Segments<(String, String)>,
    By(by): By,
) -> Result<Json<Triggered>, ApiProblem> {
    let id = api.coordinator.trigger_schedule(&namespace, &name, by).await?;
    Ok(Json(Triggered { id: id.to_string() }))
}

/// Starts what was due from one time to another.
///
/// At most 1,000 instances, some at a time, as there is room for them; the overlap policy holds. A
/// time that was made up for before is not started again.
#[utoipa::path(post, path = "/v1/schedules/{namespace}/{name}/backfill", tag = "schedules",
    operation_id = "backfillSchedule",
    params(("namespace" = String, Path, description = "`document.namespace`"),
        ("name" = String, Path, description = "`document.name`")),
    request_body(content = Backfill),
    responses((status = 200, description = "How many due times were taken up", body = Backfilled),
        (status = 400, description = "The times are wrong (WL0510)", body = ProblemBody),
        (status = 404, description = "No such schedule (WL0529)", body = ProblemBody),
        (status = 409, description = "Starts are suspended (WL0525)", body = ProblemBody)))]
pub(super) async fn backfill(
    State(api): State<Api>,
    Segments((namespace, name)): Segments<(String, String)>,
    By(by): By,
    payload: Payload,
) -> Result<Json<Backfilled>, ApiProblem> {
    let Backfill { from, to, preview } = payload.json()?;
    let (from, to) = (moment("from", &from)?, moment("to", &to)?);
    if from > to {
        return Err(ApiProblem::new(Code::BadBody, "`from` is later than `to`"));
    }
    let times = (from, to);
    if preview {
        let started = api.coordinator.preview_backfill(&namespace, &name, times).await?;
        return Ok(Json(Backfilled { started }));
    }
    let started = api.coordinator.backfill_schedule(&namespace, &name, times, by).await?;
    Ok(Json(Backfilled { started }))
}

fn moment(name: &str, text: &str) -> Result<Timestamp, ApiProblem> {
    Timestamp::parse(text).ok_or_else(|| {
        let detail = format!("`{name}` must be a moment such as 2026-01-31T08:00:00Z");
        ApiProblem::new(Code::BadBody, detail)
    })
}
