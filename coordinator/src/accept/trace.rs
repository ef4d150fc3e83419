//! The trace that a request belongs to, as W3C Trace Context has it.

use axum::http::HeaderMap;
use windlass_proto::trace::{TRACEPARENT, TRACESTATE, TraceContext};

/// The trace of a request. One that cannot be read counts for none, as the standard wants it.
pub(super) fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let parent = headers.get(TRACEPARENT)?.to_str().ok()?;
    // Several headers are one list.
    let states: Vec<_> =
        headers.get_all(TRACESTATE).iter().filter_map(|it| it.to_str().ok()).collect();
    TraceContext::parse(parent, Some(&states.join(","))).ok()
}
