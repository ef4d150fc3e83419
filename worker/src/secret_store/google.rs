//! Secrets of Google Cloud's Secret Manager.

mod credential;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use windlass_proto::secret::{Secret, SecretName};
use zeroize::Zeroizing;

use super::places::{Places, Rule};
use super::remote::{self, Answer, Bearer, Remote, Way};
use super::setup::{StoreConfig, StoreError, StoreSettings};
use super::{SecretContext, SecretError, SecretStore, SecretValue, payload};

use credential::Credential;

pub use credential::GoogleAuth;

/// The section `[google]`.
pub type GoogleConfig = StoreConfig<GoogleSettings>;

/// What only the section `[google]` has.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub struct GoogleSettings {
    /// The project, by id or number, of secrets whose path names none.
    pub project: String,
    /// The service, `https://secretmanager.googleapis.com` by default.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// How the worker proves who it is; by default with the key file that
    /// `GOOGLE_APPLICATION_CREDENTIALS` names, else with the machine's service account.
    #[serde(default)]
    pub auth: Option<GoogleAuth>,
}

impl StoreSettings for GoogleSettings {
    /// Names of secrets, as `NAME` or `PROJECT/NAME`; by default
    /// `{environment}__{namespace}__{name}`, as names have letters, digits, `-` and `_` only.
    const USUAL_PATH: &str = "{environment}__{namespace}__{name}";
}

/// Reads the latest versions; those that are JSON objects are structures, others texts, or base64
/// where they are no text.
///
/// The identity needs the role `roles/secretmanager.secretAccessor`.
pub struct GoogleSecrets {
    remote: Remote,
    bearer: Bearer<Credential>,
    endpoint: Url,
    project: String,
    places: Places,
    timeout: Duration,
}

impl GoogleSecrets {
    /// A store by these settings.
    ///
    /// # Errors
    /// When the settings mean nothing, or the key file cannot be used.
    pub fn new(StoreConfig { own: config, shared }: GoogleConfig) -> Result<Self, StoreError> {
        let endpoint = config.endpoint.as_deref();
        let endpoint = endpoint.unwrap_or("https://secretmanager.googleapis.com");
        let endpoint = remote::base("google.endpoint", endpoint)?;
        remote::warn_of_plain_http("google.endpoint", &endpoint);
        if !is_project(&config.project) {
            return Err(StoreError::setting("google.project", "is no id or number of a project"));
        }
        let rule = Rule {
            allowed: |it| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '/'),
            longest: 30 + 1 + 255,
        };
        let places = shared.places(rule)?;
        let remote = Remote::new(Way::Public, None)?;
        let auth = config.auth.unwrap_or_else(GoogleAuth::usual);
        let bearer = Bearer::new(Credential::new(auth, remote.clone())?);
        let (project, timeout) = (config.project, shared.timeout);
        Ok(Self { remote, bearer, endpoint, project, places, timeout })
    }

    async fn find(
        &self,
        name: &SecretName,
        context: &SecretContext,
    ) -> Result<SecretValue, SecretError> {
        let (path, field) = self.places.of(name, context)?;
        let (project, id) = path.split_once('/').unwrap_or((&self.project, &path));
        if !is_project(project) || id.is_empty() || id.len() > 255 || id.contains('/') {
            return Err(SecretError::Missing);
        }
        let segments = ["v1", "projects", project, "secrets", id, "versions", "latest:access"];
        let url = remote::below(&self.endpoint, &segments);
        let answer = self.bearer.send(|| self.remote.get(url.clone()), "").await?;
        let version: Version = accessed(&answer)?;
        let encoded = version.payload.data.unwrap_or_default();
        let bytes = STANDARD.decode(encoded.as_bytes()).map_err(|_| remote::unreadable())?;
        let bytes = Zeroizing::new(bytes);
        if version.payload.data_crc32c.is_some_and(|it| it.parse() != Ok(crc32c(&bytes))) {
            let what = "its answer was damaged on the way";
            return Err(SecretError::Unavailable(what.to_owned()));
        }
        let data = payload::object_or_text(payload::from_bytes(&bytes));
        Ok(SecretValue {
            data: Secret::new(payload::take(data, field)?),
            version: version.name.rsplit('/').next().map(Into::into),
            request: None,
            lease: None,
        })
    }
}

impl SecretStore for GoogleSecrets {
    fn read<'a>(
        &'a self,
        name: &'a SecretName,
        context: &'a SecretContext,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>> {
        Box::pin(remote::bounded(self.timeout, self.find(name, context)))
    }
}

/// What the service says of a version.
#[derive(Deserialize)]
struct Version {
    /// `projects/NUMBER/secrets/NAME/versions/NUMBER`
    name: String,
    payload: Payload,
}

#[derive(Deserialize)]
struct Payload {
    /// Left out when it is empty.
    data: Option<Zeroizing<String>>,
    /// A number of 64 bits, which are texts in the JSON of these interfaces.
    #[serde(rename = "dataCrc32c")]
    data_crc32c: Option<String>,
}

fn accessed(answer: &Answer) -> Result<Version, SecretError> {
    #[derive(Deserialize)]
    struct Failed {
        error: Status,
    }
    #[derive(Deserialize)]
    struct Status {
        status: String,
    }
    if answer.status == StatusCode::BAD_REQUEST {
        // The latest version is disabled or destroyed.
        let failed: Failed = answer.parse()?;
        return Err(match failed.error.status.as_str() {
            "FAILED_PRECONDITION" => SecretError::Missing,
            _ => remote::answered(answer.status),
        });
    }
    answer.json()
}

/// Whether there can be such a project: an id, or a number.
fn is_project(text: &str) -> bool {
    let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    !text.is_empty() && text.len() <= 30 && text.bytes().all(plain)
}

/// CRC-32C (Castagnoli), bit by bit: a secret has 64 KiB at most.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    #[test]
    fn checksums_are_those_of_rfc_3720() {
        assert_eq!(super::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(super::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(super::crc32c(b""), 0);
    }
}
