//! Lifecycle events, as the specification defines them: what there is to tell, and how it is told.
//!
//! Partitions note [`LifecycleEvent`], which costs them some reference counts; the JSON is made
//! elsewhere.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_proto::plan::Plan;
use windlass_proto::problem::Problem;
use windlass_proto::time::Timestamp;
use windlass_proto::trace::{TRACEPARENT, TRACESTATE, TraceContext};
use windlass_proto::value::{Members, Value};

use crate::approval::{ApprovalId, OpenApproval};

/// What the types of events start with that the specification knows nothing of.
const OWN: &str = "io.windlass.approval";

/// What is told of workflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    #[default]
    Off,
    /// Starts, ends, suspensions and correlations of workflows.
    Workflow,
    /// Also what their tasks do.
    Task,
}

/// Text that is no level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write off, workflow or task")]
pub struct LevelError;

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        match text {
            "off" => Ok(Self::Off),
            "workflow" => Ok(Self::Workflow),
            "task" => Ok(Self::Task),
            _ => Err(LevelError),
        }
    }
}

/// Something that happened to an instance, durably.
pub struct LifecycleEvent {
    /// The instance.
    pub instance: InstanceId,
    /// Its definition.
    pub plan: Arc<Plan>,
    /// Sequence number of the fact.
    pub sequence: u64,
    /// Which of the events of tasks in that fact, from 1; 0 for the workflow itself.
    pub number: u32,
    /// When it was decided.
    pub at: Timestamp,
    /// The trace of the instance, where there is one.
    pub trace: Option<TraceContext>,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The workflow was started.
    Started,
    /// An operator stopped it for a while.
    Suspended,
    /// An operator let it go on.
    Resumed,
    /// It waits for events.
    CorrelationStarted,
    /// It has the events it waited for; with the correlation keys and what they must be.
    CorrelationCompleted(BTreeMap<Arc<str>, Value>),
    /// An operator ended it.
    Cancelled,
    /// It ended with an error.
    Faulted(Problem),
    /// It ended with an output.
    Completed(Value),
    /// It asks people to decide.
    ApprovalRequested(Box<(ApprovalId, OpenApproval)>),
    /// Somebody has decided.
    ApprovalDecided(Box<Decided>),
    /// Something happened to one of its tasks, named by its JSON pointer.
    Task(Arc<str>, Change),
}

/// What somebody has decided. What they gave and why is for those to read who may read the
/// instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The question.
    pub id: ApprovalId,
    /// Whether it is approved.
    pub approved: bool,
    /// Who, where that is known: `ISSUER:SUBJECT`.
    pub by: Option<Arc<str>>,
}

/// What happened to a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The flow arrived at it.
    Created,
    /// It began.
    Started,
    /// Its next attempt began.
    Retried,
    /// It was ended before it had ended itself: a timeout, a race lost, the end of the workflow.
    Cancelled,
    /// It ended with an error.
    Faulted(Problem),
    /// It ended; with an output, where that is not its input.
    Completed(Option<Value>),
    /// Its `if` was false.
    Skipped,
}

impl LifecycleEvent {
    /// The event: its id, and the whole as JSON. The id is a function of instance and fact, so that
    /// receivers can tell repeats.
    pub(super) fn event(&self) -> (String, String) {
        let (kind, time, mut data) = match &self.what {
            What::Task(task, change) => {
                let (verb, time, more) = change.told();
                let mut data = Members::new();
                data.insert("workflow".into(), self.name().into());
                data.insert("task".into(), task.clone().into());
                data.extend(more);
                (format!("io.serverlessworkflow.task.{verb}"), time, data)
            }
            what => {
                let (verb, time, more) = self.told(what);
                let mut data = Members::new();
                data.insert("name".into(), self.name().into());
                data.extend(more);
                let of = match what {
                    What::ApprovalRequested(_) | What::ApprovalDecided(_) => OWN,
                    _ => "io.serverlessworkflow.workflow",
                };
                (format!("{of}.{verb}"), time, data)
            }
        };
        let at = self.at.to_rfc3339();
        data.insert(time.into(), at.clone().into());
        let id = match self.number {
            0 => format!("{}/{}", self.instance, self.sequence),
            number => format!("{}/{}/{number}", self.instance, self.sequence),
        };
        let workflow = &self.plan.id;
        let source = format!("/{}/{}/{}", workflow.namespace, workflow.name, workflow.version);
        let mut event = Members::new();
        for (name, value) in [
            ("specversion", "1.0".to_owned()),
            ("id", id.clone()),
            ("source", source),
            ("type", format!("{kind}.v1")),
            ("subject", self.instance.to_string()),
            ("time", at),
            ("datacontenttype", "application/json".to_owned()),
        ] {
            event.insert(name.into(), value.into());
        }
        if matches!(&self.what, What::Task(_, Change::Skipped)) {
            event.insert("skipped".into(), Value::Bool(true));
        }
        if let Some(trace) = &self.trace {
            event.insert(TRACEPARENT.into(), trace.traceparent().into());
            let state = trace.state.clone();
            event.extend(state.map(|it| (TRACESTATE.into(), Value::from(it))));
        }
        event.insert("data".into(), data.into());
        (id, Value::from(event).to_json())
    }

    /// The qualified name of the instance.
    fn name(&self) -> String {
        let workflow = &self.plan.id;
        format!("{}-{}.{}", workflow.name, self.instance, workflow.namespace)
    }

    /// What happened to a workflow: the verb, the name of the time, further data.
    fn told(&self, what: &What) -> (&'static str, &'static str, Vec<(Arc<str>, Value)>) {
        match what {
            What::Started => {
                let id = &self.plan.id;
                let definition = Value::object([
                    ("name", Value::from(id.name.clone())),
                    ("namespace", id.namespace.clone().into()),
                    ("version", id.version.clone().into()),
                ]);
                ("started", "startedAt", vec![("definition".into(), definition)])
            }
            What::Suspended => ("suspended", "suspendedAt", Vec::new()),
            What::Resumed => ("resumed", "resumedAt", Vec::new()),
            What::CorrelationStarted => ("correlation-started", "startedAt", Vec::new()),
            What::CorrelationCompleted(keys) => {
                let keys = (!keys.is_empty())
                    .then(|| ("correlationKeys".into(), Value::object(keys.clone())));
                ("correlation-completed", "completedAt", keys.into_iter().collect())
            }
            What::Cancelled => ("cancelled", "cancelledAt", Vec::new()),
            What::Faulted(problem) => {
                ("faulted", "faultedAt", vec![("error".into(), problem.to_value())])
            }
            What::Completed(output) => {
                let uri = format!("/v1/instances/{}/output", self.instance);
                let mut more = carried(output);
                more.push(("outputUri".into(), uri.into()));
                ("completed", "completedAt", more)
            }
            What::ApprovalRequested(asked) => {
                let (id, open) = &**asked;
                ("requested", "requestedAt", requested(*id, open))
            }
            What::ApprovalDecided(decided) => {
                let mut more = vec![
                    ("approval".into(), Value::from(decided.id.to_string())),
                    ("approved".into(), Value::Bool(decided.approved)),
                ];
                more.extend(decided.by.clone().map(|it| ("by".into(), Value::from(it))));
                ("decided", "decidedAt", more)
            }
            What::Task(..) => ("", "", Vec::new()),
        }
    }
}

impl Change {
    /// What happened to a task: the verb, the name of the time, further data.
    fn told(&self) -> (&'static str, &'static str, Vec<(Arc<str>, Value)>) {
        match self {
            Self::Created => ("created", "createdAt", Vec::new()),
            Self::Started => ("started", "startedAt", Vec::new()),
            Self::Retried => ("retried", "retriedAt", Vec::new()),
            Self::Cancelled => ("cancelled", "cancelledAt", Vec::new()),
            Self::Faulted(problem) => {
                ("faulted", "faultedAt", vec![("error".into(), problem.to_value())])
            }
            Self::Completed(output) => {
                ("completed", "completedAt", output.iter().flat_map(carried).collect())
            }
            Self::Skipped => ("completed", "completedAt", Vec::new()),
        }
    }
}

/// What is told of a question: all that a mail has to say, and where it leads. The link gives
/// nobody a right: whoever follows it says who they are.
fn requested(id: ApprovalId, open: &OpenApproval) -> Vec<(Arc<str>, Value)> {
    let names = |all: &[Arc<str>]| Value::array(all.iter().cloned().map(Value::from).collect());
    let question = &open.question;
    let mut more: Vec<(Arc<str>, Value)> = vec![
        ("approval".into(), id.to_string().into()),
        ("uri".into(), id.path().into()),
        ("task".into(), open.reference.clone().into()),
        ("title".into(), question.title.clone().into()),
        ("roles".into(), names(&question.roles)),
        ("users".into(), names(&question.users)),
    ];
    let description = question.description.clone();
    more.extend(description.map(|it| ("description".into(), Value::from(it))));
    more.extend(open.until.map(|it| ("until".into(), Value::from(it.to_rfc3339()))));
    more
}

/// An output, where it is small enough to travel.
fn carried(output: &Value) -> Vec<(Arc<str>, Value)> {
    let fits = output.weight() <= limits::LIFECYCLE_OUTPUT_BYTES;
    fits.then(|| ("output".into(), output.clone())).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn levels_are_read_and_ordered() {
        assert_eq!(
            ["off", "workflow", "task"].map(|it| it.parse().ok()),
            [Some(Level::Off), Some(Level::Workflow), Some(Level::Task)]
        );
        assert!("tasks".parse::<Level>().is_err());
        assert_eq!(Level::default(), Level::Off);
    }
}
