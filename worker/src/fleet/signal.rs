//! When a process is told to end.

use std::future::Future;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Is done at the next SIGTERM or SIGINT. Signals count from the call of this function on; until
/// then, and for a signal the system does not tell of, the process ends at once. Must be called
/// inside a tokio runtime.
pub fn until_signal() -> impl Future<Output = ()> + Send {
    let (terminate, interrupt) =
        (listen(SignalKind::terminate(), "SIGTERM"), listen(SignalKind::interrupt(), "SIGINT"));
    async move {
        tokio::select! {
            () = next(terminate) => {}
            () = next(interrupt) => {}
        }
    }
}

fn listen(kind: SignalKind, name: &str) -> Option<Signal> {
    let listening = signal(kind);
    if let Err(error) = &listening {
        tracing::warn!(%error, "{name} will end the process at once");
    }
    listening.ok()
}

async fn next(signal: Option<Signal>) {
    match signal {
        Some(mut signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}
