//! Secrets from HashiCorp Vault or OpenBao.
//!
//! With the `jwt` method each attempt logs in with the identity that the coordinator signed for its
//! task, at the first need, and gives its token back when it ends: Vault itself decides what each
//! workflow reads, and its audit log says which task did. Where the configuration says so, attempts
//! with the same rights share a login (see [`shared_login`]). The other methods are for setups
//! without that, and each gives something away: `approle` and `kubernetes` share one token among
//! all attempts of a worker, so that Vault sees the worker and permits every workflow what the
//! worker may; `kubernetes` needs no credential of ours, `approle` a secret id in a file; `token`
//! is a token that somebody else made, which nobody replaces when it ends.
//!
//! **Invariant:** no token, lease id or path of Vault is in a message, a span or an audit event.
//! Values, tokens, requests and answers are wiped when dropped; what the libraries for TLS, HTTP
//! and logins copy on the way is not.

mod cache;
mod call;
mod circuit_breaker;
mod connection;
mod held;
mod login;
mod rate;
mod read;
mod shared_login;
mod token;
mod transit;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use windlass_proto::limits;
use windlass_proto::sealed::Sealed;
use windlass_proto::secret::SecretName;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::Grant;
use zeroize::Zeroizing;

use self::cache::SecretCache;
use self::call::{Answer, Call, Failure};
use self::connection::Connection;
use self::held::{Held, keep};
use self::login::{Claims, Roles};
use self::read::ReadTogether;
use self::shared_login::{LoginUse, Rights, SharedLogins};
use self::token::{Life, Token};
use super::config::{SecretsConfigError, VaultConfig};
use super::{SecretContext, SecretError, SecretSession, SecretSource, SecretValue, StoreClock};
use crate::clock;

/// A Vault that attempts read secrets from. They share its connections and its bounds.
pub struct VaultSecrets {
    inner: Arc<Inner>,
}

/// What all attempts share.
struct Inner {
    config: VaultConfig,
    connection: Connection,
    /// The token of methods that know the worker only.
    shared: Mutex<Option<Arc<Token>>>,
    /// Those of attempts with the same rights.
    logins: SharedLogins,
    roles: Roles,
    cache: SecretCache,
}

impl VaultSecrets {
    /// Reads secrets as `config` says. Nothing is asked of Vault yet.
    ///
    /// # Errors
    /// When the file of certificates cannot be used.
    pub fn new(config: VaultConfig) -> Result<Self, SecretsConfigError> {
        if config.address.scheme() == "http" && !is_loopback(&config) {
            tracing::warn!("secrets cross the network in clear text: the vault's address is http");
        }
        let connection = Connection::new(&config)?;
        let cache = SecretCache::new(config.cache);
        let (shared, logins, roles) = Default::default();
        let inner = Inner { config, connection, shared, logins, roles, cache };
        Ok(Self { inner: Arc::new(inner) })
    }
}

fn is_loopback(config: &VaultConfig) -> bool {
    let host = config.address.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback())
}

impl SecretSource for VaultSecrets {
    fn clock(&self) -> Option<StoreClock> {
        self.inner.connection.clock()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.inner.logins.close())
    }

    fn holds_nothing(&self) -> bool {
        self.inner.logins.is_empty()
    }

    fn session(&self, context: SecretContext) -> Box<dyn SecretSession> {
        let deadline = context.deadline.and_then(instant);
        Box::new(Attempt {
            inner: self.inner.clone(),
            access: self.inner.access(&context),
            login: None,
            deadline,
            held: Arc::default(),
            renewal: None,
            read: HashSet::new(),
            together: HashMap::new(),
            told_away: false,
            context,
        })
    }
}

/// The moment of a wall-clock time; none when it is too far off to count.
fn instant(at: Timestamp) -> Option<Instant> {
    Instant::now().checked_add(clock::until(at))
}

/// Whose token an attempt asks with.
enum Access {
    /// That of the worker: the method knows no tasks.
    Worker,
    /// Its own.
    Own,
    /// That of all attempts with these rights.
    Shared(Rights),
}

impl Inner {
    fn access(&self, context: &SecretContext) -> Access {
        if !self.own_tokens() {
            return Access::Worker;
        }
        let secrets = context.grant.as_ref().map_or(&[][..], |it| &it.secrets);
        let shares = self.config.shares_login(&context.workflow.namespace, secrets);
        let rights = shares.then(|| Rights::of(context)).flatten();
        rights.map_or(Access::Own, Access::Shared)
    }
}

/// What one attempt holds of Vault.
struct Attempt {
    inner: Arc<Inner>,
    context: SecretContext,
    access: Access,
    /// The login it shares, where it does.
    login: Option<LoginUse>,
    deadline: Option<Instant>,
    held: Arc<Held>,
    /// Renews what is held.
    renewal: Option<AbortHandle>,
    /// What it has read: a second read must not come from the cache.
    read: HashSet<SecretName>,
    /// What was read for one secret and is another's as well.
    together: HashMap<(String, String), ReadTogether>,
    /// Whether it was told that a result could not be sealed now: that is tried again and again.
    told_away: bool,
}

impl Attempt {
    /// The token it has: its own, or that of the login it shares.
    fn held_token(&self) -> Option<Arc<Token>> {
        match &self.login {
            Some(login) => Some(login.token().clone()),
            None => self.held.token(),
        }
    }

    /// A token to ask with: this attempt's own, or a shared one.
    async fn token(&mut self) -> Result<Arc<Token>, SecretError> {
        match &self.access {
            Access::Worker => return self.inner.shared_token(&self.context).await,
            Access::Shared(rights) => {
                if let Some(login) = self.login.as_ref().filter(|it| !it.token().life().ended()) {
                    return Ok(login.token().clone());
                }
                let login = self.inner.join_login(rights, &self.context).await?;
                return Ok(self.login.insert(login).token().clone());
            }
            Access::Own => {}
        }
        // One that has ended is replaced for as long as the identity is good.
        if let Some(token) = self.held.token().filter(|it| !it.life().ended()) {
            return Ok(token);
        }
        let token = self.inner.log_in(&self.context).await?;
        self.held.set_token(token.clone());
        if let Some(most) = self.too_long(token.life()) {
            self.inner.renew_token(&token, Some(most), &self.context.audit).await;
        }
        Ok(token)
    }

    /// How long something should last that would outlive the task by far, should nobody be left to
    /// give it back; none when it would not.
    fn too_long(&self, life: Life) -> Option<Duration> {
        let overhang = Duration::from_millis(limits::LEASE_OVERHANG_MS);
        let (deadline, ends) = (self.deadline?, life.ends?);
        let long = life.renewable && ends.saturating_duration_since(deadline) > overhang;
        // What is sealed or reported after the deadline still has half of that.
        long.then(|| deadline.saturating_duration_since(Instant::now()) + overhang / 2)
    }

    /// Asks with a token; once more with a new one when a shared one is not known any more.
    async fn ask<T: DeserializeOwned>(
        &mut self,
        call: impl Fn() -> Option<Call> + Send + Sync,
    ) -> Result<(Answer<T>, Arc<Token>), Failure> {
        let mut again = !matches!(self.access, Access::Own);
        loop {
            let token = self.token().await.map_err(|error| match error {
                SecretError::Unavailable(reason) | SecretError::Refused(reason) => {
                    Failure::Unavailable(reason)
                }
                SecretError::LoginRefused => Failure::LoginRefused,
                SecretError::Forbidden | SecretError::Missing | SecretError::OtherKey(_) => {
                    Failure::Forbidden
                }
            })?;
            self.keep_alive();
            let made = call().ok_or_else(|| Failure::unavailable("it cannot be asked for that"))?;
            let answer = self.inner.connection.send(made, Some(token.expose())).await;
            match answer {
                Err(Failure::Forbidden) if std::mem::take(&mut again) => {
                    let gone = match &self.login {
                        Some(_) => self.inner.is_gone(&token).await,
                        None => self.inner.shared_token_is_gone(&token).await,
                    };
                    if !gone {
                        return Err(Failure::Forbidden);
                    }
                    if let Some(login) = self.login.take() {
                        login.retire();
                    }
                }
                answer => return answer.map(|it| (it, token)),
            }
        }
    }

    /// Has what is held renewed from now on, where it would not last. The renewing ends with this
    /// attempt.
    fn keep_alive(&mut self) {
        if self.held.next(self.deadline).is_none() {
            return;
        }
        let Self { inner, held, context, deadline, .. } = self;
        self.renewal.get_or_insert_with(|| {
            let keeping = keep(inner.clone(), held.clone(), context.clone(), *deadline);
            tokio::spawn(keeping).abort_handle()
        });
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(renewal) = self.renewal.take() {
            renewal.abort();
        }
    }
}

impl SecretSession for Attempt {
    fn read<'a>(
        &'a mut self,
        name: &'a SecretName,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>> {
        Box::pin(self.read_secret(name))
    }

    fn seal<'a>(
        &'a mut self,
        texts: &'a [Zeroizing<Vec<u8>>],
    ) -> BoxFuture<'a, Result<Vec<Sealed>, SecretError>> {
        Box::pin(self.encrypt(texts))
    }

    fn open<'a>(
        &'a mut self,
        sealed: &'a [Sealed],
    ) -> BoxFuture<'a, Result<Vec<Zeroizing<Vec<u8>>>, SecretError>> {
        Box::pin(self.decrypt(sealed))
    }

    fn ends(&self) -> Option<Instant> {
        if matches!(self.access, Access::Worker) {
            return None;
        }
        // Another token can be had for as long as the identity is good.
        let identity = self.context.identity().and_then(Claims::of);
        let identity = self.context.began + identity.map(|it| it.life()).unwrap_or_default();
        match self.held_token() {
            Some(token) => token.life().ends.map(|it| it.max(identity)),
            None => Some(identity),
        }
    }

    fn release(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        if let Some(renewal) = self.renewal.take() {
            renewal.abort();
        }
        Box::pin(async move { self.inner.give_back(&self.held, &self.context).await })
    }
}

impl SecretContext {
    /// The identity whose rights a cached secret was read with.
    fn identity(&self) -> Option<&windlass_proto::wire::IdentityToken> {
        self.grant.as_ref().and_then(|it: &Grant| it.identity.as_ref())
    }
}
