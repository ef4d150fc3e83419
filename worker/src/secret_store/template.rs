//! Texts of a configuration with places for what differs by task: parsed and filled in here for all
//! stores. What may stand in a place, and in which texts, is each store's own to say.

use std::fmt;

use windlass_proto::id::WorkflowId;

use super::SecretContext;

/// A text with `{environment}`, `{namespace}`, `{workflow}` and `{name}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(Variable),
}

/// What differs by task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    Environment,
    Namespace,
    Workflow,
    Name,
}

impl Variable {
    fn read(text: &str) -> Option<Self> {
        [Self::Environment, Self::Namespace, Self::Workflow, Self::Name]
            .into_iter()
            .find(|it| it.name() == text)
    }

    /// As it stands between braces.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Namespace => "namespace",
            Self::Workflow => "workflow",
            Self::Name => "name",
        }
    }
}

/// What the variables stand for.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) environment: &'a str,
    pub(super) workflow: &'a WorkflowId,
    pub(super) name: &'a str,
}

impl<'a> Values<'a> {
    /// Those of the secret `name` for a task.
    pub(super) fn of(context: &'a SecretContext, name: &'a str) -> Self {
        Self { environment: context.environment(), workflow: &context.workflow, name }
    }

    fn get(self, variable: Variable) -> &'a str {
        match variable {
            Variable::Environment => self.environment,
            Variable::Namespace => &self.workflow.namespace,
            Variable::Workflow => &self.workflow.name,
            Variable::Name => self.name,
        }
    }
}

/// A variable about to be filled in.
pub(super) struct Filled<'a> {
    pub(super) variable: Variable,
    pub(super) value: &'a str,
    /// The text between it and the next variable; none where no variable follows.
    pub(super) separator: Option<&'a str>,
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// When a brace has no end or encloses no variable: a message that begins with a verb.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (before, after) = rest.split_once('{').unwrap_or((rest, ""));
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            if before.len() == rest.len() {
                break;
            }
            let (name, after) = after.split_once('}').ok_or("has a { without }")?;
            let variable = Variable::read(name)
                .ok_or("may have {environment}, {namespace}, {workflow} and {name} only")?;
            parts.push(Part::Variable(variable));
            rest = after;
        }
        Ok(Self(parts))
    }

    /// The texts around the variables.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|it| match it {
            Part::Text(text) => Some(text.as_str()),
            Part::Variable(_) => None,
        })
    }

    pub(super) fn has(&self, variable: Variable) -> bool {
        self.0.contains(&Part::Variable(variable))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether nothing separates two variables.
    pub(super) fn has_neighbours(&self) -> bool {
        self.0.windows(2).any(|it| matches!(it, [Part::Variable(_), Part::Variable(_)]))
    }

    /// The text with `values` filled in.
    ///
    /// # Errors
    /// What `check` has against one of them.
    pub(super) fn expand<E>(
        &self,
        values: Values<'_>,
        check: impl Fn(Filled<'_>) -> Result<(), E>,
    ) -> Result<String, E> {
        let mut expanded = String::new();
        let last = self.0.iter().rposition(|it| matches!(it, Part::Variable(_)));
        for (at, part) in self.0.iter().enumerate() {
            match part {
                Part::Text(text) => expanded.push_str(text),
                Part::Variable(variable) => {
                    let value = values.get(*variable);
                    let separator = match self.0.get(at + 1) {
                        Some(Part::Text(text)) if Some(at) != last => Some(text.as_str()),
                        _ => None,
                    };
                    check(Filled { variable: *variable, value, separator })?;
                    expanded.push_str(value);
                }
            }
        }
        Ok(expanded)
    }
}

impl fmt::Display for Template {
    /// As it was read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Variable(variable) => write!(f, "{{{}}}", variable.name()),
        })
    }
}
