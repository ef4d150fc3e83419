//! `auth.toml`: who is asked who somebody is, and what they may.
//!
//! ```toml
//! [[issuer]]                            # OpenID Connect, or any other issuer of signed JWTs
//! name = "corp"
//! url = "https://id.example.com/realms/main"
//! audiences = ["windlass"]
//! subject = ".email"                    # jq over the claims; `.sub` unless given
//! groups = ".groups"
//!
//! [[grant]]
//! issuer = "corp"
//! groups = ["ops"]
//! role = "operator"
//! namespaces = ["shop*"]
//! ```
//!
//! **Invariant:** what nothing grants is refused.

mod document;
mod issuer;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use windlass_proto::limits;
use windlass_proto::time::Timestamp;

pub(super) use self::issuer::IssuerRule;
pub use self::issuer::Login;
pub use self::issuer::is_secure;
use super::certificate;
use super::permission::{BUILT_IN, Permissions};
use super::principal::{CERTIFICATE, Grant};
use crate::glob::matches;
pub use crate::position::TextError as RulesError;

/// What `auth.toml` says.
#[derive(Debug)]
pub struct Rules {
    /// Roles by name, those that are always there among them.
    pub roles: BTreeMap<Arc<str>, Permissions>,
    /// Identity providers.
    pub(super) issuers: Vec<Arc<IssuerRule>>,
    /// Tokens by the SHA-256 of their text.
    pub tokens: HashMap<[u8; 32], GivenToken>,
    /// True where client certificates say who somebody is.
    pub certificates: bool,
    grants: Vec<GrantRule>,
}

/// A token that the file has, by its hash.
#[derive(Clone, Debug)]
pub struct GivenToken {
    /// Its name: the subject of whoever shows it.
    pub name: Arc<str>,
    /// When it ends, if it does.
    pub expires: Option<Timestamp>,
    /// What it allows.
    pub grants: Vec<Grant>,
}

/// Who gets a grant.
#[derive(Debug)]
struct GrantRule {
    issuer: Arc<str>,
    subjects: Vec<Arc<str>>,
    groups: Vec<Arc<str>>,
    grant: Grant,
}

/// A grant as files, tokens and claims have it: a role by its name.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with role and namespaces")]
pub struct Granted {
    /// The role.
    pub role: Arc<str>,
    /// In which namespaces.
    pub namespaces: Vec<Arc<str>>,
    /// Of which workflows there; of all unless given.
    #[serde(default = "anything")]
    pub workflows: Vec<Arc<str>>,
    /// For events, of which types; of all unless given.
    #[serde(default = "anything")]
    pub types: Vec<Arc<str>>,
}

/// What is granted where nothing is said.
fn anything() -> Vec<Arc<str>> {
    vec!["*".into()]
}

impl Granted {
    /// What is wrong with its patterns, if anything is.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let parts = [
            ("namespaces", &self.namespaces),
            ("workflows", &self.workflows),
            ("types", &self.types),
        ];
        parts.into_iter().find_map(|(name, patterns)| patterns_fault(name, patterns))
    }
}

/// What is wrong with patterns, if anything is.
fn patterns_fault(name: &str, patterns: &[Arc<str>]) -> Option<String> {
    let most = limits::ACCESS_PATTERNS;
    if patterns.is_empty() || patterns.len() > most {
        return Some(format!("`{name}` has 1 to {most} patterns; \"*\" matches anything"));
    }
    let most = limits::ACCESS_NAME_BYTES;
    let is_wrong = |it: &Arc<str>| it.is_empty() || it.len() > most;
    patterns
        .iter()
        .any(is_wrong)
        .then(|| format!("a pattern in `{name}` has 1 to {most} bytes; \"*\" matches anything"))
}

impl Rules {
    /// Reads the file's text. Paths in it are below `folder`.
    ///
    /// # Errors
    /// When it is too long, no TOML, has other fields, or a role, a pattern or a program in it
    /// makes no sense.
    pub fn parse(text: &str, folder: &std::path::Path) -> Result<Self, RulesError> {
        document::read(text, folder)
    }

    /// What the file makes, for people: a line for each issuer, token and grant.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut lines = Vec::new();
        for issuer in &self.issuers {
            let audiences = issuer.audiences.join(", ");
            lines.push(format!("issuer {}: {}, for {audiences}", issuer.name, issuer.url));
        }
        if self.certificates {
            lines.push("client certificates say who somebody is".to_owned());
        }
        let mut tokens: Vec<_> = self.tokens.values().collect();
        tokens.sort_by(|a, b| a.name.cmp(&b.name));
        for token in tokens {
            let ends = token.expires.map(|it| format!(", until {}", it.to_rfc3339()));
            let grants = token.grants.iter().map(ToString::to_string).collect::<Vec<_>>();
            let ends = ends.unwrap_or_default();
            lines.push(format!("token {}: {}{ends}", token.name, grants.join("; ")));
        }
        for GrantRule { issuer, subjects, groups, grant } in &self.grants {
            let who = |word: &str, all: &[Arc<str>]| match all {
                [] => String::new(),
                all => format!(" {word} {}", all.join(", ")),
            };
            let (subjects, groups) = (who("subjects", subjects), who("groups", groups));
            lines.push(format!("{issuer}{subjects}{groups}: {grant}"));
        }
        if self.tokens.is_empty() && self.grants.is_empty() {
            lines.push("nothing is granted to anybody by the file itself".to_owned());
        }
        lines.join("\n")
    }

    /// The grant that `granted` names; nothing when there is no such role.
    #[must_use]
    pub fn grant(&self, granted: &Granted) -> Option<Grant> {
        self.roles.get(&granted.role).map(|permissions| of(granted, *permissions))
    }

    /// The grants that `all` name; those of roles that are no more are none.
    #[must_use]
    pub fn all(&self, all: &[Granted]) -> Vec<Grant> {
        all.iter().filter_map(|it| self.grant(it)).collect()
    }

    /// What somebody may by the file's grants.
    #[must_use]
    pub fn grants(&self, issuer: &str, subject: &str, groups: &[Arc<str>]) -> Vec<Grant> {
        let fits = |pattern: &str| match issuer {
            CERTIFICATE => certificate::matches(pattern, subject),
            _ => matches(pattern, subject),
        };
        let is_for = |it: &&GrantRule| {
            *it.issuer == *issuer
                && (it.subjects.iter().any(|it| fits(it))
                    || groups.iter().any(|group| it.groups.iter().any(|it| matches(it, group))))
        };
        self.grants.iter().filter(is_for).map(|it| it.grant.clone()).collect()
    }
}

fn of(granted: &Granted, permissions: Permissions) -> Grant {
    let Granted { role, namespaces, workflows, types } = granted;
    Grant {
        role: role.clone(),
        permissions,
        namespaces: namespaces.as_slice().into(),
        workflows: workflows.as_slice().into(),
        types: types.as_slice().into(),
    }
}

/// The roles that are always there.
fn built_in() -> BTreeMap<Arc<str>, Permissions> {
    BUILT_IN.iter().map(|it| (it.name.into(), it.permissions())).collect()
}

#[cfg(test)]
mod tests;
