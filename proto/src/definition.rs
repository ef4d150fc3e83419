//! From the text of a definition to a [`Plan`].

#[cfg(test)]
mod asked;
mod authentication;
mod catalog;
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
mod limit;
mod lints;
pub mod located;
mod misplaced;
mod node;
pub mod pins;
mod pool;
mod render;
mod retry;
mod reusable;
mod schedule;
pub mod shape;
mod source;
mod task;
mod text;
mod unsatisfiable;
mod unsupported;

use std::sync::Arc;

use crate::id::Digest;
use crate::plan::Plan;
use crate::value::Value;

pub use catalog::{Location, Wanted};
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
    /// Functions of catalogs that it calls and that are not pinned to it: see [`pins`].
    pub wanted: Vec<Wanted>,
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
    /// That a function of a catalog is not pinned to the text is an error, not a warning: for who
    /// has asked everybody already.
    pub functions_pinned: bool,
}

/// Loads a definition, YAML 1.2 or JSON, and reports everything found.
#[must_use]
pub fn load(text: &str, options: &Options) -> Loaded {
    let mut findings = findings::Findings::new(options.strict);
    findings.refuse_unsupported = options.refuse_unsupported || options.strict;
    let refused = |findings: findings::Findings| Loaded {
        plan: None,
        diagnostics: findings.finish(),
        wanted: Vec::new(),
    };
    if text::is_too_large(text, &mut findings) {
        return refused(findings);
    }
    let (source, pins) = match pins::read(text) {
        Ok(read) => read,
        Err(why) => {
            let message =
                format!("the functions that are pinned to this text cannot be used: {why}");
            let hint = "deploy the definition without what follows its end";
            findings.error(codes::BAD_PINS, pins::place(text), message, hint);
            return refused(findings);
        }
    };
    let body = source.strip_prefix('\u{feff}').unwrap_or(source);
    let mut nodes = 0;
    let Some(mut root) = text::parse_more(body, &mut findings, &mut nodes) else {
        return refused(findings);
    };
    compat::normalise(&mut root, &mut findings, options);
    let mut decoder = decoder::Decoder::new(body, findings, options);
    decoder.cataloged = catalog::Cataloged::new(pins, nodes, options.functions_pinned);
    let (plan, mut decoder) = decoder.workflow(&root, Digest::of(text));
    let wanted = std::mem::take(&mut decoder.cataloged.wanted);
    Loaded { plan: plan.map(Arc::new), diagnostics: decoder.findings.finish(), wanted }
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
