//! Which workflows may read which secrets, and what becomes of results that contain one.
//!
//! ```toml
//! [[allow]]                       # who may read what; absent means anything
//! namespace = "acme"
//! workflow = "orders*"
//! secrets = ["api-key", "db-*"]
//! environment = "production"
//!
//! [sealing]
//! default = "seal"
//! namespaces = { dev = "expose" }
//! ```
//!
//! **Invariant:** what no rule allows is refused. Without a policy there is one rule that allows
//! all.

mod proposal;
mod store;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use toml::Spanned;
use windlass_proto::id::WorkflowId;
use windlass_proto::limits;
use windlass_proto::secret::SecretName;
use windlass_proto::wire::Sealing;

pub use crate::position::TextError as PolicyError;
pub use proposal::Proposal;
pub use store::{Policies, ReplaceError};

use crate::glob::matches;

/// The policy where none was set.
pub const DEFAULT: &str = "# No policy is set: every workflow may read the secrets it declares, and \
                           results that\n# contain one are sealed.\n[[allow]]\n";

/// A policy that was read.
#[derive(Debug)]
pub struct Policy {
    text: Arc<str>,
    tag: String,
    rules: Vec<Rule>,
    sealing: SealingPart,
}

/// The document.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "tables `[[allow]]` and `[sealing]`")]
struct Document {
    #[serde(default)]
    allow: Vec<Rule>,
    #[serde(default)]
    sealing: SealingPart,
}

/// One rule; what it does not say is anything.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, written `[[allow]]`")]
struct Rule {
    namespace: Option<Spanned<String>>,
    workflow: Option<Spanned<String>>,
    version: Option<Spanned<String>>,
    environment: Option<Spanned<String>>,
    secrets: Option<Vec<Spanned<String>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
struct SealingPart {
    default: Sealing,
    namespaces: BTreeMap<String, Sealing>,
}

impl Default for Policy {
    fn default() -> Self {
        let (rules, sealing) = (vec![Rule::default()], SealingPart::default());
        debug_assert!(Self::parse(DEFAULT).is_ok_and(|it| it.rules.len() == rules.len()));
        Self { text: DEFAULT.into(), tag: tag(DEFAULT), rules, sealing }
    }
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// When the text is too long, no TOML, or has other fields than a policy.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > limits::POLICY_BYTES {
            let most = limits::POLICY_BYTES;
            return Err(PolicyError::at(text, 0, format!("it has more than {most} bytes")));
        }
        let Document { allow: rules, sealing } = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |it| it.start);
            PolicyError::at(text, at, error.message().to_owned())
        })?;
        if rules.len() > limits::POLICY_RULES {
            let most = limits::POLICY_RULES;
            return Err(PolicyError::at(text, 0, format!("it has more than {most} rules")));
        }
        for pattern in rules.iter().flat_map(Rule::patterns) {
            let length = pattern.get_ref().len();
            if length == 0 || length > limits::PATTERN_BYTES {
                let most = limits::PATTERN_BYTES;
                let reason = format!("a pattern has 1 to {most} bytes; `*` matches anything");
                return Err(PolicyError::at(text, pattern.span().start, reason));
            }
        }
        Ok(Self { text: text.into(), tag: tag(text), rules, sealing })
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// What tells it from others: a hash of the text.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// How many rules it has.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    /// True when tasks of `workflow` may read `secret` in `environment`.
    #[must_use]
    pub fn permits(&self, workflow: &WorkflowId, environment: &str, secret: &SecretName) -> bool {
        self.rules.iter().any(|it| it.permits(workflow, environment, secret))
    }

    /// The first rule, from 1, by which tasks of `workflow` may read `secret` in `environment`.
    #[must_use]
    pub fn rule_of(
        &self,
        workflow: &WorkflowId,
        environment: &str,
        secret: &SecretName,
    ) -> Option<usize> {
        self.rules.iter().position(|it| it.permits(workflow, environment, secret)).map(|it| it + 1)
    }

    /// What becomes of results of `namespace` that contain a secret.
    #[must_use]
    pub fn sealing(&self, namespace: &str) -> Sealing {
        self.sealing.namespaces.get(namespace).copied().unwrap_or(self.sealing.default)
    }
}

impl Rule {
    fn patterns(&self) -> impl Iterator<Item = &Spanned<String>> {
        let single = [&self.namespace, &self.workflow, &self.version, &self.environment];
        single.into_iter().flatten().chain(self.secrets.iter().flatten())
    }

    fn permits(&self, workflow: &WorkflowId, environment: &str, secret: &SecretName) -> bool {
        let fits = |pattern: &Option<Spanned<String>>, text: &str| {
            pattern.as_ref().is_none_or(|it| matches(it.get_ref(), text))
        };
        fits(&self.namespace, &workflow.namespace)
            && fits(&self.workflow, &workflow.name)
            && fits(&self.version, &workflow.version)
            && fits(&self.environment, environment)
            && (self.secrets.as_ref())
                .is_none_or(|all| all.iter().any(|it| matches(it.get_ref(), &secret.0)))
    }
}

fn tag(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|it| format!("{it:02x}")).collect()
}

/// Secrets that a workflow has no right to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotPermitted {
    /// The workflow.
    pub workflow: WorkflowId,
    /// In which environment.
    pub environment: Arc<str>,
    /// The secrets.
    pub secrets: Vec<SecretName>,
}

impl fmt::Display for NotPermitted {
    /// What is refused, and the rule that would allow it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workflow, environment, secrets } = self;
        let names: Vec<_> = secrets.iter().map(|it| &*it.0).collect();
        let (some, are) = if names.len() == 1 { ("secret", "it") } else { ("secrets", "them") };
        // Strings of JSON are strings of TOML.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let list: Vec<_> = names.iter().map(|it| quoted(it)).collect();
        write!(
            f,
            "the policy does not permit {workflow} to read the {some} {} in the environment \
             {environment}. A rule that permits {are}: [[allow]] with namespace = {}, workflow = \
             {}, secrets = [{}], environment = {}",
            names.join(", "),
            quoted(&workflow.namespace),
            quoted(&workflow.name),
            list.join(", "),
            quoted(environment),
        )
    }
}

#[cfg(test)]
mod tests;
