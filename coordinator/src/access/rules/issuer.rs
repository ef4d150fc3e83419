//! `[[issuer]]`: an identity provider, and what its claims say.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonwebtoken::Algorithm;
use serde::Deserialize;
use toml::Spanned;
use windlass_proto::expression::{Names, Program};
use windlass_proto::limits;

use super::RulesError;
use crate::access::principal::{ANONYMOUS, CERTIFICATE, TOKEN};

/// What signatures are taken by unless the file says otherwise. None is symmetric: a public key
/// must never be taken for a secret.
const USUAL: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
    Algorithm::RS512,
];

/// All that may be asked for.
const KNOWN: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// The table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, written `[[issuer]]`")]
pub(super) struct IssuerTable {
    name: Spanned<String>,
    url: Spanned<String>,
    audiences: Spanned<Vec<String>>,
    keys: Option<Spanned<String>>,
    authorities: Option<PathBuf>,
    bearer_file: Option<PathBuf>,
    algorithms: Option<Vec<Spanned<String>>>,
    subject: Option<Spanned<String>>,
    groups: Option<Spanned<String>>,
    grants: Option<Spanned<String>>,
    client: Option<String>,
    scopes: Option<Vec<String>>,
    resource: Option<String>,
}

impl IssuerTable {
    /// Where it stands.
    pub(super) fn at(&self) -> usize {
        self.name.span().start
    }
}

/// An identity provider.
pub(in crate::access) struct IssuerRule {
    /// What it is called here.
    pub name: Arc<str>,
    /// The `iss` of its tokens.
    pub url: Arc<str>,
    /// Whom its tokens may be for: one of these must be in `aud`.
    pub audiences: Vec<String>,
    /// Where its keys are; discovery finds it unless given.
    pub keys: Option<String>,
    /// Whose certificates are trusted when it is asked, in PEM; the system's unless given.
    pub authorities: Option<PathBuf>,
    /// The file of a token that it is asked with, read anew each time.
    pub bearer_file: Option<PathBuf>,
    /// What its tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// Who somebody is, from the claims.
    pub subject: Program,
    /// The groups they are in, from the claims.
    pub groups: Option<Program>,
    /// What they may, from the claims: a list of grants as tokens have them.
    pub grants: Option<Program>,
    /// How the command line gets a token of it, where it may.
    pub login: Option<Login>,
}

/// What the command line asks a provider for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Login {
    /// The name of the issuer.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// The public client that the provider knows the command line as.
    pub client: String,
    /// The scopes to ask for.
    pub scopes: Vec<String>,
    /// The resource that the token is for (RFC 8707), where the provider wants that said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

impl IssuerRule {
    /// True when its keys are asked for where, and as, those of `other` are.
    pub(in crate::access) fn has_keys_of(&self, other: &Self) -> bool {
        let of = |it: &Self| {
            (it.url.clone(), it.keys.clone(), it.authorities.clone(), it.bearer_file.clone())
        };
        of(self) == of(other)
    }
}

impl fmt::Debug for IssuerRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerRule").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Reads the table.
pub(super) fn read(
    table: IssuerTable,
    text: &str,
    folder: &Path,
) -> Result<IssuerRule, RulesError> {
    let refused = |at: usize, reason: String| RulesError::at(text, at, reason);
    let name = table.name.get_ref();
    if [CERTIFICATE, TOKEN, ANONYMOUS].contains(&name.as_str()) {
        let reason = format!("`{name}` says how somebody proves who they are: take another name");
        return Err(refused(table.at(), reason));
    }
    if name.is_empty() || name.len() > limits::ACCESS_NAME_BYTES {
        return Err(refused(table.at(), "an issuer needs a name".to_owned()));
    }
    for url in [Some(&table.url), table.keys.as_ref()].into_iter().flatten() {
        if !is_secure(url.get_ref()) {
            let reason = "write https://…; http:// only for this machine (localhost)";
            return Err(refused(url.span().start, reason.to_owned()));
        }
    }
    let audiences = table.audiences.get_ref();
    if audiences.is_empty() || audiences.iter().any(String::is_empty) {
        let reason = "`audiences` names this server, as its tokens' `aud` does: any other token of \
                      the provider would do without it";
        return Err(refused(table.audiences.span().start, reason.to_owned()));
    }
    let algorithms = table.algorithms.map(|all| {
        let known = |it: &Spanned<String>| {
            let found = KNOWN.iter().find(|(name, _)| name == it.get_ref()).map(|it| it.1);
            found.ok_or_else(|| {
                let names: Vec<_> = KNOWN.iter().map(|it| it.0).collect();
                refused(it.span().start, format!("an algorithm is one of {}", names.join(", ")))
            })
        };
        all.iter().map(known).collect::<Result<Vec<_>, _>>()
    });
    let program = |it: &Spanned<String>| {
        Program::compile(it.get_ref(), &Names::default())
            .map_err(|error| refused(it.span().start, format!("not jq: {error}")))
    };
    let subject = Spanned::new(0..0, ".sub".to_owned());
    let login = table.client.map(|client| Login {
        name: name.clone(),
        url: table.url.get_ref().clone(),
        client,
        scopes: table.scopes.unwrap_or_else(|| vec!["openid".to_owned()]),
        resource: table.resource,
    });
    Ok(IssuerRule {
        name: name.as_str().into(),
        url: table.url.get_ref().as_str().into(),
        audiences: table.audiences.into_inner(),
        keys: table.keys.map(Spanned::into_inner),
        authorities: table.authorities.map(|it| folder.join(it)),
        bearer_file: table.bearer_file.map(|it| folder.join(it)),
        algorithms: algorithms.transpose()?.unwrap_or_else(|| USUAL.to_vec()),
        subject: program(table.subject.as_ref().unwrap_or(&subject))?,
        groups: table.groups.as_ref().map(program).transpose()?,
        grants: table.grants.as_ref().map(program).transpose()?,
        login,
    })
}

/// True for HTTPS, and for HTTP that stays on this machine.
#[must_use]
pub fn is_secure(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or("").trim_start_matches('[').trim_end_matches(']');
    let local = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    url.scheme() == "https" || url.scheme() == "http" && local
}
