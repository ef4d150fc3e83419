//! Traces of instances: one an instance, however long it lives.
//!
//! Spans are told when they are over, from the facts that end them ([`Recorder`]); their ids are
//! functions of instance, visit and delivery, so that whoever tells one tells the same. `history`
//! tells those of an instance once more, or for the first time, from its journal.

mod delivery;
mod finish;
mod history;
mod notes;
mod passing;
mod pointer;
mod recorder;
mod visit;

pub(crate) use history::Teller;
pub(crate) use passing::Passing;
pub(crate) use pointer::Pointer;
pub(crate) use recorder::{Decided, Recorder};

use windlass_proto::trace::{TraceContext, TraceId, span_of_instance, trace_of};
use windlass_telemetry::{FinishedSpan, Sampler, Spans};

use crate::engine::Instance;

/// Which instances are recorded, and where their spans go. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tracer {
    spans: Spans,
    sampler: Sampler,
}

impl Tracer {
    /// Records what the sampler takes.
    #[must_use]
    pub fn new(spans: Spans, sampler: Sampler) -> Self {
        Self { spans, sampler }
    }

    /// Whether an instance is recorded. Those that others have started are where the one at the top
    /// is, so that what the links between them lead to is there.
    pub(crate) fn records(&self, instance: &Instance) -> bool {
        let top = instance.parent.map_or(instance.id, |it| it.root());
        let trace = match (&instance.trace, instance.parent) {
            (Some(trace), None) => trace.trace_id,
            _ => trace_of(top),
        };
        self.sampler.is_sampled(trace, instance.trace.as_ref())
    }

    /// Whether instances that fault are told of although they were not recorded.
    pub(crate) fn tells_of_faults(&self) -> bool {
        self.sampler.tells_of_faults()
    }

    /// Takes spans that are over.
    pub(crate) fn record(&self, spans: Vec<FinishedSpan>) {
        spans.into_iter().for_each(|it| self.spans.record(it));
    }
}

/// The trace of an instance: its caller's, or one of its own. A child has one of its own.
pub(crate) fn trace_id(instance: &Instance) -> TraceId {
    match (&instance.trace, instance.parent) {
        (Some(trace), None) => trace.trace_id,
        _ => trace_of(instance.id),
    }
}

/// The context of an instance's first span.
fn context(instance: &Instance, sampled: bool) -> TraceContext {
    let caller = instance.trace.as_ref().filter(|_| instance.parent.is_none());
    TraceContext {
        trace_id: trace_id(instance),
        span_id: span_of_instance(instance.id),
        sampled,
        state: caller.and_then(|it| it.state.clone()),
    }
}
