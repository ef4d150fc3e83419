//! Pushes metrics to a collector, at intervals and once more at the end.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use opentelemetry_http::HttpClient as _;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use prost::Message as _;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use windlass_proto::limits;
use windlass_proto::metric::Snapshot;

use crate::client::{ExportClient, request};
use crate::counts::TelemetryCounts;
use crate::otlp::Sender;
use crate::reach::Cause;
use crate::settings::Destination;

/// Where metrics come from.
pub type MetricSource = Arc<dyn Fn() -> BoxFuture<'static, Snapshot> + Send + Sync>;

/// Metrics on their way; they end when this is dropped.
#[derive(Debug)]
pub struct MetricPush {
    stop: oneshot::Sender<()>,
    pushing: JoinHandle<()>,
}

/// How exports reach a collector.
pub(crate) enum Way {
    /// OTLP over HTTP.
    Http(Box<ExportClient>),
    /// OTLP over gRPC.
    #[cfg(feature = "otlp-grpc")]
    Grpc(Box<crate::grpc::GrpcWay>),
}

/// Pushes metrics, once it has a source of them.
pub struct MetricPusher {
    pub(crate) way: Way,
    pub(crate) to: Destination,
    pub(crate) interval: Duration,
    pub(crate) explicit_buckets: bool,
    pub(crate) resource: opentelemetry_sdk::Resource,
    pub(crate) counts: Arc<TelemetryCounts>,
}

impl MetricPush {
    /// Pushes once more, and ends, within [`limits::METRICS_LAST_PUSH_MS`]: the process waits for
    /// it.
    pub async fn finish(self) {
        drop(self.stop);
        let late = self.pushing.abort_handle();
        let within = Duration::from_millis(limits::METRICS_LAST_PUSH_MS);
        // A panic there was reported by it.
        if tokio::time::timeout(within, self.pushing).await.is_err() {
            late.abort();
        }
    }
}

impl fmt::Debug for MetricPusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricPusher").field("to", &self.to).finish_non_exhaustive()
    }
}

impl MetricPusher {
    /// Pushes what `source` tells of, from now on. To be called on a runtime.
    #[must_use]
    pub fn start(self, source: MetricSource) -> MetricPush {
        let (stop, stopped) = oneshot::channel();
        let pushing = tokio::spawn(self.run(source, stopped));
        MetricPush { stop, pushing }
    }

    async fn run(self, source: MetricSource, mut stopped: oneshot::Receiver<()>) {
        let resource = Resource {
            attributes: ResourceAttributesWithSchema::from(&self.resource).attributes.0,
            ..Resource::default()
        };
        let sender = Sender::new(resource, SystemTime::now(), self.explicit_buckets);
        let mut ticks = tokio::time::interval(self.interval);
        // An export that takes long delays the next one: there is never more than one.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut goes_on = true;
        // The first tick is at once, when there is nothing to tell.
        ticks.tick().await;
        while goes_on {
            goes_on = tokio::select! {
                _ = ticks.tick() => true,
                // Its end is dropped, whether in order or not.
                _ = &mut stopped => false,
            };
            let snapshot = source().await;
            let points = snapshot.entries().iter().map(|it| it.samples.len() as u64).sum();
            self.counts.metrics.begin(points);
            let export = sender.export(&snapshot, SystemTime::now());
            let sent = tokio::time::timeout(self.to.timeout, self.send(export)).await;
            let is_ok = sent.unwrap_or_else(|_| {
                let late = Cause::passing("no answer in time".to_owned());
                self.counts.metrics.reach.failed(late);
                false
            });
            self.counts.metrics.settle(1, is_ok);
            self.counts.metrics.reach.settle(is_ok);
        }
    }

    /// True when they were taken; the way has noted why where they were not.
    async fn send(&self, export: ExportMetricsServiceRequest) -> bool {
        match &self.way {
            Way::Http(client) => match request(&self.to, export.encode_to_vec()) {
                Ok(request) => {
                    client.send_bytes(request).await.is_ok_and(|it| it.status().is_success())
                }
                Err(error) => client.unsent(&*error),
            },
            #[cfg(feature = "otlp-grpc")]
            Way::Grpc(way) => way.metrics(export).await.is_ok(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
