//! Durations of the DSL: ISO 8601 text or an object of units.

pub mod typed;

use crate::limits;
use crate::value::Value;

/// A literal duration, in milliseconds. Calendar units count as 365 and 30 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Milliseconds(pub u64);

/// Why a value is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotADuration {
    /// It is something else.
    #[error(
        "{0} is not a duration: write ISO 8601 such as PT5S, or an object of days, hours, minutes, seconds, milliseconds"
    )]
    Malformed(String),
    /// A unit is below zero.
    #[error("{0} is a negative duration: nothing can be waited for that long")]
    Negative(String),
    /// It is beyond [`limits::LONGEST_DURATION_MS`].
    #[error("{0} is longer than a hundred years, the longest duration")]
    TooLong(String),
}

impl NotADuration {
    /// What earlier versions took it for; texts that they accepted keep it.
    #[must_use]
    pub fn taken_for(&self) -> Option<Milliseconds> {
        match self {
            Self::Malformed(_) => None,
            Self::Negative(_) => Some(Milliseconds(0)),
            Self::TooLong(_) => Some(Milliseconds(limits::LONGEST_DURATION_MS)),
        }
    }
}

/// Reads a duration from an ISO 8601 string or from an object of units.
///
/// # Errors
/// When `value` is neither, is negative, or is longer than [`limits::LONGEST_DURATION_MS`].
pub fn parse(value: &Value) -> Result<Milliseconds, NotADuration> {
    let refused = || NotADuration::Malformed(value.to_json());
    let total = match value.as_str() {
        Some(text) => parse_iso(text).ok_or_else(refused)?,
        None => sum_object(value)?,
    };
    if total > limits::LONGEST_DURATION_MS {
        return Err(NotADuration::TooLong(value.to_json()));
    }
    Ok(Milliseconds(total))
}

/// The shortest ISO 8601 text of so many milliseconds: `P3DT1H`, `PT0.5S`.
#[must_use]
pub fn written(milliseconds: u64) -> String {
    let (seconds, rest) = (milliseconds / 1_000, milliseconds % 1_000);
    let mut text = String::from("P");
    if seconds >= 86_400 {
        text.push_str(&format!("{}D", seconds / 86_400));
    }
    let [hours, minutes, seconds] = [seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60];
    let fraction = match rest {
        0 => String::new(),
        rest => format!(".{rest:03}").trim_end_matches('0').to_owned(),
    };
    let mut time = String::new();
    for (amount, unit) in [(hours, 'H'), (minutes, 'M')] {
        if amount > 0 {
            time.push_str(&format!("{amount}{unit}"));
        }
    }
    if seconds > 0 || rest > 0 || (time.is_empty() && text == "P") {
        time.push_str(&format!("{seconds}{fraction}S"));
    }
    if !time.is_empty() {
        text.push('T');
    }
    text + &time
}

fn sum_object(value: &Value) -> Result<u64, NotADuration> {
    let refused = || NotADuration::Malformed(value.to_json());
    let object = value.as_object().filter(|it| !it.is_empty()).ok_or_else(refused)?;
    let mut total: u64 = 0;
    let mut negative = false;
    for (unit, amount) in object {
        let factor = match &**unit {
            "days" => 86_400_000,
            "hours" => 3_600_000,
            "minutes" => 60_000,
            "seconds" => 1_000,
            "milliseconds" => 1,
            _ => return Err(refused()),
        };
        let Value::Int(amount) = amount else { return Err(refused()) };
        negative |= *amount < 0;
        let amount = u64::try_from(*amount).unwrap_or(0);
        total = total.saturating_add(amount.saturating_mul(factor));
    }
    if negative { Err(NotADuration::Negative(value.to_json())) } else { Ok(total) }
}

/// ISO 8601 `P[nY][nM][nW][nD][T[nH][nM][nS]]`, decimals allowed in every part.
fn parse_iso(text: &str) -> Option<u64> {
    const DATE: [(char, f64); 4] = [('Y', 365.0), ('M', 30.0), ('W', 7.0), ('D', 1.0)];
    const TIME: [(char, f64); 3] = [('H', 3_600_000.0), ('M', 60_000.0), ('S', 1_000.0)];
    const DAY_MS: f64 = 86_400_000.0;
    let rest = text.strip_prefix('P')?;
    let (date, time) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (rest, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let date = sum_units(date, &DATE.map(|(unit, days)| (unit, days * DAY_MS)))?;
    let time = sum_units(time, &TIME)?;
    let total = (date + time).round();
    // What does not fit is as long as can be.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Some(total as u64)
}

/// Sums `<number><unit>` pairs whose units come in the order given, each at most once.
fn sum_units(mut text: &str, units: &[(char, f64)]) -> Option<f64> {
    let mut total = 0.0;
    let mut next = 0;
    while !text.is_empty() {
        let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number = &text[..end];
        if !number.starts_with(|c: char| c.is_ascii_digit()) || number.ends_with('.') {
            return None;
        }
        let amount: f64 = number.parse().ok()?;
        let unit = text[end..].chars().next()?;
        let at = units[next..].iter().position(|(name, _)| *name == unit)? + next;
        total += amount * units[at].1;
        next = at + 1;
        text = &text[end + unit.len_utf8()..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Milliseconds, NotADuration, parse, written};
    use crate::value::Value;

    #[test]
    fn iso_text_and_objects_of_units() {
        for (text, expected) in [
            ("PT0.5S", 500),
            ("PT1H30M", 5_400_000),
            ("P1W2D", 9 * 86_400_000),
            ("P1Y2M", 425 * 86_400_000),
            ("P1DT1S", 86_401_000),
        ] {
            assert_eq!(parse(&Value::from(text)), Ok(Milliseconds(expected)), "{text}");
        }
        for text in [
            "PT", "P", "", "5m", "PT5", "-PT5S", "PT1M1H", "PT.5S", "P1DT", "PT1.S", "p1d", "P-1D",
            "P1d", "+P1D",
        ] {
            assert!(parse(&Value::from(text)).is_err(), "{text}");
        }
        let object = Value::object([("minutes", Value::Int(1)), ("milliseconds", Value::Int(5))]);
        assert_eq!(parse(&object), Ok(Milliseconds(60_005)));
        assert!(parse(&Value::object([("fortnights", Value::Int(1))])).is_err());
    }

    #[test]
    fn what_is_written_is_read() {
        for (milliseconds, text) in [
            (0, "PT0S"),
            (5, "PT0.005S"),
            (500, "PT0.5S"),
            (60_000, "PT1M"),
            (86_400_000, "P1D"),
            (3 * 86_400_000 + 3_723_040, "P3DT1H2M3.04S"),
        ] {
            assert_eq!(written(milliseconds), text);
            assert_eq!(parse(&Value::from(text)), Ok(Milliseconds(milliseconds)));
        }
    }

    #[test]
    fn negative_and_endless_ones_are_refused() {
        let days = |days| Value::object([("days", Value::Int(days)), ("hours", Value::Int(0))]);
        let century = 100 * 365 * 86_400_000;
        assert_eq!(parse(&days(36_500)), Ok(Milliseconds(century)));
        assert_eq!(parse(&Value::from("P100Y")), Ok(Milliseconds(century)));
        let long = format!("P{}Y", "9".repeat(400));
        for value in [days(36_501), days(i64::MAX), "P100Y1D".into(), Value::from(long)] {
            let error = parse(&value).unwrap_err();
            assert!(matches!(error, NotADuration::TooLong(_)), "{error}");
            assert_eq!(error.taken_for(), Some(Milliseconds(century)));
        }
        let mixed = Value::object([("minutes", Value::Int(-1)), ("hours", Value::Int(1))]);
        for value in [days(-1), mixed] {
            let error = parse(&value).unwrap_err();
            assert!(matches!(error, NotADuration::Negative(_)), "{error}");
            assert_eq!(error.taken_for(), Some(Milliseconds(0)));
        }
    }
}
