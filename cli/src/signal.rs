//! Ctrl-C and SIGTERM.

use tokio::signal::unix::{SignalKind, signal};

/// Returns at the next SIGINT or SIGTERM. Create it early: signals before the first poll are lost.
pub(crate) async fn stop() {
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::warn!(%error, "SIGTERM will end the process at once");
            return interrupt().await;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        () = interrupt() => {}
    }
}

/// Returns at the next SIGINT; never when the system refuses to tell.
async fn interrupt() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "SIGINT will end the process at once");
        std::future::pending::<()>().await;
    }
}
