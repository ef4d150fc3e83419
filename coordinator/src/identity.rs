//! Who a task is, in a form that a store of secrets can check: a signed JSON Web Token for each
//! delivery, and the public keys that verify it.
//!
//! Nothing is shared with the store but public keys, which it fetches: workers need no credential
//! of their own to log in.
//!
//! **Invariant:** a token is made when a delivery is sent, and is never stored or shown.

mod claims;
mod keys;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::{Value as Json, json};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::IdentityToken;
use zeroize::Zeroizing;

pub use claims::{Subject, Task};

use crate::file;
use keys::Keys;

/// Who signs, for whom, and for how long with one key.
#[derive(Clone, Debug)]
pub struct IdentityOptions {
    /// The URL under which the store finds the keys: the claim `iss`.
    pub issuer: String,
    /// Whom the tokens are for: the claim `aud`.
    pub audience: String,
    /// How long one key signs; at least a minute.
    pub rotation: Duration,
}

impl Default for IdentityOptions {
    fn default() -> Self {
        Self {
            issuer: "http://127.0.0.1:7400".to_owned(),
            audience: "windlass".to_owned(),
            rotation: Duration::from_millis(limits::IDENTITY_ROTATION_MS),
        }
    }
}

/// Why there are no signing keys.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file of keys cannot be read or written.
    #[error("the signing keys in {path} cannot be used: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file holds something else.
    #[error(
        "{path} holds no signing keys of this version: {reason}. Removed, it is made anew, and what \
         has fetched the public keys must fetch them again"
    )]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The system has no randomness.
    #[error("the system gives no randomness: {0}")]
    Randomness(String),
}

/// Signs identities.
pub struct IdentityIssuer {
    options: IdentityOptions,
    /// Where the keys are kept; none keeps them in memory only.
    place: Option<PathBuf>,
    keys: RwLock<Arc<Keys>>,
}

impl fmt::Debug for IdentityIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityIssuer").field("options", &self.options).finish_non_exhaustive()
    }
}

impl IdentityIssuer {
    /// Reads the keys, or makes them where there are none. Blocking.
    ///
    /// # Errors
    /// When the file cannot be read or written, or holds something else.
    pub fn open(
        place: Option<PathBuf>,
        options: IdentityOptions,
        now: Timestamp,
    ) -> Result<Self, IdentityError> {
        let found = match &place {
            Some(path) => read(path)?,
            None => None,
        };
        let is_new = found.is_none();
        let keys = match found {
            Some(keys) => keys,
            None => Keys::generate(now)?,
        };
        let identity = Self { options, place, keys: RwLock::new(Arc::new(keys)) };
        if is_new {
            identity.keep(&identity.keys())?;
        }
        identity.rotate(now)?;
        Ok(identity)
    }

    /// Goes on to the next key when it is time for that; true when it did. Blocking.
    ///
    /// # Errors
    /// When the new keys cannot be kept: the old ones stay then.
    pub fn rotate(&self, now: Timestamp) -> Result<bool, IdentityError> {
        let keys = self.keys();
        if !keys.is_due(now, self.options.rotation) {
            return Ok(false);
        }
        // On disk first: a key that was published and is forgotten would be missed.
        let next = keys.rotated(now)?;
        self.keep(&next)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(true)
    }

    /// A token that says that `task` may read what `subject` names, from `now` for at most a
    /// minute, and not beyond the task's deadline.
    #[must_use]
    pub fn sign(&self, subject: &Subject, task: &Task<'_>, now: Timestamp) -> IdentityToken {
        let claims = claims::claims(&self.options, subject, task, now);
        IdentityToken::new(self.keys().sign(&claims))
    }

    /// The public keys: the JWKS document (RFC 7517).
    #[must_use]
    pub fn published(&self, now: Timestamp) -> Json {
        json!({ "keys": self.keys().published(now) })
    }

    /// Where the keys are and what the tokens look like: the discovery document.
    #[must_use]
    pub fn discovery(&self) -> Json {
        let issuer = self.options.issuer.trim_end_matches('/');
        json!({
            "issuer": self.options.issuer,
            "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            "id_token_signing_alg_values_supported": ["EdDSA"],
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "claims_supported": claims::NAMES,
        })
    }

    fn keys(&self) -> Arc<Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, keys: &Keys) -> Result<(), IdentityError> {
        let Some(path) = &self.place else { return Ok(()) };
        let text = keys.to_text();
        file::replace(path, text.as_bytes(), 0o600)
            .map_err(|error| IdentityError::File { path: path.clone(), error })
    }
}

fn read(path: &Path) -> Result<Option<Keys>, IdentityError> {
    match std::fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) => {
            let wrong = |reason| IdentityError::Content { path: path.to_owned(), reason };
            Keys::parse(&text).map(Some).map_err(wrong)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(IdentityError::File { path: path.to_owned(), error }),
    }
}

#[cfg(test)]
mod tests;
