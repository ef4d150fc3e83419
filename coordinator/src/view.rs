//! What people see of an instance.

use std::sync::Arc;

use windlass_proto::id::FrameId;
use windlass_proto::plan::Plan;

use crate::coordinator::{InstanceView, OpenTask};
use crate::engine::{self, Body, Ending, Instance};
use crate::journal::Head;

/// An instance in full.
#[must_use]
pub fn view(plan: &Plan, instance: &Instance) -> InstanceView {
    InstanceView {
        id: instance.id,
        head: head(instance),
        input: instance.input.clone(),
        context: instance.context.clone(),
        priority: instance.priority,
        open: open_tasks(plan, instance),
    }
}

/// What lists show of an instance, its output included whatever its size.
pub(crate) fn head(instance: &Instance) -> Head {
    let (output, error) = match &instance.ending {
        Some(Ending::Completed(output)) => (Some(output.clone()), None),
        Some(Ending::Faulted(problem)) => (None, Some(problem.clone())),
        Some(Ending::Cancelled(_)) => (None, None),
        None => (None, crate::partition::reason(instance)),
    };
    Head {
        workflow: instance.workflow.clone(),
        digest: instance.digest.clone(),
        status: instance.status(),
        started_at: instance.started_at,
        ended_at: instance.ended_at,
        labels: instance.labels.clone(),
        parent: instance.parent.map(|parent| parent.instance),
        root: instance.parent.map(|parent| parent.root()),
        output,
        error,
    }
}

/// Tasks that are running or waiting now, outermost first.
fn open_tasks(plan: &Plan, instance: &Instance) -> Vec<OpenTask> {
    /// A view is for people: nobody reads more, and a wide fork has thousands.
    const SHOWN: usize = 200;
    let mut open = Vec::new();
    for (id, frame) in instance.frames.iter().take(SHOWN) {
        let Some(index) = frame.task else { continue };
        let timers = instance.timers.values().filter(|timer| timer.frame == *id);
        let until = match frame.body {
            Body::Waiting | Body::Retrying { .. } => timers.map(|timer| timer.due).min(),
            _ => None,
        };
        open.push(OpenTask {
            reference: reference(plan, instance, *id),
            name: plan.task(index).name.clone(),
            state: state(&frame.body).to_owned(),
            since: frame.started_at,
            until,
            attempt: attempt(instance, *id),
            sent: match frame.body {
                Body::Dispatched { delivery } | Body::Evaluating { delivery, .. } => {
                    Some((*id, delivery))
                }
                _ => None,
            },
        });
    }
    open
}

fn state(body: &Body) -> &'static str {
    match body {
        Body::Begun
        | Body::Sequence { .. }
        | Body::Loop { .. }
        | Body::Fork { .. }
        | Body::Trying { .. }
        | Body::Catching { .. }
        | Body::Extending { .. } => "running",
        Body::Dispatched { .. } => "dispatched to a worker",
        Body::Evaluating { .. } => "evaluated by a worker",
        Body::Retrying { .. } => "waiting to try again",
        Body::Waiting => "waiting for time",
        Body::Publishing { .. } => "publishing an event",
        Body::Listening(_) => "waiting for events",
        Body::Child { .. } => "waiting for a child workflow",
    }
}

/// Which try of the nearest enclosing `try` a visit belongs to.
fn attempt(instance: &Instance, mut id: FrameId) -> u32 {
    while let Some(frame) = instance.frames.get(&id) {
        if let Body::Trying { attempt, .. } | Body::Retrying { attempt, .. } = frame.body {
            return attempt;
        }
        if frame.parent == id {
            break;
        }
        id = frame.parent;
    }
    1
}

/// JSON pointer of a visit's task, with the call sites of functions before it.
#[must_use]
pub fn reference(plan: &Plan, instance: &Instance, id: FrameId) -> Arc<str> {
    let frame = instance.frames.get(&id);
    match frame.and_then(|frame| Some((frame.parent, frame.task?))) {
        Some((parent, task)) => engine::reference(plan, instance, parent, plan.task(task)),
        None => Arc::from(""),
    }
}
