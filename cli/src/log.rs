//! Logs: to standard error, filtered by `WINDLASS_LOG`.

use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

/// What is logged unless `WINDLASS_LOG` says otherwise: warnings, which workers come and go, and
/// what workflows log.
const USUAL: &str = "warn,windlass_coordinator::fleet=info,windlass_worker::perform::function=info";

/// Starts logging; `WINDLASS_LOG=info` or `windlass_worker=debug` shows more than warnings.
pub(crate) fn start() {
    let directives = std::env::var("WINDLASS_LOG").unwrap_or_default();
    let chosen = if directives.is_empty() { USUAL } else { &directives };
    let filter = EnvFilter::try_new(chosen).unwrap_or_else(|error| {
        crate::output::message(&format!("WINDLASS_LOG is ignored: {error}"));
        EnvFilter::new(USUAL)
    });
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // An error means that a subscriber is set already, which is as good.
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(filter_fn(is_ours_or_important))
        .with(lines)
        .try_init();
}

/// Libraries trace headers and frames, and secrets with them: whatever `WINDLASS_LOG` says, they
/// are heard only where they have something to say to everybody.
fn is_ours_or_important(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("windlass") || *metadata.level() <= Level::INFO
}
