//! Paths with places for what differs by task. Nothing that comes from a definition can leave the
//! part of a path it stands for.

use std::fmt;

use windlass_proto::id::WorkflowId;
use windlass_proto::secret::{is_part_of_a_path, is_special};

use crate::secret_store::SecretContext;

/// A path or other text with `{environment}`, `{namespace}`, `{workflow}` and `{name}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Environment,
    Namespace,
    Workflow,
    Name,
}

impl fmt::Display for Template {
    /// As it was read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Environment => f.write_str("{environment}"),
            Part::Namespace => f.write_str("{namespace}"),
            Part::Workflow => f.write_str("{workflow}"),
            Part::Name => f.write_str("{name}"),
        })
    }
}

/// What a template gave: safe to stand in a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mapped(pub(crate) String);

impl Template {
    /// Reads a template of a path.
    pub(crate) fn path(text: &str) -> Result<Self, String> {
        let text = text.trim_matches('/');
        if text.split('/').any(|it| it.is_empty() || it == "." || it == "..") {
            return Err(format!("{text:?} is not a path: a part is empty or made of dots"));
        }
        Self::parse(text)
    }

    /// Reads a template of any text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            let end = brace.find('}').filter(|_| brace.starts_with('{'));
            let slot = end.and_then(|end| brace.get(1..end)).unwrap_or_default();
            let part = match slot {
                "environment" => Part::Environment,
                "namespace" => Part::Namespace,
                "workflow" => Part::Workflow,
                "name" => Part::Name,
                _ => {
                    return Err(format!(
                        "{text:?}: braces enclose environment, namespace, workflow or name"
                    ));
                }
            };
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(part);
            rest = &brace[slot.len() + 2..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let unsafe_text =
            |part: &Part| matches!(part, Part::Text(text) if text.contains(is_special));
        if parts.iter().any(unsafe_text) {
            return Err(format!("{text:?} holds characters that no path may have"));
        }
        Ok(Self(parts))
    }

    /// The path of the secret `name` for a task; none when a part of it could be more than one part
    /// of a path, or a pattern.
    pub(crate) fn mapped(&self, context: &SecretContext, name: &str) -> Option<Mapped> {
        self.expand(context.environment(), &context.workflow, name)
    }

    /// As [`Self::mapped`], without a task.
    pub(crate) fn expand(
        &self,
        environment: &str,
        workflow: &WorkflowId,
        name: &str,
    ) -> Option<Mapped> {
        let mut text = String::new();
        for part in &self.0 {
            let value = match part {
                Part::Text(value) => {
                    text.push_str(value);
                    continue;
                }
                Part::Environment => environment,
                Part::Namespace => &workflow.namespace,
                Part::Workflow => &workflow.name,
                Part::Name => name,
            };
            text.push_str(safe(value)?);
        }
        Some(Mapped(text))
    }
}

/// `value` if it is one part of a path and nothing else.
pub(crate) fn safe(value: &str) -> Option<&str> {
    is_part_of_a_path(value).then_some(value)
}
