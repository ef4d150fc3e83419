//! Talks to an identity provider: logs somebody in by a browser of this machine (RFC 8252) or of
//! any (RFC 8628), renews and revokes.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use windlass_coordinator::access::Login;
use windlass_coordinator::clock;
use windlass_proto::limits;
use zeroize::Zeroizing;

use super::failed;
use super::kept::{Kept, Refresh};
use super::redirect::{Expected, Redirect};
use crate::error::{CliError, chain};
use crate::output;

/// Talks to providers.
pub(crate) struct Provider {
    http: reqwest::Client,
}

/// A provider that was found.
pub(crate) struct Found<'a> {
    provider: &'a Provider,
    login: &'a Login,
    discovery: Discovery,
}

/// The parts of a provider's discovery document that matter here.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    token_endpoint: String,
    authorization_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    /// Absent in documents that leave it to who reads them.
    code_challenge_methods_supported: Option<Vec<String>>,
    response_types_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// What a provider says to somebody who wants to log in.
#[derive(Deserialize)]
struct Device {
    device_code: Zeroizing<String>,
    user_code: String,
    verification_uri: String,
    #[serde(default)]
    verification_uri_complete: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    interval: Option<u64>,
}

/// What a provider answers to a refresh token that it takes.
pub(super) struct Renewal {
    /// What is kept from now on; an error where it gave nothing to show.
    pub(super) kept: Result<Kept, CliError>,
    /// What the next one is asked for with: the one that was used may count no longer.
    pub(super) refresh: Refresh,
}

impl Renewal {
    fn of(answer: &Json, used: &Refresh) -> Self {
        Self { kept: kept(answer, used.clone()), refresh: next(answer, used.clone()) }
    }
}

impl Provider {
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new() -> Result<Self, CliError> {
        crate::tls::provide();
        let builder = reqwest::Client::builder()
            .timeout(Duration::from_millis(limits::LOGIN_REQUEST_MS))
            .redirect(Policy::none())
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")));
        let http = builder.build().map_err(|error| failed(&chain(&error)))?;
        Ok(Self { http })
    }

    /// Asks a provider what it offers.
    ///
    /// # Errors
    /// When it does not say.
    pub(crate) async fn find<'a>(&'a self, login: &'a Login) -> Result<Found<'a>, CliError> {
        let base = login.url.trim_end_matches('/');
        let (_, found) =
            self.send(self.http.get(format!("{base}/.well-known/openid-configuration"))).await?;
        let discovery: Discovery = read(found, "its discovery document")?;
        if discovery.issuer != login.url {
            return Err(failed(&format!("{base} calls itself {}", discovery.issuer)));
        }
        secure(&discovery.token_endpoint)?;
        Ok(Found { provider: self, login, discovery })
    }

    /// Renews a token.
    ///
    /// # Errors
    /// When it is refused, or there is no answer.
    pub(super) async fn refresh(&self, refresh: &Refresh) -> Result<Renewal, CliError> {
        secure(&refresh.token_endpoint)?;
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("client_id", refresh.client.as_str()),
            ("refresh_token", refresh.refresh_token.as_str()),
        ];
        form.extend(refresh.resource.as_deref().map(|it| ("resource", it)));
        let request = self.http.post(&refresh.token_endpoint).form(&form);
        let (status, answer) = self.send(request).await?;
        match status.is_success() {
            true => Ok(Renewal::of(&answer, refresh)),
            false => Err(failed(&format!("{}: log in again (windlass login)", refusal(&answer)))),
        }
    }

    /// Tells the provider that a login is over (RFC 7009); false where there is nothing to tell, or
    /// nobody.
    ///
    /// # Errors
    /// When it does not take it.
    pub(crate) async fn revoke(&self, kept: &Kept) -> Result<bool, CliError> {
        let Some(refresh) = &kept.refresh else { return Ok(false) };
        let Some(place) = &refresh.revocation_endpoint else { return Ok(false) };
        secure(place)?;
        let form = [
            ("client_id", refresh.client.as_str()),
            ("token", refresh.refresh_token.as_str()),
            ("token_type_hint", "refresh_token"),
        ];
        let sent = self.http.post(place).form(&form).send().await;
        let sent = sent.map_err(|error| failed(&chain(&error.without_url())))?;
        match sent.status() {
            status if status.is_success() => Ok(true),
            status => Err(failed(&format!("it answered {status}"))),
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<(StatusCode, Json), CliError> {
        let broken = |error: reqwest::Error| failed(&chain(&error.without_url()));
        let mut answer = request.send().await.map_err(broken)?;
        let (status, mut body) = (answer.status(), Zeroizing::new(Vec::new()));
        while let Some(chunk) = answer.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > limits::LOGIN_ANSWER_BYTES {
                return Err(failed("its answer is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        let json = serde_json::from_slice(&body);
        json.map(|it| (status, it))
            .map_err(|_| failed(&format!("it answered {status}, and no JSON")))
    }
}

impl Found<'_> {
    /// True when it lets somebody log in with a browser of this machine.
    pub(crate) fn offers_browser(&self) -> bool {
        let has = |all: &Option<Vec<String>>, it: &str| {
            all.as_ref().is_none_or(|all| all.iter().any(|had| had == it))
        };
        let it = &self.discovery;
        it.authorization_endpoint.is_some()
            && has(&it.response_types_supported, "code")
            && has(&it.code_challenge_methods_supported, "S256")
    }

    /// True when it lets somebody log in with a browser of any machine.
    pub(crate) fn offers_device(&self) -> bool {
        self.discovery.device_authorization_endpoint.is_some()
    }

    /// Lets somebody log in with a browser of this machine: the code flow with PKCE (RFC 7636).
    ///
    /// # Errors
    /// When the provider refuses, or nobody logs in in time.
    pub(crate) async fn by_browser(&self) -> Result<Kept, CliError> {
        let it = &self.discovery;
        let Some(place) = it.authorization_endpoint.as_ref().filter(|_| self.offers_browser())
        else {
            let what = format!("{} offers no code flow with PKCE (RFC 7636)", self.login.name);
            return Err(failed(&what));
        };
        secure(place)?;
        let redirect = Redirect::open().await?;
        // Random, 122 bits each.
        let random = || Uuid::new_v4().simple().to_string();
        let verifier = Zeroizing::new(format!("{}{}", random(), random()));
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let (state, uri) = (random(), redirect.uri.clone());
        let page = self.page(
            place,
            &[
                ("state", state.as_str()),
                ("redirect_uri", uri.as_str()),
                ("code_challenge", challenge.as_str()),
            ],
        )?;
        output::notice(&format!(
            "open {} in a browser of this machine",
            output::printable(page.as_str())
        ));
        open(&page);
        let says_issuer = it.authorization_response_iss_parameter_supported;
        let expected = Expected { state, issuer: it.issuer.clone(), says_issuer };
        let code = redirect.code(expected).await?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("client_id", self.login.client.as_str()),
            ("code", code.as_str()),
            ("redirect_uri", uri.as_str()),
            ("code_verifier", verifier.as_str()),
        ];
        form.extend(self.login.resource.as_deref().map(|it| ("resource", it)));
        let request = self.provider.http.post(&it.token_endpoint).form(&form);
        let (status, answer) = self.provider.send(request).await?;
        match status.is_success() {
            true => kept(&answer, self.renewal()),
            false => Err(failed(&refusal(&answer))),
        }
    }

    /// The page on which somebody logs in.
    fn page(&self, place: &str, more: &[(&str, &str)]) -> Result<Url, CliError> {
        let mut url = Url::parse(place).map_err(|error| failed(&format!("{place}: {error}")))?;
        let scopes = self.login.scopes.join(" ");
        let mut query = url.query_pairs_mut();
        query.extend_pairs([
            ("response_type", "code"),
            ("client_id", self.login.client.as_str()),
            ("scope", scopes.as_str()),
            ("code_challenge_method", "S256"),
        ]);
        query.extend_pairs(more);
        query.extend_pairs(self.login.resource.as_deref().map(|it| ("resource", it)));
        // What lasts longer than the browser needs to be agreed to (OpenID Connect Core, 11).
        if self.login.scopes.iter().any(|it| it == "offline_access") {
            query.append_pair("prompt", "consent");
        }
        drop(query);
        Ok(url)
    }

    /// Lets somebody log in with a browser of any machine: the device flow.
    ///
    /// # Errors
    /// When the provider refuses, or nobody logs in in time.
    pub(crate) async fn by_device(&self) -> Result<Kept, CliError> {
        let login = self.login;
        let place = self.discovery.device_authorization_endpoint.as_ref();
        let place = place
            .ok_or_else(|| failed(&format!("{} offers no device flow (RFC 8628)", login.name)))?;
        secure(place)?;
        let scopes = login.scopes.join(" ");
        let mut form = vec![("client_id", login.client.as_str()), ("scope", scopes.as_str())];
        form.extend(login.resource.as_deref().map(|it| ("resource", it)));
        let request = self.provider.http.post(place).form(&form);
        let (status, answer) = self.provider.send(request).await?;
        if !status.is_success() {
            return Err(failed(&refusal(&answer)));
        }
        let device: Device = read(answer, "the device flow")?;
        let page = device.verification_uri_complete.as_ref().unwrap_or(&device.verification_uri);
        secure(page)?;
        output::notice(&format!(
            "open {} in a browser, and enter {} if it asks",
            output::printable(page),
            output::printable(&device.user_code)
        ));
        self.wait(&device).await
    }

    /// Asks until somebody has logged in.
    async fn wait(&self, device: &Device) -> Result<Kept, CliError> {
        let patience = device.expires_in.unwrap_or(limits::LOGIN_PATIENCE_S);
        let ends = Instant::now() + Duration::from_secs(patience.min(limits::LOGIN_PATIENCE_S));
        let mut pause = device.interval.unwrap_or(limits::LOGIN_INTERVAL_S).max(1);
        let mut form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", self.login.client.as_str()),
            ("device_code", device.device_code.as_str()),
        ];
        form.extend(self.login.resource.as_deref().map(|it| ("resource", it)));
        while Instant::now() < ends {
            tokio::time::sleep(Duration::from_secs(pause.min(limits::LOGIN_PATIENCE_S))).await;
            let request = self.provider.http.post(&self.discovery.token_endpoint).form(&form);
            let (status, answer) = self.provider.send(request).await?;
            if status.is_success() {
                return kept(&answer, self.renewal());
            }
            match answer["error"].as_str() {
                Some("authorization_pending") => {}
                Some("slow_down") => pause = pause.saturating_add(limits::LOGIN_INTERVAL_S),
                _ => return Err(failed(&refusal(&answer))),
            }
        }
        Err(failed("nobody has logged in in time"))
    }

    /// What tokens are renewed with, but for the token that does it.
    fn renewal(&self) -> Refresh {
        Refresh {
            refresh_token: Zeroizing::default(),
            client: self.login.client.clone(),
            resource: self.login.resource.clone(),
            token_endpoint: self.discovery.token_endpoint.clone(),
            revocation_endpoint: self.discovery.revocation_endpoint.clone(),
        }
    }
}

/// What is kept of an answer with tokens.
fn kept(answer: &Json, renewal: Refresh) -> Result<Kept, CliError> {
    // Where no resource was named, what says who it is is the other one.
    let token = answer["access_token"].as_str().filter(|it| is_jwt(it));
    let token = token.or_else(|| answer["id_token"].as_str());
    let token = token.ok_or_else(|| failed("it gave no signed token: name a `resource`"))?;
    let issued_at = clock::now().0;
    // A provider may say any number.
    let told = answer["expires_in"].as_u64();
    let told = told.map(|it| issued_at.saturating_add(it.saturating_mul(1_000)));
    let expires_at = end(token).or(told);
    let refresh = Some(next(answer, renewal)).filter(|it| !it.refresh_token.is_empty());
    Ok(Kept { token: Zeroizing::new(token.to_owned()), issued_at, expires_at, refresh })
}

/// What the next token is asked for with. One that is not replaced goes on.
fn next(answer: &Json, renewal: Refresh) -> Refresh {
    let given = answer["refresh_token"].as_str().filter(|it| !it.is_empty());
    match given {
        Some(given) => Refresh { refresh_token: Zeroizing::new(given.to_owned()), ..renewal },
        None => renewal,
    }
}

/// True for what looks like a signed token, which says who it is of; others only their issuer can
/// read.
fn is_jwt(token: &str) -> bool {
    token.split('.').count() == 3
}

/// When a signed token ends, in milliseconds since 1970, as it says itself.
fn end(token: &str) -> Option<u64> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Json = serde_json::from_slice(&claims).ok()?;
    claims["exp"].as_u64()?.checked_mul(1_000)
}

/// True when this machine shows windows to whoever sits at it.
pub(crate) fn has_display() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|it| !it.is_empty());
    cfg!(target_os = "macos") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")
}

/// Opens a page where there is a browser: whoever logs in may do it by hand as well.
fn open(page: &Url) {
    if !has_display() {
        return;
    }
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let null = std::process::Stdio::null;
    let mut command = tokio::process::Command::new(program);
    command.arg(page.as_str()).stdin(null()).stdout(null()).stderr(null());
    // It is said already where the page is.
    let _ = command.spawn();
}

/// Refuses what would be sent, or opened, where others read it.
fn secure(url: &str) -> Result<(), CliError> {
    match windlass_coordinator::access::is_secure(url) {
        true => Ok(()),
        false => Err(failed(&format!("it names {url}, which is not HTTPS"))),
    }
}

fn read<T: serde::de::DeserializeOwned>(answer: Json, what: &str) -> Result<T, CliError> {
    serde_json::from_value(answer).map_err(|error| failed(&format!("{what}: {error}")))
}

/// What a provider says of a request that it refuses.
fn refusal(answer: &Json) -> String {
    let text = |key: &str| answer[key].as_str().map(output::printable);
    match (text("error"), text("error_description")) {
        (Some(error), Some(why)) => format!("{error}: {why}"),
        (Some(error), None) => error,
        _ => "it refused, and did not say why".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::{Refresh, Renewal, end, is_jwt, kept, refusal};

    #[test]
    fn what_a_provider_says_is_told() {
        assert!(is_jwt("a.b.c") && !is_jwt("opaque"));
        let said = json!({"error": "access_denied", "error_description": "no\u{1b}[1m"});
        assert!(
            refusal(&said).starts_with("access_denied: no") && !refusal(&said).contains('\u{1b}')
        );
    }

    #[test]
    fn tokens_are_kept_with_what_renews_them() {
        // {"exp":1700000000}
        let token = "e30.eyJleHAiOjE3MDAwMDAwMDB9.x";
        assert_eq!(end(token), Some(1_700_000_000_000));
        assert_eq!(end("a.b.c"), None);
        let renewal = Refresh {
            refresh_token: "old".to_owned().into(),
            client: "c".into(),
            resource: None,
            token_endpoint: "https://id/token".into(),
            revocation_endpoint: None,
        };
        let read = |answer| kept(&answer, renewal.clone()).ok().unwrap();
        let with = |it: &super::Kept| it.refresh.as_ref().map(|it| it.refresh_token.to_string());
        let same = read(json!({"access_token": token, "expires_in": 5}));
        assert_eq!((same.expires_at, with(&same)), (end(token), Some("old".to_owned())));
        assert!(same.is_due());
        let new = read(json!({"id_token": "a.b.c", "expires_in": 3_600, "refresh_token": "new"}));
        assert_eq!((new.token.as_str(), with(&new)), ("a.b.c", Some("new".to_owned())));
        assert!(!new.is_due());
        let last = read(json!({"access_token": "a.b.c", "expires_in": u64::MAX}));
        assert_eq!(last.expires_at, Some(u64::MAX));
        // What renews it is replaced even where there is nothing to show.
        let none = json!({"access_token": "opaque", "refresh_token": "new"});
        let renewed = Renewal::of(&none, &renewal);
        assert!(renewed.kept.is_err() && renewed.refresh.refresh_token.as_str() == "new");
    }
}
