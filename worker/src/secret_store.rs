//! Where secrets come from: what an attempt holds of a store, and the stores.

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "azure")]
mod azure;
mod config;
mod development;
mod environment;
mod files;
#[cfg(feature = "google")]
mod google;
mod kubernetes;
mod payload;
mod places;
mod remote;
mod sealer;
mod setup;
mod template;
mod vault;
mod worker_access;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use windlass_proto::id::{InstanceId, WorkflowId};
use windlass_proto::sealed::Sealed;
use windlass_proto::secret::{Secret, SecretName};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::Grant;
use zeroize::{Zeroize, Zeroizing};

#[cfg(feature = "aws")]
pub use aws::{AwsConfig, AwsSecrets, AwsSettings};
#[cfg(feature = "azure")]
pub use azure::{AzureAuth, AzureConfig, AzureSecrets, AzureSettings};
pub use config::{
    PathConfig, SecretsConfig, SecretsConfigError, StoreKind, VaultAuth, VaultConfig, VaultEngine,
    VaultLogin, VaultLogins,
};
pub use environment::{EnvironmentConfig, EnvironmentSecrets};
pub use files::{FileSecrets, FilesConfig, FilesSettings};
#[cfg(feature = "google")]
pub use google::{GoogleAuth, GoogleConfig, GoogleSecrets, GoogleSettings};
pub use kubernetes::{KubernetesConfig, KubernetesSecrets, KubernetesSettings};
pub use places::PlaceConfig;
pub use sealer::{SealingKey, SealingKeyError};
pub use setup::{SharedSettings, StoreConfig, StoreError, StoreSettings};
pub use vault::VaultSecrets;
pub use worker_access::WorkerAccess;

use crate::audit::AttemptAudit;

pub use development::{DevelopmentSecrets, DevelopmentSecretsError};

/// What a secret holds: text, or a structure with texts inside. Wiped when its [`Secret`] drops.
pub enum SecretData {
    /// Text; never parsed, even where it looks like a number or JSON.
    Text(String),
    /// A number or boolean of a structured secret, or null.
    Scalar(Value),
    /// A list.
    List(Vec<SecretData>),
    /// Values by key, in the store's order.
    Map(Vec<(String, SecretData)>),
}

impl SecretData {
    /// Takes over a value that was read as JSON or YAML.
    #[must_use]
    pub fn from_value(value: &Value) -> Self {
        if let Some(text) = value.as_str() {
            Self::Text(text.to_owned())
        } else if let Some(elements) = value.as_array() {
            Self::List(elements.iter().map(Self::from_value).collect())
        } else if let Some(members) = value.as_object() {
            let entry =
                |(key, value): (&Arc<str>, &Value)| (key.to_string(), Self::from_value(value));
            Self::Map(members.iter().map(entry).collect())
        } else {
            Self::Scalar(value.clone())
        }
    }

    /// The value that `$secrets.<name>` has: a map whose only key is `value` stands for that value.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Map(entries) => match entries.as_slice() {
                [(key, only)] if key == "value" => only.to_plain_value(),
                _ => self.to_plain_value(),
            },
            _ => self.to_plain_value(),
        }
    }

    /// A copy, which is wiped like the original once somebody takes it in.
    pub(crate) fn duplicate(&self) -> Self {
        match self {
            Self::Text(text) => Self::Text(text.clone()),
            Self::Scalar(value) => Self::Scalar(value.clone()),
            Self::List(elements) => Self::List(elements.iter().map(Self::duplicate).collect()),
            Self::Map(entries) => {
                let entry = |(key, value): &(String, Self)| (key.clone(), value.duplicate());
                Self::Map(entries.iter().map(entry).collect())
            }
        }
    }

    fn to_plain_value(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Scalar(value) => value.clone(),
            Self::List(elements) => {
                Value::array(elements.iter().map(Self::to_plain_value).collect())
            }
            Self::Map(entries) => Value::object(
                entries.iter().map(|(key, value)| (key.as_str(), value.to_plain_value())),
            ),
        }
    }
}

impl Zeroize for SecretData {
    fn zeroize(&mut self) {
        match self {
            Self::Text(text) => text.zeroize(),
            Self::Scalar(value) => *value = Value::Null,
            Self::List(elements) => elements.iter_mut().for_each(Zeroize::zeroize),
            Self::Map(entries) => entries.iter_mut().for_each(|(_, value)| value.zeroize()),
        }
    }
}

/// On whose behalf a secret is read.
#[derive(Clone)]
pub struct SecretContext {
    /// The workflow.
    pub workflow: WorkflowId,
    /// Its instance.
    pub instance: InstanceId,
    /// JSON pointer of the task.
    pub task: Arc<str>,
    /// What the coordinator lets the task do; none from one that grants nothing.
    pub grant: Option<Grant>,
    /// When the task's time is over.
    pub deadline: Option<Timestamp>,
    /// When the worker got the task: its identity is as old as that.
    pub began: Instant,
    /// Where to tell what is done.
    pub audit: AttemptAudit,
}

impl SecretContext {
    /// Which environment's secrets are meant; `default` where the coordinator does not say.
    #[must_use]
    pub fn environment(&self) -> &str {
        self.grant.as_ref().map_or("default", |grant| &grant.environment)
    }
}

/// A secret as it was read.
pub struct SecretValue {
    /// What it holds.
    pub data: Secret<SecretData>,
    /// Which version that is, as the store calls it; none where there are no versions.
    pub version: Option<Arc<str>>,
    /// The store's id of the request, which its own audit log shows too.
    pub request: Option<Arc<str>>,
    /// The hash of the lease it comes with: see [`lease_hash`].
    pub lease: Option<Arc<str>>,
}

impl SecretValue {
    /// A secret without version or lease.
    #[must_use]
    pub fn new(data: SecretData) -> Self {
        Self { data: Secret::new(data), version: None, request: None, lease: None }
    }

    /// A copy, which is wiped like the original.
    pub(crate) fn duplicate(&self) -> Self {
        let Self { data, version, request, lease } = self;
        Self {
            data: Secret::new(data.expose().duplicate()),
            version: version.clone(),
            request: request.clone(),
            lease: lease.clone(),
        }
    }
}

/// What tells leases apart in audit events without being one: the first 16 hexadecimal digits of
/// the SHA-256 of a lease's id or of a token's accessor.
#[must_use]
pub fn lease_hash(id: &str) -> Arc<str> {
    let digest = Sha256::digest(id.as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// Between half and all of `pause`, so that many do not come back in step.
pub(crate) fn jittered(pause: Duration) -> Duration {
    // The random bits of an id: no generator is needed for this.
    let random =
        u32::from_le_bytes(*uuid::Uuid::new_v4().as_bytes().first_chunk().unwrap_or(&[0; 4]));
    pause.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

/// Why a secret could not be had. The messages name no path and no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The store has no such secret.
    #[error("it does not exist in the secret store")]
    Missing,
    /// The store refuses it to this workflow.
    #[error("the secret store does not permit this workflow to read it")]
    Forbidden,
    /// The store does not let this task in: that is no matter of the one secret.
    #[error(
        "the secret store refuses the login of the task: it is set up for another issuer, audience, \
         environment or key than this coordinator's, or not at all (`windlass secret setup`)"
    )]
    LoginRefused,
    /// The store did not answer, or not usefully; trying again may help.
    #[error("the secret store is unavailable: {0}")]
    Unavailable(String),
    /// The store works and does not take what it is asked, nor will it later.
    #[error("the secret store does not take the request: {0}")]
    Refused(String),
    /// What was sealed cannot be opened here, nor later.
    #[error("{0}")]
    OtherKey(String),
}

/// Where the secrets of attempts come from.
pub trait SecretSource: Send + Sync {
    /// What one attempt holds, for as long as it runs. Nothing is asked of the store yet: most
    /// tasks need no secret.
    fn session(&self, context: SecretContext) -> Box<dyn SecretSession>;

    /// No attempt begins any more: gives back what attempts share as soon as none uses it, and
    /// waits for that. Begins when it is polled first.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// True when nothing that attempts share is still to be given back.
    fn holds_nothing(&self) -> bool {
        true
    }

    /// What the clock of the store showed last, where that is known.
    fn clock(&self) -> Option<StoreClock> {
        None
    }
}

/// What the clock of a store showed, and when.
#[derive(Clone, Copy, Debug)]
pub struct StoreClock {
    /// What it showed, in whole seconds.
    pub at: Timestamp,
    /// When that was.
    pub seen: Instant,
}

/// What one attempt holds of a store. Implementations bound their own waiting; what takes longer
/// than [`windlass_proto::limits::SECRET_TIMEOUT_MS`] counts as unavailable.
pub trait SecretSession: Send + Sync {
    /// Reads the current version of a secret. A second read asks the store again.
    ///
    /// The future fails when the secret is missing, forbidden, or cannot be read now.
    fn read<'a>(
        &'a mut self,
        name: &'a SecretName,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>>;

    /// Encrypts texts for other workers of the same namespace, in one request, and tells the audit
    /// of it; the result has their order.
    fn seal<'a>(
        &'a mut self,
        texts: &'a [Zeroizing<Vec<u8>>],
    ) -> BoxFuture<'a, Result<Vec<Sealed>, SecretError>>;

    /// Decrypts what was sealed for tasks of this namespace, in one request, and tells the audit of
    /// it; the result has its order.
    ///
    /// The future fails with [`SecretError::Forbidden`] for what was sealed in another namespace,
    /// and with [`SecretError::OtherKey`] for what was sealed with a key that this worker does not
    /// have.
    fn open<'a>(
        &'a mut self,
        sealed: &'a [Sealed],
    ) -> BoxFuture<'a, Result<Vec<Zeroizing<Vec<u8>>>, SecretError>>;

    /// When all that it holds has ended, so that nothing can be sealed or read any more; none where
    /// that has no end.
    fn ends(&self) -> Option<Instant> {
        None
    }

    /// Gives everything back; what cannot be given back ends by itself soon.
    fn release(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// A store that needs no login by attempt. Implementations bound their own waiting.
pub trait SecretStore: Send + Sync {
    /// Reads the current version of the secret `name` for the task in `context`.
    ///
    /// The future fails when the secret is missing, forbidden, or cannot be read now.
    fn read<'a>(
        &'a self,
        name: &'a SecretName,
        context: &'a SecretContext,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>>;
}
