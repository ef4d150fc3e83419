#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use windlass_proto::limits;
use windlass_proto::plan::{HttpCall, HttpOutput, Kind};
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use crate::testing::{
    Given, assignment, builder, http, in_ms, json, kind_of, no_proxy, perform, perform_with, serve,
    task, template,
};
use crate::{HttpOptions, Resolve};

/// Answers with what it got, as JSON.
async fn mirror(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), Value::from(value.to_str().unwrap())));
    let seen = Value::object([
        ("method", Value::from(method.as_str())),
        ("uri", Value::from(uri.to_string())),
        ("headers", Value::object(headers)),
        ("body", Value::from(String::from_utf8(body.to_vec()).unwrap())),
    ]);
    ([("content-type", "application/json")], seen.to_json()).into_response()
}

async fn server() -> SocketAddr {
    let typed = |kind: &'static str, body: &'static [u8]| {
        get(move || async move { ([("content-type", kind)], Bytes::from_static(body)) })
    };
    let router = Router::new()
        .route("/mirror", any(mirror))
        .route("/json", typed("application/problem+json; charset=utf-8", br#"{"a":[1,2.5]}"#))
        .route("/broken", typed("application/json", b"{"))
        .route("/text", typed("text/plain; charset=iso-8859-1", b"caf\xe9"))
        .route("/bytes", typed("application/octet-stream", b"\x00\xff"))
        .route("/empty", get(|| async { StatusCode::NO_CONTENT }))
        .route("/missing", get(|| async { (StatusCode::NOT_FOUND, "no  such\nthing") }))
        .route("/many", get(|| async { ([("x-a", "1"), ("x-a", "2")], "") }))
        .route("/moved", any(|| async { Redirect::temporary("/mirror") }))
        .route("/see", any(|| async { Redirect::to("/mirror") }))
        .route("/nowhere", get(|| async { StatusCode::NOT_MODIFIED }))
        .route("/loop", get(|| async { Redirect::temporary("/loop") }))
        .route("/large", get(|| async { Body::from(vec![b'x'; limits::RESPONSE_BYTES + 1]) }))
        .route("/stuck", get(std::future::pending::<StatusCode>));
    serve(router).await
}

async fn call(call: HttpCall) -> Result<Value, Problem> {
    perform(Kind::Http(Box::new(call)), Value::Null).await
}

#[tokio::test]
async fn content_is_read_by_its_type() {
    let server = server().await;
    for (path, expected) in [
        ("json", r#"{"a":[1,2.5]}"#),
        ("text", r#""café""#),
        ("bytes", r#""AP8=""#),
        ("empty", "null"),
    ] {
        assert_eq!(call(http("get", &format!("http://{server}/{path}"))).await, Ok(json(expected)));
    }
    let problem = call(http("get", &format!("http://{server}/broken"))).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("communication".into(), 500));
}

#[tokio::test]
async fn raw_and_response_show_the_bytes_and_the_whole_exchange() {
    let server = server().await;
    let mut raw = http("GET", &format!("http://{server}/text"));
    raw.output = HttpOutput::Raw;
    assert_eq!(call(raw).await, Ok(Value::from("Y2Fm6Q==")));

    let mut response = http("get", &format!("http://user:word@{server}/json?a=1"));
    response.output = HttpOutput::Response;
    response.headers =
        Some(template(r#"{"Accept":"*/*","X-N":1,"X-Null":null,"X-Two":["a","b"]}"#));
    let output = call(response).await.unwrap();
    assert_eq!(output.get("statusCode"), Some(&Value::Int(200)));
    assert_eq!(output.get("content"), Some(&json(r#"{"a":[1,2.5]}"#)));
    let request = output.get("request").unwrap();
    assert_eq!(request.get("method"), Some(&Value::from("GET")));
    assert_eq!(request.get("uri"), Some(&Value::from(format!("http://{server}/json?a=1"))));
    let key = assignment(Value::Null).idempotency_key();
    let headers = Value::object([
        ("accept", Value::from("*/*")),
        ("x-n", Value::from("1")),
        ("x-two", Value::from("a, b")),
        ("idempotency-key", Value::from(key)),
    ]);
    assert_eq!(request.get("headers"), Some(&headers));
    let type_ = output.get("headers").unwrap().get("content-type");
    assert_eq!(type_, Some(&Value::from("application/problem+json; charset=utf-8")));
}

#[tokio::test]
async fn requests_carry_method_query_headers_body_and_the_idempotency_key() {
    let server = server().await;
    let mirror = format!("http://{server}/mirror?x=1");
    let seen = |seen: &Value, name: &str| seen.get("headers").unwrap().get(name).cloned();

    let mut post = http("post", &mirror);
    post.query = Some(template(r#"{"b":[1,true],"c":"a b&","d":null}"#));
    post.body = Some(template(r#"{"n":1}"#));
    let got = call(post).await.unwrap();
    assert_eq!(got.get("method"), Some(&Value::from("POST")));
    assert_eq!(got.get("uri"), Some(&Value::from("/mirror?x=1&b=1&b=true&c=a+b%26")));
    assert_eq!(got.get("body"), Some(&Value::from(r#"{"n":1}"#)));
    assert_eq!(seen(&got, "content-type"), Some(Value::from("application/json")));
    let key = assignment(Value::Null).idempotency_key();
    assert_eq!(seen(&got, "idempotency-key"), Some(Value::from(key)));

    let form = "application/x-www-form-urlencoded";
    for (kind, body, sent_kind, sent) in [
        (None, r#""text""#, "text/plain; charset=utf-8", "text"),
        (Some("application/json"), r#""{\"a\":1}""#, "application/json", r#"{"a":1}"#),
        (Some(form), r#"{"a":"1 &","b":[2,3]}"#, form, "a=1+%26&b=2&b=3"),
    ] {
        let mut put = http("PUT", &mirror);
        put.body = Some(template(body));
        let headers =
            kind.map(|kind| format!(r#"{{"content-type":"{kind}","Idempotency-Key":"mine"}}"#));
        put.headers = headers.map(|headers| template(&headers));
        let got = call(put).await.unwrap();
        assert_eq!(got.get("body"), Some(&Value::from(sent)));
        assert_eq!(seen(&got, "content-type"), Some(Value::from(sent_kind)));
        if kind.is_some() {
            assert_eq!(seen(&got, "idempotency-key"), Some(Value::from("mine")));
        }
    }
}

#[tokio::test]
async fn a_multipart_form_has_fields_and_files() {
    let server = server().await;
    let mut post = http("post", &format!("http://{server}/mirror"));
    post.headers = Some(template(r#"{"content-type":"multipart/form-data"}"#));
    let body = r#"{"a":1,"f":{"filename":"x\".txt","contentType":"text/csv","base64":"aGk="}}"#;
    post.body = Some(template(body));
    let got = call(post).await.unwrap();
    let kind = got.get("headers").unwrap().get("content-type").unwrap().to_text();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let expected = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x%22.txt\"\r\n\
         Content-Type: text/csv\r\n\r\nhi\r\n--{boundary}--\r\n"
    );
    assert_eq!(got.get("body"), Some(&Value::from(expected)));
}

#[tokio::test]
async fn redirects_are_errors_unless_asked_for() {
    let server = server().await;
    let redirecting = |method: &str, path: &str, redirect: bool| {
        let mut call = http(method, &format!("http://{server}/{path}"));
        call.body = (method != "get").then(|| template("\"body\""));
        call.redirect = redirect;
        call
    };
    for (path, status) in [("moved", 307), ("nowhere", 304)] {
        let problem = call(redirecting("get", path, false)).await.unwrap_err();
        assert_eq!(kind_of(&problem), ("communication".into(), status));
    }
    assert_eq!(call(redirecting("get", "nowhere", true)).await, Ok(Value::Null));
    let problem = call(redirecting("get", "loop", true)).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("communication".into(), 500));

    let kept = call(redirecting("post", "moved", true)).await.unwrap();
    let part = |value: &Value, name: &str| value.get(name).unwrap().to_text();
    assert_eq!((part(&kept, "method"), part(&kept, "body")), ("POST".into(), "body".into()));
    let changed = call(redirecting("put", "see", true)).await.unwrap();
    assert_eq!((part(&changed, "method"), part(&changed, "body")), ("GET".into(), String::new()));
}

#[tokio::test]
async fn authorization_does_not_follow_to_another_origin() {
    let target = server().await;
    let away = format!("http://{target}/mirror");
    let router =
        Router::new().route("/away", any(move || async move { Redirect::temporary(&away) }));
    let first = serve(router).await;
    let mut call = http("get", &format!("http://{first}/away"));
    call.redirect = true;
    let given = r#"{"Authorization":"Bearer x","Cookie":"a=b","X-Kept":"1","Mcp-Session-Id":"1",
                    "Last-Event-ID":"1"}"#;
    call.headers = Some(template(given));
    let got = self::call(call).await.unwrap();
    let headers = got.get("headers").unwrap();
    for name in ["authorization", "cookie", "mcp-session-id", "last-event-id"] {
        assert_eq!(headers.get(name), None, "{name}");
    }
    assert_eq!(headers.get("x-kept"), Some(&Value::from("1")));
}

#[tokio::test]
async fn failures_say_what_happened() {
    let server = server().await;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (uri, status, expected) in [
        (
            format!("http://{server}/missing?q=1"),
            404,
            "/missing answered 404 Not Found: no such thing",
        ),
        (format!("http://{free}/"), 500, "connection refused"),
        (
            "http://does-not-exist.invalid/".into(),
            500,
            "the name does-not-exist.invalid cannot be resolved",
        ),
        (format!("https://{server}/"), 500, "TLS: "),
        (format!("http://{server}/large"), 500, "larger than"),
    ] {
        let problem = call(http("get", &uri)).await.unwrap_err();
        assert_eq!(kind_of(&problem), ("communication".into(), status), "{uri}");
        let detail = problem.detail.unwrap();
        assert!(detail.contains(expected) && !detail.contains("q=1"), "{detail}");
        assert_eq!(problem.title.as_deref(), Some("Communication Error"));
        assert_eq!(problem.instance, None);
    }
    for uri in ["ftp://a/b", "not a uri", "/relative"] {
        let problem = call(http("get", uri)).await.unwrap_err();
        assert_eq!(kind_of(&problem), ("configuration".into(), 400));
    }
    let mut bad = http("get", &format!("http://{server}/json"));
    bad.headers = Some(template(r#"{"x-a":"line\nbreak"}"#));
    assert_eq!(kind_of(&call(bad).await.unwrap_err()), ("configuration".into(), 400));
}

#[tokio::test]
async fn a_call_ends_at_the_deadline() {
    let server = server().await;
    let mut late = assignment(Value::Null);
    late.deadline = Some(in_ms(50));
    let call = task(Kind::Http(Box::new(http("get", &format!("http://{server}/stuck")))));
    let problem = perform_with(builder(Given(vec![])), call, late).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("timeout".into(), 408));
}

#[tokio::test]
async fn an_override_goes_to_another_address_and_port() {
    let (one, two) = (server().await, server().await);
    // One host, two ports, two targets; with and without a port in the URL.
    let resolve: Vec<Resolve> = [format!("api.test:80:{one}"), format!("api.test:8080:{two}")]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    for (uri, host) in
        [("http://api.test/mirror", "api.test"), ("http://api.test:8080/mirror", "api.test:8080")]
    {
        let options = HttpOptions { resolve: resolve.clone(), ..no_proxy() };
        let mut call = http("get", uri);
        call.output = HttpOutput::Response;
        let worker = builder(Given(vec![])).http(options);
        let task = task(Kind::Http(Box::new(call)));
        let output = perform_with(worker, task, assignment(Value::Null)).await.unwrap();
        assert_eq!(output.get("request").unwrap().get("uri"), Some(&Value::from(uri)));
        let seen = output.get("content").unwrap().get("headers").unwrap();
        assert_eq!(seen.get("host"), Some(&Value::from(host)));
    }
}
