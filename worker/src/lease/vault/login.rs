//! Getting a token: with the task's own identity, or with what the worker has.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tokio::time::timeout;
use vaultrs::api::auth::approle::requests::LoginWithApproleRequest;
use vaultrs::api::auth::kubernetes::requests::LoginWithKubernetesRequest;
use vaultrs::api::auth::oidc::requests::JWTLoginRequest;
use vaultrs::api::token::requests::{LookupTokenSelfRequest, RenewTokenSelfRequest};
use windlass_proto::audit::AuditAction;
use windlass_proto::limits;
use windlass_proto::wire::IdentityToken;
use zeroize::Zeroizing;

use super::Inner;
use super::call::{Answer, Auth, Call, Failure, Wiped, seconds, whole_seconds};
use super::token::{Life, Token};
use crate::audit::AttemptAudit;
use crate::lease::config::{VaultAuth, text};
use crate::lease::{SecretContext, SecretError};

/// What this side reads of an identity, without checking it: Vault does that.
#[derive(Deserialize)]
pub(super) struct Claims {
    #[serde(default)]
    pub(super) sub: String,
    iat: Option<u64>,
    exp: Option<u64>,
}

impl Claims {
    pub(super) fn of(identity: &IdentityToken) -> Option<Self> {
        let payload = identity.expose().split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    /// How long it is good from when it was signed.
    pub(super) fn life(&self) -> Duration {
        let signed = self.iat.unwrap_or_default().saturating_add(limits::IDENTITY_LEEWAY_S);
        seconds(self.exp.unwrap_or_default().saturating_sub(signed))
    }

    fn expired(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.exp.is_some_and(|it| it <= now)
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
            other => match self.login_call(other, context) {
                Ok(call) => self.connection.send::<()>(call, None).await,
                Err(error) => return Err(refused(context, error)),
            },
        };
        let answer = answer.map_err(|failure| {
            let error = match failure {
                Failure::Unavailable(reason) => SecretError::Unavailable(reason),
                Failure::Missing => unavailable("the way to log in to it does not exist"),
                // The worker's own credentials say nothing about the workflow.
                _ if !self.own_tokens() => unavailable("it refuses this worker"),
                // Another delivery of the task has a fresh one. Asked only now: by Vault's clock, and
                // with its tolerance, it may have been good.
                _ if context.identity().and_then(Claims::of).is_some_and(|it| it.expired()) => {
                    unavailable("the task's identity expired before it was used")
                }
                _ => SecretError::Forbidden,
            };
            refused(context, error)
        })?;
        let Answer { auth: Some(auth), request_id, .. } = answer else {
            return Err(refused(context, unavailable("its login gave no token")));
        };
        let token = Token::new(auth);
        context.audit.tell(AuditAction::Login, true, |event| {
            event.lease = Some(token.hash.clone());
            event.request = Some(request_id);
        });
        Ok(Arc::new(token))
    }

    fn login_call(&self, auth: &VaultAuth, context: &SecretContext) -> Result<Call, SecretError> {
        let call = match auth {
            VaultAuth::Jwt { mount, role } => {
                let identity = context
                    .identity()
                    .ok_or_else(|| unavailable("the coordinator gave the task no identity"))?;
                Call::of(&JWTLoginRequest {
                    mount: mount.clone(),
                    jwt: identity.expose().to_owned(),
                    role: Some(role.clone()),
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

    /// The token that all attempts share: had once, renewed as it is used, had anew when it has ended.
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

    /// True when Vault does not know the shared `token` any more; it is forgotten then.
    pub(super) async fn shared_token_is_gone(&self, token: &Arc<Token>) -> bool {
        let Some(call) = Call::of(&LookupTokenSelfRequest {}) else { return false };
        let looked = self.connection.send::<serde::de::IgnoredAny>(call, Some(token.expose()));
        if looked.await.err() != Some(Failure::Forbidden) {
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
                audit.tell(AuditAction::Renewed, true, |event| {
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
    context.audit.tell(AuditAction::Login, false, |event| {
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
