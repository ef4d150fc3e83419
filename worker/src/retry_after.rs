//! `Retry-After`: how long a server wants to be left alone (RFC 9110, 10.2.3).

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use windlass_proto::limits;

use crate::clock;

/// What it says, in seconds or as a date; none where it is not there, is no such thing, or is over.
pub(crate) fn wait(headers: &HeaderMap) -> Option<Duration> {
    if let Some(Ok(seconds)) = text(headers, &RETRY_AFTER).map(str::parse) {
        return Some(Duration::from_secs(seconds));
    }
    let until = date(headers, &RETRY_AFTER)?;
    // By the server's own clock, where it shows that.
    until.checked_sub(date(headers, &DATE).unwrap_or_else(clock::time_of_day))
}

/// The same in milliseconds, as far as it counts for a retry.
pub(crate) fn milliseconds(headers: &HeaderMap) -> Option<u64> {
    let wait = wait(headers)?.as_millis();
    Some(u64::try_from(wait).unwrap_or(u64::MAX).min(limits::RETRY_AFTER_MOST_MS))
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<Duration> {
    let at = jiff::fmt::rfc2822::parse(text(headers, name)?).ok()?.timestamp();
    Duration::try_from(at.duration_since(Timestamp::UNIX_EPOCH)).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
    use windlass_proto::limits;

    use super::{milliseconds, wait};

    fn told(retry_after: &str, date: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        if !date.is_empty() {
            headers.insert(DATE, date.parse().unwrap());
        }
        headers
    }

    #[test]
    fn it_is_seconds_or_a_date_by_the_servers_clock() {
        let date = "Mon, 30 Nov 2026 10:00:00 GMT";
        let later = "Mon, 30 Nov 2026 10:01:30 GMT";
        assert_eq!(wait(&told(" 7 ", date)), Some(Duration::from_secs(7)));
        assert_eq!(wait(&told(later, date)), Some(Duration::from_secs(90)));
        assert_eq!(wait(&told(date, later)), None, "it is over");
        let long = wait(&told("Fri, 30 Nov 2096 10:00:00 GMT", "")).unwrap();
        assert!(long > Duration::from_secs(86_400), "by the clock here: {long:?}");
        for nothing in ["", "soon", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(wait(&told(nothing, "")), None, "{nothing}");
        }
        assert_eq!(wait(&HeaderMap::new()), None);
        assert_eq!(milliseconds(&told("2", "")), Some(2_000));
        assert_eq!(
            milliseconds(&told(&u64::MAX.to_string(), "")),
            Some(limits::RETRY_AFTER_MOST_MS)
        );
    }
}
