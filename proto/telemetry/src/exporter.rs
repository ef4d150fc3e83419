//! OTLP exporters of all signals, over HTTP or gRPC, which count what became of what they sent.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::{Compression, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use tokio::runtime::Handle;

use crate::acknowledged::Listener;
use crate::client::ExportClient;
use crate::counts::{SignalCounts, TelemetryCounts};
use crate::settings::{Destination, Protocol, Signal};
use crate::span_exporter::{SpanExporter, SpanWay};
use crate::start::TelemetryError;

/// An exporter of log records that counts.
#[derive(Debug)]
pub(crate) struct CountedExporter<E> {
    exporter: E,
    counts: Arc<TelemetryCounts>,
}

/// What exporters are made with.
pub(crate) struct Exporters {
    pub(crate) runtime: Handle,
    pub(crate) counts: Arc<TelemetryCounts>,
    pub(crate) told: Listener,
}

/// A way to export log records.
#[derive(Debug)]
pub(crate) enum LogWay {
    Http(opentelemetry_otlp::LogExporter),
    #[cfg(feature = "otlp-grpc")]
    Grpc(crate::grpc::GrpcLogs),
}

impl Exporters {
    /// Exports spans of `resource`.
    pub(crate) fn spans(
        &self,
        to: &Destination,
        resource: &Resource,
    ) -> Result<SpanExporter, TelemetryError> {
        let way = match to.protocol {
            Protocol::Http => SpanWay::Http(self.client(Signal::Traces, to)?, to.clone()),
            #[cfg(feature = "otlp-grpc")]
            Protocol::Grpc => SpanWay::Grpc(self.grpc(Signal::Traces, to)?),
        };
        let (counts, told) = (self.counts.clone(), self.told.clone());
        Ok(SpanExporter::new(way, resource.into(), counts, told))
    }

    pub(crate) fn logs(&self, to: &Destination) -> Result<CountedExporter<LogWay>, TelemetryError> {
        let exporter = match to.protocol {
            Protocol::Http => LogWay::Http(self.logs_over_http(to)?),
            #[cfg(feature = "otlp-grpc")]
            Protocol::Grpc => {
                LogWay::Grpc(crate::grpc::GrpcLogs::new(self.grpc(Signal::Logs, to)?))
            }
        };
        Ok(self.counted(exporter))
    }

    fn logs_over_http(
        &self,
        to: &Destination,
    ) -> Result<opentelemetry_otlp::LogExporter, TelemetryError> {
        let headers = to.headers.iter().cloned().collect();
        let builder = opentelemetry_otlp::LogExporter::builder()
            .with_http()
            .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
            .with_endpoint(to.endpoint.as_str())
            .with_timeout(to.timeout)
            .with_headers(headers)
            .with_http_client(self.client(Signal::Logs, to)?);
        let builder = match to.gzip {
            true => builder.with_compression(Compression::Gzip),
            false => builder,
        };
        builder.build().map_err(|error| TelemetryError::exporter(Signal::Logs, &error))
    }

    pub(crate) fn client(
        &self,
        signal: Signal,
        to: &Destination,
    ) -> Result<ExportClient, TelemetryError> {
        ExportClient::new(signal, to, self.runtime.clone(), self.counts.clone())
            .map_err(|error| TelemetryError::exporter(signal, &error))
    }

    #[cfg(feature = "otlp-grpc")]
    pub(crate) fn grpc(
        &self,
        signal: Signal,
        to: &Destination,
    ) -> Result<crate::grpc::GrpcWay, TelemetryError> {
        crate::grpc::GrpcWay::new(signal, to, self.runtime.clone(), self.counts.clone())
    }

    fn counted<E>(&self, exporter: E) -> CountedExporter<E> {
        CountedExporter { exporter, counts: self.counts.clone() }
    }
}

impl LogExporter for LogWay {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        match self {
            Self::Http(exporter) => exporter.export(batch).await,
            #[cfg(feature = "otlp-grpc")]
            Self::Grpc(exporter) => exporter.export(batch).await,
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        match self {
            Self::Http(exporter) => exporter.shutdown_with_timeout(timeout),
            #[cfg(feature = "otlp-grpc")]
            Self::Grpc(exporter) => exporter.shutdown_with_timeout(timeout),
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        match self {
            Self::Http(exporter) => exporter.set_resource(resource),
            #[cfg(feature = "otlp-grpc")]
            Self::Grpc(exporter) => exporter.set_resource(resource),
        }
    }
}

/// Counts what becomes of so many items that are exported; of a signal there is one export at a
/// time, so what was refused meanwhile was of this one.
pub(crate) async fn counted<E>(
    counts: &SignalCounts,
    items: u64,
    export: impl Future<Output = Result<(), E>>,
) -> Result<(), E> {
    let before = counts.totals().rejected;
    counts.begin(items);
    let result = export.await;
    let rejected = counts.totals().rejected - before;
    counts.settle(items.saturating_sub(rejected), result.is_ok());
    counts.reach.settle(result.is_ok());
    counts.leave(items);
    result
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
