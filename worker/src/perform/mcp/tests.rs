#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::StreamExt as _;
use windlass_proto::plan::{Kind, McpCall, McpTransport, McpVersion};
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use crate::testing::{
    Given, assignment, builder, endpoint, json, kind_of, perform, plan, source, task, template,
};
use crate::{CancellationToken, Worker};

/// A part of a body.
type Part = Result<Bytes, std::io::Error>;

/// A server, and what it was asked so far.
struct Fake {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Answers what `answer` makes of the headers and the message.
    async fn new(
        answer: impl Fn(&HeaderMap, &Value) -> Response + Clone + Send + Sync + 'static,
    ) -> Self {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let into = seen.clone();
        let handler = move |method: Method, headers: HeaderMap, body: Bytes| {
            let message = Value::from_json_bytes(&body).unwrap_or_default();
            let name = message.get("method").and_then(Value::as_str).unwrap_or_default();
            into.lock().unwrap().push(format!("{method} {name}").trim().to_owned());
            std::future::ready(answer(&headers, &message))
        };
        let address = crate::testing::serve(Router::new().route("/mcp", any(handler))).await;
        Self { address, seen }
    }

    fn call(&self, version: Option<McpVersion>) -> McpCall {
        let transport = McpTransport::Http {
            endpoint: Box::new(endpoint(&format!("http://{}/mcp", self.address), None)),
            headers: None,
        };
        McpCall {
            version,
            method: "tools/call".into(),
            parameters: Some(template(r#"{"name": "it"}"#)),
            timeout: None,
            transport,
            client: None,
        }
    }

    async fn asked(&self, version: Option<McpVersion>) -> Result<Value, Problem> {
        perform(Kind::Mcp(Box::new(self.call(version))), Value::Null).await
    }

    /// Waits until it was asked this.
    async fn is_asked(&self, what: &str) {
        let asked = async {
            while !self.seen.lock().unwrap().iter().any(|it| it == what) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), asked).await.expect(what);
    }

    /// What it was asked since it was asked last for that, without what nobody waits for.
    fn seen(&self) -> Vec<String> {
        let mut seen = std::mem::take(&mut *self.seen.lock().unwrap());
        seen.retain(|it| it != "DELETE");
        seen
    }
}

/// An answer to `message`, its result or error.
fn answered(message: &Value, key: &str, value: &str) -> Response {
    let id = message.get("id").cloned().unwrap_or_default();
    let body = Value::object([("id", id), (key, json(value))]);
    ([("content-type", "application/json")], body.to_json()).into_response()
}

fn method(message: &Value) -> &str {
    message.get("method").and_then(Value::as_str).unwrap_or_default()
}

const DISCOVERED: &str = r#"{"supportedVersions": ["2026-07-28"]}"#;

/// Answers as a server without sessions, with this result of the call.
fn stateless(message: &Value, result: &str) -> Response {
    let result = if method(message) == "server/discover" { DISCOVERED } else { result };
    answered(message, "result", result)
}

/// Answers as a server with sessions, with what `call` gives for a call in one.
fn in_session(headers: &HeaderMap, message: &Value, call: impl Fn() -> Response) -> Response {
    match method(message) {
        "initialize" => {
            let mut response = answered(message, "result", r#"{"protocolVersion": "2025-06-18"}"#);
            response.headers_mut().insert("mcp-session-id", "s1".parse().unwrap());
            response
        }
        _ if headers.get("mcp-session-id").is_none_or(|it| it != "s1") => {
            let error = r#"{"code": -32600, "message": "no session"}"#;
            (StatusCode::BAD_REQUEST, answered(message, "error", error)).into_response()
        }
        "notifications/initialized" => StatusCode::ACCEPTED.into_response(),
        _ => call(),
    }
}

fn stream(body: Body) -> Response {
    ([("content-type", "text/event-stream")], body).into_response()
}

#[tokio::test]
async fn a_stream_that_stays_open_is_left_when_the_answer_is_there() {
    let fake = Fake::new(|_, message| {
        if method(message) == "server/discover" {
            return answered(message, "result", DISCOVERED);
        }
        let event = "data: {\"method\": \"notifications/progress\"}\n\n\
                     data: {\"id\": 3, \"result\": {\"a\": 1}}\n\n";
        let (first, second) = event.split_at(70);
        let bytes = |it: &'static str| -> Part { Ok(Bytes::from_static(it.as_bytes())) };
        let parts = [first, second].map(bytes);
        let open = futures_util::stream::iter(parts).chain(futures_util::stream::pending());
        stream(Body::from_stream(open))
    })
    .await;
    assert_eq!(fake.asked(None).await, Ok(json(r#"{"a": 1}"#)));
    assert_eq!(fake.seen(), ["POST server/discover", "POST tools/call"]);
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_taken_up_where_it_ended() {
    let fake = Fake::new(|headers, message| {
        let resumed = headers.get("last-event-id").cloned();
        in_session(headers, message, || match &resumed {
            None => stream(Body::from("id: 1\nretry: 100\ndata:\n\n")),
            Some(id) if id == "1" => stream(Body::from("id: 2\ndata:\n\n: and\n\n")),
            Some(_) => stream(Body::from("data: {\"id\": 3, \"result\": {\"a\": 1}}\n\n")),
        })
    })
    .await;
    assert_eq!(fake.asked(Some(McpVersion::V2025_11)).await, Ok(json(r#"{"a": 1}"#)));
    let opening = ["POST initialize", "POST notifications/initialized", "POST tools/call"];
    assert_eq!(fake.seen(), [&opening[..], &["GET", "GET"]].concat());
}

#[tokio::test]
async fn what_a_workflow_cannot_give_is_an_error() {
    for (result, expected) in [
        (r#"{"resultType": "input_required", "inputRequests": {}}"#, "answer questions"),
        (r#"{"resultType": "later"}"#, "unknown type \"later\""),
        ("[]", "with no object"),
        (r#"{"isError": true}"#, "does not say why"),
        (
            r#"{"isError": true, "content": [
                {"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}
            ]}"#,
            "the tool failed: a b",
        ),
    ] {
        let fake = Fake::new(move |_, message| stateless(message, result)).await;
        let problem = fake.asked(None).await.unwrap_err();
        assert_eq!(kind_of(&problem), ("runtime".into(), 500));
        assert!(problem.detail.as_deref().unwrap().contains(expected), "{problem:?}");
    }
}

#[tokio::test]
async fn only_a_single_text_that_is_json_is_data() {
    for (result, expected) in [
        (r#"{"content": [{"type": "text", "text": "[1]"}]}"#, Some("[1]")),
        (r#"{"content": [{"type": "text", "text": "1"}]}"#, None),
        (r#"{"content": [{"type": "text", "text": "{"}]}"#, None),
        (r#"{"content": [{"type": "text", "text": "{}"}, {"type": "text", "text": "{}"}]}"#, None),
        (
            r#"{"content": [{"type": "text", "text": "{}"}], "structuredContent": null}"#,
            Some("null"),
        ),
    ] {
        let fake = Fake::new(move |_, message| stateless(message, result)).await;
        let output = fake.asked(None).await.unwrap();
        assert_eq!(output.get("structuredContent"), expected.map(json).as_ref(), "{result}");
    }
}

#[tokio::test]
async fn a_server_that_was_replaced_by_an_older_one_is_asked_anew() {
    let is_older = Arc::new(Mutex::new(false));
    let older = is_older.clone();
    let fake = Fake::new(move |headers, message| {
        let call = || answered(message, "result", r#"{"a": 2}"#);
        if *older.lock().unwrap() {
            in_session(headers, message, call)
        } else {
            stateless(message, r#"{"a": 1}"#)
        }
    })
    .await;
    let plan = plan(task(Kind::Mcp(Box::new(fake.call(None)))));
    let worker: Worker = builder(Given(Vec::new())).plans(source(Arc::new(plan))).build().unwrap();
    let perform = async || {
        worker.perform(assignment(Value::Null), CancellationToken::new()).await.result.unwrap()
    };
    assert_eq!(perform().await, json(r#"{"a": 1}"#));
    assert_eq!(fake.seen(), ["POST server/discover", "POST tools/call"]);
    // It is known by now.
    assert_eq!(perform().await, json(r#"{"a": 1}"#));
    assert_eq!(fake.seen(), ["POST tools/call"]);
    *is_older.lock().unwrap() = true;
    assert_eq!(perform().await, json(r#"{"a": 2}"#));
    let opening = ["POST initialize", "POST notifications/initialized", "POST tools/call"];
    assert_eq!(fake.seen(), [&["POST tools/call", "POST server/discover"], &opening[..]].concat());
}

#[tokio::test]
async fn a_version_falls_back_once_and_then_it_is_said() {
    let refusing = |supported: &'static str| {
        move |_: &HeaderMap, message: &Value| {
            if method(message) == "server/discover" && supported.contains("2026") {
                return answered(message, "result", DISCOVERED);
            }
            if method(message) == "tools/call" {
                return answered(message, "result", "{}");
            }
            let error = format!(
                r#"{{"code": -32022, "message": "no", "data": {{"supported": [{supported}]}}}}"#
            );
            (StatusCode::BAD_REQUEST, answered(message, "error", &error)).into_response()
        }
    };
    let newer = Fake::new(refusing(r#""2026-07-28""#)).await;
    assert_eq!(newer.asked(Some(McpVersion::V2025_06)).await, Ok(json("{}")));
    assert_eq!(newer.seen(), ["POST initialize", "POST tools/call"]);

    let later = Fake::new(refusing(r#""2031-01-01""#)).await;
    let problem = later.asked(None).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("runtime".into(), 500));
    assert!(problem.detail.as_deref().unwrap().contains("\"2031-01-01\""), "{problem:?}");
    assert_eq!(later.seen(), ["POST server/discover"]);
}

#[tokio::test]
async fn who_is_refused_is_told_the_status() {
    for status in [StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE] {
        let fake = Fake::new(move |_, _| (status, "not you, not now").into_response()).await;
        let problem = fake.asked(None).await.unwrap_err();
        assert_eq!(kind_of(&problem), ("runtime".into(), status.as_u16()));
        assert!(problem.detail.as_deref().unwrap().contains("not you, not now"), "{problem:?}");
        assert_eq!(fake.seen(), ["POST server/discover"], "nothing else is tried");
    }
}

#[tokio::test]
async fn a_server_with_a_session_is_told_that_nobody_waits_and_that_it_is_over() {
    let fake = Fake::new(|headers, message| {
        let never = || stream(Body::from_stream(futures_util::stream::pending::<Part>()));
        if method(message) == "notifications/cancelled" {
            let request = message.get("params").and_then(|it| it.get("requestId")?.as_i64());
            assert_eq!(request, Some(3));
            return StatusCode::ACCEPTED.into_response();
        }
        in_session(headers, message, never)
    })
    .await;
    let plan = plan(task(Kind::Mcp(Box::new(fake.call(Some(McpVersion::V2025_06))))));
    let worker: Worker = builder(Given(Vec::new())).plans(source(Arc::new(plan))).build().unwrap();
    let cancelled = CancellationToken::new();
    let performed = tokio::spawn({
        let cancelled = cancelled.clone();
        async move { worker.perform(assignment(Value::Null), cancelled).await.result }
    });
    fake.is_asked("POST tools/call").await;
    cancelled.cancel();
    let problem = performed.await.unwrap().unwrap_err();
    assert_eq!(problem.detail.as_deref(), Some("the task was cancelled"));
    fake.is_asked("POST notifications/cancelled").await;
    fake.is_asked("DELETE").await;
}
