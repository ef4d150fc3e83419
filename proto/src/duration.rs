//! Durations of the DSL: ISO 8601 text or an object of units.

pub mod typed;

use crate::value::Value;

/// A literal duration, in milliseconds. Calendar units count as 365 and 30 days; anything beyond a
/// hundred years saturates there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Milliseconds(pub u64);

/// Why a value is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is not a duration: write ISO 8601 such as PT5S, or an object of days, hours, minutes, seconds, milliseconds"
)]
pub struct NotADuration(pub String);

/// A century: longer durations are cut to this.
const LONGEST_MS: u64 = 100 * 365 * 24 * 3_600_000;

/// Reads a duration from an ISO 8601 string or from an object of units.
///
/// # Errors
/// When `value` is neither.
pub fn parse(value: &Value) -> Result<Milliseconds, NotADuration> {
    let refused = || NotADuration(value.to_json());
    if let Some(text) = value.as_str() {
        return parse_iso(text).ok_or_else(refused);
    }
    let object = value.as_object().ok_or_else(refused)?;
    if object.is_empty() {
        return Err(refused());
    }
    let mut total: u64 = 0;
    for (unit, amount) in object {
        let factor = match &**unit {
            "days" => 86_400_000,
            "hours" => 3_600_000,
            "minutes" => 60_000,
            "seconds" => 1_000,
            "milliseconds" => 1,
            _ => return Err(refused()),
        };
        let amount = match amount {
            Value::Int(amount) => u64::try_from((*amount).max(0)).unwrap_or(0),
            _ => return Err(refused()),
        };
        total = total.saturating_add(amount.saturating_mul(factor));
    }
    Ok(Milliseconds(total.min(LONGEST_MS)))
}

/// ISO 8601 `P[nY][nM][nW][nD][T[nH][nM][nS]]`, decimals allowed in every part.
fn parse_iso(text: &str) -> Option<Milliseconds> {
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
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let milliseconds = if total >= LONGEST_MS as f64 { LONGEST_MS } else { total as u64 };
    Some(Milliseconds(milliseconds))
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
    use super::{Milliseconds, parse};
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
        for text in ["PT", "P", "", "5m", "PT5", "-PT5S", "PT1M1H", "PT.5S", "P1DT", "PT1.S"] {
            assert!(parse(&Value::from(text)).is_err(), "{text}");
        }
        let object = Value::object([("minutes", Value::Int(1)), ("milliseconds", Value::Int(5))]);
        assert_eq!(parse(&object), Ok(Milliseconds(60_005)));
        assert!(parse(&Value::object([("fortnights", Value::Int(1))])).is_err());
    }
}
