//! What goes to an OpenTelemetry collector of what this process says: spans of tasks, and log lines
//! as log records.

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;
use windlass_telemetry::Telemetry;
use windlass_telemetry::opentelemetry::trace::TracerProvider as _;
use windlass_worker::TRACE_TARGET;

use super::directives;

/// Says what is exported of the log.
const VARIABLE: &str = "WINDLASS_OTLP_LOG";

/// What is exported unless that says otherwise.
const USUAL: &str = "info";

/// Exports the spans of tasks that workers perform.
pub(super) fn spans<S>(telemetry: &Telemetry) -> Option<impl Layer<S> + Send + Sync + use<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let tracer = telemetry.tracer_provider()?.tracer("windlass-worker");
    let spans = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    // Without events: the log says what happened, and spans say no more than is in the table.
    Some(spans.with_filter(filter_fn(|it| it.is_span() && it.target() == TRACE_TARGET)))
}

/// Exports log lines.
pub(super) fn records<S>(telemetry: &Telemetry) -> Option<impl Layer<S> + Send + Sync + use<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let provider = telemetry.logger_provider()?;
    let chosen = std::env::var(VARIABLE).unwrap_or_default();
    let chosen = if chosen.is_empty() { USUAL } else { &chosen };
    let filter = directives::read(chosen).unwrap_or_else(|error| {
        crate::output::message(&format!("{VARIABLE} is ignored: {error}"));
        EnvFilter::new(USUAL)
    });
    let filter = filter_fn(is_exported).and(filter);
    Some(OpenTelemetryTracingBridge::new(&provider).with_filter(filter))
}

/// What the exporters say themselves would be exported by them, and so on.
fn is_exported(metadata: &Metadata<'_>) -> bool {
    let of_exporters = metadata.target().starts_with("opentelemetry");
    metadata.is_event() && super::is_ours_or_important(metadata) && !of_exporters
}
