//! `/v1/approvals`, `/v1/instances/{id}/approvals`: questions to people.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::access::Caller;
use super::instance::{Reason, told};
use super::operator::By;
use super::payload::{Payload, check_depth};
use super::problem::{ApiProblem, ProblemBody};
use super::query::{Query, Segments, instance_id};
use super::state::Api;
use super::view::{Standing, Workflow};
use crate::access::{Permission, Resource};
use crate::approval::{ApprovalId, OpenApproval};
use crate::code::Code;
use crate::coordinator::{ApprovalFilter, Decision, Operator};
use crate::journal::Status;

/// A question to people.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"id": "0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f.5",
    "instance": "0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f", "number": 5,
    "uri": "/v1/instances/0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f/approvals/5",
    "workflow": {"namespace": "shop", "name": "order", "version": "1.0.0"},
    "task": "/do/1/approve", "title": "Pay 4711 to ACME?", "roles": ["approver"], "users": [],
    "yours": true, "since": "2026-01-31T08:00:00Z"}))]
pub(super) struct Approval {
    /// By what it is decided: the instance and the number.
    id: String,
    /// The instance that asks.
    instance: String,
    /// The number of its fact that asks; who asks again, asks another question.
    number: u64,
    /// Where it is. It gives nobody a right: whoever goes there says who they are.
    uri: String,
    /// The workflow.
    workflow: Workflow,
    /// JSON pointer of the task.
    task: String,
    /// What is asked, in a line.
    title: String,
    /// More of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whoever has one of these roles for the workflow may decide.
    roles: Vec<String>,
    /// These may decide. Without them and roles everybody may who has approval.decide.
    users: Vec<String>,
    /// Whether whoever asks may decide.
    yours: bool,
    /// Since when it waits, in RFC 3339.
    since: String,
    /// When the task takes too long, where it has a timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    /// The JSON Schema that the data of an approval must fit; only where one is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    form: Option<Value>,
}

impl Approval {
    fn of(id: ApprovalId, open: OpenApproval, by: &Operator) -> Self {
        let yours = by.is_assigned(&open.question, &open.workflow.namespace, &open.workflow.name);
        let texts = |all: Vec<std::sync::Arc<str>>| all.iter().map(ToString::to_string).collect();
        Self {
            id: id.to_string(),
            instance: id.instance.to_string(),
            number: id.number,
            uri: id.path(),
            workflow: (&open.workflow).into(),
            task: open.reference.to_string(),
            title: open.question.title.to_string(),
            description: open.question.description.map(|it| it.to_string()),
            roles: texts(open.question.roles),
            users: texts(open.question.users),
            yours,
            since: open.since.to_rfc3339(),
            until: open.until.map(Timestamp::to_rfc3339),
            form: None,
        }
    }
}

/// A page of questions.
#[derive(Serialize, ToSchema)]
pub(super) struct Approvals {
    /// Those of instances that were started first come first.
    items: Vec<Approval>,
    /// Where the next page begins, if there may be one: the `cursor` to ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Lists the questions to people that are open.
///
/// A page may have fewer items than `limit`, or none, and `next` all the same: then a bounded part
/// was looked at.
#[utoipa::path(get, path = "/v1/approvals", tag = "approvals", operation_id = "listApprovals",
    params(("namespace" = Option<String>, Query, description = "Of workflows of this namespace"),
        ("name" = Option<String>, Query, description = "Of workflows of this name"),
        ("mine" = Option<bool>, Query, description = "`true`: only those that you may decide"),
        ("limit" = Option<usize>, Query, description = "1 to 1000, by default 100"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, description = "A page", body = Approvals),
        (status = 400, description = "A parameter is wrong (WL0511)", body = ProblemBody)))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    By(by): By,
    mut query: Query,
) -> Result<Json<Approvals>, ApiProblem> {
    let (namespace, name) = (query.one("namespace")?, query.one("name")?);
    let mine = query.parsed("mine", |text| match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be `true` or `false`"),
    })?;
    let limit = query.limit()?;
    let after = query.parsed("cursor", str::parse::<ApprovalId>)?;
    query.finish()?;
    let visible = caller.visible(Permission::ApprovalDecide);
    let mine = mine.unwrap_or_default().then(|| by.clone());
    let filter = ApprovalFilter { visible, namespace, name, mine };
    let (found, next) = api.coordinator.approvals(filter, after, limit).await?;
    let items = found.into_iter().map(|(id, open)| Approval::of(id, open, &by)).collect();
    Ok(Json(Approvals { items, next: next.map(|it| it.to_string()) }))
}

/// Shows a question that is open, with its form.
#[utoipa::path(get, path = "/v1/instances/{id}/approvals/{number}", tag = "approvals",
    operation_id = "getApproval",
    params(("id" = String, Path, description = "The instance's id"),
        ("number" = u64, Path, description = "The question's number")),
    responses((status = 200, description = "The question", body = Approval),
        (status = 404, description = "No such question (WL0650)", body = ProblemBody),
        (status = 409, description = "It is decided, or not open any more (WL0651)",
            body = ProblemBody)))]
pub(super) async fn show(
    State(api): State<Api>,
    By(by): By,
    Segments((id, number)): Segments<(String, String)>,
) -> Result<Json<Approval>, ApiProblem> {
    let id = named(&id, &number)?;
    let asked = api.coordinator.approval(id).await?;
    let form = asked.form.map(|(document, _)| document);
    Ok(Json(Approval { form, ..Approval::of(id, asked.open, &by) }))
}

/// What somebody approves with.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object that may have data and reason")]
#[schema(example = json!({"data": {"costCentre": 12}, "reason": "as agreed"}))]
pub(super) struct ApproveRequest {
    /// What the form asks for; null without it.
    #[serde(default, deserialize_with = "windlass_proto::value::exact")]
    #[schema(value_type = Option<serde_json::Value>)]
    data: Value,
    /// Kept in the audit trail and in the history, and given to the workflow.
    reason: Option<String>,
}

/// Why somebody rejects.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object with reason")]
#[schema(example = json!({"reason": "not in the budget"}))]
pub(super) struct RejectRequest {
    /// Kept in the audit trail and in the history, and given to the workflow.
    reason: String,
}

/// Approves.
///
/// The task ends with `{approved: true, by, at, data, reason}`. Who sends the same again after the
/// answer was lost is told by 409 who has decided, and how.
#[utoipa::path(post, path = "/v1/instances/{id}/approvals/{number}/approve", tag = "approvals",
    operation_id = "approve",
    params(("id" = String, Path, description = "The instance's id"),
        ("number" = u64, Path, description = "The question's number")),
    request_body(content = Option<ApproveRequest>),
    responses((status = 200, description = "Where the instance stands now", body = Standing),
        (status = 403, description = "It is for others (WL0652)", body = ProblemBody),
        (status = 404, description = "No such question (WL0650)", body = ProblemBody),
        (status = 409, description = "It is decided, or not open any more (WL0651)",
            body = ProblemBody),
        (status = 422, description = "The data does not fit the form (WL0653)",
            body = ProblemBody)))]
pub(super) async fn approve(
    State(api): State<Api>,
    caller: Caller,
    By(by): By,
    Segments((id, number)): Segments<(String, String)>,
    payload: Payload,
) -> Result<Json<Standing>, ApiProblem> {
    let id = named(&id, &number)?;
    let ApproveRequest { data, reason } = payload.json_or_default()?;
    let decision = Decision { approved: true, data: check_depth(data)? };
    decide(&api, id, decision, reason, (&caller, &by)).await
}

/// Rejects.
///
/// The task ends with `{approved: false, by, at, data: null, reason}`: what follows from it is for
/// the workflow to say.
#[utoipa::path(post, path = "/v1/instances/{id}/approvals/{number}/reject", tag = "approvals",
    operation_id = "reject",
    params(("id" = String, Path, description = "The instance's id"),
        ("number" = u64, Path, description = "The question's number")),
    request_body = RejectRequest,
    responses((status = 200, description = "Where the instance stands now", body = Standing),
        (status = 403, description = "It is for others (WL0652)", body = ProblemBody),
        (status = 404, description = "No such question (WL0650)", body = ProblemBody),
        (status = 409, description = "It is decided, or not open any more (WL0651)",
            body = ProblemBody)))]
pub(super) async fn reject(
    State(api): State<Api>,
    caller: Caller,
    By(by): By,
    Segments((id, number)): Segments<(String, String)>,
    payload: Payload,
) -> Result<Json<Standing>, ApiProblem> {
    let id = named(&id, &number)?;
    let RejectRequest { reason } = payload.json()?;
    if reason.trim().is_empty() {
        return Err(ApiProblem::new(Code::BadBody, "the body: `reason` must say why"));
    }
    let decision = Decision { approved: false, data: Value::Null };
    decide(&api, id, decision, Some(reason), (&caller, &by)).await
}

async fn decide(
    api: &Api,
    id: ApprovalId,
    decision: Decision,
    reason: Option<String>,
    (caller, by): (&Caller, &Operator),
) -> Result<Json<Standing>, ApiProblem> {
    let reason = Reason::of(reason);
    let word = if decision.approved { "approve" } else { "reject" };
    let what = format!("{word} question {} of", id.number);
    // Who is refused because it is for others is told to the trail where all such are.
    let of = api.coordinator.may_decide(id, &decision, by).await?;
    let coordinator = told(api, &what, id.instance, &reason, by).await?;
    coordinator.decide(id, decision).await?;
    // What comes of it is for those who may read it; and it is decided, whatever can be read of it.
    let head = api.coordinator.show(id.instance).await.ok().map(|it| it.head);
    let status = head.as_ref().map_or(Status::Running, |it| it.status);
    let standing = Standing::open(id.instance, status.word());
    let of = Resource::Workflow(&of.namespace, &of.name);
    Ok(Json(match head.filter(|_| caller.principal().may(Permission::InstanceRead, of)) {
        Some(head) => Standing { output: head.output, error: head.error, ..standing },
        None => standing,
    }))
}

fn named(instance: &str, number: &str) -> Result<ApprovalId, ApiProblem> {
    let instance = instance_id(instance)?;
    let number = number.parse().map_err(|_| ApiProblem::parameter("number", "must be a number"))?;
    Ok(ApprovalId { instance, number })
}
