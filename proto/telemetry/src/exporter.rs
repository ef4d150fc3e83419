//! OTLP exporters of all signals, over HTTP or gRPC, which count what became of what they sent.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::{
    Compression, ExporterBuildError, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use reqwest::Certificate;
use tokio::runtime::Handle;

use crate::acknowledged::Listener;
use crate::client::ExportClient;
use crate::counts::{SignalCounts, TelemetryCounts};
use crate::settings::{Destination, Protocol, Signal};
use crate::start::TelemetryError;

/// An exporter of one signal that counts.
#[derive(Debug)]
pub(crate) struct CountedExporter<E> {
    exporter: E,
    counts: Arc<TelemetryCounts>,
    told: Listener,
}

/// What exporters are made with.
pub(crate) struct Exporters {
    pub(crate) runtime: Handle,
    pub(crate) counts: Arc<TelemetryCounts>,
    pub(crate) told: Listener,
}

/// The builders of all signals have the same methods and no trait in common.
macro_rules! build {
    ($self:ident, $builder:expr, $signal:expr, $to:expr) => {{
        let (signal, to) = ($signal, $to);
        let exporter = match to.protocol {
            Protocol::Http => {
                let client = $self.client(signal, to)?;
                let headers = to.headers.iter().cloned().collect();
                let builder = $builder
                    .with_http()
                    .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
                    .with_endpoint(to.endpoint.as_str())
                    .with_timeout(to.timeout)
                    .with_headers(headers)
                    .with_http_client(client);
                let builder = match to.gzip {
                    true => builder.with_compression(Compression::Gzip),
                    false => builder,
                };
                builder.build()
            }
            #[cfg(feature = "otlp-grpc")]
            Protocol::Grpc => {
                use opentelemetry_otlp::WithTonicConfig as _;
                let _inside = $self.runtime.enter();
                let builder = $builder
                    .with_tonic()
                    .with_endpoint(to.endpoint.as_str())
                    .with_timeout(to.timeout)
                    .with_metadata(crate::exporter::grpc::metadata(to)?);
                let builder = match crate::exporter::grpc::tls(to)? {
                    Some(tls) => builder.with_tls_config(tls),
                    None => builder,
                };
                let builder = match to.gzip {
                    true => builder.with_compression(Compression::Gzip),
                    false => builder,
                };
                builder.build()
            }
        };
        let failed = |error: ExporterBuildError| TelemetryError::exporter(signal, &error);
        let (counts, told) = ($self.counts.clone(), $self.told.clone());
        CountedExporter { exporter: exporter.map_err(failed)?, counts, told }
    }};
}

impl Exporters {
    pub(crate) fn spans(
        &self,
        to: &Destination,
    ) -> Result<CountedExporter<opentelemetry_otlp::SpanExporter>, TelemetryError> {
        Ok(build!(self, opentelemetry_otlp::SpanExporter::builder(), Signal::Traces, to))
    }

    pub(crate) fn logs(
        &self,
        to: &Destination,
    ) -> Result<CountedExporter<opentelemetry_otlp::LogExporter>, TelemetryError> {
        Ok(build!(self, opentelemetry_otlp::LogExporter::builder(), Signal::Logs, to))
    }

    pub(crate) fn client(
        &self,
        signal: Signal,
        to: &Destination,
    ) -> Result<ExportClient, TelemetryError> {
        let roots = match &to.certificate {
            None => Vec::new(),
            Some(pem) => Certificate::from_pem_bundle(pem)
                .map_err(|error| TelemetryError::exporter(signal, &error))?,
        };
        let (runtime, counts) = (self.runtime.clone(), self.counts.clone());
        ExportClient::new(signal, to.timeout, roots, runtime, counts)
            .map_err(|error| TelemetryError::exporter(signal, &error))
    }
}

/// What gRPC has its own words for.
#[cfg(feature = "otlp-grpc")]
pub(crate) mod grpc {
    use tonic::metadata::{MetadataKey, MetadataMap};
    use tonic::transport::{Certificate, ClientTlsConfig};

    use super::{Destination, Signal, TelemetryError};

    pub(crate) fn metadata(to: &Destination) -> Result<MetadataMap, TelemetryError> {
        let mut metadata = MetadataMap::new();
        for (name, value) in to.headers.iter() {
            let name = MetadataKey::from_bytes(name.to_ascii_lowercase().as_bytes());
            let (Ok(name), Ok(value)) = (name, value.parse()) else {
                let text = "a header has characters that none may have";
                return Err(TelemetryError::exporter(Signal::Traces, &text));
            };
            metadata.insert(name, value);
        }
        Ok(metadata)
    }

    pub(crate) fn tls(to: &Destination) -> Result<Option<ClientTlsConfig>, TelemetryError> {
        if !to.endpoint.starts_with("https:") {
            return Ok(None);
        }
        let tls = ClientTlsConfig::new();
        Ok(Some(match &to.certificate {
            Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
            None => tls.with_native_roots(),
        }))
    }
}

/// Counts what becomes of so many items that are exported; of a signal there is one export at a
/// time, so what was refused meanwhile was of this one.
async fn counted(
    counts: &SignalCounts,
    items: u64,
    export: impl Future<Output = OTelSdkResult>,
) -> OTelSdkResult {
    let before = counts.totals().rejected;
    let result = export.await;
    let rejected = counts.totals().rejected - before;
    counts.settle(items.saturating_sub(rejected), result.is_ok());
    counts.leave(items);
    result
}

impl<E: SpanExporter> SpanExporter for CountedExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (items, ids) = (batch.len() as u64, self.told.ids(&batch));
        let exported = async {
            let result = self.exporter.export(batch).await;
            if result.is_ok() {
                self.told.tell(&ids);
            }
            result
        };
        counted(&self.counts.traces, items, exported).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for CountedExporter<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let items = batch.iter().count() as u64;
        counted(&self.counts.logs, items, self.exporter.export(batch)).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
