//! The worker's secrets configuration, `secrets.toml`: which store, how to get in, which secret is
//! where.

mod logins;
mod path;
mod stores;
pub(crate) mod text;
mod vault;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Table;
use windlass_proto::limits;

pub use logins::{VaultLogin, VaultLogins};
pub(super) use path::{Mapped, PathTemplate, safe};
pub use vault::{PathConfig, VaultAuth, VaultConfig, VaultEngine};

use self::stores::Stores;
use super::setup::StoreError;
use super::vault::VaultSecrets;
use super::{DevelopmentSecrets, SealingKey, SealingKeyError, SecretSource, WorkerAccess};

/// What a `secrets.toml` says. It names secrets and files that hold credentials, and holds none
/// itself.
#[derive(Clone, Debug)]
pub struct SecretsConfig {
    /// Which store.
    pub store: StoreKind,
    /// How Vault is used: there when that is the store.
    pub vault: Option<VaultConfig>,
    /// The file with the key that stores other than Vault seal with; none makes a key of this
    /// process.
    pub sealing_key_file: Option<PathBuf>,
    stores: Stores,
    folder: PathBuf,
}

/// The stores a worker can read secrets from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// HashiCorp Vault or OpenBao.
    Vault,
    /// The command line, a file and the environment.
    Development,
    /// One file for each secret.
    Files,
    /// Variables of the worker's environment.
    Environment,
    /// Secrets of a Kubernetes cluster.
    Kubernetes,
    /// AWS Secrets Manager.
    Aws,
    /// Azure Key Vault.
    Azure,
    /// Google Secret Manager.
    Google,
}

/// Why a secrets configuration cannot be used. The messages show no values of the file.
#[derive(Debug, thiserror::Error)]
pub enum SecretsConfigError {
    /// A file cannot be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file is wrong.
    #[error("{path}{}: {reason}", place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default())]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// Line and column, from one; none where a part is missing.
        place: Option<(usize, usize)>,
        /// What is wrong.
        reason: String,
    },
    /// The store is not in this build.
    #[error(
        "this build cannot read secrets from {0:?}: build it with the cargo feature of that name"
    )]
    NotSupported(StoreKind),
    /// A store cannot be set up.
    #[error("the store {kind:?}: {reason}")]
    Store {
        /// Which one.
        kind: StoreKind,
        /// What is wrong with its section.
        reason: StoreError,
    },
    /// The key that results are sealed with cannot be used.
    #[error("[sealing] key-file: {0}")]
    Key(#[from] SealingKeyError),
}

/// The file. A further store adds its table here, and itself in [`SecretsConfig::source`].
#[derive(Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "`store` and a table of its name"
)]
struct Document {
    store: StoreKind,
    vault: Option<vault::Section>,
    files: Option<Table>,
    environment: Option<Table>,
    kubernetes: Option<Table>,
    aws: Option<Table>,
    azure: Option<Table>,
    google: Option<Table>,
    #[serde(default)]
    sealing: Sealing,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
struct Sealing {
    key_file: Option<PathBuf>,
}

impl SecretsConfig {
    /// Reads a file. Relative paths in it start at its folder; `VAULT_ADDR` stands in for an
    /// address that it does not give.
    ///
    /// # Errors
    /// When the file cannot be read, is larger than [`limits::SECRET_BYTES`], is no TOML, or says
    /// what nobody understands.
    pub fn load(path: &Path) -> Result<Self, SecretsConfigError> {
        let unreadable =
            |reason: String| SecretsConfigError::Unreadable { path: path.to_owned(), reason };
        let text = text::read(path, limits::SECRET_BYTES).map_err(unreadable)?;
        Self::parse(&text, path, std::env::var("VAULT_ADDR").ok())
    }

    /// Reads the text of the file at `path`; `address` is Vault's where the text names none.
    ///
    /// # Errors
    /// When it is no TOML, or says what nobody understands.
    pub fn parse(
        text: &str,
        path: &Path,
        address: Option<String>,
    ) -> Result<Self, SecretsConfigError> {
        let wrong =
            |place, reason| SecretsConfigError::Wrong { path: path.to_owned(), place, reason };
        let document: Document = toml::from_str(text).map_err(|error| {
            let place = error.span().map(|span| text::place(text, span.start));
            wrong(place, text::without_values(error.message()))
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let vault = match (document.store, document.vault) {
            (StoreKind::Vault, section) => {
                let section = section.ok_or_else(|| wrong(None, "it has no [vault]".to_owned()))?;
                Some(section.checked(folder, address).map_err(|reason| wrong(None, reason))?)
            }
            (_, Some(_)) => {
                let reason = "it has a [vault] but another store".to_owned();
                return Err(wrong(None, reason));
            }
            (_, None) => None,
        };
        let sealing_key_file = document.sealing.key_file.map(|it| folder.join(it));
        let stores = Stores {
            files: document.files,
            environment: document.environment,
            kubernetes: document.kubernetes,
            aws: document.aws,
            azure: document.azure,
            google: document.google,
        };
        Ok(Self { store: document.store, vault, sealing_key_file, stores, folder: folder.into() })
    }

    /// The files and folders it names that hold credentials or secrets.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let mut found = self.stores.files(self.store, &self.folder);
        found.extend(self.sealing_key_file.clone());
        found.extend(self.vault.as_ref().and_then(|it| it.auth.file()));
        found
    }

    /// The source of secrets this describes; `development` is what the command line gives. Nothing
    /// is asked of the store yet.
    ///
    /// # Errors
    /// When the worker cannot read from that store, or a file that is named cannot be used.
    pub fn source(
        &self,
        development: DevelopmentSecrets,
    ) -> Result<Arc<dyn SecretSource>, SecretsConfigError> {
        let kind = self.store;
        if let Some(vault) = &self.vault {
            return Ok(Arc::new(VaultSecrets::new(vault.clone())?));
        }
        let store = match kind {
            StoreKind::Development => Arc::new(development),
            kind => self
                .stores
                .open(kind, &self.folder)
                .map_err(|reason| SecretsConfigError::Store { kind, reason })?
                .ok_or(SecretsConfigError::NotSupported(kind))?,
        };
        Ok(Arc::new(match &self.sealing_key_file {
            Some(path) => WorkerAccess::with_key(store, SealingKey::file(path)?),
            None => WorkerAccess::new(store),
        }))
    }
}

#[cfg(test)]
mod tests;
