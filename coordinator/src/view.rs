//! What people see of an instance.

use std::sync::Arc;

use serde::Serialize;
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::limits;
use windlass_proto::plan::{Kind, Plan, TaskIx};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::schema::Schema;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use crate::approval::{ApprovalId, OpenApproval};
use crate::engine::{self, Body, Claim, Ending, FaultHandler, Instance, shown_limit};
use crate::journal::Head;
use crate::trace::trace_id;

/// An instance in full.
#[derive(Clone, Debug, Serialize)]
pub struct InstanceView {
    /// Its id.
    pub id: InstanceId,
    /// What lists show of it.
    #[serde(flatten)]
    pub head: Head,
    /// The raw input.
    pub input: Value,
    /// `$context`
    pub context: Value,
    /// Its priority, 0 to 9.
    pub priority: u8,
    /// The trace that its spans are of, whether they are recorded or not: 32 hexadecimal digits.
    pub trace: String,
    /// The instance that this one goes on for.
    pub predecessor: Option<InstanceId>,
    /// Instances that go on for this one, oldest first.
    pub successors: Vec<InstanceId>,
    /// What was started because it has faulted.
    pub handler: Option<FaultHandler>,
    /// Tasks that are running or waiting now.
    pub open: Vec<OpenTask>,
    /// Shares of limits that it has or waits for.
    pub limits: Vec<LimitView>,
    /// The number of the next fact.
    #[serde(skip)]
    pub sequence: u64,
}

/// A share of a limit that an instance, or a visit of a task, has or waits for.
#[derive(Clone, Debug, Serialize)]
pub struct LimitView {
    /// The visit.
    #[serde(skip)]
    pub frame: FrameId,
    /// The line it stands in.
    #[serde(skip)]
    pub key: Arc<str>,
    /// JSON pointer of the task; empty for the workflow.
    pub reference: Arc<str>,
    /// The limit, with the value of its key.
    pub limit: String,
    /// Since when it has the share, or waits for it.
    pub since: Timestamp,
    /// True while it waits.
    pub waits: bool,
    /// Where it stands in line, where it waits: 1 is next.
    pub place: Option<usize>,
    /// How many have a share now.
    pub holding: usize,
}

/// A task that is running or waiting now.
#[derive(Clone, Debug, Serialize)]
pub struct OpenTask {
    /// The visit.
    #[serde(skip)]
    pub frame: FrameId,
    /// True for one that has failed and waits for an operator.
    #[serde(skip)]
    pub halted: bool,
    /// JSON pointer.
    pub reference: Arc<str>,
    /// Which task of the definition that is: of a function, the pointer says where it was called.
    #[serde(skip)]
    pub index: TaskIx,
    /// Name.
    pub name: Arc<str>,
    /// `dispatched to a worker`, `waiting for time`, `waiting for events`, …
    pub state: String,
    /// Since when.
    pub since: Timestamp,
    /// When it continues, for waits and retries.
    pub until: Option<Timestamp>,
    /// Which try of the enclosing `try` this is, from 1.
    pub attempt: u32,
    /// What people are asked, where that is what it waits for.
    pub approval: Option<ApprovalView>,
    /// The visit, and which sending of it to a worker, where it was sent to one.
    #[serde(skip)]
    pub sent: Option<(FrameId, u32)>,
}

/// What people are asked.
#[derive(Clone, Debug, Serialize)]
pub struct ApprovalView {
    /// Its name.
    #[serde(skip)]
    pub id: ApprovalId,
    /// The question.
    #[serde(skip)]
    pub open: OpenApproval,
    /// What the data of an approval must be: the schema as it is written, and compiled.
    #[serde(skip)]
    pub form: Option<(Value, Schema)>,
}

/// The question of a visit, where it waits for a decision.
fn approval(plan: &Plan, instance: &Instance, id: FrameId) -> Option<ApprovalView> {
    let (name, open) = OpenApproval::of(plan, instance, id)?;
    let task = instance.frames.get(&id)?.task?;
    let form = match &plan.task(task).kind {
        Kind::Approval(it) => it.form.as_ref(),
        _ => None,
    };
    let form = form.map(|it| (it.document.clone(), it.schema.clone()));
    Some(ApprovalView { id: name, open, form })
}

/// What there is to see of an instance; of its open tasks only the one with the question `approval`
/// to people, where one is looked for.
#[must_use]
pub fn view(plan: &Plan, instance: &Instance, approval: Option<u64>) -> InstanceView {
    InstanceView {
        id: instance.id,
        head: head(instance),
        input: instance.input.clone(),
        context: instance.context.clone(),
        priority: instance.priority,
        trace: trace_id(instance).to_string(),
        predecessor: instance.repair.predecessor,
        successors: instance.repair.successors.clone(),
        handler: instance.repair.handler.clone(),
        open: open_tasks(plan, instance, approval),
        limits: shares(plan, instance),
        sequence: instance.sequence,
    }
}

/// What lists show of an instance, its output included whatever its size.
pub(crate) fn head(instance: &Instance) -> Head {
    let (output, error) = match &instance.ending {
        Some(Ending::Completed(output)) => (Some(output.clone()), None),
        Some(Ending::Faulted(problem)) => (None, Some(problem.clone())),
        Some(Ending::Cancelled(_)) => (None, None),
        None => (None, reason(instance)),
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

/// Shares of limits, as far as the instance knows.
fn shares(plan: &Plan, instance: &Instance) -> Vec<LimitView> {
    let claims = instance.claims.iter().take(limits::VIEW_TASKS);
    let view = |(id, claim): (&FrameId, &Claim)| LimitView {
        frame: *id,
        key: claim.key.clone(),
        reference: reference(plan, instance, *id),
        limit: shown_limit(&claim.key),
        since: claim.taken.unwrap_or(claim.asked),
        waits: claim.taken.is_none(),
        place: None,
        holding: 0,
    };
    claims.map(view).collect()
}

/// What is said of a task that has failed and waits for an operator.
const HALTED: &str = "failed, waiting for an operator";

/// Tasks that are running or waiting now, outermost first.
fn open_tasks(plan: &Plan, instance: &Instance, asked: Option<u64>) -> Vec<OpenTask> {
    let is_meant = |body: &Body| match (asked, body) {
        (None, _) => true,
        (Some(number), Body::Approving(it)) => it.number == number,
        (Some(_), _) => false,
    };
    let meant = instance.frames.iter().filter(|(_, frame)| is_meant(&frame.body));
    let mut open = Vec::new();
    for (id, frame) in meant.take(limits::VIEW_TASKS) {
        let Some(index) = frame.task else { continue };
        let timers = instance.timers.values().filter(|timer| timer.frame == *id);
        let until = match frame.body {
            Body::Waiting | Body::Retrying { .. } | Body::Approving(_) => {
                timers.map(|timer| timer.due).min()
            }
            _ => None,
        };
        let halted = instance.repair.halted.contains_key(id);
        open.push(OpenTask {
            frame: *id,
            halted,
            reference: reference(plan, instance, *id),
            index,
            name: plan.task(index).name.clone(),
            state: match instance.claims.get(id).filter(|it| it.taken.is_none()) {
                Some(claim) => format!("waiting for the limit {}", shown_limit(&claim.key)),
                None if halted => HALTED.to_owned(),
                None => state(&frame.body).to_owned(),
            },
            since: frame.started_at,
            until,
            attempt: attempt(instance, *id),
            approval: approval(plan, instance, *id),
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
        Body::Approving(_) => "waiting for approval",
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
    engine::reference_of(plan, instance, id)
}

/// Why an instance is suspended, where an operator did not do it.
fn reason(instance: &Instance) -> Option<Problem> {
    match &instance.quarantine {
        Some(reason) => Some(Problem::new(Standard::Runtime, &**reason)),
        None => instance.repair.halted.values().next().map(|it| it.problem.clone()),
    }
}
