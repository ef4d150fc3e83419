//! At most so many requests in a second.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Gives out moments to send at, evenly spaced, a second's worth of them at once after a quiet
/// time.
pub(super) struct Rate {
    gap: Duration,
    /// When all that was given out is used up.
    spent: Mutex<Option<Instant>>,
}

impl Rate {
    /// `requests` in a second, at least one.
    pub(super) fn new(requests: u32) -> Self {
        Self { gap: Duration::from_secs(1) / requests.max(1), spent: Mutex::new(None) }
    }

    /// When to send the next request; none if that were later than in `most`.
    pub(super) fn next(&self, most: Duration) -> Option<Instant> {
        let now = Instant::now();
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let next = spent.map_or(now, |it| it.max(now)) + self.gap;
        let at = next.checked_sub(Duration::from_secs(1)).unwrap_or(now).max(now);
        if at > now + most {
            return None;
        }
        *spent = Some(next);
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::Rate;

    #[tokio::test(start_paused = true)]
    async fn a_second_s_worth_passes_at_once_and_then_one_at_a_time() {
        advance(Duration::from_secs(60)).await;
        let rate = Rate::new(4);
        let now = Instant::now();
        let most = Duration::from_millis(600);
        for _ in 0..4 {
            assert_eq!(rate.next(most), Some(now));
        }
        assert_eq!(rate.next(most), Some(now + Duration::from_millis(250)));
        assert_eq!(rate.next(most), Some(now + Duration::from_millis(500)));
        assert_eq!(rate.next(most), None, "that one would wait too long");
        advance(Duration::from_millis(750)).await;
        assert_eq!(rate.next(most), Some(now + Duration::from_millis(750)));
    }
}
