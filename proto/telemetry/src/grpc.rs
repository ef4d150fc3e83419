//! Exports of metrics over gRPC.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use windlass_proto::limits;

use crate::exporter;
use crate::settings::{Destination, Signal};
use crate::start::TelemetryError;

/// A client of a collector.
pub(crate) struct MetricClient {
    client: MetricsServiceClient<Channel>,
    metadata: MetadataMap,
}

impl MetricClient {
    /// One that connects when it has something to send, and again after that. To be called on a
    /// runtime.
    pub(crate) fn new(to: &Destination) -> Result<Self, TelemetryError> {
        let failed = |it: &dyn std::fmt::Display| TelemetryError::exporter(Signal::Metrics, it);
        let endpoint = Endpoint::from_shared(to.endpoint.clone()).map_err(|it| failed(&it))?;
        let mut endpoint = endpoint.timeout(to.timeout).connect_timeout(to.timeout);
        if let Some(tls) = exporter::grpc::tls(to)? {
            endpoint = endpoint.tls_config(tls).map_err(|it| failed(&it))?;
        }
        let client = MetricsServiceClient::new(endpoint.connect_lazy())
            .max_decoding_message_size(limits::EXPORT_ANSWER_BYTES);
        let client = match to.gzip {
            true => client.send_compressed(CompressionEncoding::Gzip),
            false => client,
        };
        Ok(Self { client, metadata: exporter::grpc::metadata(to)? })
    }

    /// Sends an export; gives how many of its data points were refused.
    pub(crate) async fn export(&self, export: ExportMetricsServiceRequest) -> Result<u64, Status> {
        let mut request = Request::new(export);
        *request.metadata_mut() = self.metadata.clone();
        let answer = self.client.clone().export(request).await?.into_inner();
        let rejected = answer.partial_success.map_or(0, |it| it.rejected_data_points);
        Ok(u64::try_from(rejected).unwrap_or(0))
    }
}
