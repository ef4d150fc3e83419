//! The variables expressions see.
//!
//! Specification: dsl.md, "Runtime Expressions" (arguments). Every argument is bound everywhere,
//! null where the specification gives none. Names bound by `for`, `catch` and `foreach` are found
//! by walking up the frames.

use std::sync::Arc;

use windlass_proto::expression::{Scope, is_secrets};
use windlass_proto::id::FrameId;
use windlass_proto::plan::{FunctionTarget, Kind, Plan, Task};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::Field;

use super::instance::{Body, Frame, Instance, ROOT};
use super::turn::Turn;

/// What is known only where an expression is evaluated.
#[derive(Default)]
pub(super) struct Locals<'l> {
    /// A task that has no frame yet, with its raw input.
    pub(super) task: Option<(&'l Task, &'l Value)>,
    /// The raw output, for `output.as`.
    pub(super) raw_output: Option<&'l Value>,
    /// The transformed output, for `export.as`.
    pub(super) output: Option<&'l Value>,
    /// True while there is no transformed input yet: in `if` and `input.from`.
    pub(super) before_input: bool,
    /// One more name: that of the error, in the conditions of `catch` and `retry`.
    pub(super) bound: Option<(&'l str, &'l Value)>,
}

impl Locals<'_> {
    /// For `input.from`.
    pub(super) fn before_input() -> Self {
        Self { before_input: true, ..Self::default() }
    }
}

/// Looks variables up for one frame.
pub(super) struct FrameScope<'s> {
    plan: &'s Plan,
    state: &'s Instance,
    frame: FrameId,
    at: Timestamp,
    locals: &'s Locals<'s>,
}

impl Scope for FrameScope<'_> {
    fn variable(&self, name: &str) -> Value {
        if let Some((bound, value)) = self.locals.bound
            && bound == name
        {
            return value.clone();
        }
        match name {
            "context" => self.state.context_of(self.frame).clone(),
            "input" => self.input(),
            "output" => self.locals.output.cloned().unwrap_or_else(|| self.output_above()),
            "task" => self.task(),
            "workflow" => self.workflow(),
            "runtime" => runtime(),
            name => match (self.bound_above(name), self.locals.bound) {
                // A policy of `use.retries` cannot know what the clause calls the error.
                (Value::Null, Some((_, error))) if name == "error" => error.clone(),
                (value, _) => value,
            },
        }
    }
}

impl<'s> FrameScope<'s> {
    /// For a visit of a task at which nothing happens now.
    pub(super) fn at_rest(
        plan: &'s Plan,
        state: &'s Instance,
        frame: FrameId,
        locals: &'s Locals<'s>,
    ) -> Self {
        Self { plan, state, frame, at: state.started_at, locals }
    }
}

impl FrameScope<'_> {
    /// `$input`: the transformed input of the task; null where it has none yet.
    fn input(&self) -> Value {
        if self.locals.task.is_some() || self.locals.before_input || self.frame == ROOT {
            return Value::Null;
        }
        self.state.frame(self.frame).map(|frame| frame.input.clone()).unwrap_or_default()
    }

    /// `$output` in the lists of extensions after a task: that task's output.
    fn output_above(&self) -> Value {
        let extending = self.state.lineage(self.frame).find_map(|(_, frame)| match &frame.body {
            Body::Extending { after: true, held, .. } => Some(held.clone()),
            _ => None,
        });
        extending.unwrap_or_default()
    }

    /// `$task`: name, reference, definition, input, output, startedAt, and the definition's keys.
    fn task(&self) -> Value {
        let frame = self.state.frame(self.frame);
        let (task, raw, started_at, parent) = match (self.locals.task, frame) {
            (Some((task, raw)), _) => (task, raw.clone(), self.at, self.frame),
            (None, Some(frame)) => match frame.task {
                Some(index) => {
                    (self.plan.task(index), frame.raw.clone(), frame.started_at, frame.parent)
                }
                None => return Value::Null,
            },
            (None, None) => return Value::Null,
        };
        let described = [
            ("name", Value::from(task.name.clone())),
            ("reference", Value::from(reference(self.plan, self.state, parent, task))),
            ("definition", task.definition.clone()),
            ("input", raw),
            ("output", self.locals.raw_output.cloned().unwrap_or_default()),
            ("startedAt", started_at.to_descriptor()),
        ];
        let mut members = task.definition.as_object().cloned().unwrap_or_default();
        for (key, value) in described {
            members.insert(Arc::from(key), value);
        }
        Value::from(members)
    }

    /// `$workflow`: id, definition, input, startedAt.
    fn workflow(&self) -> Value {
        Value::object([
            ("id", Value::from(self.state.id.to_string())),
            ("definition", self.plan.definition.clone()),
            ("input", self.state.input.clone()),
            ("startedAt", self.state.started_at.to_descriptor()),
        ])
    }

    /// A name bound by an enclosing `for`, `catch` or `foreach`.
    fn bound_above(&self, name: &str) -> Value {
        for (_, frame) in self.state.lineage(self.frame) {
            let Some(index) = frame.task else { break };
            if let Some(value) = bound_by(self.plan.task(index), frame, name) {
                return value;
            }
        }
        Value::Null
    }
}

/// What a frame binds to a name. A loop keeps its last item bound for its own `output.as`.
fn bound_by(task: &Task, frame: &Frame, name: &str) -> Option<Value> {
    match (&task.kind, frame.body.doing()) {
        (Kind::For(each), Body::Loop { items, index, .. }) => {
            let items = items.as_array().unwrap_or(&[]);
            let last = (*index as usize).min(items.len().saturating_sub(1));
            if *each.each == *name {
                return Some(items.get(last).cloned().unwrap_or_default());
            }
            (*each.at == *name).then(|| match items.is_empty() {
                true => Value::Null,
                false => Value::Int(i64::try_from(last).unwrap_or(i64::MAX)),
            })
        }
        (
            Kind::Try(attempt),
            Body::Catching { clause, problem, .. } | Body::Retrying { clause, problem, .. },
        ) => {
            let clause = attempt.clauses.get(*clause as usize)?;
            (*clause.variable == *name).then(|| problem.to_value())
        }
        (Kind::Listen(listen), Body::Listening(listening)) => {
            let each = listen.each.as_ref()?;
            if *each.item == *name {
                return Some(listening.item.clone().unwrap_or_default());
            }
            let index = i64::try_from(listening.outputs.len()).unwrap_or(i64::MAX);
            (*each.at == *name).then_some(Value::Int(index))
        }
        _ => None,
    }
}

/// JSON pointer of a visit's task, with the call sites of functions before it; empty for the
/// workflow.
#[must_use]
pub fn reference_of(plan: &Plan, instance: &Instance, id: FrameId) -> Arc<str> {
    let frame = instance.frames.get(&id);
    match frame.and_then(|frame| Some((frame.parent, frame.task?))) {
        Some((parent, task)) => reference(plan, instance, parent, plan.task(task)),
        None => Arc::from(""),
    }
}

/// JSON pointer of a task that the frame `parent` runs, with the call sites of functions before it:
/// the pointers of tasks inside functions start at the function.
pub(crate) fn reference(plan: &Plan, state: &Instance, parent: FrameId, task: &Task) -> Arc<str> {
    if plan.functions.is_empty() {
        return task.reference.clone();
    }
    let is_call_site = |task: &&Task| {
        let Kind::Function(call) = &task.kind else { return false };
        matches!(call.target, FunctionTarget::Defined(_))
    };
    let above = state.lineage(parent).filter_map(|(_, frame)| frame.task);
    let sites = above.map(|index| plan.task(index)).filter(is_call_site);
    let mut parts: Vec<&str> = Vec::new();
    for task in std::iter::once(task).chain(sites) {
        parts.push(&task.reference);
        // Extensions stand apart: whatever they extend is not above them in the definition.
        if task.reference.starts_with("/use/extensions/") {
            break;
        }
    }
    parts.reverse();
    parts.concat().into()
}

/// `$runtime`
fn runtime() -> Value {
    Value::object([
        ("name", Value::from("windlass")),
        ("version", Value::from(env!("CARGO_PKG_VERSION"))),
        ("metadata", Value::empty_object()),
    ])
}

impl Turn<'_> {
    pub(super) fn scope<'s>(&'s self, frame: FrameId, locals: &'s Locals<'s>) -> FrameScope<'s> {
        FrameScope { plan: self.plan, state: self.state, frame, at: self.at, locals }
    }

    /// The values of these variables for a task that goes to a worker; secrets, `$input`
    /// and `$authorization` are the worker's to bind.
    pub(super) fn variables(&self, id: FrameId, names: &[Arc<str>]) -> Vec<(Arc<str>, Value)> {
        let locals = Locals::default();
        let scope = self.scope(id, &locals);
        let theirs = |name: &str| is_secrets(name) || matches!(name, "input" | "authorization");
        let mine = names.iter().filter(|name| !theirs(name));
        mine.map(|name| (name.clone(), scope.variable(name))).collect()
    }

    /// The values of all variables for an expression that a worker evaluates alone.
    pub(super) fn evaluation_variables(
        &self,
        id: FrameId,
        task: &Task,
        field: Field,
        value: &Value,
    ) -> Vec<(Arc<str>, Value)> {
        let mut names = Vec::new();
        let mut collect = |name: &Arc<str>| {
            if !is_secrets(name) && !names.contains(name) {
                names.push(name.clone());
            }
        };
        match field {
            Field::Condition => task.condition.iter().for_each(|it| {
                it.variables().iter().for_each(&mut collect);
            }),
            Field::InputFrom => {
                task.input.from.iter().for_each(|it| it.each_variable(&mut collect));
            }
            Field::Definition => task.kind.each_variable(&mut collect),
            Field::OutputAs => {
                task.output.transform.iter().for_each(|it| it.each_variable(&mut collect));
            }
            Field::ExportAs => {
                task.export.transform.iter().for_each(|it| it.each_variable(&mut collect));
            }
        }
        let locals = match field {
            Field::Condition | Field::InputFrom => Locals::before_input(),
            Field::Definition => Locals::default(),
            Field::OutputAs => Locals { raw_output: Some(value), ..Locals::default() },
            Field::ExportAs => {
                Locals { output: Some(value), raw_output: Some(value), ..Locals::default() }
            }
        };
        let scope = self.scope(id, &locals);
        names.into_iter().map(|name| (name.clone(), scope.variable(&name))).collect()
    }
}
