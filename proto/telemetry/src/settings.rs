//! What the standard variables and the options say: where telemetry goes, and how much of it.

mod destination;
mod sampler;
mod text;
mod tls;

use std::time::Duration;

pub use destination::{Destination, Headers, Protocol, Signal};
pub use sampler::{Root, Sampler};
use text::Variables;
pub use tls::{ClientIdentity, Tls};
use windlass_proto::limits;

/// What telemetry leaves this process, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where spans go; none sends none.
    pub traces: Option<Destination>,
    /// Where metrics go; none sends none.
    pub metrics: Option<Destination>,
    /// Where log records go; none sends none.
    pub logs: Option<Destination>,
    /// Which traces are recorded.
    pub sampler: Sampler,
    /// `service.name`, where one is given.
    pub service_name: Option<String>,
    /// Attributes of the resource.
    pub attributes: Vec<(String, String)>,
    /// How often metrics are sent.
    pub metric_interval: Duration,
    /// Whether histograms have the buckets that Prometheus is told, in place of exponential ones.
    pub explicit_buckets: bool,
    pub(crate) spans: Batching,
    pub(crate) records: Batching,
}

/// How spans or log records wait for their export.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batching {
    /// How many may wait.
    pub(crate) queue: usize,
    /// How many are sent at once.
    pub(crate) export: usize,
    /// How long fewer of them wait.
    pub(crate) delay: Duration,
}

/// What options of the command line say; they win over the variables.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// In place of `OTEL_EXPORTER_OTLP_ENDPOINT` and those of each signal.
    pub endpoint: Option<String>,
    /// In place of `OTEL_EXPORTER_OTLP_PROTOCOL` and those of each signal.
    pub protocol: Option<String>,
    /// Of traces that no caller has decided on, this share is recorded, 0 to 1.
    pub ratio: Option<f64>,
}

/// A variable that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {reason}")]
pub struct SettingsError {
    /// Its name, or that of the option.
    pub variable: String,
    /// What is wrong, and what to write. Never the value: it may hold a credential.
    pub reason: String,
}

impl Settings {
    /// Reads the variables by `variable`, empty ones as if they were not set. Everything is off
    /// unless they or the flags name an endpoint.
    ///
    /// # Errors
    /// For a variable that cannot be used, unless nothing is switched on.
    pub fn read(
        variable: &dyn Fn(&str) -> Option<String>,
        flags: &Flags,
    ) -> Result<Self, SettingsError> {
        let variables = Variables(variable);
        let is_disabled =
            variables.get("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"));
        if is_disabled {
            return Ok(Self::off());
        }
        let of = |signal| Destination::read(&variables, signal, flags);
        let (traces, metrics, logs) =
            (of(Signal::Traces)?, of(Signal::Metrics)?, of(Signal::Logs)?);
        if traces.is_none() && metrics.is_none() && logs.is_none() {
            return Ok(Self::off());
        }
        check_fixed(&variables)?;
        let interval = variables
            .milliseconds("OTEL_METRIC_EXPORT_INTERVAL", limits::METRIC_EXPORT_INTERVAL_MS);
        Ok(Self {
            sampler: Sampler::read(&variables, flags)?,
            // A sampler that takes nothing at all needs no exporter.
            traces,
            metrics,
            logs,
            service_name: variables.get("OTEL_SERVICE_NAME"),
            attributes: text::pairs(&variables, "OTEL_RESOURCE_ATTRIBUTES")?,
            metric_interval: interval?,
            explicit_buckets: explicit_buckets(&variables)?,
            spans: Batching::read(&variables, "OTEL_BSP", limits::SPANS_QUEUED)?,
            records: Batching::read(&variables, "OTEL_BLRP", limits::LOGS_QUEUED)?,
        })
    }

    /// Settings that send nothing.
    #[must_use]
    pub fn off() -> Self {
        let batching = |queue| Batching {
            queue,
            export: limits::EXPORT_BATCH,
            delay: Duration::from_millis(limits::EXPORT_DELAY_MS),
        };
        Self {
            traces: None,
            metrics: None,
            logs: None,
            sampler: Sampler::default(),
            service_name: None,
            attributes: Vec::new(),
            metric_interval: Duration::from_millis(limits::METRIC_EXPORT_INTERVAL_MS),
            explicit_buckets: false,
            spans: batching(limits::SPANS_QUEUED),
            records: batching(limits::LOGS_QUEUED),
        }
    }

    /// True when nothing is sent.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.traces.is_none() && self.metrics.is_none() && self.logs.is_none()
    }
}

/// Says how histograms are exported.
const AGGREGATION: &str = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";

fn explicit_buckets(variables: &Variables) -> Result<bool, SettingsError> {
    match variables.get(AGGREGATION).as_deref() {
        None | Some("base2_exponential_bucket_histogram") => Ok(false),
        Some("explicit_bucket_histogram") => Ok(true),
        Some(_) => Err(text::error(
            AGGREGATION,
            "write explicit_bucket_histogram or base2_exponential_bucket_histogram",
        )),
    }
}

/// Standard variables that ask for what is not done here, with what is done.
const FIXED: [(&str, &str, &str); 2] = [
    (
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "cumulative",
        "metrics are cumulative; a collector can make deltas of them",
    ),
    ("OTEL_PROPAGATORS", "tracecontext", "W3C Trace Context is what goes in and out"),
];

/// Refuses what would be passed over in silence.
fn check_fixed(variables: &Variables) -> Result<(), SettingsError> {
    for (name, value, reason) in FIXED {
        // Baggage goes nowhere, and is among the usual propagators.
        let fits =
            |text: &str| text.split(',').map(str::trim).all(|it| it == value || it == "baggage");
        if variables.get(name).is_some_and(|it| !fits(&it)) {
            return Err(text::error(name, &format!("write {value}, or nothing: {reason}")));
        }
    }
    Ok(())
}

impl Batching {
    fn read(variables: &Variables, prefix: &str, queue: usize) -> Result<Self, SettingsError> {
        let name = |of: &str| format!("{prefix}_{of}");
        let queue = variables.count(&name("MAX_QUEUE_SIZE"), queue)?;
        let export = variables.count(&name("MAX_EXPORT_BATCH_SIZE"), limits::EXPORT_BATCH)?;
        let delay = variables.milliseconds(&name("SCHEDULE_DELAY"), limits::EXPORT_DELAY_MS)?;
        Ok(Self { queue, export: export.min(queue), delay })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
