//! The file's tables, and what of them makes no sense.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::issuer::{self, IssuerTable};
use super::{GivenToken, GrantRule, Granted, IssuerRule, Rules, RulesError, built_in, of};
use crate::access::permission::{Permission, Permissions};
use crate::access::principal::{CERTIFICATE, TOKEN};
use crate::access::tokens::unhex;

/// The file.
#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "tables `[[issuer]]`, `[[token]]`, `[certificates]`, `[roles.NAME]` and `[[grant]]`"
)]
struct Document {
    #[serde(default)]
    roles: BTreeMap<Spanned<String>, RoleTable>,
    #[serde(default)]
    issuer: Vec<IssuerTable>,
    #[serde(default)]
    token: Vec<TokenTable>,
    certificates: Option<CertificatesTable>,
    #[serde(default)]
    grant: Vec<Spanned<GrantTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with permissions")]
struct RoleTable {
    permissions: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, written `[[token]]`")]
struct TokenTable {
    name: Spanned<String>,
    sha256: Spanned<String>,
    expires: Option<Spanned<String>>,
    grants: Vec<Spanned<Granted>>,
}

/// The subject of a certificate is its distinguished name, its groups are the organisations in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, written `[certificates]`")]
struct CertificatesTable {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, written `[[grant]]`")]
struct GrantTable {
    issuer: Spanned<String>,
    #[serde(default)]
    subjects: Vec<Arc<str>>,
    #[serde(default)]
    groups: Vec<Arc<str>>,
    role: Spanned<String>,
    namespaces: Vec<Arc<str>>,
    workflows: Option<Vec<Arc<str>>>,
    types: Option<Vec<Arc<str>>>,
}

/// Reads the text; relative paths in it are below `folder`.
pub(super) fn read(text: &str, folder: &Path) -> Result<Rules, RulesError> {
    if text.len() > limits::ACCESS_BYTES {
        let most = limits::ACCESS_BYTES;
        return Err(RulesError::at(text, 0, format!("it has more than {most} bytes")));
    }
    let document: Document = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |it| it.start);
        RulesError::at(text, at, error.message())
    })?;
    let reader = Reader { text, folder: folder.to_owned(), roles: roles(text, document.roles)? };
    let (grants, tokens) = (document.grant.len(), document.token.len());
    for (name, count) in [("grants", grants), ("tokens", tokens), ("roles", reader.roles.len())] {
        if count > limits::ACCESS_RULES {
            let most = limits::ACCESS_RULES;
            return Err(RulesError::at(text, 0, format!("it has more than {most} {name}")));
        }
    }
    let issuers = reader.issuers(document.issuer)?;
    let tokens = reader.tokens(document.token)?;
    let certificates = document.certificates.is_some();
    let known = |it: &str| match it {
        CERTIFICATE => certificates,
        it => issuers.iter().any(|issuer| &*issuer.name == it),
    };
    let grants = document.grant.into_iter().map(|it| reader.grant(it, known));
    let grants = grants.collect::<Result<_, _>>()?;
    Ok(Rules { roles: reader.roles, issuers, tokens, certificates, grants })
}

/// The roles that are always there, and the file's own.
fn roles(
    text: &str,
    tables: BTreeMap<Spanned<String>, RoleTable>,
) -> Result<BTreeMap<Arc<str>, Permissions>, RulesError> {
    let mut roles = built_in();
    for (name, table) in tables {
        let at = name.span().start;
        let name = name.into_inner();
        if name.is_empty() || name.len() > limits::ACCESS_NAME_BYTES {
            return Err(RulesError::at(text, at, "a role needs a name"));
        }
        let permissions = table.permissions.iter().map(|it| {
            Permission::named(it.get_ref()).ok_or_else(|| {
                let unknown = it.get_ref();
                let all: Vec<_> = Permission::ALL.iter().map(|it| it.name()).collect();
                let meant = windlass_proto::suggest::nearest(unknown, all.iter().copied());
                let meant = meant.map(|it| format!(", did you mean `{it}`?")).unwrap_or_default();
                let reason = format!("no permission is called `{unknown}`{meant}");
                RulesError::at(text, it.span().start, reason)
            })
        });
        let permissions = permissions.collect::<Result<Permissions, _>>()?;
        if roles.insert(name.as_str().into(), permissions).is_some() {
            let reason = format!("the role `{name}` is there already: give it another name");
            return Err(RulesError::at(text, at, reason));
        }
    }
    Ok(roles)
}

/// What reads the tables that name roles.
struct Reader<'a> {
    text: &'a str,
    folder: PathBuf,
    roles: BTreeMap<Arc<str>, Permissions>,
}

impl Reader<'_> {
    fn refused(&self, at: usize, reason: impl Into<String>) -> RulesError {
        RulesError::at(self.text, at, reason)
    }

    fn issuers(&self, tables: Vec<IssuerTable>) -> Result<Vec<Arc<IssuerRule>>, RulesError> {
        if tables.len() > limits::ACCESS_ISSUERS {
            let most = limits::ACCESS_ISSUERS;
            return Err(self.refused(0, format!("it has more than {most} issuers")));
        }
        let mut issuers: Vec<Arc<IssuerRule>> = Vec::new();
        for table in tables {
            let at = table.at();
            let issuer = issuer::read(table, self.text, &self.folder)?;
            let is_twice = |it: &Arc<IssuerRule>| it.name == issuer.name || it.url == issuer.url;
            if issuers.iter().any(is_twice) {
                return Err(self.refused(at, "another issuer has this name or this URL"));
            }
            issuers.push(Arc::new(issuer));
        }
        Ok(issuers)
    }

    fn tokens(&self, tables: Vec<TokenTable>) -> Result<HashMap<[u8; 32], GivenToken>, RulesError> {
        let mut tokens = HashMap::new();
        for table in tables {
            let at = table.sha256.span().start;
            let hash = unhex(table.sha256.get_ref()).ok_or_else(|| {
                let reason = "`sha256` has 64 hexadecimal digits: `windlass token new` prints them";
                self.refused(at, reason)
            })?;
            let name = table.name.get_ref();
            if name.is_empty() || name.chars().count() > limits::ACCESS_TOKEN_NAME {
                let most = limits::ACCESS_TOKEN_NAME;
                let reason = format!("`name` has 1 to {most} characters");
                return Err(self.refused(table.name.span().start, reason));
            }
            let expires = table.expires.map(|it| {
                Timestamp::parse(it.get_ref()).ok_or_else(|| {
                    let reason = "`expires` must be a moment such as 2027-01-31T08:00:00Z";
                    self.refused(it.span().start, reason)
                })
            });
            let expires = expires.transpose()?;
            let grants = table.grants.into_iter().map(|it| {
                let at = it.span().start;
                self.granted(&it.into_inner(), at)
            });
            let grants = grants.collect::<Result<_, _>>()?;
            let given = GivenToken { name: name.as_str().into(), expires, grants };
            if tokens.insert(hash, given).is_some() {
                return Err(self.refused(at, "another token has this hash"));
            }
        }
        Ok(tokens)
    }

    fn granted(
        &self,
        granted: &Granted,
        at: usize,
    ) -> Result<crate::access::principal::Grant, RulesError> {
        if let Some(fault) = granted.fault() {
            return Err(self.refused(at, fault));
        }
        let role = self.roles.get(&granted.role);
        let permissions = role.ok_or_else(|| self.refused(at, self.unknown(&granted.role)))?;
        Ok(of(granted, *permissions))
    }

    fn unknown(&self, role: &str) -> String {
        let all: Vec<_> = self.roles.keys().map(|it| &**it).collect();
        let meant = windlass_proto::suggest::nearest(role, all.iter().copied());
        let meant = meant.map(|it| format!(", did you mean `{it}`?")).unwrap_or_default();
        format!("no role is called `{role}`{meant}; there are {}", all.join(", "))
    }

    fn grant(
        &self,
        table: Spanned<GrantTable>,
        known: impl Fn(&str) -> bool,
    ) -> Result<GrantRule, RulesError> {
        let at = table.span().start;
        let table = table.into_inner();
        let issuer = table.issuer.get_ref();
        if !known(issuer) {
            let reason = match issuer.as_str() {
                CERTIFICATE => "write `[certificates]` to take client certificates".into(),
                TOKEN => "what a token may stands with the token".to_owned(),
                it => format!("no issuer is called `{it}`"),
            };
            return Err(self.refused(table.issuer.span().start, reason));
        }
        if table.subjects.is_empty() && table.groups.is_empty() {
            let reason = "a grant needs `subjects` or `groups`; \"*\" matches anybody";
            return Err(self.refused(at, reason));
        }
        for (name, patterns) in [("subjects", &table.subjects), ("groups", &table.groups)] {
            let fault = (!patterns.is_empty()).then(|| super::patterns_fault(name, patterns));
            if let Some(fault) = fault.flatten() {
                return Err(self.refused(at, fault));
            }
        }
        let role_at = table.role.span().start;
        let granted = Granted {
            role: table.role.into_inner().into(),
            namespaces: table.namespaces,
            workflows: table.workflows.unwrap_or_else(super::anything),
            types: table.types.unwrap_or_else(super::anything),
        };
        let grant = self.granted(&granted, role_at)?;
        let issuer = issuer.as_str().into();
        Ok(GrantRule { issuer, subjects: table.subjects, groups: table.groups, grant })
    }
}
