//! Sends again what no collector takes for now, for as long as what comes after it has room.

use std::time::Duration;

use windlass_proto::limits;

use crate::counts::TelemetryCounts;
use crate::reach::Cause;
use crate::settings::Signal;

/// Sends an export of `signal` until a collector has taken it, or it is not kept any more: `failed`
/// says why one was not taken, and nothing of one that was.
pub(crate) async fn until_taken<T, F: Future<Output = T>>(
    signal: Signal,
    counts: &TelemetryCounts,
    mut send: impl FnMut() -> F,
    failed: impl Fn(&T) -> Option<Cause>,
) -> T {
    let counts = signal.counts(counts);
    let mut again = Duration::from_millis(limits::EXPORT_AGAIN_MS);
    loop {
        let sent = send().await;
        let Some(cause) = failed(&sent) else {
            counts.reach.answered();
            return sent;
        };
        // As long as it says, but not less than our own pause, nor so long that the queue fills.
        let most = Duration::from_millis(limits::EXPORT_AGAIN_MOST_MS);
        let pause = cause.after.map_or(again, |it| it.clamp(again, most));
        counts.reach.failed(cause);
        // Metrics are sent anew, with what was counted meanwhile.
        if signal == Signal::Metrics || !counts.can_keep() || !counts.reach.settle(false) {
            return sent;
        }
        counts.pause(pause).await;
        again = (again * 2).min(Duration::from_millis(limits::EXPORT_AGAIN_MOST_MS));
    }
}
