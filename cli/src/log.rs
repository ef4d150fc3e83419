//! Logs: to standard error, filtered by `WINDLASS_LOG`.

use tracing_subscriber::EnvFilter;

/// Starts logging; `WINDLASS_LOG=info` or `windlass_worker=debug` shows more than warnings.
pub(crate) fn start() {
    let directives = std::env::var("WINDLASS_LOG").unwrap_or_default();
    let chosen = if directives.is_empty() { "warn" } else { &directives };
    let filter = EnvFilter::try_new(chosen).unwrap_or_else(|error| {
        crate::output::message(&format!("WINDLASS_LOG is ignored: {error}"));
        EnvFilter::new("warn")
    });
    // An error means that a subscriber is set already, which is as good.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .try_init();
}
