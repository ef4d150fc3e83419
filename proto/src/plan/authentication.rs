//! Endpoints and the ways to authenticate at them.

use std::sync::Arc;

use crate::expression::{Template, UriTemplate};
use crate::secret::SecretName;

/// An endpoint: a URI and how to authenticate there.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `uri`
    pub uri: UriTemplate,
    /// `authentication`, names of `use.authentications` resolved.
    pub authentication: Option<Arc<Authentication>>,
}

/// An authentication policy.
#[derive(Debug)]
pub enum Authentication {
    /// `basic`
    Basic(Credentials),
    /// `bearer`
    Bearer(Token),
    /// `digest`
    Digest(Credentials),
    /// `oauth2`
    OAuth2(Box<OAuth2>),
    /// `oidc`
    Oidc(Box<OAuth2>),
    /// `oauth2: { use: secret }`: the secret holds what `oauth2` would.
    OAuth2FromSecret(SecretName),
    /// `oidc: { use: secret }`
    OidcFromSecret(SecretName),
    /// `certificate: { use: secret }`: the secret holds what the client shows in TLS.
    Certificate(SecretName),
}

/// User name and password.
#[derive(Debug)]
pub enum Credentials {
    /// Written in the definition; both may be expressions.
    Inline {
        /// `username`
        username: Template,
        /// `password`
        password: Template,
    },
    /// In a secret with the keys `username` and `password`.
    Secret(SecretName),
}

/// A bearer token.
#[derive(Debug)]
pub enum Token {
    /// Written in the definition; may be an expression.
    Inline(Template),
    /// In a secret: the key `token`, or the whole value when it is a string.
    Secret(SecretName),
}

/// `oauth2` and `oidc`
#[derive(Debug)]
pub struct OAuth2 {
    /// `authority`
    pub authority: UriTemplate,
    /// `endpoints`
    pub endpoints: OAuth2Endpoints,
    /// `grant`
    pub grant: Grant,
    /// `client.id`
    pub client_id: Option<Template>,
    /// `client.secret`
    pub client_secret: Option<Template>,
    /// `client.assertion`
    pub client_assertion: Option<Template>,
    /// `client.certificate`: the secret holds what the client shows in TLS.
    pub client_certificate: Option<SecretName>,
    /// `client.authentication`
    pub client_authentication: ClientAuthentication,
    /// `request.encoding` is `application/json`.
    pub json_request: bool,
    /// `issuers`
    pub issuers: Vec<Template>,
    /// `scopes`
    pub scopes: Vec<Template>,
    /// `audiences`
    pub audiences: Vec<Template>,
    /// `username`
    pub username: Option<Template>,
    /// `password`
    pub password: Option<Template>,
    /// `subject`: token and type.
    pub subject: Option<(Template, Template)>,
    /// `actor`: token and type.
    pub actor: Option<(Template, Template)>,
}

/// Paths below the authority, or absolute URIs.
#[derive(Debug)]
pub struct OAuth2Endpoints {
    /// `token`, `/oauth2/token` by default.
    pub token: UriTemplate,
    /// `revocation`, `/oauth2/revoke` by default.
    pub revocation: UriTemplate,
    /// `introspection`, `/oauth2/introspect` by default.
    pub introspection: UriTemplate,
}

/// `grant`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// `authorization_code`
    AuthorizationCode,
    /// `client_credentials`
    ClientCredentials,
    /// `password`
    Password,
    /// `refresh_token`
    RefreshToken,
    /// `urn:ietf:params:oauth:grant-type:token-exchange`
    TokenExchange,
}

/// `client.authentication`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// `client_secret_basic`
    Basic,
    /// `client_secret_post`
    #[default]
    Post,
    /// `client_secret_jwt`
    SecretJwt,
    /// `private_key_jwt`
    PrivateKeyJwt,
    /// `tls_client_auth` and `self_signed_tls_client_auth`, which only the server tells apart.
    Tls,
    /// `none`
    None,
}
