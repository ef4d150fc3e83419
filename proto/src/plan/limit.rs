//! `metadata.windlass.limit`: how many may run at once, and how many may begin in a time.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::expression::Template;

/// A limit of a workflow or a task.
#[derive(Debug)]
pub struct Limit {
    /// `name`: all limits of one name in a namespace count together; without it, this one counts
    /// alone.
    pub name: Option<Arc<str>>,
    /// `key`: each value of it is counted for itself.
    pub key: Option<Template>,
    /// What may be had.
    pub terms: LimitTerms,
}

/// What a limit gives, and what becomes of who finds it full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitTerms {
    /// `concurrency`: how many at once.
    #[serde(rename = "c")]
    pub concurrency: Option<u32>,
    /// `rate`: how many in a time.
    #[serde(rename = "r")]
    pub rate: Option<Rate>,
    /// `onFull`
    #[serde(rename = "f")]
    pub on_full: OnFull,
}

/// At most `count` in any `period_ms` milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many.
    #[serde(rename = "n")]
    pub count: u32,
    /// In how long.
    #[serde(rename = "p")]
    pub period_ms: u64,
}

impl Rate {
    /// Reads `100/m`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (count, unit) = text.split_once('/')?;
        if count.is_empty() || !count.bytes().all(|it| it.is_ascii_digit()) {
            return None;
        }
        let count = count.parse().ok()?;
        let period_ms = match unit {
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        Some(Self { count, period_ms })
    }
}

/// What becomes of who finds a limit full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFull {
    /// It waits, in order of arrival.
    #[default]
    #[serde(rename = "w")]
    Wait,
    /// A task is skipped; an instance is cancelled.
    #[serde(rename = "s")]
    Skip,
    /// Who has had it for longest is ended, and it gets that place.
    #[serde(rename = "o")]
    CancelOldest,
    /// It fails with an error that can be caught.
    #[serde(rename = "f")]
    Fail,
}

impl OnFull {
    /// As a definition has them.
    pub const WORDS: &[(&str, Self)] = &[
        ("wait", Self::Wait),
        ("skip", Self::Skip),
        ("cancel-oldest", Self::CancelOldest),
        ("fail", Self::Fail),
    ];
}

/// The type of the error of who finds a limit full, or has to make room; its status is 429.
pub const LIMIT_ERROR: &str = "https://windlass.dev/errors/limit";

#[cfg(test)]
mod tests {
    use super::Rate;

    #[test]
    fn rates_are_a_number_and_a_unit() {
        let rate = |count, period_ms| Some(Rate { count, period_ms });
        assert_eq!(Rate::parse("100/m"), rate(100, 60_000));
        assert_eq!(Rate::parse("1/d"), rate(1, 86_400_000));
        for text in ["", "100", "/m", "+1/m", "1.5/s", "1/w", "1 / s", "99999999999/s"] {
            assert_eq!(Rate::parse(text), None, "{text}");
        }
    }
}
