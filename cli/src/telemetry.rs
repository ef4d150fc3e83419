//! Telemetry of a process that serves: what options and variables say of it, its start and its end.

use tokio::runtime::Handle;
use windlass_coordinator::trace::Tracer;
use windlass_telemetry::{Flags, Role, Settings, Telemetry};

use crate::code::TELEMETRY_NOT_STARTED;
use crate::error::CliError;

/// Where telemetry goes; the standard variables (`OTEL_*`) say the rest.
#[derive(clap::Args, Clone, Default)]
#[command(next_help_heading = "Telemetry")]
pub(crate) struct TelemetryArgs {
    /// Send traces, metrics and logs to this OpenTelemetry collector; off unless this or
    /// OTEL_EXPORTER_OTLP_ENDPOINT names one. OTEL_* variables say more: see docs/telemetry.md
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// What the collector is spoken to with: http/protobuf or grpc [default: http/protobuf]
    #[arg(long, value_name = "PROTOCOL")]
    otlp_protocol: Option<String>,
    /// The share of instances whose traces are recorded, 0 to 1, where no caller has decided it;
    /// those that fault are told in any case [default: 1]
    #[arg(long, value_name = "SHARE")]
    trace_ratio: Option<f64>,
}

impl TelemetryArgs {
    /// Starts telemetry; none where nothing is switched on. Within a runtime.
    ///
    /// # Errors
    /// When options or variables make no sense.
    pub(crate) fn start(
        self,
        role: Role,
        environment: Option<&str>,
    ) -> Result<Option<Telemetry>, CliError> {
        let Self { otlp_endpoint, otlp_protocol, trace_ratio } = self;
        let flags = Flags { endpoint: otlp_endpoint, protocol: otlp_protocol, ratio: trace_ratio };
        // Headers may be credentials, which are taken out of the environment.
        let variable = |name: &str| windlass_worker::variable(name)?.into_string().ok();
        let failed = |error: &dyn std::fmt::Display| {
            CliError::coded(&TELEMETRY_NOT_STARTED, &error.to_string())
        };
        let settings = Settings::read(&variable, &flags).map_err(|error| failed(&error))?;
        if settings.is_off() {
            return Ok(None);
        }
        let started = Telemetry::start(&settings, role, environment, &Handle::current());
        started.map(Some).map_err(|error| failed(&error))
    }
}

/// Which instances are recorded, and where their spans go; none where traces are off.
pub(crate) fn tracer(telemetry: Option<&Telemetry>) -> Option<Tracer> {
    let telemetry = telemetry?;
    Some(Tracer::new(telemetry.spans()?, telemetry.sampler()))
}

/// Exports what waits, and ends; last of all, within seconds.
pub(crate) async fn end(telemetry: Option<Telemetry>) {
    if let Some(telemetry) = telemetry {
        telemetry.shutdown().await;
    }
}
