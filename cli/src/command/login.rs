//! `windlass login`: a token of an identity provider, by the device flow (RFC 8628): the browser
//! may be on any machine.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::redirect::Policy;
use serde::Deserialize;
use serde_json::Value as Json;
use windlass_coordinator::access::Login;
use windlass_proto::limits;
use zeroize::Zeroizing;

use crate::client::{Client, kept};
use crate::code::LOGIN_FAILED;
use crate::error::{CliError, chain};
use crate::options::{Remote, Target, TokenFrom};
use crate::output;

/// Get a token of the identity provider that a server trusts, and keep it for that server.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass login --url https://windlass.example.com\n\n\
                        The token is kept in ~/.config/windlass/tokens, for its owner alone, and shown to \
                        that server until it ends. Which provider it is, the server says (auth.toml, \
                        `client`).")]
pub(crate) struct LoginArgs {
    /// Which provider, where the server trusts several
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Forget the token that is kept for a server.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass logout --url https://windlass.example.com")]
pub(crate) struct LogoutArgs {
    #[command(flatten)]
    remote: Remote,
}

/// The parts of a provider's discovery document that matter here.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    token_endpoint: String,
    device_authorization_endpoint: Option<String>,
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

/// Runs `login`.
pub(crate) async fn login(args: LoginArgs) -> Result<(), CliError> {
    let target = args.remote.target()?;
    let place = kept(&target.url).ok_or_else(|| {
        CliError::Usage("there is no place for tokens: HOME is not set".to_owned())
    })?;
    // Who asks has no token yet, or one that has ended.
    let client = Client::without_token(&target)?;
    let found = client.get(&["v1", "auth", "providers"], &[]).await?;
    let login = choose(&found, args.provider.as_deref())?;
    let provider = Provider::new()?;
    let token = provider.log_in(&login).await?;
    write(&place, &token)
        .map_err(|error| CliError::Usage(format!("{}: {error}", place.display())))?;
    let target = Target { token: TokenFrom::File(place), ..target };
    let who = Client::of(&target)?.get(&["v1", "auth", "whoami"], &[]).await?;
    let text = |key: &str| who[key].as_str().unwrap_or("").to_owned();
    let until = match text("expiresAt") {
        it if it.is_empty() => String::new(),
        it => format!(", until {it}"),
    };
    output::message(&format!("logged in as {} of {}{until}", text("subject"), text("issuer")));
    Ok(())
}

/// Runs `logout`.
pub(crate) fn logout(args: &LogoutArgs) -> Result<(), CliError> {
    let server = args.remote.target()?.url;
    let gone = kept(&server).map(std::fs::remove_file);
    match gone {
        Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(CliError::Usage(format!("the token cannot be removed: {error}")))
        }
        _ => {
            output::message(&format!("no token is kept for {server}"));
            Ok(())
        }
    }
}

/// The provider that is meant.
fn choose(found: &Json, name: Option<&str>) -> Result<Login, CliError> {
    let items = found["items"].as_array().cloned().unwrap_or_default();
    let all = items.into_iter().filter_map(|it| serde_json::from_value::<Login>(it).ok());
    let all: Vec<_> = all.collect();
    let names = || all.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ");
    let chosen = match (name, &all[..]) {
        (Some(name), _) => all.iter().find(|it| it.name == name).ok_or_else(|| {
            CliError::Usage(format!("the server knows no provider `{name}`; there are {}", names()))
        }),
        (None, [one]) => Ok(one),
        (None, []) => {
            let text = "the server names no identity provider to log in with: an `[[issuer]]` of its \
                        auth.toml needs a `client`. Ask its administrator for a token";
            Err(CliError::coded(&LOGIN_FAILED, text))
        }
        (None, _) => Err(CliError::Usage(format!("say which provider by --provider: {}", names()))),
    };
    chosen.cloned()
}

/// Talks to a provider.
struct Provider {
    http: reqwest::Client,
}

impl Provider {
    fn new() -> Result<Self, CliError> {
        let builder = reqwest::Client::builder()
            .timeout(Duration::from_millis(limits::LOGIN_REQUEST_MS))
            .redirect(Policy::none())
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")));
        let http = builder.build().map_err(|error| failed(&chain(&error)))?;
        Ok(Self { http })
    }

    /// Lets somebody log in, and gives their token.
    async fn log_in(&self, login: &Login) -> Result<Zeroizing<String>, CliError> {
        let base = login.url.trim_end_matches('/');
        let (_, found) =
            self.send(self.http.get(format!("{base}/.well-known/openid-configuration"))).await?;
        let found: Discovery = read(found, "its discovery document")?;
        if found.issuer != login.url {
            return Err(failed(&format!("{base} calls itself {}", found.issuer)));
        }
        let place = found
            .device_authorization_endpoint
            .ok_or_else(|| failed(&format!("{} offers no device flow (RFC 8628)", login.name)))?;
        for url in [&place, &found.token_endpoint] {
            secure(url)?;
        }
        let scopes = login.scopes.join(" ");
        let mut form = vec![("client_id", login.client.as_str()), ("scope", scopes.as_str())];
        form.extend(login.resource.as_deref().map(|it| ("resource", it)));
        let (status, answer) = self.send(self.http.post(&place).form(&form)).await?;
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
        self.wait(login, &found.token_endpoint, &device).await
    }

    /// Asks until somebody has logged in.
    async fn wait(
        &self,
        login: &Login,
        place: &str,
        device: &Device,
    ) -> Result<Zeroizing<String>, CliError> {
        let patience = device.expires_in.unwrap_or(limits::LOGIN_PATIENCE_S);
        let ends = Instant::now() + Duration::from_secs(patience.min(limits::LOGIN_PATIENCE_S));
        let mut pause = device.interval.unwrap_or(limits::LOGIN_INTERVAL_S).max(1);
        let mut form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", login.client.as_str()),
            ("device_code", device.device_code.as_str()),
        ];
        form.extend(login.resource.as_deref().map(|it| ("resource", it)));
        while Instant::now() < ends {
            tokio::time::sleep(Duration::from_secs(pause.min(limits::LOGIN_PATIENCE_S))).await;
            let (status, answer) = self.send(self.http.post(place).form(&form)).await?;
            if status.is_success() {
                // Where no resource was named, what says who it is is the other one.
                let token = answer["access_token"].as_str().filter(|it| is_jwt(it));
                let token = token.or_else(|| answer["id_token"].as_str());
                let token = token.map(|it| Zeroizing::new(it.to_owned()));
                return token.ok_or_else(|| failed("it gave no signed token: name a `resource`"));
            }
            match answer["error"].as_str() {
                Some("authorization_pending") => {}
                Some("slow_down") => pause += limits::LOGIN_INTERVAL_S,
                _ => return Err(failed(&refusal(&answer))),
            }
        }
        Err(failed("nobody has logged in in time"))
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

/// True for what looks like a signed token, which says who it is of; others only their issuer can
/// read.
fn is_jwt(token: &str) -> bool {
    token.split('.').count() == 3
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

fn failed(why: &str) -> CliError {
    CliError::coded(&LOGIN_FAILED, &format!("the identity provider: {why}"))
}

/// Keeps a token for its owner alone.
fn write(place: &Path, token: &str) -> std::io::Result<()> {
    if let Some(folder) = place.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // What another login has left may have other permissions.
    match std::fs::remove_file(place) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(place)?;
    file.write_all(token.as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::{choose, is_jwt, refusal};

    #[test]
    fn one_provider_needs_no_name() {
        let provider = |name: &str| json!({"name": name, "url": "https://id", "client": "c", "scopes": ["openid"]});
        let one = json!({"items": [provider("a")]});
        assert_eq!(choose(&one, None).unwrap().name, "a");
        assert!(choose(&one, Some("b")).is_err());
        let two = json!({"items": [provider("a"), provider("b")]});
        assert!(choose(&two, None).is_err());
        assert_eq!(choose(&two, Some("b")).unwrap().name, "b");
        assert!(choose(&json!({"items": []}), None).is_err());
    }

    #[test]
    fn what_a_provider_says_is_told() {
        assert!(is_jwt("a.b.c") && !is_jwt("opaque"));
        let said = json!({"error": "access_denied", "error_description": "no\u{1b}[1m"});
        assert!(
            refusal(&said).starts_with("access_denied: no") && !refusal(&said).contains('\u{1b}')
        );
    }
}
