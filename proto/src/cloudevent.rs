//! CloudEvents 1.0, as `emit` makes them and `listen` consumes them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::value::Value;

/// A CloudEvent in structured form: its attributes and `data`, as one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CloudEvent(Value);

/// Why a value is not a CloudEvent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a CloudEvent: {0}")]
pub struct NotACloudEvent(pub String);

impl CloudEvent {
    /// Checks the attributes CloudEvents 1.0 requires: `id`, `source`, `type` as non-empty strings
    /// and `specversion` `1.0` (added when absent).
    ///
    /// # Errors
    /// When one is missing or of another kind.
    pub fn from_value(value: Value) -> Result<Self, NotACloudEvent> {
        let object = value
            .as_object()
            .ok_or_else(|| NotACloudEvent("it must be a JSON object".to_owned()))?;
        for name in ["id", "source", "type"] {
            let text = object.get(name).and_then(Value::as_str).unwrap_or("");
            if text.is_empty() {
                return Err(NotACloudEvent(format!("`{name}` must be a non-empty string")));
            }
        }
        match object.get("specversion").map(|it| it.as_str()) {
            None => {
                let specversion = std::iter::once((Arc::from("specversion"), Value::from("1.0")));
                let rest = object.iter().map(|(key, value)| (key.clone(), value.clone()));
                Ok(Self(Value::object(specversion.chain(rest))))
            }
            Some(Some("1.0")) => Ok(Self(value)),
            Some(_) => Err(NotACloudEvent("`specversion` must be \"1.0\"".to_owned())),
        }
    }

    /// An attribute that must be a string; empty when absent.
    fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or("")
    }

    /// `id`: unique within `source`.
    #[must_use]
    pub fn id(&self) -> &str {
        self.text("id")
    }

    /// `source`: the context the event happened in.
    #[must_use]
    pub fn source(&self) -> &str {
        self.text("source")
    }

    /// `type`: what kind of event it is.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("type")
    }

    /// `data`; null when absent.
    #[must_use]
    pub fn data(&self) -> Value {
        self.0.get("data").cloned().unwrap_or(Value::Null)
    }

    /// The whole envelope as data.
    #[must_use]
    pub fn envelope(&self) -> &Value {
        &self.0
    }
}
