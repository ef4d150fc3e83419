//! `oauth2`: RFC 6749 grants, RFC 7523 client assertions, RFC 8693 token exchange.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use windlass_proto::plan::{ClientAuthentication, Grant, OAuth2};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::secret::SecretName;
use windlass_proto::value::Value;
use zeroize::Zeroizing;

use super::assertion::{ASSERTION_TYPE, Signer, With, is_key};
use super::settings::{Settings, from_secret};
use super::token::{Proof, TokenRequest};
use super::{Authorization, basic};
use crate::attempt::Attempt;
use crate::request::parse_url;

impl Attempt<'_> {
    pub(super) async fn oauth2(
        &mut self,
        policy: &OAuth2,
        input: &Value,
    ) -> Result<Authorization, Problem> {
        let settings = self.settings(policy, input)?;
        let url = token_url(&settings);
        self.token(settings, &url).await
    }

    pub(super) async fn oauth2_from_secret(
        &mut self,
        name: &SecretName,
    ) -> Result<Authorization, Problem> {
        let settings = from_secret(self.secret(name)?, name, "oauth2")?;
        let url = token_url(&settings);
        self.token(settings, &url).await
    }

    /// A token of the endpoint at `url`.
    pub(super) async fn token(
        &mut self,
        settings: Settings,
        url: &str,
    ) -> Result<Authorization, Problem> {
        self.seal.learn_url(url, &parse_url(url)?);
        let request = request(settings, url)?;
        let token = self.access_token(&request, None).await?;
        let identity = request.identity().cloned();
        Ok(Authorization::Token { token, source: Some(Box::new(request)), identity })
    }
}

/// The token endpoint: below the authority unless it is absolute.
fn token_url(settings: &Settings) -> String {
    let endpoint = &settings.token_endpoint;
    if endpoint.starts_with("http://") || endpoint.starts_with("https://") {
        return endpoint.clone();
    }
    let authority = settings.authority.trim_end_matches('/');
    format!("{authority}/{}", endpoint.trim_start_matches('/'))
}

/// What to ask the token endpoint.
fn request(settings: Settings, url: &str) -> Result<TokenRequest, Problem> {
    let url = parse_url(url)?;
    let mut parameters = Parameters(Vec::new());
    grant(&settings, &mut parameters)?;
    if !settings.scopes.is_empty() {
        parameters.add("scope", &settings.scopes.join(" "));
    }
    for audience in &settings.audiences {
        parameters.add("audience", audience);
    }
    // Assertions differ every time, so the key of the cache is made before they are.
    let mut identity = parameters.0.clone();
    let parts = [
        &settings.client_id,
        &settings.client_secret,
        &settings.client_assertion,
        &settings.client_key,
    ];
    for part in parts {
        let part = part.as_deref().map(String::as_str).unwrap_or_default();
        identity.push(("client", Zeroizing::new(part.to_owned())));
    }
    let shown = settings.client_identity.clone();
    if let Some(it) = &shown {
        if url.scheme() != "https" {
            let detail = "`tls_client_auth` is shown in TLS: the token endpoint has to begin with \
                          https";
            return Err(Problem::new(Standard::Configuration, detail));
        }
        identity.push(("certificate", Zeroizing::new(it.digest().to_string())));
    }
    let basic = client(&settings, &mut parameters)?;
    let proof = Proof { basic, signer: signer(&settings)?, shown };
    let Settings { json_request, issuers, .. } = settings;
    Ok(TokenRequest::new(url, parameters.0, proof, json_request, issuers, &identity))
}

/// The parameters of a token request.
struct Parameters(Vec<(&'static str, Zeroizing<String>)>);

impl Parameters {
    fn add(&mut self, name: &'static str, value: &str) {
        self.0.push((name, Zeroizing::new(value.to_owned())));
    }

    /// Adds what the grant cannot do without.
    fn need(
        &mut self,
        name: &'static str,
        value: Option<&Zeroizing<String>>,
    ) -> Result<(), Problem> {
        let value = value.ok_or_else(|| needed(name))?;
        self.add(name, value);
        Ok(())
    }
}

fn needed(name: &str) -> Problem {
    let detail = format!("the oauth2 policy lacks `{name}`, which its grant or client needs");
    Problem::new(Standard::Configuration, detail)
}

fn grant(settings: &Settings, parameters: &mut Parameters) -> Result<(), Problem> {
    match settings.grant {
        Grant::ClientCredentials => parameters.add("grant_type", "client_credentials"),
        Grant::Password => {
            parameters.add("grant_type", "password");
            parameters.need("username", settings.username.as_ref())?;
            parameters.need("password", settings.password.as_ref())?;
        }
        Grant::AuthorizationCode => {
            parameters.add("grant_type", "authorization_code");
            parameters.need("code", settings.code.as_ref())?;
            if let Some(uri) = &settings.redirect_uri {
                parameters.add("redirect_uri", uri);
            }
        }
        Grant::RefreshToken => {
            parameters.add("grant_type", "refresh_token");
            parameters.need("refresh_token", settings.refresh_token.as_ref())?;
        }
        Grant::TokenExchange => {
            parameters.add("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
            let (token, kind) = settings.subject.as_ref().ok_or_else(|| needed("subject"))?;
            parameters.add("subject_token", token);
            parameters.add("subject_token_type", kind);
            if let Some((token, kind)) = &settings.actor {
                parameters.add("actor_token", token);
                parameters.add("actor_token_type", kind);
            }
        }
    }
    Ok(())
}

/// Who signs assertions for the client, where somebody does: a key may stand where an assertion is
/// expected, which the language has no other place for.
fn signer(settings: &Settings) -> Result<Option<Signer>, Problem> {
    let client = || settings.client_id.clone().ok_or_else(|| needed("client_id"));
    let with = match settings.client_authentication {
        ClientAuthentication::SecretJwt => {
            With::Secret(settings.client_secret.clone().ok_or_else(|| needed("client_secret"))?)
        }
        ClientAuthentication::PrivateKeyJwt => match key(settings) {
            Some(key) => With::Key(key.clone(), settings.client_key_id.clone()),
            None => return Ok(None),
        },
        ClientAuthentication::Basic
        | ClientAuthentication::Post
        | ClientAuthentication::Tls
        | ClientAuthentication::None => return Ok(None),
    };
    Ok(Some(Signer { client: client()?, with }))
}

/// The private key of a client.
fn key(settings: &Settings) -> Option<&Zeroizing<String>> {
    let assertion = settings.client_assertion.as_ref().filter(|it| is_key(it));
    settings.client_key.as_ref().or(assertion)
}

/// Says who the client is; gives the parameter of a `Basic` header where that is how.
fn client(
    settings: &Settings,
    parameters: &mut Parameters,
) -> Result<Option<Zeroizing<String>>, Problem> {
    let id = settings.client_id.as_ref();
    let secret = settings.client_secret.as_ref();
    match settings.client_authentication {
        ClientAuthentication::Basic => {
            let id = id.ok_or_else(|| needed("client_id"))?;
            let secret = secret.ok_or_else(|| needed("client_secret"))?;
            let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            return Ok(Some(Zeroizing::new(basic::pair(&encoded(id), &encoded(secret)))));
        }
        ClientAuthentication::Post => {
            // A public client has no secret; some grants need no client at all.
            for (name, value) in [("client_id", id), ("client_secret", secret)] {
                if let Some(value) = value {
                    parameters.add(name, value);
                }
            }
        }
        // The signer says all there is to say.
        ClientAuthentication::SecretJwt => {}
        ClientAuthentication::PrivateKeyJwt if key(settings).is_some() => {}
        ClientAuthentication::PrivateKeyJwt => {
            if let Some(id) = id {
                parameters.add("client_id", id);
            }
            parameters.add("client_assertion_type", ASSERTION_TYPE);
            parameters.need("client_assertion", settings.client_assertion.as_ref())?;
        }
        // By its name the server finds the certificate that it expects.
        ClientAuthentication::Tls => parameters.need("client_id", id)?,
        ClientAuthentication::None => {
            if let Some(id) = id {
                parameters.add("client_id", id);
            }
        }
    }
    Ok(None)
}

/// Checks that a JWT was issued by one of `issuers`; a token that is no JWT says nothing.
pub(super) fn check_issuer(token: &str, issuers: &[String]) -> Result<(), Problem> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Ok(());
    };
    let claims = URL_SAFE_NO_PAD
        .decode(payload)
        .ok()
        .and_then(|bytes| Value::from_json(std::str::from_utf8(&bytes).ok()?).ok());
    let Some(claims) = claims else { return Ok(()) };
    let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    if issuers.is_empty() || issuers.iter().any(|known| known == issuer) {
        return Ok(());
    }
    let detail =
        format!("the access token was issued by {issuer:?}, which `issuers` does not name");
    Err(Problem::new(Standard::Authentication, detail))
}
