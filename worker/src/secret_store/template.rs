//! How the names of secrets become places in a store.

use std::collections::BTreeMap;

use serde::Deserialize;
use windlass_proto::secret::SecretName;

use super::setup::StoreError;
use super::{SecretContext, SecretError};

/// Where one secret is, when that is not where the template puts it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub struct PlaceConfig {
    /// Its place; may have the template's variables too.
    pub path: String,
    /// The field to take of a structured secret; all of it where none is named.
    #[serde(default)]
    pub field: Option<String>,
}

/// What a store can call its secrets.
pub(super) struct Rule {
    /// Whether a name may have this character.
    pub(super) allowed: fn(char) -> bool,
    /// Bytes a place may have.
    pub(super) longest: usize,
}

/// The places of all secrets of one store.
pub(super) struct Places {
    usual: Place,
    own: BTreeMap<String, Place>,
    rule: Rule,
}

struct Place {
    template: Template,
    field: Option<String>,
}

impl Places {
    /// Secrets are at `path` unless they have a place of their own.
    ///
    /// # Errors
    /// When a template has unknown variables or characters that the store has not, or when `path`
    /// would put all secrets in one place.
    pub(super) fn new(
        path: &str,
        field: Option<&str>,
        own: &BTreeMap<String, PlaceConfig>,
        rule: Rule,
    ) -> Result<Self, StoreError> {
        let usual = Place { template: parse(path, &rule)?, field: field.map(str::to_owned) };
        if !usual.template.0.contains(&Part::Variable(Variable::Name)) {
            return Err(StoreError::setting("path", "must have {name} in it"));
        }
        let place = |(name, config): (&String, &PlaceConfig)| {
            let template = parse(&config.path, &rule)?;
            Ok((name.clone(), Place { template, field: config.field.clone() }))
        };
        let own = own.iter().map(place).collect::<Result<_, StoreError>>()?;
        Ok(Self { usual, own, rule })
    }

    /// The place of `name`, and the field to take of what is there.
    ///
    /// # Errors
    /// [`SecretError::Missing`] where the store cannot have a secret of that name, and
    /// [`SecretError::Forbidden`] where two secrets would share the place.
    pub(super) fn of(
        &self,
        name: &SecretName,
        context: &SecretContext,
    ) -> Result<(String, Option<&str>), SecretError> {
        let place = self.own.get(&*name.0).unwrap_or(&self.usual);
        match place.template.expand(name, context, &self.rule) {
            Ok(path) => Ok((path, place.field.as_deref())),
            Err(misfit) => {
                tracing::warn!(secret = %name, "a secret has no place in its store: {misfit}");
                Err(match misfit {
                    Misfit::Ambiguous(_) => SecretError::Forbidden,
                    Misfit::Unsafe(_) | Misfit::Rule => SecretError::Missing,
                })
            }
        }
    }
}

/// A text with variables, which no two sets of values expand to the same.
#[derive(Debug)]
struct Template(Vec<Part>);

#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Variable(Variable),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Variable {
    Environment,
    Namespace,
    Workflow,
    Name,
}

impl Variable {
    fn read(text: &str) -> Option<Self> {
        [Self::Environment, Self::Namespace, Self::Workflow, Self::Name]
            .into_iter()
            .find(|it| it.name() == text)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Namespace => "namespace",
            Self::Workflow => "workflow",
            Self::Name => "name",
        }
    }

    fn value<'a>(self, name: &'a SecretName, context: &'a SecretContext) -> &'a str {
        match self {
            Self::Environment => context.environment(),
            Self::Namespace => &context.workflow.namespace,
            Self::Workflow => &context.workflow.name,
            Self::Name => &name.0,
        }
    }
}

/// Why a secret has no place.
#[derive(Debug, thiserror::Error)]
enum Misfit {
    #[error("its {0} could mean another place than its own")]
    Unsafe(&'static str),
    #[error(
        "its {0} contains what separates it from what follows, so others could share the place"
    )]
    Ambiguous(&'static str),
    #[error("the store allows no such name")]
    Rule,
}

fn parse(text: &str, rule: &Rule) -> Result<Template, StoreError> {
    let refuse = |reason: &str| Err(StoreError::setting("path", format!("{reason}: {text}")));
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (before, after) = rest.split_once('{').unwrap_or((rest, ""));
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        if before.len() == rest.len() {
            break;
        }
        let Some((name, after)) = after.split_once('}') else {
            return refuse("has a { without }");
        };
        let Some(variable) = Variable::read(name) else {
            return refuse("may have {environment}, {namespace}, {workflow} and {name} only");
        };
        if matches!(parts.last(), Some(Part::Variable(_))) {
            return refuse("must have something between two variables");
        }
        parts.push(Part::Variable(variable));
        rest = after;
    }
    let texts = || {
        parts.iter().filter_map(|it| match it {
            Part::Text(text) => Some(text),
            Part::Variable(_) => None,
        })
    };
    if parts.is_empty() {
        return refuse("is empty");
    }
    if texts().flat_map(|it| it.chars()).any(|it| !(rule.allowed)(it)) {
        return refuse("has characters that names in this store cannot have");
    }
    if texts().any(|it| it.contains("..")) {
        return refuse("must not have .. in it");
    }
    Ok(Template(parts))
}

impl Template {
    fn expand(
        &self,
        name: &SecretName,
        context: &SecretContext,
        rule: &Rule,
    ) -> Result<String, Misfit> {
        let mut path = String::new();
        let last = self.0.iter().rposition(|it| matches!(it, Part::Variable(_)));
        for (at, part) in self.0.iter().enumerate() {
            match part {
                Part::Text(text) => path.push_str(text),
                Part::Variable(variable) => {
                    let value = variable.value(name, context);
                    if !safe(value) {
                        return Err(Misfit::Unsafe(variable.name()));
                    }
                    if let Some(Part::Text(separator)) = self.0.get(at + 1)
                        && Some(at) != last
                        && !separates(separator, value)
                    {
                        return Err(Misfit::Ambiguous(variable.name()));
                    }
                    path.push_str(value);
                }
            }
        }
        let fits = path.len() <= rule.longest && path.chars().all(rule.allowed);
        // Two harmless dots can meet where a value and the text around it do.
        if fits && !path.contains("..") { Ok(path) } else { Err(Misfit::Rule) }
    }
}

/// Whether a value stays what it is, whatever reads it as a path, a URL or a pattern.
fn safe(value: &str) -> bool {
    let special = |it: char| it.is_control() || r"/\*?[]{}:%#".contains(it);
    !value.is_empty() && value != "." && !value.contains("..") && !value.contains(special)
}

/// Whether the end of `value` is where `separator` is first found in both together: then a reader
/// from the left could tell every value from the next, and no two lists of values read the same.
fn separates(separator: &str, value: &str) -> bool {
    format!("{value}{separator}").find(separator) == Some(value.len())
}

#[cfg(test)]
mod tests;
