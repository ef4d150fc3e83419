//! Cron expressions: which times they mean, in a time zone, on days when its clocks change too.
//!
//! `croner` reads the fields and finds the next time of a calendar that they match; it is never
//! told of a zone. What is read otherwise elsewhere is decided by `fields`, and what becomes of a
//! time that is not there, or twice, is decided here, as Vixie's cron does it:
//!
//! - An expression of fixed times (no `*` in its minutes and hours) runs once for each time it
//!   names. One that is left out by clocks going forward runs when they have; one that comes twice
//!   runs the first time.
//! - Any other follows the clock: `*/15 * * * *` runs every 15 minutes whatever the clock shows,
//!   so it has none in the hour left out and all of both hours that are the same.

mod fields;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

pub use fields::CronError;

use crate::expression::count_steps;
use crate::limits::CALENDAR_COST;
use crate::time::Timestamp;

/// A time zone of the IANA database that comes with this version.
#[derive(Clone, Debug)]
pub struct Zone {
    name: Arc<str>,
    zone: TimeZone,
}

impl Zone {
    /// The zone of that name (`Europe/Berlin`), in any case; none where there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let zone = TimeZoneDatabase::bundled().get(name).ok()?;
        let name = zone.iana_name()?.into();
        Some(Self { name, zone })
    }

    /// UTC, which has no changes of clocks.
    #[must_use]
    pub fn utc() -> Self {
        Self { name: "UTC".into(), zone: TimeZone::UTC }
    }

    /// Its name in the database.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A cron expression in its time zone.
#[derive(Clone, Debug)]
pub struct Cron {
    text: Arc<str>,
    zone: Zone,
    times: Box<croner::Cron>,
    /// True when it names its minutes and hours.
    fixed: bool,
}

impl Cron {
    /// Reads an expression: five fields (minute, hour, day of month, month, day of week), six with
    /// seconds before them, seven with years after them; or `@hourly`, `@daily`, `@weekly`,
    /// `@monthly`, `@yearly`.
    ///
    /// # Errors
    /// When it is none, or means no time at all (`0 0 30 2 *`).
    pub fn parse(text: &str, zone: Zone) -> Result<Self, CronError> {
        let (normal, fixed) = fields::normal(text)?;
        let times = normal
            .parse::<croner::Cron>()
            .map_err(|error| CronError::Malformed(error.to_string()))?;
        let cron = Self { text: text.into(), zone, times: Box::new(times), fixed };
        // From where the years that an expression can name begin to matter.
        match cron.times.find_next_occurrence(&DateTime::constant(1970, 1, 1, 0, 0, 0, 0), true) {
            Ok(_) => Ok(cron),
            Err(_) => Err(CronError::Never),
        }
    }

    /// The expression as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its time zone.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The first time after `after`; none when no year has one any more.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_millisecond(i64::try_from(after.0).ok()?).ok()?;
        let next = if self.fixed { self.next_fixed(after) } else { self.next_by_clock(after) }?;
        u64::try_from(next.as_millisecond()).ok().map(Timestamp)
    }

    /// The last time after `after` that is not after `until`.
    #[must_use]
    pub fn last_until(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let due = |from| self.next_after(Timestamp(from)).filter(|it| *it <= until);
        let mut last = due(after.0)?;
        // There is one after `low`, and none after `high`.
        let (mut low, mut high) = (after.0, until.0);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match due(middle) {
                Some(found) => (low, last) = (middle.max(found.0 - 1), found),
                None => high = middle,
            }
        }
        Some(last)
    }

    fn matching(&self, after: DateTime, inclusive: bool) -> Option<DateTime> {
        count_steps(CALENDAR_COST);
        self.times.find_next_occurrence(&after, inclusive).ok()
    }

    /// Each time named, in its order: moments never go back, as what the clocks leave out moves to
    /// the moment of the change and what they repeat is its first pass.
    fn next_fixed(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let zone = &self.zone.zone;
        let mut civil = zone.to_datetime(after);
        loop {
            civil = self.matching(civil, false)?;
            let ambiguous = zone.to_ambiguous_timestamp(civil);
            let moment = match ambiguous.offset() {
                AmbiguousOffset::Gap { after: offset, .. } => {
                    // That clock did not show it yet: the change comes next.
                    let before = offset.to_timestamp(civil).ok()?;
                    zone.following(before).next()?.timestamp()
                }
                _ => ambiguous.earlier().ok()?,
            };
            if moment > after {
                return Some(moment);
            }
        }
    }

    /// What the clock shows, by the offset that holds until it changes.
    fn next_by_clock(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let zone = &self.zone.zone;
        let (mut from, mut inclusive) = (after, false);
        loop {
            let offset = zone.to_offset(from);
            let civil = self.matching(offset.to_datetime(from), inclusive)?;
            let moment = offset.to_timestamp(civil).ok()?;
            match zone.following(from).next() {
                Some(change) if change.timestamp() <= moment => {
                    (from, inclusive) = (change.timestamp(), true);
                }
                _ => return Some(moment),
            }
        }
    }
}
