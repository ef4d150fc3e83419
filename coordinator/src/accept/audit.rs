//! `/v1/audit`: what was done with secrets.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use windlass_proto::audit::AuditAction;

use super::access::Caller;
use super::problem::{ApiProblem, ProblemBody};
use super::query::Query;
use super::state::Api;
use crate::access::{Permission, Visible};
use crate::audit::{Filter, Start};

/// Audit events.
#[derive(Serialize, ToSchema)]
pub(super) struct Audit {
    /// Newest first; with `after`, oldest first. Each as it is in the file.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Box<RawValue>>,
    /// Where the next page begins, if there may be one: `cursor` of a page of the newest; with
    /// `after` it is always there, and `after` of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// The number of the last line on disk before this was read.
    last: u64,
}

/// What verifies the trail.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditKeyBody {
    /// How heads are signed.
    algorithm: &'static str,
    /// The public key, in Base64 as URLs have it.
    key: String,
    /// The last line on disk, `SEQUENCE:HASH`: what a later check may be given.
    last: String,
}

/// Shows audit events.
///
/// A page that begins with a `cursor` or `after` never changes, but for lines that are removed with
/// their file. Entries of builds without numbers are among the newest only. The files
/// `audit.jsonl`, `audit.1.jsonl` and so on in the coordinator's data directory have all, and the
/// JetStream stream of audit events copies of them.
#[utoipa::path(get, path = "/v1/audit", tag = "secrets", operation_id = "listAuditEvents",
    params(("limit" = Option<usize>, Query, description = "1 to 1000, by default 100"),
        ("cursor" = Option<u64>, Query, description = "Newest first, of lower numbers: `next` of \
            the page before"),
        ("after" = Option<u64>, Query, description = "Oldest first, of higher numbers; from 0 on"),
        ("wait" = Option<String>, Query, description = "With `after`: how long to wait for a \
            line, at most 60s"),
        ("since" = Option<String>, Query, description = "At or after this moment, in RFC 3339"),
        ("until" = Option<String>, Query, description = "Before this moment"),
        ("action" = Option<String>, Query, description = "What was done: `secret.granted`"),
        ("outcome" = Option<String>, Query, description = "`success` or `failure`"),
        ("namespace" = Option<String>, Query, description = "For workflows in this namespace"),
        ("workflow" = Option<String>, Query, description = "For a workflow: `name`, \
            `namespace/name` or `namespace/name:version`"),
        ("instance" = Option<String>, Query, description = "For this instance"),
        ("worker" = Option<String>, Query, description = "By this worker"),
        ("secret" = Option<String>, Query, description = "With this secret"),
        ("heads" = Option<bool>, Query, description = "Signed heads as well, by default false")),
    responses((status = 200, description = "Events", body = Audit),
        (status = 400, description = "A parameter is wrong (WL0511)", body = ProblemBody),
        (status = 429, description = "Too many wait (WL0506)", body = ProblemBody),
        (status = 503, description = "The trail cannot be read (WL0523)", body = ProblemBody)))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<Audit>, ApiProblem> {
    let limit = query.limit()?;
    let start = start(&mut query)?;
    let wait = query.wait()?;
    let filter = filter(&mut query, caller.visible(Permission::AuditRead))?;
    query.finish()?;
    match (wait, start) {
        (Some(wait), Start::After(after)) => grown(&api, after, wait).await?,
        (Some(_), _) => return Err(ApiProblem::parameter("wait", "it goes with `after`")),
        (None, _) => {}
    }
    let last = api.coordinator.audited_last().sequence;
    let page = api.coordinator.audit(filter, start, limit).await?;
    let next = match start {
        // At the end the next page begins after the last number that was given, be it that of a
        // line which is lost.
        Start::After(after) if !page.more => Some(page.seen.unwrap_or(after).max(last)),
        Start::After(after) => Some(page.seen.unwrap_or(after)),
        _ => page.seen.filter(|_| page.more),
    };
    Ok(Json(Audit { items: page.items, next: next.map(|it| it.to_string()), last }))
}

/// Waits until there is something after a line.
async fn grown(api: &Api, after: u64, wait: Duration) -> Result<(), ApiProblem> {
    let _permit = api.watchers.take().ok_or_else(|| {
        ApiProblem::overloaded("too many clients watch or wait", Duration::from_secs(5))
    })?;
    tokio::select! {
        () = api.coordinator.audit_grows(after, wait) => {}
        () = api.closed() => {}
    }
    Ok(())
}

fn start(query: &mut Query) -> Result<Start, ApiProblem> {
    let cursor = query.parsed("cursor", str::parse::<u64>)?;
    let after = query.parsed("after", str::parse::<u64>)?;
    match (cursor, after) {
        (Some(_), Some(_)) => Err(ApiProblem::parameter("after", "it does not go with `cursor`")),
        (Some(cursor), None) => Ok(Start::Before(cursor)),
        (None, Some(after)) => Ok(Start::After(after)),
        (None, None) => Ok(Start::Newest),
    }
}

fn filter(query: &mut Query, visible: Visible) -> Result<Filter, ApiProblem> {
    let action = query.parsed("action", |text| {
        let known = serde_json::from_value::<AuditAction>(text.into());
        known.map(|_| text.to_owned()).map_err(|_| "there is no such action")
    })?;
    let success = query.parsed("outcome", |text| match text {
        "success" => Ok(true),
        "failure" => Ok(false),
        _ => Err("must be `success` or `failure`"),
    })?;
    Ok(Filter {
        since: query.moment("since")?,
        until: query.moment("until")?,
        action,
        success,
        namespace: query.one("namespace")?,
        workflow: query.one("workflow")?,
        instance: query.one("instance")?,
        worker: query.one("worker")?,
        secret: query.one("secret")?,
        heads: query.parsed("heads", str::parse::<bool>)?.unwrap_or(false),
        visible,
    })
}

/// Shows the public key of the audit trail.
///
/// It verifies the signed heads: `windlass audit verify --key`. Keep it, and `last`, where nobody
/// can change them who can change the trail.
#[utoipa::path(get, path = "/v1/audit/key", tag = "secrets", operation_id = "showAuditKey",
    responses((status = 200, description = "The key", body = AuditKeyBody)))]
pub(super) async fn key(State(api): State<Api>) -> Json<AuditKeyBody> {
    let key = api.coordinator.audit_key().to_string();
    let last = api.coordinator.audited_last().to_string();
    Json(AuditKeyBody { algorithm: "Ed25519", key, last })
}
