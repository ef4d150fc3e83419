//! What coordinator and worker say to each other.
//!
//! Here are the words ([`Assignment`], [`Report`]); below, how they travel: [`subject`] names the
//! places, [`key`] says who may speak, [`hello`] begins a session, [`session`] numbers and encrypts
//! it, [`message`] is what is said in one.

pub mod capability;
mod grant;
pub mod hello;
mod integer;
pub mod key;
pub mod message;
pub mod outcome;
pub mod packed;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod recorded;
pub mod session;
pub mod subject;
pub mod truncated;

pub use grant::{Grant, IdentityToken, Sealing};

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Digest, FrameId, InstanceId, PartitionId, WorkflowId};
use crate::plan::TaskIx;
use crate::problem::Problem;
use crate::secret::SecretUse;
use crate::time::Timestamp;
use crate::value::Value;

/// Which delivery of which attempt of which visit: a report must name the live one to be accepted.
///
/// Instance, frame, delivery and generation are what tells keys apart. Partition and epoch say
/// whose it was when it was sent: after a restart the same delivery, still held by a worker, is
/// known under a new epoch. The generation, in the upper half of the epoch, changes when a backup
/// is restored: what was sent after that backup was taken is another delivery under the same
/// number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AssignmentKey {
    /// The instance.
    pub instance: InstanceId,
    /// The visit of the task.
    #[serde(deserialize_with = "integer::frame")]
    pub frame: FrameId,
    /// The sending of it, counted from 1; grows when the assignment is sent again.
    #[serde(deserialize_with = "integer::integer")]
    pub delivery: u32,
    /// The partition that owns the instance.
    #[serde(deserialize_with = "integer::partition")]
    pub partition: PartitionId,
    /// The term of the partition's owner.
    #[serde(deserialize_with = "integer::integer")]
    pub epoch: u64,
}

/// Bits of an epoch below its generation: so many restarts does one have.
pub const GENERATION_SHIFT: u32 = 32;

impl AssignmentKey {
    /// Which of the copies of one journal has sent it: grows with each restore of a backup.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.epoch >> GENERATION_SHIFT
    }

    fn told_apart_by(&self) -> (InstanceId, FrameId, u32, u64) {
        (self.instance, self.frame, self.delivery, self.generation())
    }
}

impl PartialEq for AssignmentKey {
    fn eq(&self, other: &Self) -> bool {
        self.told_apart_by() == other.told_apart_by()
    }
}

impl Eq for AssignmentKey {}

impl Hash for AssignmentKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.told_apart_by().hash(state);
    }
}

/// A task for a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Assignment {
    /// Which delivery this is.
    pub key: AssignmentKey,
    /// The workflow the task belongs to.
    pub workflow: WorkflowId,
    /// The definition's digest: what the worker must have loaded.
    pub digest: Digest,
    /// The task.
    pub task: TaskIx,
    /// JSON pointer of the task, the call sites of functions included.
    pub reference: Arc<str>,
    /// Which visit of the task this is; the same for all attempts of an enclosing `try` and for all
    /// deliveries.
    pub visit: u64,
    /// What is asked for.
    pub work: Work,
    /// The task's raw input.
    pub input: Value,
    /// The variables the task's expressions name (see [`crate::plan::Task::variables`]), without
    /// secrets. `$input` and `$authorization` are the worker's to bind.
    pub variables: Vec<(Arc<str>, Value)>,
    /// What `now` means to the task's expressions.
    pub now: Timestamp,
    /// When the task's or the workflow's timeout ends it, whichever comes first.
    pub deadline: Option<Timestamp>,
    /// W3C trace context.
    pub traceparent: Option<Arc<str>>,
    /// What vendors have added to it, as the caller gave it; none without a `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<Arc<str>>,
    /// Which pool of workers must take it; `None` for [`crate::plan::DEFAULT_POOL`].
    pub pool: Option<Arc<str>>,
    /// The instance's priority, 0 to 9: among assignments that wait, the highest goes first.
    pub priority: u8,
    /// How many workers were lost while they held this visit.
    pub losses: u32,
    /// What it may do with secrets; added when it is sent to a worker, and only where it reaches a
    /// secret or carries a sealed value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Grant>,
}

impl Assignment {
    /// True when something in its input or its variables is sealed.
    #[must_use]
    pub fn has_sealed(&self) -> bool {
        self.input.has_sealed() || self.variables.iter().any(|(_, value)| value.has_sealed())
    }

    /// The key a side effect carries so that its receiver can tell repeats: stable over attempts
    /// and deliveries, new for every visit.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        Self::idempotency_key_of(self.key.instance, &self.reference, self.visit)
    }

    /// [`Self::idempotency_key`] from the parts it is made of.
    #[must_use]
    pub fn idempotency_key_of(instance: InstanceId, reference: &str, visit: u64) -> String {
        format!("{instance}{reference}/{visit:x}")
    }
}

/// What a worker is asked to do with a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Work {
    /// Perform it: input schema, `input.from`, the call or run, `output.as`, output schema.
    Perform,
    /// Evaluate one of its expressions, which names a secret or looks into a sealed value.
    Evaluate(Field),
}

/// An expression field that the coordinator cannot evaluate itself: it names a secret, or looks
/// into a sealed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Field {
    /// `if`
    Condition,
    /// `input.from`
    InputFrom,
    /// The task's own definition: the value of `set`, the event of `emit`, the items of `for`, …
    Definition,
    /// `output.as`
    OutputAs,
    /// `export.as`
    ExportAs,
}

/// What came of an assignment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Which delivery it answers.
    pub key: AssignmentKey,
    /// The transformed output, or the error.
    pub result: Result<Value, Problem>,
    /// The secrets that were read for it, each once per version.
    pub secrets: Vec<SecretUse>,
    /// Milliseconds for which whoever was asked does not want to be asked again.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
}

impl Report {
    /// A report of work that read no secret.
    #[must_use]
    pub fn new(key: AssignmentKey, result: Result<Value, Problem>) -> Self {
        Self { key, result, secrets: Vec::new(), retry_after_ms: None }
    }
}
