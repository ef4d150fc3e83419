//! What became of spans, log records and exports of metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use windlass_proto::metric::Snapshot;
use windlass_proto::metric::table::process as table;

use crate::reach::Reach;

/// What became of the items of all signals.
#[derive(Debug, Default)]
pub struct TelemetryCounts {
    /// Spans.
    pub traces: SignalCounts,
    /// Log records.
    pub logs: SignalCounts,
    /// Exports of all metrics, each one item; what is rejected of one is counted in data points.
    pub metrics: SignalCounts,
}

/// What became of the items of one signal.
#[derive(Debug, Default)]
pub struct SignalCounts {
    queued: AtomicU64,
    exported: AtomicU64,
    dropped: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    /// How many may wait; 0 where nothing does.
    bound: AtomicU64,
    /// Items of the export that is under way.
    under_way: AtomicU64,
    closing: watch::Sender<bool>,
    /// Whether they arrive.
    pub(crate) reach: Reach,
}

/// What became of the items of one signal, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalTotals {
    /// Wait for their export now, or are under way.
    pub queued: u64,
    /// A collector has taken them.
    pub exported: u64,
    /// Found no room among those that wait, or could not be told.
    pub dropped: u64,
    /// A collector refused them and took others of the same export.
    pub rejected: u64,
    /// Their export failed: no collector answered in time, or it refused all.
    pub failed: u64,
}

impl TelemetryCounts {
    /// Adds what became of everything, for monitoring.
    pub fn measured(&self, snapshot: &mut Snapshot) {
        let signals = [("traces", &self.traces), ("logs", &self.logs), ("metrics", &self.metrics)];
        for (signal, counts) in signals {
            let it = counts.totals();
            for (outcome, count) in [
                ("exported", it.exported),
                ("dropped", it.dropped),
                ("rejected", it.rejected),
                ("failed", it.failed),
            ] {
                snapshot.labelled(&table::TELEMETRY, [signal, outcome], count);
            }
            snapshot.labelled(&table::TELEMETRY_WAITING, [signal], it.queued);
        }
    }
}

impl SignalCounts {
    /// What became of the items so far.
    #[must_use]
    pub fn totals(&self) -> SignalTotals {
        let of = |it: &AtomicU64| it.load(Ordering::Relaxed);
        SignalTotals {
            queued: of(&self.queued),
            exported: of(&self.exported),
            dropped: of(&self.dropped),
            rejected: of(&self.rejected),
            failed: of(&self.failed),
        }
    }

    /// Makes room for an item among at most `bound` that wait; false where there is none, and then
    /// it counts as dropped.
    pub(crate) fn enter(&self, bound: u64) -> bool {
        let has_room = self.queued.fetch_add(1, Ordering::Relaxed) < bound;
        if !has_room {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }

    /// From now on so many may wait.
    pub(crate) fn set_bound(&self, bound: u64) {
        self.bound.store(bound, Ordering::Relaxed);
    }

    /// True while an export that failed can be kept for later: what comes after it has room yet,
    /// and nobody waits for the end.
    pub(crate) fn can_keep(&self) -> bool {
        let bound = self.bound.load(Ordering::Relaxed);
        !*self.closing.borrow() && self.queued.load(Ordering::Relaxed) < bound - bound / 4
    }

    /// Nothing is kept for later any more.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Waits for so long, or until nothing is kept any more.
    pub(crate) async fn pause(&self, pause: Duration) {
        let mut closing = self.closing.subscribe();
        let _ = tokio::time::timeout(pause, closing.wait_for(|it| *it)).await;
    }

    /// An item never came as far as the queue.
    pub(crate) fn miss(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Items are not waited for any more.
    pub(crate) fn leave(&self, items: u64) {
        self.queued.fetch_sub(items, Ordering::Relaxed);
    }

    /// A collector took an export but for so many items, or has something to say of it.
    pub(crate) fn reject(&self, items: u64, reason: &str) {
        // Whatever it says, it cannot have refused more than it was sent.
        let items = items.min(self.under_way.load(Ordering::Relaxed));
        self.rejected.fetch_add(items, Ordering::Relaxed);
        if items > 0 || !reason.is_empty() {
            self.reach.refused(items, reason);
        }
    }

    /// An export of so many begins; of a signal there is one at a time.
    pub(crate) fn begin(&self, items: u64) {
        self.under_way.store(items, Ordering::Relaxed);
    }

    /// An export of so many is over.
    pub(crate) fn settle(&self, items: u64, is_ok: bool) {
        let counter = if is_ok { &self.exported } else { &self.failed };
        counter.fetch_add(items, Ordering::Relaxed);
    }
}
