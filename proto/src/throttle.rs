//! Of what may happen any number of times: some in each window of time, then how many more.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets through so many in each window of time, and counts the others. What was counted is given
/// with the first of a later window.
#[derive(Debug)]
pub struct Throttle {
    most: u64,
    window: Duration,
    current: Mutex<Option<Window>>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    through: u64,
    held_back: u64,
}

/// What became of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Whether it is let through.
    pub through: bool,
    /// How many were not, in the window before; told once.
    pub held_back: u64,
}

impl Throttle {
    /// Lets `most` through in each window of so many milliseconds.
    #[must_use]
    pub fn new(most: u64, window_ms: u64) -> Self {
        Self { most, window: Duration::from_millis(window_ms), current: Mutex::new(None) }
    }

    /// Decides about one at `now`.
    pub fn admit(&self, now: Instant) -> Admitted {
        // A panic elsewhere cannot leave it half changed.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held_back = 0;
        let window = match &mut *current {
            Some(it) if now.saturating_duration_since(it.since) < self.window => it,
            other => {
                held_back = other.as_ref().map_or(0, |it| it.held_back);
                other.insert(Window { since: now, through: 0, held_back: 0 })
            }
        };
        let through = window.through < self.most;
        match through {
            true => window.through += 1,
            false => window.held_back += 1,
        }
        Admitted { through, held_back }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Admitted, Throttle};

    #[test]
    fn what_is_too_much_is_counted_and_told_later() {
        let (throttle, now) = (Throttle::new(3, 1_000), Instant::now());
        let later = now + Duration::from_millis(1_000);
        for _ in 0..3 {
            assert_eq!(throttle.admit(now), Admitted { through: true, held_back: 0 });
        }
        for _ in 0..2 {
            assert_eq!(throttle.admit(now), Admitted { through: false, held_back: 0 });
        }
        assert_eq!(throttle.admit(later), Admitted { through: true, held_back: 2 });
        assert_eq!(throttle.admit(later), Admitted { through: true, held_back: 0 });
    }
}
