//! Getting a token: with the task's own identity, or with what the worker has.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};
use vaultrs::api::auth::approle::requests::LoginWithApproleRequest;
use vaultrs::api::auth::kubernetes::requests::LoginWithKubernetesRequest;
use vaultrs::api::auth::oidc::requests::JWTLoginRequest;
use vaultrs::api::token::requests::{LookupTokenSelfRequest, RenewTokenSelfRequest};
use windlass_proto::audit::AuditAction;
use windlass_proto::limits;
use windlass_proto::secret;
use windlass_proto::wire::IdentityToken;
use zeroize::Zeroizing;

use super::Inner;
use super::call::{Answer, Auth, Call, Failure, Wiped, seconds, whole_seconds};
use super::connection::KEYS_AWAY;
use super::token::{Life, Token};
use crate::audit::AttemptAudit;
use crate::clock;
use crate::secret_store::config::{VaultAuth, text};
use crate::secret_store::{SecretContext, SecretError, jittered};

/// What this side reads of an identity, without checking it: Vault does that.
#[derive(Deserialize)]
pub(super) struct Claims {
    #[serde(default)]
    pub(super) sub: String,
    iat: Option<u64>,
    nbf: Option<u64>,
    exp: Option<u64>,
}

/// What is said of an identity that was good for its time and is used too late.
const EXPIRED: &str = "the task's identity expired before it was used";

impl Claims {
    pub(super) fn of(identity: &IdentityToken) -> Option<Self> {
        let payload = identity.expose().split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    /// How long it is good from when it was signed.
    pub(super) fn life(&self) -> Duration {
        seconds(self.exp.unwrap_or_default().saturating_sub(self.signed()))
    }

    /// When it was signed, by the coordinator's clock: what it says of its beginning is early.
    fn signed(&self) -> u64 {
        self.iat.unwrap_or_default().saturating_add(limits::IDENTITY_LEEWAY_S)
    }

    /// Why it is not good at `store`, a time of the store's clock in seconds, `age` after it was
    /// signed; none when it is.
    fn out_of_time(&self, age: Duration, store: u64) -> Option<String> {
        let coordinator = self.signed().saturating_add(age.as_secs());
        let begins = self.nbf.max(self.iat).unwrap_or_default();
        let hint = "set both by one time service";
        if store < begins {
            let skew = coordinator.saturating_sub(store);
            return Some(format!(
                "the task's identity is not valid yet, as the coordinator's clock is {skew} s ahead \
                 of the secret store's: {hint}"
            ));
        }
        if self.exp.is_none_or(|it| store < it) {
            return None;
        }
        let skew = store.saturating_sub(coordinator);
        // Seconds are not whole everywhere, and messages take their time.
        Some(if skew > 2 {
            format!(
                "the task's identity has expired, as the coordinator's clock is {skew} s behind the \
                 secret store's: {hint}"
            )
        } else {
            EXPIRED.to_owned()
        })
    }

    fn expired(&self) -> bool {
        self.exp.is_some_and(|it| it <= clock::time_of_day().as_secs())
    }
}

/// Whether the store has roles for tasks with few secrets.
#[derive(Default)]
pub(super) struct Roles(Mutex<Option<Instant>>);

impl Roles {
    /// True for a while after they were found missing.
    fn are_missing(&self) -> bool {
        let missing = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        missing.is_some_and(|it| it.elapsed() < Duration::from_millis(limits::SECRET_ROLES_MS))
    }

    fn found_missing(&self) {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now()).is_none() {
            tracing::warn!(
                "the vault has no roles for tasks with few secrets, which would cost it less: run \
                 `windlass secret setup vault` once more"
            );
        }
    }
}

impl Inner {
    /// True when each attempt has a token of its own, which ends with it.
    pub(super) fn own_tokens(&self) -> bool {
        matches!(self.config.auth, VaultAuth::Jwt { .. })
    }

    /// Logs in for one attempt.
    pub(super) async fn log_in(&self, context: &SecretContext) -> Result<Arc<Token>, SecretError> {
        let answer = match &self.config.auth {
            VaultAuth::Token { token_file } => self.take_over(token_file).await,
            other => self.show_as_narrow(other, context).await?,
        };
        let answer = answer.map_err(|failure| {
            let error = match failure {
                Failure::Unavailable(reason) => SecretError::Unavailable(reason),
                Failure::Missing => unavailable("the way to log in to it does not exist"),
                // The worker's own credentials say nothing about the workflow.
                _ if !self.own_tokens() => unavailable("it refuses this worker"),
                // Asked only now: with the tolerance of the role it may have been good. Another
                // delivery of the task has a fresh one.
                _ => match self.out_of_time(context) {
                    Some(reason) => SecretError::Unavailable(reason),
                    None => SecretError::LoginRefused,
                },
            };
            refused(context, error)
        })?;
        let Answer { auth: Some(auth), request_id, .. } = answer else {
            return Err(refused(context, unavailable("its login gave no token")));
        };
        let token = Token::new(auth, request_id);
        context.audit.record(AuditAction::Login, true, |event| {
            event.lease = Some(token.hash.clone());
            event.request = Some(token.request.clone());
        });
        Ok(Arc::new(token))
    }

    /// Logs in with the role for as few slots as the task needs; with that for all where the store
    /// does not have it.
    async fn show_as_narrow(
        &self,
        auth: &VaultAuth,
        context: &SecretContext,
    ) -> Result<Result<Answer<()>, Failure>, SecretError> {
        let all = limits::SECRETS_PER_TASK;
        let granted = context.grant.as_ref().map_or(&[][..], |it| &it.secrets);
        let slots = if self.roles.are_missing() { all } else { secret::slots(granted) };
        let answer = self.show_identity(auth, context, slots).await?;
        let refused = matches!(answer, Err(Failure::Refused(_)));
        if !refused || slots == all || !self.own_tokens() {
            return Ok(answer);
        }
        let again = self.show_identity(auth, context, all).await?;
        if again.is_ok() {
            self.roles.found_missing();
        }
        Ok(again)
    }

    /// Logs in with what proves who this is; again for a while when the store cannot fetch the keys
    /// to check it with, as the coordinator starts within seconds.
    async fn show_identity(
        &self,
        auth: &VaultAuth,
        context: &SecretContext,
        slots: usize,
    ) -> Result<Result<Answer<()>, Failure>, SecretError> {
        // So that who waits for it is told the reason.
        let until = Instant::now() + Duration::from_millis(limits::SECRET_TIMEOUT_MS * 3 / 4);
        loop {
            let call =
                self.login_call(auth, context, slots).map_err(|error| refused(context, error))?;
            let answer = self.connection.send::<()>(call, None).await;
            let pause = jittered(Duration::from_millis(limits::VAULT_PAUSE_MS));
            let away = matches!(&answer, Err(Failure::Unavailable(reason)) if reason == KEYS_AWAY);
            if !away || Instant::now() + pause > until {
                return Ok(answer);
            }
            sleep(pause).await;
        }
    }

    /// Why the store's clock makes an identity useless that it has just refused; none when it does
    /// not.
    fn out_of_time(&self, context: &SecretContext) -> Option<String> {
        let claims = context.identity().and_then(Claims::of)?;
        let age = context.began.elapsed();
        match self.connection.clock() {
            Some(clock) => {
                claims.out_of_time(age, clock.at.0 / 1_000 + clock.seen.elapsed().as_secs())
            }
            None => claims.expired().then(|| EXPIRED.to_owned()),
        }
    }

    fn login_call(
        &self,
        auth: &VaultAuth,
        context: &SecretContext,
        slots: usize,
    ) -> Result<Call, SecretError> {
        let call = match auth {
            VaultAuth::Jwt { mount, role } => {
                let identity = context
                    .identity()
                    .ok_or_else(|| unavailable("the coordinator gave the task no identity"))?;
                Call::of(&JWTLoginRequest {
                    mount: mount.clone(),
                    jwt: identity.expose().to_owned(),
                    role: Some(secret::name_for_slots(role, slots)),
                })
            }
            VaultAuth::AppRole { mount, role_id, secret_id_file } => {
                Call::of(&LoginWithApproleRequest {
                    mount: mount.clone(),
                    role_id: role_id.clone(),
                    secret_id: credential(secret_id_file)?.to_string(),
                })
            }
            VaultAuth::Kubernetes { mount, role, token_file } => {
                Call::of(&LoginWithKubernetesRequest {
                    mount: mount.clone(),
                    role: role.clone(),
                    jwt: credential(token_file)?.to_string(),
                })
            }
            VaultAuth::Token { .. } => None,
        };
        call.ok_or_else(|| unavailable("the login to it cannot be written"))
    }

    /// Learns what the token of a file is.
    async fn take_over(&self, file: &Path) -> Result<Answer<()>, Failure> {
        #[derive(Deserialize)]
        struct Looked {
            #[serde(default)]
            accessor: Wiped,
            #[serde(default)]
            ttl: u64,
            #[serde(default)]
            renewable: bool,
            #[serde(default, rename = "type")]
            kind: String,
        }
        let text = credential(file).map_err(|error| Failure::Unavailable(error.to_string()))?;
        let call = Call::of(&LookupTokenSelfRequest {});
        let call = call.ok_or_else(|| Failure::unavailable("the login cannot be written"))?;
        let answer = self.connection.send::<Looked>(call, Some(&text)).await?;
        let looked = answer.data.ok_or(Failure::Forbidden)?;
        let auth = Auth {
            client_token: Wiped(text),
            accessor: looked.accessor,
            lease_duration: looked.ttl,
            renewable: looked.renewable,
            token_type: looked.kind,
        };
        Ok(Answer {
            request_id: answer.request_id,
            lease_id: Wiped::default(),
            lease_duration: 0,
            renewable: false,
            data: None,
            auth: Some(auth),
        })
    }

    /// The token that all attempts share: had once, renewed as it is used, had anew when it has
    /// ended.
    pub(super) async fn shared_token(
        &self,
        context: &SecretContext,
    ) -> Result<Arc<Token>, SecretError> {
        // Who waits here waits for somebody's login, which is bounded.
        let limit = self.config.timeout * 2;
        let Ok(mut shared) = timeout(limit, self.shared.lock()).await else {
            return Err(unavailable("a login to it takes too long"));
        };
        if let Some(token) = shared.clone() {
            let due =
                token.life().renewal(None).is_some_and(|at| at <= tokio::time::Instant::now());
            if due {
                self.renew_token(&token, None, &context.audit).await;
            }
            if !token.life().ended() {
                return Ok(token);
            }
        }
        *shared = None;
        let token = self.log_in(context).await?;
        *shared = Some(token.clone());
        Ok(token)
    }

    /// True when Vault does not know `token` any more.
    pub(super) async fn is_gone(&self, token: &Token) -> bool {
        let Some(call) = Call::of(&LookupTokenSelfRequest {}) else { return false };
        let looked = self.connection.send::<serde::de::IgnoredAny>(call, Some(token.expose()));
        looked.await.err() == Some(Failure::Forbidden)
    }

    /// True when Vault does not know the worker's `token` any more; it is forgotten then.
    pub(super) async fn shared_token_is_gone(&self, token: &Arc<Token>) -> bool {
        if !self.is_gone(token).await {
            return false;
        }
        let Ok(mut shared) = timeout(self.config.timeout, self.shared.lock()).await else {
            return false;
        };
        if shared.as_ref().is_some_and(|it| Arc::ptr_eq(it, token)) {
            *shared = None;
        }
        true
    }

    /// Makes `token` last longer: for `most` where that is less than it usually lasts.
    pub(super) async fn renew_token(
        &self,
        token: &Token,
        most: Option<std::time::Duration>,
        audit: &AttemptAudit,
    ) {
        let increment = most.map(|it| format!("{}s", whole_seconds(it)));
        let Some(call) = Call::of(&RenewTokenSelfRequest { increment }) else { return };
        let answer = self.connection.send::<()>(call, Some(token.expose())).await;
        let mut life = token.life();
        match answer.map(|it| (it.auth, it.request_id)) {
            Ok((Some(auth), request)) => {
                token.set_life(Life::new(seconds(auth.lease_duration), auth.renewable));
                audit.record(AuditAction::Renewed, true, |event| {
                    event.lease = Some(token.hash.clone());
                    event.request = Some(request);
                });
            }
            Err(Failure::Unavailable(_)) => {
                life.later();
                token.set_life(life);
            }
            // It cannot be renewed: it ends when it ends.
            Ok((None, _)) | Err(_) => {
                life.renew = None;
                token.set_life(life);
            }
        }
    }
}

/// Tells of a login that came to nothing.
fn refused(context: &SecretContext, error: SecretError) -> SecretError {
    context.audit.record(AuditAction::Login, false, |event| {
        event.detail = Some(error.to_string().into());
    });
    error
}

fn unavailable(reason: &str) -> SecretError {
    SecretError::Unavailable(reason.to_owned())
}

/// The text of a file with a credential, which somebody may replace at any time.
fn credential(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let read = text::read(path, limits::SECRET_BYTES);
    // The path is the operator's; the reason alone would not help anybody.
    let text = read.map_err(|reason| {
        tracing::warn!(file = %path.display(), reason, "cannot read a credential of the secret store");
        unavailable("the worker cannot read its credential")
    })?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::{Claims, EXPIRED};

    #[test]
    fn an_identity_out_of_time_names_the_clock_that_is_off() {
        // Signed at 1000.
        let claims = Claims { sub: String::new(), iat: Some(970), nbf: Some(970), exp: Some(1060) };
        let said = |age: u64, store: u64| claims.out_of_time(Duration::from_secs(age), store);
        assert_eq!(claims.life(), Duration::from_secs(60));
        for good in [970, 1000, 1059] {
            assert_eq!(said(0, good), None);
        }
        let early = said(0, 932).unwrap();
        assert!(early.contains("not valid yet") && early.contains("68 s ahead"), "{early}");
        let late = said(1, 1101).unwrap();
        assert!(late.contains("expired") && late.contains("100 s behind"), "{late}");
        // Nobody's clock is off: it waited.
        assert_eq!(said(61, 1061).unwrap(), EXPIRED);
    }
}
