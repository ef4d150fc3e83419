//! What a worker must be able to do for a task.

use std::fmt;
use std::sync::Arc;

use super::Work;
use crate::expression::Template;
use crate::plan::{FunctionCall, FunctionTarget, Kind, McpTransport, Task};
use crate::value::Value;

/// What workers of this project can offer beside their functions.
pub const BUILT_IN: &[&str] = &[
    "a2a", "asyncapi", CONTAINER, "evaluate", "grpc", "http", "mcp", MCP_STDIO, "openapi",
    "script", "shell",
];

/// Of these, what runs containers, which not every worker does.
pub const CONTAINER: &str = "container";

/// Calls of MCP servers that are programs of the worker's machine, which not every worker runs.
pub const MCP_STDIO: &str = "mcp.stdio";

/// What functions are counted as, beside [`BUILT_IN`].
pub const FUNCTION_KIND: &str = "function";

/// How the name of a function is announced.
const FUNCTION: &str = "function:";

/// One thing a worker can do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// One of [`BUILT_IN`].
    BuiltIn(&'static str),
    /// A function by name: `function:<name>`.
    Function(Arc<str>),
}

impl Capability {
    /// Reads what [`fmt::Display`] writes; none for what this version does not know.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix(FUNCTION) {
            Some(name) => Some(Self::Function(name.into())),
            None => BUILT_IN.iter().find(|it| **it == text).map(|it| Self::BuiltIn(it)),
        }
    }

    /// What it is counted as: one of [`BUILT_IN`], or [`FUNCTION_KIND`] for functions of all names.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BuiltIn(name) => name,
            Self::Function(_) => FUNCTION_KIND,
        }
    }

    /// What `work` on `task` needs.
    #[must_use]
    pub fn needed(task: &Task, work: &Work) -> Self {
        let performing = match work {
            Work::Perform => Self::performing(&task.kind),
            Work::Evaluate(_) => None,
        };
        performing.unwrap_or(Self::BuiltIn("evaluate"))
    }

    /// What performing a task of this kind needs, from its input to its output; none where the
    /// coordinator runs it itself.
    #[must_use]
    pub fn performing(kind: &Kind) -> Option<Self> {
        if let Kind::Function(call) = kind {
            return match &call.target {
                FunctionTarget::Registered(name) => {
                    Some(Self::Function(called(call).unwrap_or_else(|| name.clone())))
                }
                FunctionTarget::Defined(_) | FunctionTarget::Cataloged(_) => None,
            };
        }
        // The coordinator starts workflows itself, and asks people.
        let name = match kind {
            Kind::Mcp(call) if matches!(call.transport, McpTransport::Stdio { .. }) => MCP_STDIO,
            _ => kind.detail()?,
        };
        BUILT_IN.iter().find(|it| **it == name).map(|it| Self::BuiltIn(it))
    }
}

/// The function that `call: function` names in its arguments, as some definitions write it.
fn called(call: &FunctionCall) -> Option<Arc<str>> {
    match (&call.target, &call.with) {
        (FunctionTarget::Registered(name), Some(Template::Constant(with)))
            if &**name == "function" =>
        {
            with.get("function").and_then(Value::as_str).map(Arc::from)
        }
        _ => None,
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(name) => f.write_str(name),
            Self::Function(name) => write!(f, "{FUNCTION}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Capability;

    #[test]
    fn capabilities_survive_text() {
        for text in ["http", "evaluate", "function:charge-card"] {
            assert_eq!(Capability::parse(text).map(|it| it.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Capability::parse("teleport"), None);
    }
}
