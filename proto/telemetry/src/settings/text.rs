//! Variables as the specification of OpenTelemetry writes them.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use windlass_proto::limits::{TELEMETRY_QUEUE_MOST, TELEMETRY_TIME_MOST_MS};

use super::SettingsError;

/// Variables of the environment; empty ones count as not set.
pub(super) struct Variables<'v>(pub(super) &'v dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|it| it.trim().to_owned()).filter(|it| !it.is_empty())
    }

    /// A number of items, at least one.
    pub(super) fn count(&self, name: &str, usual: usize) -> Result<usize, SettingsError> {
        let Some(text) = self.get(name) else { return Ok(usual) };
        let count = text.parse().ok().filter(|it| (1..=TELEMETRY_QUEUE_MOST).contains(it));
        count
            .ok_or_else(|| error(name, &format!("write a number from 1 to {TELEMETRY_QUEUE_MOST}")))
    }

    /// A time in milliseconds, at least one.
    pub(super) fn milliseconds(&self, name: &str, usual: u64) -> Result<Duration, SettingsError> {
        let Some(text) = self.get(name) else { return Ok(Duration::from_millis(usual)) };
        let number = text.parse().ok().filter(|it| (1..=TELEMETRY_TIME_MOST_MS).contains(it));
        number.map(Duration::from_millis).ok_or_else(|| {
            error(name, &format!("write milliseconds, a number from 1 to {TELEMETRY_TIME_MOST_MS}"))
        })
    }
}

/// `name=value` separated by commas, percent-encoded, as headers and attributes are written.
pub(super) fn pairs(
    variables: &Variables,
    name: &str,
) -> Result<Vec<(String, String)>, SettingsError> {
    let text = variables.get(name).unwrap_or_default();
    let members = text.split(',').map(str::trim).filter(|it| !it.is_empty());
    let pair = |member: &str| {
        let (key, value) = member.split_once('=')?;
        let (key, value) = (decoded(key.trim())?, decoded(value.trim())?);
        (!key.is_empty()).then_some((key, value))
    };
    let wrong = || error(name, "write NAME=VALUE, several separated by commas, percent-encoded");
    members.map(|it| pair(it).ok_or_else(wrong)).collect()
}

/// A text without its percent-encoding; none for a percent sign that begins nothing.
fn decoded(text: &str) -> Option<String> {
    let is_digit = |it: Option<&u8>| it.is_some_and(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    let begins_nothing =
        |(at, _): (usize, &u8)| !is_digit(bytes.get(at + 1)) || !is_digit(bytes.get(at + 2));
    if bytes.iter().enumerate().filter(|(_, it)| **it == b'%').any(begins_nothing) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

pub(super) fn error(variable: &str, reason: &str) -> SettingsError {
    SettingsError { variable: variable.to_owned(), reason: reason.to_owned() }
}
