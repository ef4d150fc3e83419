//! A share of the trail for each worker, so that none pushes out what others did: half a file at
//! once, and then as much as would take hours to fill all that is kept.
//!
//! Whoever has used it up is not forgotten but put off: a worker keeps its events until they are on
//! disk, and waits with tasks that would make more.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use windlass_proto::limits;

use super::file::Sizes;

/// All shares.
pub(super) struct Shares {
    /// Bytes that may be written at once.
    most: u64,
    /// Bytes in all files.
    kept: u64,
    workers: HashMap<Arc<str>, Share>,
}

/// That of one worker.
struct Share {
    /// Bytes that were written and are not made up for yet.
    used: u64,
    at: Instant,
    /// The highest number of an event that was deferred.
    deferred_to: u64,
    /// Events that were deferred and not told of.
    deferred: u64,
    told: Option<Instant>,
}

/// What is to be done with events.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Taken,
    /// They have to wait.
    Deferred {
        /// How many were put off since that was said, when it is time to say it.
        tell: Option<u64>,
    },
}

impl Shares {
    pub(super) fn new(sizes: Sizes) -> Self {
        let kept = sizes.bytes.saturating_mul(u64::from(sizes.files) + 1);
        Self { most: sizes.bytes / 2, kept, workers: HashMap::new() }
    }

    /// Bytes of a worker were written.
    pub(super) fn charge(&mut self, worker: &Arc<str>, bytes: u64, now: Instant) {
        let kept = self.kept;
        if let Some(share) = self.workers.get_mut(worker) {
            share.pass(kept, now);
            share.used += bytes;
            return;
        }
        if self.workers.len() >= limits::AUDIT_SHARES {
            self.workers.retain(|_, it| {
                it.pass(kept, now);
                it.used > 0
            });
        }
        if self.workers.len() < limits::AUDIT_SHARES {
            let (deferred_to, deferred, told) = Default::default();
            let share = Share { used: bytes, at: now, deferred_to, deferred, told };
            self.workers.insert(worker.clone(), share);
        }
    }

    /// Whether events of a worker with these numbers may be written.
    pub(super) fn admits(&mut self, worker: &str, first: u64, last: u64, now: Instant) -> Verdict {
        let (most, kept) = (self.most, self.kept);
        let Some(share) = self.workers.get_mut(worker) else { return Verdict::Taken };
        share.pass(kept, now);
        if share.used < most {
            return Verdict::Taken;
        }
        if last < share.deferred_to {
            // It counts anew: another life of the same worker.
            share.deferred_to = 0;
        }
        let more = last.saturating_sub(share.deferred_to.max(first.saturating_sub(1)));
        share.deferred = share.deferred.saturating_add(more);
        share.deferred_to = last;
        let pause = Duration::from_millis(limits::AUDIT_DEFERRED_MS);
        let due = share.told.is_none_or(|it| now.duration_since(it) >= pause);
        if !due || share.deferred == 0 {
            return Verdict::Deferred { tell: None };
        }
        share.told = Some(now);
        Verdict::Deferred { tell: Some(std::mem::take(&mut share.deferred)) }
    }
}

impl Share {
    /// Time makes up for what was written.
    fn pass(&mut self, kept: u64, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_millis();
        let made_up = passed.saturating_mul(u128::from(kept)) / u128::from(limits::AUDIT_SHARE_MS);
        let made_up = u64::try_from(made_up).unwrap_or(u64::MAX);
        // Less than a byte is not lost: it counts with the next.
        if made_up > 0 {
            self.used = self.used.saturating_sub(made_up);
            self.at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use windlass_proto::limits;

    use super::{Shares, Sizes, Verdict};

    #[test]
    fn who_has_used_its_share_waits_and_nobody_else_does() {
        let mut shares = Shares::new(Sizes { bytes: 1_000, files: 9 });
        let (rogue, other): (Arc<str>, Arc<str>) = ("rogue".into(), "other".into());
        let begin = Instant::now();
        assert_eq!(shares.admits(&rogue, 1, 10, begin), Verdict::Taken);
        shares.charge(&rogue, 600, begin);
        shares.charge(&other, 400, begin);
        let told = |tell| Verdict::Deferred { tell };
        assert_eq!(shares.admits(&rogue, 11, 20, begin), told(Some(10)));
        assert_eq!(shares.admits(&rogue, 11, 20, begin), told(None), "the same again");
        assert_eq!(shares.admits(&rogue, 11, 30, begin), told(None), "too soon");
        assert_eq!(shares.admits(&other, 1, 10, begin), Verdict::Taken);
        let later = begin + Duration::from_millis(limits::AUDIT_DEFERRED_MS);
        assert_eq!(shares.admits(&rogue, 11, 30, later), told(Some(10)));
        // All that is kept in the time that is given: a tenth of it is a thousand bytes.
        let later = begin + Duration::from_millis(limits::AUDIT_SHARE_MS / 50);
        assert_eq!(shares.admits(&rogue, 11, 30, later), Verdict::Taken);
        shares.charge(&rogue, 10_000, later);
        let later = later + Duration::from_millis(limits::AUDIT_SHARE_MS / 2);
        assert_eq!(shares.admits(&rogue, 1, 5, later), told(Some(5)), "of another life");
    }
}
