//! CloudEvents 1.0, as `emit` makes them and `listen` consumes them.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::time;
use crate::trace::{TRACEPARENT, TRACESTATE, TraceContext};
use crate::value::Value;

/// A CloudEvent in structured form: its attributes and `data`, as one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CloudEvent(Value);

/// Why a value is not a CloudEvent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a CloudEvent: {0}")]
pub struct NotACloudEvent(pub String);

/// Attributes that must be there, as strings that are not empty.
const REQUIRED: [&str; 4] = ["specversion", "id", "source", "type"];
/// Attributes that may be missing or null, and are strings that are not empty otherwise.
const OPTIONAL: [&str; 4] = ["datacontenttype", "dataschema", "subject", "time"];

impl CloudEvent {
    /// Checks the attributes of CloudEvents 1.0: `specversion` is `1.0`, `id`, `source` and `type`
    /// are strings that are not empty; `time` is one of RFC 3339, `subject`, `dataschema` and
    /// `datacontenttype` are strings, where they are there.
    ///
    /// # Errors
    /// When one is missing or of another kind; the message names each that is missing.
    pub fn from_value(value: Value) -> Result<Self, NotACloudEvent> {
        let object = value
            .as_object()
            .ok_or_else(|| NotACloudEvent("it must be a JSON object".to_owned()))?;
        let missing: Vec<String> = REQUIRED
            .iter()
            .filter(|name| matches!(object.get(**name), None | Some(Value::Null)))
            .map(|name| format!("`{name}`"))
            .collect();
        if !missing.is_empty() {
            return Err(NotACloudEvent(format!("it has no {}", missing.join(", no "))));
        }
        for name in REQUIRED.iter().chain(&OPTIONAL) {
            match object.get(*name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) if !text.is_empty() => {}
                Some(_) => {
                    return Err(NotACloudEvent(format!("`{name}` must be a non-empty string")));
                }
            }
        }
        if object.get("specversion").and_then(Value::as_str) != Some("1.0") {
            return Err(NotACloudEvent("`specversion` must be \"1.0\"".to_owned()));
        }
        match object.get("time").and_then(Value::as_str) {
            Some(time) if !time::is_rfc3339(time) => Err(NotACloudEvent(
                "`time` must be a time of RFC 3339, such as 2026-01-31T12:00:00Z".to_owned(),
            )),
            _ => Ok(Self(value)),
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

    /// The trace it was sent in, as the extension for distributed tracing has it.
    #[must_use]
    pub fn trace(&self) -> Option<TraceContext> {
        let state = Some(self.text(TRACESTATE)).filter(|it| !it.is_empty());
        TraceContext::parse(self.text(TRACEPARENT), state).ok()
    }

    /// The same event, sent in a trace; unchanged where it says of one already.
    #[must_use]
    pub fn in_trace(&self, trace: &TraceContext) -> Self {
        let Some(object) = self.0.as_object() else { return self.clone() };
        if object.contains_key(TRACEPARENT) {
            return self.clone();
        }
        let mut pairs: Vec<(Arc<str>, Value)> =
            object.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        pairs.push((TRACEPARENT.into(), Value::from(trace.traceparent())));
        pairs.extend(trace.state.clone().map(|it| (TRACESTATE.into(), Value::from(it))));
        Self(Value::object(pairs))
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
