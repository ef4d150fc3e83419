//! Telling what is done with secrets.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;
use windlass_proto::audit::{AuditAction, AuditEvent, AuditTask};
use windlass_proto::time::Timestamp;
use windlass_proto::wire::Assignment;

/// Takes audit events to where they are kept. Must not block.
pub trait AuditSink: Send + Sync {
    /// Takes one event.
    fn record(&self, event: AuditEvent);

    /// False when so many events wait to be kept that nothing more should be done with secrets.
    fn has_room(&self) -> bool {
        true
    }
}

/// Keeps nothing.
pub(crate) struct NoAudit;

impl AuditSink for NoAudit {
    fn record(&self, _event: AuditEvent) {}
}

/// Tells what one attempt does.
#[derive(Clone)]
pub struct AttemptAudit {
    sink: Arc<dyn AuditSink>,
    task: AuditTask,
    environment: Option<Arc<str>>,
    traceparent: Option<Arc<str>>,
}

impl AttemptAudit {
    /// Tells `sink` of what the attempt at `assignment` does.
    #[must_use]
    pub fn new(sink: Arc<dyn AuditSink>, assignment: &Assignment) -> Self {
        let task = AuditTask {
            workflow: assignment.workflow.clone(),
            instance: assignment.key.instance,
            task: assignment.reference.clone(),
            visit: assignment.visit,
            delivery: assignment.key.delivery,
        };
        let environment = assignment.grant.as_ref().map(|grant| grant.environment.clone());
        Self { sink, task, environment, traceparent: assignment.traceparent.clone() }
    }

    /// False when nothing more should be done with secrets: see [`AuditSink::has_room`].
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.sink.has_room()
    }

    /// Tells that `action` was done, or was not; `more` adds what is known of it.
    pub fn tell(&self, action: AuditAction, success: bool, more: impl FnOnce(&mut AuditEvent)) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut event = AuditEvent {
            id: Uuid::now_v7(),
            at: Timestamp(u64::try_from(at.as_millis()).unwrap_or(u64::MAX)),
            action,
            success,
            task: Some(self.task.clone()),
            worker: None,
            secret: None,
            version: None,
            environment: self.environment.clone(),
            lease: None,
            request: None,
            traceparent: self.traceparent.clone(),
            detail: None,
        };
        more(&mut event);
        self.sink.record(event);
    }
}
