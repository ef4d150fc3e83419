//! Leaves a store alone that fails, and looks from time to time whether it is back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use windlass_proto::limits;

use crate::secret_store::jittered;

/// Closed: requests pass. Open: none does, until its pause is over. Then one passes as a probe, and
/// what becomes of it decides.
pub(super) struct CircuitBreaker {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Failures since the last success.
    failures: u32,
    /// Until when nothing passes; none while it is closed.
    open_until: Option<Instant>,
    /// The last pause, without its jitter.
    pause: Duration,
    /// Whether a probe is on its way.
    probing: bool,
}

/// The right to send one request. Dropped without a word of what became of it, it changes nothing.
pub(super) struct Pass<'a> {
    breaker: &'a CircuitBreaker,
    probe: bool,
}

impl CircuitBreaker {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::default()) }
    }

    /// A right to send, or how long to wait for the next try.
    pub(super) fn pass(&self) -> Result<Pass<'_>, Duration> {
        let mut state = self.state();
        let Some(until) = state.open_until else {
            return Ok(Pass { breaker: self, probe: false });
        };
        let left = until.saturating_duration_since(Instant::now());
        if state.probing || !left.is_zero() {
            return Err(left);
        }
        state.probing = true;
        Ok(Pass { breaker: self, probe: true })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The store answered.
    pub(super) fn succeeded(self) {
        let mut state = self.breaker.state();
        // An answer to a request from before the failures says nothing about now.
        if self.probe || state.open_until.is_none() {
            if state.open_until.is_some() {
                tracing::info!("vault circuit breaker closed");
            }
            *state = State { probing: state.probing, ..State::default() };
        }
    }

    /// The store failed. `asked` is how long it wants to be left alone.
    pub(super) fn failed(self, asked: Option<Duration>) {
        let mut state = self.breaker.state();
        state.failures = state.failures.saturating_add(1);
        let enough = state.failures >= limits::VAULT_FAILURES || asked.is_some();
        if !self.probe && (state.open_until.is_some() || !enough) {
            return;
        }
        let longest = Duration::from_millis(limits::VAULT_LONGEST_PAUSE_MS);
        let probes = Duration::from_millis(limits::VAULT_LONGEST_PROBE_MS);
        let first = Duration::from_millis(limits::VAULT_PAUSE_MS);
        state.pause = if self.probe { (state.pause * 2).min(probes) } else { first };
        let pause = jittered(state.pause).max(asked.unwrap_or_default()).min(longest);
        if state.open_until.is_none() {
            tracing::warn!(failures = state.failures, "vault circuit breaker opened");
        }
        state.open_until = Some(Instant::now() + pause);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.breaker.state().probing = false;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;
    use windlass_proto::limits;

    use super::CircuitBreaker;

    fn fail(breaker: &CircuitBreaker, times: u32) {
        for _ in 0..times {
            breaker.pass().ok().unwrap().failed(None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_and_lets_one_probe_through() {
        let breaker = CircuitBreaker::new();
        fail(&breaker, limits::VAULT_FAILURES - 1);
        breaker.pass().ok().unwrap().succeeded();
        fail(&breaker, limits::VAULT_FAILURES - 1);
        let late = breaker.pass().ok().unwrap();
        fail(&breaker, 1);
        let pause = breaker.pass().err().unwrap();
        let first = Duration::from_millis(limits::VAULT_PAUSE_MS);
        assert!(pause >= first / 2 && pause <= first, "{pause:?}");
        // What was on its way when it opened does not close it.
        late.succeeded();
        assert!(breaker.pass().is_err());

        advance(first).await;
        let probe = breaker.pass().ok().unwrap();
        assert!(breaker.pass().is_err(), "one probe at a time");
        drop(probe);
        breaker.pass().ok().unwrap().failed(None);
        let longer = breaker.pass().err().unwrap();
        assert!(longer >= first && longer <= first * 2, "{longer:?}");
        advance(first * 2).await;
        breaker.pass().ok().unwrap().succeeded();
        fail(&breaker, limits::VAULT_FAILURES - 1);
        assert!(breaker.pass().is_ok(), "closed, and counting from zero");
    }

    #[tokio::test(start_paused = true)]
    async fn it_pauses_as_long_as_it_is_asked_to_within_reason() {
        let breaker = CircuitBreaker::new();
        breaker.pass().ok().unwrap().failed(Some(Duration::from_secs(7)));
        assert_eq!(breaker.pass().err(), Some(Duration::from_secs(7)));
        advance(Duration::from_secs(7)).await;
        breaker.pass().ok().unwrap().failed(Some(Duration::from_secs(7_000)));
        let longest = Duration::from_millis(limits::VAULT_LONGEST_PAUSE_MS);
        assert_eq!(breaker.pass().err(), Some(longest));
        // Doubled for ever it would overflow.
        for _ in 0..100 {
            advance(longest).await;
            breaker.pass().ok().unwrap().failed(None);
        }
        assert!(breaker.pass().err().unwrap() <= longest);
    }
}
