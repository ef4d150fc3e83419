//! Secrets in the environment of the worker's process.

use futures_util::future::BoxFuture;
use serde::Deserialize;
use windlass_proto::secret::SecretName;

use super::setup::StoreError;
use super::{DevelopmentSecrets, SecretContext, SecretError, SecretStore, SecretValue};

/// The section `[environment]`: there is nothing to set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct EnvironmentConfig {}

/// The secret `api-key` is the variable `WINDLASS_SECRET_API_KEY`; for development.
///
/// Every workflow of every namespace may read all of them, whatever the environment it runs in,
/// they never change while the process lives, and whoever may look at the process sees them.
pub struct EnvironmentSecrets(DevelopmentSecrets);

impl EnvironmentSecrets {
    /// The store; says loudly what it is not fit for.
    ///
    /// # Errors
    /// Never; other stores may.
    pub fn new(config: EnvironmentConfig) -> Result<Self, StoreError> {
        Self::of(config, crate::variables())
    }

    /// The store with these variables in place of the process's.
    ///
    /// # Errors
    /// Never; other stores may.
    pub fn of(
        EnvironmentConfig {}: EnvironmentConfig,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, StoreError> {
        tracing::warn!(
            "secrets come from environment variables: every workflow may read all of them, and so \
             may whoever can look at this process; use this for development only"
        );
        Ok(Self(DevelopmentSecrets::new().environment(variables)))
    }
}

impl SecretStore for EnvironmentSecrets {
    fn read<'a>(
        &'a self,
        name: &'a SecretName,
        context: &'a SecretContext,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>> {
        self.0.read(name, context)
    }
}
