//! The coordinator as the rest of the world calls it: the HTTP API, the command line, tests.

mod approvals;
mod backups;
mod bulk;
mod bus_events;
mod configuration;
mod definitions;
mod early;
mod functions;
mod handle;
mod leadership;
mod log;
mod measured;
mod operate;
mod operator;
mod outcomes;
mod removal;
mod repair;
mod retention;
mod runtime;
mod schedules;
mod secret_queries;
mod show;
mod start;
mod verify;
mod webhooks;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use windlass_proto::definition::Diagnostic;
use windlass_proto::id::{Digest, InstanceId, WorkflowId};
use windlass_proto::limits::{BULK_JOBS, REPAIR_BYTES, SUCCESSORS, SUSPENSIONS};
use windlass_proto::problem::Problem;
use windlass_proto::trace::TraceContext;
use windlass_proto::value::Value;

use crate::access::Forbidden;
use crate::admission::{StartQuotas, Suspended};
use crate::approval::ApprovalError;
use crate::archive::{Archive, ArchiveError};
use crate::backup::BackupError;
use crate::dispatch::Queue;
pub use crate::engine::{FaultHandler, ResetOrder, Visited};
use crate::engine::{Requester, Unrepairable, Unresettable};
use crate::events::Outbox;
pub use crate::history::{HistoryEntry, HistoryPage};
use crate::journal::{JournalError, Status};
use crate::log::{BadDirectives, LogControl};
pub use crate::partition::{OnEnded, OnRunning, StartPolicy};
use crate::policy::NotPermitted;
use crate::retention::RetentionPolicy;
use crate::secrets::{Secrets, SecretsError};
use crate::trace::Tracer;
pub use crate::view::{InstanceView, LimitView, OpenTask};
use crate::webhooks::WebhookError;
pub use approvals::{ApprovalFilter, ApprovalPage, Decision};
pub use configuration::Configured;
pub use repair::ResetPlan;

/// A handle on a running coordinator; cheap to clone. It stops when [`Coordinator::stop`] is
/// called.
#[derive(Clone)]
pub struct Coordinator {
    runtime: Arc<runtime::Runtime>,
    /// For whom this handle acts: histories of instances say so.
    requester: Option<Arc<Requester>>,
}

/// What a coordinator is made with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Functions the workers offer, when that is known: unknown names are then refused at deploy.
    pub functions: Option<Vec<Arc<str>>>,
    /// Turn every accepted deviation from the specification into an error.
    pub strict: bool,
    /// Take workflows without a version, as `0.0.0`.
    pub unversioned: bool,
    /// How long ended instances are kept.
    pub retention: RetentionPolicy,
    /// Namespaces whose instances wait for an operator where their definitions say nothing of
    /// errors; `*` is all.
    pub suspending: Vec<Arc<str>>,
    /// Where instances are kept before they are removed; nowhere unless given.
    pub archive: Option<Archive>,
    /// Workers that may be lost while they hold one visit of a task, before the task is given up;
    /// [`limits::DELIVERIES_LOST`](windlass_proto::limits::DELIVERIES_LOST) unless given.
    pub losses: Option<u32>,
    /// Bytes that instances may take of the process's memory; past it starts are refused, and tasks
    /// fail that would add much. No bound of their own unless given.
    pub memory: Option<u64>,
    /// Where to keep which instance is worked on, so that one which ends the process again and
    /// again is set aside: the data directory, which is this process's alone.
    pub data_dir: Option<PathBuf>,
    /// Leave schedules alone: for a process that runs one workflow because somebody asked.
    pub unscheduled: bool,
    /// How long an event is kept that nobody waits for yet: none with zero, and
    /// [`limits::EARLY_TTL_MS`](windlass_proto::limits::EARLY_TTL_MS) unless given.
    pub event_ttl: Option<Duration>,
    /// The folder with the secrets of webhooks, where there are to be any.
    pub webhook_secrets: Option<PathBuf>,
    /// Versions may be given another text, when that is asked for: where they are being written.
    pub replaces: bool,
    /// How many instances that others have started may be open at once.
    pub quotas: StartQuotas,
    /// Who may read which secrets; unless given, all may, and nothing is kept of it.
    pub secrets: Option<Arc<Secrets>>,
    /// How what this process logs is changed while it runs, where it can be.
    pub log: Option<Arc<dyn LogControl>>,
    /// Which instances are recorded, and where their spans go; none unless given.
    pub tracer: Option<Tracer>,
    /// Backups that are taken by themselves; none unless given.
    pub backups: Option<Arc<BackupSchedule>>,
}

/// Where what leaves the coordinator goes.
pub struct Downstream {
    /// The way to the workers.
    pub queue: Arc<dyn Queue>,
    /// The way of events to the bus, where there is one.
    pub outbox: Option<Arc<Outbox>>,
}

impl<Q: Queue> From<Arc<Q>> for Downstream {
    /// Workers only.
    fn from(queue: Arc<Q>) -> Self {
        Self { queue, outbox: None }
    }
}

pub(crate) use backups::BackupRun;
pub use backups::BackupSchedule;
pub use handle::restore;
pub use operator::Operator;
pub use schedules::{SchedulePage, ScheduleView};

/// A definition that was accepted.
#[derive(Clone, Debug, Serialize)]
pub struct Deployed {
    /// Namespace, name, version.
    pub workflow: WorkflowId,
    /// Digest of the text.
    pub digest: Digest,
    /// True when this id had no definition, or another one, before.
    pub changed: bool,
    /// True when it had another one: instances that were started from that keep to it.
    pub replaced: bool,
    /// Warnings.
    pub diagnostics: Vec<Diagnostic>,
}

/// Which workflow to start.
#[derive(Clone, Debug)]
pub struct WorkflowRef {
    /// `document.namespace`
    pub namespace: String,
    /// `document.name`
    pub name: String,
    /// `document.version`; `None` or `latest` for the highest.
    pub version: Option<String>,
}

/// A request to start an instance.
#[derive(Clone, Debug)]
pub struct Start {
    /// Which workflow.
    pub workflow: WorkflowRef,
    /// Its input; `{}` when the caller gave none.
    pub input: Value,
    /// The id to use; an instance that already has it makes the start a repeat.
    pub id: Option<InstanceId>,
    /// A key that makes repeats of this request start one instance only.
    pub idempotency_key: Option<String>,
    /// What becomes of it where the id or key has been used; whether it is keyed is told from
    /// [`Start::idempotency_key`].
    pub policy: StartPolicy,
    /// Labels to keep with the instance.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// Its priority, from 0 to [`windlass_proto::limits::HIGHEST_PRIORITY`], which children
    /// inherit: of the tasks that wait for a worker, those of the highest go first. `None` for
    /// [`windlass_proto::limits::DEFAULT_PRIORITY`]; a higher one counts as the highest.
    pub priority: Option<u8>,
    /// The trace it is started in, where the caller has one.
    pub trace: Option<TraceContext>,
}

/// An accepted start.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// The instance.
    pub id: InstanceId,
    /// True when an earlier request had started it.
    pub repeated: bool,
}

/// How an instance ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// With an output.
    Completed(Value),
    /// With an error.
    Faulted(Problem),
    /// By an operator.
    Cancelled,
}

pub use crate::partition::EventOutcome as EventReceipt;

/// Why the coordinator refused.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// The definition has errors.
    #[error("the definition has errors")]
    InvalidDefinition(Vec<Diagnostic>),
    /// Whoever asks may not do it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The definition declares secrets that it has no right to.
    #[error("{0}")]
    NotPermitted(NotPermitted),
    /// What concerns secrets cannot be read or kept.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// What is to be logged cannot be read, or not be changed.
    #[error("{0}")]
    LogDirectives(#[from] BadDirectives),
    /// A function that cannot be published.
    #[error("the function {0} is refused: {1}")]
    InvalidFunction(String, String, Vec<Diagnostic>),
    /// The function has another text.
    #[error("the function {0} was published with another text, of the digest {1}")]
    OtherFunction(String, Digest),
    /// No such function.
    #[error("the default catalog has no function {0}")]
    UnknownFunction(String),
    /// No such workflow.
    #[error("no workflow {0} is deployed")]
    UnknownWorkflow(String),
    /// Its version has another text.
    #[error("{id} is deployed with another text, and a version keeps its text: {}", hint(*.may_replace))]
    VersionExists {
        /// The workflow.
        id: WorkflowId,
        /// The lines that differ, from what is deployed to what is not.
        difference: String,
        /// Whether it may be replaced here.
        may_replace: bool,
    },
    /// Nothing is started of this version any more.
    #[error("{0} is retired: nothing new is started of it")]
    Retired(WorkflowId),
    /// A version cannot be deleted.
    #[error("{0} cannot be deleted: {1}")]
    VersionInUse(WorkflowId, &'static str),
    /// No such schedule.
    #[error("the workflow {0} has no schedule")]
    UnknownSchedule(String),
    /// No such instance.
    #[error("no instance {0}")]
    UnknownInstance(InstanceId),
    /// The input does not fit the workflow's `input.schema`.
    #[error("the input is refused: {0}")]
    InvalidInput(Problem),
    /// The id or key of a start belongs to an earlier one, which was another.
    #[error("{id} is an instance of {workflow}, started with {other}{}", differing(.digests))]
    OtherStart {
        /// The instance.
        id: InstanceId,
        /// What is other about it.
        other: &'static str,
        /// What it runs.
        workflow: WorkflowId,
        /// The digests of what it was started with and of what was sent, of the input or of the
        /// definition; none where that is neither.
        digests: Option<Box<[Digest; 2]>>,
    },
    /// The id or key of a start is that of an instance, and the start asks to fail then.
    #[error("{id} has this id or key, and is {}", .status.word())]
    StartKeyUsed {
        /// The instance.
        id: InstanceId,
        /// Where it stands.
        status: Status,
    },
    /// The instance is not in a state that allows this.
    #[error("instance {id} is {}: {action} is not possible", .status.word())]
    Conflict {
        /// The instance.
        id: InstanceId,
        /// Where it stands.
        status: Status,
        /// What was asked.
        action: &'static str,
    },
    /// Only what has ended is deleted.
    #[error("instance {id} is {}, and only what has ended is deleted", .status.word())]
    NotEnded {
        /// The instance.
        id: InstanceId,
        /// Where it stands.
        status: Status,
    },
    /// Its parent waits for its end.
    #[error("instance {parent} has started instance {id} and waits for it")]
    Awaited {
        /// The instance.
        id: InstanceId,
        /// Its parent.
        parent: InstanceId,
    },
    /// It cannot be archived, or read from there.
    #[error("the archive fails: {0}")]
    Archive(#[from] ArchiveError),
    /// An operator has suspended what it belongs to.
    #[error("{0} is suspended: nothing of it is started until it is resumed")]
    Suspended(Suspended),
    /// What an operator wants to suspend or resume is so already.
    #[error("{what} is {state} already")]
    Already {
        /// What.
        what: Suspended,
        /// What it is.
        state: &'static str,
    },
    /// No more can be suspended until something is resumed.
    #[error("{} workflows, namespaces and roots are suspended: resume some first", SUSPENSIONS)]
    TooManySuspensions,
    /// No more bulk jobs can be under way.
    #[error("{} bulk jobs are under way: wait for one, or cancel one", BULK_JOBS)]
    TooManyBulkJobs,
    /// There is no such bulk job.
    #[error("there is no bulk job {0}")]
    UnknownBulkJob(uuid::Uuid),
    /// The namespace has no such event.
    #[error("the namespace has no event {0}")]
    UnknownEvent(String),
    /// Something cannot be done with a webhook.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// The bulk job has ended.
    #[error("bulk job {id} is {} already", state.word())]
    BulkConflict {
        /// The job.
        id: uuid::Uuid,
        /// How it stands.
        state: crate::bulk::State,
    },
    /// Only a root can be cancelled with all it has started.
    #[error("instance {id} was started by another one; its root is {root}")]
    NotARoot {
        /// The instance.
        id: InstanceId,
        /// The one at the top of the chain of starts.
        root: InstanceId,
    },
    /// Nothing can go on for it.
    #[error("nothing can go on for instance {id}: {why}")]
    Unrepairable {
        /// The instance.
        id: InstanceId,
        /// Why not.
        why: Unrepairable,
    },
    /// It cannot go on from there.
    #[error("instance {id} cannot be reset there: {why}")]
    Unresettable {
        /// The instance.
        id: InstanceId,
        /// Why not.
        why: Unresettable,
    },
    /// No more may go on for it.
    #[error("{SUCCESSORS} instances go on for instance {0}: reset one of these")]
    TooManySuccessors(InstanceId),
    /// Something cannot be done with a question to people.
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    /// Which task is to be skipped cannot be told.
    #[error("{found} tasks of instance {id} {which}: {hint}")]
    NoSuchTask {
        /// The instance.
        id: InstanceId,
        /// How many there are.
        found: usize,
        /// What they would have to be.
        which: String,
        /// What to do.
        hint: &'static str,
    },
    /// Its history is too large to begin another one with.
    #[error("the history of instance {0} is larger than the limit of {limit} bytes", limit = REPAIR_BYTES)]
    HistoryTooLarge(InstanceId),
    /// Too much work is open; try again after the time given.
    #[error("too much work is open; try again in {0:?}")]
    Overloaded(Duration),
    /// Instances take as much memory as they may; try again after the time given.
    #[error("{0}; try again in {1:?}")]
    OutOfMemory(&'static str, Duration),
    /// The payload is too large.
    #[error("{what} is {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// A backup cannot be taken or used.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The journal failed; the coordinator stops.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The coordinator is shutting down.
    #[error("the coordinator is shutting down")]
    Stopping,
}

impl CoordinatorError {
    /// There is no such workflow.
    pub(crate) fn unknown_workflow(namespace: &str, name: &str, version: Option<&str>) -> Self {
        Self::UnknownWorkflow(handle::named(namespace, name, version))
    }

    /// There is no definition with this digest.
    pub(crate) fn unknown_digest(digest: &Digest) -> Self {
        Self::UnknownWorkflow(format!("with digest {digest}"))
    }

    /// There is no such schedule.
    pub(crate) fn unknown_schedule(namespace: &str, name: &str) -> Self {
        schedules::unknown(namespace, name)
    }
}

/// The two digests that differ.
fn differing(digests: &Option<Box<[Digest; 2]>>) -> String {
    match digests.as_deref() {
        Some([was, sent]) => format!(": its SHA-256 is {was}, and that of the one sent {sent}"),
        None => String::new(),
    }
}

/// What to do where a version has another text.
fn hint(may_replace: bool) -> &'static str {
    match may_replace {
        true => "raise `document.version`, or ask to replace it",
        false => "raise `document.version`",
    }
}
