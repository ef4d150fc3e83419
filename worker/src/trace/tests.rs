//! What an attempt tells of itself, and what it hands on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::HeaderMap;
use axum::response::Redirect;
use axum::routing::get;
use opentelemetry::trace::{SpanKind, Status, TracerProvider as _};
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, InMemorySpanExporterBuilder, SdkTracerProvider, SpanData,
};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use windlass_proto::definition::{Options, load};
use windlass_proto::plan::Plan;
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;
use windlass_proto::wire::Assignment;

use super::TRACE_TARGET;
use crate::testing::{Given, assignment, builder, json, no_proxy, serve, source};
use crate::{Builder, Call, CancellationToken, FunctionError, HttpOptions};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// What vendors have added to the caller's trace.
const STATE: &str = "a@b@c=1,2rojo=00f067aa0ba902b7";

/// The traceparents and tracestates that a server has seen, by path.
type Seen = Arc<Mutex<Vec<(String, Option<String>, Option<String>)>>>;

/// Answers `/moved` with a redirect to `/last`, and `/fails` with 503.
async fn server() -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let keep = |path: &'static str| {
        let seen = seen.clone();
        move |headers: HeaderMap| {
            let header = |name: &str| headers.get(name).map(|it| it.to_str().unwrap().to_owned());
            let (parent, state) = (header("traceparent"), header("tracestate"));
            seen.lock().unwrap().push((path.to_owned(), parent, state));
            std::future::ready(())
        }
    };
    let (moved, last, fails) = (keep("/moved"), keep("/last"), keep("/fails"));
    let router = Router::new()
        .route(
            "/moved/{it}",
            get(|it: HeaderMap| async move {
                moved(it).await;
                Redirect::temporary("/last?token=c4nary-query")
            }),
        )
        .route(
            "/last",
            get(|it: HeaderMap| async move {
                last(it).await;
                "true"
            }),
        )
        .route(
            "/fails",
            get(|it: HeaderMap| async move {
                fails(it).await;
                axum::http::StatusCode::SERVICE_UNAVAILABLE
            }),
        );
    (serve(router).await, seen)
}

/// Takes spans on this thread for as long as the second part lives.
fn exported() -> (InMemorySpanExporter, impl Drop) {
    let exporter = InMemorySpanExporterBuilder::new().build();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("test"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(|it| it.is_span() && it.target() == TRACE_TARGET));
    let subscriber = tracing_subscriber::registry().with(layer);
    struct Guard(
        #[allow(dead_code)] tracing::subscriber::DefaultGuard,
        #[allow(dead_code)] SdkTracerProvider,
    );
    impl Drop for Guard {
        fn drop(&mut self) {}
    }
    (exporter, Guard(tracing::subscriber::set_default(subscriber), provider))
}

fn plan(task: &str) -> Arc<Plan> {
    let text = format!(
        "document: {{dsl: '1.0.3', namespace: test, name: test, version: '1.0.0'}}\n\
         use: {{secrets: [key]}}\ndo:\n- task: {task}\n"
    );
    let loaded = load(&text, &Options { functions: None, ..Options::default() });
    loaded.plan.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
}

fn given(flags: &str) -> Assignment {
    let mut given = assignment(json(r#"{"host": "x", "word": "c4nary-input"}"#));
    given.traceparent = Some(format!("00-{TRACE}-{PARENT}-{flags}").into());
    given.tracestate = Some(STATE.into());
    given
}

/// Performs `task`; a function `tell` gives the trace context of its call.
async fn perform(task: &str, given: Assignment) -> Result<Value, Problem> {
    perform_by(|it| it, task, given).await
}

/// The same by a worker that `changed` describes.
async fn perform_by(
    changed: impl FnOnce(Builder) -> Builder,
    task: &str,
    mut given: Assignment,
) -> Result<Value, Problem> {
    let tell = |_: Value, call: Call| async move {
        Ok::<_, FunctionError>(call.traceparent().map(str::to_owned))
    };
    let plan = plan(task);
    given.task = plan.tasks.iter().find(|it| it.kind.is_dispatched()).unwrap().index;
    let secrets = Given(vec![("key", Ok(Value::from("c4nary-secret")))]);
    let builder = builder(secrets).function("tell", tell).plans(source(plan));
    changed(builder).build().unwrap().perform(given, CancellationToken::new()).await.result
}

fn named<'a>(spans: &'a [SpanData], name: &str) -> &'a SpanData {
    spans.iter().find(|it| it.name == name).unwrap_or_else(|| panic!("no {name}: {spans:#?}"))
}

fn attribute(span: &SpanData, name: &str) -> Option<String> {
    span.attributes.iter().find(|it| it.key.as_str() == name).map(|it| it.value.to_string())
}

#[tokio::test]
async fn an_attempt_is_a_tree_below_its_delivery_and_each_request_a_span() {
    let (server, seen) = server().await;
    let (exporter, _guard) = exported();
    let task = format!(
        "{{call: http, with: {{method: get, redirect: true, endpoint: 'http://{server}/moved/c4nary-path', \
         query: {{it: '${{ $secrets.key }}'}}, headers: {{x-it: '${{ .word }}'}}}}}}"
    );
    assert_eq!(perform(&task, given("01")).await, Ok(Value::from("true")));
    let spans = exporter.get_finished_spans().unwrap();
    let attempt = named(&spans, "attempt task");
    assert_eq!(attempt.parent_span_id.to_string(), PARENT);
    assert_eq!(attempt.span_kind, SpanKind::Consumer);
    assert_eq!(attribute(attempt, "windlass.task.reference").as_deref(), Some("/do/0/task"));
    assert_eq!(attribute(attempt, "windlass.delivery").as_deref(), Some("1"));
    for name in ["intake", "lease", "call"] {
        assert_eq!(named(&spans, name).parent_span_id, attempt.span_context.span_id(), "{name}");
    }
    let call = named(&spans, "call").span_context.span_id();
    let requests: Vec<_> = spans.iter().filter(|it| it.name == "GET").collect();
    assert_eq!(requests.len(), 2, "the redirect is a request of its own");
    let seen = seen.lock().unwrap().clone();
    for (request, (path, parent, state)) in requests.iter().zip(&seen) {
        assert_eq!(state.as_deref(), Some(STATE), "{path}");
        assert_eq!((request.parent_span_id, &request.span_kind), (call, &SpanKind::Client));
        let context = format!("00-{TRACE}-{}-01", request.span_context.span_id());
        assert_eq!(parent.as_deref(), Some(context.as_str()), "{path}");
        assert_eq!(attribute(request, "server.port"), Some(server.port().to_string()));
        assert_eq!(attribute(request, "server.address").as_deref(), Some("127.0.0.1"));
    }
    let status = attribute(requests[0], "http.response.status_code");
    assert_eq!(status.as_deref(), Some("307"));
    assert!(spans.iter().all(|it| it.span_context.trace_id().to_string() == TRACE));
    assert!(spans.iter().all(|it| it.start_time >= attempt.start_time));
    assert!(spans.iter().all(|it| it.end_time <= attempt.end_time), "{spans:#?}");
    assert!(spans.iter().all(|it| it.events.is_empty()));
    assert!(!format!("{spans:?}").contains("c4nary"), "{spans:#?}");
}

#[tokio::test]
async fn a_path_is_told_of_hosts_that_are_named_and_never_a_secret() {
    let (server, _) = server().await;
    let call = |path: &str| {
        format!(
            "{{call: http, with: {{method: get, endpoint: '${{ \"http://{server}/{path}\" }}', \
             output: raw, redirect: true}}}}"
        )
    };
    for (hosts, path, told) in [
        (vec!["127.0.0.1"], "last", Some("/last")),
        (vec!["127.0.0.1"], "moved/\" + $secrets.key + \"?a=b", None),
        (vec!["*.example.com", "127.0.0.2"], "last", None),
    ] {
        let (exporter, _guard) = exported();
        let traced_paths = hosts.iter().map(|it| (*it).to_owned()).collect();
        let http = HttpOptions { traced_paths, ..no_proxy() };
        perform_by(|it| it.http(http), &call(path), given("01")).await.unwrap();
        let spans = exporter.get_finished_spans().unwrap();
        let first = named(&spans, "GET");
        assert_eq!(attribute(first, "url.path").as_deref(), told, "{hosts:?}");
        assert!(!format!("{spans:?}").contains("c4nary"), "{spans:#?}");
    }
}

/// All attributes that spans have are in the table of the documentation.
#[tokio::test]
async fn spans_say_nothing_but_what_is_in_the_table() {
    let table = include_str!("../../../proto/telemetry/src/names.rs").to_owned()
        + include_str!("../../../proto/telemetry/src/names/worker.rs");
    let (server, _) = server().await;
    let (exporter, _guard) = exported();
    let secret = "{call: tell, with: {it: '${ $secrets.key }'}}";
    let fails = format!("{{call: http, with: {{method: get, endpoint: 'http://{server}/fails'}}}}");
    let closed = "{call: http, with: {method: trash, endpoint: 'http://127.0.0.1:1/'}}";
    let breaks = "{call: tell, with: {it: '${ error(\"c4nary-error\") }'}}";
    for task in [secret, &fails, closed, breaks] {
        let _ = perform(task, given("01")).await;
    }
    let spans = exporter.get_finished_spans().unwrap();
    let names: BTreeSet<_> =
        spans.iter().flat_map(|it| &it.attributes).map(|it| it.key.as_str()).collect();
    for name in &names {
        assert!(table.contains(&format!("\"{name}\"")), "{name} is not in the table");
    }
    assert!(names.contains("error.type"), "{names:?}");
    let failed = |name: &str| {
        let of =
            spans.iter().filter(|it| it.name == name && matches!(it.status, Status::Error { .. }));
        of.filter_map(|it| attribute(it, "error.type")).collect::<BTreeSet<_>>()
    };
    assert_eq!(failed("GET"), ["503".to_owned()].into());
    assert_eq!(failed("HTTP"), ["connect".to_owned()].into());
    assert_eq!(
        failed("attempt task"),
        ["communication".to_owned(), "expression".to_owned()].into()
    );
    assert!(!format!("{spans:?}").contains("c4nary"), "{spans:#?}");
}

#[tokio::test]
async fn functions_get_the_context_of_their_call() {
    let (exporter, _guard) = exported();
    let told = perform("{call: tell}", given("03")).await.unwrap();
    let spans = exporter.get_finished_spans().unwrap();
    let call = named(&spans, "call").span_context.span_id();
    // The flag of an id that is random goes on as it came.
    assert_eq!(told.as_str(), Some(format!("00-{TRACE}-{call}-03").as_str()));
}

#[tokio::test]
async fn what_is_not_sampled_makes_no_span_and_goes_out_as_it_came() {
    let (server, seen) = server().await;
    let (exporter, _guard) = exported();
    let task = format!("{{call: http, with: {{method: get, endpoint: 'http://{server}/last'}}}}");
    perform(&task, given("00")).await.unwrap();
    let as_it_came = format!("00-{TRACE}-{PARENT}-00");
    let (_, parent, state) = seen.lock().unwrap().pop().unwrap();
    assert_eq!((parent, state.as_deref()), (Some(as_it_came.clone()), Some(STATE)));
    assert_eq!(perform("{call: tell}", given("00")).await.unwrap().as_str(), Some(&*as_it_came));
    let mut none = given("00");
    (none.traceparent, none.tracestate) = (None, None);
    perform(&task, none).await.unwrap();
    let (_, parent, state) = seen.lock().unwrap().pop().unwrap();
    assert_eq!((parent, state), (None, None));
    assert!(exporter.get_finished_spans().unwrap().is_empty());
}

#[tokio::test]
async fn where_nobody_takes_spans_the_context_goes_out_as_it_came() {
    let (server, seen) = server().await;
    let task = format!("{{call: http, with: {{method: get, endpoint: 'http://{server}/last'}}}}");
    perform(&task, given("01")).await.unwrap();
    let as_it_came = format!("00-{TRACE}-{PARENT}-01");
    assert_eq!(seen.lock().unwrap().pop().unwrap().1, Some(as_it_came));
}

#[tokio::test]
async fn the_author_may_say_otherwise() {
    let (server, seen) = server().await;
    let (_exporter, _guard) = exported();
    let own = format!("00-{TRACE}-1111111111111111-01");
    let task = format!(
        "{{call: http, with: {{method: get, endpoint: 'http://{server}/last', headers: {{traceparent: '{own}'}}}}}}"
    );
    perform(&task, given("01")).await.unwrap();
    let (_, parent, state) = seen.lock().unwrap().pop().unwrap();
    assert_eq!((parent, state), (Some(own), None), "vendors speak of the caller's trace");
}
