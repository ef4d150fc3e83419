//! From the text of a definition to a [`Plan`].

mod authentication;
mod codes;
mod compat;
mod data_flow;
mod decoder;
mod document;
mod duration;
mod endpoint;
mod event;
mod expressions;
mod findings;
mod lints;
mod misplaced;
mod node;
mod pool;
mod render;
mod retry;
mod reusable;
mod schedule;
mod source;
mod task;
mod text;
mod unsatisfiable;
mod unsupported;

use std::sync::Arc;

use crate::id::Digest;
use crate::plan::Plan;
use crate::value::Value;

pub use codes::{codes, explain};
pub use compat::full_version;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Accepted, but worth changing.
    Warning,
    /// Refused.
    Error,
}

/// One finding about a definition.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Diagnostic {
    /// A stable code, such as `WL0101`; `windlass explain` tells more.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1 in characters.
    pub column: usize,
    /// Length of the place, in characters, at least 1.
    pub length: usize,
    /// JSON pointer of the place.
    pub pointer: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What a definition gave: a plan when no finding is an error.
#[derive(Debug)]
pub struct Loaded {
    /// The plan, when there is no error.
    pub plan: Option<Arc<Plan>>,
    /// All findings, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// What `call` means beside functions by name.
pub const PROTOCOL_CALLS: [&str; 6] = ["http", "openapi", "grpc", "asyncapi", "a2a", "mcp"];

/// Functions every worker offers by name: the runtime's default catalog.
pub const STANDARD_FUNCTIONS: [&str; 5] = ["echo", "log", "logInfo", "logWarn", "logError"];

/// What a definition is checked against.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Functions the workers offer by name; `None` when that is not known, so that an unknown name
    /// is only a warning.
    pub functions: Option<Vec<Arc<str>>>,
    /// Turn every accepted deviation from the specification into an error.
    pub strict: bool,
    /// A workflow may lack `document.version`: it is `0.0.0` then. For runs on the spot, where
    /// nothing is told from an earlier version.
    pub unversioned: bool,
    /// The text was accepted before, maybe by a version that refused less: what instances may run
    /// with is only a warning now. A schema that is refused refuses every value instead.
    pub accepted: bool,
    /// What the specification has and this version cannot do is an error, not a warning: for
    /// definitions that are about to be run.
    pub refuse_unsupported: bool,
}

/// Loads a definition, YAML 1.2 or JSON, and reports everything found.
#[must_use]
pub fn load(text: &str, options: &Options) -> Loaded {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut findings = findings::Findings::new(options.strict);
    findings.refuse_unsupported = options.refuse_unsupported || options.strict;
    let Some(mut root) = text::parse(body, &mut findings) else {
        return Loaded { plan: None, diagnostics: findings.finish() };
    };
    compat::normalise(&mut root, &mut findings, options);
    let decoder = decoder::Decoder::new(body, findings, options);
    let (plan, decoder) = decoder.workflow(&root, Digest::of(text));
    Loaded { plan: plan.map(Arc::new), diagnostics: decoder.findings.finish() }
}

/// Reads YAML 1.2 or JSON that is no definition, such as an OpenAPI description, within the limits
/// of definitions.
///
/// # Errors
/// When the text is neither; the message may quote it.
pub fn data(text: &str) -> Result<Value, String> {
    let mut findings = findings::Findings::new(false);
    let root = text::parse(text.strip_prefix('\u{feff}').unwrap_or(text), &mut findings);
    root.map(|root| root.value()).ok_or_else(|| {
        let first = findings.finish().into_iter().next();
        first.map(|it| format!("{} (line {})", it.message, it.line)).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests;
