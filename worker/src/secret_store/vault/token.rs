//! Tokens of Vault, and how long they last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use windlass_proto::limits;
use zeroize::Zeroizing;

use super::call::{Auth, seconds};
use crate::secret_store::lease_hash;

/// A token: whoever has it may do what its policies say. Wiped when dropped.
pub(super) struct Token {
    text: Zeroizing<String>,
    /// What audit events call it.
    pub(super) hash: Arc<str>,
    /// The id of the request that gave it, which the store's own log shows too.
    pub(super) request: Arc<str>,
    /// Batch tokens are nowhere stored: they can be neither renewed nor revoked.
    pub(super) batch: bool,
    life: Mutex<Life>,
}

/// How long something lasts that ends by itself.
#[derive(Clone, Copy)]
pub(super) struct Life {
    pub(super) ttl: Duration,
    pub(super) renewable: bool,
    /// None for what does not end.
    pub(super) ends: Option<Instant>,
    /// When to try a renewal; none when there is nothing more to try.
    pub(super) renew: Option<Instant>,
}

impl Life {
    /// A life that begins now; a `ttl` of zero is one without end.
    pub(super) fn new(ttl: Duration, renewable: bool) -> Self {
        let now = Instant::now();
        let least = Duration::from_millis(limits::LEASE_RENEWAL_MS);
        let endless = ttl.is_zero();
        Self {
            ttl,
            renewable,
            ends: (!endless).then(|| now + ttl),
            // Two tries are left before the end when the first one fails.
            renew: (!endless && renewable).then(|| now + (ttl * 2 / 3).max(least)),
        }
    }

    pub(super) fn ended(&self) -> bool {
        self.ends.is_some_and(|it| it <= Instant::now())
    }

    /// When to renew so that it lasts until `deadline`; none when it does so anyway.
    pub(super) fn renewal(&self, deadline: Option<Instant>) -> Option<Instant> {
        let lasts = match (self.ends, deadline) {
            (None, _) => true,
            (Some(ends), Some(deadline)) => ends >= deadline,
            (Some(_), None) => false,
        };
        self.renew.filter(|_| !lasts)
    }

    /// After a renewal that failed and may work later.
    pub(super) fn later(&mut self) {
        let now = Instant::now();
        let left = self.ends.map_or(self.ttl, |it| it.saturating_duration_since(now));
        let least = Duration::from_millis(limits::LEASE_RENEWAL_MS);
        self.renew = (!left.is_zero()).then(|| now + (left / 3).max(least));
    }
}

impl Token {
    pub(super) fn new(auth: Auth, request: Arc<str>) -> Self {
        let life = Life::new(seconds(auth.lease_duration), auth.renewable);
        let batch = auth.token_type == "batch";
        // A batch token has no accessor.
        let id = if auth.accessor.0.is_empty() { &auth.client_token.0 } else { &auth.accessor.0 };
        let (hash, text) = (lease_hash(id), auth.client_token.0);
        Self { text, hash, request, batch, life: Mutex::new(life) }
    }

    /// The token itself. Whoever calls this answers for where it goes.
    pub(super) fn expose(&self) -> &str {
        &self.text
    }

    pub(super) fn life(&self) -> Life {
        *self.lock()
    }

    pub(super) fn set_life(&self, life: Life) {
        *self.lock() = life;
    }

    fn lock(&self) -> MutexGuard<'_, Life> {
        // A panic elsewhere cannot leave it half changed.
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lease of an engine that makes credentials. Its id is wiped when dropped: who has it and the
/// right policy can revoke it.
pub(super) struct HeldLease {
    pub(super) id: Zeroizing<String>,
    /// What audit events call it.
    pub(super) hash: Arc<str>,
    pub(super) life: Life,
}

impl HeldLease {
    pub(super) fn new(id: Zeroizing<String>, life: Life) -> Self {
        Self { hash: lease_hash(&id), id, life }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::Life;

    #[tokio::test(start_paused = true)]
    async fn a_life_is_renewed_at_two_thirds_unless_it_outlasts_the_task() {
        let second = Duration::from_secs(1);
        let now = Instant::now();
        let mut life = Life::new(second * 30, true);
        assert_eq!(life.renewal(None), Some(now + second * 20));
        assert_eq!(life.renewal(Some(now + second * 31)), Some(now + second * 20));
        assert_eq!(life.renewal(Some(now + second * 30)), None);
        assert_eq!(Life::new(second * 30, false).renewal(None), None);
        assert_eq!(Life::new(Duration::ZERO, true).renewal(None), None, "it has no end");

        advance(second * 20).await;
        life.later();
        let third = life.renewal(None).unwrap() - Instant::now();
        assert!(third > second * 3 && third < second * 4, "{third:?}");
        advance(second * 10).await;
        life.later();
        assert!(life.ended() && life.renewal(None).is_none());
    }
}
