//! Secrets for development: from the command line, a file, the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use windlass_proto::limits;
use windlass_proto::secret::{Secret, SecretName};
use windlass_proto::value::Value;

use super::{SecretContext, SecretData, SecretError, SecretStore, SecretValue};
use crate::document;

/// Prefix of the environment variables that hold secrets.
const PREFIX: &str = "WINDLASS_SECRET_";

/// A store for development only: every workflow may read all it has.
///
/// The command line comes first, then the file, then the environment, where the secret `api-key` is
/// the variable `WINDLASS_SECRET_API_KEY`.
#[derive(Default)]
pub struct DevelopmentSecrets {
    named: BTreeMap<String, Secret<SecretData>>,
    environment: BTreeMap<String, Secret<SecretData>>,
}

/// Why the store could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum DevelopmentSecretsError {
    /// An option without `=`. The text is not shown: it may be the secret.
    #[error("a secret is given as NAME=VALUE")]
    NotAPair,
    /// The file cannot be read.
    #[error("cannot read the secrets file {path}: {reason}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file is not a map.
    #[error("the secrets file {0} must hold one YAML or JSON map from names to values")]
    NotAMap(PathBuf),
}

impl DevelopmentSecrets {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the secret of a `NAME=VALUE` option.
    ///
    /// # Errors
    /// When there is no `=` or no name before it.
    pub fn pair(mut self, option: &str) -> Result<Self, DevelopmentSecretsError> {
        let (name, value) = option.split_once('=').ok_or(DevelopmentSecretsError::NotAPair)?;
        if name.is_empty() {
            return Err(DevelopmentSecretsError::NotAPair);
        }
        self.named.insert(name.to_owned(), Secret::new(SecretData::Text(value.to_owned())));
        Ok(self)
    }

    /// Adds a secret with this value.
    #[must_use]
    pub fn value(mut self, name: &str, value: &Value) -> Self {
        self.named.insert(name.to_owned(), Secret::new(SecretData::from_value(value)));
        self
    }

    /// Adds the secrets of a YAML or JSON file, where none of that name was given before.
    ///
    /// # Errors
    /// When the file cannot be read, is larger than [`limits::SECRET_BYTES`] or is not a map.
    pub fn file(mut self, path: &Path) -> Result<Self, DevelopmentSecretsError> {
        let unreadable =
            |reason: String| DevelopmentSecretsError::Unreadable { path: path.to_owned(), reason };
        let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
        if size > limits::SECRET_BYTES as u64 {
            return Err(unreadable(format!("it is larger than {} bytes", limits::SECRET_BYTES)));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        // The parser's message may quote the text, so it is not passed on.
        let value = document::parse_document(&text)
            .map_err(|_| unreadable("it is neither JSON nor YAML".to_owned()))?;
        let members =
            value.as_object().ok_or_else(|| DevelopmentSecretsError::NotAMap(path.to_owned()))?;
        for (name, value) in members {
            self.named
                .entry(name.to_string())
                .or_insert_with(|| Secret::new(SecretData::from_value(value)));
        }
        Ok(self)
    }

    /// Adds the secrets among these environment variables: those that start with
    /// `WINDLASS_SECRET_`.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        for (variable, value) in variables {
            if let Some(name) = variable.strip_prefix(PREFIX) {
                self.environment.insert(name.to_owned(), Secret::new(SecretData::Text(value)));
            }
        }
        self
    }

    fn find(&self, name: &str) -> Option<&Secret<SecretData>> {
        self.named.get(name).or_else(|| self.environment.get(&variable_of(name)))
    }
}

/// The part of the environment variable's name that stands for the secret `name`.
fn variable_of(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect()
}

impl SecretStore for DevelopmentSecrets {
    fn read<'a>(
        &'a self,
        name: &'a SecretName,
        _context: &'a SecretContext,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>> {
        let found = self
            .find(&name.0)
            .ok_or(SecretError::Missing)
            .map(|secret| SecretValue::new(SecretData::from_value(&plain(secret))));
        Box::pin(std::future::ready(found))
    }
}

fn plain(secret: &Secret<SecretData>) -> Value {
    secret.expose().to_plain_value()
}

#[cfg(test)]
mod tests;
