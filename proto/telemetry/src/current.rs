//! The trace that what is done now belongs to, for whoever writes something down meanwhile.

use std::future::{Future, poll_fn};
use std::pin::pin;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceFlags, TraceState};
use windlass_proto::trace::{SpanId, TraceContext, TraceId};

/// Does `work` for `trace`, if it is for one.
pub async fn within<T>(trace: Option<&TraceContext>, work: impl Future<Output = T>) -> T {
    let Some(trace) = trace else { return work.await };
    let flags = if trace.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (id, span) = (trace.trace_id.number().into(), trace.span_id.number().into());
    let span = SpanContext::new(id, span, flags, true, TraceState::NONE);
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
        context.is_valid().then(|| TraceContext {
            trace_id: TraceId::new(u128::from_be_bytes(context.trace_id().to_bytes())),
            span_id: SpanId::new(u64::from_be_bytes(context.span_id().to_bytes())),
            sampled: context.is_sampled(),
            state: None,
        })
    })
}

#[cfg(test)]
mod tests {
    use std::future::{Future as _, ready};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use windlass_proto::trace::TraceContext;

    use super::{current, within};

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
