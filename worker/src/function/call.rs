//! What a function learns of its call beside its input.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use windlass_proto::id::{InstanceId, WorkflowId};
use windlass_proto::wire::Assignment;

use crate::trace::current_traceparent;

/// One call of a function. Cheap to clone.
#[derive(Clone)]
pub struct Call(Arc<Inner>);

struct Inner {
    workflow: WorkflowId,
    instance: InstanceId,
    reference: Arc<str>,
    visit: u64,
    deadline: Option<SystemTime>,
    traceparent: Option<Arc<str>>,
    tracestate: Option<Arc<str>>,
    cancelled: CancellationToken,
    begun: Instant,
    /// Milliseconds from `begun` to the last sign of life.
    beat: AtomicU64,
}

impl Call {
    pub(crate) fn new(assignment: &Assignment, cancelled: &CancellationToken) -> Self {
        let deadline = assignment.deadline.map(|it| UNIX_EPOCH + Duration::from_millis(it.0));
        Self(Arc::new(Inner {
            workflow: assignment.workflow.clone(),
            instance: assignment.key.instance,
            reference: assignment.reference.clone(),
            visit: assignment.visit,
            deadline,
            traceparent: current_traceparent().map(Arc::from).or(assignment.traceparent.clone()),
            tracestate: assignment.tracestate.clone(),
            cancelled: cancelled.child_token(),
            begun: Instant::now(),
            beat: AtomicU64::new(0),
        }))
    }

    /// The key to give to whoever receives a side effect, so that repeats can be told: the same for
    /// every attempt and delivery of this visit of the task.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        let Inner { instance, reference, visit, .. } = &*self.0;
        Assignment::idempotency_key_of(*instance, reference, *visit)
    }

    /// The workflow that calls.
    #[must_use]
    pub fn workflow(&self) -> &WorkflowId {
        &self.0.workflow
    }

    /// The run of the workflow.
    #[must_use]
    pub fn instance(&self) -> InstanceId {
        self.0.instance
    }

    /// JSON pointer of the task, such as `/do/0/charge`.
    #[must_use]
    pub fn reference(&self) -> &str {
        &self.0.reference
    }

    /// When the task's time is over, by this machine's clock; none for a task without a timeout,
    /// which has [`windlass_proto::limits::CALL_TIMEOUT_MS`]. The call is dropped then.
    #[must_use]
    pub fn deadline(&self) -> Option<SystemTime> {
        self.0.deadline
    }

    /// W3C trace context of this call, when there is one: what it does elsewhere belongs to it.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.0.traceparent.as_deref()
    }

    /// What vendors have added to that context, to be passed on with it.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.0.tracestate.as_deref()
    }

    /// Says that the handler makes progress; see [`super::Function::stall`].
    pub fn heartbeat(&self) {
        let since = self.0.begun.elapsed().as_millis();
        self.0.beat.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns when the result is not wanted any more: the task was cancelled or its time is over,
    /// the worker gives up, or the handler has ended or stalled. The handler itself is dropped
    /// then; this is for what it has begun elsewhere, such as threads and other tasks.
    pub async fn cancelled(&self) {
        self.0.cancelled.cancelled().await;
    }

    /// True once [`Call::cancelled`] would return.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.is_cancelled()
    }

    pub(super) fn token(&self) -> &CancellationToken {
        &self.0.cancelled
    }

    /// When it last gave a sign of life; its beginning is one.
    pub(super) fn last_beat(&self) -> Instant {
        self.0.begun + Duration::from_millis(self.0.beat.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("workflow", &self.0.workflow)
            .field("instance", &self.0.instance)
            .field("reference", &self.0.reference)
            .field("deadline", &self.0.deadline)
            .finish_non_exhaustive()
    }
}
