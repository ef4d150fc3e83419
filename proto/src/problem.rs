//! Errors of a workflow: RFC 7807 problem details, with the specification's standard types.
//!
//! Specification: dsl-reference, "Error" and "Standard Error Types".

use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::value::Value;

/// Base of the standard error types as Windlass writes them.
pub const STANDARD_BASE: &str = "https://serverlessworkflow.io/spec/1.0.0/errors/";

/// The specification's standard error types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standard {
    /// 400: a dangling reference, an unsupported language, protocol or format.
    Configuration,
    /// 400: data or a definition that its schema refuses.
    Validation,
    /// 400: an expression that cannot be evaluated.
    Expression,
    /// 401: a token or credential that was refused or could not be had.
    Authentication,
    /// 403: a secret or an action that is not permitted.
    Authorization,
    /// 408: a task or a workflow that took too long.
    Timeout,
    /// 500 or the peer's status: a call that failed.
    Communication,
    /// 500: anything else that went wrong while a task ran.
    Runtime,
}

impl Standard {
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::Configuration,
        Self::Validation,
        Self::Expression,
        Self::Authentication,
        Self::Authorization,
        Self::Timeout,
        Self::Communication,
        Self::Runtime,
    ];

    /// The last segment of the type's URI.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Validation => "validation",
            Self::Expression => "expression",
            Self::Authentication => "authentication",
            Self::Authorization => "authorization",
            Self::Timeout => "timeout",
            Self::Communication => "communication",
            Self::Runtime => "runtime",
        }
    }

    /// The status the specification gives the type where nothing better is known.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Configuration | Self::Validation | Self::Expression => 400,
            Self::Authentication => 401,
            Self::Authorization => 403,
            Self::Timeout => 408,
            Self::Communication | Self::Runtime => 500,
        }
    }

    /// A stable title for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Configuration => "Configuration Error",
            Self::Validation => "Validation Error",
            Self::Expression => "Expression Error",
            Self::Authentication => "Authentication Error",
            Self::Authorization => "Authorization Error",
            Self::Timeout => "Timeout Error",
            Self::Communication => "Communication Error",
            Self::Runtime => "Runtime Error",
        }
    }

    /// Recognises a standard type in any spelling that definitions in the wild use: both hosts, the
    /// `spec/<version>/errors` and the older `dsl/errors/types` path, or the bare short name.
    #[must_use]
    pub fn parse(uri: &str) -> Option<Self> {
        let suffix = if uri.contains('/') { standard_suffix(uri)? } else { uri };
        Self::ALL.into_iter().find(|standard| standard.suffix() == suffix)
    }
}

/// The last segment of `uri` when host and path are of a standard error type.
fn standard_suffix(uri: &str) -> Option<&str> {
    let mut rest = uri;
    // One published example doubles the scheme.
    while let Some(stripped) =
        rest.strip_prefix("https://").or_else(|| rest.strip_prefix("http://"))
    {
        rest = stripped;
    }
    let (host, path) = rest.split_once('/')?;
    let known =
        ["serverlessworkflow.io", "serverlessworkflow.io.io", "open-workflow-specification.org"];
    if !known.contains(&host) {
        return None;
    }
    let (directory, suffix) = path.rsplit_once('/')?;
    let versioned = directory.strip_prefix("spec/").and_then(|it| it.strip_suffix("/errors"));
    let accepted = match versioned {
        Some(version) => {
            !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        }
        None => matches!(directory, "dsl/errors/types" | "errors" | "errors/types"),
    };
    accepted.then_some(suffix)
}

/// True when two error type URIs mean the same type (see [`Standard::parse`]); other URIs compare
/// literally.
#[must_use]
pub fn same_type(left: &str, right: &str) -> bool {
    match (Standard::parse(left), Standard::parse(right)) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}

/// An error of a workflow, as the journal keeps it and users see it. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Problem {
    /// URI of the error's type.
    #[serde(rename = "type")]
    pub kind: Arc<str>,
    /// Status code that best describes the error, as in HTTP.
    pub status: u16,
    /// Short summary for people.
    #[serde(default)]
    pub title: Option<Arc<str>>,
    /// What happened this time and what can be done about it.
    #[serde(default)]
    pub detail: Option<Arc<str>>,
    /// JSON pointer of the task the error comes from; set by the engine.
    #[serde(default)]
    pub instance: Option<Arc<str>>,
}

/// Absent fields are left out of JSON, as RFC 7807 has it; MessagePack tells fields by position, so
/// there every one is written.
impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let compact = serializer.is_human_readable();
        let texts =
            [("title", &self.title), ("detail", &self.detail), ("instance", &self.instance)];
        let shown = texts.iter().filter(|(_, text)| !compact || text.is_some());
        let mut fields = serializer.serialize_struct("Problem", 2 + shown.clone().count())?;
        fields.serialize_field("type", &self.kind)?;
        fields.serialize_field("status", &self.status)?;
        for (name, text) in shown {
            fields.serialize_field(name, text)?;
        }
        fields.end()
    }
}

impl Problem {
    /// A problem of a standard type with its usual status and title.
    #[must_use]
    pub fn new(standard: Standard, detail: impl Into<Arc<str>>) -> Self {
        Self {
            kind: format!("{STANDARD_BASE}{}", standard.suffix()).into(),
            status: standard.status(),
            title: Some(standard.title().into()),
            detail: Some(detail.into()),
            instance: None,
        }
    }

    /// The same problem with another status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same problem, located at the task `pointer` unless it already names one.
    #[must_use]
    pub fn at(mut self, pointer: &Arc<str>) -> Self {
        self.instance.get_or_insert_with(|| pointer.clone());
        self
    }

    /// The problem as data, as `catch.as` binds it. Absent fields are left out.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut fields = vec![
            ("type", Value::from(self.kind.clone())),
            ("status", Value::Int(i64::from(self.status))),
        ];
        for (name, text) in
            [("title", &self.title), ("detail", &self.detail), ("instance", &self.instance)]
        {
            if let Some(text) = text {
                fields.push((name, Value::from(text.clone())));
            }
        }
        Value::object(fields)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.title.as_deref().unwrap_or(&self.kind), self.status)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        if let Some(instance) = &self.instance {
            write!(f, " at {instance}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::{Problem, Standard, same_type};

    #[test]
    fn absent_fields_survive_messagepack_and_are_left_out_of_json() -> Result<(), String> {
        let problem = Problem {
            kind: "https://example.com/e".into(),
            status: 507,
            title: None,
            detail: None,
            instance: Some("/do/0/bad".into()),
        };
        let bytes = rmp_serde::to_vec(&problem).map_err(|error| error.to_string())?;
        let back: Problem = rmp_serde::from_slice(&bytes).map_err(|error| error.to_string())?;
        assert_eq!(back, problem);
        let json = serde_json::to_string(&problem).map_err(|error| error.to_string())?;
        assert_eq!(json, r#"{"type":"https://example.com/e","status":507,"instance":"/do/0/bad"}"#);
        Ok(())
    }

    #[test]
    fn every_published_spelling_of_a_standard_type_is_recognised() {
        for uri in [
            "https://serverlessworkflow.io/spec/1.0.0/errors/communication",
            "https://serverlessworkflow.io/dsl/errors/types/communication",
            "https://serverlessworkflow.io.io/dsl/errors/types/communication",
            "https://https://serverlessworkflow.io/spec/1.0.0/errors/communication",
            "https://open-workflow-specification.org/dsl/errors/types/communication",
            "https://open-workflow-specification.org/spec/1.0.3/errors/communication",
            "communication",
        ] {
            assert_eq!(Standard::parse(uri), Some(Standard::Communication), "{uri}");
        }
        assert_eq!(Standard::parse("https://serverlessworkflow.io/errors/types/compliance"), None);
        assert_eq!(Standard::parse("https://example.com/spec/1.0.0/errors/runtime"), None);
        assert!(!same_type("https://a.example/x", "https://a.example/y"));
        assert!(same_type("runtime", "https://serverlessworkflow.io/spec/1.0.0/errors/runtime"));
    }
}
