//! The hands: a worker performs what a coordinator assigns, and keeps nothing.
//!
//! Reading order: [`worker`] is what others hold; `perform` takes an assignment through input,
//! call or run, and output; [`fleet`] is how it joins a coordinator over NATS; `secret_store` reads
//! the secrets it names and `seal` keeps them from leaving.
//!
//! **Invariant:** nothing here survives an assignment but caches that can be lost: connections,
//! fetched documents, access tokens.

mod attempt;
mod audit;
mod authentication;
mod cache;
mod charset;
mod clock;
mod container;
mod counts;
mod decimal;
mod document;
mod egress;
mod error;
pub mod fleet;
mod function;
mod guard;
mod handover;
mod http_client;
mod isolate;
mod lazy;
mod media;
mod perform;
mod processes;
mod protobuf;
mod request;
mod resource;
mod retry_after;
mod scope;
mod seal;
mod secret_store;
mod shared;
mod stand_in;
mod supervise;
mod token_cache;
mod trace;
mod worker;

pub use audit::{AttemptAudit, AuditRoom, AuditSink};
pub use container::{
    ContainerOptions, ContainerVolume, ContainerVolumeError, EngineSocket, EngineSocketError,
};
pub use egress::{Egress, EgressRule, EgressRuleError};
pub use error::WorkerError;
pub use function::{Call, Function, FunctionError};
pub use guard::guard_process;
pub use handover::{arguments, variable, variables};
pub use http_client::{CallLimit, CallLimitError, HttpOptions, Resolve, ResolveError};
pub use processes::{
    Isolation, NonZeroExit, ProcessLimits, ProcessOptions, Sandbox, SandboxError, SandboxMode,
    SandboxNetwork, SandboxOptions, TaskUser, TaskUserError,
};
#[cfg(feature = "aws")]
pub use secret_store::{AwsConfig, AwsSecrets, AwsSettings};
#[cfg(feature = "azure")]
pub use secret_store::{AzureAuth, AzureConfig, AzureSecrets, AzureSettings};
pub use secret_store::{
    DevelopmentSecrets, DevelopmentSecretsError, EnvironmentConfig, EnvironmentSecrets,
    FileSecrets, FilesConfig, FilesSettings, KubernetesConfig, KubernetesSecrets,
    KubernetesSettings, PathConfig, PlaceConfig, SealingKey, SealingKeyError, SecretContext,
    SecretData, SecretError, SecretSession, SecretSource, SecretStore, SecretValue, SecretsConfig,
    SecretsConfigError, SharedSettings, StoreClock, StoreConfig, StoreError, StoreKind,
    StoreSettings, VaultAuth, VaultConfig, VaultEngine, VaultLogin, VaultLogins, VaultSecrets,
    WorkerAccess, lease_hash,
};
#[cfg(feature = "google")]
pub use secret_store::{GoogleAuth, GoogleConfig, GoogleSecrets, GoogleSettings};
pub use shared::PlanSource;
pub use stand_in::{CallPurpose, OutsideCall, StandIn, StandInAnswer};
pub use tokio_util::sync::CancellationToken;
pub use trace::TRACE_TARGET;
pub use windlass_proto::metric::Snapshot;
pub use windlass_proto::problem::{Problem, Standard};
pub use windlass_proto::value::Value;
pub use worker::{Builder, MetricSource, Worker};

#[cfg(test)]
mod testing;
