//! Ctrl-C and SIGTERM.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Returns at the next SIGINT or SIGTERM that comes after the call: who says that it serves calls
/// this first, as before it such a signal ends the process at once.
pub(crate) fn stop() -> impl Future<Output = ()> + use<> {
    let terminate = signal(SignalKind::terminate());
    let interrupt = signal(SignalKind::interrupt());
    async move {
        tokio::select! {
            () = received(terminate, "SIGTERM") => {}
            () = received(interrupt, "SIGINT") => {}
        }
    }
}

/// The same, and when the terminal is gone: for who has changed it.
pub(crate) fn stop_or_hang_up() -> impl Future<Output = ()> + use<> {
    let (stop, gone) = (stop(), signal(SignalKind::hangup()));
    async move {
        tokio::select! {
            () = stop => {}
            () = received(gone, "SIGHUP") => {}
        }
    }
}

/// Returns at the signal; never when the system refuses to tell.
async fn received(signal: io::Result<Signal>, name: &str) {
    match signal {
        Ok(mut signal) => drop(signal.recv().await),
        Err(error) => {
            tracing::warn!(%error, "{name} will end the process at once");
            std::future::pending::<()>().await;
        }
    }
}
