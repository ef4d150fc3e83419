//! Who logs in at Vault: each attempt, or attempts with the same rights together.

use std::collections::BTreeMap;

use serde::Deserialize;
use windlass_proto::secret::SecretName;

use super::vault::{VaultAuth, VaultConfig, VaultEngine};

/// Who logs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VaultLogin {
    /// Each attempt, for itself alone.
    #[default]
    Attempt,
    /// One attempt for all that have the same rights.
    Shared,
}

/// Who logs in, by what is read and by whom.
#[derive(Clone, Debug, Default)]
pub struct VaultLogins {
    /// Of attempts of which nothing else is said.
    pub worker: VaultLogin,
    /// Of those of these namespaces.
    pub namespaces: BTreeMap<String, VaultLogin>,
    /// Of those that may read these secrets, whatever their namespace.
    pub secrets: BTreeMap<String, VaultLogin>,
}

impl VaultLogins {
    /// Refuses what could not be done.
    pub(super) fn check(&self, config: &VaultConfig) -> Result<(), String> {
        let mut all = self.namespaces.values().chain(self.secrets.values());
        let shares = self.worker == VaultLogin::Shared || all.any(|it| *it == VaultLogin::Shared);
        if shares && !matches!(config.auth, VaultAuth::Jwt { .. }) {
            return Err("`shared` logins are for the method `jwt`: the others have one login for \
                        all attempts of a worker"
                .to_owned());
        }
        let shared = self.secrets.iter().filter(|(_, login)| **login == VaultLogin::Shared);
        let leased = |name: &str| config.secrets.get(name).is_some_and(|it| leases(it.engine));
        match shared.map(|it| it.0).find(|name| leased(name)) {
            Some(name) => Err(format!(
                "the login for the secret {name:?} cannot be `shared`: what its engine makes for an \
                 attempt ends with the login of that attempt"
            )),
            None => Ok(()),
        }
    }
}

impl VaultConfig {
    /// True when attempts of `namespace` that may read `secrets` share their login: when none of
    /// these is to be read with a login of its own, as whatever is leased is.
    pub(in crate::secret_store) fn shares_login(
        &self,
        namespace: &str,
        secrets: &[SecretName],
    ) -> bool {
        let logins = &self.logins;
        let usual = logins.namespaces.get(namespace).copied().unwrap_or(logins.worker);
        if secrets.is_empty() {
            return usual == VaultLogin::Shared;
        }
        secrets.iter().all(|SecretName(name)| {
            let login = logins.secrets.get(&**name).copied().unwrap_or(usual);
            let place = self.secrets.get(&**name).unwrap_or(&self.paths);
            login == VaultLogin::Shared && !leases(place.engine)
        })
    }
}

/// True for engines that make something for whoever asks, and take it away when that ends.
fn leases(engine: VaultEngine) -> bool {
    match engine {
        VaultEngine::Kv2 | VaultEngine::Kv1 => false,
        VaultEngine::Database | VaultEngine::Pki => true,
    }
}
