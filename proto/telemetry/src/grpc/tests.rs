//! Against a server of gRPC that is not ours: tonic's.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use opentelemetry::logs::{Logger as _, LoggerProvider as _};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Code, Response};
use tonic_types::StatusExt as _;

use super::*;
use crate::acknowledged::Listener;
use crate::counts::{SignalTotals, TelemetryCounts};
use crate::exporter::Exporters;
use crate::settings::{ClientIdentity, Protocol, Tls};
use crate::span_exporter::SpanExporter;
use crate::testing::{Certificates, batch, certificates, destination};

/// Refuses some of each export, after it has failed with these codes.
#[derive(Clone, Default)]
struct Collector {
    fails: Arc<Mutex<Vec<Status>>>,
    calls: Arc<AtomicUsize>,
    rejects: i64,
}

impl Collector {
    fn answer<T>(&self, answer: T) -> Result<Response<T>, Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.fails.lock().unwrap().pop().map_or(Ok(Response::new(answer)), Err)
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let error_message = "too old".to_owned();
        let partial = ExportTracePartialSuccess { rejected_spans: self.rejects, error_message };
        self.answer(ExportTraceServiceResponse { partial_success: Some(partial) })
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        _: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let (rejected_log_records, error_message) = (self.rejects, String::new());
        let partial = ExportLogsPartialSuccess { rejected_log_records, error_message };
        self.answer(ExportLogsServiceResponse { partial_success: Some(partial) })
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        _: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let (rejected_data_points, error_message) = (self.rejects, String::new());
        let partial = ExportMetricsPartialSuccess { rejected_data_points, error_message };
        self.answer(ExportMetricsServiceResponse { partial_success: Some(partial) })
    }
}

/// A server; it stops when dropped.
struct Serving(SocketAddr, AbortHandle);

impl Drop for Serving {
    fn drop(&mut self) {
        self.1.abort();
    }
}

/// Serves on a free port; with certificates, only those clients that show theirs.
async fn serve(collector: &Collector, certificates: Option<&Certificates>) -> Serving {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = Server::builder();
    if let Some(it) = certificates {
        let (certificate, key) = &it.server;
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(certificate, key))
            .client_ca_root(Certificate::from_pem(&it.authority));
        server = server.tls_config(tls).unwrap();
    }
    let router = server
        .add_service(TraceServiceServer::new(collector.clone()))
        .add_service(LogsServiceServer::new(collector.clone()))
        .add_service(MetricsServiceServer::new(collector.clone()));
    let serving = router.serve_with_incoming(TcpIncoming::from(listener));
    Serving(address, tokio::spawn(async move { serving.await.unwrap() }).abort_handle())
}

fn exporters() -> Exporters {
    let (runtime, counts) = (Handle::current(), Arc::new(TelemetryCounts::default()));
    Exporters { runtime, counts, told: Listener::default() }
}

fn spans(exporters: &Exporters, to: &Destination) -> SpanExporter {
    exporters.spans(to, &Resource::builder_empty().build()).unwrap()
}

fn to(server: &Serving) -> Destination {
    destination(format!("http://{}", server.0), Protocol::Grpc, Tls::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_refuses_of_an_export_is_counted() {
    let server = serve(&Collector { rejects: 2, ..Collector::default() }, None).await;
    let exporters = exporters();
    let to = to(&server);
    exporters.counts.traces.enter(9);
    assert!(spans(&exporters, &to).export(batch(3)).await);
    let it = exporters.counts.traces.totals();
    assert_eq!((it.exported, it.rejected, it.failed), (1, 2, 0), "{it:?}");

    let logs = SdkLoggerProvider::builder().with_simple_exporter(exporters.logs(&to).unwrap());
    let logs = logs.build();
    tokio::task::spawn_blocking(move || {
        let logger = logs.logger("test");
        logger.emit(logger.create_log_record());
    })
    .await
    .unwrap();
    let it = exporters.counts.logs.totals();
    assert_eq!(
        (it.exported, it.rejected, it.failed),
        (0, 1, 0),
        "it cannot refuse two of one: {it:?}"
    );

    let way = exporters.grpc(Signal::Metrics, &to).unwrap();
    exporters.counts.metrics.begin(2);
    way.metrics(ExportMetricsServiceRequest::default()).await.unwrap();
    assert_eq!(exporters.counts.metrics.totals().rejected, 2);
}

/// What became of one span with such a collector, and how often it was asked.
async fn exported(fails: &[Status]) -> (SignalTotals, usize) {
    let collector = Collector { fails: Arc::new(Mutex::new(fails.into())), ..Collector::default() };
    let server = serve(&collector, None).await;
    let exporters = exporters();
    exporters.counts.traces.enter(9);
    spans(&exporters, &to(&server)).export(batch(1)).await;
    (exporters.counts.traces.totals(), collector.calls.load(Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_go_well_next_time_is_exported_again_and_nothing_else() {
    let status = |code| Status::new(code, "no");
    let (it, calls) = exported(&[status(Code::Unavailable)]).await;
    assert_eq!((it.exported, it.failed, it.queued, calls), (1, 0, 0, 2), "{it:?}");
    for code in [Code::InvalidArgument, Code::Unauthenticated, Code::ResourceExhausted] {
        let (it, calls) = exported(&[status(code)]).await;
        assert_eq!((it.exported, it.failed, it.queued, calls), (0, 1, 0, 1), "{code}: {it:?}");
    }
    let soon = std::time::Duration::from_millis(1);
    let details = tonic_types::ErrorDetails::with_retry_info(Some(soon));
    let full = Status::with_error_details(Code::ResourceExhausted, "full", details);
    let (it, calls) = exported(&[full]).await;
    assert_eq!((it.exported, calls), (1, 2), "it says when to come again: {it:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_asks_gets_the_certificate_of_the_client() {
    let all = certificates();
    let server = serve(&Collector::default(), Some(&all)).await;
    let (certificate, key) = &all.client;
    let client =
        ClientIdentity { certificate: certificate.clone().into(), key: key.clone().into() };
    for (client, taken) in [(Some(client), true), (None, false)] {
        let tls = Tls { roots: Some(all.authority.clone().into()), client };
        let mut to = destination(format!("https://{}", server.0), Protocol::Grpc, tls);
        if !taken {
            to.timeout = std::time::Duration::from_secs(1);
        }
        let exporters = exporters();
        exporters.counts.traces.enter(9);
        assert_eq!(spans(&exporters, &to).export(batch(1)).await, taken);
    }
}
