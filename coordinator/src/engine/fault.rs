//! What a workflow has started when an instance of it faults.
//!
//! The fact that says so stands behind the end, and the start is asked for until its answer is
//! known, as that of any child: so there is one, whenever the process is killed. Its input follows
//! from what is kept of the instance.

use std::sync::Arc;

use windlass_proto::id::InstanceId;
use windlass_proto::limits::FAULT_INPUT_BYTES;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use super::effect::Effect;
use super::fact::Fact;
use super::input::ChildOutcome;
use super::instance::{Ending, Parent, ROOT};
use super::task::child_id;
use super::turn::Turn;

impl Turn<'_> {
    /// The instance has faulted: starts what its definition names, unless it handles a fault
    /// itself, or was started by one that does.
    pub(super) fn handle_fault(&mut self) {
        let Some(handler) = &self.plan.fault_workflow else { return };
        if self.is_handler() {
            return;
        }
        let child = child_id(self.state.id, ROOT, self.at);
        let namespace = self.plan.id.namespace.clone();
        let workflow = [namespace, handler.name.clone(), handler.version.clone()];
        self.record(Fact::HandlerStarted { child, workflow });
        self.ask_for_handler();
    }

    /// True for one that was started because of a fault, directly or through others.
    pub(super) fn is_handler(&self) -> bool {
        self.state.repair.handles || self.state.parent.is_some_and(|it| it.handles)
    }

    /// Asks for the start that is not known to have happened.
    pub(super) fn ask_for_handler(&mut self) {
        let pending = self.state.repair.handler.as_ref().filter(|it| it.pending);
        let Some((child, workflow)) = pending.map(|it| (it.instance, it.workflow.clone())) else {
            return;
        };
        let parent = Parent { handles: true, ..self.parent_of_child(ROOT, false) };
        let input = self.handler_input();
        self.effect(Effect::StartChild { parent, child, workflow, input });
    }

    /// What is to be known of the fault. The input is there unless it is large: it is read by the
    /// id then.
    fn handler_input(&self) -> Value {
        let id = &self.state.workflow;
        let names = [("namespace", &id.namespace), ("name", &id.name), ("version", &id.version)];
        let workflow = Value::object(names.map(|(key, it)| (key, Value::from(it.clone()))));
        let error = match &self.state.ending {
            Some(Ending::Faulted(problem)) => problem.to_value(),
            Some(Ending::Completed(_) | Ending::Cancelled(_)) | None => Value::Null,
        };
        let mut members: Vec<(Arc<str>, Value)> = vec![
            ("instance".into(), self.state.id.to_string().into()),
            ("workflow".into(), workflow),
            ("error".into(), error),
        ];
        if self.state.input.weight() <= FAULT_INPUT_BYTES {
            members.push(("input".into(), self.state.input.clone()));
        }
        Value::object(members)
    }

    /// It is known whether it has started.
    pub(super) fn handler_settled(&mut self, outcome: Option<ChildOutcome>) {
        let refused = match outcome {
            None | Some(ChildOutcome::Completed(_)) => None,
            Some(ChildOutcome::Faulted(problem)) => Some(problem),
            Some(ChildOutcome::Cancelled(child)) => Some(cancelled(child)),
        };
        self.record(Fact::HandlerSettled { refused });
    }
}

fn cancelled(child: InstanceId) -> Problem {
    let detail = format!("{child} was not started: all that its root has started is cancelled");
    Problem::new(Standard::Runtime, detail)
}
