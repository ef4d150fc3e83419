//! Deliveries that came to nothing without anybody's death: handed back, not taken, or lost with a
//! session. The first of a visit is sent again at once; after that each pause is twice as long.
//! Without that, a worker that hands a task back the moment it gets it would be given it thousands
//! of times a second, and each time is journaled.

use std::collections::HashMap;

use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::AssignmentKey;

/// Why a delivery will not be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Its worker may have died of it.
    Blamed,
    /// Its worker gave it back, or has received it and does not hold it.
    HandedBack,
    /// Its session ended, or it never left.
    Unlucky,
}

/// How often it has happened to a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Redelivery {
    /// Times in all.
    pub(super) times: u32,
    /// Of these, times that a worker did not want it.
    pub(super) handed_back: u32,
    last: Timestamp,
}

impl Redelivery {
    /// Milliseconds until it is sent again.
    pub(super) fn pause_ms(&self) -> u64 {
        let doubled = match self.times {
            0 | 1 => return 0,
            times => limits::REDELIVERY_BACKOFF_MS.checked_shl(times - 2),
        };
        doubled.unwrap_or(u64::MAX).min(limits::REDELIVERY_BACKOFF_MOST_MS)
    }
}

/// All visits to which it has happened lately.
#[derive(Default)]
pub(super) struct Redeliveries {
    visits: HashMap<(InstanceId, FrameId), Redelivery>,
    swept: Timestamp,
}

impl Redeliveries {
    /// It has happened once more.
    pub(super) fn note(&mut self, key: &AssignmentKey, loss: Loss, now: Timestamp) -> Redelivery {
        let new = Redelivery { times: 0, handed_back: 0, last: now };
        let redelivery = self.visits.entry((key.instance, key.frame)).or_insert(new);
        redelivery.times = redelivery.times.saturating_add(1);
        redelivery.handed_back += u32::from(loss == Loss::HandedBack);
        redelivery.last = now;
        *redelivery
    }

    /// The visit is over.
    pub(super) fn forget(&mut self, key: &AssignmentKey) {
        self.visits.remove(&(key.instance, key.frame));
    }

    /// Forgets what is long past: a task that one worker after another hands back as they are
    /// replaced begins anew each time.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        if now.since(self.swept) > limits::REDELIVERY_MEMORY_MS / 10 {
            self.swept = now;
            self.visits.retain(|_, it| now.since(it.last) <= limits::REDELIVERY_MEMORY_MS);
        }
    }
}

#[cfg(test)]
mod tests {
    use windlass_proto::limits;
    use windlass_proto::time::Timestamp;

    use super::{Loss, Redeliveries};
    use crate::dispatch::testing::assignment;

    #[test]
    fn pauses_double_up_to_the_longest_and_end_with_the_visit() {
        let (key, mut redeliveries) = (assignment(1, "a", 5, 0).key, Redeliveries::default());
        let mut note = |at| redeliveries.note(&key, Loss::HandedBack, Timestamp(at)).pause_ms();
        let first: Vec<_> = (0..4).map(&mut note).collect();
        let ms = limits::REDELIVERY_BACKOFF_MS;
        assert_eq!(first, [0, ms, 2 * ms, 4 * ms]);
        assert!((0..200).map(note).all(|it| it <= limits::REDELIVERY_BACKOFF_MOST_MS));
        assert_eq!(redeliveries.note(&key, Loss::Unlucky, Timestamp(0)).handed_back, 204);
        redeliveries.sweep(Timestamp(limits::REDELIVERY_MEMORY_MS));
        assert_eq!(redeliveries.note(&key, Loss::Unlucky, Timestamp(1)).times, 206);
        redeliveries.forget(&key);
        assert_eq!(redeliveries.note(&key, Loss::Unlucky, Timestamp(1)).times, 1);
        redeliveries.sweep(Timestamp(3 * limits::REDELIVERY_MEMORY_MS));
        assert_eq!(redeliveries.note(&key, Loss::Unlucky, Timestamp(1)).times, 1);
    }
}
