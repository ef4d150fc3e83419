//! Extensions: lists of tasks around others.
//!
//! Lists before a task get its transformed input, lists after it its transformed output; what they
//! give is dropped. `then: exit` in a list before the task takes its place: what the list gave is
//! the task's raw output. Tasks of extensions are not extended themselves.

use windlass_proto::id::FrameId;
use windlass_proto::plan::{Extension, Flow, Kind, SchemaSource, Task, TaskList};
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use crate::engine::evaluate::Unevaluated;
use crate::engine::fact::Fact;
use crate::engine::flow::check;
use crate::engine::instance::{Body, Frame, Step};
use crate::engine::scope::Locals;
use crate::engine::turn::Turn;

impl<'a> Turn<'a> {
    /// Begins the extensions that apply to a task; false when there are none.
    pub(in crate::engine) fn begin_extensions(&mut self, id: FrameId, task: &Task) -> bool {
        let Some(frame) = self.state.frame(id) else {
            self.misfit("begin_extensions", id);
            return false;
        };
        if self.is_in_extension(id) {
            return false;
        }
        let raw = frame.raw.clone();
        let input = match &task.input.from {
            Some(from) => match self.template(from, &raw, id, &Locals::before_input()) {
                Ok(input) => input,
                Err(Unevaluated::Secret | Unevaluated::Sealed(_)) => raw.clone(),
                // The task itself fails the same way, in its turn.
                Err(Unevaluated::Failed(_)) => return false,
            },
            None => raw.clone(),
        };
        let schema = task.input.schema.as_ref();
        if matches!(schema, Some(SchemaSource::Inline(_))) && check(schema, &raw, "").is_err() {
            // So does it here: nothing comes before a task that does not begin.
            return false;
        }
        let extensions = (0u32..).zip(&self.plan.extensions);
        let targeting: Vec<_> = extensions.filter(|(_, it)| targets(it, task)).collect();
        let mut extensions: Vec<u32> = Vec::new();
        for (number, extension) in targeting {
            match self.applies(id, extension, &input) {
                Ok(true) => extensions.push(number),
                Ok(false) => {}
                Err(problem) => {
                    self.fail(id, problem);
                    return true;
                }
            }
        }
        if extensions.is_empty() {
            return false;
        }
        if task.input.from.is_some() {
            self.record(Fact::TaskInput { frame: id, input: input.clone() });
        }
        let (frame, value, flow, after) = (id, input, None, false);
        self.record(Fact::ExtensionsBegan { frame, extensions, value, flow, after });
        self.steps.push_back(Step::Advance { frame, position: 0 });
        true
    }

    /// Whether an extension applies. A condition that fails to evaluate does not hold: the
    /// specification's own example asks for members that not every task has. One that only a worker
    /// could evaluate is an error.
    fn applies(&self, id: FrameId, extension: &Extension, input: &Value) -> Result<bool, Problem> {
        let Some(when) = &extension.when else { return Ok(true) };
        match self.program(when, input, id, &Locals::default()) {
            Ok(verdict) => Ok(verdict.is_truthy()),
            Err(Unevaluated::Failed(_)) => Ok(false),
            Err(it) => Err(it.without_worker("`when` of an extension")),
        }
    }

    /// True inside of an extension's list, functions that it calls included.
    fn is_in_extension(&self, id: FrameId) -> bool {
        let mut bodies = self.state.lineage(id).map(|(_, frame)| &frame.body);
        bodies.any(|body| matches!(body, Body::Extending { .. }))
    }

    /// The list of the extension at work.
    pub(in crate::engine) fn extension_list(
        &self,
        frame: &Frame,
        place: u32,
        after: bool,
    ) -> Option<&'a TaskList> {
        let number = frame.extensions.get(place as usize)?;
        let extension = self.plan.extensions.get(*number as usize)?;
        Some(if after { &extension.after } else { &extension.before })
    }

    /// True where `then: exit` takes the place of the extended task.
    pub(in crate::engine) fn bypasses(&self, id: FrameId) -> bool {
        let body = self.state.frame(id).map(|frame| &frame.body);
        matches!(body, Some(Body::Extending { after: false, .. }))
    }

    /// The list of one extension is done: the next one, or the task, or what comes after it.
    pub(in crate::engine) fn extension_ended(&mut self, id: FrameId) {
        let Some((frame, task)) = self.visit(id) else {
            return self.misfit("extension_ended", id);
        };
        let Body::Extending { place, after, held, flow, .. } = &frame.body else {
            return self.misfit("extension_ended", id);
        };
        let (place, after, held, flow) = (place + 1, *after, held.clone(), *flow);
        if (place as usize) < frame.extensions.len() {
            self.record(Fact::ExtensionBegan { frame: id, place });
            return self.steps.push_back(Step::Advance { frame: id, position: 0 });
        }
        self.record(Fact::ExtensionsEnded { frame: id });
        if after {
            self.export(id, None, held, flow);
        } else {
            self.begin_task(id, task);
        }
    }

    /// The task has its output: the lists after it begin.
    pub(in crate::engine) fn begin_after(
        &mut self,
        id: FrameId,
        extensions: Vec<u32>,
        value: Value,
        flow: Option<Flow>,
    ) {
        let (frame, after) = (id, true);
        self.record(Fact::ExtensionsBegan { frame, extensions, value, flow, after });
        self.drop_steps(id);
        self.steps.push_back(Step::Advance { frame, position: 0 });
    }
}

/// True when an extension is for tasks of this kind.
fn targets(extension: &Extension, task: &Task) -> bool {
    match &*extension.extend {
        "all" => true,
        "composite" => matches!(task.kind, Kind::Do(_) | Kind::Fork(_)),
        word => word == task.kind.word(),
    }
}
