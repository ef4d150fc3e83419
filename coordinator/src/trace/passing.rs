//! What of an instance's trace goes to workers, children and in events.

use windlass_proto::id::FrameId;
use windlass_proto::trace::{TraceContext, span_of_delivery, span_of_visit};

use super::{Tracer, context};
use crate::engine::Instance;

/// What is passed on of the trace of an instance.
pub(crate) struct Passing {
    base: TraceContext,
    /// True where spans of ours stand in between; else what came is passed on as it came.
    recorded: bool,
    /// True where a caller's trace is at the top of the chain of starts.
    called: bool,
}

impl Passing {
    /// Nothing where nobody traces and there was no caller who does: a context of ours that says it
    /// is not recorded would keep others from recording theirs.
    pub(crate) fn of(tracer: Option<&Tracer>, instance: &Instance) -> Option<Self> {
        let called = instance.trace.is_some();
        match tracer {
            None => {
                let base = instance.trace.clone()?;
                Some(Self { base, recorded: false, called })
            }
            Some(tracer) => {
                let base = context(instance, tracer.records(instance));
                Some(Self { base, recorded: true, called })
            }
        }
    }

    /// The context of the instance.
    pub(crate) fn instance(self) -> TraceContext {
        self.base
    }

    /// The context for a worker that takes a delivery.
    pub(crate) fn delivery(&self, frame: FrameId, delivery: u32, of: &Instance) -> TraceContext {
        match self.recorded {
            true => self.base.at(span_of_delivery(of.id, frame, delivery)),
            false => self.base.clone(),
        }
    }

    /// The context of a visit, for an event that it emits.
    pub(crate) fn visit(&self, frame: FrameId, of: &Instance) -> TraceContext {
        match self.recorded {
            true => self.base.at(span_of_visit(of.id, frame)),
            false => self.base.clone(),
        }
    }

    /// The context for a child, where it does not follow from the ids of its parents.
    pub(crate) fn child(&self, frame: FrameId, of: &Instance) -> Option<TraceContext> {
        self.called.then(|| self.visit(frame, of))
    }
}
