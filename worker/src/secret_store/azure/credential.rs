//! How a worker proves to Azure who it is.

use std::path::PathBuf;

use futures_util::future::BoxFuture;
use reqwest::Url;
use serde::Deserialize;

use crate::secret_store::SecretError;
use crate::secret_store::remote::{self, Remote, Token, TokenSource, Way};
use crate::secret_store::setup::{StoreError, variable};

/// Where a machine in Azure finds its metadata.
const METADATA: &str = "http://169.254.169.254";
/// Where the public cloud's tokens come from.
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// The section `[azure.auth]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    tag = "method",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields,
    expecting = "a table"
)]
pub enum AzureAuth {
    /// The identity of the machine.
    ManagedIdentity {
        /// Which one, where the machine has several.
        #[serde(default)]
        client_id: Option<String>,
        /// The metadata service, `http://169.254.169.254` by default.
        #[serde(default)]
        endpoint: Option<String>,
    },
    /// The identity of a pod, proved with its service account's token. What is not set comes from
    /// the environment, where the webhook of AKS puts it.
    WorkloadIdentity {
        /// `AZURE_TENANT_ID` by default.
        #[serde(default)]
        tenant_id: Option<String>,
        /// `AZURE_CLIENT_ID` by default.
        #[serde(default)]
        client_id: Option<String>,
        /// `AZURE_FEDERATED_TOKEN_FILE` by default.
        #[serde(default)]
        token_file: Option<PathBuf>,
        /// `AZURE_AUTHORITY_HOST` by default, else the public cloud's.
        #[serde(default)]
        authority: Option<String>,
    },
    /// An application with a secret of its own.
    ClientSecret {
        /// The directory.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// The file that has its secret; read for every token.
        secret_file: PathBuf,
        /// `AZURE_AUTHORITY_HOST` by default, else the public cloud's.
        #[serde(default)]
        authority: Option<String>,
    },
}

impl AzureAuth {
    /// What this process seems to have.
    pub(super) fn usual() -> Self {
        if variable("AZURE_FEDERATED_TOKEN_FILE").is_some() {
            Self::WorkloadIdentity {
                tenant_id: None,
                client_id: None,
                token_file: None,
                authority: None,
            }
        } else {
            Self::ManagedIdentity { client_id: None, endpoint: None }
        }
    }
}

/// Asks for tokens.
pub(super) struct Credential {
    proof: Proof,
    resource: String,
    remote: Remote,
}

enum Proof {
    Machine { client_id: Option<String>, endpoint: Url },
    Application { client_id: String, file: PathBuf, federated: bool, endpoint: Url },
}

impl Credential {
    /// Tokens for `resource`, through `public` where they come from the network.
    ///
    /// # Errors
    /// When the settings lack something that the environment does not have either.
    pub(super) fn new(
        auth: AzureAuth,
        resource: String,
        public: Remote,
    ) -> Result<Self, StoreError> {
        let machine = matches!(auth, AzureAuth::ManagedIdentity { .. });
        let proof = match auth {
            AzureAuth::ManagedIdentity { client_id, endpoint } => {
                let base = endpoint.as_deref().unwrap_or(METADATA);
                let base = remote::base("azure.auth.endpoint", base)?;
                let endpoint = remote::below(&base, &["metadata", "identity", "oauth2", "token"]);
                Proof::Machine { client_id, endpoint }
            }
            AzureAuth::WorkloadIdentity { tenant_id, client_id, token_file, authority } => {
                let tenant = given("azure.auth.tenant-id", tenant_id, "AZURE_TENANT_ID")?;
                let file = token_file.map(Ok).unwrap_or_else(|| {
                    let name = "AZURE_FEDERATED_TOKEN_FILE";
                    given("azure.auth.token-file", None, name).map(PathBuf::from)
                })?;
                Proof::Application {
                    client_id: given("azure.auth.client-id", client_id, "AZURE_CLIENT_ID")?,
                    file,
                    federated: true,
                    endpoint: token_endpoint(authority, &tenant)?,
                }
            }
            AzureAuth::ClientSecret { tenant_id, client_id, secret_file, authority } => {
                let endpoint = token_endpoint(authority, &tenant_id)?;
                Proof::Application { client_id, file: secret_file, federated: false, endpoint }
            }
        };
        // The metadata service is on the machine itself and refuses what comes through a proxy.
        let remote = if machine { Remote::new(Way::Direct, None)? } else { public };
        Ok(Self { proof, resource, remote })
    }

    async fn ask(&self) -> Result<Token, SecretError> {
        match &self.proof {
            Proof::Machine { client_id, endpoint } => {
                let mut url = endpoint.clone();
                url.query_pairs_mut()
                    .append_pair("api-version", "2018-02-01")
                    .append_pair("resource", &self.resource);
                if let Some(id) = client_id {
                    url.query_pairs_mut().append_pair("client_id", id);
                }
                remote::ask(self.remote.get(url).header("metadata", "true")).await
            }
            Proof::Application { client_id, file, federated, endpoint } => {
                // Read each time: both kinds of file are replaced while the worker runs.
                let proof = remote::read_file(file).await?;
                let scope = format!("{}/.default", self.resource);
                let mut form = vec![
                    ("grant_type", "client_credentials"),
                    ("client_id", client_id.as_str()),
                    ("scope", scope.as_str()),
                ];
                if *federated {
                    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                    form.push(("client_assertion_type", kind));
                    form.push(("client_assertion", proof.as_str()));
                } else {
                    form.push(("client_secret", proof.as_str()));
                }
                remote::ask(self.remote.post(endpoint.clone(), &form)).await
            }
        }
    }
}

impl TokenSource for Credential {
    fn fetch(&self) -> BoxFuture<'_, Result<Token, SecretError>> {
        Box::pin(self.ask())
    }
}

fn given(
    setting: &'static str,
    value: Option<String>,
    name: &'static str,
) -> Result<String, StoreError> {
    value
        .or_else(|| variable(name))
        .ok_or_else(|| StoreError::setting(setting, format!("is needed, or {name}")))
}

fn token_endpoint(authority: Option<String>, tenant: &str) -> Result<Url, StoreError> {
    let authority = authority.or_else(|| variable("AZURE_AUTHORITY_HOST"));
    let base = remote::base("azure.auth.authority", authority.as_deref().unwrap_or(AUTHORITY))?;
    remote::warn_of_plain_http("azure.auth.authority", &base);
    Ok(remote::below(&base, &[tenant, "oauth2", "v2.0", "token"]))
}
