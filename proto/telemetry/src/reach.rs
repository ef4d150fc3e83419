//! Says in the log when a signal does not reach its collector, why, and when it does again.
//!
//! The exporters of the SDK say that an export failed and not why. So who sends notes what came of
//! each request, and who counts says at the end of the export whether it was taken.

use std::error::Error;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode, Uri};
use windlass_proto::limits;

/// Why a request to a collector failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) reason: String,
    /// Whether the same request may be taken later.
    pub(crate) is_passing: bool,
    /// How long the collector wants to be left alone, where it has said so.
    pub(crate) after: Option<Duration>,
}

/// Whether a signal reaches its collector.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// What is sent, and to whom; set once, before anything is.
    of: OnceLock<(&'static str, String)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What came of the last request that failed, while none was taken since.
    cause: Option<Cause>,
    /// What was said last, while the signal does not reach its collector, and when.
    told: Option<(String, Instant)>,
    /// When it was last said that something was refused of an export.
    refused: Option<Instant>,
}

impl Cause {
    /// The collector answered with a status that is no success.
    pub(crate) fn status(status: StatusCode, headers: &HeaderMap) -> Self {
        // Those that OTLP over HTTP has for "later".
        let is_passing = matches!(status.as_u16(), 429 | 502 | 503 | 504);
        let after = headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok()).and_then(wait);
        Self { reason: format!("the collector answered {status}"), is_passing, after }
    }

    /// There was no answer that could be read.
    pub(crate) fn passing(reason: String) -> Self {
        Self { reason, is_passing: true, after: None }
    }

    /// The same will not be taken later either.
    pub(crate) fn lasting(reason: String) -> Self {
        Self { reason, is_passing: false, after: None }
    }
}

/// What a `Retry-After` says: seconds, or a time (RFC 9110, 10.2.3).
fn wait(text: &str) -> Option<Duration> {
    let seconds = text.trim().parse().ok().map(Duration::from_secs);
    seconds.or_else(|| {
        let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
        Some(Duration::try_from(at.duration_since(jiff::Timestamp::now())).unwrap_or_default())
    })
}

impl Reach {
    /// From now on it is of this signal and this collector.
    pub(crate) fn name(&self, signal: &'static str, endpoint: &str) {
        let _ = self.of.set((signal, shown(endpoint)));
    }

    /// A request has failed.
    pub(crate) fn failed(&self, cause: Cause) {
        self.state().cause = Some(cause);
    }

    /// A request was taken.
    pub(crate) fn answered(&self) {
        self.state().cause = None;
    }

    /// An export is over, with the result of its last request; of a failure says whether it may
    /// succeed later.
    pub(crate) fn settle(&self, is_ok: bool) -> bool {
        let mut state = self.state();
        let (signal, endpoint) = self.named();
        if is_ok {
            state.cause = None;
            if state.told.take().is_some() {
                tracing::info!(signal, endpoint, "telemetry reaches the collector again");
            }
            return false;
        }
        // What fails without a request is no fault of the collector, and stays.
        let cause = state.cause.clone();
        let cause = cause.unwrap_or_else(|| Cause::lasting("it could not be sent".to_owned()));
        let Cause { reason, is_passing, .. } = cause;
        let again = Duration::from_millis(limits::EXPORT_TOLD_AGAIN_MS);
        let is_known =
            state.told.as_ref().is_some_and(|(told, at)| *told == reason || at.elapsed() < again);
        if !is_known {
            tracing::warn!(signal, endpoint, reason, "telemetry does not reach the collector");
            state.told = Some((reason, Instant::now()));
        }
        is_passing
    }

    /// A collector has taken an export but for so many items.
    pub(crate) fn refused(&self, items: u64, reason: &str) {
        let again = Duration::from_millis(limits::EXPORT_TOLD_AGAIN_MS);
        let mut state = self.state();
        if state.refused.is_some_and(|it| it.elapsed() < again) {
            return;
        }
        state.refused = Some(Instant::now());
        let (signal, endpoint) = self.named();
        let reason: String = reason.chars().take(limits::EXPORT_REASON_CHARS).collect();
        tracing::warn!(signal, endpoint, items, reason, "the collector refuses some telemetry");
    }

    /// Why nothing arrives, while that is so.
    pub(crate) fn cause(&self) -> Option<String> {
        self.state().told.as_ref().map(|(reason, _)| reason.clone())
    }

    /// Where it goes.
    pub(crate) fn endpoint(&self) -> &str {
        self.named().1
    }

    fn named(&self) -> (&'static str, &str) {
        self.of.get().map_or(("telemetry", ""), |(signal, endpoint)| (*signal, endpoint))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing that could panic is done while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An endpoint without what may be a credential: settings refuse users and passwords already.
fn shown(endpoint: &str) -> String {
    let Ok(uri) = endpoint.parse::<Uri>() else { return String::new() };
    let host = uri.authority().map_or("", |it| it.as_str().rsplit('@').next().unwrap_or_default());
    format!("{}://{host}{}", uri.scheme_str().unwrap_or("http"), uri.path())
}

/// An error with what it stands on: its own text says as good as nothing.
pub(crate) fn whole(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let reason = source.to_string();
        // Some repeat what they stand on.
        if !text.ends_with(&reason) {
            text = format!("{text}: {reason}");
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Cause, HeaderMap, Reach, StatusCode, shown, wait};

    #[test]
    fn each_cause_is_told_once_and_what_may_pass_is_known() {
        let reach = Reach::default();
        reach.name("traces", "http://user:pass@collector:4318/v1/traces");
        assert_eq!(reach.endpoint(), "http://collector:4318/v1/traces");
        reach.failed(Cause::status(StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new()));
        assert!(reach.settle(false), "503 passes");
        let said = reach.cause();
        assert_eq!(said.as_deref(), Some("the collector answered 503 Service Unavailable"));
        reach.answered();
        reach.settle(true);
        assert_eq!(reach.cause(), None);
        reach.failed(Cause::status(StatusCode::UNAUTHORIZED, &HeaderMap::new()));
        assert!(!reach.settle(false), "401 stays");
        reach.answered();
        assert!(!reach.settle(false), "what failed after an answer was not sent at all");
    }

    #[test]
    fn a_collector_says_how_long_it_wants_to_be_left_alone() {
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO), "it is over");
        let later = wait("Sat, 06 Nov 2094 08:49:37 GMT").unwrap_or_default();
        assert!(later > Duration::from_secs(3_600), "{later:?}");
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-1"), None);
    }

    #[test]
    fn endpoints_are_shown_without_credentials() {
        assert_eq!(shown("https://a:b@c:1/d?e=f"), "https://c:1/d");
        assert_eq!(shown("not a url at all \n"), "");
    }
}
