//! Facts of `do`, `for`, `fork`, `try` and function calls.

use windlass_proto::id::FrameId;
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use crate::engine::fact::TimerPurpose;
use crate::engine::instance::held::{Part, problem_bytes};
use crate::engine::instance::{Body, Branch, Instance};

impl Instance {
    /// The transformed input of a visit: what a list below it begins with.
    fn input_of(&self, id: FrameId) -> Value {
        self.frames.get(&id).map(|it| it.input.clone()).unwrap_or_default()
    }

    pub(super) fn sequence_began(&mut self, id: FrameId, value: Option<&Value>) {
        let value = value.cloned().unwrap_or_else(|| self.input_of(id));
        self.set_body(id, Body::Sequence { value });
    }

    pub(super) fn loop_began(&mut self, id: FrameId, items: &Value) {
        let value = self.input_of(id);
        self.set_body(id, Body::Loop { items: items.clone(), index: 0, value });
    }

    pub(super) fn iterated(&mut self, id: FrameId, index: u32) {
        if let Some(Body::Loop { index: current, .. }) = self.body_mut(id) {
            *current = index;
        }
        self.restart(id);
    }

    pub(super) fn forked(&mut self, id: FrameId, branches: u32) {
        let all = vec![Branch::default(); branches as usize];
        self.set_body(id, Body::Fork { branches: all, running: branches });
    }

    pub(super) fn branch_faulted(&mut self, id: FrameId, position: u32, problem: &Problem) {
        self.close_children(id, Some(position));
        if let Some((held, Body::Fork { branches, running })) = self.body_held(id)
            && let Some(branch) = branches.get_mut(position as usize)
        {
            held.add_part(Part::Bytes(problem_bytes(problem)));
            branch.problem = Some(problem.clone());
            *running = running.saturating_sub(1);
        }
    }

    /// Each attempt starts from the context that there was when the `try` began.
    pub(super) fn attempt_began(&mut self, id: FrameId, attempt: u32) {
        let before = match self.body_mut(id) {
            Some(Body::Retrying { context, .. }) => Some(context.clone()),
            // The first attempt.
            Some(_) | None => None,
        };
        let context = before.unwrap_or_else(|| self.context_of(id).clone());
        if attempt > 1 {
            self.set_context(id, context.clone());
        }
        let value = self.input_of(id);
        self.set_body(id, Body::Trying { attempt, value, context });
        self.restart(id);
    }

    pub(super) fn retry_scheduled(&mut self, id: FrameId, clause: u32, problem: &Problem) {
        self.abandon_attempt(id);
        if let Some(Body::Trying { attempt, context, .. }) = self.body_mut(id) {
            let (attempt, context, problem) = (*attempt, context.clone(), problem.clone());
            self.set_body(id, Body::Retrying { attempt, context, clause, problem });
        }
    }

    pub(super) fn caught(&mut self, id: FrameId, clause: u32, problem: &Problem) {
        self.abandon_attempt(id);
        let value = self.input_of(id);
        self.set_body(id, Body::Catching { clause, problem: problem.clone(), value });
        self.restart(id);
    }

    /// Ends an attempt of a `try` where it stands.
    fn abandon_attempt(&mut self, id: FrameId) {
        self.empty(id);
        self.clear_timers(id, TimerPurpose::Attempt);
    }
}
