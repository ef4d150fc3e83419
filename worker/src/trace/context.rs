//! Trace contexts in and out of texts.

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use windlass_proto::metric::Traced;
use windlass_proto::trace::{self, TRACEPARENT, TRACESTATE, TraceContext, tracestate_members};

use crate::clock;

/// The context that a `traceparent` from elsewhere names, with the `tracestate` that came with it;
/// none of what cannot be read.
pub(super) fn remote(traceparent: &str, tracestate: Option<&str>) -> Option<Context> {
    let context = TraceContext::parse(traceparent, tracestate).ok()?;
    let flags = TraceFlags::new(context.flags());
    let (trace, span) = (context.trace_id.number(), context.span_id.number());
    let state = context.state.as_deref().map_or(TraceState::NONE, vendors);
    let span = SpanContext::new(TraceId::from(trace), SpanId::from(span), flags, true, state);
    Some(Context::new().with_remote_span_context(span))
}

/// What vendors have added, as far as the SDK takes it: it takes fewer keys than the standard has.
fn vendors(state: &str) -> TraceState {
    let is_taken = |it: &(&str, &str)| TraceState::from_key_value([*it]).is_ok();
    TraceState::from_key_value(tracestate_members(state).filter(is_taken)).unwrap_or_default()
}

pub(super) fn is_sampled(context: &Context) -> bool {
    context.span().span_context().is_sampled()
}

/// The `traceparent` of what is being done now, where that is known.
pub(crate) fn current_traceparent() -> Option<String> {
    Context::map_current(traceparent)
}

/// The span of what is being done now, where its trace is recorded.
pub(crate) fn current_traced() -> Option<Traced> {
    let context: TraceContext = current_traceparent()?.parse().ok()?;
    Traced::of(&context, clock::now())
}

/// Puts the context of `span` among `headers`, unless the author has put one there.
pub(crate) fn inject(span: &Span, headers: &mut HeaderMap) {
    let (parent, state) =
        (HeaderName::from_static(TRACEPARENT), HeaderName::from_static(TRACESTATE));
    if headers.contains_key(&parent) {
        return;
    }
    let context = span.context();
    let value = traceparent(&context).and_then(|it| HeaderValue::try_from(it).ok());
    if let Some(value) = value {
        headers.insert(parent, value);
        let vendors = context.span().span_context().trace_state().header();
        if let Some(value) = HeaderValue::try_from(vendors).ok().filter(|it| !it.is_empty()) {
            headers.entry(state).or_insert(value);
        }
    }
}

fn traceparent(context: &Context) -> Option<String> {
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| {
        let trace = trace::TraceId::new(u128::from_be_bytes(context.trace_id().to_bytes()));
        let span = trace::SpanId::new(u64::from_be_bytes(context.span_id().to_bytes()));
        TraceContext::of(trace, span, context.trace_flags().to_u8()).traceparent()
    })
}
