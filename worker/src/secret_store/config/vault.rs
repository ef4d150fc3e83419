//! The `[vault]` of a secrets configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Deserializer};
use windlass_proto::duration::typed;
use windlass_proto::id::WorkflowId;
use windlass_proto::limits;

use super::logins::{VaultLogin, VaultLogins};
use super::path::PathTemplate;
use crate::secret_store::template::Values;

/// How Vault is used.
#[derive(Clone, Debug)]
pub struct VaultConfig {
    /// Where it is.
    pub address: Url,
    /// Vault's own namespace, which has nothing to do with those of workflows.
    pub namespace: Option<String>,
    /// PEM file of the certificates to trust, in place of the platform's.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
    /// Requests open at once.
    pub concurrency: usize,
    /// Requests sent in a second.
    pub requests_per_second: u32,
    /// How long a secret may be used again by tasks of the same identity; zero asks every time.
    pub cache: Duration,
    /// How tasks get in.
    pub auth: VaultAuth,
    /// Which of them do so together.
    pub logins: VaultLogins,
    /// Where secrets are that have no entry of their own.
    pub paths: PathConfig,
    /// Where certain secrets are.
    pub secrets: BTreeMap<String, PathConfig>,
    /// The mount of the transit engine that results are sealed with.
    pub transit_mount: String,
}

/// How a worker gets a token of Vault.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    tag = "method",
    rename_all = "lowercase",
    rename_all_fields = "kebab-case",
    deny_unknown_fields,
    expecting = "a table"
)]
pub enum VaultAuth {
    /// With the identity that the coordinator signed for the task.
    Jwt {
        /// Where the method is mounted, below `auth/`.
        #[serde(default = "jwt_mount")]
        mount: String,
        /// Its role.
        #[serde(default = "jwt_role")]
        role: String,
    },
    /// With the worker's own role and secret id.
    AppRole {
        /// Where the method is mounted, below `auth/`.
        #[serde(default = "approle_mount")]
        mount: String,
        /// The role's id.
        role_id: String,
        /// A file with the secret id.
        secret_id_file: PathBuf,
    },
    /// With the worker's service account.
    Kubernetes {
        /// Where the method is mounted, below `auth/`.
        #[serde(default = "kubernetes_mount")]
        mount: String,
        /// Its role.
        role: String,
        /// A file with the service account's token.
        #[serde(default = "service_account_token")]
        token_file: PathBuf,
    },
    /// With a token that somebody else made.
    Token {
        /// A file with the token.
        token_file: PathBuf,
    },
}

impl VaultAuth {
    /// The file with the credential, where there is one.
    pub(super) fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Jwt { .. } => None,
            Self::AppRole { secret_id_file: file, .. }
            | Self::Kubernetes { token_file: file, .. }
            | Self::Token { token_file: file } => Some(file.clone()),
        }
    }
}

/// Where a secret is.
#[derive(Clone, Debug)]
pub struct PathConfig {
    pub(crate) engine: VaultEngine,
    pub(crate) mount: String,
    pub(in crate::secret_store) path: PathTemplate,
    pub(crate) field: Option<String>,
    pub(crate) pki: Option<Pki>,
}

impl PathConfig {
    /// The kind of engine.
    #[must_use]
    pub fn engine(&self) -> VaultEngine {
        self.engine
    }

    /// Where the engine is mounted.
    #[must_use]
    pub fn mount(&self) -> &str {
        &self.mount
    }

    /// The path below the mount, with `{environment}`, `{namespace}`, `{workflow}` and `{name}`
    /// where it differs by task.
    #[must_use]
    pub fn path(&self) -> String {
        self.path.to_string()
    }

    /// The path of the secret `name` for tasks of `workflow`; none when a name in it is more than
    /// one part of a path, or a pattern.
    #[must_use]
    pub fn path_of(&self, environment: &str, workflow: &WorkflowId, name: &str) -> Option<String> {
        self.path.expand(Values { environment, workflow, name }).map(|it| it.0)
    }
}

/// What is asked of the engine that issues certificates.
#[derive(Clone, Debug)]
pub(crate) struct Pki {
    pub(in crate::secret_store) common_name: PathTemplate,
    pub(in crate::secret_store) alt_names: Option<PathTemplate>,
    pub(crate) ttl: Option<Duration>,
}

/// Kinds of engines that secrets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VaultEngine {
    /// Keys and values with versions.
    Kv2,
    /// Keys and values without versions.
    Kv1,
    /// Credentials made for each lease, by any engine with `<mount>/creds/<role>`: database, AWS, …
    Database,
    /// Certificates, issued for each lease.
    Pki,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub(super) struct Section {
    address: Option<String>,
    namespace: Option<String>,
    ca_file: Option<PathBuf>,
    #[serde(default = "default_timeout", deserialize_with = "duration")]
    timeout: Duration,
    #[serde(default = "default_concurrency")]
    concurrency: usize,
    #[serde(default = "default_rate")]
    requests_per_second: u32,
    #[serde(default, deserialize_with = "duration")]
    cache: Duration,
    auth: VaultAuth,
    #[serde(default)]
    login: VaultLogin,
    #[serde(default)]
    namespace_logins: BTreeMap<String, VaultLogin>,
    #[serde(default)]
    secret_logins: BTreeMap<String, VaultLogin>,
    #[serde(default)]
    paths: Paths,
    #[serde(default)]
    secret: BTreeMap<String, Paths>,
    #[serde(default)]
    transit: Transit,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
struct Paths {
    engine: Option<VaultEngine>,
    mount: Option<String>,
    path: Option<String>,
    field: Option<String>,
    common_name: Option<String>,
    alt_names: Option<String>,
    #[serde(default, deserialize_with = "optional_duration")]
    ttl: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
struct Transit {
    mount: String,
}

impl Default for Transit {
    fn default() -> Self {
        Self { mount: "transit".to_owned() }
    }
}

impl Section {
    pub(super) fn checked(
        self,
        folder: &Path,
        fallback: Option<String>,
    ) -> Result<VaultConfig, String> {
        let address = self.address.or(fallback).ok_or("[vault] needs an `address`")?;
        let address = Url::parse(&address)
            .ok()
            .filter(|it| matches!(it.scheme(), "http" | "https") && it.has_host())
            .ok_or("the `address` of [vault] is not an HTTP URL")?;
        if !address.username().is_empty() || address.password().is_some() {
            return Err("the `address` of [vault] must not hold credentials".to_owned());
        }
        let request = Duration::from_millis(limits::SECRET_TIMEOUT_MS);
        if self.timeout.is_zero() || self.timeout > request {
            return Err(format!("the `timeout` of [vault] is more than zero, at most {request:?}"));
        }
        if self.concurrency == 0 || self.concurrency > 10_000 || self.requests_per_second == 0 {
            return Err("`concurrency` is 1 to 10000, `requests-per-second` is not 0".to_owned());
        }
        let longest = Duration::from_millis(limits::SECRET_CACHE_MS);
        if self.cache > longest {
            return Err(format!("the `cache` of [vault] is at most {longest:?}"));
        }
        let one = |name: &str, paths: Paths| {
            let of = |reason| format!("[vault.secret.{name}]: {reason}");
            Ok::<_, String>((name.to_owned(), paths.checked(false).map_err(of)?))
        };
        let secrets = self.secret.into_iter().map(|(name, paths)| one(&name, paths));
        let logins = VaultLogins {
            worker: self.login,
            namespaces: self.namespace_logins,
            secrets: self.secret_logins,
        };
        let config = VaultConfig {
            address,
            namespace: self.namespace,
            ca_file: self.ca_file.map(|it| folder.join(it)),
            timeout: self.timeout,
            concurrency: self.concurrency,
            requests_per_second: self.requests_per_second,
            cache: self.cache,
            auth: self.auth.checked(folder)?,
            logins,
            paths: self.paths.checked(true).map_err(|reason| format!("[vault.paths]: {reason}"))?,
            secrets: secrets.collect::<Result<_, _>>()?,
            transit_mount: mount(&self.transit.mount)?,
        };
        config.logins.check(&config)?;
        Ok(config)
    }
}

impl VaultAuth {
    fn checked(mut self, folder: &Path) -> Result<Self, String> {
        match &mut self {
            Self::Jwt { mount: at, .. } => *at = mount(at)?,
            Self::AppRole { mount: at, secret_id_file: file, .. }
            | Self::Kubernetes { mount: at, token_file: file, .. } => {
                *at = mount(at)?;
                *file = folder.join(&*file);
            }
            Self::Token { token_file } => *token_file = folder.join(&*token_file),
        }
        Ok(self)
    }
}

impl Paths {
    /// `mapping` is for all secrets: its default tells them apart.
    fn checked(self, mapping: bool) -> Result<PathConfig, String> {
        let engine = self.engine.unwrap_or(VaultEngine::Kv2);
        let default_mount = match engine {
            VaultEngine::Kv2 | VaultEngine::Kv1 => "secret",
            VaultEngine::Database => "database",
            VaultEngine::Pki => "pki",
        };
        let default_path = matches!(engine, VaultEngine::Kv2 | VaultEngine::Kv1)
            .then_some("{environment}/{namespace}/{name}");
        let path = self.path.as_deref().or(default_path).ok_or("it needs a `path`: the role")?;
        if mapping && !path.contains("{name}") {
            return Err("its `path` must have a {name}: all secrets would be the same".to_owned());
        }
        let pki = match (engine, self.common_name) {
            (VaultEngine::Pki, Some(name)) => Some(Pki {
                common_name: PathTemplate::parse(&name)?,
                alt_names: self.alt_names.as_deref().map(PathTemplate::parse).transpose()?,
                ttl: self.ttl,
            }),
            (VaultEngine::Pki, None) => {
                return Err("a certificate needs a `common-name`".to_owned());
            }
            _ if self.alt_names.is_some() || self.ttl.is_some() => {
                return Err("`alt-names` and `ttl` are for certificates".to_owned());
            }
            (_, Some(_)) => return Err("`common-name` is for certificates".to_owned()),
            (_, None) => None,
        };
        Ok(PathConfig {
            engine,
            mount: mount(self.mount.as_deref().unwrap_or(default_mount))?,
            path: PathTemplate::path(path)?,
            field: self.field,
            pki,
        })
    }
}

/// The path of a mount: a template without places.
fn mount(text: &str) -> Result<String, String> {
    let trimmed = text.trim_matches('/');
    if trimmed.contains(['{', '}']) {
        return Err(format!("{text:?} is not the path of a mount"));
    }
    PathTemplate::path(trimmed).map(|_| trimmed.to_owned())
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    typed::parse(&text)
        .map_err(|_| serde::de::Error::custom("a duration is written 500ms, 5s or 2m"))
}

fn optional_duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

fn default_timeout() -> Duration {
    Duration::from_millis(limits::VAULT_TIMEOUT_MS)
}

fn default_concurrency() -> usize {
    limits::VAULT_CONCURRENCY
}

fn default_rate() -> u32 {
    limits::VAULT_REQUESTS_PER_SECOND
}

fn jwt_mount() -> String {
    "windlass".to_owned()
}

fn jwt_role() -> String {
    "task".to_owned()
}

fn approle_mount() -> String {
    "approle".to_owned()
}

fn kubernetes_mount() -> String {
    "kubernetes".to_owned()
}

fn service_account_token() -> PathBuf {
    "/var/run/secrets/kubernetes.io/serviceaccount/token".into()
}
