//! What of an instance's trace goes to workers, children and in events.

use windlass_proto::id::FrameId;
use windlass_proto::trace::{
    SpanId, TraceContext, span_of_delivery, span_of_instance, span_of_visit,
};
use windlass_telemetry::Sampler;

use super::{ROOT, is_recorded, is_traced, trace_id};
use crate::engine::Instance;

/// What is passed on of the trace of an instance.
pub(crate) struct Passing<'p> {
    instance: &'p Instance,
    /// Whether it is recorded, where spans of ours stand in between; else what came is passed on as
    /// it came.
    recorded: Option<bool>,
}

impl<'p> Passing<'p> {
    /// Nothing where nobody traces and there was no caller who does: a context of ours that says it
    /// is not recorded would keep others from recording theirs.
    pub(crate) fn of(sampler: Option<Sampler>, instance: &'p Instance) -> Option<Self> {
        let recorded = sampler.map(|it| is_recorded(it, instance));
        (recorded.is_some() || instance.trace.is_some()).then_some(Self { instance, recorded })
    }

    /// The context of the instance.
    pub(crate) fn instance(&self) -> Option<TraceContext> {
        self.at(|id| span_of_instance(id.id))
    }

    /// The context for a worker that takes a delivery. Of a visit without a span it is that of the
    /// visit around, which is not recorded there: nor does the worker tell of what it does.
    pub(crate) fn delivery(&self, frame: FrameId, delivery: u32) -> Option<TraceContext> {
        if is_traced(frame) {
            return self.at(|it| span_of_delivery(it.id, frame, delivery));
        }
        let around = self.visit(frame)?;
        let sampled = around.sampled && self.recorded.is_none();
        Some(TraceContext { sampled, ..around })
    }

    /// The context of a visit, for an event that it emits: that of the nearest with a span.
    pub(crate) fn visit(&self, frame: FrameId) -> Option<TraceContext> {
        self.at(|it| span_around(it, frame))
    }

    /// The context for a child, where it does not follow from the ids of its parents: where a
    /// caller's trace is at the top of the chain of starts.
    pub(crate) fn child(&self, frame: FrameId) -> Option<TraceContext> {
        self.instance.trace.as_ref().and_then(|_| self.visit(frame))
    }

    fn at(&self, span: impl FnOnce(&Instance) -> SpanId) -> Option<TraceContext> {
        let Some(sampled) = self.recorded else { return self.instance.trace.clone() };
        let caller = self.instance.trace.as_ref().filter(|_| self.instance.parent.is_none());
        Some(TraceContext {
            trace_id: trace_id(self.instance),
            span_id: span(self.instance),
            sampled,
            random: caller.is_some_and(|it| it.random),
            state: caller.and_then(|it| it.state.clone()),
        })
    }
}

/// The span of a visit, or of the nearest around it that has one.
fn span_around(instance: &Instance, mut frame: FrameId) -> SpanId {
    while !is_traced(frame) {
        let around = instance.frames.get(&frame).map_or(ROOT, |it| it.parent);
        // A frame's number is greater than its parent's.
        frame = if around < frame { around } else { ROOT };
    }
    if frame == ROOT { span_of_instance(instance.id) } else { span_of_visit(instance.id, frame) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
