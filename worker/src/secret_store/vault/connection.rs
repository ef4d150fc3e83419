//! Requests to Vault, within bounds: so many at once, so many a second, none while it fails.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use zeroize::Zeroizing;

use super::call::{Answer, Call, Failure};
use super::circuit_breaker::CircuitBreaker;
use super::rate::Rate;
use crate::retry_after::wait;
use crate::secret_store::StoreClock;
use crate::secret_store::config::{SecretsConfigError, VaultConfig};

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// Tells Vault that this is no form of a browser.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// Why a login fails while the coordinator is away, and the store does not have its keys yet.
pub(super) const KEYS_AWAY: &str = "it cannot fetch the coordinator's public keys";

/// The one way to a Vault, shared by all attempts.
pub(super) struct Connection {
    http: Client,
    base: Url,
    namespace: Option<HeaderValue>,
    timeout: Duration,
    slots: Semaphore,
    rate: Rate,
    breaker: CircuitBreaker,
    /// What its clock showed last, and when that was.
    clock: Mutex<Option<StoreClock>>,
}

impl Connection {
    pub(super) fn new(config: &VaultConfig) -> Result<Self, SecretsConfigError> {
        // An error means that the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
            // Secrets are few bytes, and a decoder would leave them in its memory.
            .no_gzip()
            .no_deflate()
            .no_brotli()
            .no_zstd()
            // A token must not follow a redirect, nor go through whatever proxy there is for calls.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(config.timeout)
            .pool_max_idle_per_host(config.concurrency.min(limits::IDLE_CONNECTIONS));
        if let Some(path) = &config.ca_file {
            let unusable =
                |reason: String| SecretsConfigError::Unreadable { path: path.clone(), reason };
            let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
            let found = Certificate::from_pem_bundle(&pem).ok().filter(|it| !it.is_empty());
            let found = found.ok_or_else(|| unusable("it holds no PEM certificates".to_owned()))?;
            builder = builder.tls_certs_only(found);
        } else if config.address.scheme() == "http" {
            // A machine without certificates can still speak plain HTTP.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| SecretsConfigError::Wrong {
            path: "[vault]".into(),
            place: None,
            reason: format!("HTTP cannot be set up: {error}"),
        })?;
        let namespace = config.namespace.as_deref().map(HeaderValue::from_str).transpose();
        let namespace = namespace.map_err(|_| SecretsConfigError::Wrong {
            path: "[vault]".into(),
            place: None,
            reason: "the `namespace` holds characters that no HTTP header may have".to_owned(),
        })?;
        Ok(Self {
            http,
            base: config.address.clone(),
            namespace,
            timeout: config.timeout,
            slots: Semaphore::new(config.concurrency),
            rate: Rate::new(config.requests_per_second),
            breaker: CircuitBreaker::new(),
            clock: Mutex::new(None),
        })
    }

    /// What the store's clock showed in its last answer.
    pub(super) fn clock(&self) -> Option<StoreClock> {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn see_clock(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|it| it.to_str().ok());
        let Some(at) = date.and_then(|it| jiff::fmt::rfc2822::parse(it.trim()).ok()) else {
            return;
        };
        let Ok(at) = u64::try_from(at.timestamp().as_millisecond()) else { return };
        let seen = StoreClock { at: Timestamp(at), seen: Instant::now() };
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }

    /// Sends `call` with `token` and reads the answer; one without a body has no data.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        call: Call,
        token: Option<&str>,
    ) -> Result<Answer<T>, Failure> {
        let Ok(slot) = timeout(self.timeout, self.slots.acquire()).await else {
            return Err(Failure::unavailable("too many requests to it are open"));
        };
        // Never closed, so never an error.
        let _slot = slot.map_err(|_| Failure::unavailable("it is not used any more"))?;
        let Some(at) = self.rate.next(self.timeout) else {
            return Err(Failure::unavailable("too many requests to it in a second"));
        };
        sleep_until(at).await;
        let pass = self.breaker.pass().map_err(|left| {
            let seconds = left.as_secs_f64();
            Failure::Unavailable(format!("it has failed and is asked again in {seconds:.1} s"))
        })?;
        let request = self.request(call, token)?;
        let exchanged = timeout(self.timeout, async {
            let response = self.http.execute(request).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            Ok::<_, reqwest::Error>((status, headers, read(response).await?))
        });
        let (status, headers, body) = match exchanged.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                pass.failed(None);
                let how = if error.is_connect() { "be reached" } else { "be spoken to" };
                return Err(Failure::Unavailable(format!("it cannot {how}")));
            }
            Err(_) => {
                pass.failed(None);
                return Err(Failure::unavailable("it did not answer in time"));
            }
        };
        self.see_clock(&headers);
        tracing::debug!(status = status.as_u16(), "the vault answered");
        let Some(body) = body else {
            pass.succeeded();
            return Err(Failure::unavailable("its answer is larger than any should be"));
        };
        match judge(status, &headers, &body) {
            Judgement::Fine => {
                pass.succeeded();
                decode(&body)
            }
            Judgement::Answered(failure) => {
                pass.succeeded();
                Err(failure)
            }
            Judgement::Failed(reason, asked) => {
                pass.failed(asked);
                Err(Failure::Unavailable(reason))
            }
        }
    }

    fn request(&self, call: Call, token: Option<&str>) -> Result<reqwest::Request, Failure> {
        let mut url = self.base.clone();
        let broken = || Failure::unavailable("its address cannot have a path");
        url.path_segments_mut()
            .map_err(|()| broken())?
            .pop_if_empty()
            .push("v1")
            .extend(call.path.split('/'));
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST, HeaderValue::from_static("true"));
        if let Some(namespace) = &self.namespace {
            headers.insert(NAMESPACE, namespace.clone());
        }
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(token).map_err(|_| {
                Failure::unavailable("the token holds what no HTTP header may have")
            })?;
            value.set_sensitive(true);
            headers.insert(TOKEN, value);
        }
        let mut builder = self.http.request(call.method, url).headers(headers);
        if let Some(body) = call.body {
            builder = builder
                .header(reqwest::header::CONTENT_TYPE, "application/json")
                // Wiped when it is sent.
                .body(Bytes::from_owner(body));
        }
        builder.build().map_err(|_| broken())
    }
}

/// The body; none when it is too large.
async fn read(mut response: Response) -> Result<Option<Zeroizing<Vec<u8>>>, reqwest::Error> {
    let most = limits::VAULT_ANSWER_BYTES;
    let expected = response.content_length().and_then(|it| usize::try_from(it).ok());
    // Room for all of it, so that growing leaves no copies behind.
    let mut body = Zeroizing::new(Vec::with_capacity(expected.unwrap_or(4096).min(most)));
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > most {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<Answer<T>, Failure> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    // What the parser says may quote the answer.
    serde_json::from_slice(body).map_err(|_| Failure::unavailable("its answer is not understood"))
}

enum Judgement {
    Fine,
    /// It works, and says no.
    Answered(Failure),
    /// It does not work; how long it wants to be left alone.
    Failed(String, Option<Duration>),
}

fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Judgement {
    match status.as_u16() {
        200..=299 => Judgement::Fine,
        403 => Judgement::Answered(Failure::Forbidden),
        404 => Judgement::Answered(Failure::Missing),
        429 => {
            let asked = wait(headers);
            Judgement::Failed("it gets too many requests".to_owned(), asked)
        }
        300..=399 => Judgement::Failed("it redirects elsewhere: give its own address".into(), None),
        // Its own words, and no other sign: the coordinator may be away for a moment.
        400 if String::from_utf8_lossy(body).contains("fetching keys") => {
            Judgement::Answered(Failure::unavailable(KEYS_AWAY))
        }
        code @ 400..=499 => Judgement::Answered(Failure::Refused(code)),
        503 => {
            let sealed = String::from_utf8_lossy(body).contains("sealed");
            let reason = if sealed { "it is sealed" } else { "it answered 503" };
            Judgement::Failed(reason.to_owned(), wait(headers))
        }
        code => Judgement::Failed(format!("it answered {code}"), wait(headers)),
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::{Failure, Judgement, judge};

    fn judged(code: u16, body: &str) -> Judgement {
        let status = StatusCode::from_u16(code).unwrap_or_default();
        judge(status, &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn a_no_is_told_from_a_failure() {
        for (code, expected) in [
            (403, Failure::Forbidden),
            (404, Failure::Missing),
            (400, Failure::Refused(400)),
            (405, Failure::Refused(405)),
            (400, Failure::unavailable(super::KEYS_AWAY)),
        ] {
            let body = if matches!(expected, Failure::Unavailable(_)) {
                r#"{"errors":["error verifying token signature: fetching keys oidc: get keys failed"]}"#
            } else {
                "{}"
            };
            let Judgement::Answered(failure) = judged(code, body) else {
                panic!("{code} counts against the store")
            };
            assert_eq!(failure, expected);
        }
        for (code, body, expected) in [
            (429, "", "too many requests"),
            (500, "", "it answered 500"),
            (502, "sealed", "it answered 502"),
            (503, r#"{"errors":["Vault is sealed"]}"#, "it is sealed"),
            (503, "", "it answered 503"),
            (307, "", "redirects elsewhere"),
        ] {
            let Judgement::Failed(reason, None) = judged(code, body) else {
                panic!("{code} does not count against the store")
            };
            assert!(reason.contains(expected), "{reason}");
        }
        assert!(matches!(judged(204, ""), Judgement::Fine));
    }
}
