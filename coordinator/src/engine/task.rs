//! What each kind of task does. One file a kind, where it takes more than a few lines.

mod approve;
mod child;
mod emit;
mod extend;
mod fork;
mod iterate;
mod raise;
mod switch;

use windlass_proto::expression::Template;
use windlass_proto::id::FrameId;
use windlass_proto::plan::{Duration, FunctionCall, FunctionTarget, Kind, Task};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;
use windlass_proto::wire::Field;

pub(super) use child::child_id;

use super::fact::{Fact, TimerPurpose};
use super::instance::Step;
use super::scope::Locals;
use super::turn::Turn;
pub use switch::case_of;

impl<'a> Turn<'a> {
    /// Runs a task that the coordinator runs itself; its input is transformed already.
    pub(super) fn execute(&mut self, id: FrameId, task: &'a Task) {
        let Some(input) = self.state.frame(id).map(|frame| frame.input.clone()) else {
            return self.misfit("execute", id);
        };
        match &task.kind {
            Kind::Do(_) => self.begin_sequence(id, None),
            Kind::Set(template) => {
                if let Some(value) = self.definition(id, template, &input) {
                    self.finish_task(id, value, None);
                }
            }
            Kind::Switch(cases) => self.switch(id, task, cases, input),
            Kind::For(each) => self.begin_loop(id, each, &input),
            Kind::Fork(fork) => self.begin_fork(id, fork),
            Kind::Try(_) => self.begin_attempt(id, 1),
            Kind::Raise(raise) => self.raise(id, raise, &input),
            Kind::Wait(duration) => self.wait(id, duration, input),
            Kind::Emit(template) => self.emit(id, template, &input),
            Kind::Listen(listen) => self.listen(id, listen, &input),
            Kind::Function(call) => self.call_function(id, call, input),
            Kind::Approval(approval) => self.ask(id, approval, &input),
            Kind::Workflow(child) => self.start_child(id, child, &input),
            Kind::Http(_)
            | Kind::OpenApi(_)
            | Kind::Grpc(_)
            | Kind::AsyncApi(_)
            | Kind::A2a(_)
            | Kind::Mcp(_)
            | Kind::Container(_)
            | Kind::Script(_)
            | Kind::Shell(_) => self.dispatch(id),
        }
    }

    /// The value of a task's own template. `None` when it is not there yet, or the task failed.
    fn definition(&mut self, id: FrameId, template: &Template, input: &Value) -> Option<Value> {
        let here = |it: &Self| it.template(template, input, id, &Locals::default());
        self.field(id, Field::Definition, (input, None), here)
    }

    fn begin_sequence(&mut self, id: FrameId, value: Option<Value>) {
        self.record(Fact::SequenceBegan { frame: id, value });
        self.steps.push_back(Step::Advance { frame: id, position: 0 });
    }

    fn wait(&mut self, id: FrameId, duration: &Duration, input: Value) {
        match self.duration(duration, id) {
            Ok(0) => self.finish_task(id, input, None),
            Ok(after) => self.set_timer(id, TimerPurpose::Wait, after),
            Err(problem) => self.fail(id, problem),
        }
    }

    fn call_function(&mut self, id: FrameId, call: &FunctionCall, input: Value) {
        match &call.target {
            FunctionTarget::Defined(_) => {
                let value = match &call.with {
                    None => Some(input),
                    Some(with) => self.definition(id, with, &input),
                };
                if let Some(value) = value {
                    self.begin_sequence(id, Some(value));
                }
            }
            FunctionTarget::Registered(_) => self.dispatch(id),
            FunctionTarget::Cataloged(name) => {
                let detail = format!(
                    "the function {name} of a catalog was not fetched when this was deployed: \
                     deploy it with `windlass deploy`, in a new version"
                );
                self.fail(id, Problem::new(Standard::Configuration, detail));
            }
        }
    }
}
