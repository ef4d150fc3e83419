//! What one attempt holds of Vault: a token, leases of credentials. Kept alive while it runs, given
//! back when it ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::IgnoredAny;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use vaultrs::api::token::requests::RevokeTokenSelfRequest;
use windlass_proto::audit::AuditAction;
use windlass_proto::limits;

use super::Inner;
use super::call::{Call, Failure, seconds, whole_seconds};
use super::token::{HeldLease, Life, Token};
use crate::secret_store::SecretContext;

/// What is held.
#[derive(Default)]
pub(super) struct Held {
    state: Mutex<State>,
    /// Something was added.
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// The token of this attempt alone.
    token: Option<Arc<Token>>,
    leases: Vec<HeldLease>,
}

impl Held {
    pub(super) fn token(&self) -> Option<Arc<Token>> {
        self.state().token.clone()
    }

    pub(super) fn set_token(&self, token: Arc<Token>) {
        self.state().token = Some(token);
        self.changed.notify_one();
    }

    pub(super) fn add_lease(&self, lease: HeldLease) {
        self.state().leases.push(lease);
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the first renewal is due; none when all lasts until `deadline`.
    pub(super) fn next(&self, deadline: Option<Instant>) -> Option<Instant> {
        let state = self.state();
        let token = state.token.as_ref().and_then(|it| it.life().renewal(deadline));
        let leases = state.leases.iter().filter_map(|it| it.life.renewal(deadline));
        leases.chain(token).min()
    }

    /// The leases whose renewal is due: their hash and a copy of their id.
    fn due(&self, deadline: Option<Instant>) -> Vec<(Arc<str>, zeroize::Zeroizing<String>)> {
        let now = Instant::now();
        let is_due = |it: &&HeldLease| it.life.renewal(deadline).is_some_and(|at| at <= now);
        let state = self.state();
        state.leases.iter().filter(is_due).map(|it| (it.hash.clone(), it.id.clone())).collect()
    }

    fn change(&self, hash: &str, change: impl FnOnce(&mut Life)) {
        if let Some(lease) = self.state().leases.iter_mut().find(|it| *it.hash == *hash) {
            change(&mut lease.life);
        }
    }
}

/// Renews what `held` holds until `deadline`, or until it is aborted.
pub(super) async fn keep(
    inner: Arc<Inner>,
    held: Arc<Held>,
    context: SecretContext,
    deadline: Option<Instant>,
) {
    loop {
        let next = held.next(deadline);
        tokio::select! {
            () = held.changed.notified() => continue,
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
        }
        let left = deadline.map(|it| it.saturating_duration_since(Instant::now()));
        if left.is_some_and(|it| it.is_zero()) {
            return;
        }
        let own = held.token();
        let due = own.as_ref().and_then(|it| it.life().renewal(deadline));
        if let (Some(token), Some(true)) = (&own, due.map(|it| it <= Instant::now())) {
            let most = left.map(|it| it.min(token.life().ttl));
            inner.renew_token(token, most, &context.audit).await;
        }
        for (hash, id) in held.due(deadline) {
            // A shared token is renewed as it is used: what it leased must not end with it.
            let token = match &own {
                Some(token) => Ok(token.clone()),
                None => inner.shared_token(&context).await,
            };
            match token {
                Ok(token) => inner.renew_lease(&token, &held, &hash, &id, left, &context).await,
                Err(_) => held.change(&hash, Life::later),
            }
        }
    }
}

impl Inner {
    /// Makes one lease last longer: for `most` where that is less than it usually lasts.
    pub(super) async fn renew_lease(
        &self,
        token: &Token,
        held: &Held,
        hash: &Arc<str>,
        id: &str,
        most: Option<Duration>,
        context: &SecretContext,
    ) {
        let increment = most.map(whole_seconds);
        let Some(call) = lease_call("renew", id, increment) else { return };
        let answer = self.connection.send::<IgnoredAny>(call, Some(token.expose())).await;
        match answer {
            Ok(answer) => {
                let life = Life::new(seconds(answer.lease_duration), answer.renewable);
                held.change(hash, |it| *it = life);
                context.audit.record(AuditAction::Renewed, true, |event| {
                    event.lease = Some(hash.clone());
                    event.request = Some(answer.request_id);
                });
            }
            Err(Failure::Unavailable(_)) => held.change(hash, Life::later),
            Err(_) => {
                held.change(hash, |it| it.renew = None);
                context.audit.record(AuditAction::Renewed, false, |event| {
                    event.lease = Some(hash.clone());
                    event.detail = Some("the store does not renew it".into());
                });
            }
        }
    }

    /// Gives back all that `held` holds. Never fails: what cannot be given back ends by itself.
    pub(super) async fn give_back(&self, held: &Held, context: &SecretContext) {
        let state = std::mem::take(&mut *held.state());
        let told = |action, hash: &Arc<str>| {
            context.audit.record(action, action == AuditAction::Revoked, |event| {
                event.lease = Some(hash.clone());
            });
        };
        if let Some(token) = state.token.as_ref().filter(|it| !it.batch && !it.life().ended()) {
            // What it leased is revoked with it.
            if self.revoke(|| Call::of(&RevokeTokenSelfRequest {}), token).await {
                told(AuditAction::Revoked, &token.hash);
                state.leases.iter().for_each(|it| told(AuditAction::Revoked, &it.hash));
                return;
            }
        }
        if !state.leases.is_empty() {
            let token = match &state.token {
                Some(token) => Ok(token.clone()),
                None => self.shared_token(context).await,
            };
            for lease in &state.leases {
                let call = || lease_call("revoke", &lease.id, None);
                let revoked = match &token {
                    Ok(token) if !lease.life.ended() => self.revoke(call, token).await,
                    _ => false,
                };
                told(
                    if revoked { AuditAction::Revoked } else { AuditAction::Expired },
                    &lease.hash,
                );
            }
        }
        if let Some(token) = state.token {
            told(AuditAction::Expired, &token.hash);
        }
    }

    pub(super) async fn revoke(&self, call: impl Fn() -> Option<Call>, token: &Token) -> bool {
        for number in 0..limits::RELEASE_TRIES {
            let Some(call) = call() else { return false };
            match self.connection.send::<IgnoredAny>(call, Some(token.expose())).await {
                Ok(_) => return true,
                Err(Failure::Unavailable(_)) => {
                    sleep(Duration::from_millis(limits::VAULT_PAUSE_MS) * 2u32.pow(number)).await;
                }
                Err(_) => return false,
            }
        }
        false
    }
}

/// What vaultrs has no request for: something done with a lease.
fn lease_call(verb: &str, id: &str, increment: Option<u64>) -> Option<Call> {
    #[derive(Serialize)]
    struct Body<'a> {
        lease_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        increment: Option<u64>,
    }
    let body = Body { lease_id: id, increment };
    Call::post(format!("sys/leases/{verb}"), &body, id.len() + 64)
}
