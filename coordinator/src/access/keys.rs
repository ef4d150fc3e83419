//! The keys of an identity provider: asked for when they are first needed, and again when a token
//! names one that is not known, or after a while.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::JwkSet;
use reqwest::redirect::Policy;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use windlass_proto::limits;

use super::rules::IssuerRule;
use crate::access::is_secure;
use crate::causes::causes;

/// The keys of one provider.
#[derive(Default)]
pub(super) struct Keys {
    known: RwLock<Option<Known>>,
    /// When it was asked last, with whatever outcome.
    asked: Mutex<Option<Instant>>,
    /// Held by who asks: the others wait for what that one is told.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Known {
    keys: Arc<JwkSet>,
    since: Instant,
}

/// Why a provider's keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysError {
    /// It does not answer, or with something else.
    #[error("{url}: {reason}")]
    Unanswered {
        /// What was asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// A file that it is asked with cannot be used.
    #[error("{0}")]
    File(String),
}

impl KeysError {
    /// It was asked a moment ago.
    fn again(issuer: &IssuerRule) -> Self {
        Self::Unanswered {
            url: issuer.url.to_string(),
            reason: "it gave no keys a moment ago, and is asked again soon".to_owned(),
        }
    }
}

/// The part of OpenID Connect's discovery document that matters here.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Keys {
    /// The keys, from memory while they have the one that is `wanted` and are not old. A provider
    /// that does not answer leaves those it gave before, for a day.
    pub(super) async fn get(
        self: &Arc<Self>,
        issuer: &Arc<IssuerRule>,
        wanted: impl Fn(&JwkSet) -> bool,
    ) -> Result<Arc<JwkSet>, KeysError> {
        let fresh = Duration::from_millis(limits::ACCESS_KEYS_MS);
        let stale = Duration::from_millis(limits::ACCESS_KEYS_STALE_MS);
        let known = self.known().filter(|it| it.since.elapsed() < stale);
        let fits = known.as_ref().is_some_and(|it| wanted(&it.keys));
        let is_fresh = known.as_ref().is_some_and(|it| it.since.elapsed() < fresh);
        if (fits && is_fresh || !self.may_ask())
            && let Some(known) = known
        {
            return Ok(known.keys);
        }
        // Who asked may go meanwhile: what is told is for all who come after.
        let (keys, of) = (self.clone(), issuer.clone());
        let asking = tokio::spawn(async move { keys.refresh(&of).await });
        match known.filter(|_| fits) {
            // Nobody waits for a provider whose keys are there.
            Some(known) => Ok(known.keys),
            None => asking.await.unwrap_or_else(|_| Err(KeysError::again(issuer))),
        }
    }

    /// Asks the provider, unless somebody just did.
    async fn refresh(&self, issuer: &IssuerRule) -> Result<Arc<JwkSet>, KeysError> {
        let _asking = self.asking.lock().await;
        let stale = Duration::from_millis(limits::ACCESS_KEYS_STALE_MS);
        let usable = self.known().filter(|it| it.since.elapsed() < stale).map(|it| it.keys);
        if !self.may_ask() {
            return usable.ok_or_else(|| KeysError::again(issuer));
        }
        let asked = ask(issuer).await;
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        match asked {
            Ok(keys) => {
                let keys = Arc::new(keys);
                let known = Known { keys: keys.clone(), since: Instant::now() };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
                Ok(keys)
            }
            Err(error) => {
                let issuer = &issuer.name;
                tracing::warn!(%issuer, %error, "keys of the identity provider not read");
                usable.ok_or(error)
            }
        }
    }

    fn known(&self) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True unless it was asked just now.
    fn may_ask(&self) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = Duration::from_millis(limits::ACCESS_KEYS_AGAIN_MS);
        asked.is_none_or(|it| it.elapsed() >= pause)
    }
}

/// Asks the provider.
async fn ask(issuer: &IssuerRule) -> Result<JwkSet, KeysError> {
    let client = client(issuer).await?;
    let bearer = match &issuer.bearer_file {
        None => None,
        Some(path) => {
            let read = tokio::fs::read_to_string(path).await;
            let text =
                read.map_err(|error| KeysError::File(format!("{}: {error}", path.display())))?;
            Some(zeroize::Zeroizing::new(text.trim().to_owned()))
        }
    };
    let bearer = bearer.as_ref().map(|it| it.as_str());
    let place = match &issuer.keys {
        Some(place) => place.clone(),
        None => {
            let url =
                format!("{}/.well-known/openid-configuration", issuer.url.trim_end_matches('/'));
            let found: Discovery = get(&client, &url, bearer).await?;
            let refused = |reason: String| Err(KeysError::Unanswered { url, reason });
            if found.issuer != *issuer.url {
                return refused(format!("it is the document of {}", found.issuer));
            }
            if !is_secure(&found.jwks_uri) {
                return refused(format!("its keys are at {}, which is not HTTPS", found.jwks_uri));
            }
            found.jwks_uri
        }
    };
    get(&client, &place, bearer).await
}

async fn client(issuer: &IssuerRule) -> Result<reqwest::Client, KeysError> {
    // An error means that the process has a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .timeout(Duration::from_millis(limits::ACCESS_FETCH_MS))
        // Who it is was verified by its name.
        .redirect(Policy::none())
        .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = &issuer.authorities {
        let refused = |reason: String| KeysError::File(format!("{}: {reason}", path.display()));
        let pem = tokio::fs::read(path).await.map_err(|error| refused(error.to_string()))?;
        let found = reqwest::Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if found.is_empty() {
            return Err(refused("it has no certificate in PEM".to_owned()));
        }
        builder = builder.tls_certs_only(found);
    }
    builder.build().map_err(|error| KeysError::File(error.to_string()))
}

async fn get<T: DeserializeOwned>(
    client: &reqwest::Client,
    url: &str,
    bearer: Option<&str>,
) -> Result<T, KeysError> {
    let failed = |reason: String| KeysError::Unanswered { url: url.to_owned(), reason };
    let mut request = client.get(url);
    if let Some(bearer) = bearer {
        request = request.bearer_auth(bearer);
    }
    let sent = request.send().await;
    let mut answer = sent.map_err(|error| failed(causes(&error.without_url())))?;
    if !answer.status().is_success() {
        return Err(failed(format!("it answered {}", answer.status())));
    }
    let mut body = Vec::new();
    while let Some(chunk) =
        answer.chunk().await.map_err(|error| failed(causes(&error.without_url())))?
    {
        if body.len() + chunk.len() > limits::ACCESS_FETCH_BYTES {
            return Err(failed(format!("more than {} bytes", limits::ACCESS_FETCH_BYTES)));
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body)
        .map_err(|error| failed(format!("not what was asked for: {error}")))
}
