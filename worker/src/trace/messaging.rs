//! The span of one exchange with a broker or over WebSocket, by OpenTelemetry's conventions for
//! messaging.

use reqwest::header::HeaderMap;
use tracing::Span;
use tracing::field::Empty;
use windlass_proto::problem::Problem;

use super::{TRACE_TARGET, child, error_type, failed, inject, int};

/// What is done to a destination.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Messaging {
    /// One message is sent.
    Send,
    /// Messages are taken as they come.
    Receive,
}

/// What is spoken to, and of what.
pub(crate) struct Destination<'a> {
    /// `nats`, `mqtt` and the like.
    pub(crate) system: &'static str,
    /// The address as a description has it, without what a call has filled in.
    pub(crate) template: &'a str,
    /// None where a secret is in it.
    pub(crate) host: Option<&'a str>,
    pub(crate) port: u16,
}

/// The span of one exchange; it ends when this is dropped.
pub(crate) struct MessagingSpan(Span);

impl MessagingSpan {
    pub(crate) fn new(what: Messaging, to: &Destination<'_>) -> Self {
        let (operation, kind) = match what {
            Messaging::Send => ("send", "producer"),
            Messaging::Receive => ("receive", "consumer"),
        };
        Self(child(|| {
            tracing::info_span!(
                target: TRACE_TARGET,
                "messaging",
                otel.name = format!("{operation} {}", to.template),
                otel.kind = kind,
                messaging.system = to.system,
                messaging.operation.name = operation,
                messaging.operation.type = operation,
                messaging.destination.template = to.template,
                messaging.batch.message_count = Empty,
                server.address = to.host,
                server.port = i64::from(to.port),
                error.type = Empty,
                otel.status_code = Empty,
            )
        }))
    }

    /// Puts its trace context among the headers of a message.
    pub(crate) fn inject(&self, headers: &mut HeaderMap) {
        if !self.0.is_disabled() {
            inject(&self.0, headers);
        }
    }

    /// So many messages have come.
    pub(crate) fn counted(&self, messages: usize) {
        self.0.record("messaging.batch.message_count", int(messages));
    }

    /// What came of it.
    pub(crate) fn ended<T>(&self, result: &Result<T, Problem>) {
        if let Err(problem) = result {
            failed(&self.0, error_type(problem));
        }
    }
}
