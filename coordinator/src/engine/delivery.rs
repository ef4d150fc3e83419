//! What goes to workers: sending it, taking answers, and sending it again when a worker is lost.
//!
//! Every sending of a visit has a number, its delivery. Only the last one is live: what comes about
//! an earlier one changes nothing, however late it comes.

use std::sync::Arc;

use windlass_proto::id::FrameId;
use windlass_proto::limits;
use windlass_proto::plan::{Flow, Task};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::secret::SecretUse;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::{Field, Work};

use super::effect::Effect;
use super::fact::Fact;
use super::instance::Body;
use super::loss::DeliveryLoss;
use super::turn::Turn;

/// What one sending of a visit consists of.
struct Sending {
    delivery: u32,
    work: Work,
    input: Value,
    variables: Vec<(Arc<str>, Value)>,
    recovered: bool,
}

impl Turn<'_> {
    /// A worker reports on an assignment or an evaluation.
    pub(super) fn reported(
        &mut self,
        id: FrameId,
        result: Result<Value, Problem>,
        secrets: Vec<SecretUse>,
    ) {
        match self.state.frame(id).map(|it| &it.body) {
            Some(Body::Dispatched { .. }) => {
                self.answered = Some(id);
                self.used(id, secrets);
                match result.and_then(|it| self.room_for(&[&it]).map(|()| it)) {
                    Ok(output) => self.performed(id, output),
                    Err(problem) => self.fail(id, problem),
                }
            }
            Some(Body::Evaluating { field, value, flow, .. }) => {
                let (field, value, flow) = (*field, value.clone(), *flow);
                self.answered = Some(id);
                self.used(id, secrets);
                match result.and_then(|it| self.room_for(&[&it]).map(|()| it)) {
                    Ok(evaluated) => {
                        self.evaluated = Some((id, field, evaluated));
                        self.resume_evaluation(id, field, value, flow);
                    }
                    Err(problem) => self.fail(id, problem),
                }
            }
            Some(_) | None => self.misfit("reported", id),
        }
    }

    /// Takes note of the secrets that a report names: those that the definition declares, each
    /// version once, however long the worker makes the list.
    fn used(&mut self, id: FrameId, mut secrets: Vec<SecretUse>) {
        let declared = &self.plan.secrets;
        secrets.truncate(limits::SECRET_USES);
        secrets.retain(|it| {
            let version = it.version.as_ref().map_or(0, |it| it.len());
            declared.contains(&it.name) && version <= limits::SECRET_VERSION_BYTES
        });
        if !secrets.is_empty() {
            self.record(Fact::SecretsUsed { frame: id, secrets });
        }
    }

    /// A delivery will not be answered: it is sent again, as the next one, unless too many workers
    /// have ended with it.
    pub(super) fn lost(&mut self, id: FrameId, loss: DeliveryLoss, most: u32) {
        let evaluation = match self.state.frame(id).map(|it| &it.body) {
            Some(Body::Dispatched { .. }) => None,
            Some(Body::Evaluating { field, value, flow, .. }) => {
                Some((*field, value.clone(), *flow))
            }
            Some(_) | None => return self.misfit("lost", id),
        };
        let DeliveryLoss { blamed, worker, reason } = loss;
        self.record(Fact::DeliveryLost { frame: id, blamed, worker, reason });
        let losses = self.state.frame(id).map_or(0, |frame| frame.losses);
        match evaluation {
            _ if losses >= most => {
                // The worker that would have to be told is gone.
                self.answered = Some(id);
                let detail = format!(
                    "{losses} workers ended while they performed this task: it is given up, so \
                     that it does not take down more of them"
                );
                self.fail(id, Problem::new(Standard::Runtime, detail));
            }
            None => self.dispatch(id),
            Some((field, value, flow)) => self.request_evaluation(id, field, value, flow),
        }
    }

    /// Sends a task to a worker.
    pub(super) fn dispatch(&mut self, id: FrameId) {
        let Some((frame, task)) = self.visit(id) else { return self.misfit("dispatch", id) };
        let delivery = frame.delivery.saturating_add(1);
        let effect = self.assignment(
            id,
            task,
            Sending {
                delivery,
                work: Work::Perform,
                input: frame.raw.clone(),
                variables: self.variables(id, &task.variables),
                recovered: false,
            },
        );
        self.record(Fact::Dispatched { frame: id, delivery });
        self.effect(effect);
    }

    /// Sends an expression to a worker that names a secret or looks into a sealed value.
    pub(super) fn request_evaluation(
        &mut self,
        id: FrameId,
        field: Field,
        value: Value,
        flow: Option<Flow>,
    ) {
        let Some((frame, task)) = self.visit(id) else {
            return self.misfit("request_evaluation", id);
        };
        let delivery = frame.delivery.saturating_add(1);
        let effect = self.assignment(
            id,
            task,
            Sending {
                delivery,
                work: Work::Evaluate(field),
                input: value.clone(),
                variables: self.evaluation_variables(id, task, field, &value),
                recovered: false,
            },
        );
        self.record(Fact::EvaluationRequested { frame: id, field, value, delivery, flow });
        self.drop_steps(id);
        self.effect(effect);
    }

    /// After a restart: asks once more for what is at a worker, under the number it went out with.
    pub(super) fn recover_delivery(&mut self, id: FrameId) {
        let Some((frame, task)) = self.visit(id) else {
            return self.misfit("recover_delivery", id);
        };
        let (delivery, work, input, variables) = match &frame.body {
            Body::Dispatched { delivery } => {
                let variables = self.variables(id, &task.variables);
                (*delivery, Work::Perform, frame.raw.clone(), variables)
            }
            Body::Evaluating { field, value, delivery, .. } => {
                let variables = self.evaluation_variables(id, task, *field, value);
                (*delivery, Work::Evaluate(*field), value.clone(), variables)
            }
            _ => return self.misfit("recover_delivery", id),
        };
        let sending = Sending { delivery, work, input, variables, recovered: true };
        let effect = self.assignment(id, task, sending);
        self.effect(effect);
    }

    fn assignment(&self, id: FrameId, task: &Task, sending: Sending) -> Effect {
        let Sending { delivery, work, input, variables, recovered } = sending;
        let (visit, losses) = self.state.frame(id).map_or((0, 0), |it| (it.visit, it.losses));
        Effect::Dispatch {
            frame: id,
            delivery,
            task: task.index,
            reference: self.reference(id),
            visit,
            work,
            input,
            variables,
            deadline: self.deadline(id),
            losses,
            recovered,
        }
    }

    /// When the nearest timeout above this frame ends it.
    fn deadline(&self, id: FrameId) -> Option<Timestamp> {
        if self.state.timers.is_empty() {
            return None;
        }
        let above: Vec<FrameId> = self.state.lineage(id).map(|(id, _)| id).collect();
        let of_these = self.state.timers.values().filter(|timer| above.contains(&timer.frame));
        of_these.map(|timer| timer.due).min()
    }
}
