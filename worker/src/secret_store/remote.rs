//! Stores behind HTTP: requests that end in time, and what their answers mean.

mod token;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;
use windlass_proto::limits;
use zeroize::Zeroizing;

use super::SecretError;
use super::setup::StoreError;
use crate::http_client::proxy;

#[cfg(any(feature = "azure", feature = "google"))]
pub(super) use token::ask;
pub(super) use token::{Bearer, Token, TokenSource, read_file};

/// Which way requests go.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Way {
    /// Through the proxies that the environment names.
    #[cfg(any(feature = "azure", feature = "google"))]
    Public,
    /// Straight: to the cluster or the machine the worker runs on.
    Direct,
}

/// Sends requests to a store.
#[derive(Clone)]
pub(super) struct Remote {
    client: Client,
}

/// What a store answered; the body is wiped when this drops.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The store's id of the request.
    pub(super) request: Option<Arc<str>>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Remote {
    /// A client that trusts the certificates of `ca_file` alone, or the platform's where none is
    /// given.
    ///
    /// # Errors
    /// When the file holds no certificates, or no client can be had.
    pub(super) fn new(way: Way, ca_file: Option<&Path>) -> Result<Self, StoreError> {
        // An error means that the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = ca_file.map(certificates).transpose()?;
        let base = || {
            let builder = Client::builder()
                .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
                // Secrets are few bytes, and a decoder would leave them in its memory.
                .no_gzip()
                .no_deflate()
                .no_brotli()
                .no_zstd()
                // A redirect would take the token along.
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(Duration::from_millis(limits::STORE_TIMEOUT_MS))
                .pool_max_idle_per_host(limits::IDLE_CONNECTIONS);
            if way == Way::Direct { builder.no_proxy() } else { proxy::from_environment(builder) }
        };
        let only =
            |builder: ClientBuilder, roots: Vec<Certificate>| builder.tls_certs_only(roots).build();
        let client = match roots {
            Some(roots) => only(base(), roots),
            // A machine without certificates can still call plain HTTP.
            None => base().build().or_else(|_| only(base(), Vec::new())),
        };
        let client = client.map_err(|error| {
            StoreError::setting("store", format!("cannot set up HTTP: {error}"))
        })?;
        Ok(Self { client })
    }

    /// A GET that is still to be sent.
    pub(super) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    /// A POST of a form that is still to be sent.
    #[cfg(any(feature = "azure", feature = "google"))]
    pub(super) fn post(&self, url: Url, form: &[(&str, &str)]) -> RequestBuilder {
        self.client.post(url).form(form)
    }
}

/// Sends a request and reads the answer, whatever its status. `request` is the header that has the
/// store's id of the request.
///
/// # Errors
/// [`SecretError::Unavailable`] when there is no answer, or too long a one.
pub(super) async fn send(request: RequestBuilder, id: &str) -> Result<Answer, SecretError> {
    let mut response = request.send().await.map_err(|error| failed(&error))?;
    let status = response.status();
    let id = response.headers().get(id).and_then(|it| it.to_str().ok());
    let request = id.filter(|it| it.len() <= 128).map(Arc::from);
    let mut body = Zeroizing::new(Vec::with_capacity(16 << 10));
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        if body.len() + chunk.len() > limits::SECRET_ANSWER_BYTES {
            return Err(SecretError::Unavailable("its answer is too long".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, request, body })
}

/// What went wrong, without the URL, which names the secret's place.
fn failed(error: &reqwest::Error) -> SecretError {
    let what = if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "no connection to it can be made"
    } else {
        "the connection to it broke"
    };
    SecretError::Unavailable(what.to_owned())
}

impl Answer {
    /// The body as JSON, when the request was granted.
    ///
    /// # Errors
    /// What the status means: 401 and 403 forbidden, 404 missing, all else unavailable.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, SecretError> {
        match self.status {
            StatusCode::OK => self.parse(),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(SecretError::Forbidden),
            StatusCode::NOT_FOUND => Err(SecretError::Missing),
            other => Err(answered(other)),
        }
    }

    /// The body as JSON, whatever the status.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, SecretError> {
        // The parser's message may quote the text, so it is not passed on.
        serde_json::from_slice(&self.body).map_err(|_| unreadable())
    }
}

/// The error of a status that says nothing about the secret.
pub(super) fn answered(status: StatusCode) -> SecretError {
    SecretError::Unavailable(format!("it answered {}", status.as_u16()))
}

/// The error of an answer that is not what the store's interface says.
pub(super) fn unreadable() -> SecretError {
    SecretError::Unavailable("its answer cannot be understood".to_owned())
}

/// The result of `work`, or unavailable when it takes longer than `limit`.
pub(super) async fn bounded<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, SecretError>>,
) -> Result<T, SecretError> {
    let late = |_| Err(SecretError::Unavailable(format!("it did not answer within {limit:?}")));
    tokio::time::timeout(limit, work).await.unwrap_or_else(late)
}

/// The base of a store's addresses, without a slash at its end.
///
/// # Errors
/// When it is no HTTP URL.
pub(super) fn base(setting: &'static str, text: &str) -> Result<Url, StoreError> {
    let url = Url::parse(text)
        .map_err(|error| StoreError::setting(setting, format!("is not a URL: {error}")))?;
    let plain = url.scheme() == "http";
    if !(plain || url.scheme() == "https") || url.host().is_none() {
        return Err(StoreError::setting(setting, "must start with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(StoreError::setting(setting, "must have neither a user nor a query"));
    }
    Ok(url)
}

/// Says once that secrets cross the network unencrypted, unless they stay on this machine.
pub(super) fn warn_of_plain_http(setting: &'static str, url: &Url) {
    let here = url.host_str().is_some_and(|it| {
        it == "localhost"
            || it
                .trim_matches(['[', ']'])
                .parse()
                .is_ok_and(|it: std::net::IpAddr| it.is_loopback())
    });
    if url.scheme() == "http" && !here {
        tracing::warn!("{setting} is not https: secrets and tokens cross the network in the clear");
    }
}

/// `base` with these segments after its path, each encoded as one.
pub(super) fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    // Fails for URLs without a host only, which `base` refuses.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, StoreError> {
    let pem = std::fs::read(path).map_err(|error| StoreError::file(path, error))?;
    let found = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if found.is_empty() {
        return Err(StoreError::file(path, "it holds no PEM certificates"));
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{base, below};

    #[test]
    fn segments_cannot_leave_their_place() {
        let url = base("address", "https://store.example.com/v1/").unwrap();
        assert_eq!(
            below(&url, &["a b", "x/y"]).as_str(),
            "https://store.example.com/v1/a%20b/x%2Fy"
        );
    }

    #[test]
    fn only_plain_addresses_are_taken() {
        for text in ["store", "ftp://x", "https://u:p@x", "https://x/?a=b", "data:x"] {
            assert!(base("address", text).is_err(), "{text}");
        }
    }
}
