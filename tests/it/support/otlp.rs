//! A receiver of OTLP over HTTP that remembers what it got, and a real collector before it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span, status::StatusCode as Outcome};
use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::AbortHandle;

use super::process::Process;
use super::until::{SOON, until};
use super::{ports, tools};

/// A span as the receiver got it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeenSpan {
    /// Of its trace, in hexadecimal.
    pub(crate) trace: String,
    /// Its own, in hexadecimal.
    pub(crate) id: String,
    /// Of the span it is part of; empty for none.
    pub(crate) parent: String,
    /// What it is called.
    pub(crate) name: String,
    /// What vendors have added to its trace.
    pub(crate) state: String,
    /// `SPAN_KIND_…` as a number.
    pub(crate) kind: i32,
    /// Nanoseconds since the epoch.
    pub(crate) start: u64,
    /// Nanoseconds since the epoch.
    pub(crate) end: u64,
    /// True when its status is an error.
    pub(crate) failed: bool,
    /// What is known of it.
    pub(crate) attributes: BTreeMap<String, Value>,
    /// Names of what happened within it.
    pub(crate) events: Vec<String>,
    /// Trace and span of each link.
    pub(crate) links: Vec<(String, String)>,
    /// Who sent it.
    pub(crate) resource: BTreeMap<String, Value>,
}

/// A log record as the receiver got it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeenRecord {
    /// The trace that it is of, in hexadecimal; empty for none.
    pub(crate) trace: String,
    /// The span in which it was written, in hexadecimal.
    pub(crate) span: String,
    /// The name of the event.
    pub(crate) event: String,
    /// What it says.
    pub(crate) body: Value,
    /// What is known of it.
    pub(crate) attributes: BTreeMap<String, Value>,
}

/// A request as the receiver got it.
#[derive(Clone, Debug)]
pub(crate) struct Export {
    /// `/v1/traces`, `/v1/metrics` or `/v1/logs`.
    pub(crate) path: String,
    /// The body, as it came; unpacked where it was compressed.
    pub(crate) body: Vec<u8>,
}

/// A receiver of OTLP over HTTP; it stops when dropped.
pub(crate) struct Receiver {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    exports: Arc<Mutex<Vec<Export>>>,
    serving: AbortHandle,
}

impl Receiver {
    /// One on a free port of the loopback.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let exports: Arc<Mutex<Vec<Export>>> = Arc::default();
        let router = Router::new().fallback(take).with_state(exports.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, exports, serving: serving.abort_handle() }
    }

    /// Its URL, for `--otlp-endpoint`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything it got so far.
    pub(crate) fn exports(&self) -> Vec<Export> {
        self.exports.lock().unwrap().clone()
    }

    /// All spans it got so far, those that came twice as well.
    pub(crate) fn spans(&self) -> Vec<SeenSpan> {
        let exports = self.exports();
        let traces = exports.iter().filter(|it| it.path == "/v1/traces");
        let requests = traces.map(|it| ExportTraceServiceRequest::decode(&*it.body).unwrap());
        requests.flat_map(|it| it.resource_spans).flat_map(|it| seen(&it)).collect()
    }

    /// All log records it got so far.
    pub(crate) fn records(&self) -> Vec<SeenRecord> {
        let exports = self.exports();
        let logs = exports.iter().filter(|it| it.path == "/v1/logs");
        let requests = logs.map(|it| ExportLogsServiceRequest::decode(&*it.body).unwrap());
        let scopes = requests.flat_map(|it| it.resource_logs).flat_map(|it| it.scope_logs);
        scopes.flat_map(|it| it.log_records).map(|it| seen_record(&it)).collect()
    }

    /// All bytes it got so far, those of compressed requests unpacked.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.exports().into_iter().flat_map(|it| it.body).collect()
    }

    /// The spans of a trace, once the one with this name is among them.
    pub(crate) async fn trace(&self, trace: &str, name: &str) -> Vec<SeenSpan> {
        let trace = trace.replace('-', "");
        let looked_for = format!("the span {name} of {trace}");
        until(SOON, &looked_for, || {
            let spans: Vec<_> = self.spans().into_iter().filter(|it| it.trace == trace).collect();
            let found = spans.iter().any(|it| it.name == name);
            std::future::ready(found.then_some(spans))
        })
        .await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(State(exports): State<Arc<Mutex<Vec<Export>>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let mut bytes = body.to_vec();
    if head.headers.get("content-encoding").is_some_and(|it| it == "gzip") {
        bytes.clear();
        GzDecoder::new(&*body).read_to_end(&mut bytes).unwrap();
    }
    let export = Export { path: head.uri.path().to_owned(), body: bytes };
    exports.lock().unwrap().push(export);
    // An answer without a word of refused items is an empty message.
    ([("content-type", "application/x-protobuf")], Vec::new()).into_response()
}

fn seen(of: &ResourceSpans) -> Vec<SeenSpan> {
    let resource = attributes(of.resource.iter().flat_map(|it| &it.attributes));
    let spans = of.scope_spans.iter().flat_map(|it| &it.spans);
    spans.map(|span| seen_span(span, resource.clone())).collect()
}

fn seen_span(span: &Span, resource: BTreeMap<String, Value>) -> SeenSpan {
    SeenSpan {
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name.clone(),
        state: span.trace_state.clone(),
        kind: span.kind,
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        failed: span.status.as_ref().is_some_and(|it| it.code == Outcome::Error as i32),
        attributes: attributes(&span.attributes),
        events: span.events.iter().map(|it| it.name.clone()).collect(),
        links: span.links.iter().map(|it| (hex(&it.trace_id), hex(&it.span_id))).collect(),
        resource,
    }
}

fn seen_record(record: &LogRecord) -> SeenRecord {
    SeenRecord {
        trace: hex(&record.trace_id),
        span: hex(&record.span_id),
        event: record.event_name.clone(),
        body: value(record.body.as_ref().and_then(|it| it.value.as_ref())),
        attributes: attributes(&record.attributes),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

fn attributes<'a>(pairs: impl IntoIterator<Item = &'a KeyValue>) -> BTreeMap<String, Value> {
    let pairs = pairs.into_iter();
    pairs
        .map(|it| (it.key.clone(), value(it.value.as_ref().and_then(|it| it.value.as_ref()))))
        .collect()
}

fn value(of: Option<&any_value::Value>) -> Value {
    use any_value::Value as Any;
    match of {
        Some(Any::StringValue(it)) => json!(it),
        Some(Any::BoolValue(it)) => json!(it),
        Some(Any::IntValue(it)) => json!(it),
        Some(Any::DoubleValue(it)) => json!(it),
        Some(Any::ArrayValue(it)) => it.values.iter().map(|it| value(it.value.as_ref())).collect(),
        _ => Value::Null,
    }
}

/// A collector that is not ours, which sends all it gets to a receiver; it stops when dropped.
pub(crate) struct Collector {
    http: u16,
    grpc: u16,
    _process: Process,
    _folder: tempfile::TempDir,
}

/// How often other ports are tried when some were taken in the moment between.
const TRIES: usize = 5;

impl Collector {
    /// Starts one before `receiver`.
    pub(crate) async fn before(receiver: &Receiver) -> Self {
        let package = tools::package("rotel==0.0.1a15").await;
        let program = package.join("rotel").join("rotel-agent");
        for _ in 0..TRIES {
            let (http, grpc) = (ports::free(), ports::free());
            let folder = tempfile::tempdir().unwrap();
            let mut command = Command::new(&program);
            command
                .args(["start", "--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
                .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
                .args(["--exporter", "otlp", "--otlp-exporter-protocol", "http"])
                .args(["--otlp-exporter-endpoint", &receiver.url()])
                .arg("--pid-file")
                .arg(folder.path().join("pid"));
            let process = Process::spawn(command);
            if listens(http).await && listens(grpc).await {
                return Self { http, grpc, _process: process, _folder: folder };
            }
        }
        panic!("the collector did not listen on any of {TRIES} pairs of free ports")
    }

    /// Variables of processes that export all there is to it, soon.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.http()),
            ("OTEL_TRACES_SAMPLER", "always_on".to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
            ("OTEL_BLRP_SCHEDULE_DELAY", "100".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Where it takes OTLP over HTTP, for `--otlp-endpoint`.
    pub(crate) fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// Where it takes OTLP over gRPC.
    pub(crate) fn grpc(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc)
    }
}

/// Whether something listens on a port before long.
async fn listens(port: u16) -> bool {
    let connect = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            tick.tick().await;
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, connect).await.is_ok()
}
