//! Whether secrets are in their store, found out without reading one.

use reqwest::Method;
use windlass_proto::id::WorkflowId;
use windlass_worker::{VaultConfig, VaultEngine};

use super::vault::Vault;
use crate::error::CliError;

/// Looks for secrets in the Vault of a configuration.
pub(super) struct Store {
    vault: Vault,
    config: VaultConfig,
}

impl Store {
    /// The Vault of `config`, asked with the token in `VAULT_TOKEN`.
    ///
    /// # Errors
    /// When there is no token, or the certificates of the configuration cannot be used.
    pub(super) fn new(config: VaultConfig) -> Result<Self, CliError> {
        Ok(Self { vault: Vault::of(&config)?, config })
    }

    /// True when tasks of `workflow` would find the secret `name`, or what makes it.
    ///
    /// # Errors
    /// When Vault does not answer, or does not let the token look.
    pub(super) async fn has(
        &self,
        environment: &str,
        workflow: &WorkflowId,
        name: &str,
    ) -> Result<bool, CliError> {
        let paths = self.config.secrets.get(name).unwrap_or(&self.config.paths);
        // A name that cannot be part of a path has no secret.
        let Some(path) = paths.path_of(environment, workflow, name) else { return Ok(false) };
        let mount = paths.mount();
        match paths.engine() {
            VaultEngine::Kv2 => {
                let metadata = self.vault.read(&format!("{mount}/metadata/{path}")).await?;
                Ok(metadata.is_some_and(|it| is_current(&it)))
            }
            VaultEngine::Kv1 => {
                let (folder, key) = path.rsplit_once('/').unwrap_or(("", &path));
                let listed = format!("{mount}/{folder}?list=true");
                let answer = self.vault.send(Method::GET, &listed, None).await?;
                let keys = answer.as_ref().and_then(|it| it["data"]["keys"].as_array());
                Ok(keys.is_some_and(|keys| keys.iter().any(|it| it == key)))
            }
            VaultEngine::Database | VaultEngine::Pki => {
                Ok(self.vault.read(&format!("{mount}/roles/{path}")).await?.is_some())
            }
        }
    }
}

/// True when the newest version can be read: it was neither deleted nor destroyed.
fn is_current(metadata: &serde_json::Value) -> bool {
    let current = metadata["current_version"].to_string();
    let version = &metadata["versions"][current];
    version["deletion_time"] == "" && version["destroyed"] == false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_current;

    #[test]
    fn the_newest_version_decides() {
        let version = |deleted: &str, destroyed: bool| {
            let versions = json!({
                "1": {"deletion_time": "", "destroyed": false},
                "2": {"deletion_time": deleted, "destroyed": destroyed},
            });
            json!({"current_version": 2, "versions": versions})
        };
        assert!(is_current(&version("", false)));
        assert!(!is_current(&version("2026-01-01T00:00:00Z", false)));
        assert!(!is_current(&version("", true)));
        assert!(!is_current(&json!({"current_version": 0, "versions": {}})));
    }
}
