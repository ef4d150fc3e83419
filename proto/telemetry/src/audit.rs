//! Audit events as log records with an event name: a copy, beside the file that is the truth.

use std::time::{Duration, SystemTime};

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::trace::TraceFlags;
use opentelemetry::{Key, SpanId, TraceId};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};
use windlass_proto::audit::{AuditAction, AuditEvent, AuditTask};
use windlass_proto::trace::TraceContext;

use crate::names::{self, worker};

/// Tells a collector of audit events. What finds no room is counted among the log records that were
/// dropped.
#[derive(Clone, Debug)]
pub struct AuditRecords {
    logger: SdkLogger,
}

impl AuditRecords {
    /// Tells of them by `provider`.
    #[must_use]
    pub fn new(provider: &SdkLoggerProvider) -> Self {
        Self { logger: provider.logger("windlass.audit") }
    }

    /// Tells of an event that is kept. Never waits.
    pub fn tell(&self, event: &AuditEvent) {
        let mut record = self.logger.create_log_record();
        record.set_event_name(event_name(event.action));
        record.set_target("windlass.audit");
        record.set_timestamp(SystemTime::UNIX_EPOCH + Duration::from_millis(event.at.0));
        record.set_observed_timestamp(SystemTime::now());
        let severity = if event.success { Severity::Info } else { Severity::Warn };
        record.set_severity_number(severity);
        record.set_severity_text(severity.name());
        let context = event.traceparent.as_deref().and_then(|it| it.parse::<TraceContext>().ok());
        if let Some(context) = context {
            let flags = TraceFlags::new(context.flags());
            let (trace, span) = (context.trace_id.number(), context.span_id.number());
            record.set_trace_context(TraceId::from(trace), SpanId::from(span), Some(flags));
        }
        describe(event, &mut record);
        self.logger.emit(record);
    }
}

/// What is known of the event, which holds no secret, no path of a store and no output of a task.
fn describe(event: &AuditEvent, record: &mut SdkLogRecord) {
    let AuditEvent { id, success, task, secret, version, .. } = event;
    let AuditEvent { environment, lease, request, detail, .. } = event;
    let mut add = |key: &'static str, value: AnyValue| record.add_attribute(Key::new(key), value);
    add(worker::AUDIT_ID, id.to_string().into());
    add(worker::AUDIT_SUCCESS, (*success).into());
    if let Some(outcome) = event.outcome {
        add(worker::AUDIT_OUTCOME, outcome.word().into());
    }
    if let Some(intent) = event.intent {
        add(worker::AUDIT_INTENT, intent.to_string().into());
    }
    if let Some(AuditTask { workflow, instance, task, visit, delivery }) = task {
        add(names::INSTANCE_ID, instance.to_string().into());
        add(names::WORKFLOW_NAMESPACE, workflow.namespace.to_string().into());
        add(names::WORKFLOW_NAME, workflow.name.to_string().into());
        add(names::WORKFLOW_VERSION, workflow.version.to_string().into());
        add(names::TASK_REFERENCE, task.to_string().into());
        add(worker::AUDIT_VISIT, visit.to_string().into());
        add(names::DELIVERY, i64::from(*delivery).into());
    }
    let secret = secret.as_ref().map(|it| &it.0);
    for (key, value) in [
        (names::WORKER, &event.worker),
        (names::DEPLOYMENT_ENVIRONMENT_NAME, environment),
        (worker::SECRET_VERSION, version),
        (worker::LEASE, lease),
        (worker::STORE_REQUEST, request),
        (worker::CLIENT_ADDRESS, &event.address),
    ] {
        if let Some(value) = value {
            add(key, value.to_string().into());
        }
    }
    if let Some(actor) = &event.actor {
        add(worker::ACTOR_ISSUER, actor.issuer.to_string().into());
        add(worker::ACTOR_SUBJECT, actor.subject.to_string().into());
    }
    if let (Some(namespace), None) = (&event.namespace, task) {
        add(names::WORKFLOW_NAMESPACE, namespace.to_string().into());
    }
    if let Some(secret) = secret {
        add(worker::SECRET_NAME, secret.to_string().into());
    }
    if let Some(detail) = detail {
        record.set_body(detail.to_string().into());
    }
}

/// The name of the event: `windlass.` and what was done.
fn event_name(action: AuditAction) -> &'static str {
    match action {
        AuditAction::Login => "windlass.secret.login",
        AuditAction::Requested => "windlass.secret.requested",
        AuditAction::Granted => "windlass.secret.granted",
        AuditAction::Denied => "windlass.secret.denied",
        AuditAction::Renewed => "windlass.secret.lease.renewed",
        AuditAction::Revoked => "windlass.secret.lease.revoked",
        AuditAction::Expired => "windlass.secret.lease.expired",
        AuditAction::Sealed => "windlass.secret.sealed",
        AuditAction::Opened => "windlass.secret.opened",
        AuditAction::Refused => "windlass.secret.refused",
        AuditAction::Exposed => "windlass.secret.exposed",
        AuditAction::PolicyChanged => "windlass.secret.policy.changed",
        AuditAction::Deferred => "windlass.audit.deferred",
        AuditAction::LogChanged => "windlass.log.changed",
        AuditAction::ConfigurationChanged => "windlass.configuration.changed",
        AuditAction::WorkerAdmitted => "windlass.worker.admitted",
        AuditAction::WorkerRefused => "windlass.worker.refused",
        AuditAction::WorkerDraining => "windlass.worker.draining",
        AuditAction::WorkerLeft => "windlass.worker.left",
        AuditAction::ScheduleChanged => "windlass.schedule.changed",
        AuditAction::DefinitionChanged => "windlass.definition.changed",
        AuditAction::FunctionPublished => "windlass.function.published",
        AuditAction::InstanceStarted => "windlass.instance.started",
        AuditAction::InstanceChanged => "windlass.instance.changed",
        AuditAction::InstanceDeleted => "windlass.instance.deleted",
        AuditAction::BulkChanged => "windlass.bulk.changed",
        AuditAction::WebhookChanged => "windlass.webhook.changed",
        AuditAction::StartsChanged => "windlass.starts.changed",
        AuditAction::EventsPublished => "windlass.events.published",
        AuditAction::TokenCreated => "windlass.token.created",
        AuditAction::TokenRevoked => "windlass.token.revoked",
        AuditAction::AccessChanged => "windlass.access.changed",
        AuditAction::AuthenticationFailed => "windlass.access.failed",
        AuditAction::AccessDenied => "windlass.access.denied",
        AuditAction::BackupTaken => "windlass.backup.taken",
        AuditAction::BackupRestored => "windlass.backup.restored",
        AuditAction::LeadershipMoved => "windlass.cluster.moved",
        AuditAction::EgressDenied => "windlass.egress.denied",
        AuditAction::DeploymentRefused => "windlass.definition.refused",
    }
}

#[cfg(test)]
mod tests;
