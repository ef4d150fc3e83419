//! What the settings of all stores share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use windlass_proto::limits;

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
mod tests {
    use std::time::Duration;

    #[derive(serde::Deserialize)]
    struct Section {
        #[serde(default = "super::usual_timeout", deserialize_with = "super::timeout")]
        timeout: Duration,
    }

    #[test]
    fn timeouts_are_positive_and_bounded() {
        let read = |text: &str| serde_json::from_str::<Section>(text).map(|it| it.timeout).ok();
        assert_eq!(read("{}"), Some(Duration::from_secs(5)));
        assert_eq!(read(r#"{"timeout":"250ms"}"#), Some(Duration::from_millis(250)));
        assert_eq!(read(r#"{"timeout":"10s"}"#), Some(Duration::from_secs(10)));
        for text in ["0s", "-1s", "11s", "5", "soon", ""] {
            assert_eq!(read(&format!(r#"{{"timeout":"{text}"}}"#)), None, "{text}");
        }
    }
}
