//! What was done with secrets, by whom, and what came of it. Never a value.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{InstanceId, WorkflowId};
use crate::secret::SecretName;
use crate::time::Timestamp;

/// One audit event. Texts in it hold no secret, no path of a store and no output of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// Its id, by which repeats are told.
    pub id: Uuid,
    /// When, by the clock of whoever saw it.
    pub at: Timestamp,
    /// What was done.
    pub action: AuditAction,
    /// True when it was done; false when it was refused or failed.
    pub success: bool,
    /// On whose behalf; absent for what an operator did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<AuditTask>,
    /// Which worker did it, as the coordinator knows it; absent for the coordinator itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Arc<str>>,
    /// Which secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretName>,
    /// Which version of it, as the store calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Arc<str>>,
    /// Which environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Arc<str>>,
    /// SHA-256 of the lease's id or of the token's accessor, 16 hexadecimal digits: tells leases
    /// apart without being one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Arc<str>>,
    /// The store's own id of the request, which its audit log shows too; for what an operator asked
    /// for, the id that the request came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Arc<str>>,
    /// Who did it, where they were asked who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<AuditActor>,
    /// Where the request came from: an IP address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Arc<str>>,
    /// The coordinator of a cluster that was asked and passed it on: where it answers. Absent where
    /// the one that leads was asked itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Arc<str>>,
    /// The namespace that it is about, where it is about one and `task` does not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Arc<str>>,
    /// W3C trace context: trace and span id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Arc<str>>,
    /// Why it was refused or failed; what else is worth knowing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Arc<str>>,
    /// What came of it, where that is told apart from what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AuditOutcome>,
    /// The id of the event whose outcome this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Uuid>,
}

impl AuditEvent {
    /// What was done, or was not, and when; all else is for the caller to add.
    #[must_use]
    pub fn new(id: Uuid, at: Timestamp, action: AuditAction, success: bool) -> Self {
        Self {
            id,
            at,
            action,
            success,
            task: None,
            worker: None,
            secret: None,
            version: None,
            environment: None,
            lease: None,
            request: None,
            actor: None,
            address: None,
            via: None,
            namespace: None,
            traceparent: None,
            detail: None,
            outcome: None,
            intent: None,
        }
    }
}

/// What came of something that was written down before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditOutcome {
    /// An event that follows says it.
    Pending,
    /// It was done.
    Done,
    /// It was not done, or not all of it.
    Failed,
    /// Nobody knows: it was given up on, or the coordinator ended meanwhile.
    Unknown,
}

impl AuditOutcome {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditActor {
    /// Who says who they are: the name of an identity provider, `token` or `certificate`.
    pub issuer: Arc<str>,
    /// Who they are there.
    pub subject: Arc<str>,
    /// How they proved it: `jwt`, `token` or `certificate`.
    pub method: Arc<str>,
}

/// The task on whose behalf something was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditTask {
    /// The workflow.
    pub workflow: WorkflowId,
    /// Its instance.
    pub instance: InstanceId,
    /// JSON pointer of the task.
    pub task: Arc<str>,
    /// Which visit of it.
    pub visit: u64,
    /// Which delivery of the visit.
    pub delivery: u32,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuditAction {
    /// An attempt proved who it is to the store.
    #[serde(rename = "secret.login")]
    Login,
    /// A secret was asked for; what came of it follows as a grant or a denial.
    #[serde(rename = "secret.requested")]
    Requested,
    /// A secret was handed to an attempt.
    #[serde(rename = "secret.granted")]
    Granted,
    /// A secret was refused to an attempt, or could not be had.
    #[serde(rename = "secret.denied")]
    Denied,
    /// A lease was made to last longer.
    #[serde(rename = "secret.lease.renewed")]
    Renewed,
    /// A lease was given back before its time.
    #[serde(rename = "secret.lease.revoked")]
    Revoked,
    /// A lease could not be given back: it ends by itself.
    #[serde(rename = "secret.lease.expired")]
    Expired,
    /// A result that contains a secret was sealed.
    #[serde(rename = "secret.sealed")]
    Sealed,
    /// A sealed value was opened for a task.
    #[serde(rename = "secret.opened")]
    Opened,
    /// A result that contains a secret was refused.
    #[serde(rename = "secret.refused")]
    Refused,
    /// A result that contains a secret was let through, by the namespace's policy.
    #[serde(rename = "secret.exposed")]
    Exposed,
    /// The policy of who may read what was replaced.
    #[serde(rename = "secret.policy.changed")]
    PolicyChanged,
    /// Events of a worker were not taken, as it has used its share of the trail: it keeps them.
    #[serde(rename = "audit.deferred")]
    Deferred,
    /// What the coordinator logs was changed while it runs.
    #[serde(rename = "log.changed")]
    LogChanged,
    /// A configuration file was read, at the start or anew; or could not be.
    #[serde(rename = "configuration.changed")]
    ConfigurationChanged,
    /// A worker was let in.
    #[serde(rename = "worker.admitted")]
    WorkerAdmitted,
    /// A worker that has the key was not let in.
    #[serde(rename = "worker.refused")]
    WorkerRefused,
    /// A worker drains: it takes no more tasks, and ends when those that it has are done.
    #[serde(rename = "worker.draining")]
    WorkerDraining,
    /// A worker is gone: it said so, or was not heard any more.
    #[serde(rename = "worker.left")]
    WorkerLeft,
    /// A schedule was paused, resumed, triggered or made up for.
    #[serde(rename = "schedule.changed")]
    ScheduleChanged,
    /// A version of a workflow was deployed, replaced, retired, restored or deleted; with the
    /// digest of its text before and after.
    #[serde(rename = "definition.changed")]
    DefinitionChanged,
    /// A function was published to the default catalog.
    #[serde(rename = "function.published")]
    FunctionPublished,
    /// An instance was started by a request.
    #[serde(rename = "instance.started")]
    InstanceStarted,
    /// An instance was cancelled, suspended or resumed.
    #[serde(rename = "instance.changed")]
    InstanceChanged,
    /// An instance was deleted.
    #[serde(rename = "instance.deleted")]
    InstanceDeleted,
    /// A bulk job was begun, paused, resumed or ended.
    #[serde(rename = "bulk.changed")]
    BulkChanged,
    /// A webhook was made, changed or deleted.
    #[serde(rename = "webhook.changed")]
    WebhookChanged,
    /// Starts of a workflow or a namespace were suspended or resumed.
    #[serde(rename = "starts.changed")]
    StartsChanged,
    /// Events were published by a request.
    #[serde(rename = "events.published")]
    EventsPublished,
    /// A token of the server's own was made.
    #[serde(rename = "token.created")]
    TokenCreated,
    /// A token of the server's own was revoked.
    #[serde(rename = "token.revoked")]
    TokenRevoked,
    /// What says who may do what was read anew.
    #[serde(rename = "access.changed")]
    AccessChanged,
    /// Somebody showed a token or a certificate that is not taken.
    #[serde(rename = "access.failed")]
    AuthenticationFailed,
    /// Somebody may not do what they asked for.
    #[serde(rename = "access.denied")]
    AccessDenied,
    /// A backup was taken.
    #[serde(rename = "backup.taken")]
    BackupTaken,
    /// The coordinator was restored from a backup.
    #[serde(rename = "backup.restored")]
    BackupRestored,
    /// A leader of a cluster was told to hand over to another coordinator.
    #[serde(rename = "cluster.moved")]
    LeadershipMoved,
    /// A call of a task was refused by the egress policy of its worker.
    #[serde(rename = "egress.denied")]
    EgressDenied,
    /// A workflow was not deployed, because it names a secret it has no right to.
    #[serde(rename = "definition.refused")]
    DeploymentRefused,
}
