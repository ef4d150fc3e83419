//! Durations as people type them: `30s`, `500ms`, `2m`, `1h`, `1h30m`, or ISO 8601 `PT30S`.

use std::time::Duration;

use crate::duration;
use crate::value::Value;

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration: write 500ms, 30s, 2m, 1h30m, 90d or PT30S")]
pub struct NotADuration(pub String);

/// Milliseconds of each unit, longest first: the order they must come in.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration.
///
/// # Errors
/// When `text` is none of the forms above.
pub fn parse(text: &str) -> Result<Duration, NotADuration> {
    let refused = || NotADuration(text.to_owned());
    if text.starts_with('P') {
        let iso = duration::parse(&Value::from(text)).map_err(|_| refused())?;
        return Ok(Duration::from_millis(iso.0));
    }
    let mut rest = text;
    let mut units = &UNITS[..];
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (digits, tail) = split_at(rest, |c| !c.is_ascii_digit());
        let (unit, tail) = split_at(tail, |c| c.is_ascii_digit());
        let amount: u64 = digits.parse().map_err(|_| refused())?;
        let at = units.iter().position(|(name, _)| *name == unit).ok_or_else(refused)?;
        let factor = units.get(at).map_or(0, |(_, factor)| *factor);
        total = amount
            .checked_mul(factor)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(refused)?;
        units = units.get(at + 1..).unwrap_or(&[]);
        rest = tail;
    }
    if text.is_empty() { Err(refused()) } else { Ok(Duration::from_millis(total)) }
}

/// Splits before the first character that `stops`.
fn split_at(text: &str, stops: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(stops).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[test]
    fn short_and_iso_forms() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("2m", 120_000),
            ("1h30m", 5_400_000),
            ("1d1ms", 86_400_001),
            ("0s", 0),
            ("PT0.5S", 500),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in [
            "",
            "30",
            "s",
            "1.5s",
            "-1s",
            "1s1m",
            "1s1s",
            "1 s",
            "1é",
            "99999999999999999999s",
            "P",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
