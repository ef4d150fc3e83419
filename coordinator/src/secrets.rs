//! What a coordinator has to say about secrets, of which it knows the names and no value: who may
//! read which, the identities that prove it, and the trail of what was done.

mod grants;
mod uses;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval};
use windlass_proto::audit::AuditAction;
use windlass_proto::limits;
use windlass_proto::plan::Plan;
use windlass_telemetry::AuditRecords;

pub use grants::Granter;
pub use uses::{SecretUses, UsedBy};

use crate::audit::{self, AuditError, AuditLog, AuditOptions, HeadsWebhook, Publish};
use crate::clock;
use crate::identity::{IdentityError, IdentityIssuer, IdentityOptions};
use crate::policy::{NotPermitted, Policies, ReplaceError};

/// What there is to know about secrets.
#[derive(Clone, Debug)]
pub struct SecretsOptions {
    /// Where keys, policy and trail are kept; none keeps nothing.
    pub data_dir: Option<PathBuf>,
    /// Which environment's secrets tasks get.
    pub environment: Arc<str>,
    /// Who signs, for whom.
    pub identity: IdentityOptions,
    /// Whether the signing keys are kept in the data directory. Where tasks run as this process's
    /// user they could read them there: kept in memory only, they are new at each start.
    pub keep_keys: bool,
    /// A policy that an operator keeps; else the coordinator keeps one.
    pub policy: Option<PathBuf>,
    /// Whether another person than the one who sets a policy has to approve it.
    pub policy_approval: bool,
    /// Tells a collector of audit events, where there is one.
    pub records: Option<AuditRecords>,
    /// Bytes of the audit trail that are kept.
    pub audit_retention: u64,
    /// Where heads of the audit trail are told, if anywhere.
    pub audit_heads: Option<HeadsWebhook>,
}

impl Default for SecretsOptions {
    fn default() -> Self {
        Self {
            data_dir: None,
            environment: "default".into(),
            identity: IdentityOptions::default(),
            keep_keys: true,
            policy: None,
            policy_approval: false,
            records: None,
            audit_retention: limits::AUDIT_RETENTION_BYTES,
            audit_heads: None,
        }
    }
}

/// Why a coordinator cannot deal with secrets.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The signing keys.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The policy.
    #[error(transparent)]
    Policy(#[from] ReplaceError),
    /// The audit trail.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// See the module.
#[derive(Debug)]
pub struct Secrets {
    /// Which environment's secrets tasks get.
    pub environment: Arc<str>,
    /// Signs identities.
    pub identity: IdentityIssuer,
    /// Who may read which.
    pub policies: Policies,
    /// What was done.
    pub audit: AuditLog,
}

impl Secrets {
    /// Opens keys, policy and trail. To be done once the data directory is this process's alone.
    /// Blocking.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn open(options: SecretsOptions, publish: Option<Publish>) -> Result<Self, SecretsError> {
        let retention = Some(options.audit_retention);
        let SecretsOptions { data_dir, environment, identity, keep_keys, policy, .. } = options;
        let place = |name: &str| data_dir.as_ref().map(|it| it.join(name));
        let keys = place("identity.json").filter(|_| keep_keys);
        let (trail, heads) = (place("audit.jsonl"), options.audit_heads);
        let trail = AuditOptions { place: trail, keep_key: keep_keys, retention, heads };
        let policies = Policies::open(policy, place("secret-policy.toml"))?;
        if options.policy_approval {
            policies.need_approval()?;
        }
        Ok(Self {
            environment,
            identity: IdentityIssuer::open(keys, identity, clock::now())?,
            policies,
            audit: AuditLog::open(trail, publish, options.records)?,
        })
    }

    /// Goes on to the next signing key when it is time for that, until this is dropped.
    pub fn rotate_keys(self: &Arc<Self>, runtime: &Handle) {
        let secrets = Arc::downgrade(self);
        runtime.spawn(async move {
            let mut ticks = interval(Duration::from_millis(limits::IDENTITY_LOOK_MS));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(secrets) = secrets.upgrade() else { return };
                let rotated =
                    tokio::task::spawn_blocking(move || secrets.identity.rotate(clock::now()));
                match rotated.await {
                    Ok(Ok(true)) => tracing::info!("identity signing key rotated"),
                    Ok(Ok(false)) | Err(_) => {}
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "identity signing key rotation failed")
                    }
                }
            }
        });
    }

    /// The secrets that a definition declares and has no right to, if there are any.
    ///
    /// # Errors
    /// When there are.
    pub fn check(&self, plan: &Plan) -> Result<(), NotPermitted> {
        let policy = self.policies.current();
        let permitted = |it: &_| policy.permits(&plan.id, &self.environment, it);
        let secrets: Vec<_> = plan.secrets.iter().filter(|it| !permitted(it)).cloned().collect();
        if secrets.is_empty() {
            return Ok(());
        }
        let (workflow, environment) = (plan.id.clone(), self.environment.clone());
        Err(NotPermitted { workflow, environment, secrets })
    }

    /// Keeps that a definition was refused; returns once that is on disk.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn refused(&self, refused: &NotPermitted) -> Result<(), AuditError> {
        let detail: Arc<str> = format!("{} was not deployed", refused.workflow).into();
        let event = |secret: &_| {
            audit::own(AuditAction::DeploymentRefused, false, |event| {
                event.secret = Some(Clone::clone(secret));
                event.environment = Some(refused.environment.clone());
                event.detail = Some(detail.clone());
            })
        };
        let secrets = refused.secrets.iter().take(limits::SECRETS_PER_TASK);
        self.audit.kept(secrets.map(event).collect()).await
    }
}

#[cfg(test)]
mod tests;
