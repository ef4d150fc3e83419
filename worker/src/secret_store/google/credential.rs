//! How a worker proves to Google who it is.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use reqwest::Url;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use windlass_proto::limits;
use zeroize::Zeroizing;

use crate::clock;
use crate::secret_store::SecretError;
use crate::secret_store::remote::{self, Remote, Token, TokenSource, Way};
use crate::secret_store::setup::{StoreError, variable};

/// What tokens are for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Where a machine in Google's cloud finds its metadata.
const METADATA: &str = "http://metadata.google.internal";
/// Where tokens come from when a key file does not say.
const TOKENS: &str = "https://oauth2.googleapis.com/token";
/// The section `[google.auth]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    tag = "method",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields,
    expecting = "a table"
)]
pub enum GoogleAuth {
    /// The service account of the machine, or of a pod with workload identity.
    Metadata {
        /// The metadata server; by default the one of `GCE_METADATA_HOST`, else
        /// `http://metadata.google.internal`.
        #[serde(default)]
        endpoint: Option<String>,
    },
    /// A service account's key.
    ServiceAccount {
        /// The JSON file of the key; by default that of `GOOGLE_APPLICATION_CREDENTIALS`.
        #[serde(default)]
        key_file: Option<PathBuf>,
    },
}

impl GoogleAuth {
    /// What this process seems to have.
    pub(super) fn usual() -> Self {
        if variable("GOOGLE_APPLICATION_CREDENTIALS").is_some() {
            Self::ServiceAccount { key_file: None }
        } else {
            Self::Metadata { endpoint: None }
        }
    }
}

/// Asks for tokens.
pub(super) struct Credential {
    proof: Proof,
    remote: Remote,
}

enum Proof {
    Machine { endpoint: Url },
    Key { file: PathBuf },
}

impl Credential {
    /// Tokens of the machine, or through `public` for a key.
    ///
    /// # Errors
    /// When the settings name no usable key or server.
    pub(super) fn new(auth: GoogleAuth, public: Remote) -> Result<Self, StoreError> {
        match auth {
            GoogleAuth::Metadata { endpoint } => {
                let named = || variable("GCE_METADATA_HOST").map(|it| format!("http://{it}"));
                let base = endpoint.or_else(named).unwrap_or_else(|| METADATA.to_owned());
                let base = remote::base("google.auth.endpoint", &base)?;
                let account = ["computeMetadata", "v1", "instance", "service-accounts", "default"];
                let endpoint = remote::below(&remote::below(&base, &account), &["token"]);
                // On the machine itself; a proxy would answer with its own machine's token.
                let remote = Remote::new(Way::Direct, None)?;
                Ok(Self { proof: Proof::Machine { endpoint }, remote })
            }
            GoogleAuth::ServiceAccount { key_file } => {
                let named = || variable("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from);
                let file = key_file.or_else(named).ok_or_else(|| {
                    let reason = "is needed, or GOOGLE_APPLICATION_CREDENTIALS";
                    StoreError::setting("google.auth.key-file", reason)
                })?;
                let text = std::fs::read_to_string(&file).map(Zeroizing::new);
                let text = text.map_err(|error| StoreError::file(&file, error))?;
                // Said now, not when a task fails.
                let key = Key::parse(&text).map_err(|reason| StoreError::file(&file, reason))?;
                key.assertion(0).map_err(|reason| StoreError::file(&file, reason))?;
                Ok(Self { proof: Proof::Key { file }, remote: public })
            }
        }
    }

    async fn ask(&self) -> Result<Token, SecretError> {
        match &self.proof {
            Proof::Machine { endpoint } => {
                let request = self.remote.get(endpoint.clone());
                remote::ask(request.header("metadata-flavor", "Google")).await
            }
            Proof::Key { file } => {
                let (url, assertion) = signed(file, &remote::read_file(file).await?)?;
                let kind = "urn:ietf:params:oauth:grant-type:jwt-bearer";
                let form = [("grant_type", kind), ("assertion", assertion.as_str())];
                remote::ask(self.remote.post(url, &form)).await
            }
        }
    }
}

impl TokenSource for Credential {
    fn fetch(&self) -> BoxFuture<'_, Result<Token, SecretError>> {
        Box::pin(self.ask())
    }
}

/// Where to ask, and what proves who asks.
fn signed(file: &Path, text: &str) -> Result<(Url, Zeroizing<String>), SecretError> {
    let now = clock::time_of_day().as_secs();
    let made = Key::parse(text).and_then(|key| Ok((key.url()?, key.assertion(now)?)));
    made.map_err(|reason| {
        tracing::warn!(file = %file.display(), "cannot use the key of a service account: {reason}");
        SecretError::Unavailable("the worker's own key cannot be used".to_owned())
    })
}

/// A key file, as far as it matters here.
#[derive(Deserialize)]
struct Key {
    client_email: String,
    private_key_id: String,
    private_key: Zeroizing<String>,
    token_uri: Option<String>,
}

impl Key {
    fn parse(text: &str) -> Result<Self, &'static str> {
        // The parser's message may quote the key, so it is not passed on.
        let key: Self = serde_json::from_str(text)
            .map_err(|_| "it is not the JSON file of a service account's key")?;
        key.url()?;
        Ok(key)
    }

    fn url(&self) -> Result<Url, &'static str> {
        let text = self.token_uri.as_deref().unwrap_or(TOKENS);
        remote::base("token_uri", text).map_err(|_| "its token_uri is not a URL")
    }

    /// A JSON Web Token that asks for an access token (RFC 7523), signed with RS256.
    ///
    /// ring signs it through rustls: the `rsa` crate that `jsonwebtoken` would use takes times that
    /// depend on the key (RUSTSEC-2023-0071).
    fn assertion(&self, now: u64) -> Result<Zeroizing<String>, &'static str> {
        let header = serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": self.private_key_id});
        let claims = serde_json::json!({
            "iss": self.client_email,
            "scope": SCOPE,
            "aud": self.token_uri.as_deref().unwrap_or(TOKENS),
            "iat": now,
            "exp": now + limits::GOOGLE_ASSERTION_S,
        });
        let encode = |it: &[u8]| URL_SAFE_NO_PAD.encode(it);
        let mut token = Zeroizing::new(format!(
            "{}.{}",
            encode(header.to_string().as_bytes()),
            encode(claims.to_string().as_bytes())
        ));
        let key = PrivateKeyDer::from_pem_slice(self.private_key.as_bytes())
            .map_err(|_| "its private_key is not in PEM")?;
        let key = any_supported_type(&key).map_err(|_| "its private_key is not usable")?;
        let signer = key
            .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
            .ok_or("its private_key is not for RSA")?;
        let signature =
            signer.sign(token.as_bytes()).map_err(|_| "its private_key signs nothing")?;
        token.push('.');
        token.push_str(&encode(&signature));
        Ok(token)
    }
}
