//! Logs: lines on standard error, filtered by `--log`, and by what operators and the configuration
//! file say later.

mod directives;
mod export;
mod format;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};
use windlass_coordinator::log::{BadDirectives, LogControl};
use windlass_telemetry::Telemetry;

pub(crate) use format::{LogFormat, LogOptions};

/// What is logged unless `WINDLASS_LOG` says otherwise: warnings, which workers come and go, that
/// the collector is reached again, and what workflows log.
const USUAL: &str = "warn,windlass_coordinator::fleet=info,windlass_telemetry=info,\
                     windlass_worker::perform::function=info";

/// What changes the filter of this process.
static CONTROL: OnceLock<Arc<Control>> = OnceLock::new();

/// Starts logging, and what telemetry exports of it; `WINDLASS_LOG=info` or
/// `windlass_worker=debug` shows more than warnings.
pub(crate) fn start(options: &LogOptions, telemetry: Option<&Telemetry>) {
    let format = options.log_format;
    crate::output::messages_as_json(format == LogFormat::Json);
    // Commands that end soon have no option for it.
    let variable = || std::env::var("WINDLASS_LOG").unwrap_or_default();
    let directives = options.log.clone().unwrap_or_else(variable);
    let chosen = if directives.is_empty() { USUAL } else { directives.as_str() };
    let read = directives::read(chosen).map(|filter| (filter, chosen));
    let (filter, chosen) = read.unwrap_or_else(|error| {
        crate::output::message(&format!("--log (WINDLASS_LOG) is ignored: {error}"));
        (EnvFilter::new(USUAL), USUAL)
    });
    let (filter, handle) = reload::Layer::new(filter);
    // Lines are of events: what spans say of a task goes to traces.
    let is_line = filter_fn(|it| it.is_event() && is_ours_or_important(it));
    let lines = format::lines(format).with_filter(is_line.and(filter));
    let subscriber = tracing_subscriber::registry()
        .with(lines)
        .with(telemetry.and_then(export::spans))
        .with(telemetry.and_then(export::records));
    // An error means that a subscriber is set already, which is as good.
    if subscriber.try_init().is_ok() {
        let (initial, current) = (Mutex::new(chosen.to_owned()), Mutex::new(chosen.to_owned()));
        // Nobody else sets it.
        let _ = CONTROL.set(Arc::new(Control { handle, initial, current }));
    }
}

/// What is logged where nobody says.
pub(crate) fn usual() -> String {
    USUAL.to_owned()
}

/// Whether directives can be read.
///
/// # Errors
/// When they cannot.
pub(crate) fn check(directives: &str) -> Result<(), BadDirectives> {
    directives::read(directives).map(drop)
}

/// What changes the logs of this process.
pub(crate) fn control() -> Option<Arc<dyn LogControl>> {
    CONTROL.get().map(|it| Arc::clone(it) as Arc<dyn LogControl>)
}

/// Libraries trace headers and frames, and secrets with them: whatever anybody asks for, they are
/// heard only where they have something to say to everybody.
fn is_ours_or_important(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("windlass") || *metadata.level() <= Level::INFO
}

/// The filter of this process, which can be replaced.
#[derive(Debug)]
struct Control {
    handle: reload::Handle<EnvFilter, Registry>,
    initial: Mutex<String>,
    current: Mutex<String>,
}

impl LogControl for Control {
    fn current(&self) -> String {
        // A panic elsewhere cannot leave a text half changed.
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn initial(&self) -> String {
        self.initial.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn check(&self, directives: &str) -> Result<(), BadDirectives> {
        check(directives)
    }

    fn set(&self, directives: &str) -> Result<(), BadDirectives> {
        let filter = directives::read(directives)?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        self.handle.reload(filter).map_err(|_| BadDirectives::Fixed)?;
        directives.clone_into(&mut current);
        Ok(())
    }

    fn begin(&self, directives: &str) -> Result<(), BadDirectives> {
        self.set(directives)?;
        let mut initial = self.initial.lock().unwrap_or_else(PoisonError::into_inner);
        directives.clone_into(&mut initial);
        Ok(())
    }
}
