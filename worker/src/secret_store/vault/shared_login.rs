//! Logins that attempts with the same rights share: had by the first of them, used by those that
//! begin while it is young, renewed while one uses it, given back when none has for a while.
//!
//! **Invariant:** nobody gets at a login but attempts whose grant is, word for word, that of the
//! attempt which logged in. Vault has checked one identity of these rights, with its signature; the
//! others are taken on the word of the coordinator, which every assignment is sealed with.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::TaskTracker;
use vaultrs::api::token::requests::RevokeTokenSelfRequest;
use windlass_proto::audit::AuditAction;
use windlass_proto::id::WorkflowId;
use windlass_proto::limits;
use windlass_proto::secret::SecretName;

use super::Inner;
use super::call::Call;
use super::login::Claims;
use super::token::Token;
use crate::audit::AttemptAudit;
use crate::secret_store::{SecretContext, SecretError};

/// For how long attempts may join a login.
const YOUNG: Duration = Duration::from_millis(limits::SHARED_LOGIN_MS);

/// For how long one that nobody uses is kept.
const IDLE: Duration = Duration::from_millis(limits::SHARED_LOGIN_IDLE_MS);

/// All that the rights of an attempt depend on. The subject by itself would do, but for the hash in
/// it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Rights {
    subject: String,
    workflow: WorkflowId,
    environment: Arc<str>,
    secrets: Vec<SecretName>,
}

impl Rights {
    /// Those of an attempt; none where it cannot say who it is.
    pub(super) fn of(context: &SecretContext) -> Option<Self> {
        let grant = context.grant.as_ref()?;
        let subject = Claims::of(context.identity()?)?.sub;
        (!subject.is_empty()).then(|| Self {
            subject,
            workflow: context.workflow.clone(),
            environment: grant.environment.clone(),
            secrets: grant.secrets.clone(),
        })
    }
}

/// The logins there are.
#[derive(Default)]
pub(super) struct SharedLogins {
    places: Mutex<HashMap<Rights, Arc<Place>>>,
    /// No attempt begins any more: nothing is kept that nobody uses.
    closed: AtomicBool,
    keepers: TaskTracker,
}

/// Where attempts with the same rights find their login. Who holds the lock may be logging in.
#[derive(Default)]
struct Place(tokio::sync::Mutex<Option<Arc<SharedLogin>>>);

/// A login that is shared.
struct SharedLogin {
    token: Arc<Token>,
    made: Instant,
    state: Mutex<State>,
    /// Nobody uses it any more, or it is not to be kept.
    changed: Notify,
}

struct State {
    users: usize,
    /// Since when there have been none.
    idle: Instant,
    /// Whether it is given back as soon as nobody uses it; then nobody joins it any more.
    retired: bool,
    /// In whose name it is kept and given back: that of the attempt that used it last.
    audit: AttemptAudit,
}

/// What its keeper has to do.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    GiveBack,
    Renew,
    Wait(Option<Instant>),
}

/// The use of a login by one attempt, until it is dropped.
pub(super) struct LoginUse {
    login: Arc<SharedLogin>,
    audit: AttemptAudit,
}

impl LoginUse {
    pub(super) fn token(&self) -> &Arc<Token> {
        &self.login.token
    }

    /// Lets nobody join it any more: Vault does not know it.
    pub(super) fn retire(&self) {
        self.login.retire();
    }
}

impl Drop for LoginUse {
    fn drop(&mut self) {
        let mut state = self.login.state();
        state.users = state.users.saturating_sub(1);
        // What it keeps of this attempt must not hold up others.
        self.audit.give_back();
        state.audit = self.audit.clone();
        if state.users == 0 {
            state.idle = Instant::now();
            self.login.changed.notify_one();
        }
    }
}

impl SharedLogin {
    fn new(token: Arc<Token>, audit: AttemptAudit) -> Self {
        let now = Instant::now();
        let state = State { users: 0, idle: now, retired: false, audit };
        Self { token, made: now, state: Mutex::new(state), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The use of it by another attempt; none when it is too old for that.
    fn join(self: &Arc<Self>, audit: &AttemptAudit) -> Option<LoginUse> {
        let mut state = self.state();
        if state.retired || self.made.elapsed() >= YOUNG || self.token.life().ended() {
            return None;
        }
        state.users += 1;
        Some(LoginUse { login: self.clone(), audit: audit.clone() })
    }

    fn retire(&self) {
        self.state().retired = true;
        self.changed.notify_one();
    }

    fn next(&self) -> Next {
        let (now, life) = (Instant::now(), self.token.life());
        let mut state = self.state();
        if life.ended() {
            state.retired = true;
            return Next::GiveBack;
        }
        if state.users == 0 {
            let until = state.idle + IDLE;
            if state.retired || until <= now || self.made.elapsed() >= YOUNG {
                // Decided under the lock: who comes later finds that it is not to be joined.
                state.retired = true;
                return Next::GiveBack;
            }
            return Next::Wait(Some(life.ends.map_or(until, |it| it.min(until))));
        }
        match life.renewal(None) {
            Some(at) if at <= now => Next::Renew,
            at => Next::Wait([at, life.ends].into_iter().flatten().min()),
        }
    }
}

impl SharedLogins {
    fn place(&self, rights: &Rights) -> Arc<Place> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(rights) {
            return place.clone();
        }
        // Logins that came to nothing left theirs behind; nobody waits at those.
        places.retain(|_, it| Arc::strong_count(it) > 1);
        places.entry(rights.clone()).or_default().clone()
    }

    /// Keeps nothing any more that nobody uses, and waits until all is given back.
    pub(super) async fn close(&self) {
        self.begin_to_close().await;
        self.keepers.wait().await;
    }

    async fn begin_to_close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.keepers.close();
        let places: Vec<_> = {
            let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.values().cloned().collect()
        };
        for place in places {
            if let Some(login) = &*place.0.lock().await {
                login.retire();
            }
        }
    }

    /// True when nothing is left to give back.
    pub(super) fn is_empty(&self) -> bool {
        self.keepers.is_empty()
    }
}

impl Inner {
    /// The login of attempts with these rights: one that is there, or a new one.
    pub(super) async fn join_login(
        self: &Arc<Self>,
        rights: &Rights,
        context: &SecretContext,
    ) -> Result<LoginUse, SecretError> {
        let place = self.logins.place(rights);
        // Who waits here waits for somebody's login, which is bounded.
        let Ok(mut found) = timeout(self.config.timeout * 2, place.0.lock()).await else {
            let reason = "a login to it takes too long";
            return Err(SecretError::Unavailable(reason.to_owned()));
        };
        if let Some(login) = &*found {
            if let Some(joined) = login.join(&context.audit) {
                context.audit.record(AuditAction::Login, true, |event| {
                    event.lease = Some(login.token.hash.clone());
                    event.request = Some(login.token.request.clone());
                    event.detail = Some("it shares the login of an attempt with its rights".into());
                });
                return Ok(joined);
            }
            login.retire();
        }
        *found = None;
        let token = self.log_in(context).await?;
        if token.life().ttl > YOUNG && token.life().renewable {
            // What nobody can give back any more lasts no longer than others.
            self.renew_token(&token, Some(YOUNG), &context.audit).await;
        }
        let login = Arc::new(SharedLogin::new(token, context.audit.clone()));
        let joined = login.join(&context.audit);
        let joined = joined.ok_or_else(|| {
            SecretError::Unavailable("its login gave a token that has ended".to_owned())
        })?;
        if self.logins.closed.load(Ordering::Relaxed) {
            login.state().retired = true;
        }
        *found = Some(login.clone());
        drop(found);
        let (inner, rights) = (self.clone(), rights.clone());
        self.logins.keepers.spawn(async move { inner.keep_login(&rights, &place, &login).await });
        Ok(joined)
    }

    /// Renews a login while it is used, and gives it back when it has not been for a while.
    async fn keep_login(&self, rights: &Rights, place: &Arc<Place>, login: &Arc<SharedLogin>) {
        loop {
            match login.next() {
                Next::GiveBack => break,
                Next::Renew => {
                    let audit = login.state().audit.clone();
                    let most = login.token.life().ttl.min(YOUNG);
                    self.renew_token(&login.token, Some(most), &audit).await;
                }
                Next::Wait(until) => tokio::select! {
                    () = login.changed.notified() => {}
                    () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
                },
            }
        }
        let is_same = |it: &Arc<SharedLogin>| Arc::ptr_eq(it, login);
        {
            let mut found = place.0.lock().await;
            if found.as_ref().is_some_and(is_same) {
                *found = None;
                let mut places = self.logins.places.lock().unwrap_or_else(PoisonError::into_inner);
                // Others may be about to log in there: this is one reference, the map's another.
                if Arc::strong_count(place) <= 2 {
                    places.remove(rights);
                }
            }
        }
        let token = &login.token;
        let revoked = !token.batch
            && !token.life().ended()
            && self.revoke(|| Call::of(&RevokeTokenSelfRequest {}), token).await;
        let audit = login.state().audit.clone();
        let action = if revoked { AuditAction::Revoked } else { AuditAction::Expired };
        audit.record(action, revoked, |event| event.lease = Some(token.hash.clone()));
    }
}

#[cfg(test)]
mod tests;
