#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
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
        let into = seen.clone();
        let moved = move || {
            into.lock().unwrap().push("moved".to_owned());
            std::future::ready(Redirect::temporary("/mcp"))
        };
        let router = Router::new().route("/mcp", any(handler)).route("/moved", any(moved));
        let address = crate::testing::serve(router).await;
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

const TOOLS: &str = r#"{"tools": [{"name": "it", "inputSchema": {
    "type": "object", "properties": {"a": {"type": "string", "x-mcp-header": "A"}}
}}]}"#;

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
    let is_json = [("content-type", "application/json")];
    let told = r#"{"error": {"code": -32000, "message": "not you, not now"}}"#;
    for (status, body) in [
        (StatusCode::UNAUTHORIZED, "not you, not now"),
        (StatusCode::UNAUTHORIZED, told),
        (StatusCode::SERVICE_UNAVAILABLE, "not you, not now"),
        (StatusCode::SERVICE_UNAVAILABLE, told),
        (StatusCode::BAD_GATEWAY, r#"{"error": "not you, not now"}"#),
    ] {
        let fake = Fake::new(move |_, _| (status, is_json, body).into_response()).await;
        let problem = fake.asked(None).await.unwrap_err();
        assert_eq!(kind_of(&problem), ("runtime".into(), status.as_u16()));
        assert!(problem.detail.as_deref().unwrap().contains("not you, not now"), "{problem:?}");
        assert_eq!(fake.seen(), ["POST server/discover"], "nothing else is tried");
    }
}

#[tokio::test]
async fn only_the_request_itself_has_the_key_and_its_repeat_another() {
    let keys: Arc<Mutex<Vec<String>>> = Arc::default();
    let asked = async |version, headers: Option<&str>, is_older: bool| {
        let into = keys.clone();
        let fake = Fake::new(move |headers, message| {
            let key = headers.get("idempotency-key").map(|it| it.to_str().unwrap().to_owned());
            let entry = key.map(|it| format!("{} {it}", method(message)));
            into.lock().unwrap().extend(entry);
            if is_older {
                return in_session(headers, message, || answered(message, "result", "{}"));
            }
            if method(message) == "tools/list" {
                return stateless(message, TOOLS);
            }
            if method(message) == "tools/call" && !headers.contains_key("mcp-param-a") {
                let error = r#"{"code": -32020, "message": "a header is missing"}"#;
                return (StatusCode::BAD_REQUEST, answered(message, "error", error))
                    .into_response();
            }
            stateless(message, "{}")
        })
        .await;
        let mut call = fake.call(version);
        call.parameters = Some(template(r#"{"name": "it", "arguments": {"a": "b"}}"#));
        let McpTransport::Http { headers: given, .. } = &mut call.transport else { panic!() };
        *given = headers.map(template);
        assert_eq!(perform(Kind::Mcp(Box::new(call)), Value::Null).await, Ok(json("{}")));
        fake.is_asked("POST tools/call").await;
        std::mem::take(&mut *keys.lock().unwrap())
    };
    let key = crate::testing::assignment(Value::Null).idempotency_key();
    let own = asked(None, None, false).await;
    let call = format!("tools/call {key}");
    assert_eq!(own, [call.clone(), format!("{call}-2")]);
    let given = Some(r#"{"Idempotency-Key": "mine"}"#);
    assert_eq!(asked(None, given, false).await, ["tools/call mine", "tools/call mine-2"]);
    assert_eq!(asked(Some(McpVersion::V2025_06), given, true).await, ["tools/call mine"]);
}

#[tokio::test]
async fn a_redirect_is_followed_once_for_all_messages_of_a_call() {
    let fake = Fake::new(|headers, message| {
        in_session(headers, message, || answered(message, "result", "{}"))
    })
    .await;
    let mut call = fake.call(Some(McpVersion::V2025_06));
    let McpTransport::Http { endpoint: at, .. } = &mut call.transport else { panic!() };
    **at = endpoint(&format!("http://{}/moved", fake.address), None);
    assert_eq!(perform(Kind::Mcp(Box::new(call)), Value::Null).await, Ok(json("{}")));
    fake.is_asked("DELETE").await;
    let opening = ["POST initialize", "POST notifications/initialized", "POST tools/call"];
    assert_eq!(fake.seen(), [&["moved"], &opening[..]].concat());
}

#[tokio::test]
async fn a_refusal_of_the_rest_of_an_answer_is_none_of_the_request() {
    let fake = Fake::new(|headers, message| {
        in_session(headers, message, || match method(message) {
            "" => StatusCode::FORBIDDEN.into_response(),
            _ => stream(Body::from("id: 1\nretry: 100\ndata:\n\n")),
        })
    })
    .await;
    let problem = fake.asked(Some(McpVersion::V2025_11)).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("runtime".into(), 500));
    assert!(problem.detail.as_deref().unwrap().contains("403"), "{problem:?}");
    assert_eq!(fake.seen().iter().filter(|it| *it == "POST tools/call").count(), 1);
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

#[tokio::test]
async fn the_end_of_the_process_waits_until_servers_know_that_sessions_are_over() {
    let fake = Fake::new(|headers, message| {
        in_session(headers, message, || answered(message, "result", "{}"))
    })
    .await;
    let plan = plan(task(Kind::Mcp(Box::new(fake.call(Some(McpVersion::V2025_06))))));
    let worker: Worker = builder(Given(Vec::new())).plans(source(Arc::new(plan))).build().unwrap();
    let done = worker.perform(assignment(Value::Null), CancellationToken::new()).await;
    assert_eq!(done.result, Ok(json("{}")));
    worker.released(Duration::from_secs(60)).await;
    assert_eq!(fake.seen.lock().unwrap().last().map(String::as_str), Some("DELETE"));
}
