//! `/v1/worker-sessions`: workers without NATS, who ask for work and tell what came of it.

mod reading;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;
use windlass_proto::limits::{
    HTTP_WORKER_CONCURRENCY, HTTP_WORKER_DELIVERIES, HTTP_WORKER_FUNCTION_BYTES, PAYLOAD_BYTES,
    WORKER_CAPABILITIES,
};
use windlass_proto::plan::DEFAULT_POOL;
use windlass_proto::value::Value;
use windlass_proto::wire::capability::Capability;
use windlass_proto::wire::hello::Introduction;
use windlass_proto::wire::session::SessionId;

use self::reading::{Few, read};
use super::access::Caller;
use super::payload::Payload;
use super::problem::{ApiProblem, ProblemBody};
use super::query::Segments;
use super::room::Room;
use super::state::Api;
use crate::code::Code;
use crate::dispatch::http::{HttpAnswer, HttpRefusal, HttpWorkers, Owner};

/// A worker that wants to join.
#[derive(Deserialize, ToSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "camelCase",
    expecting = "an object with identity and functions"
)]
#[schema(example = json!({"identity": "shop-7f3a", "functions": ["charge"], "concurrency": 8}))]
pub(super) struct WorkerRequest {
    /// What people know it by, and a part by chance: another one for each process.
    identity: String,
    /// The functions that it offers.
    functions: Vec<String>,
    /// Calls it takes at once, from 1 to 256.
    #[serde(default = "one")]
    concurrency: u32,
    /// The pool that it takes calls of.
    pool: Option<String>,
    /// Its version, for people.
    version: Option<String>,
}

fn one() -> u32 {
    1
}

/// A session of a worker.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorkerSession {
    /// Names it, for `/v1/worker-sessions/{session}/turns`.
    session: String,
    /// Milliseconds of silence after which the worker is taken for dead.
    lease_ms: u64,
    /// Milliseconds between two turns at most.
    beat_ms: u64,
    /// Bytes that the body of a turn may have: reports that do not fit wait for the next one.
    max_turn_bytes: usize,
    /// Reports that one turn may have.
    max_reports: usize,
}

/// A turn of a worker.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "an object")]
#[schema(example = json!({"seen": 3, "held": ["hQo"], "reports": [{"delivery": "hQo", "output": {"paid": true}}]}))]
pub(super) struct Turn {
    /// The number of the last answer that it has; 0 before the first.
    #[serde(default)]
    seen: u64,
    /// All that it works on, or has reported and not read an answer to: deliveries.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    held: Few<String>,
    /// Calls it takes at once now, at most as many as it joined with; absent for those.
    concurrency: Option<u32>,
    /// It takes nothing more, and leaves when it holds nothing.
    #[serde(default)]
    leaving: bool,
    /// Its last word: what it holds is given to others.
    #[serde(default)]
    goodbye: bool,
    /// What came of calls. Each is judged by itself.
    #[serde(default)]
    #[schema(value_type = Vec<CallReport>)]
    reports: Few<Box<RawValue>>,
    /// Calls that it hands back.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    released: Few<String>,
    /// Milliseconds to wait for something to do, at most and by default `beatMs`.
    wait_ms: Option<u64>,
}

/// What came of a call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "an object with delivery")]
pub(super) struct CallReport {
    /// Which call.
    #[expect(dead_code, reason = "it is read before, by itself")]
    delivery: String,
    /// What the function gave; null where it gave nothing.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    output: Option<Box<RawValue>>,
    /// Or its error: `type`, `status`, `title` and `detail`, as RFC 7807 has them.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    error: Option<Box<RawValue>>,
    /// Milliseconds for which whoever was asked does not want to be asked again.
    #[serde(default)]
    retry_after_ms: Option<u64>,
}

/// What a worker is told.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TurnAnswer {
    /// To be named by `seen` of the next turn.
    number: u64,
    /// What to do.
    calls: Vec<FunctionCall>,
    /// Deliveries that are not wanted any more: held until they have ended.
    cancelled: Vec<String>,
    /// Reports that need not be sent again.
    settled: Vec<SettledReport>,
    /// Reports of this turn that could not be taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<RefusedReport>,
}

/// A report that was not taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RefusedReport {
    /// Which of the turn's `reports`, from 0.
    index: usize,
    /// Its delivery, where it has one that can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<String>,
    /// Why, and what to do.
    reason: String,
    /// True when its task has ended with this as its error: it is settled like others.
    ended: bool,
}

/// A function to call.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FunctionCall {
    /// Names the delivery, and proves that it is this worker's.
    delivery: String,
    /// The function.
    #[schema(value_type = String)]
    function: Arc<str>,
    /// Its arguments.
    #[schema(value_type = Object)]
    arguments: Value,
    /// The workflow that calls: `namespace/name:version`.
    workflow: String,
    /// JSON pointer of the task.
    #[schema(value_type = String)]
    reference: Arc<str>,
    /// The same for every attempt of this visit of the task: for who must do nothing twice.
    idempotency_key: String,
    /// Milliseconds until the task's time is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining_ms: Option<u64>,
    /// W3C trace context.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    traceparent: Option<Arc<str>>,
}

/// What became of a report.
#[derive(Serialize, ToSchema)]
pub(super) struct SettledReport {
    /// Which.
    delivery: String,
    /// True when it is part of the instance now; false when it came too late or for nothing.
    accepted: bool,
}

impl From<&HttpAnswer> for TurnAnswer {
    fn from(answer: &HttpAnswer) -> Self {
        let calls = answer.calls.iter().map(|it| FunctionCall {
            delivery: it.delivery.clone(),
            function: it.function.clone(),
            arguments: it.arguments.clone(),
            workflow: it.workflow.to_string(),
            reference: it.reference.clone(),
            idempotency_key: it.idempotency_key.clone(),
            remaining_ms: it.remaining_ms,
            traceparent: it.traceparent.clone(),
        });
        let settled = answer.settled.iter();
        Self {
            number: answer.number,
            calls: calls.collect(),
            cancelled: answer.cancelled.clone(),
            settled: settled
                .map(|(delivery, accepted)| SettledReport {
                    delivery: delivery.clone(),
                    accepted: *accepted,
                })
                .collect(),
            refused: Vec::new(),
        }
    }
}

/// Lets a worker join.
///
/// It speaks HTTP in place of NATS: it takes turns in its session, which are its sign of life, and
/// is given calls of the functions that it offers. Arguments are evaluated for it. Tasks that name
/// a secret, or hand a function something sealed, are not given to workers of this kind.
#[utoipa::path(post, path = "/v1/worker-sessions", tag = "workers", operation_id = "joinWorker",
    request_body(content = WorkerRequest),
    responses((status = 201, description = "It has joined", body = WorkerSession),
        (status = 400, description = "The request makes no sense (WL0510)", body = ProblemBody),
        (status = 409, description = "It may not join (WL0577)", body = ProblemBody),
        (status = 429, description = "Not now (WL0506)", body = ProblemBody)))]
pub(super) async fn join(
    State(api): State<Api>,
    caller: Caller,
    payload: Payload,
) -> Result<(StatusCode, Json<WorkerSession>), ApiProblem> {
    let request: WorkerRequest = payload.json()?;
    let welcome = workers(&api)?.join(introduction(request)?, owner(&caller)).await;
    let welcome = welcome.map_err(refused)?;
    let milliseconds = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
    let session = WorkerSession {
        session: welcome.session.to_string(),
        lease_ms: milliseconds(welcome.lease),
        beat_ms: milliseconds(welcome.beat),
        max_turn_bytes: PAYLOAD_BYTES,
        max_reports: HTTP_WORKER_DELIVERIES,
    };
    Ok((StatusCode::CREATED, Json(session)))
}

/// Takes a turn of a worker: reports, what it holds, and a sign of life; answered with what there
/// is to do, at the latest after `waitMs`.
///
/// One turn at a time; one that begins ends the one before. An answer is repeated until the next
/// turn names its number as `seen`. A report is repeated until it is `settled`. One that cannot be
/// read is the error of its own task; `refused` says so, and the turn counts all the same.
#[utoipa::path(post, path = "/v1/worker-sessions/{session}/turns", tag = "workers", operation_id = "takeWorkerTurn",
    params(("session" = String, Path, description = "The session")),
    request_body(content = Turn),
    responses((status = 200, description = "What there is to do", body = TurnAnswer),
        (status = 400, description = "The request makes no sense (WL0510)", body = ProblemBody),
        (status = 404, description = "No such session: join again (WL0576)", body = ProblemBody)))]
pub(super) async fn turn(
    State(api): State<Api>,
    caller: Caller,
    Extension(room): Extension<Room>,
    Segments((session,)): Segments<(String,)>,
    payload: Payload,
) -> Result<Json<TurnAnswer>, ApiProblem> {
    let session = session.parse::<SessionId>().map_err(|_| unknown())?;
    let turn: Turn = payload.json()?;
    let (mut turn, not_taken) = read(turn)?;
    // Once it was taken it only waits, and takes no room of those that work.
    turn.kept = Some(Arc::new(Taken { _budget: payload.into_budget(), room }));
    let workers = workers(&api)?;
    tokio::select! {
        answer = workers.turn(session, owner(&caller), turn) => {
            let answer = TurnAnswer::from(&*answer.map_err(refused)?);
            Ok(Json(TurnAnswer { refused: not_taken, ..answer }))
        }
        () = api.closed() => Err(refused(HttpRefusal::Closing)),
    }
}

/// What a turn takes up until it was taken: its share of the memory for bodies, and the room of a
/// request.
struct Taken {
    _budget: Option<Arc<OwnedSemaphorePermit>>,
    room: Room,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.leave();
    }
}

fn workers(api: &Api) -> Result<HttpWorkers, ApiProblem> {
    api.coordinator.http_workers().ok_or_else(unknown)
}

fn unknown() -> ApiProblem {
    ApiProblem::new(Code::UnknownWorkerSession, "there is no such session: join again")
}

fn refused(why: HttpRefusal) -> ApiProblem {
    match why {
        HttpRefusal::Unknown => unknown(),
        HttpRefusal::Refused(why) => ApiProblem::new(Code::WorkerRefused, why),
        HttpRefusal::Later(why) => ApiProblem::overloaded(why, Duration::from_secs(1)),
        HttpRefusal::Closing => ApiProblem::new(Code::Stopping, "the coordinator is stopping"),
    }
}

/// Whoever asks: a session is theirs.
fn owner(caller: &Caller) -> Owner {
    let principal = caller.principal();
    format!("{}\n{}", principal.issuer, principal.subject).into()
}

fn introduction(request: WorkerRequest) -> Result<Introduction, ApiProblem> {
    let wrong = |why: String| ApiProblem::new(Code::BadBody, why);
    if request.functions.is_empty() || request.functions.len() > WORKER_CAPABILITIES {
        return Err(wrong(format!("functions: from 1 to {WORKER_CAPABILITIES} names")));
    }
    if !(1..=HTTP_WORKER_CONCURRENCY).contains(&request.concurrency) {
        return Err(wrong(format!("concurrency: from 1 to {HTTP_WORKER_CONCURRENCY}")));
    }
    let most = HTTP_WORKER_FUNCTION_BYTES;
    if request.functions.iter().any(|it| it.is_empty() || it.len() > most) {
        return Err(wrong(format!("functions: each name from 1 to {most} bytes")));
    }
    let functions = request.functions.into_iter();
    let capabilities = functions.map(|it| Capability::Function(it.into()).to_string().into());
    Ok(Introduction {
        enrolment: ByteBuf::new(),
        pool: request.pool.unwrap_or_else(|| DEFAULT_POOL.to_owned()).into(),
        identity: request.identity.into(),
        version: request.version.unwrap_or_else(|| "http".to_owned()).into(),
        capabilities: capabilities.collect(),
        concurrency: request.concurrency,
        evaluates: false,
        isolation: None,
    })
}
