//! The trace that what is done now belongs to, for whoever writes something down meanwhile.

use std::future::{Future, poll_fn};
use std::pin::pin;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceFlags, TraceState};
use windlass_proto::trace::{SpanId, TraceContext, TraceId, tracestate_members};

/// Does `work` for `trace`, if it is for one.
pub async fn within<T>(trace: Option<&TraceContext>, work: impl Future<Output = T>) -> T {
    let Some(trace) = trace else { return work.await };
    let span = span_context(&TraceContext { state: None, ..trace.clone() }, true);
    let context = Context::new().with_remote_span_context(span);
    let mut work = pin!(work);
    poll_fn(|task| {
        let _attached = context.clone().attach();
        work.as_mut().poll(task)
    })
    .await
}

/// The trace and the span that this is done for, where that is known.
#[must_use]
pub fn current() -> Option<TraceContext> {
    Context::map_current(|context| {
        let span = context.span();
        let context = span.span_context();
        context.is_valid().then(|| {
            TraceContext::of(
                TraceId::new(u128::from_be_bytes(context.trace_id().to_bytes())),
                SpanId::new(u64::from_be_bytes(context.span_id().to_bytes())),
                context.trace_flags().to_u8(),
            )
        })
    })
}

/// A context as the SDK has it; remote where another program has said it.
pub(crate) fn span_context(of: &TraceContext, is_remote: bool) -> SpanContext {
    let (trace, span) = (of.trace_id.number(), of.span_id.number());
    let state = of.state.as_deref().map_or(TraceState::NONE, vendors);
    SpanContext::new(trace.into(), span.into(), TraceFlags::new(of.flags()), is_remote, state)
}

/// What vendors have added. The SDK takes fewer keys than the standard has, and nothing of a list
/// with one that it does not take: only those are left out.
fn vendors(state: &str) -> TraceState {
    let is_taken = |it: &(&str, &str)| TraceState::from_key_value([*it]).is_ok();
    TraceState::from_key_value(tracestate_members(state).filter(is_taken)).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::{Future as _, ready};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use windlass_proto::trace::TraceContext;

    use super::{current, span_context, within};

    #[test]
    fn of_what_vendors_add_only_what_the_sdk_cannot_keep_is_missing() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03";
        let state = "a=1,t@xxxxxxxxxxxxxxxxxxxx=2,2b=3,a@b@c=4,d@e=5 6";
        let trace = TraceContext::parse(text, Some(state)).unwrap();
        assert_eq!(trace.state.as_deref(), Some(state), "all of it is valid");
        let context = span_context(&trace, true);
        assert_eq!(context.trace_state().header(), "a=1,2b=3,d@e=5 6");
        assert_eq!((context.trace_flags().to_u8(), context.is_remote()), (3, true));
    }

    #[test]
    fn what_is_done_for_a_trace_knows_it_and_nothing_after_it_does() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace: Option<TraceContext> = text.parse().ok();
        let mut known = pin!(within(trace.as_ref(), async { current() }));
        let known = known.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(known, Poll::Ready(trace.clone()));
        assert_eq!(current(), None);
        let mut none = pin!(within(None, ready(())));
        assert!(none.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}
