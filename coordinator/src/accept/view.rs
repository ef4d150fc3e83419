//! What the API answers: times in RFC 3339, names in camel case.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use windlass_proto::definition::Diagnostic;
use windlass_proto::id::{InstanceId, WorkflowId};
use windlass_proto::problem::Problem;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use crate::coordinator::{self, Outcome};
use crate::journal::{Counted, Found, Head, StoredDefinition};

/// Identity of a definition.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Workflow {
    /// `document.namespace`
    pub namespace: String,
    /// `document.name`
    pub name: String,
    /// `document.version`
    pub version: String,
}

impl From<&WorkflowId> for Workflow {
    fn from(id: &WorkflowId) -> Self {
        Self {
            namespace: id.namespace.to_string(),
            name: id.name.to_string(),
            version: id.version.to_string(),
        }
    }
}

/// A definition in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// Its identity.
    #[serde(flatten)]
    pub workflow: Workflow,
    /// SHA-256 of its text, in hexadecimal.
    pub digest: String,
    /// When it was deployed, in RFC 3339.
    pub deployed_at: String,
    /// Since when nothing new is started of it; absent while it is not retired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<String>,
    /// True for the version that a start without one finds.
    pub latest: bool,
}

impl Definition {
    pub(super) fn new(stored: &StoredDefinition, latest: bool) -> Self {
        Self {
            workflow: (&stored.id).into(),
            digest: stored.digest.to_string(),
            deployed_at: stored.deployed_at.to_rfc3339(),
            retired_at: stored.retired_at.map(Timestamp::to_rfc3339),
            latest,
        }
    }
}

/// Definitions.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Definitions {
    /// The current definition of every workflow id.
    pub items: Vec<Definition>,
}

impl Definitions {
    pub(super) fn new(items: Vec<(StoredDefinition, bool)>) -> Self {
        Self { items: items.iter().map(|(it, latest)| Definition::new(it, *latest)).collect() }
    }
}

/// A definition that was accepted.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Deployed {
    /// Its identity.
    #[serde(flatten)]
    pub workflow: Workflow,
    /// SHA-256 of its text, in hexadecimal.
    pub digest: String,
    /// False when the same text was deployed before.
    pub changed: bool,
    /// True when another text had this namespace, name and version before: instances that were
    /// started from that keep to it.
    pub replaced: bool,
    /// Warnings.
    #[schema(value_type = Vec<Object>)]
    pub diagnostics: Vec<Diagnostic>,
}

impl From<coordinator::Deployed> for Deployed {
    fn from(deployed: coordinator::Deployed) -> Self {
        Self {
            workflow: (&deployed.workflow).into(),
            digest: deployed.digest.to_string(),
            changed: deployed.changed,
            replaced: deployed.replaced,
            diagnostics: deployed.diagnostics,
        }
    }
}

/// What lists show of an instance.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Its id.
    pub id: String,
    /// Its workflow.
    pub workflow: Workflow,
    /// SHA-256 of the definition it is pinned to.
    pub digest: String,
    /// `pending`, `running`, `waiting`, `suspended`, `cancelled`, `faulted` or `completed`.
    pub status: &'static str,
    /// When it was accepted, in RFC 3339.
    pub started_at: String,
    /// When it ended, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Labels given at the start.
    pub labels: BTreeMap<String, String>,
    /// The instance that runs it as a child.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The instance at the top of the chain of starts, where another one has started this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The error, once faulted; of a suspended instance, why it is quarantined.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub error: Option<Problem>,
}

impl Summary {
    /// The summary of the instance `id`.
    #[must_use]
    pub fn new(id: InstanceId, head: &Head) -> Self {
        let label = |(name, value): &(Arc<str>, Arc<str>)| (name.to_string(), value.to_string());
        Self {
            id: id.to_string(),
            workflow: (&head.workflow).into(),
            digest: head.digest.to_string(),
            status: head.status.word(),
            started_at: head.started_at.to_rfc3339(),
            ended_at: head.ended_at.map(Timestamp::to_rfc3339),
            labels: head.labels.iter().map(label).collect(),
            parent: head.parent.map(|it| it.to_string()),
            root: head.root.map(|it| it.to_string()),
            error: head.error.clone(),
        }
    }
}

/// How many instances match.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// So many, or at least so many.
    pub count: u64,
    /// Whether all instances were looked at: false where the answer would have taken too long, as
    /// where conditions are on what changes and hundreds of thousands have not ended.
    pub complete: bool,
}

impl From<Counted> for Count {
    fn from(counted: Counted) -> Self {
        Self { count: counted.count, complete: counted.is_whole }
    }
}

/// A page of instances, those that started last first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Instances {
    /// The instances.
    pub items: Vec<Summary>,
    /// Send it as `cursor` to get the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl From<Found> for Instances {
    fn from(page: Found) -> Self {
        Self {
            items: page.items.iter().map(|(id, head)| Summary::new(*id, head)).collect(),
            next: page.next.map(|it| it.to_string()),
        }
    }
}

/// An instance in full.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// What lists show of it.
    #[serde(flatten)]
    pub summary: Summary,
    /// The raw input.
    #[schema(value_type = serde_json::Value)]
    pub input: Value,
    /// The output, once completed; left out when it is large (GET …/output has it).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub output: Option<Value>,
    /// `$context`
    #[schema(value_type = serde_json::Value)]
    pub context: Value,
    /// Its priority, from 0 to 9: of the tasks that wait for a worker, those of the highest go
    /// first.
    pub priority: u8,
    /// The instance that this one goes on for, which had faulted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<String>,
    /// The instances that go on for this one, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub successors: Vec<String>,
    /// What was started because it has faulted (`metadata.windlass.onFault`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault_handler: Option<FaultHandler>,
    /// Tasks that are running or waiting now.
    pub open: Vec<OpenTask>,
    /// Shares of limits (`metadata.windlass.limit`) that it has or waits for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitShare>,
}

/// A share of a limit that an instance, or a visit of a task, has or waits for.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitShare {
    /// JSON pointer of the task; left out for the workflow.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// The limit, and the value of its key.
    pub limit: String,
    /// `waiting` or `held`.
    pub state: &'static str,
    /// Since when, in RFC 3339.
    pub since: String,
    /// Where it stands in line, while it waits: 1 is next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<usize>,
    /// How many have a share now.
    pub holding: usize,
}

/// What was started because an instance has faulted.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FaultHandler {
    /// The instance that was started; it has this one as its parent.
    pub id: String,
    /// What it runs.
    pub workflow: Workflow,
    /// Why it has not started, where it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub error: Option<Problem>,
}

impl From<coordinator::FaultHandler> for FaultHandler {
    fn from(it: coordinator::FaultHandler) -> Self {
        let [namespace, name, version] = it.workflow.map(|it| it.to_string());
        let workflow = Workflow { namespace, name, version };
        Self { id: it.instance.to_string(), workflow, error: it.refused }
    }
}

/// A task that is running or waiting now.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenTask {
    /// JSON pointer of the task.
    pub reference: String,
    /// Its name.
    pub name: String,
    /// What it does: `waiting for time`, `waiting for events`, `at worker w-1`, `waiting for a
    /// worker (there is none in pool gpu)`, …
    pub state: String,
    /// Since when, in RFC 3339.
    pub since: String,
    /// When it continues, for waits and retries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// The question to people that it waits for: `windlass approve ID` decides it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
}

impl From<coordinator::InstanceView> for Instance {
    fn from(view: coordinator::InstanceView) -> Self {
        let open = |task: coordinator::OpenTask| OpenTask {
            reference: task.reference.to_string(),
            name: task.name.to_string(),
            state: task.state,
            since: task.since.to_rfc3339(),
            until: task.until.map(Timestamp::to_rfc3339),
            attempt: task.attempt,
            approval: task.approval.map(|it| it.id.to_string()),
        };
        let share = |it: coordinator::LimitView| LimitShare {
            reference: it.reference.to_string(),
            limit: it.limit,
            state: if it.waits { "waiting" } else { "held" },
            since: it.since.to_rfc3339(),
            place: it.place,
            holding: it.holding,
        };
        Self {
            summary: Summary::new(view.id, &view.head),
            input: view.input,
            output: view.head.output,
            context: view.context,
            priority: view.priority,
            predecessor: view.predecessor.map(|it| it.to_string()),
            successors: view.successors.iter().map(ToString::to_string).collect(),
            fault_handler: view.handler.map(FaultHandler::from),
            open: view.open.into_iter().map(open).collect(),
            limits: view.limits.into_iter().map(share).collect(),
        }
    }
}

/// Where an instance stands, and how it ended if it did.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Standing {
    /// The instance.
    pub id: String,
    /// `pending`, `running`, `waiting`, `suspended`, `cancelled`, `faulted` or `completed`.
    pub status: &'static str,
    /// The output, when completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub output: Option<Value>,
    /// The error, when faulted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub error: Option<Problem>,
}

impl Standing {
    /// The standing of an instance that has not ended.
    #[must_use]
    pub fn open(id: InstanceId, status: &'static str) -> Self {
        Self { id: id.to_string(), status, output: None, error: None }
    }

    /// The standing of an instance that has ended.
    #[must_use]
    pub fn ended(id: InstanceId, outcome: Outcome) -> Self {
        match outcome {
            Outcome::Completed(output) => {
                Self { output: Some(output), ..Self::open(id, "completed") }
            }
            Outcome::Faulted(error) => Self { error: Some(error), ..Self::open(id, "faulted") },
            Outcome::Cancelled => Self::open(id, "cancelled"),
        }
    }

    /// True once nothing more happens to it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.status, "completed" | "faulted" | "cancelled")
    }
}

/// One line of a history.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HistoryEntry {
    /// Number of the fact, counted from 0.
    pub sequence: u64,
    /// When it was decided, in RFC 3339.
    pub at: String,
    /// What happened: `instance.started`, `task.started`, `task.completed`, …
    pub event: String,
    /// JSON pointer of the task concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Name of the task concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Details: input, output, error, attempt, …
    #[schema(value_type = serde_json::Value)]
    pub data: Value,
}

impl From<coordinator::HistoryEntry> for HistoryEntry {
    fn from(entry: coordinator::HistoryEntry) -> Self {
        Self {
            sequence: entry.sequence,
            at: entry.at.to_rfc3339(),
            event: entry.event.to_owned(),
            task: entry.task.map(|it| it.to_string()),
            name: entry.name.map(|it| it.to_string()),
            data: entry.data,
        }
    }
}

/// A part of a history, oldest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct History {
    /// The entries.
    pub items: Vec<HistoryEntry>,
    /// Send it as `from` to continue; absent when this page was not full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
