//! `run.workflow`: another workflow as a child instance.

use std::sync::Arc;

use uuid::Uuid;
use windlass_proto::expression::Template;
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::limits;
use windlass_proto::plan::{Kind, Return, SubWorkflow};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::Field;

use crate::engine::effect::Effect;
use crate::engine::evaluate::text;
use crate::engine::fact::Fact;
use crate::engine::instance::{Body, Parent};
use crate::engine::scope::Locals;
use crate::engine::turn::Turn;

impl Turn<'_> {
    pub(super) fn start_child(&mut self, id: FrameId, child: &SubWorkflow, input: &Value) {
        let workflow = match self.child_workflow(id, child, input) {
            Ok(workflow) => workflow,
            Err(problem) => return self.fail(id, problem),
        };
        let Some(input) = self.child_input(id, child, input) else { return };
        let wait = child.wait;
        let child = child_id(self.state.id, id, self.at);
        self.record(Fact::ChildStarted {
            frame: id,
            child,
            workflow: workflow.clone(),
            input: input.clone(),
            wait,
        });
        let parent = self.parent_of_child(id, wait);
        self.effect(Effect::StartChild { parent, child, workflow, input });
    }

    /// What a child knows of its parent. Those who do not wait do not count for its depth: a
    /// workflow may go on as a new instance of itself many times.
    pub(in crate::engine) fn parent_of_child(&self, frame: FrameId, waits: bool) -> Parent {
        let above = self.state.parent.filter(|parent| parent.waits).map_or(0, |it| it.depth);
        let depth = if waits { above.saturating_add(1) } else { 0 };
        let above = self.state.parent;
        let root = Some(above.map_or(self.state.id, |it| it.root()));
        let generation = above.map_or(0, |it| it.generation).saturating_add(1);
        let handles = self.is_handler();
        Parent { instance: self.state.id, frame, waits, depth, root, generation, handles }
    }

    /// Which workflow: namespace, name, version.
    fn child_workflow(
        &self,
        id: FrameId,
        child: &SubWorkflow,
        input: &Value,
    ) -> Result<[Arc<str>; 3], Problem> {
        if child.wait && self.parent_of_child(id, true).depth > limits::CHILD_DEPTH {
            let detail = format!(
                "more than {} workflows wait for one another: a workflow runs itself without end?",
                limits::CHILD_DEPTH
            );
            return Err(Problem::new(Standard::Runtime, detail));
        }
        if self.parent_of_child(id, child.wait).generation > limits::GENERATIONS {
            let detail = format!(
                "more than {} workflows have started one another: a workflow runs itself without end?",
                limits::GENERATIONS
            );
            return Err(Problem::new(Standard::Runtime, detail));
        }
        let part = |template: &Template| {
            const WHAT: &str = "the name of a workflow to run";
            self.template(template, input, id, &Locals::default())
                .and_then(|value| text(&value, WHAT))
                .map(Arc::from)
                .map_err(|it| it.without_worker(WHAT))
        };
        Ok([part(&child.namespace)?, part(&child.name)?, part(&child.version)?])
    }

    /// What the child gets; `None` when that is not known yet.
    fn child_input(&mut self, id: FrameId, child: &SubWorkflow, input: &Value) -> Option<Value> {
        let Some(template) = &child.input else { return Some(input.clone()) };
        // A worker evaluates all parts of the definition and answers with an object of them.
        let here = |it: &Self| {
            let given = it.template(template, input, id, &Locals::default())?;
            Ok(Value::object([("input", given)]))
        };
        let parts = self.field(id, Field::Definition, (input, None), here)?;
        Some(parts.get("input").cloned().unwrap_or_default())
    }

    /// An awaited child ended with an output.
    pub(in crate::engine) fn child_completed(&mut self, id: FrameId, output: Value) {
        let Some((Body::Child { .. }, Kind::Workflow(child))) = self.work_of(id) else {
            return self.misfit("child_completed", id);
        };
        let output = if child.output == Return::None { Value::Null } else { output };
        match self.room_for(&[&output]) {
            Ok(()) => self.finish_task(id, output, None),
            Err(problem) => self.fail(id, problem),
        }
    }
}

/// The child's id is a function of its parent and visit, so that a start that is repeated after a
/// crash is told from a new one; its first bytes are the time, so that ids sort by start.
pub(in crate::engine) fn child_id(parent: InstanceId, frame: FrameId, at: Timestamp) -> InstanceId {
    let name = [parent.0.as_bytes().as_slice(), &frame.0.to_be_bytes()].concat();
    InstanceId::at(at.0, Uuid::new_v5(&Uuid::NAMESPACE_OID, &name).into_bytes())
}
