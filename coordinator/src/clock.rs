//! The one place that reads clocks.
//!
//! Due times are times of day, since they are kept across restarts; but a clock of the machine that
//! is set must neither hold timers nor fire them early. So what happens to instances goes by a
//! clock of the process: it begins with the time of day, runs at the rate of the machine's uptime,
//! and where the two differ draws near to the time of day by a hundredth of the time that passes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

/// The time of day now: for what others compare with their clocks.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp(milliseconds(time_of_day()))
}

/// Now, for timers and for what is told of instances: never goes back and never jumps.
#[must_use]
pub fn steady() -> Timestamp {
    static STEADY: Mutex<Option<Steady>> = Mutex::new(None);
    let mut steady = STEADY.lock().unwrap_or_else(PoisonError::into_inner);
    let (wall, uptime) = (time_of_day(), uptime());
    let steady = steady.get_or_insert(Steady { time: wall, uptime });
    Timestamp(milliseconds(steady.pass(wall, uptime)))
}

/// The generation of a copy that is made now: later than those of all that were made before.
pub(crate) fn generation() -> u32 {
    u32::try_from(now().0 / 1_000).unwrap_or(u32::MAX)
}

fn time_of_day() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Time since the machine was started, with the time it slept: a wait of an hour is over when a
/// laptop has slept for two.
pub(crate) fn uptime() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanoseconds.unwrap_or(0))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

struct Steady {
    time: Duration,
    /// When that was.
    uptime: Duration,
}

impl Steady {
    /// The time at `uptime`, when the time of day is `wall`.
    fn pass(&mut self, wall: Duration, uptime: Duration) -> Duration {
        let passed = uptime.saturating_sub(self.uptime);
        self.uptime = self.uptime.max(uptime);
        let (time, most) = (self.time + passed, passed / limits::CLOCK_SLEW);
        self.time = wall.clamp(time - most, time + most);
        self.time
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Steady, now, steady};

    const fn hours(hours: u64) -> Duration {
        Duration::from_secs(hours * 3_600)
    }

    #[test]
    fn a_clock_that_is_set_neither_holds_timers_nor_fires_them() {
        for wall in [hours(999), hours(1_001), hours(0), hours(900_000)] {
            let mut clock = Steady { time: hours(1_000), uptime: hours(5) };
            assert_eq!(clock.pass(wall, hours(5)), hours(1_000));
            // An hour passes, with the clock an hour or more off.
            let mut last = clock.time;
            for second in 1..=3_600 {
                let second = Duration::from_secs(second);
                let time = clock.pass(wall + second, hours(5) + second);
                assert!(time > last);
                last = time;
            }
            let off = last.abs_diff(hours(1_001));
            assert_eq!(off, Duration::from_secs(36), "{wall:?}");
        }
    }

    #[test]
    fn it_comes_back_to_the_time_of_day() {
        let mut clock = Steady { time: hours(1_000), uptime: hours(0) };
        clock.pass(hours(1_099), hours(100));
        assert_eq!(clock.time, hours(1_099));
        clock.pass(hours(1_100), hours(101));
        assert_eq!(clock.time, hours(1_100));
        // A small correction is made up for at once.
        let small = Duration::from_millis(20);
        clock.pass(hours(1_101) - small, hours(102));
        assert_eq!(clock.time, hours(1_101) - small);
    }

    #[test]
    fn uptime_that_goes_back_is_no_time() {
        let mut clock = Steady { time: hours(1_000), uptime: hours(5) };
        assert_eq!(clock.pass(hours(1_000), hours(4)), hours(1_000));
        assert_eq!(clock.pass(hours(1_000), hours(5)), hours(1_000));
    }

    #[test]
    fn both_begin_with_the_time_of_day() {
        let (wall, time) = (now(), steady());
        assert!(time.since(wall).max(wall.since(time)) < 3_600_000, "{wall:?} {time:?}");
        assert!(steady() >= time);
    }
}
