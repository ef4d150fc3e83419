//! Vault as an operator uses it, with a token of their own.

use std::path::Path;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value as Json;
use windlass_proto::limits;
use windlass_worker::VaultConfig;
use zeroize::Zeroizing;

use crate::code::{VAULT_REFUSED, VAULT_UNREACHABLE};
use crate::error::CliError;
use crate::error::chain;

/// A Vault, and an operator's right to change it.
pub(crate) struct Vault {
    http: reqwest::Client,
    address: String,
    namespace: Option<String>,
    token: Zeroizing<String>,
    /// Whether nothing is said of what is done.
    pub(super) quiet: bool,
}

impl Vault {
    /// The Vault of a configuration, with the token in `VAULT_TOKEN`.
    ///
    /// # Errors
    /// When there is no token, or the certificates of the configuration cannot be used.
    pub(super) fn of(config: &VaultConfig) -> Result<Self, CliError> {
        let token = windlass_worker::variable("VAULT_TOKEN").and_then(|it| it.into_string().ok());
        let token = token.map(Zeroizing::new).unwrap_or_default();
        if token.is_empty() {
            let text =
                "this asks Vault with a token of yours: put it into the variable VAULT_TOKEN";
            return Err(CliError::Usage(text.to_owned()));
        }
        let (namespace, ca) = (config.namespace.as_deref(), config.ca_file.as_deref());
        Self::new(config.address.as_str(), namespace, ca, token)
    }

    /// The Vault at `address`, with a token.
    ///
    /// # Errors
    /// When the certificates cannot be used.
    pub(crate) fn new(
        address: &str,
        namespace: Option<&str>,
        ca: Option<&Path>,
        token: Zeroizing<String>,
    ) -> Result<Self, CliError> {
        // An error means that the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .timeout(Duration::from_millis(limits::SETUP_REQUEST_MS))
            .no_proxy();
        if let Some(path) = ca {
            let unusable = |error: &dyn std::fmt::Display| {
                CliError::Usage(format!("the certificates in {}: {error}", path.display()))
            };
            let pem = std::fs::read(path).map_err(|error| unusable(&error))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem);
            let certificates = certificates.map_err(|error| unusable(&error))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(|error| CliError::Usage(error.to_string()))?;
        let address = address.trim_end_matches('/').to_owned();
        let namespace = namespace.map(str::to_owned);
        Ok(Self { http, address, namespace, token, quiet: false })
    }

    /// The same, which says nothing of what it does.
    pub(crate) fn quietly(self) -> Self {
        Self { quiet: true, ..self }
    }

    /// What is at `path`; none when nothing is.
    ///
    /// # Errors
    /// When Vault does not answer, or refuses the token.
    pub(super) async fn read(&self, path: &str) -> Result<Option<Json>, CliError> {
        match self.send(Method::GET, path, None).await? {
            Some(mut answer) => Ok(Some(answer["data"].take())),
            None => Ok(None),
        }
    }

    /// Asks for anything; none for what is not there, where `method` reads.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
    ) -> Result<Option<Json>, CliError> {
        let reading = method == Method::GET;
        let mut request = self.http.request(method, format!("{}/v1/{path}", self.address));
        request = request.header("X-Vault-Token", self.token.as_str());
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let unreachable = |error: reqwest::Error| self.unreachable(&error);
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let text = response.text().await.map_err(unreachable)?;
        let answer: Json = serde_json::from_str(&text).unwrap_or_default();
        // Writes are answered with nothing; a proxy, or another server, with a page.
        if !answer.is_object() && !text.trim().is_empty() {
            let detail = format!("{}: no store of secrets answers there ({status})", self.address);
            return Err(CliError::coded(&VAULT_UNREACHABLE, &detail));
        }
        if status.is_success() {
            return Ok(Some(answer));
        }
        let errors = answer["errors"].as_array().cloned().unwrap_or_default();
        // Of a mount that is not there Vault says "bad request".
        let absent = status == StatusCode::NOT_FOUND
            || (status == StatusCode::BAD_REQUEST && path.starts_with("sys/"));
        if reading && absent {
            return Ok(None);
        }
        let said: Vec<&str> = errors.iter().filter_map(Json::as_str).collect();
        Err(failed(&format!("{path}: {status} {}", said.join("; ").trim())))
    }
}

impl Vault {
    /// No answer: nothing was refused, and a right is not what is missing.
    fn unreachable(&self, error: &reqwest::Error) -> CliError {
        let detail = format!(
            "{}: {}. Is it running there? --address, VAULT_ADDR or the configuration names it",
            self.address,
            chain(error)
        );
        CliError::coded(&VAULT_UNREACHABLE, &detail)
    }
}

/// What `windlass secret` says when Vault did not do what it should.
pub(super) fn failed(detail: &str) -> CliError {
    CliError::coded(&VAULT_REFUSED, detail)
}
