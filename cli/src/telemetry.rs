//! Telemetry of a process that lasts: what options and variables say of it, its start and its end.

use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::future::BoxFuture;
use windlass_coordinator::accept::Export;
use windlass_coordinator::coordinator::Coordinator;
use windlass_coordinator::trace::Tracer;
use windlass_proto::metric::Snapshot;
use windlass_proto::metric::table::process;
use windlass_telemetry::{
    AuditRecords, Flags, MetricPush, Role, Settings, Telemetry, TelemetryError,
};
use windlass_worker::Builder;

use crate::code::TELEMETRY_NOT_STARTED;
use crate::error::CliError;
use crate::log::{LogFormat, LogOptions};

/// Where telemetry goes, and how logs are written; the standard variables (`OTEL_*`) say the rest.
#[derive(clap::Args, Clone, Default)]
#[command(next_help_heading = "Telemetry")]
pub(crate) struct TelemetryOptions {
    #[command(flatten)]
    pub(crate) log: LogOptions,
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

/// What is asked for where there are no options.
pub(crate) static NOTHING: TelemetryOptions = TelemetryOptions {
    log: LogOptions { log: None, log_format: LogFormat::Text },
    otlp_endpoint: None,
    otlp_protocol: None,
    trace_ratio: None,
};

/// What is told of a command, and how.
pub(crate) struct Told<'a> {
    /// What the process is.
    pub(crate) role: Role,
    /// What was asked for.
    pub(crate) options: &'a TelemetryOptions,
    /// The environment it works for, where it knows that.
    pub(crate) environment: Option<&'a str>,
}

/// The telemetry of this process, from before its log until all else has ended.
static RUNNING: Mutex<Option<Telemetry>> = Mutex::new(None);

/// Starts what options and variables switch on; nothing for commands of which nothing is told.
/// Before the log, which is exported too.
///
/// # Errors
/// When options or variables make no sense.
pub(crate) fn start(told: Option<Told<'_>>) -> Result<(), CliError> {
    let Some(Told { role, options, environment }) = told else { return Ok(()) };
    let flags = Flags {
        endpoint: options.otlp_endpoint.clone(),
        protocol: options.otlp_protocol.clone(),
        ratio: options.trace_ratio,
    };
    // Headers may be credentials, which are taken out of the environment.
    // What is no text is read as one that is refused, where it means anything.
    let text = |it: OsString| it.to_string_lossy().into_owned();
    let variable = |name: &str| windlass_worker::variable(name).map(text);
    let failed =
        |error: &dyn std::fmt::Display| CliError::coded(&TELEMETRY_NOT_STARTED, &error.to_string());
    let settings = Settings::read(&variable, &flags).map_err(|error| failed(&error))?;
    if !settings.is_off() {
        let started = Telemetry::start(&settings, role, environment);
        *running() = Some(started.map_err(|error| failed(&error))?);
    }
    Ok(())
}

/// What `look` makes of the telemetry of this process; there is none where nothing is switched on.
pub(crate) fn with<T>(look: impl FnOnce(Option<&Telemetry>) -> T) -> T {
    look(running().as_ref())
}

/// Which instances are recorded, and where their spans go; none where traces are off.
pub(crate) fn tracer() -> Option<Tracer> {
    with(|it| Some(Tracer::new(it?.spans()?, it?.sampler())))
}

/// Tells the collector of audit events; none where log records are off.
pub(crate) fn audit_records() -> Option<AuditRecords> {
    with(|it| it?.logger_provider().as_ref().map(AuditRecords::new))
}

/// What a server tells and pushes of telemetry; none where it is off.
///
/// # Errors
/// When there can be no way to the collector.
pub(crate) fn export() -> Result<Option<Export>, CliError> {
    let running = running();
    let Some(telemetry) = &*running else { return Ok(None) };
    let pusher = telemetry.metric_pusher();
    let failed =
        |error: TelemetryError| CliError::coded(&TELEMETRY_NOT_STARTED, &error.to_string());
    Ok(Some(Export { counts: telemetry.counts(), pusher: pusher.map_err(failed)? }))
}

/// Has the metrics of a coordinator pushed that has no API to show them; none where that is off.
///
/// # Errors
/// When there can be no way to the collector.
pub(crate) fn push(coordinator: &Coordinator) -> Result<Option<MetricPush>, CliError> {
    let Some(Export { counts, pusher }) = export()? else { return Ok(None) };
    let Some(pusher) = pusher else { return Ok(None) };
    let (coordinator, began) = (coordinator.clone(), Instant::now());
    let source = move || -> BoxFuture<'static, _> {
        let mut snapshot = Snapshot::default();
        snapshot.labelled(&process::BUILD_INFO, [env!("CARGO_PKG_VERSION")], 1_u64);
        snapshot.add(&process::UPTIME, began.elapsed().as_secs_f64());
        coordinator.measured(&mut snapshot);
        counts.measured(&mut snapshot);
        Box::pin(std::future::ready(snapshot))
    };
    Ok(Some(pusher.start(Arc::new(source))))
}

/// The push of a worker's metrics, once there is one.
#[derive(Clone, Default)]
pub(crate) struct WorkerPush(Arc<Mutex<Option<MetricPush>>>);

impl WorkerPush {
    fn slot(&self) -> MutexGuard<'_, Option<MetricPush>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pushes once more, and ends.
    pub(crate) async fn finish(self) {
        let push = self.slot().take();
        if let Some(push) = push {
            push.finish().await;
        }
    }
}

/// Has the metrics of a worker pushed, and tells among them what became of telemetry; does nothing
/// where that is off.
///
/// # Errors
/// When there can be no way to the collector.
pub(crate) fn observe(builder: Builder) -> Result<(Builder, WorkerPush), CliError> {
    let push = WorkerPush::default();
    let Some(Export { counts, pusher }) = export()? else { return Ok((builder, push)) };
    let builder = builder.measuring(move |snapshot| counts.measured(snapshot));
    let Some(pusher) = pusher else { return Ok((builder, push)) };
    let started = push.clone();
    let builder = builder.observed(move |source| {
        let source = move || -> BoxFuture<'static, _> { Box::pin(std::future::ready(source())) };
        *started.slot() = Some(pusher.start(Arc::new(source)));
    });
    Ok((builder, push))
}

/// Exports what waits, and ends; last of all, within seconds.
pub(crate) async fn end() {
    let ended = running().take();
    if let Some(telemetry) = ended {
        telemetry.shutdown().await;
    }
}

fn running() -> MutexGuard<'static, Option<Telemetry>> {
    // A panic elsewhere cannot leave it half started.
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
