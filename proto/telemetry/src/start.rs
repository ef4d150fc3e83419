//! Starts telemetry, and ends it within a bound.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::{Handle, Runtime};
use windlass_proto::limits;

use crate::acknowledged::Listener;
use crate::batch::LogQueue;
use crate::counts::TelemetryCounts;
use crate::exporter::Exporters;
use crate::push::{MetricPusher, Way};
use crate::resource::resource;
use crate::settings::{Destination, Protocol, Sampler, Settings, Signal};
use crate::span::Spans;
use crate::span_queue::SpanQueue;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Keeps instances and decides on them.
    Coordinator,
    /// Performs tasks.
    Worker,
    /// Both in one.
    Embedded,
}

/// Telemetry cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the exporter of {signal} cannot be made: {reason}")]
pub struct TelemetryError {
    signal: &'static str,
    reason: String,
}

/// Telemetry of a process, running.
#[derive(Debug)]
pub struct Telemetry {
    counts: Arc<TelemetryCounts>,
    resource: Resource,
    sampler: Sampler,
    spans: Option<(Spans, SdkTracerProvider)>,
    logs: Option<SdkLoggerProvider>,
    metrics: Option<(Destination, Duration, bool)>,
    runtime: Handle,
    /// The last to be dropped.
    _apart: Apart,
}

/// A thread that does nothing but export: a collector that keeps whoever hears it busy, keeps no
/// workflow waiting.
#[derive(Debug)]
struct Apart(Option<Runtime>);

impl Apart {
    fn start() -> Result<(Self, Handle), TelemetryError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("telemetry")
            .enable_all()
            .build();
        let failed =
            |it: std::io::Error| TelemetryError { signal: "telemetry", reason: it.to_string() };
        let runtime = runtime.map_err(failed)?;
        let handle = runtime.handle().clone();
        Ok((Self(Some(runtime)), handle))
    }
}

impl Drop for Apart {
    /// Without waiting for what a collector still keeps busy.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Role {
    /// `service.name` unless another is given.
    #[must_use]
    pub fn service(self) -> &'static str {
        match self {
            Self::Coordinator => "windlass-coordinator",
            Self::Worker => "windlass-worker",
            Self::Embedded => "windlass",
        }
    }

    /// `windlass.role`
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Worker => "worker",
            Self::Embedded => "embedded",
        }
    }
}

impl TelemetryError {
    pub(crate) fn exporter(signal: Signal, reason: &dyn fmt::Display) -> Self {
        let signal = match signal {
            Signal::Traces => "spans",
            Signal::Metrics => "metrics",
            Signal::Logs => "log records",
        };
        Self { signal, reason: reason.to_string() }
    }
}

impl Telemetry {
    /// Starts what the settings switch on, on a thread of its own. `environment` is
    /// `deployment.environment.name`.
    ///
    /// # Errors
    /// When an exporter cannot be made of the settings, or the system gives no thread.
    pub fn start(
        settings: &Settings,
        role: Role,
        environment: Option<&str>,
    ) -> Result<Self, TelemetryError> {
        let (apart, runtime) = Apart::start()?;
        let counts = Arc::new(TelemetryCounts::default());
        let resource = resource(settings, role, environment);
        let told = Listener::default();
        for (signal, name, to) in [
            (Signal::Traces, "traces", &settings.traces),
            (Signal::Metrics, "metrics", &settings.metrics),
            (Signal::Logs, "logs", &settings.logs),
        ] {
            if let Some(to) = to {
                signal.counts(&counts).reach.name(name, &to.endpoint);
            }
        }
        let exporters =
            Exporters { runtime: runtime.clone(), counts: counts.clone(), told: told.clone() };
        let spans = settings.traces.as_ref().map(|to| {
            let exporter = exporters.spans(to, &resource)?;
            let (runtime, counts) = (runtime.clone(), counts.clone());
            let queue = SpanQueue::start(exporter, settings.spans, runtime, counts, told.clone());
            let queue = queue.map_err(|it| TelemetryError::exporter(Signal::Traces, &it))?;
            let provider = SdkTracerProvider::builder()
                .with_span_processor(queue.clone())
                .with_resource(resource.clone())
                .build();
            Ok((Spans::new(queue), provider))
        });
        let logs = settings.logs.as_ref().map(|to| {
            let queue = LogQueue::new(exporters.logs(to)?, settings.records, counts.clone());
            let builder = SdkLoggerProvider::builder().with_log_processor(queue);
            Ok(builder.with_resource(resource.clone()).build())
        });
        let metrics = settings.metrics.clone();
        let metrics = metrics.map(|to| (to, settings.metric_interval, settings.explicit_buckets));
        Ok(Self {
            counts,
            resource,
            sampler: settings.sampler,
            spans: spans.transpose()?,
            logs: logs.transpose()?,
            metrics,
            runtime,
            _apart: apart,
        })
    }

    /// What became of everything so far.
    #[must_use]
    pub fn counts(&self) -> Arc<TelemetryCounts> {
        self.counts.clone()
    }

    /// Where spans go whose ids the caller knows; none where traces are off.
    #[must_use]
    pub fn spans(&self) -> Option<Spans> {
        self.spans.as_ref().map(|(spans, _)| spans.clone())
    }

    /// Which traces are recorded.
    #[must_use]
    pub fn sampler(&self) -> Sampler {
        self.sampler
    }

    /// Makes spans by the SDK, into the same queue; none where traces are off.
    #[must_use]
    pub fn tracer_provider(&self) -> Option<SdkTracerProvider> {
        self.spans.as_ref().map(|(_, provider)| provider.clone())
    }

    /// Takes log records; none where logs are off.
    #[must_use]
    pub fn logger_provider(&self) -> Option<SdkLoggerProvider> {
        self.logs.clone()
    }

    /// What pushes metrics, once it has a source; none where metrics are off. To be called on a
    /// runtime.
    ///
    /// # Errors
    /// When a way to the collector cannot be made of the settings.
    pub fn metric_pusher(&self) -> Result<Option<MetricPusher>, TelemetryError> {
        let Some((to, interval, explicit_buckets)) = self.metrics.clone() else { return Ok(None) };
        let (runtime, counts) = (self.runtime.clone(), self.counts.clone());
        let exporters = Exporters { runtime, counts, told: Listener::default() };
        let way = match to.protocol {
            Protocol::Http => Way::Http(Box::new(exporters.client(Signal::Metrics, &to)?)),
            #[cfg(feature = "otlp-grpc")]
            Protocol::Grpc => Way::Grpc(Box::new(exporters.grpc(Signal::Metrics, &to)?)),
        };
        let (resource, counts) = (self.resource.clone(), self.counts.clone());
        Ok(Some(MetricPusher { way, to, interval, explicit_buckets, resource, counts }))
    }

    /// Exports what waits and ends, whatever the collector does: within
    /// [`limits::TELEMETRY_SHUTDOWN_MS`], with the last push of metrics that comes before. Says what
    /// could not be exported.
    pub async fn shutdown(self) {
        let within = limits::TELEMETRY_SHUTDOWN_MS - limits::METRICS_LAST_PUSH_MS;
        let within = Duration::from_millis(within);
        let Self { spans, logs, counts, .. } = self;
        // On threads of their own: each blocks, and neither is to wait for the other. By their
        // providers, which would end them once more when they are dropped.
        let spans = spans.map(|(_, provider)| {
            std::thread::spawn(move || drop(provider.shutdown_with_timeout(within)))
        });
        let logs =
            logs.map(|it| std::thread::spawn(move || drop(it.shutdown_with_timeout(within))));
        let joined = tokio::task::spawn_blocking(move || {
            // A panic in one of them was reported by it.
            [spans, logs].into_iter().flatten().for_each(|it| drop(it.join()));
        });
        let is_done = tokio::time::timeout(within, joined).await.is_ok();
        // Both before anything is said of them, which would be a log record too many.
        let signals = [("spans", &counts.traces), ("log records", &counts.logs)];
        for (what, counts, it) in signals.map(|(what, counts)| (what, counts, counts.totals())) {
            let lost = it.dropped + it.rejected + it.failed + it.queued;
            if lost > 0 || !is_done {
                tracing::warn!(
                    what,
                    endpoint = counts.reach.endpoint(),
                    reason = counts.reach.cause().unwrap_or_default(),
                    dropped = it.dropped,
                    rejected = it.rejected,
                    failed = it.failed,
                    unsent = it.queued,
                    "not all telemetry has reached the collector"
                );
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
