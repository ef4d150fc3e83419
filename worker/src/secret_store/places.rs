//! How the names of secrets become places in a store.

use std::collections::BTreeMap;

use serde::Deserialize;
use windlass_proto::secret::SecretName;

use super::setup::StoreError;
use super::template::{Filled, Template, Values, Variable};
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
        if !usual.template.has(Variable::Name) {
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
        let values = Values::of(context, &name.0);
        match expand(&place.template, values, &self.rule) {
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
    let refuse = |reason: &str| StoreError::setting("path", format!("{reason}: {text}"));
    let template = Template::parse(text).map_err(refuse)?;
    if template.has_neighbours() {
        return Err(refuse("must have something between two variables"));
    }
    if template.is_empty() {
        return Err(refuse("is empty"));
    }
    if template.texts().flat_map(str::chars).any(|it| !(rule.allowed)(it)) {
        return Err(refuse("has characters that names in this store cannot have"));
    }
    if template.texts().any(|it| it.contains("..")) {
        return Err(refuse("must not have .. in it"));
    }
    Ok(template)
}

/// The place of a secret, which no two sets of values share.
fn expand(template: &Template, values: Values<'_>, rule: &Rule) -> Result<String, Misfit> {
    let path = template.expand(values, |Filled { variable, value, separator }| {
        if !safe(value) {
            return Err(Misfit::Unsafe(variable.name()));
        }
        if separator.is_some_and(|it| !separates(it, value)) {
            return Err(Misfit::Ambiguous(variable.name()));
        }
        Ok(())
    })?;
    let fits = path.len() <= rule.longest && path.chars().all(rule.allowed);
    // Two harmless dots can meet where a value and the text around it do.
    if fits && !path.contains("..") { Ok(path) } else { Err(Misfit::Rule) }
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
