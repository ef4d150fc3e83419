//! SIGHUP: look at once at the files that are looked at every few seconds anyway.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

static HEARD: Notify = Notify::const_new();

/// Listens from now on; before, and where nobody calls this, the signal ends the process, as
/// whoever closes a terminal expects. To be called within a runtime, whose end ends it.
pub fn listen() {
    match signal(SignalKind::hangup()) {
        Ok(mut signal) => {
            tokio::spawn(async move {
                while signal.recv().await.is_some() {
                    tracing::info!("SIGHUP: certificates, access and configuration are looked at");
                    HEARD.notify_waiters();
                }
            });
        }
        Err(error) => tracing::warn!(%error, "SIGHUP will end the process"),
    }
}

/// Returns at the next signal.
pub async fn heard() {
    HEARD.notified().await;
}
