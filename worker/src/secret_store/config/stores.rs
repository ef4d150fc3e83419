//! The sections of the stores that need no login by attempt.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::StoreKind;
use crate::secret_store::setup::StoreError;
use crate::secret_store::{EnvironmentSecrets, FileSecrets, KubernetesSecrets, SecretStore};

/// Settings whose value is the path of a file or folder.
const PATHS: [&str; 6] =
    ["directory", "ca-file", "token-file", "credentials-file", "secret-file", "key-file"];

/// The sections as they were written: each is read by the store that it describes, as far as this
/// build has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Stores {
    pub(super) files: Option<Table>,
    pub(super) environment: Option<Table>,
    pub(super) kubernetes: Option<Table>,
    pub(super) aws: Option<Table>,
    pub(super) azure: Option<Table>,
    pub(super) google: Option<Table>,
}

impl Stores {
    /// The section of a store, empty where there is none.
    fn section(&self, kind: StoreKind) -> Table {
        let section = match kind {
            StoreKind::Vault | StoreKind::Development => &None,
            StoreKind::Files => &self.files,
            StoreKind::Environment => &self.environment,
            StoreKind::Kubernetes => &self.kubernetes,
            StoreKind::Aws => &self.aws,
            StoreKind::Azure => &self.azure,
            StoreKind::Google => &self.google,
        };
        section.clone().unwrap_or_default()
    }

    /// Files and folders that hold credentials or secrets, as the section of `kind` names them.
    pub(super) fn files(&self, kind: StoreKind, folder: &Path) -> Vec<PathBuf> {
        let mut section = self.section(kind);
        rooted(&mut section, folder);
        let mut found = Vec::new();
        named(&section, &mut found);
        found
    }

    /// The store of this kind; none where that is no store of this build. Relative paths start at
    /// `folder`.
    pub(super) fn open(
        &self,
        kind: StoreKind,
        folder: &Path,
    ) -> Result<Option<Arc<dyn SecretStore>>, StoreError> {
        let mut section = self.section(kind);
        rooted(&mut section, folder);
        let store: Arc<dyn SecretStore> = match kind {
            StoreKind::Files => Arc::new(FileSecrets::new(read(section)?)?),
            StoreKind::Environment => Arc::new(EnvironmentSecrets::new(read(section)?)?),
            StoreKind::Kubernetes => Arc::new(KubernetesSecrets::new(read(section)?)?),
            #[cfg(feature = "aws")]
            StoreKind::Aws => Arc::new(crate::secret_store::AwsSecrets::new(read(section)?)?),
            #[cfg(feature = "azure")]
            StoreKind::Azure => Arc::new(crate::secret_store::AzureSecrets::new(read(section)?)?),
            #[cfg(feature = "google")]
            StoreKind::Google => Arc::new(crate::secret_store::GoogleSecrets::new(read(section)?)?),
            #[allow(unreachable_patterns)]
            _ => return Ok(None),
        };
        Ok(Some(store))
    }
}

fn read<T: DeserializeOwned>(section: Table) -> Result<T, StoreError> {
    T::deserialize(Value::Table(section)).map_err(|error| StoreError::Section(error.to_string()))
}

/// Lets relative paths start at `folder`.
fn rooted(section: &mut Table, folder: &Path) {
    for (key, value) in section {
        match value {
            Value::String(path) if PATHS.contains(&key.as_str()) => {
                *path = folder.join(&*path).display().to_string();
            }
            Value::Table(inner) => rooted(inner, folder),
            _ => {}
        }
    }
}

/// Collects the paths of a section, except those of certificates, which are no secret.
fn named(section: &Table, found: &mut Vec<PathBuf>) {
    for (key, value) in section {
        match value {
            Value::String(path) if PATHS.contains(&key.as_str()) && key != "ca-file" => {
                found.push(path.into());
            }
            Value::Table(inner) => named(inner, found),
            _ => {}
        }
    }
}
