//! Access tokens that are kept for the next call, and who asks for new ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use windlass_proto::limits;
use windlass_proto::problem::Problem;
use windlass_proto::secret::Secret;

use crate::cache::Cache;

/// The digest of everything a token is asked for with: whose it is, and for what.
pub(crate) type Identity = [u8; 32];

/// Tokens by identity. Of all attempts that need one at the same time, one asks for it.
pub(crate) struct TokenCache {
    kept: Cache<Identity, Kept>,
    /// Whose turn it is, as long as somebody asks or waits.
    turns: Mutex<HashMap<Identity, Weak<Turns>>>,
}

type Turns = tokio::sync::Mutex<Option<Failed>>;

/// The right to ask for a token; others wait until it is dropped.
pub(crate) type Turn = OwnedMutexGuard<Option<Failed>>;

/// Asking for a token has failed.
pub(crate) struct Failed {
    at: Instant,
    problem: Problem,
}

/// An access token.
#[derive(Clone)]
pub(crate) struct AccessToken {
    pub(crate) scheme: Arc<str>,
    pub(crate) value: Arc<Secret<String>>,
}

/// A token, and from when on it should be replaced although it is good.
#[derive(Clone)]
struct Kept {
    token: AccessToken,
    until: Instant,
    renew_from: Instant,
}

/// What there is for an identity.
pub(crate) enum Found {
    /// A token that is good for a while.
    Fresh(AccessToken),
    /// A token that is good, and the right to replace it, which nobody else has.
    Ageing(AccessToken, Turn),
    /// Nothing yet, and the right to ask.
    Nothing(Turn),
}

impl TokenCache {
    pub(crate) fn new() -> Self {
        Self { kept: Cache::new(limits::CACHED_TOKENS), turns: Mutex::default() }
    }

    /// The token of `identity`, or the right to ask for one, which is waited for; `refused` is one
    /// that will not do.
    ///
    /// # Errors
    /// The problem of somebody who asked meanwhile, and got none.
    pub(crate) async fn find(
        &self,
        identity: &Identity,
        refused: Option<&AccessToken>,
    ) -> Result<Found, Problem> {
        let good = || {
            let kept = self.kept.get(identity)?;
            let is_refused =
                refused.is_some_and(|it| it.value.expose() == kept.token.value.expose());
            (!is_refused).then_some(kept)
        };
        if let Some(kept) = good() {
            let turn = (kept.renew_from <= Instant::now()).then(|| self.turns(identity));
            return Ok(match turn.and_then(|it| it.try_lock_owned().ok()) {
                Some(turn) => Found::Ageing(kept.token, turn),
                None => Found::Fresh(kept.token),
            });
        }
        let since = Instant::now();
        let turn = self.turns(identity).lock_owned().await;
        if let Some(kept) = good() {
            return Ok(Found::Fresh(kept.token));
        }
        match &*turn {
            Some(failed) if failed.at >= since => Err(failed.problem.clone()),
            _ => Ok(Found::Nothing(turn)),
        }
    }

    /// Keeps a token for its lifetime, as its issuer told it.
    pub(crate) fn keep(&self, identity: Identity, token: AccessToken, lifetime: Duration) {
        // A lifetime beyond what the clock can hold is kept for as long as asked for at most.
        let longest = Duration::from_millis(limits::ACCESS_TOKEN_KEPT_MS);
        let usable = usable(lifetime).min(longest);
        let now = Instant::now();
        let (until, early) = (now + usable, usable / limits::TOKEN_RENEWAL_PART);
        self.put(identity, Kept { token, until, renew_from: until - early });
    }

    /// A token that could not be replaced is used for a while before somebody tries again.
    pub(crate) fn put_off(&self, identity: Identity) {
        if let Some(kept) = self.kept.get(&identity) {
            let renew_from = Instant::now() + Duration::from_millis(limits::TOKEN_RETRY_MS);
            self.put(identity, Kept { renew_from, ..kept });
        }
    }

    fn put(&self, identity: Identity, kept: Kept) {
        let until = kept.until;
        self.kept.put(identity, kept, until);
    }

    fn turns(&self, identity: &Identity) -> Arc<Turns> {
        let mut all = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = all.get(identity).and_then(Weak::upgrade) {
            return turns;
        }
        if all.len() >= limits::CACHED_TOKENS {
            all.retain(|_, turns| turns.strong_count() > 0);
        }
        let turns = Arc::new(Turns::default());
        all.insert(*identity, Arc::downgrade(&turns));
        turns
    }
}

/// The part of the life of a token in which it is used: it may be on its way for a while. Of one
/// that lives no longer than that, half.
pub(crate) fn usable(life: Duration) -> Duration {
    life.saturating_sub(Duration::from_millis(limits::TOKEN_SKEW_MS).min(life / 2))
}

/// Tells those who wait for the turn that there is no token.
pub(crate) fn failed(turn: &mut Turn, problem: &Problem) {
    **turn = Some(Failed { at: Instant::now(), problem: problem.clone() });
}

#[cfg(test)]
mod tests;
