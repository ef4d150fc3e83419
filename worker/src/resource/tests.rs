#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use windlass_proto::id::WorkflowId;
use windlass_proto::limits;
use windlass_proto::plan::{
    ExternalResource, FunctionCall, FunctionTarget, Kind, SchemaSource, Task,
};
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use crate::document::parse_document;
use crate::testing::{
    Given, assignment, builder, endpoint, json, kind_of, no_proxy, plan, serve, source, task,
};
use crate::{CancellationToken, HttpOptions, Worker};

/// A task whose input is checked by the schema at `uri`.
fn checked(uri: &str) -> Task {
    let target = FunctionTarget::Registered("echo".into());
    let mut task = task(Kind::Function(FunctionCall { target, with: None }));
    let resource = ExternalResource { name: None, endpoint: endpoint(uri, None) };
    task.input.schema = Some(SchemaSource::External(resource));
    task
}

fn worker(uri: &str, options: HttpOptions) -> Worker {
    let plan = Arc::new(plan(checked(uri)));
    builder(Given(vec![])).http(options).plans(source(plan)).build().unwrap()
}

async fn perform(worker: &Worker, input: &str) -> Result<Value, Problem> {
    worker.perform(assignment(json(input)), CancellationToken::new()).await.result
}

#[test]
fn json_and_yaml_are_read() {
    assert_eq!(
        parse_document("{\"a\": 123456789012345678901}").unwrap().to_json(),
        r#"{"a":123456789012345678901}"#
    );
    assert_eq!(parse_document("a: 1\nb: [x, 'y']\n"), Ok(json(r#"{"a":1,"b":["x","y"]}"#)));
    assert!(parse_document("a: [").is_err());
}

#[tokio::test]
async fn a_document_is_fetched_once_while_it_is_fresh() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let router = Router::new()
        .route(
            "/schema.yaml",
            get(move || async move {
                counted.fetch_add(1, Ordering::SeqCst);
                "type: object\nrequired: [a]\n"
            }),
        )
        .route("/gone", get(|| async { StatusCode::GONE }));
    let server = serve(router).await;
    let fetching = worker(&format!("http://{server}/schema.yaml"), no_proxy());
    assert_eq!(perform(&fetching, r#"{"a":1}"#).await, Ok(json(r#"{"a":1}"#)));
    assert_eq!(kind_of(&perform(&fetching, "{}").await.unwrap_err()), ("validation".into(), 400));
    assert_eq!(count.load(Ordering::SeqCst), 1);
    let gone = worker(&format!("http://{server}/gone"), no_proxy());
    assert_eq!(kind_of(&perform(&gone, "{}").await.unwrap_err()), ("communication".into(), 410));
}

#[tokio::test]
async fn a_document_that_is_the_same_is_not_sent_again() {
    let (asked, sent) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (asked.clone(), sent.clone());
    let schema = move |headers: HeaderMap| async move {
        // The second version comes with the third question.
        let version = if counts.0.fetch_add(1, Ordering::SeqCst) < 2 { "\"1\"" } else { "\"2\"" };
        let has = |name: &str, value| headers.get(name).is_some_and(|it| it == value);
        if has("if-none-match", version) && has("if-modified-since", "yesterday") {
            return StatusCode::NOT_MODIFIED.into_response();
        }
        counts.1.fetch_add(1, Ordering::SeqCst);
        ([("etag", version), ("last-modified", "yesterday")], r#"{"required":["a"]}"#)
            .into_response()
    };
    let server = serve(Router::new().route("/schema.json", get(schema))).await;
    let fetching = worker(&format!("http://{server}/schema.json"), no_proxy());
    for (questions, answers) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
        assert_eq!(perform(&fetching, r#"{"a":1}"#).await, Ok(json(r#"{"a":1}"#)));
        assert_eq!(asked.load(Ordering::SeqCst), questions);
        assert_eq!(sent.load(Ordering::SeqCst), answers);
        tokio::time::pause();
        tokio::time::advance(Duration::from_millis(limits::RESOURCE_FRESH_MS)).await;
        tokio::time::resume();
    }
}

#[tokio::test]
async fn documents_may_be_compressed_and_in_another_charset() {
    let schema = r#"{"required":["é"]}"#;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(schema.as_bytes()).unwrap();
    let zipped = encoder.finish().unwrap();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(schema.as_bytes()).unwrap();
    encoder.write_all(&vec![b' '; limits::RESOURCE_BYTES]).unwrap();
    let large = encoder.finish().unwrap();
    let latin: &[u8] = b"required: [ \"\xe9\" ]\n";
    let marked = format!("\u{feff}{schema}");
    let router = Router::new()
        .route("/zipped", get(|| async { ([("content-encoding", "gzip")], zipped) }))
        .route("/large", get(|| async { ([("content-encoding", "gzip")], large) }))
        .route(
            "/latin",
            get(move || async move { ([("content-type", "text/yaml; charset=latin1")], latin) }),
        )
        .route("/marked", get(|| async { marked }))
        .route("/broken", get(move || async move { latin }));
    let server = serve(router).await;
    for path in ["zipped", "latin", "marked"] {
        let fetching = worker(&format!("http://{server}/{path}"), no_proxy());
        assert_eq!(perform(&fetching, r#"{"é":1}"#).await, Ok(json(r#"{"é":1}"#)), "{path}");
        let problem = perform(&fetching, "{}").await.unwrap_err();
        assert_eq!(kind_of(&problem), ("validation".into(), 400), "{path}");
    }
    let problem = perform(&worker(&format!("http://{server}/broken"), no_proxy()), "{}").await;
    assert!(problem.unwrap_err().detail.unwrap().contains("it is not UTF-8"));
    // The bound counts what comes out.
    let problem = perform(&worker(&format!("http://{server}/large"), no_proxy()), "{}").await;
    assert!(problem.unwrap_err().detail.unwrap().contains("is larger than"));
}

#[tokio::test]
async fn files_are_read_below_one_directory_only() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(directory.path().join("outside.json"), "{}").unwrap();
    std::fs::create_dir(root.join("app")).unwrap();
    std::fs::write(root.join("app/a b.json"), r#"{"type":"number"}"#).unwrap();
    std::os::unix::fs::symlink(directory.path().join("outside.json"), root.join("link.json"))
        .unwrap();
    let options = || HttpOptions { files: Some(root.clone()), ..no_proxy() };
    std::fs::write(root.join("Beside.json"), r#"{"type":"number"}"#).unwrap();
    for uri in [
        "file://app/a%20b.json",
        "file:///app/a%20b.json",
        "file://localhost/app/a%20b.json",
        // What stands where a host would is a name as any other.
        "file://Beside.json",
        "FILE://Beside.json",
        "file:Beside.json",
    ] {
        assert_eq!(perform(&worker(uri, options()), "1").await, Ok(Value::Int(1)), "{uri}");
        let problem = perform(&worker(uri, no_proxy()), "1").await.unwrap_err();
        assert_eq!(kind_of(&problem), ("authorization".into(), 403));
    }
    for uri in [
        "file:///link.json",
        "file:///../outside.json",
        "file:///%2e%2e/outside.json",
        "file:///none.json",
    ] {
        let problem = perform(&worker(uri, options()), "1").await.unwrap_err();
        assert_eq!(kind_of(&problem), ("communication".into(), 500), "{uri}");
        let root = root.canonicalize().unwrap().display().to_string();
        assert!(
            problem.detail.unwrap().contains(&format!("cannot read the file {root}/")),
            "{uri}"
        );
    }
    // The directory of one definition, and of no other.
    let of = |id: WorkflowId| HttpOptions {
        files: Some(directory.path().join("none")),
        files_of: [(id, root.clone())].into(),
        ..no_proxy()
    };
    let id = plan(checked("file://Beside.json")).id;
    let other = WorkflowId { name: "other".into(), ..id.clone() };
    assert!(perform(&worker("file://Beside.json", of(id)), "1").await.is_ok());
    assert!(perform(&worker("file://Beside.json", of(other)), "1").await.is_err());
}
