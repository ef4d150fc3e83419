//! Exports over gRPC, by clients of our own: the SDK's exporters take for success what a collector
//! has refused of an export.

mod exporters;
mod retry;

pub(crate) use exporters::GrpcLogs;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use tokio::runtime::Handle;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{AsciiMetadataValue, MetadataKey, MetadataMap};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use windlass_proto::limits;

use crate::counts::TelemetryCounts;
use crate::keep;
use crate::reach::{Cause, whole};
use crate::settings::{Destination, Signal};
use crate::start::TelemetryError;

/// A way to a collector. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct GrpcWay {
    endpoint: Arc<Endpoint>,
    /// Replaced when it has not answered in time: a connection whose other end is gone, or one
    /// that never came about, would be waited for by all that come after.
    channel: Arc<Mutex<Channel>>,
    metadata: MetadataMap,
    timeout: Duration,
    gzip: bool,
    signal: Signal,
    counts: Arc<TelemetryCounts>,
    runtime: Handle,
}

/// Sends a request by a client of its service, until it is taken or the time is over, and counts
/// what of it was refused. All services have the same methods and no trait in common.
macro_rules! send {
    ($way:expr, $client:ident, $request:expr, $rejected:ident) => {{
        let (way, request) = ($way.clone(), $request);
        // Exporters run on threads without a reactor.
        let sent = $way.runtime.spawn(async move {
            let send = async || {
                let client = $client::new(way.channel())
                    .max_decoding_message_size(limits::EXPORT_ANSWER_BYTES);
                let client = match way.gzip {
                    true => client.send_compressed(CompressionEncoding::Gzip),
                    false => client,
                };
                let sent = retry::until_taken(way.timeout, || {
                    let (mut client, request) = (client.clone(), way.request(request.clone()));
                    async move { client.export(request).await }
                })
                .await;
                if sent.as_ref().is_err_and(|it| it.code() == Code::DeadlineExceeded) {
                    way.connect_anew();
                }
                sent
            };
            let failed = |sent: &Result<_, Status>| sent.as_ref().err().map(cause);
            keep::until_taken(way.signal, &way.counts, send, failed).await
        });
        let answer = sent.await.map_err(|it| Status::internal(it.to_string()))??;
        if let Some(partial) = answer.into_inner().partial_success {
            let items = u64::try_from(partial.$rejected).unwrap_or(0);
            $way.signal.counts(&$way.counts).reject(items, &partial.error_message);
        }
        Ok(())
    }};
}

impl GrpcWay {
    /// One that connects when there is something to send, and again after that.
    pub(crate) fn new(
        signal: Signal,
        to: &Destination,
        runtime: Handle,
        counts: Arc<TelemetryCounts>,
    ) -> Result<Self, TelemetryError> {
        let failed = |it: &dyn std::error::Error| TelemetryError::exporter(signal, &whole(it));
        // An error means that the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let endpoint = Endpoint::from_shared(to.endpoint.clone()).map_err(|it| failed(&it))?;
        let mut endpoint = endpoint.connect_timeout(to.timeout);
        if let Some(tls) = tls(to) {
            endpoint = endpoint.tls_config(tls).map_err(|it| failed(&it))?;
        }
        let inside = runtime.enter();
        let channel = endpoint.connect_lazy();
        drop(inside);
        let (endpoint, channel) = (Arc::new(endpoint), Arc::new(Mutex::new(channel)));
        let (metadata, timeout, gzip) = (metadata(signal, to)?, to.timeout, to.gzip);
        Ok(Self { endpoint, channel, metadata, timeout, gzip, signal, counts, runtime })
    }

    fn channel(&self) -> Channel {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Leaves the connection there is. Must be called inside the runtime.
    fn connect_anew(&self) {
        let anew = self.endpoint.connect_lazy();
        *self.channel.lock().unwrap_or_else(PoisonError::into_inner) = anew;
    }

    /// Sends metrics; what of them was refused is counted.
    pub(crate) async fn metrics(&self, request: ExportMetricsServiceRequest) -> Result<(), Status> {
        send!(self, MetricsServiceClient, request, rejected_data_points)
    }

    /// Sends spans that are written already.
    pub(crate) async fn spans(&self, written: &[u8]) -> Result<(), Status> {
        // The generated client takes nothing else.
        let request = ExportTraceServiceRequest::decode(written);
        let request = request.map_err(|error| Status::internal(error.to_string()))?;
        send!(self, TraceServiceClient, request, rejected_spans)
    }

    async fn logs(&self, request: ExportLogsServiceRequest) -> Result<(), Status> {
        send!(self, LogsServiceClient, request, rejected_log_records)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        request
    }
}

/// Why a request failed: what the collector says, or what kept it from being asked.
fn cause(status: &Status) -> Cause {
    let wait = retry::may_retry(status);
    let is_passing = wait.is_some();
    let reason = match std::error::Error::source(status) {
        Some(source) => whole(source),
        None => format!("the collector answered {:?}: {}", status.code(), status.message()),
    };
    Cause { reason, is_passing, after: wait.filter(|it| !it.is_zero()) }
}

fn metadata(signal: Signal, to: &Destination) -> Result<MetadataMap, TelemetryError> {
    let mut metadata = MetadataMap::new();
    for (name, value) in to.headers.iter() {
        let name = MetadataKey::from_bytes(name.to_ascii_lowercase().as_bytes());
        let (Ok(name), Ok(mut value)) = (name, value.parse::<AsciiMetadataValue>()) else {
            let text = "a header has a name or a value that gRPC does not take";
            return Err(TelemetryError::exporter(signal, &text));
        };
        // It may be a credential, which nothing shows then.
        value.set_sensitive(true);
        metadata.insert(name, value);
    }
    Ok(metadata)
}

fn tls(to: &Destination) -> Option<ClientTlsConfig> {
    let scheme = to.endpoint.split_once(':')?.0;
    if !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let tls = match &to.tls.roots {
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    // Without it a handshake has no end.
    let tls = tls.timeout(to.timeout);
    Some(match &to.tls.client {
        Some(it) => tls.identity(Identity::from_pem(&it.certificate, &it.key)),
        None => tls,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
