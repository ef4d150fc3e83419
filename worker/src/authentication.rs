//! Authenticates the calls of a task.

mod assertion;
mod basic;
mod bearer;
mod certificate;
mod digest;
mod oauth2;
mod oidc;
mod settings;
mod token;

use std::sync::Arc;

use reqwest::Url;
use reqwest::header::HeaderValue;
use windlass_proto::plan::{Authentication, Credentials};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::secret::{Secret, SecretName};
use windlass_proto::value::Value;
use zeroize::Zeroizing;

use crate::attempt::Attempt;
use crate::http_client::identity::ClientIdentity;
use crate::request::Request;
use crate::token_cache::AccessToken;

/// How one call is authenticated.
pub(crate) enum Authorization {
    /// A header known before the call.
    Header {
        /// `Basic` or `Bearer`.
        scheme: &'static str,
        /// What follows the scheme.
        parameter: Arc<Secret<String>>,
    },
    /// Shown in TLS, where no header is.
    Certificate(ClientIdentity),
    /// Known once the server has sent its challenge.
    Digest(digest::Account),
    /// A token of an authorization server, which can be asked for another one.
    Token {
        /// The access token.
        token: AccessToken,
        /// How it was had; taken when it has been asked for a second time.
        source: Option<Box<token::TokenRequest>>,
        /// What was shown for it in TLS: it may be good for who shows the same alone (RFC 8705, 3).
        identity: Option<ClientIdentity>,
    },
}

impl Authorization {
    /// The header to send with the first request; none while a challenge is awaited.
    pub(crate) fn header(&self) -> Result<Option<HeaderValue>, Problem> {
        match self {
            Self::Header { scheme, parameter } => header(scheme, parameter.expose()).map(Some),
            Self::Token { token, .. } => header(&token.scheme, token.value.expose()).map(Some),
            Self::Digest(_) | Self::Certificate(_) => Ok(None),
        }
    }

    /// What is shown in TLS to the server at `url`.
    pub(crate) fn identity(&self, url: &Url) -> Option<&ClientIdentity> {
        match self {
            Self::Certificate(identity) => Some(identity),
            Self::Token { identity, .. } => identity.as_ref().filter(|_| url.scheme() == "https"),
            Self::Header { .. } | Self::Digest(_) => None,
        }
    }
}

impl Attempt<'_> {
    /// Prepares `authentication` and binds `$authorization` to it.
    pub(crate) async fn authorize(
        &mut self,
        authentication: Option<&Authentication>,
        input: &Value,
    ) -> Result<Option<Authorization>, Problem> {
        let Some(authentication) = authentication else { return Ok(None) };
        let authorization = match authentication {
            Authentication::Basic(credentials) => {
                let (name, password) = self.credentials("basic", credentials, input)?;
                basic::authorization(&name, &password)
            }
            Authentication::Bearer(token) => {
                bearer::authorization(&self.bearer_token(token, input)?)
            }
            Authentication::Digest(credentials) => {
                let (name, password) = self.credentials("digest", credentials, input)?;
                Authorization::Digest(digest::Account::new(&name, &password))
            }
            Authentication::OAuth2(policy) => self.oauth2(policy, input).await?,
            Authentication::Oidc(policy) => self.oidc(policy, input).await?,
            Authentication::OAuth2FromSecret(name) => self.oauth2_from_secret(name).await?,
            Authentication::OidcFromSecret(name) => self.oidc_from_secret(name).await?,
            Authentication::Certificate(name) => self.certificate(name)?,
        };
        match &authorization {
            Authorization::Header { scheme, parameter } => self.bind(scheme, parameter.expose()),
            Authorization::Token { token, .. } => self.bind(&token.scheme, token.value.expose()),
            Authorization::Digest(_) | Authorization::Certificate(_) => {}
        }
        Ok(Some(authorization))
    }

    /// Answers a 401: with the digest of its challenge, or with a new token. None when there is no
    /// better answer than the one that was refused.
    pub(crate) async fn answer(
        &mut self,
        authorization: &mut Authorization,
        request: &Request,
        challenges: &[HeaderValue],
    ) -> Result<Option<HeaderValue>, Problem> {
        match authorization {
            Authorization::Header { .. } | Authorization::Certificate(_) => Ok(None),
            Authorization::Digest(account) => {
                let answer = account.answer(request, challenges)?;
                self.bind("Digest", &answer);
                header("Digest", &answer).map(Some)
            }
            Authorization::Token { token, source, .. } => {
                let Some(source) = source.take() else { return Ok(None) };
                *token = self.access_token(&source, Some(token)).await?;
                self.bind(&token.scheme, token.value.expose());
                header(&token.scheme, token.value.expose()).map(Some)
            }
        }
    }

    /// Binds `$authorization`, and keeps its parameter from leaving.
    fn bind(&mut self, scheme: &str, parameter: &str) {
        self.seal.add(parameter);
        self.scope.authorization = Some(Value::object([
            ("scheme", Value::from(scheme)),
            ("parameter", Value::from(parameter)),
        ]));
    }

    fn credentials(
        &self,
        scheme: &str,
        credentials: &Credentials,
        input: &Value,
    ) -> Result<(String, Zeroizing<String>), Problem> {
        match credentials {
            Credentials::Inline { username, password } => Ok((
                self.evaluate(username, input)?.to_text(),
                Zeroizing::new(self.evaluate(password, input)?.to_text()),
            )),
            Credentials::Secret(name) => {
                let secret = self.secret(name)?;
                let part = |key: &str| {
                    let text = secret.get(key).filter(|it| !it.is_null()).map(Value::to_text);
                    text.ok_or_else(|| missing_key(name, scheme, key))
                };
                Ok((part("username")?, Zeroizing::new(part("password")?)))
            }
        }
    }

    /// The value of a secret that an authentication names; it was read before.
    fn secret(&self, name: &SecretName) -> Result<&Value, Problem> {
        self.scope.secrets.get(&*name.0).ok_or_else(|| {
            Problem::new(Standard::Runtime, format!("the secret {name} was not read"))
        })
    }
}

/// The problem of a secret that lacks what a scheme needs.
fn missing_key(name: &SecretName, scheme: &str, key: &str) -> Problem {
    let detail = format!("the secret {name} has no `{key}`, which `{scheme}` needs");
    Problem::new(Standard::Configuration, detail)
}

fn header(scheme: &str, parameter: &str) -> Result<HeaderValue, Problem> {
    let text = Zeroizing::new(format!("{scheme} {parameter}"));
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        let detail =
            format!("the {scheme} credential holds characters that no HTTP header may have");
        Problem::new(Standard::Configuration, detail)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
