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

    /// The moment that a text says, such as `2026-01-31T08:00:00Z`; one before the epoch counts as
    /// the epoch. None for a text that says none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let moment: jiff::Timestamp = text.parse().ok()?;
        Some(Self(u64::try_from(moment.as_millisecond()).unwrap_or(0)))
    }

    /// The moment that the `Date` of a response says; none for a text that says none.
    #[must_use]
    pub fn parse_http(text: &str) -> Option<Self> {
        let moment = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
        Some(Self(u64::try_from(moment.as_millisecond()).unwrap_or(0)))
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

/// True for a date and time in the form of RFC 3339, `2026-01-31T12:00:00.5+01:00`, which is there
/// in the calendar. A leap second is.
#[must_use]
pub fn is_rfc3339(text: &str) -> bool {
    // The parser reads other forms of ISO 8601 as well.
    has_form(text.as_bytes()).unwrap_or_default() && text.parse::<jiff::Timestamp>().is_ok()
}

/// Whether the signs stand where RFC 3339 has them; none for what is too short.
fn has_form(text: &[u8]) -> Option<bool> {
    let (date, rest) = text.split_at_checked("2026-01-31T12:00:00".len())?;
    let fits = |text: &[u8], form: &[u8]| {
        text.len() == form.len()
            && text.iter().zip(form).all(|(sign, of)| match of {
                b'0' => sign.is_ascii_digit(),
                of => sign.eq_ignore_ascii_case(of),
            })
    };
    let digits = rest.strip_prefix(b".").map(|it| it.iter().take_while(|it| it.is_ascii_digit()));
    let zone = match digits.map(Iterator::count) {
        Some(0) => return None,
        Some(count) => rest.get(count + 1..)?,
        None => rest,
    };
    let is_offset = || {
        (fits(zone, b"+00:00") || fits(zone, b"-00:00"))
            && zone.get(1..3) < Some(b"24")
            && zone.get(4..) < Some(b"60")
    };
    Some(fits(date, b"0000-00-00T00:00:00") && (fits(zone, b"z") || is_offset()))
}
