//! The one place of the worker that reads the time of day: to compare it with deadlines, identities
//! and dates of others. What only lasts goes by `Instant`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use windlass_proto::time::Timestamp;

/// The time of day, since the Unix epoch; zero before it.
pub(crate) fn time_of_day() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The time of day now, as others give theirs.
pub(crate) fn now() -> Timestamp {
    Timestamp(u64::try_from(time_of_day().as_millis()).unwrap_or(u64::MAX))
}

/// The time from now until `moment`; zero when it is over.
pub(crate) fn until(moment: Timestamp) -> Duration {
    Duration::from_millis(moment.0).saturating_sub(time_of_day())
}
