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

use crate::engine::effect::Effect;
use crate::engine::fact::Fact;
use crate::engine::flow::no_secrets_here;
use crate::engine::instance::Parent;
use crate::engine::scope::Locals;
use crate::engine::turn::Turn;

impl Turn<'_> {
    pub(super) fn start_child(&mut self, id: FrameId, child: &SubWorkflow, input: &Value) {
        match self.child_request(id, child, input) {
            Ok((workflow, input)) => {
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
            Err(problem) => self.fail(id, problem),
        }
    }

    /// What a child knows of its parent. Those who do not wait do not count: a workflow may go on as
    /// a new instance of itself for ever.
    pub(in crate::engine) fn parent_of_child(&self, frame: FrameId, waits: bool) -> Parent {
        let above = self.state.parent.filter(|parent| parent.waits).map_or(0, |it| it.depth);
        let depth = if waits { above.saturating_add(1) } else { 0 };
        Parent { instance: self.state.id, frame, waits, depth }
    }

    fn child_request(
        &self,
        id: FrameId,
        child: &SubWorkflow,
        input: &Value,
    ) -> Result<([Arc<str>; 3], Value), Problem> {
        if child.wait && self.parent_of_child(id, true).depth > limits::CHILD_DEPTH {
            let detail = format!(
                "more than {} workflows wait for one another: a workflow runs itself without end?",
                limits::CHILD_DEPTH
            );
            return Err(Problem::new(Standard::Runtime, detail));
        }
        let value = |template: &Template| {
            if template.uses_secrets() {
                return Err(no_secrets_here("run.workflow"));
            }
            self.template(template, input, id, &Locals::default())
        };
        let text = |template: &Template| Ok::<_, Problem>(Arc::from(value(template)?.to_text()));
        let workflow = [text(&child.namespace)?, text(&child.name)?, text(&child.version)?];
        let input = match &child.input {
            None => input.clone(),
            Some(template) => value(template)?,
        };
        Ok((workflow, input))
    }

    /// An awaited child ended with an output.
    pub(in crate::engine) fn child_completed(&mut self, id: FrameId, output: Value) {
        let Some(task) = self.state.frame(id).and_then(|frame| self.task_of(frame)) else { return };
        let Kind::Workflow(child) = &task.kind else { return };
        let output = if child.output == Return::None { Value::Null } else { output };
        self.finish_task(id, output, None);
    }
}

/// The child's id is a function of its parent and visit, so that a start that is repeated after a
/// crash is told from a new one; its first bytes are the time, so that ids sort by start.
fn child_id(parent: InstanceId, frame: FrameId, at: Timestamp) -> InstanceId {
    let name = [parent.0.as_bytes().as_slice(), &frame.0.to_be_bytes()].concat();
    let mut bytes = Uuid::new_v5(&Uuid::NAMESPACE_OID, &name).into_bytes();
    bytes[..6].copy_from_slice(&at.0.to_be_bytes()[2..]);
    bytes[6] = (bytes[6] & 0x0f) | 0x70;
    InstanceId(Uuid::from_bytes(bytes))
}
