//! Wall-clock time as the journal keeps it.

use serde::{Deserialize, Serialize};

use crate::value::Value;

/// A moment, in milliseconds since the Unix epoch (UTC).
///
/// Never used to order facts: the journal's sequence does that. It decides only when timers fire.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The moment `milliseconds` later, saturating at the end of representable time.
    #[must_use]
    pub fn plus(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// Milliseconds from `earlier` to this moment, zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// RFC 3339 with milliseconds, in UTC.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let milliseconds = i64::try_from(self.0).unwrap_or(i64::MAX);
        jiff::Timestamp::from_millisecond(milliseconds)
            .map_or_else(|_| self.0.to_string(), |at| format!("{at:.3}"))
    }

    /// The specification's DateTimeDescriptor: `iso8601`, `epoch.seconds`, `epoch.milliseconds`.
    #[must_use]
    pub fn to_descriptor(self) -> Value {
        let milliseconds = i64::try_from(self.0).unwrap_or(i64::MAX);
        Value::object([
            ("iso8601", Value::from(self.to_rfc3339())),
            (
                "epoch",
                Value::object([
                    ("seconds", Value::Int(milliseconds / 1000)),
                    ("milliseconds", Value::Int(milliseconds)),
                ]),
            ),
        ])
    }
}
