//! Secrets of a Kubernetes cluster, read with the service account of the worker's pod.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use indexmap::IndexMap;
use reqwest::Url;
use serde::Deserialize;
use windlass_proto::secret::{Secret, SecretName};
use zeroize::Zeroizing;

use super::places::{Places, Rule};
use super::remote::{self, Bearer, Remote, Token, TokenSource, Way};
use super::setup::{StoreConfig, StoreError, StoreSettings, variable};
use super::{SecretContext, SecretData, SecretError, SecretStore, SecretValue, payload};

/// Where a pod finds what it needs to speak to the cluster.
const POD: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The section `[kubernetes]`.
pub type KubernetesConfig = StoreConfig<KubernetesSettings>;

/// What only the section `[kubernetes]` has. All of it has defaults inside a pod.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub struct KubernetesSettings {
    /// The API server, `https://HOST:PORT`; by default the one that the pod's environment names.
    #[serde(default)]
    pub address: Option<String>,
    /// PEM certificates to trust; by default those mounted into the pod.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The token of the service account, read anew for every request as it is rotated; by default
    /// the one mounted into the pod.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The cluster's namespace of secrets whose path names none; by default the pod's.
    #[serde(default)]
    pub namespace: Option<String>,
}

impl StoreSettings for KubernetesSettings {
    /// Names of secrets, as `NAME` or `NAMESPACE/NAME` in the cluster's sense; by default
    /// `{environment}.{namespace}.{name}`.
    const USUAL_PATH: &str = "{environment}.{namespace}.{name}";
}

/// Reads the API's `secrets`.
///
/// The service account needs `get` on the secrets, in a Role of their namespace; `list` and `watch`
/// are never used. Values that are no UTF-8 come as base64.
pub struct KubernetesSecrets {
    remote: Remote,
    bearer: Bearer<TokenFile>,
    address: Url,
    namespace: Option<String>,
    places: Places,
    timeout: Duration,
}

impl KubernetesSecrets {
    /// A store by these settings.
    ///
    /// # Errors
    /// When the settings mean nothing, or lack what only a pod has.
    pub fn new(StoreConfig { own: config, shared }: KubernetesConfig) -> Result<Self, StoreError> {
        let address = match config.address {
            Some(address) => address,
            None => address_in_pod(variable).ok_or_else(|| {
                StoreError::setting("kubernetes.address", "is needed outside of a pod")
            })?,
        };
        let address = remote::base("kubernetes.address", &address)?;
        remote::warn_of_plain_http("kubernetes.address", &address);
        let mounted = |name: &str| Some(Path::new(POD).join(name)).filter(|it| it.is_file());
        let ca_file = config.ca_file.or_else(|| mounted("ca.crt"));
        let namespace = config.namespace.or_else(|| {
            let text = std::fs::read_to_string(mounted("namespace")?).ok()?;
            Some(text.trim().to_owned())
        });
        if namespace.as_deref().is_some_and(|it| !is_label(it)) {
            return Err(StoreError::setting("kubernetes.namespace", "is no name of a namespace"));
        }
        let rule = Rule { allowed: allowed_in_path, longest: 63 + 1 + 253 };
        let places = shared.places(rule)?;
        let token_file = config.token_file.unwrap_or_else(|| Path::new(POD).join("token"));
        Ok(Self {
            remote: Remote::new(Way::Direct, ca_file.as_deref())?,
            bearer: Bearer::new(TokenFile(token_file)),
            address,
            namespace,
            places,
            timeout: shared.timeout,
        })
    }

    async fn find(
        &self,
        name: &SecretName,
        context: &SecretContext,
    ) -> Result<SecretValue, SecretError> {
        let (path, field) = self.places.of(name, context)?;
        let (namespace, key) = match path.split_once('/') {
            Some(both) => both,
            None => (self.namespace.as_deref().ok_or(SecretError::Missing)?, path.as_str()),
        };
        if !is_label(namespace) || !is_subdomain(key) {
            return Err(SecretError::Missing);
        }
        let segments = ["api", "v1", "namespaces", namespace, "secrets", key];
        let url = remote::below(&self.address, &segments);
        let answer = self.bearer.send(|| self.remote.get(url.clone()), "audit-id").await?;
        let object: Object = answer.json()?;
        let mut entries = Vec::with_capacity(object.data.len());
        for (key, encoded) in &object.data {
            let bytes = Zeroizing::new(
                STANDARD.decode(encoded.as_bytes()).map_err(|_| remote::unreadable())?,
            );
            entries.push((key.clone(), payload::text(payload::from_bytes(&bytes))));
        }
        let data = payload::take(SecretData::Map(entries), field)?;
        Ok(SecretValue {
            data: Secret::new(data),
            version: object.metadata.resource_version.map(Into::into),
            request: answer.request,
            lease: None,
        })
    }
}

impl SecretStore for KubernetesSecrets {
    fn read<'a>(
        &'a self,
        name: &'a SecretName,
        context: &'a SecretContext,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>> {
        Box::pin(remote::bounded(self.timeout, self.find(name, context)))
    }
}

/// A `Secret` of the API, as far as it matters here.
#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    data: IndexMap<String, Zeroizing<String>>,
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: Option<String>,
}

/// The token in a file, which the kubelet replaces before it expires.
struct TokenFile(PathBuf);

impl TokenSource for TokenFile {
    fn fetch(&self) -> BoxFuture<'_, Result<Token, SecretError>> {
        Box::pin(async {
            // Not kept: the file is small, in memory, and always has the current one.
            Ok(Token { text: remote::read_file(&self.0).await?, life: Duration::ZERO })
        })
    }
}

/// The API server as a pod's environment names it.
fn address_in_pod(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let host = variable("KUBERNETES_SERVICE_HOST")?;
    let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Some(format!("https://{host}:{port}"))
}

fn allowed_in_path(it: char) -> bool {
    it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, '-' | '.' | '/')
}

/// Whether the cluster can have a namespace of this name (RFC 1123 label).
fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_part(text)
}

/// Whether the cluster can have a secret of this name (RFC 1123 subdomain).
fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_part)
}

/// Lower-case letters, digits, and hyphens between them.
fn is_part(text: &str) -> bool {
    let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|it| plain(it) || it == b'-')
}

#[cfg(test)]
mod tests {
    use super::{address_in_pod, is_subdomain};

    #[test]
    fn the_api_server_is_found_inside_a_pod() {
        let pod = |host: &'static str| {
            address_in_pod(move |name| {
                Some(if name.ends_with("HOST") { host } else { "6443" }.to_owned())
            })
        };
        assert_eq!(pod("10.0.0.1").as_deref(), Some("https://10.0.0.1:6443"));
        assert_eq!(pod("fd00::1").as_deref(), Some("https://[fd00::1]:6443"));
        assert_eq!(address_in_pod(|_| None), None);
    }

    #[test]
    fn names_are_those_of_the_cluster() {
        for name in ["a", "a-b.c", "9.x"] {
            assert!(is_subdomain(name), "{name}");
        }
        for name in ["", "-a", "a-", "A", "a_b", "a..b", "a/b", ".a", "ключ"] {
            assert!(!is_subdomain(name), "{name}");
        }
    }
}
