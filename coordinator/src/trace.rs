//! Traces of instances: one an instance, however long it lives.
//!
//! Spans are told when they are over, from the facts that end them ([`Recorder`]); their ids are
//! functions of instance, visit and delivery, so that whoever tells one tells the same. [`Teller`]
//! tells those of an instance from its journal, once more or for the first time.

mod delivery;
mod finish;
mod history;
mod ledger;
mod lives;
mod notes;
mod passing;
mod pointer;
mod recorder;
mod teller;
mod visit;

use ledger::{Ledger, Told};
pub(crate) use passing::Passing;
pub(crate) use pointer::Pointer;
pub(crate) use recorder::{Decided, Recorder};
pub(crate) use teller::Teller;

use std::path::Path;
use std::sync::Arc;

use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::limits;
use windlass_proto::trace::{TraceId, trace_of};
use windlass_telemetry::{FinishedSpan, Sampler, Spans};

use crate::catalog::Catalog;
use crate::clock;
use crate::engine::Instance;
use crate::journal::{Journal, JournalError};
use history::History;

/// The frame of the instance itself.
const ROOT: FrameId = FrameId(0);

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

    /// Which instances are recorded.
    pub(crate) fn sampler(&self) -> Sampler {
        self.sampler
    }

    /// Starts what tells instances from their journal. Which spans a collector takes is kept in the
    /// data directory, and what an earlier process was kept from telling is told.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        self,
        data_dir: Option<&Path>,
        journal: &Arc<dyn Journal>,
        catalog: &Arc<Catalog>,
    ) -> Result<(Self, Teller), JournalError> {
        let began = clock::steady();
        let earlier =
            data_dir.and_then(|directory| match Ledger::open(directory, began, self.sampler) {
                Ok((ledger, told)) => {
                    self.spans.acknowledge(Arc::new(ledger));
                    Some(told)
                }
                Err(error) => {
                    let directory = directory.display();
                    tracing::warn!(%directory, %error, "what a crash loses will not be told again");
                    None
                }
            });
        let teller = Teller::start(self.clone(), journal.clone(), catalog.clone(), earlier)?;
        Ok((self, teller))
    }

    /// Takes note that this process records nothing, so that none tells of it later as if it had.
    pub(crate) fn off(data_dir: &Path) {
        ledger::off(data_dir, clock::steady());
    }

    /// Takes spans that are over.
    pub(crate) fn record(&self, spans: Vec<FinishedSpan>) {
        spans.into_iter().for_each(|it| self.spans.record(it));
    }
}

/// Whether an instance is recorded. Those that others have started are where the one at the top is,
/// so that what the links between them lead to is there.
pub(crate) fn is_recorded(sampler: Sampler, instance: &Instance) -> bool {
    let trace = match (&instance.trace, instance.parent) {
        (Some(trace), None) => trace.trace_id,
        (_, parent) => trace_of(parent.map_or(instance.id, |it| it.root())),
    };
    sampler.is_sampled(trace, instance.trace.as_ref())
}

/// The spans of an instance that are over, from its journal; none of one that is neither recorded
/// nor has faulted.
///
/// # Errors
/// When the journal cannot be read, or its facts do not belong there.
pub fn told(
    sampler: Sampler,
    journal: &dyn Journal,
    catalog: &Catalog,
    instance: InstanceId,
) -> Result<Vec<FinishedSpan>, JournalError> {
    History { sampler, journal, catalog }.spans(instance, None)
}

/// Whether a visit has a span: the first ones of an instance have.
pub(crate) fn is_traced(frame: FrameId) -> bool {
    frame.0 <= limits::SPANS_PER_INSTANCE
}

/// The trace of an instance: its caller's, or one of its own. A child has one of its own.
pub(crate) fn trace_id(instance: &Instance) -> TraceId {
    match (&instance.trace, instance.parent) {
        (Some(trace), None) => trace.trace_id,
        _ => trace_of(instance.id),
    }
}
