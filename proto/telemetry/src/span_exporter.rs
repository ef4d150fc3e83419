//! Exports spans, and counts what became of them.

use std::sync::Arc;

use opentelemetry_http::HttpClient as _;

use crate::acknowledged::Listener;
use crate::client::{ExportClient, request};
use crate::counts::TelemetryCounts;
use crate::exporter::counted;
use crate::settings::Destination;
use crate::span_batch::SpanBatch;
use crate::wire::Resource;

/// Exports spans of one resource.
#[derive(Debug)]
pub(crate) struct SpanExporter {
    way: SpanWay,
    resource: Resource,
    counts: Arc<TelemetryCounts>,
    told: Listener,
}

/// A way to export spans.
#[derive(Debug)]
pub(crate) enum SpanWay {
    Http(ExportClient, Destination),
    #[cfg(feature = "otlp-grpc")]
    Grpc(crate::grpc::GrpcWay),
    /// To nobody but a test.
    #[cfg(test)]
    Kept(std::sync::mpsc::Sender<Vec<u8>>),
}

impl SpanWay {
    /// True when they were taken; the way has noted why where they were not.
    async fn send(&self, body: Vec<u8>) -> bool {
        match self {
            Self::Http(client, to) => match request(to, body) {
                Ok(request) => {
                    client.send_bytes(request).await.is_ok_and(|it| it.status().is_success())
                }
                Err(error) => client.unsent(&*error),
            },
            #[cfg(feature = "otlp-grpc")]
            Self::Grpc(way) => way.spans(&body).await.is_ok(),
            #[cfg(test)]
            Self::Kept(to) => to.send(body).is_ok(),
        }
    }
}

impl SpanExporter {
    pub(crate) fn new(
        way: SpanWay,
        resource: Resource,
        counts: Arc<TelemetryCounts>,
        told: Listener,
    ) -> Self {
        Self { way, resource, counts, told }
    }

    /// True when they were taken.
    pub(crate) async fn export(&self, batch: SpanBatch) -> bool {
        let body = batch.request(&self.resource);
        let SpanBatch { items, ids, .. } = batch;
        let exported = async {
            let is_taken = self.way.send(body).await;
            if is_taken {
                self.told.tell(&ids);
            }
            if is_taken { Ok(()) } else { Err(()) }
        };
        counted(&self.counts.traces, items, exported).await.is_ok()
    }
}
