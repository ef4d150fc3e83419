//! Authentication policies.

use super::codes;
use super::decoder::{Decoder, optional};
use super::node::{Node, Place};
use crate::expression::{Template, UriTemplate};
use crate::plan::{
    Authentication, ClientAuthentication, Credentials, Grant, OAuth2, OAuth2Endpoints, Token,
};
use crate::secret::SecretName;

/// The specification names `certificate` and says nothing of it: it is a secret's, here.
const SCHEMES: &[&str] = &["basic", "bearer", "digest", "oauth2", "oidc", "certificate"];

pub(in crate::definition) const GRANTS: &[(&str, Grant)] = &[
    ("authorization_code", Grant::AuthorizationCode),
    ("client_credentials", Grant::ClientCredentials),
    ("password", Grant::Password),
    ("refresh_token", Grant::RefreshToken),
    ("urn:ietf:params:oauth:grant-type:token-exchange", Grant::TokenExchange),
];

pub(in crate::definition) const CLIENT_AUTHENTICATIONS: &[(&str, ClientAuthentication)] = &[
    ("client_secret_basic", ClientAuthentication::Basic),
    ("client_secret_post", ClientAuthentication::Post),
    ("client_secret_jwt", ClientAuthentication::SecretJwt),
    ("private_key_jwt", ClientAuthentication::PrivateKeyJwt),
    // RFC 8705, which the specification does not have.
    ("tls_client_auth", ClientAuthentication::Tls),
    ("self_signed_tls_client_auth", ClientAuthentication::Tls),
    ("none", ClientAuthentication::None),
];

pub(in crate::definition) const ENCODINGS: &[(&str, bool)] =
    &[("application/x-www-form-urlencoded", false), ("application/json", true)];

const CLIENT: &[&str] = &["id", "secret", "assertion", "certificate", "authentication"];

const PROPERTIES: &[&str] = &[
    "authority",
    "grant",
    "client",
    "request",
    "issuers",
    "scopes",
    "audiences",
    "username",
    "password",
    "subject",
    "actor",
];

impl Decoder<'_> {
    /// A policy; `open` where the schema allows further properties beside the scheme.
    pub(super) fn authentication(&mut self, node: &Node, open: bool) -> Option<Authentication> {
        let what = "an authentication";
        let members =
            if open { self.open(node, what, SCHEMES)? } else { self.closed(node, what, SCHEMES)? };
        let mut schemes = members.iter().filter(|(key, _)| SCHEMES.contains(&&***key));
        let Some((scheme, member)) = schemes.next() else {
            let message = "an authentication needs a scheme";
            let hint = "one of `basic`, `bearer`, `digest`, `oauth2`, `oidc`, `certificate`";
            self.error(codes::CONFLICT, node.place, message, hint);
            return None;
        };
        if let Some((other, again)) = schemes.next() {
            let message = format!("an authentication cannot be both `{scheme}` and `{other}`");
            self.error(codes::CONFLICT, again.key, message, "keep one scheme");
        }
        let node = &member.node;
        match &**scheme {
            "basic" => self.credentials(node, "`basic`").map(Authentication::Basic),
            "digest" => self.credentials(node, "`digest`").map(Authentication::Digest),
            "bearer" => self.token(node).map(Authentication::Bearer),
            "certificate" => {
                self.certificate(node, "`certificate`").map(Authentication::Certificate)
            }
            "oidc" => match self.used_secret(node, "`oidc`")? {
                Some(secret) => Some(Authentication::OidcFromSecret(secret)),
                None => self.oauth2(node, false).map(|it| Authentication::Oidc(Box::new(it))),
            },
            _ => match self.used_secret(node, "`oauth2`")? {
                Some(secret) => Some(Authentication::OAuth2FromSecret(secret)),
                None => self.oauth2(node, true).map(|it| Authentication::OAuth2(Box::new(it))),
            },
        }
    }

    /// `use` inside a scheme names a secret; absent gives `Some(None)`.
    fn used_secret(&mut self, node: &Node, what: &str) -> Option<Option<SecretName>> {
        let Some(used) = node.get("use") else { return Some(None) };
        self.closed(node, what, &["use"])?;
        let name = self.string(used, &format!("{what}.use"))?;
        if self.declared.contains(&name) {
            return Some(Some(SecretName(name)));
        }
        let message = format!("the secret `{name}` is not declared in `use.secrets`");
        let hint = if self.reusable.authentications.contains_key(&name) {
            format!("`{name}` is an authentication: write `authentication: {{ use: {name} }}`")
        } else {
            self.hint(&name, self.names.secrets.iter().map(|secret| &**secret))
        };
        self.error(codes::NO_SECRET, used.place, message, &hint);
        None
    }

    /// A certificate in a secret; without `use` there is nothing it could be.
    fn certificate(&mut self, node: &Node, what: &str) -> Option<SecretName> {
        self.required(node, "use", what)?;
        self.used_secret(node, what)?
    }

    fn credentials(&mut self, node: &Node, what: &str) -> Option<Credentials> {
        if let Some(secret) = self.used_secret(node, what)? {
            return Some(Credentials::Secret(secret));
        }
        self.closed(node, what, &["username", "password", "use"])?;
        let username = self.required_text(node, "username", what);
        let password = self.required_text(node, "password", what);
        Some(Credentials::Inline { username: username?, password: password? })
    }

    fn required_text(&mut self, node: &Node, key: &str, what: &str) -> Option<Template> {
        let found = self.required(node, key, what)?;
        self.text_template(found, &format!("`{key}`"))
    }

    fn token(&mut self, node: &Node) -> Option<Token> {
        if let Some(secret) = self.used_secret(node, "`bearer`")? {
            return Some(Token::Secret(secret));
        }
        self.closed(node, "`bearer`", &["token", "use"])?;
        self.required_text(node, "token", "`bearer`").map(Token::Inline)
    }

    fn oauth2(&mut self, node: &Node, endpoints: bool) -> Option<OAuth2> {
        let what = if endpoints { "`oauth2`" } else { "`oidc`" };
        let mut known = PROPERTIES.to_vec();
        if endpoints {
            known.push("endpoints");
        }
        self.closed(node, what, &known)?;
        let authority =
            self.required(node, "authority", what).and_then(|node| self.uri(node, "`authority`"));
        let grant = self
            .required(node, "grant", what)
            .and_then(|node| self.choice(node, "`grant`", GRANTS));
        let paths = self.oauth2_endpoints(node.get("endpoints"), node.place);
        let absent = Node::mapping(node.place, []);
        let client = node.get("client").unwrap_or(&absent);
        self.closed(client, "`client`", CLIENT);
        let client_id = self.text_template_at(client, "id");
        let client_secret = self.text_template_at(client, "secret");
        let client_assertion = self.text_template_at(client, "assertion");
        let client_authentication = optional(client.get("authentication"), |node| {
            self.choice(node, "`client.authentication`", CLIENT_AUTHENTICATIONS)
        });
        let client_certificate =
            self.client_certificate(client, client_authentication?.unwrap_or_default());
        let json_request = optional(node.get("request"), |node| {
            self.open(node, "`request`", &["encoding"])?;
            optional(node.get("encoding"), |node| {
                self.choice(node, "`request.encoding`", ENCODINGS)
            })
        });
        let issuers = self.texts(node, "issuers");
        let scopes = self.texts(node, "scopes");
        let audiences = self.texts(node, "audiences");
        let username = self.text_template_at(node, "username");
        let password = self.text_template_at(node, "password");
        let subject = optional(node.get("subject"), |node| self.typed_token(node, "`subject`"));
        let actor = optional(node.get("actor"), |node| self.typed_token(node, "`actor`"));
        Some(OAuth2 {
            authority: authority?,
            endpoints: paths?,
            grant: grant?,
            client_id: client_id?,
            client_secret: client_secret?,
            client_assertion: client_assertion?,
            client_certificate: client_certificate?,
            client_authentication: client_authentication?.unwrap_or_default(),
            json_request: json_request?.flatten().unwrap_or_default(),
            issuers: issuers?,
            scopes: scopes?,
            audiences: audiences?,
            username: username?,
            password: password?,
            subject: subject?,
            actor: actor?,
        })
    }

    /// What the client shows in TLS: where that is how it proves who it is, and nowhere else.
    fn client_certificate(
        &mut self,
        client: &Node,
        authentication: ClientAuthentication,
    ) -> Option<Option<SecretName>> {
        if authentication == ClientAuthentication::Tls {
            let node = self.required(client, "certificate", "a `client` with `tls_client_auth`")?;
            return self.certificate(node, "`client.certificate`").map(Some);
        }
        if let Some(node) = client.get("certificate") {
            let message = "this client does not prove who it is with its certificate";
            let hint = "add `authentication: tls_client_auth`, or take `certificate` out";
            self.error(codes::CONFLICT, node.place, message, hint);
            return None;
        }
        Some(None)
    }

    fn oauth2_endpoints(&mut self, node: Option<&Node>, place: Place) -> Option<OAuth2Endpoints> {
        if let Some(node) = node {
            self.open(node, "`endpoints`", &["token", "revocation", "introspection"])?;
        }
        let token = self.path(node, place, "token", "/oauth2/token");
        let revocation = self.path(node, place, "revocation", "/oauth2/revoke");
        let introspection = self.path(node, place, "introspection", "/oauth2/introspect");
        Some(OAuth2Endpoints {
            token: token?,
            revocation: revocation?,
            introspection: introspection?,
        })
    }

    fn path(
        &mut self,
        node: Option<&Node>,
        place: Place,
        key: &str,
        default: &str,
    ) -> Option<UriTemplate> {
        match node.and_then(|node| node.get(key)) {
            Some(node) => self.uri(node, &format!("`endpoints.{key}`")),
            None => self.uri(&Node::string(place, default), key),
        }
    }

    fn texts(&mut self, node: &Node, key: &str) -> Option<Vec<Template>> {
        let Some(node) = node.get(key) else { return Some(Vec::new()) };
        let what = format!("an entry of `{key}`");
        let items = self.sequence(node, &format!("`{key}`"))?;
        let found: Vec<_> = items.iter().map(|item| self.text_template(item, &what)).collect();
        found.into_iter().collect()
    }

    fn typed_token(&mut self, node: &Node, what: &str) -> Option<(Template, Template)> {
        self.closed(node, what, &["token", "type"])?;
        let token = self.required_text(node, "token", what);
        let kind = self.required_text(node, "type", what);
        Some((token?, kind?))
    }
}
