//! Who asks, and what they may do with what.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_proto::time::Timestamp;

use super::certificate::ClientCertificate;
use super::permission::{Permission, Permissions, Scope};
use crate::glob::matches;

/// The issuer of those who show a certificate.
pub(super) const CERTIFICATE: &str = "certificate";
/// The issuer of those who show a token of this server.
pub(super) const TOKEN: &str = "token";
/// The issuer of those who are not asked.
pub(crate) const ANONYMOUS: &str = "anonymous";

/// What a question or an order is about.
#[derive(Clone, Copy, Debug)]
pub enum Resource<'a> {
    /// The whole server, or what all share.
    Server,
    /// A namespace with all in it.
    Namespace(&'a str),
    /// A workflow, by namespace and name.
    Workflow(&'a str, &'a str),
    /// Events of a type.
    Event(&'a str),
}

/// Some permissions, for some namespaces, workflows and types of events. `*` in a pattern stands
/// for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The role that it was given as.
    pub role: Arc<str>,
    /// What is allowed.
    pub permissions: Permissions,
    /// In which namespaces.
    pub namespaces: Arc<[Arc<str>]>,
    /// Of which workflows there.
    pub workflows: Arc<[Arc<str>]>,
    /// For events, of which types.
    pub types: Arc<[Arc<str>]>,
}

impl fmt::Display for Grant {
    /// A grant in a few words: `starter in shop of order*`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, namespaces, workflows, types, .. } = self;
        f.write_str(role)?;
        for (word, patterns) in [("in", namespaces), ("of", workflows), ("for", types)] {
            if !has_star(patterns) {
                write!(f, " {word} {}", patterns.join(","))?;
            }
        }
        Ok(())
    }
}

impl Grant {
    /// Everything.
    fn everything() -> Self {
        let any: Arc<[Arc<str>]> = Arc::new(["*".into()]);
        Self {
            role: "admin".into(),
            permissions: Permissions::all(),
            namespaces: any.clone(),
            workflows: any.clone(),
            types: any,
        }
    }

    /// True when it allows it.
    fn allows(&self, permission: Permission, resource: Resource<'_>) -> bool {
        self.permissions.has(permission) && self.reaches(permission.scope(), resource)
    }

    /// True when it is for `resource`.
    fn reaches(&self, scope: Scope, resource: Resource<'_>) -> bool {
        match (scope, resource) {
            (Scope::Shared, _) => true,
            (Scope::Event, Resource::Server) => self.is_for_all() && has_star(&self.types),
            (Scope::Server, _) | (_, Resource::Server) => self.is_for_all(),
            (Scope::Event, Resource::Event(kind)) => self.is_for_all() && any(&self.types, kind),
            (Scope::Event, _) | (Scope::Workflow, Resource::Event(_)) => false,
            (Scope::Workflow, Resource::Namespace(it)) => {
                any(&self.namespaces, it) && has_star(&self.workflows)
            }
            (Scope::Workflow, Resource::Workflow(namespace, name)) => {
                any(&self.namespaces, namespace) && any(&self.workflows, name)
            }
        }
    }

    fn is_for_all(&self) -> bool {
        has_star(&self.namespaces) && has_star(&self.workflows)
    }

    /// True when all that `other` allows is allowed by this.
    fn covers(&self, permission: Permission, other: &Self) -> bool {
        // A pattern that fits the text of another one fits all that this fits: what the stars of
        // that stand for is in the place of a star of this.
        let wider = |these: &[Arc<str>], those: &[Arc<str>]| {
            those.iter().all(|that| these.iter().any(|this| matches(this, that)))
        };
        self.permissions.has(permission)
            && wider(&self.namespaces, &other.namespaces)
            && wider(&self.workflows, &other.workflows)
            && wider(&self.types, &other.types)
    }
}

fn any(patterns: &[Arc<str>], text: &str) -> bool {
    patterns.iter().any(|it| matches(it, text))
}

fn has_star(patterns: &[Arc<str>]) -> bool {
    patterns.iter().any(|it| &**it == "*")
}

/// Some patterns, any of which has to fit.
type Patterns = Arc<[Arc<str>]>;

/// The workflows that somebody may do something with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Visible {
    /// All.
    #[default]
    All,
    /// Those of which namespace and name fit one of these.
    Some(Arc<[(Patterns, Patterns)]>),
}

impl Visible {
    /// True when a workflow is among them.
    #[must_use]
    pub fn has(&self, namespace: &str, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(grants) => grants
                .iter()
                .any(|(namespaces, names)| any(namespaces, namespace) && any(names, name)),
        }
    }

    /// True when a namespace is among them, with all in it.
    #[must_use]
    pub fn has_namespace(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(grants) => grants
                .iter()
                .any(|(namespaces, names)| any(namespaces, namespace) && has_star(names)),
        }
    }
}

/// How somebody proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Not at all: nobody is asked here.
    None,
    /// With a token of this server.
    Token,
    /// With a token of an identity provider.
    Jwt,
    /// With a certificate.
    Certificate,
}

impl Method {
    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Token => "token",
            Self::Jwt => "jwt",
            Self::Certificate => "certificate",
        }
    }
}

/// Somebody, with what they may do.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Who says who they are: the name of an identity provider, `token`, `certificate`, or
    /// `anonymous`. Subjects of two of them are never the same one.
    pub issuer: Arc<str>,
    /// Who they are there.
    pub subject: Arc<str>,
    /// How they proved it.
    pub method: Method,
    /// The groups they are in.
    pub groups: Vec<Arc<str>>,
    /// What they may.
    pub grants: Vec<Grant>,
    /// How many of these the file grants; what is behind them, claims do.
    pub granted_by_rules: usize,
    /// When their credential ends, if it does.
    pub expires: Option<Timestamp>,
}

/// What somebody may not do, and the permission that is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this needs the permission {permission} for {of}")]
pub struct Forbidden {
    /// The permission.
    pub permission: Permission,
    /// What it must be for.
    pub of: String,
}

/// Why somebody may not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// They may know that it is there.
    Forbidden,
    /// For them it does not exist.
    Hidden,
}

impl Principal {
    /// Whoever asks a server that asks nobody who they are: they may everything.
    #[must_use]
    pub fn anyone() -> Self {
        Self {
            issuer: ANONYMOUS.into(),
            subject: ANONYMOUS.into(),
            method: Method::None,
            groups: Vec::new(),
            grants: vec![Grant::everything()],
            granted_by_rules: 1,
            expires: None,
        }
    }

    /// Whoever has a certificate where that is all that is asked: they may everything.
    #[must_use]
    pub fn certified(certificate: &ClientCertificate) -> Self {
        Self {
            issuer: CERTIFICATE.into(),
            subject: certificate.subject.clone(),
            method: Method::Certificate,
            groups: certificate.groups.clone(),
            granted_by_rules: 0,
            ..Self::anyone()
        }
    }

    /// True where no file gives anybody a role: who has a certificate may everything.
    #[must_use]
    pub fn has_no_roles(&self) -> bool {
        self.method == Method::Certificate && self.granted_by_rules == 0 && !self.grants.is_empty()
    }

    /// True when they may.
    #[must_use]
    pub fn may(&self, permission: Permission, resource: Resource<'_>) -> bool {
        self.grants.iter().any(|it| it.allows(permission, resource))
    }

    /// Whether they may, and else what they are told.
    ///
    /// # Errors
    /// When they may not.
    pub fn check(&self, permission: Permission, resource: Resource<'_>) -> Result<(), Denied> {
        if self.may(permission, resource) {
            return Ok(());
        }
        let knows = match resource {
            Resource::Server | Resource::Event(_) => true,
            Resource::Namespace(namespace) => self.knows(namespace),
            Resource::Workflow(namespace, name) => self.sees(namespace, name),
        };
        Err(if knows { Denied::Forbidden } else { Denied::Hidden })
    }

    /// True when a role of this name is granted to them for something.
    #[must_use]
    pub fn has_role(&self, role: &str, resource: Resource<'_>) -> bool {
        self.grants.iter().any(|it| *it.role == *role && it.reaches(Scope::Workflow, resource))
    }

    /// True when they may do it with something, somewhere.
    #[must_use]
    pub fn may_somewhere(&self, permission: Permission) -> bool {
        self.grants.iter().any(|it| it.permissions.has(permission))
    }

    /// True when they may do it everywhere, so that nothing has to be looked up.
    #[must_use]
    pub fn may_everywhere(&self, permission: Permission) -> bool {
        self.may(permission, Resource::Server)
    }

    /// The workflows that they may do it with.
    #[must_use]
    pub fn visible(&self, permission: Permission) -> Visible {
        if self.may_everywhere(permission) {
            return Visible::All;
        }
        let grants = self.grants.iter().filter(|it| it.permissions.has(permission));
        Visible::Some(grants.map(|it| (it.namespaces.clone(), it.workflows.clone())).collect())
    }

    /// True when they may do something with a workflow.
    fn sees(&self, namespace: &str, name: &str) -> bool {
        let of = Resource::Workflow(namespace, name);
        self.grants.iter().any(|it| it.works() && it.reaches(Scope::Workflow, of))
    }

    /// True when they may do something in a namespace.
    fn knows(&self, namespace: &str) -> bool {
        self.grants.iter().any(|it| it.works() && any(&it.namespaces, namespace))
    }

    /// The first permission that `grant` would give and they do not have themselves.
    #[must_use]
    pub fn lacks(&self, grant: &Grant) -> Option<Permission> {
        let has = |it: &Permission| self.grants.iter().any(|own| own.covers(*it, grant));
        grant.permissions.each().find(|it| !has(it))
    }
}

impl Grant {
    /// True when it allows something that is about workflows.
    fn works(&self) -> bool {
        self.permissions.each().any(|it| it.scope() == Scope::Workflow)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.issuer, self.subject)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::{Denied, Grant, Method, Permission, Permissions, Principal, Resource};
    use crate::access::permission::BUILT_IN;

    fn grant(role: &str, namespaces: &[&str], workflows: &[&str], types: &[&str]) -> Grant {
        let all = |texts: &[&str]| texts.iter().map(|it| Arc::from(*it)).collect();
        let permissions = BUILT_IN.iter().find(|it| it.name == role).unwrap().permissions();
        let (namespaces, workflows, types) = (all(namespaces), all(workflows), all(types));
        Grant { role: role.into(), permissions, namespaces, workflows, types }
    }

    fn with(grants: Vec<Grant>) -> Principal {
        Principal { method: Method::Token, grants, ..Principal::anyone() }
    }

    #[test]
    fn what_is_foreign_does_not_exist() {
        let ada = with(vec![grant("viewer", &["shop*"], &["*"], &["*"])]);
        let shop = Resource::Workflow("shop-eu", "order");
        assert!(ada.may(Permission::InstanceRead, shop));
        assert_eq!(ada.check(Permission::InstanceStart, shop), Err(Denied::Forbidden));
        let foreign = Resource::Workflow("bank", "order");
        assert_eq!(ada.check(Permission::InstanceRead, foreign), Err(Denied::Hidden));
        assert_eq!(
            ada.check(Permission::WorkflowSuspend, Resource::Namespace("bank")),
            Err(Denied::Hidden)
        );
        // What is everybody's is not for who has a part.
        for permission in [Permission::MetricsRead, Permission::WorkerRead, Permission::LogRead] {
            assert_eq!(ada.check(permission, Resource::Server), Err(Denied::Forbidden));
            assert!(ada.may_somewhere(permission) && !ada.may_everywhere(permission));
        }
        assert!(ada.may(Permission::FunctionRead, Resource::Server));
    }

    #[test]
    fn a_namespace_takes_all_of_its_workflows() {
        let some = with(vec![grant("operator", &["shop"], &["order*"], &["*"])]);
        assert!(some.may(Permission::WorkflowSuspend, Resource::Workflow("shop", "orders")));
        let whole = Resource::Namespace("shop");
        assert_eq!(some.check(Permission::WorkflowSuspend, whole), Err(Denied::Forbidden));
        let all = with(vec![grant("operator", &["shop"], &["*"], &["*"])]);
        assert!(all.may(Permission::WorkflowSuspend, whole));
    }

    #[test]
    fn events_are_of_types_and_of_no_namespace() {
        let shop = with(vec![grant("publisher", &["*"], &["*"], &["com.shop.*"])]);
        assert!(shop.may(Permission::EventPublish, Resource::Event("com.shop.paid")));
        assert!(!shop.may(Permission::EventPublish, Resource::Event("com.bank.paid")));
        let narrow = with(vec![grant("publisher", &["shop"], &["*"], &["*"])]);
        assert!(!narrow.may(Permission::EventPublish, Resource::Event("com.shop.paid")));
        // Who sends events sees no workflow.
        let workflow = Resource::Workflow("shop", "order");
        assert_eq!(shop.check(Permission::InstanceRead, workflow), Err(Denied::Hidden));
    }

    #[test]
    fn nobody_gives_what_they_do_not_have() {
        let ada = with(vec![grant("operator", &["shop*", "bank"], &["*"], &["*"])]);
        let gives = |grant: &Grant| ada.lacks(grant);
        assert_eq!(gives(&grant("viewer", &["shop-eu"], &["*"], &["*"])), None);
        assert_eq!(gives(&grant("viewer", &["shop-*"], &["a"], &["x"])), None);
        assert!(gives(&grant("viewer", &["*"], &["*"], &["*"])).is_some());
        assert!(gives(&grant("viewer", &["sho*"], &["*"], &["*"])).is_some());
        assert_eq!(
            gives(&grant("author", &["bank"], &["*"], &["*"])),
            Some(Permission::WorkflowDeploy)
        );
        let nothing =
            Grant { permissions: Permissions::default(), ..grant("viewer", &[], &[], &[]) };
        assert_eq!(gives(&nothing), None);
    }

    #[test]
    fn where_nobody_is_asked_everybody_may_everything() {
        let anyone = Principal::anyone();
        for permission in Permission::ALL {
            assert!(anyone.may_everywhere(*permission) || permission.name() == "event.publish");
        }
        assert!(anyone.may(Permission::EventPublish, Resource::Event("any")));
        let (issuer, method) = (super::CERTIFICATE.into(), Method::Certificate);
        let certified = Principal { issuer, method, granted_by_rules: 0, ..anyone.clone() };
        assert!(certified.has_no_roles() && !anyone.has_no_roles());
        assert!(!Principal { granted_by_rules: 1, ..certified }.has_no_roles(), "a file does");
    }
}
