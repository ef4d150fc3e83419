//! Waiting for something to become true, always with a deadline.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long a test waits for what should take milliseconds: generous, because a loaded machine is
/// slow; it is spent only when the test fails.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Asks `probe` again and again until it gives something. `what` names it when it never does.
pub(crate) async fn until<T, F, P>(deadline: Duration, what: &str, mut probe: P) -> T
where
    F: Future<Output = Option<T>>,
    P: FnMut() -> F,
{
    let begun = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(15));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Some(found) = probe().await {
            return found;
        }
        assert!(begun.elapsed() < deadline, "{what}: did not happen within {deadline:?}");
    }
}

/// The result of `future`, which must come before `deadline`.
pub(crate) async fn within<T>(
    deadline: Duration,
    what: &str,
    future: impl Future<Output = T>,
) -> T {
    match tokio::time::timeout(deadline, future).await {
        Ok(result) => result,
        Err(_) => panic!("{what}: did not end within {deadline:?}"),
    }
}

/// Returns at a moment chosen by the caller. Not for synchronisation: only to pick a moment for a
/// fault, where any moment is right, or to be slow as a server.
pub(crate) async fn moment(after: Duration) {
    let _ = tokio::time::timeout(after, std::future::pending::<()>()).await;
}
