//! Spans, as the SDK hands them over, on their way over HTTP.

use opentelemetry_http::HttpClient as _;
use opentelemetry_proto::tonic::resource::v1::Resource as WireResource;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prost::Message as _;

use crate::client::{ExportClient, request};
use crate::settings::Destination;
use crate::wire;

/// Exports spans.
#[derive(Debug)]
pub(crate) struct HttpSpans {
    client: ExportClient,
    to: Destination,
    /// The resource, written once.
    resource: Vec<u8>,
    schema_url: String,
}

impl HttpSpans {
    pub(crate) fn new(client: ExportClient, to: &Destination) -> Self {
        Self { client, to: to.clone(), resource: Vec::new(), schema_url: String::new() }
    }
}

impl SpanExporter for HttpSpans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let body = wire::request(&batch, &self.resource, &self.schema_url);
        // A collector that is away keeps what is written, and no more.
        drop(batch);
        let failed = |reason: String| Err(OTelSdkError::InternalFailure(reason));
        let request = match request(&self.to, body) {
            Ok(request) => request,
            Err(error) => return failed(error.to_string()),
        };
        match self.client.send_bytes(request).await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => failed(format!("the collector answers {}", answer.status())),
            Err(error) => failed(error.to_string()),
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        let ResourceAttributesWithSchema { attributes, schema_url, .. } = resource.into();
        let resource = WireResource { attributes: attributes.0, ..WireResource::default() };
        (self.resource, self.schema_url) =
            (resource.encode_to_vec(), schema_url.unwrap_or_default());
    }
}
