//! What `oauth2` and `oidc` need, evaluated: from the definition or from a secret.

use windlass_proto::plan::{ClientAuthentication, Grant, OAuth2};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::secret::SecretName;
use windlass_proto::value::Value;
use zeroize::Zeroizing;

use super::certificate;
use crate::attempt::Attempt;
use crate::http_client::identity::ClientIdentity;

type Text = Zeroizing<String>;

/// The properties of a policy with their expressions evaluated.
pub(super) struct Settings {
    pub(super) authority: String,
    /// Path below the authority, or absolute.
    pub(super) token_endpoint: String,
    pub(super) grant: Grant,
    pub(super) client_id: Option<Text>,
    pub(super) client_secret: Option<Text>,
    /// An assertion that somebody else has signed, or the key to sign with.
    pub(super) client_assertion: Option<Text>,
    /// The key to sign assertions with, and its name: only a secret has them.
    pub(super) client_key: Option<Text>,
    pub(super) client_key_id: Option<String>,
    pub(super) client_authentication: ClientAuthentication,
    /// What the client shows in TLS, where that is how it proves who it is.
    pub(super) client_identity: Option<ClientIdentity>,
    pub(super) json_request: bool,
    pub(super) issuers: Vec<String>,
    pub(super) scopes: Vec<String>,
    pub(super) audiences: Vec<String>,
    pub(super) username: Option<Text>,
    pub(super) password: Option<Text>,
    /// Token and type.
    pub(super) subject: Option<(Text, String)>,
    /// Token and type.
    pub(super) actor: Option<(Text, String)>,
    /// The code of `authorization_code`, the token of `refresh_token`: only a secret has them.
    pub(super) code: Option<Text>,
    pub(super) redirect_uri: Option<Text>,
    pub(super) refresh_token: Option<Text>,
}

const TOKEN_ENDPOINT: &str = "/oauth2/token";

const TLS_CLIENT_AUTH: &str = "tls_client_auth";

impl Attempt<'_> {
    /// The settings of a policy that the definition holds.
    pub(super) fn settings(&self, policy: &OAuth2, input: &Value) -> Result<Settings, Problem> {
        let text = |template| -> Result<Option<Text>, Problem> {
            let value = self.evaluate_optional(template, input)?;
            Ok(value.filter(|it| !it.is_null()).map(|it| Zeroizing::new(it.to_text())))
        };
        let texts = |templates: &[_]| {
            let evaluated = templates.iter().map(|it| Ok(self.evaluate(it, input)?.to_text()));
            evaluated.collect::<Result<Vec<_>, Problem>>()
        };
        let pair = |pair: &Option<(_, _)>| match pair {
            Some((token, kind)) => {
                let token = self.evaluate(token, input)?.to_text();
                Ok(Some((Zeroizing::new(token), self.evaluate(kind, input)?.to_text())))
            }
            None => Ok::<_, Problem>(None),
        };
        Ok(Settings {
            authority: self.expand(&policy.authority, input)?,
            token_endpoint: self.expand(&policy.endpoints.token, input)?,
            grant: policy.grant,
            client_id: text(policy.client_id.as_ref())?,
            client_secret: text(policy.client_secret.as_ref())?,
            client_assertion: text(policy.client_assertion.as_ref())?,
            client_key: None,
            client_key_id: None,
            client_authentication: policy.client_authentication,
            client_identity: match (policy.client_authentication, &policy.client_certificate) {
                (ClientAuthentication::Tls, Some(name)) => {
                    Some(self.client_identity(name, TLS_CLIENT_AUTH)?)
                }
                _ => None,
            },
            json_request: policy.json_request,
            issuers: texts(&policy.issuers)?,
            scopes: texts(&policy.scopes)?,
            audiences: texts(&policy.audiences)?,
            username: text(policy.username.as_ref())?,
            password: text(policy.password.as_ref())?,
            subject: pair(&policy.subject)?,
            actor: pair(&policy.actor)?,
            code: None,
            redirect_uri: None,
            refresh_token: None,
        })
    }
}

/// A secret with the properties of a policy: nested, or flat as `client.id` or `client_id`.
struct Properties<'a> {
    secret: &'a Value,
    name: &'a SecretName,
    scheme: &'static str,
}

impl Properties<'_> {
    fn find(&self, path: &[&str]) -> Option<Value> {
        let nested = path.iter().try_fold(self.secret, |value, key| value.get(key));
        let flat = || self.secret.get(&path.join(".")).or_else(|| self.secret.get(&path.join("_")));
        nested.or_else(flat).filter(|it| !it.is_null()).cloned()
    }

    fn text(&self, path: &[&str]) -> Option<Text> {
        self.find(path).map(|it| Zeroizing::new(it.to_text()))
    }

    fn plain(&self, path: &[&str]) -> Option<String> {
        self.find(path).map(|it| it.to_text())
    }

    /// A list, or text with blanks between the elements.
    fn list(&self, path: &[&str]) -> Vec<String> {
        match self.find(path) {
            None => Vec::new(),
            Some(value) => match value.as_array() {
                Some(elements) => elements.iter().map(Value::to_text).collect(),
                None => value.to_text().split_whitespace().map(str::to_owned).collect(),
            },
        }
    }

    fn pair(&self, key: &str) -> Option<(Text, String)> {
        Some((self.text(&[key, "token"])?, self.plain(&[key, "type"]).unwrap_or_default()))
    }

    fn refused(&self, key: &str, value: &str) -> Problem {
        let Self { name, scheme, .. } = self;
        let detail = format!("the secret {name}: `{key}` of `{scheme}` cannot be {value:?}");
        Problem::new(Standard::Configuration, detail)
    }

    fn grant(&self) -> Result<Grant, Problem> {
        let text = self
            .plain(&["grant"])
            .ok_or_else(|| super::missing_key(self.name, self.scheme, "grant"))?;
        Ok(match text.replace('-', "_").as_str() {
            "authorization_code" => Grant::AuthorizationCode,
            "client_credentials" => Grant::ClientCredentials,
            "password" => Grant::Password,
            "refresh_token" => Grant::RefreshToken,
            "urn:ietf:params:oauth:grant_type:token_exchange" => Grant::TokenExchange,
            _ => return Err(self.refused("grant", &text)),
        })
    }

    fn client_identity(&self) -> Result<ClientIdentity, Problem> {
        let find = |key: &str| self.find(&["client", key]);
        certificate::identity(self.name, TLS_CLIENT_AUTH, "client.", find)
    }

    fn client_authentication(&self) -> Result<ClientAuthentication, Problem> {
        let Some(text) = self.plain(&["client", "authentication"]) else {
            return Ok(ClientAuthentication::default());
        };
        Ok(match text.as_str() {
            "client_secret_basic" => ClientAuthentication::Basic,
            "client_secret_post" => ClientAuthentication::Post,
            "client_secret_jwt" => ClientAuthentication::SecretJwt,
            "private_key_jwt" => ClientAuthentication::PrivateKeyJwt,
            TLS_CLIENT_AUTH | "self_signed_tls_client_auth" => ClientAuthentication::Tls,
            "none" => ClientAuthentication::None,
            _ => return Err(self.refused("client.authentication", &text)),
        })
    }
}

/// The settings that a secret holds.
pub(super) fn from_secret(
    secret: &Value,
    name: &SecretName,
    scheme: &'static str,
) -> Result<Settings, Problem> {
    let properties = Properties { secret, name, scheme };
    let authority = properties.plain(&["authority"]);
    let client_authentication = properties.client_authentication()?;
    let client_identity = match client_authentication {
        ClientAuthentication::Tls => Some(properties.client_identity()?),
        _ => None,
    };
    Ok(Settings {
        authority: authority.ok_or_else(|| super::missing_key(name, scheme, "authority"))?,
        token_endpoint: properties
            .plain(&["endpoints", "token"])
            .unwrap_or_else(|| TOKEN_ENDPOINT.to_owned()),
        grant: properties.grant()?,
        client_id: properties.text(&["client", "id"]),
        client_secret: properties.text(&["client", "secret"]),
        client_assertion: properties.text(&["client", "assertion"]),
        client_key: properties.text(&["client", "key"]),
        client_key_id: properties.plain(&["client", "keyId"]),
        client_authentication,
        client_identity,
        json_request: properties.plain(&["request", "encoding"]).as_deref()
            == Some("application/json"),
        issuers: properties.list(&["issuers"]),
        scopes: properties.list(&["scopes"]),
        audiences: properties.list(&["audiences"]),
        username: properties.text(&["username"]),
        password: properties.text(&["password"]),
        subject: properties.pair("subject"),
        actor: properties.pair("actor"),
        code: properties.text(&["code"]),
        redirect_uri: properties.text(&["redirect_uri"]),
        refresh_token: properties.text(&["refresh_token"]),
    })
}
