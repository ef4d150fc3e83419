//! What the settings of all stores share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer};
use toml::Table;
use windlass_proto::limits;

use super::places::{PlaceConfig, Places, Rule};

/// The section of a store that keeps secrets in places: what is its own, and what all such stores
/// have.
#[derive(Clone, Debug)]
pub struct StoreConfig<S> {
    /// What only this store has.
    pub own: S,
    /// What all of them have.
    pub shared: SharedSettings,
}

/// What the section of one store has besides [`SharedSettings`].
pub trait StoreSettings: DeserializeOwned {
    /// The `path` where the section names none.
    const USUAL_PATH: &str;
}

/// What all stores that keep secrets in places can be told.
#[derive(Clone, Debug)]
pub struct SharedSettings {
    /// Where secrets are, with `{environment}`, `{namespace}`, `{workflow}` and `{name}` in it; by
    /// default [`StoreSettings::USUAL_PATH`].
    pub path: String,
    /// The field to take of every secret; by default all of them.
    pub field: Option<String>,
    /// Secrets with a place of their own.
    pub secret: BTreeMap<String, PlaceConfig>,
    /// What one read may take, 5 s by default.
    pub timeout: Duration,
}

impl SharedSettings {
    /// The places of all secrets in a store whose names follow `rule`.
    ///
    /// # Errors
    /// When a path means nothing, or nothing to this store.
    pub(super) fn places(&self, rule: Rule) -> Result<Places, StoreError> {
        Places::new(&self.path, self.field.as_deref(), &self.secret, rule)
    }
}

impl<'de, S: StoreSettings> Deserialize<'de> for StoreConfig<S> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const SHARED: [&str; 4] = ["path", "field", "secret", "timeout"];

        #[derive(Deserialize)]
        #[serde(expecting = "a table")]
        struct Section {
            path: Option<String>,
            field: Option<String>,
            #[serde(default)]
            secret: BTreeMap<String, PlaceConfig>,
            #[serde(default = "usual_timeout", deserialize_with = "timeout")]
            timeout: Duration,
        }

        // Two tables and not one that is flattened: the reader of such a one neither refuses what
        // it does not know nor says where something is wrong.
        let mut own = Table::deserialize(from)?;
        let shared: Table = SHARED.iter().filter_map(|it| own.remove_entry(*it)).collect();
        let Section { path, field, secret, timeout } =
            shared.try_into().map_err(de::Error::custom)?;
        let own = own.try_into().map_err(|error: toml::de::Error| {
            let unknown = error.message().starts_with("unknown field");
            let also =
                if unknown { format!(" (or `{}`)", SHARED.join("`, `")) } else { String::new() };
            de::Error::custom(format!("{}{also}", error.to_string().trim_end()))
        })?;
        let path = path.unwrap_or_else(|| S::USUAL_PATH.to_owned());
        Ok(Self { own, shared: SharedSettings { path, field, secret, timeout } })
    }
}

/// Why a store could not be set up. The messages name settings and files of the worker, no secret.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A setting is missing or means nothing.
    #[error("`{setting}` {reason}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The settings are not those of this store.
    #[error("{0}")]
    Section(String),
    /// A file that the settings name cannot be used.
    #[error("cannot use the file {path}: {reason}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl StoreError {
    pub(super) fn setting(setting: &'static str, reason: impl Into<String>) -> Self {
        Self::Setting { setting, reason: reason.into() }
    }

    pub(super) fn file(path: &Path, reason: impl ToString) -> Self {
        Self::File { path: path.to_owned(), reason: reason.to_string() }
    }
}

/// The time one read may take where the settings name none.
pub(super) fn usual_timeout() -> Duration {
    Duration::from_millis(limits::STORE_TIMEOUT_MS)
}

/// Reads the time one read may take: `5s`, `500ms`.
pub(super) fn timeout<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    let longest = Duration::from_millis(limits::SECRET_TIMEOUT_MS);
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    parsed
        .and_then(|it| Duration::try_from(it).ok())
        .filter(|it| !it.is_zero() && *it <= longest)
        .ok_or_else(|| {
            de::Error::custom(format!("a timeout is written like 5s and is {longest:?} at most"))
        })
}

/// An environment variable that is set to something.
pub(super) fn variable(name: &str) -> Option<String> {
    crate::variable(name)?.into_string().ok().filter(|it| !it.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{StoreConfig, StoreSettings};

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
    struct Own {
        shelf_mark: u8,
        #[allow(dead_code)]
        floor: Option<u8>,
    }

    impl StoreSettings for Own {
        const USUAL_PATH: &str = "{name}";
    }

    fn read(section: serde_json::Value) -> Result<StoreConfig<Own>, String> {
        serde_json::from_value(section).map_err(|error| error.to_string())
    }

    #[test]
    fn a_section_has_its_own_settings_and_those_of_all() {
        let StoreConfig { own, shared } = read(json!({"shelf-mark": 3})).unwrap();
        assert_eq!((own.shelf_mark, &*shared.path, shared.field), (3, "{name}", None));
        assert_eq!(shared.timeout, Duration::from_secs(5));
        let given = json!({"shelf-mark": 3, "path": "x/{name}", "field": "f",
            "secret": {"db": {"path": "own"}}});
        let StoreConfig { shared, .. } = read(given).unwrap();
        assert_eq!((&*shared.path, shared.field.as_deref()), ("x/{name}", Some("f")));
        assert_eq!(shared.secret["db"].path, "own");
    }

    #[test]
    fn what_nobody_knows_is_refused_with_all_there_is() {
        let error = read(json!({"shelf-mark": 3, "pathh": "x"})).unwrap_err();
        for name in ["pathh", "shelf-mark", "floor", "`path`", "timeout"] {
            assert!(error.contains(name), "{name}: {error}");
        }
        let error = read(json!({"shelf-mark": "three"})).unwrap_err();
        assert!(error.contains("in `shelf-mark`"), "{error}");
        let error = read(json!({"shelf-mark": 3, "field": 4})).unwrap_err();
        assert!(error.contains("in `field`"), "{error}");
        let error = read(json!({})).unwrap_err();
        assert!(error.contains("missing field `shelf-mark`") && !error.contains("timeout"));
    }

    #[test]
    fn timeouts_are_positive_and_bounded() {
        let read = |text: &str| {
            read(json!({"shelf-mark": 0, "timeout": text})).map(|it| it.shared.timeout).ok()
        };
        assert_eq!(read("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(read("10s"), Some(Duration::from_secs(10)));
        for text in ["0s", "-1s", "11s", "5", "soon", ""] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
