//! `POST /v1/instances`: starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use windlass_proto::id::InstanceId;
use windlass_proto::limits::{HIGHEST_PRIORITY, IDEMPOTENCY_KEY_BYTES, LABEL_BYTES, LABELS};
use windlass_proto::value::Value;

use super::access::Caller;
use super::operator::By;
use super::payload::{Payload, check_depth};
use super::problem::{ApiProblem, ProblemBody};
use super::query::Query;
use super::room::Room;
use super::state::Api;
use super::trace::{Began, trace};
use super::view::Standing;
use crate::access::Permission;
use crate::code::Code;
use crate::coordinator::{CoordinatorError, OnEnded, OnRunning, Start, StartPolicy, WorkflowRef};

/// A request to start an instance.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "an object with workflow")]
#[schema(example = json!({
    "workflow": {"namespace": "examples", "name": "greet", "version": "1.0.0"},
    "input": {"name": "Ada"}, "labels": {"customer": "42"}
}))]
pub(super) struct StartRequest {
    /// Which workflow.
    workflow: Selector,
    /// Its input: any JSON value, `{}` when absent.
    #[serde(default = "Value::empty_object", deserialize_with = "windlass_proto::value::exact")]
    #[schema(value_type = serde_json::Value)]
    input: Value,
    /// The id the instance shall have, a UUID. A start with the id of an instance that exists is a
    /// repeat.
    #[schema(value_type = Option<String>)]
    id: Option<InstanceId>,
    /// What becomes of it while an instance runs that has its id or key: `use-existing` answers for
    /// that one, `fail` refuses (WL0551), `terminate-existing` cancels it and starts another, which
    /// needs a key and the permission instance.operate.
    #[serde(default)]
    on_running: OnRunning,
    /// What becomes of it once that instance has ended: `use-existing`, `fail`, `replace` starts
    /// another, `replace-failed` does where that one has faulted or was cancelled. Both need a key.
    #[serde(default)]
    on_ended: OnEnded,
    /// Labels to find it by; at most 32.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Its priority, from 0 to 9, which its children inherit: of the tasks that wait for a worker,
    /// those of the highest priority go first. 5 when absent.
    #[schema(value_type = Option<u8>, minimum = 0, maximum = 9, example = 5)]
    priority: Option<i64>,
}

/// Which workflow to start.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object with namespace and name")]
struct Selector {
    /// `document.namespace`
    namespace: String,
    /// `document.name`
    name: String,
    /// `document.version`; the highest when absent or `latest`.
    version: Option<String>,
}

/// An accepted start.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f", "status": "completed",
    "output": {"greeting": "Hello, Ada"}, "repeated": false
}))]
pub(super) struct StartResponse {
    #[serde(flatten)]
    standing: Standing,
    /// True when an earlier request had started it.
    repeated: bool,
}

/// Starts an instance.
///
/// Answers once the start is durable: 202 with the id, or, with `wait`, 200 with the outcome when
/// it came in time. When too many wait, who has waited longest is told 202 before its time. A
/// repeat, by `Idempotency-Key` or by `id`, starts nothing and answers for the instance that
/// exists, with `repeated` true; with another workflow or input it is refused. `onRunning` and
/// `onEnded` ask for something else.
#[utoipa::path(post, path = "/v1/instances", tag = "instances", operation_id = "startInstance", request_body = StartRequest,
    params(("wait" = Option<String>, Query, description = "Wait so long for the outcome, at most 60s",
            example = "30s"),
        ("Idempotency-Key" = Option<String>, Header, example = "order-4711",
            description = "Makes repeats of this request start one instance only"),
        ("traceparent" = Option<String>, Header,
            example = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            description = "The trace it is started in (W3C Trace Context); see docs/telemetry.md")),
    responses(
        (status = 202, description = "Started; `Location` names it", body = StartResponse),
        (status = 200, description = "Started and ended", body = StartResponse),
        (status = 400, description = "Body or input refused (WL0504, WL0510)", body = ProblemBody),
        (status = 404, description = "No such workflow (WL0502)", body = ProblemBody),
        (status = 409, description = "The id or key belongs to another start (WL0526) or is taken \
            (WL0551), or starts are suspended (WL0525)", body = ProblemBody),
        (status = 413, description = "Payload too large (WL0507)", body = ProblemBody),
        (status = 429, description = "Overloaded (WL0506); see `Retry-After`",
            body = ProblemBody)))]
pub(super) async fn start(
    State(api): State<Api>,
    Extension(room): Extension<Room>,
    caller: Caller,
    By(by): By,
    mut query: Query,
    payload: Payload,
) -> Result<Response, ApiProblem> {
    let wait = query.wait()?;
    query.finish()?;
    let idempotency_key = idempotency_key(&payload.headers)?;
    let trace = trace(&payload.headers);
    let request: StartRequest = payload.json()?;
    // The body's memory is free for others while this one waits.
    drop(payload);
    let Selector { namespace, name, version } = request.workflow.clone();
    caller.workflow(Permission::InstanceStart, &namespace, &name, || {
        CoordinatorError::unknown_workflow(&namespace, &name, version.as_deref())
    })?;
    may_choose(request.id, &caller)?;
    let policy = policy(&request, idempotency_key.is_some(), &caller)?;
    let start = Start {
        policy,
        workflow: WorkflowRef { namespace, name, version },
        input: check_depth(request.input)?,
        id: request.id,
        idempotency_key,
        labels: labels(request.labels)?,
        priority: request.priority.map(priority).transpose()?,
        trace,
    };
    let above = start.trace.clone();
    let started = api.coordinator.start_by(start, &by).await;
    let started = started.map_err(|error| caller_may_know(error, &caller))?;
    api.metrics.start(started.repeated);
    let began = api.coordinator.span_of(&started, above.as_ref()).map(Began);
    let id = started.id;
    let outcome = match wait {
        Some(wait) => api.outcome(&room, id, wait).await?,
        None => None,
    };
    let location = [(header::LOCATION, format!("/v1/instances/{id}"))];
    let (status, standing) = match outcome {
        Some(outcome) => (StatusCode::OK, Standing::ended(id, outcome)),
        None => {
            let view = api.coordinator.show(id).await;
            let word = view.map_or("pending", |it| it.head.status.word());
            (StatusCode::ACCEPTED, Standing::open(id, word))
        }
    };
    let body = StartResponse { standing, repeated: started.repeated };
    let mut response = (status, location, Json(body)).into_response();
    if let Some(began) = began {
        response.extensions_mut().insert(began);
    }
    Ok(response)
}

/// What the request wants where its id or key has been used.
fn policy(request: &StartRequest, keyed: bool, caller: &Caller) -> Result<StartPolicy, ApiProblem> {
    let (running, ended) = (request.on_running, request.on_ended);
    let ends = running == OnRunning::TerminateExisting;
    let replaces = matches!(ended, OnEnded::Replace | OnEnded::ReplaceFailed);
    if (ends || replaces) && (!keyed || request.id.is_some()) {
        let detail = "`onRunning: terminate-existing` and `onEnded: replace` need an Idempotency-Key \
                      and no `id`: an id is that of one instance for ever";
        return Err(ApiProblem::new(Code::BadBody, detail));
    }
    if ends {
        let Selector { namespace, name, .. } = &request.workflow;
        caller.workflow(Permission::InstanceOperate, namespace, name, || {
            CoordinatorError::unknown_workflow(namespace, name, None)
        })?;
    }
    Ok(StartPolicy { running, ended, keyed })
}

/// Refuses a chosen id to who may not start everything. Those of schedules, and of starts with a
/// key, can be computed: who took one would learn of others' instances, or keep them from starting.
fn may_choose(id: Option<InstanceId>, caller: &Caller) -> Result<(), ApiProblem> {
    if id.is_none() || caller.principal().may_everywhere(Permission::InstanceStart) {
        return Ok(());
    }
    let detail = "`id` could be that of an instance in another namespace, and needs the permission \
                  instance.start everywhere: send an Idempotency-Key instead";
    Err(ApiProblem::new(Code::Forbidden, detail).denied())
}

/// Leaves out of a refusal what its reader may not see: the workflow that has the id.
fn caller_may_know(error: CoordinatorError, caller: &Caller) -> ApiProblem {
    match error {
        CoordinatorError::OtherStart { id, workflow, .. }
            if !caller
                .visible(Permission::InstanceRead)
                .has(&workflow.namespace, &workflow.name) =>
        {
            ApiProblem::new(Code::OtherStart, format!("{id} is the id of another start"))
        }
        error => error.into(),
    }
}

pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiProblem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= IDEMPOTENCY_KEY_BYTES => {
            Ok(Some(key.to_owned()))
        }
        _ => Err(ApiProblem::parameter(
            "Idempotency-Key",
            format!("must be 1 to {IDEMPOTENCY_KEY_BYTES} printable ASCII characters"),
        )),
    }
}

fn priority(given: i64) -> Result<u8, ApiProblem> {
    match u8::try_from(given) {
        Ok(priority) if priority <= HIGHEST_PRIORITY => Ok(priority),
        _ => {
            let detail = format!("`priority` must be 0 to {HIGHEST_PRIORITY}, not {given}");
            Err(ApiProblem::new(Code::BadBody, detail))
        }
    }
}

/// Labels as the coordinator takes them.
type Labels = Vec<(Arc<str>, Arc<str>)>;

fn labels(given: BTreeMap<String, String>) -> Result<Labels, ApiProblem> {
    let refused = |detail: String| Err(ApiProblem::new(Code::BadBody, detail));
    if given.len() > LABELS {
        return refused(format!("more than {LABELS} labels"));
    }
    for (name, value) in &given {
        if name.is_empty() || name.contains('=') {
            return refused(format!("label name `{name}` is empty or has a `=`"));
        }
        if name.len() > LABEL_BYTES || value.len() > LABEL_BYTES {
            return refused(format!("a label is longer than {LABEL_BYTES} bytes"));
        }
    }
    Ok(given.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{StartRequest, idempotency_key, labels, priority};
    use crate::accept::payload::parse;

    #[test]
    fn absent_input_is_an_empty_object_and_null_stays_null() {
        let read = |text: &str| parse::<StartRequest>(text.as_bytes()).map(|it| it.input.to_json());
        let workflow = r#""workflow":{"namespace":"a","name":"b"}"#;
        assert_eq!(read(&format!("{{{workflow}}}")).unwrap(), "{}");
        assert_eq!(read(&format!("{{{workflow},\"input\":null}}")).unwrap(), "null");
        assert!(read(&format!("{{{workflow},\"inptu\":1}}")).is_err());
        assert!(read(&format!("{{{workflow},\"id\":\"no\"}}")).is_err());
    }

    #[test]
    fn priorities_are_zero_to_nine() {
        assert_eq!((priority(0).ok(), priority(9).ok()), (Some(0), Some(9)));
        for wrong in [-1, 10, 256, i64::MIN, i64::MAX] {
            assert!(priority(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn labels_and_keys_are_bounded() {
        let one = |name: &str, value: &str| labels([(name.into(), value.into())].into());
        assert_eq!(one("a", "b").unwrap().len(), 1);
        for (name, value) in [("", "b"), ("a=b", "c"), ("a", &*"x".repeat(257))] {
            assert!(one(name, value).is_err(), "{name}");
        }
        assert!(labels((0..33).map(|n| (n.to_string(), String::new())).collect()).is_err());
        let key = |text: &str| {
            idempotency_key(
                &[("idempotency-key".parse().unwrap(), text.parse().unwrap())]
                    .into_iter()
                    .collect(),
            )
        };
        assert_eq!(key("order-1").unwrap().as_deref(), Some("order-1"));
        assert!(key("").is_err());
        assert!(key(&"k".repeat(256)).is_err());
    }
}
