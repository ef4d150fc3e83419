//! What the audit trail is told of requests that were not let through: some in each minute, then
//! how many more there were.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use windlass_proto::limits::{ACCESS_REFUSALS_MS, ACCESS_REFUSALS_TOLD};

use super::access::Denial;
use crate::coordinator::{Coordinator, Operator};

/// For how long refusals are counted together.
fn minute() -> Duration {
    Duration::from_millis(ACCESS_REFUSALS_MS)
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Denials(Mutex<Option<Minute>>);

#[derive(Debug)]
struct Minute {
    since: Instant,
    told: u64,
    untold: u64,
}

impl Denials {
    /// Tells of one, and of how many were not told before.
    pub(super) fn tell(&self, coordinator: &Coordinator, denial: Denial) {
        let Denial { action, by, detail } = denial;
        let (tell, untold) = self.count(Instant::now());
        if untold > 0 {
            let detail = format!("{untold} more requests were refused in the minute before");
            coordinator.refused(action, detail, &Operator::default());
        }
        if tell {
            coordinator.refused(action, detail, &by);
        }
    }

    /// Whether one more is told, and how many of the last minute are told of now.
    fn count(&self, now: Instant) -> (bool, u64) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut untold = 0;
        let current = match &mut *counted {
            Some(it) if now.duration_since(it.since) < minute() => it,
            other => {
                untold = other.as_ref().map_or(0, |it| it.untold);
                other.insert(Minute { since: now, told: 0, untold: 0 })
            }
        };
        if current.told < ACCESS_REFUSALS_TOLD {
            current.told += 1;
            return (true, untold);
        }
        current.untold += 1;
        (false, untold)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use windlass_proto::limits::ACCESS_REFUSALS_TOLD;

    use super::{Denials, minute};

    #[test]
    fn what_is_too_much_is_counted_and_told_later() {
        let (denials, now) = (Denials::default(), Instant::now());
        for _ in 0..ACCESS_REFUSALS_TOLD {
            assert_eq!(denials.count(now), (true, 0));
        }
        assert_eq!(denials.count(now), (false, 0));
        assert_eq!(denials.count(now), (false, 0));
        assert_eq!(denials.count(now + minute()), (true, 2));
        assert_eq!(denials.count(now + minute()), (true, 0));
    }
}
