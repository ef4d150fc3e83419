//! Secrets: names travel, values do not.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::limits;

/// Name of a secret, as `use.secrets` declares it. Safe to log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretName(pub Arc<str>);

/// What every slot holds that no secret is in; see [`SecretName::has_slot`].
pub const NO_SECRET: &str = "-";

impl SecretName {
    /// True for a name that can stand in a slot: a claim from which a store fills in the paths of
    /// its policies. What has none needs a place and a policy of its own.
    ///
    /// Vault and OpenBao refuse *every* request with a token whose claims hold `*`, `+` or `/`
    /// where a policy has a place for them.
    #[must_use]
    pub fn has_slot(&self) -> bool {
        is_part_of_a_path(&self.0) && &*self.0 != NO_SECRET
    }
}

/// How many slots the identity of a task with these secrets fills, rounded up to what roles are
/// made for: one of [`limits::SECRET_SLOTS`].
#[must_use]
pub fn slots(secrets: &[SecretName]) -> usize {
    let needed = secrets.iter().filter(|it| it.has_slot()).count();
    let fits = limits::SECRET_SLOTS.into_iter().find(|it| *it >= needed);
    fits.unwrap_or(limits::SECRETS_PER_TASK)
}

/// What a store calls the variant of `name`, a role or a policy, for identities with that many
/// slots. That with all of them is `name` itself: it is for every task.
#[must_use]
pub fn name_for_slots(name: &str, slots: usize) -> String {
    match slots {
        limits::SECRETS_PER_TASK => name.to_owned(),
        fewer => format!("{name}-{fewer}"),
    }
}

/// True for text that is one part of a path and nothing else, whatever reads it: a policy, a
/// template or a URL.
#[must_use]
pub fn is_part_of_a_path(text: &str) -> bool {
    !text.is_empty()
        && text != "."
        && !text.contains("..")
        && !text.contains('/')
        && !text.contains(is_special)
        && text.trim() == text
}

/// Characters with a meaning to policies, to templates or to URLs.
#[must_use]
pub fn is_special(character: char) -> bool {
    character.is_control() || "*+{}\\%?#".contains(character)
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A secret that was read: its name and, where the store counts them, which version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretUse {
    /// Its name.
    pub name: SecretName,
    /// Its version, as the store calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Arc<str>>,
}

impl fmt::Display for SecretUse {
    /// `api-key@7`, or `api-key` where there are no versions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => self.name.fmt(f),
        }
    }
}

/// A value that must not leave the memory of the worker that holds it.
///
/// It has no `Debug`, `Display`, `Serialize` or `Clone`, and is wiped when dropped.
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes a value in.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &T {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{SecretName, name_for_slots, slots};

    #[test]
    fn slots_are_counted_in_the_sizes_of_roles() {
        let of = |count: usize| {
            let names: Vec<_> = (0..count).map(|it| SecretName(format!("s{it}").into())).collect();
            slots(&names)
        };
        assert_eq!([0, 1, 2, 4, 5, 16, 17].map(of), [1, 1, 4, 4, 16, 16, 16]);
        let without = ["team+db", "team/db", "good"].map(|it| SecretName(it.into()));
        assert_eq!(slots(&without), 1, "a name without a slot needs none");
        assert_eq!([1, 4, 16].map(|it| name_for_slots("task", it)), ["task-1", "task-4", "task"]);
    }

    #[test]
    fn names_that_a_store_takes_for_more_than_a_name_have_no_slot() {
        let has = |name: &str| SecretName(name.into()).has_slot();
        for good in ["db", "orders-db", "a_b.c", "team:db", "a b", "é", "--"] {
            assert!(has(good), "{good}");
        }
        for bad in
            ["", "team+db", "team/db", "*", "a*", "-", ".", "..", "a..b", " a", "{a}", "a\\b"]
        {
            assert!(!has(bad), "{bad}");
        }
    }
}
