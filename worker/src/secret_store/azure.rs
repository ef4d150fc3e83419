//! Secrets of Azure Key Vault.

mod credential;

use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::Url;
use serde::Deserialize;
use windlass_proto::secret::{Secret, SecretName};
use zeroize::Zeroizing;

use super::places::{Places, Rule};
use super::remote::{self, Bearer, Remote, Way};
use super::setup::{StoreConfig, StoreError, StoreSettings};
use super::{SecretContext, SecretError, SecretStore, SecretValue, payload};

use credential::Credential;

pub use credential::AzureAuth;

/// The version of the vault's interface.
const API_VERSION: &str = "7.4";

/// The section `[azure]`.
pub type AzureConfig = StoreConfig<AzureSettings>;

/// What only the section `[azure]` has.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub struct AzureSettings {
    /// The vault, `https://NAME.vault.azure.net`.
    pub vault: String,
    /// Whom tokens are for; by default what the vault's host names, `https://vault.azure.net` in
    /// the public cloud.
    #[serde(default)]
    pub resource: Option<String>,
    /// How the worker proves who it is; by default with the workload identity that the pod's
    /// environment names, else with the machine's managed identity.
    #[serde(default)]
    pub auth: Option<AzureAuth>,
}

impl StoreSettings for AzureSettings {
    /// Names of secrets; by default `{environment}--{namespace}--{name}`, as a vault's names have
    /// letters, digits and hyphens only.
    const USUAL_PATH: &str = "{environment}--{namespace}--{name}";
}

/// Reads the current versions of a vault's secrets; those of the content type `application/json`
/// are structures.
///
/// The identity needs the role `Key Vault Secrets User`, or the access policy `get`. A secret that
/// is disabled, or is not valid yet or any more, counts as forbidden, as the vault says.
pub struct AzureSecrets {
    remote: Remote,
    bearer: Bearer<Credential>,
    vault: Url,
    places: Places,
    timeout: Duration,
}

impl AzureSecrets {
    /// A store by these settings.
    ///
    /// # Errors
    /// When the settings mean nothing or are not complete.
    pub fn new(StoreConfig { own: config, shared }: AzureConfig) -> Result<Self, StoreError> {
        let vault = remote::base("azure.vault", &config.vault)?;
        remote::warn_of_plain_http("azure.vault", &vault);
        let resource = config.resource.unwrap_or_else(|| resource_of(&vault));
        let rule = Rule { allowed: |it| it.is_ascii_alphanumeric() || it == '-', longest: 127 };
        let places = shared.places(rule)?;
        let remote = Remote::new(Way::Public, None)?;
        let auth = config.auth.unwrap_or_else(AzureAuth::usual);
        let bearer = Bearer::new(Credential::new(auth, resource, remote.clone())?);
        Ok(Self { remote, bearer, vault, places, timeout: shared.timeout })
    }

    async fn find(
        &self,
        name: &SecretName,
        context: &SecretContext,
    ) -> Result<SecretValue, SecretError> {
        let (path, field) = self.places.of(name, context)?;
        let mut url = remote::below(&self.vault, &["secrets", &path]);
        url.query_pairs_mut().append_pair("api-version", API_VERSION);
        let answer = self.bearer.send(|| self.remote.get(url.clone()), "x-ms-request-id").await?;
        let bundle: Bundle = answer.json()?;
        let kind = bundle.content_type.unwrap_or_default();
        let data = match kind.split(';').next().map(str::trim) {
            Some(kind) if kind.eq_ignore_ascii_case("application/json") => {
                payload::json_or_text(bundle.value)
            }
            _ => payload::text(bundle.value),
        };
        Ok(SecretValue {
            data: Secret::new(payload::take(data, field)?),
            version: bundle.id.rsplit('/').next().map(Into::into),
            request: answer.request,
            lease: None,
        })
    }
}

impl SecretStore for AzureSecrets {
    fn read<'a>(
        &'a self,
        name: &'a SecretName,
        context: &'a SecretContext,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>> {
        Box::pin(remote::bounded(self.timeout, self.find(name, context)))
    }
}

/// What a vault says of a secret.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    value: Zeroizing<String>,
    /// `https://NAME.vault.azure.net/secrets/NAME/VERSION`
    id: String,
    content_type: Option<String>,
}

/// The public cloud and the national ones name their vaults below what tokens are for.
fn resource_of(vault: &Url) -> String {
    let host = vault.host_str().unwrap_or_default();
    let above = host.split_once('.').map(|(_, above)| above);
    let above = above.filter(|it| it.starts_with("vault."));
    format!("https://{}", above.unwrap_or("vault.azure.net"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use reqwest::Url;

    use super::resource_of;

    #[test]
    fn tokens_are_for_the_cloud_that_the_vault_is_in() {
        for (vault, resource) in [
            ("https://a.vault.azure.net", "https://vault.azure.net"),
            ("https://a.vault.usgovcloudapi.net", "https://vault.usgovcloudapi.net"),
            ("https://a.vault.azure.cn/", "https://vault.azure.cn"),
            ("https://vault.example.com", "https://vault.azure.net"),
        ] {
            assert_eq!(resource_of(&Url::parse(vault).unwrap()), resource);
        }
    }
}
