//! The trace that a request belongs to, as W3C Trace Context has it.

use axum::http::{HeaderMap, HeaderValue};
use windlass_proto::trace::{TRACEPARENT, TRACESTATE, TraceContext};

/// The span of what a request has begun; with its answer.
#[derive(Clone)]
pub(super) struct Began(pub(super) TraceContext);

/// The trace of a request. One that cannot be read counts for none, as the standard wants it, and
/// so do two.
pub(super) fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
    // Several headers are one list.
    let states: Result<Vec<_>, _> =
        headers.get_all(TRACESTATE).iter().map(HeaderValue::to_str).collect();
    let state = states.ok().map(|it| it.join(","));
    TraceContext::parse(parent.to_str().ok()?, state.as_deref()).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::trace;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(all: &[(&'static str, &[u8])]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &[u8])| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
        };
        all.iter().map(header).collect()
    }

    #[test]
    fn one_traceparent_is_read_with_all_its_states() {
        let parent = ("traceparent", PARENT.as_bytes());
        let read = trace(&headers(&[parent, ("tracestate", b"a=1"), ("tracestate", b"b=2")]));
        assert_eq!(read.unwrap().state.as_deref(), Some("a=1,b=2"));
        // A part that cannot be read makes a state of none, and no trace of less.
        let read = trace(&headers(&[parent, ("tracestate", b"a=1"), ("tracestate", b"b=\xff")]));
        assert_eq!(read.unwrap().state, None);
        assert_eq!(trace(&headers(&[parent, parent])), None, "which of them?");
        assert_eq!(trace(&headers(&[("tracestate", b"a=1")])), None);
        assert_eq!(trace(&headers(&[("traceparent", b"\xff")])), None);
    }
}
