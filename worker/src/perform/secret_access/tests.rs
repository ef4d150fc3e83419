#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{any, get};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use windlass_proto::audit::{AuditAction, AuditEvent};
use windlass_proto::plan::{
    Authentication, Credentials, FunctionCall, FunctionTarget, HttpOutput, Kind, Return, Shell,
    Token,
};
use windlass_proto::problem::Problem;
use windlass_proto::secret::SecretName;
use windlass_proto::value::Value;
use windlass_proto::wire::{Field, Report, Work};

use crate::testing::{
    Given, assignment, builder, endpoint, http, in_ms, json, kind_of, no_proxy, perform_with, plan,
    serve, source, task, template, text,
};
use crate::{
    AuditRoom, AuditSink, CancellationToken, SecretContext, SecretData, SecretError, SecretStore,
    SecretValue, Worker,
};

const CANARY: &str = "c4nary/\"sécret+1";

fn echo(with: &str) -> Kind {
    call("echo", with)
}

fn call(name: &str, with: &str) -> Kind {
    let target = FunctionTarget::Registered(name.into());
    Kind::Function(FunctionCall { target, with: Some(template(with)) })
}

fn given() -> Given {
    let login =
        Value::object([("username", Value::from("somebody")), ("password", Value::from(CANARY))]);
    Given(vec![("key", Ok(Value::from(CANARY))), ("login", Ok(login))])
}

async fn perform(secrets: Given, kind: Kind) -> Result<Value, Problem> {
    perform_with(builder(secrets), task(kind), assignment(json(r#"{"a":"$secrets.key"}"#))).await
}

#[tokio::test]
async fn only_declared_secrets_are_read_and_only_when_named() {
    for (expression, secrets, kind, status, expected) in [
        ("${ $secrets.other }", given(), "authorization", 403, "the secret other is not declared"),
        (
            "${ $secrets.key }",
            Given(vec![]),
            "authorization",
            403,
            "the secret key cannot be read: it does not exist",
        ),
        (
            "${ $SECRETS.key }",
            Given(vec![("key", Err(SecretError::Forbidden))]),
            "authorization",
            403,
            "does not permit",
        ),
        (
            "${ $secret | keys }",
            Given(vec![("key", Err(SecretError::Unavailable("it is sealed".into())))]),
            "runtime",
            503,
            "the secret key cannot be read: the secret store is unavailable: it is sealed",
        ),
    ] {
        let with = Value::from(expression).to_json();
        let problem = perform(secrets, echo(&with)).await.unwrap_err();
        assert_eq!(kind_of(&problem), (kind.to_owned(), status), "{expression}");
        assert!(problem.detail.as_deref().unwrap().contains(expected), "{problem}");
    }
    // Neither a store that has nothing nor data that looks like an expression matters here.
    assert_eq!(perform(Given(vec![]), echo(r#""${ .a }""#)).await, Ok(Value::from("$secrets.key")));
}

#[tokio::test]
async fn a_secret_has_the_shape_the_store_gives_it() {
    let only = Value::object([("value", Value::from(CANARY))]);
    let secrets =
        || Given(vec![("key", Ok(only.clone())), ("login", Ok(json(r#"{"a":{"b":[true]}}"#)))]);
    let with =
        r#"["${ $secrets.key | length }", "${ $SECRETS.login.a.b[0] }", "${ $secrets | keys }"]"#;
    assert_eq!(perform(secrets(), echo(with)).await, Ok(json(r#"[16,true,["key","login"]]"#)));
}

#[tokio::test]
async fn no_form_of_a_secret_leaves_in_output_or_error() {
    let key = "$secrets.key";
    let forms = format!(
        r#"["${{ {key} }}", "${{ {key} | @base64 }}", "${{ \"ab\" + {key} | @base64 }}", "${{ {key} | @uri }}",
           "${{ {key} | tojson }}", "${{ {{ (\"x\" + {key}): {key} }} }}", "${{ $secrets.login | tostring }}"]"#
    );
    let output = perform(given(), echo(&forms)).await.unwrap().to_json();
    for leak in ["c4nary", "YzRuYXJ5", "YWJjNG5hcnk", "s%C3%A9cret", "somebody"] {
        assert!(!output.contains(leak), "{leak} in {output}");
    }
    assert_eq!(
        output,
        r#"["«sealed»","«sealed»","«sealed»","«sealed»","«sealed»",{"x«sealed»":"«sealed»"},"«sealed»"]"#
    );

    let failing = r#""${ error($secrets.key) }""#;
    let problem = perform(given(), echo(failing)).await.unwrap_err();
    assert!(!problem.to_string().contains("c4nary"), "{problem}");
}

#[tokio::test]
async fn no_secret_leaves_through_http() {
    let router = Router::new()
        .route(
            "/mirror",
            any(|headers: HeaderMap| async move {
                let key = headers.get("x-key").map(|it| it.to_str().unwrap().to_owned());
                format!("{key:?} {:?}", headers.get("authorization"))
            }),
        )
        .route(
            "/refuse/{key}",
            get(|uri: axum::http::Uri| async move { (StatusCode::BAD_REQUEST, uri.to_string()) }),
        );
    let server = serve(router).await;
    let mut mirrored = http("get", &format!("http://{server}/mirror"));
    mirrored.output = HttpOutput::Response;
    mirrored.headers = Some(template(r#"{"X-Key":"${ $secrets.key | @uri }"}"#));
    mirrored.query = Some(template(r#"{"key":"${ $secrets.key }"}"#));
    let login = Authentication::Basic(Credentials::Secret(SecretName("login".into())));
    mirrored.endpoint = endpoint(&format!("http://{server}/mirror"), Some(login));
    let output = perform(given(), Kind::Http(Box::new(mirrored))).await.unwrap();
    assert!(matches!(output.get("content"), Some(Value::Sealed(_))));
    let request = output.get("request").unwrap();
    assert!(matches!(request.get("uri"), Some(Value::Sealed(_))));
    let headers = request.get("headers").unwrap();
    assert_eq!(headers.get("authorization"), Some(&Value::from("«sealed»")), "never data");
    assert!(matches!(headers.get("x-key"), Some(Value::Sealed(_))));
    assert_eq!(output.get("statusCode"), Some(&Value::Int(200)));

    let refused = http("get", &format!("http://{server}/refuse/${{ $secrets.key | @uri }}"));
    let problem = perform(given(), Kind::Http(Box::new(refused))).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("communication".into(), 400));
    assert!(!problem.to_string().contains("c4nary"), "{problem}");
}

#[tokio::test]
async fn no_secret_leaves_through_a_process() {
    let mut shell = Shell {
        command: text("printf '%s|%s' \"$KEY\" \"$(cat)\"; printf %s \"$KEY\" >&2; exit \"$1\""),
        stdin: Some(text("${ $secrets.key }")),
        arguments: Some(template("[0]")),
        environment: Some(template(r#"{"KEY":"${ $secrets.key }"}"#)),
        wait: true,
        output: Return::All,
    };
    let output = perform(given(), Kind::Shell(Box::new(shell))).await.unwrap();
    assert!(matches!(output.get("stdout"), Some(Value::Sealed(_))));
    assert!(matches!(output.get("stderr"), Some(Value::Sealed(_))));

    shell = Shell {
        command: text("printf %s \"$KEY\" >&2; exit 1"),
        stdin: None,
        arguments: None,
        environment: Some(template(r#"{"KEY":"${ $secrets.key }"}"#)),
        wait: true,
        output: Return::Stdout,
    };
    let problem = perform(given(), Kind::Shell(Box::new(shell))).await.unwrap_err();
    assert!(problem.detail.unwrap().ends_with("exit code 1: «sealed»"));
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_reaches_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let with = r#"{"message":"${ \"key is \" + $secrets.key }"}"#;
    perform(given(), call("logWarn", with)).await.unwrap();
    let server = serve(Router::new().fallback(any(|| async { "ok" }))).await;
    let token =
        Authentication::Bearer(Token::Inline(text("${ $secrets.login.password | @base64 }")));
    let mut request = http("post", "http://unused/");
    request.endpoint =
        endpoint(&format!("http://{server}/${{ $secrets.key | @uri }}"), Some(token));
    request.body = Some(text("${ $secrets.key }"));
    perform(given(), Kind::Http(Box::new(request))).await.unwrap();
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("WARN") && text.contains("key is «sealed»"), "{text}");
    for leak in ["c4nary", "YzRuYXJ5"] {
        assert!(!text.contains(leak), "{leak} in {text}");
    }
}

#[tokio::test]
async fn a_secret_that_is_too_short_is_warned_of_once_by_name() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let login = json(r##"{"username": "somebody", "pin": "q#"}"##);
    let builder = builder(Given(vec![("login", Ok(login))]));
    let kind = echo(r#""${ $secrets.login.pin }""#);
    let worker = builder.plans(source(Arc::new(plan(task(kind))))).build().unwrap();
    for _ in 0..2 {
        let report = worker.perform(assignment(Value::Null), CancellationToken::new()).await;
        assert_eq!(report.result, Ok(Value::from("q#")), "it cannot be recognised");
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("WARN").count(), 1, "{text}");
    assert!(text.contains("login") && !text.contains("q#"), "{text}");
}

#[tokio::test]
async fn a_secret_in_a_header_or_body_does_not_follow_to_another_origin() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = seen.clone();
    let target = serve(Router::new().fallback(any(move |headers: HeaderMap| {
        keep.lock().unwrap().push(headers.contains_key("x-key"));
        async { "here" }
    })))
    .await;
    let away = format!("http://{target}/");
    let first = Router::new()
        .fallback(any(move || async move { axum::response::Redirect::temporary(&away) }));
    let first = serve(first).await;
    let calling = |body: &str| {
        let mut call = http("post", &format!("http://{first}/"));
        call.redirect = true;
        call.headers = Some(template(r#"{"X-Key":"${ $secrets.key | @uri }"}"#));
        call.body = Some(text(body));
        Kind::Http(Box::new(call))
    };
    assert_eq!(perform(given(), calling("plain")).await, Ok(Value::from("here")));
    assert_eq!(*seen.lock().unwrap(), [false]);
    let problem = perform(given(), calling("${ $secrets.key }")).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("communication".into(), 500));
    assert_eq!(seen.lock().unwrap().len(), 1);
}

/// What is known of each read: which version, which value.
type Reads = Vec<(Option<&'static str>, &'static str)>;

/// A store whose secret changes from read to read; the last one stays.
struct Rotating(Mutex<Reads>);

impl SecretStore for Rotating {
    fn read<'a>(
        &'a self,
        _name: &'a SecretName,
        _context: &'a SecretContext,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>> {
        let mut reads = self.0.lock().unwrap();
        let (version, text) = if reads.len() > 1 { reads.remove(0) } else { reads[0] };
        let mut value = SecretValue::new(SecretData::Text(text.to_owned()));
        value.version = version.map(Into::into);
        value.lease = Some("lease".into());
        Box::pin(std::future::ready(Ok(value)))
    }
}

#[derive(Default)]
struct Told {
    events: Mutex<Vec<AuditEvent>>,
    /// Where it has to wait for room.
    room: Option<AuditRoom>,
}

impl AuditSink for Told {
    fn record(&self, event: AuditEvent) {
        self.events.lock().unwrap().push(event);
    }

    fn reserve(&self, places: usize) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(room) = &self.room {
                room.reserve(places, || ()).await;
            }
        })
    }
}

/// Calls a server that only takes the key `new`, with a store that gives these.
async fn call_rotated(reads: Reads, told: &Arc<Told>) -> (Report, usize) {
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let answer = move |headers: HeaderMap| {
        *count.lock().unwrap() += 1;
        let status = match headers.get("x-key").and_then(|it| it.to_str().ok()) {
            Some("new") => StatusCode::OK,
            _ => StatusCode::FORBIDDEN,
        };
        std::future::ready(status)
    };
    let server = serve(Router::new().fallback(any(answer))).await;
    let mut mirrored = http("get", &format!("http://{server}/"));
    mirrored.headers = Some(template(r#"{"X-Key":"${ $secrets.key }"}"#));
    let plan = plan(task(Kind::Http(Box::new(mirrored))));
    let worker = Worker::builder()
        .http(no_proxy())
        .secrets(Arc::new(Rotating(Mutex::new(reads))))
        .audit(told.clone())
        .plans(source(Arc::new(plan)))
        .build()
        .unwrap();
    let report = worker.perform(assignment(json("{}")), CancellationToken::new()).await;
    let asked = *asked.lock().unwrap();
    (report, asked)
}

#[tokio::test]
async fn a_secret_that_was_replaced_since_is_used_once_more() {
    for (reads, requests, version, works) in [
        (vec![(Some("1"), "old"), (Some("2"), "new")], 2, Some("2"), true),
        (vec![(None, "old"), (None, "new")], 2, None, true),
        // The version decides, where there is one.
        (vec![(Some("1"), "old"), (Some("1"), "new")], 1, Some("1"), false),
        (vec![(None, "old")], 1, None, false),
        // Once, not until it works.
        (vec![(Some("1"), "old"), (Some("2"), "older"), (Some("3"), "new")], 2, Some("2"), false),
    ] {
        let told = Arc::new(Told::default());
        let (report, asked) = call_rotated(reads.clone(), &told).await;
        assert_eq!((report.result.is_ok(), asked), (works, requests), "{reads:?}");
        assert_eq!(report.secrets.len(), 1);
        assert_eq!(report.secrets[0].version.as_deref(), version, "{reads:?}");
    }
}

#[tokio::test]
async fn reads_are_told_with_what_came_of_them() {
    let told = Arc::new(Told::default());
    call_rotated(vec![(Some("1"), "old"), (Some("2"), "new")], &told).await;
    let events = told.events.lock().unwrap();
    let seen: Vec<_> = events.iter().map(|it| (it.action, it.version.as_deref())).collect();
    assert_eq!(
        seen,
        [
            (AuditAction::Requested, None),
            (AuditAction::Granted, Some("1")),
            (AuditAction::Requested, None),
            (AuditAction::Granted, Some("2")),
        ]
    );
    for event in events.iter() {
        assert_eq!(event.secret.as_ref().unwrap().0.as_ref(), "key");
        assert!(!format!("{event:?}").contains("old"), "a value in {event:?}");
    }
    assert_eq!(events[1].lease.as_deref(), Some("lease"));
}

/// A sink without room.
fn full() -> Arc<Told> {
    let room = AuditRoom::new(8);
    room.reserve(8, || ()).now_or_never().unwrap();
    Arc::new(Told { room: Some(room), ..Told::default() })
}

#[tokio::test]
async fn what_could_not_be_told_waits_and_is_done_when_it_can() {
    let told = full();
    let mut call = std::pin::pin!(call_rotated(vec![(None, "new")], &told));
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut call).await;
    assert!(early.is_err() && told.events.lock().unwrap().is_empty());
    told.room.as_ref().unwrap().free(8);
    let (report, asked) = call.await;
    assert_eq!((report.result.is_ok(), asked), (true, 1));
}

#[tokio::test]
async fn the_wait_for_room_ends_with_the_task_and_nothing_was_read() {
    let told = full();
    let plan = plan(task(Kind::Set(template(r#""${ $secrets.key }""#))));
    let worker = Worker::builder()
        .secrets(Arc::new(Rotating(Mutex::new(vec![(None, "new")]))))
        .audit(told.clone())
        .plans(source(Arc::new(plan)))
        .build()
        .unwrap();
    let mut late = assignment(json("{}"));
    late.work = Work::Evaluate(Field::Definition);
    late.deadline = Some(in_ms(200));
    let report = worker.perform(late, CancellationToken::new()).await;
    let problem = report.result.unwrap_err();
    assert_eq!(kind_of(&problem), ("timeout".to_owned(), 408));
    assert!(problem.detail.as_ref().unwrap().contains("room in the audit trail"), "{problem:?}");
    assert!(told.events.lock().unwrap().is_empty() && report.secrets.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_for_room_is_given_back_untouched() {
    let told = full();
    let plan = plan(task(Kind::Set(template(r#""${ $secrets.key }""#))));
    let worker = Worker::builder()
        .secrets(Arc::new(Rotating(Mutex::new(vec![(None, "new")]))))
        .audit(told.clone())
        .plans(source(Arc::new(plan)))
        .build()
        .unwrap();
    let mut waiting = assignment(json("{}"));
    waiting.work = Work::Evaluate(Field::Definition);
    let given_back = worker.try_perform(waiting.clone(), CancellationToken::new()).await;
    assert_eq!(given_back.unwrap_err().key, waiting.key);
    assert!(told.events.lock().unwrap().is_empty());
    told.room.as_ref().unwrap().free(8);
    let report = worker.try_perform(waiting, CancellationToken::new()).await.unwrap();
    assert!(report.result.is_ok(), "{report:?}");
}
