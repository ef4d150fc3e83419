//! What a task may do with secrets, and how its worker proves that.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::secret::SecretName;

/// What one delivery of a task may do with secrets. It is made when the delivery is sent, so that
/// its token is fresh, and is never stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Which environment's secrets: `production`, `test`, …
    pub environment: Arc<str>,
    /// The secrets it may read, sorted: those that the task reaches and the policy permits.
    pub secrets: Vec<SecretName>,
    /// Proves all this to the store of secrets; absent where the coordinator signs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityToken>,
    /// What becomes of results that contain a secret.
    #[serde(default)]
    pub sealing: Sealing,
}

/// What becomes of a result that contains a secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sealing {
    /// It is encrypted so that only workers can read it.
    #[default]
    Seal,
    /// The task fails with an authorization error.
    Refuse,
    /// It is left as it is: for development.
    Expose,
}

/// A signed JSON Web Token that says who a task is. Whoever has it can do what the task may, for a
/// minute, so it is not shown and is wiped when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdentityToken(Zeroizing<String>);

impl IdentityToken {
    /// Takes a token over.
    #[must_use]
    pub fn new(token: String) -> Self {
        Self(Zeroizing::new(token))
    }

    /// The token itself. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdentityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityToken")
    }
}
