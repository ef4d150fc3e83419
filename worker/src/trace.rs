//! Spans of what a worker does for a delivery, and the trace context that goes out with it.
//!
//! ```text
//!  deliver (the coordinator's) ── attempt ─┬─ intake      waits for room in the audit trail
//!                                          ├─ lease       reads one secret
//!                                          ├─ call ─┬─ GET, POST, …          one request each
//!                                          │        ├─ package.Service/Method  one call by gRPC
//!                                          │        └─ send, receive …   one exchange of messages
//!                                          ├─ expression, open, seal
//!                                          └─ report      waits to be sent
//! ```
//!
//! They are `tracing` spans, which `tracing-opentelemetry` exports where the process has that
//! layer; the subscriber tells them by [`TRACE_TARGET`]. Without it, or where the trace is not
//! sampled, none is made, and what came as trace context goes out as it is.
//!
//! **Invariant:** all that spans say is in this file, `trace/http`, `trace/messaging` and
//! `trace/rpc`: no body, query, user info, value of a header, expression, value of a secret or
//! answer of a store.

mod context;
mod http;
mod messaging;
mod rpc;

use std::future::Future;
use std::pin::Pin;

use futures_util::future::{Either, FutureExt as _};
use opentelemetry::Context;
use opentelemetry::context::FutureExt as _;
use tokio::time::error::Elapsed;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::wire::{Assignment, Work};

pub(crate) use context::{current_traced, current_traceparent, inject};
pub(crate) use http::{HttpSpan, address};
pub(crate) use messaging::{Destination, Messaging, MessagingSpan};
pub(crate) use rpc::RpcSpan;

use crate::secret_store::SecretError;

/// The target of the spans of this crate.
pub const TRACE_TARGET: &str = "windlass_worker::trace";

/// A number as backends can compare it: unsigned ones arrive as texts.
fn int(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// A span, or the trace context that is in its place where none is made. Cheap to clone; the span
/// ends with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Traced {
    span: Span,
    /// What came with the delivery, where no span is made of it.
    context: Option<Context>,
}

impl Traced {
    /// The attempt at a delivery by `worker`, as the fleet knows it, where its trace is sampled and
    /// somebody takes spans.
    pub(crate) fn attempt(assignment: &Assignment, worker: Option<&str>) -> Self {
        let state = assignment.tracestate.as_deref();
        let remote = assignment.traceparent.as_deref().and_then(|it| context::remote(it, state));
        let Some(remote) = remote else {
            return Self { span: Span::none(), context: None };
        };
        if context::is_sampled(&remote) {
            let span = attempt_span(assignment, worker);
            // An error means that nobody exports spans here.
            if !span.is_disabled() && span.set_parent(remote.clone()).is_ok() {
                return Self { span, context: None };
            }
        }
        Self { span: Span::none(), context: Some(remote) }
    }

    /// Does `work` within it.
    pub(crate) fn follow<'a, F: Future>(
        &self,
        work: Pin<&'a mut F>,
    ) -> impl Future<Output = F::Output> + use<'a, F> {
        match &self.context {
            Some(context) => Either::Left(Either::Left(work.with_context(context.clone()))),
            None if self.span.is_none() => Either::Right(work),
            None => Either::Left(Either::Right(work.instrument(self.span.clone()))),
        }
    }

    /// Does `work` within it, at once.
    fn with<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.span.enter();
        work()
    }

    /// What came of it: of an error its type, and no more.
    pub(crate) fn ended<T>(self, result: &Result<T, Problem>) {
        if let Err(problem) = result {
            failed(&self.span, error_type(problem));
        }
    }

    /// The time in which a report of it waits to be sent.
    pub(crate) fn report(&self) -> Reporting {
        let span = self.with(|| child(|| tracing::info_span!(target: TRACE_TARGET, "report")));
        Reporting { span, attempt: self.clone() }
    }
}

/// A report that waits to be sent; its attempt lasts as long.
#[derive(Debug)]
pub(crate) struct Reporting {
    span: Span,
    attempt: Traced,
}

impl Reporting {
    /// Of what was not attempted.
    pub(crate) fn untraced() -> Self {
        let attempt = Traced { span: Span::none(), context: None };
        Self { span: Span::none(), attempt }
    }
}

impl Drop for Reporting {
    /// It is sent, or not wanted any more.
    fn drop(&mut self) {
        self.span = Span::none();
        // A span ends when it was left last.
        self.attempt.with(|| ());
    }
}

/// Does `work` within a span, which was made by [`child`].
fn within<T, E, F: Future<Output = Result<T, E>>>(
    span: Span,
    error: fn(&E) -> &'static str,
    work: F,
) -> impl Future<Output = F::Output> {
    if span.is_none() {
        return Either::Right(work);
    }
    let ended = span.clone();
    Either::Left(work.instrument(span).inspect(move |result| {
        if let Err(why) = result {
            failed(&ended, error(why));
        }
    }))
}

/// Waiting for room in the audit trail, or until it takes too long.
pub(crate) fn intake<T>(
    work: impl Future<Output = Result<T, Elapsed>>,
) -> impl Future<Output = Result<T, Elapsed>> {
    let span = || {
        tracing::info_span!(target: TRACE_TARGET, "intake",
            error.type = Empty, otel.status_code = Empty)
    };
    within(child(span), |_| "timeout", work)
}

/// The call or run of a task of this `kind`.
pub(crate) fn call<T>(
    kind: &'static str,
    work: impl Future<Output = Result<T, Problem>>,
) -> impl Future<Output = Result<T, Problem>> {
    let span = || {
        tracing::info_span!(target: TRACE_TARGET, "call", windlass.call.kind = kind,
        error.type = Empty, otel.status_code = Empty)
    };
    within(child(span), error_type, work)
}

/// Reading the secret of this name.
pub(crate) fn lease<T>(
    name: &str,
    work: impl Future<Output = Result<T, SecretError>>,
) -> impl Future<Output = Result<T, SecretError>> {
    let span = || {
        tracing::info_span!(target: TRACE_TARGET, "lease",
        windlass.secret.name = name, error.type = Empty, otel.status_code = Empty)
    };
    within(child(span), store_error, work)
}

/// Opening so many sealed values.
pub(crate) fn open<T>(
    values: usize,
    work: impl Future<Output = Result<T, Problem>>,
) -> impl Future<Output = Result<T, Problem>> {
    let span = || {
        tracing::info_span!(target: TRACE_TARGET, "open",
        windlass.sealed.values = int(values), error.type = Empty, otel.status_code = Empty)
    };
    within(child(span), error_type, work)
}

/// Sealing so many values.
pub(crate) fn seal<T>(
    values: usize,
    work: impl Future<Output = Result<T, Problem>>,
) -> impl Future<Output = Result<T, Problem>> {
    let span = || {
        tracing::info_span!(target: TRACE_TARGET, "seal",
        windlass.sealed.values = int(values), error.type = Empty, otel.status_code = Empty)
    };
    within(child(span), error_type, work)
}

/// Evaluating one expression, or one text or structure with several in it.
pub(crate) fn expression<T>(work: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    let span = child(|| {
        tracing::info_span!(target: TRACE_TARGET, "expression",
        error.type = Empty, otel.status_code = Empty)
    });
    let result = Traced { span: span.clone(), context: None }.with(work);
    if let Err(problem) = &result {
        failed(&span, error_type(problem));
    }
    result
}

/// True inside a traced attempt.
pub(crate) fn is_traced() -> bool {
    Span::current().metadata().is_some_and(|it| it.target() == TRACE_TARGET)
}

/// A span inside a traced attempt; none elsewhere.
fn child(span: impl FnOnce() -> Span) -> Span {
    if is_traced() { span() } else { Span::none() }
}

fn failed(span: &Span, kind: &str) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", kind);
}

fn attempt_span(assignment: &Assignment, worker: Option<&str>) -> Span {
    let Assignment { workflow, key, reference, .. } = assignment;
    let task = reference.rsplit('/').next().unwrap_or_default();
    // Of a JSON pointer.
    let task = &*task.replace("~1", "/").replace("~0", "~");
    tracing::info_span!(
        target: TRACE_TARGET,
        parent: None,
        "attempt",
        otel.name = format!("attempt {task}"),
        otel.kind = "consumer",
        windlass.instance.id = %key.instance,
        windlass.workflow.namespace = &*workflow.namespace,
        windlass.workflow.name = &*workflow.name,
        windlass.task.name = task,
        windlass.task.reference = &**reference,
        windlass.task.visit = int(key.frame.0),
        windlass.delivery = int(key.delivery),
        windlass.worker = worker,
        windlass.work = match assignment.work {
            Work::Perform => "perform",
            Work::Evaluate(_) => "evaluate",
        },
        error.type = Empty,
        otel.status_code = Empty,
    )
}

/// The type of an error: of the standard ones the last part, as others may hold anything.
fn error_type(problem: &Problem) -> &'static str {
    Standard::parse(&problem.kind).map_or("_OTHER", Standard::suffix)
}

fn store_error(error: &SecretError) -> &'static str {
    match error {
        SecretError::Missing => "missing",
        SecretError::Forbidden => "forbidden",
        SecretError::LoginRefused => "login_refused",
        SecretError::Unavailable(_) => "unavailable",
        SecretError::Refused(_) => "refused",
        SecretError::OtherKey(_) => "other_key",
    }
}

#[cfg(test)]
mod tests;
