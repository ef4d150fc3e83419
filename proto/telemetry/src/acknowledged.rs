//! Who wants to know which spans a collector has taken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use opentelemetry_sdk::trace::SpanData;
use windlass_proto::time::Timestamp;
use windlass_proto::trace::SpanId;

use crate::names;

/// Wants to know which of the spans that were handed over by [`crate::Spans`] a collector has
/// taken.
pub trait Acknowledged: std::fmt::Debug + Send + Sync {
    /// A collector has taken these: their ids, and when they ended. Called on the thread that
    /// exports, one export at a time.
    fn acknowledged(&self, spans: &[(SpanId, Timestamp)]);

    /// The process ends in order and tells nothing more. What is owed to collectors ended at this
    /// time or later; none where they have taken, or refused, all.
    fn ended(&self, owed: Option<Timestamp>);
}

/// True for a span that was handed over by [`crate::Spans`]: whoever did can tell it again.
pub(crate) fn is_ours(span: &SpanData) -> bool {
    span.instrumentation_scope.name() == names::SCOPE
}

/// When a span ended.
pub(crate) fn ended_at(span: &SpanData) -> Timestamp {
    let end = span.end_time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(end.as_millis()).unwrap_or(u64::MAX))
}

/// Since when what ended is owed to collectors: what found no room, and who handed it over can tell
/// again.
#[derive(Debug)]
pub(crate) struct Owed(AtomicU64);

impl Default for Owed {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl Owed {
    /// Something that ended then is owed.
    pub(crate) fn note(&self, ended: Timestamp) {
        self.0.fetch_min(ended.0, Ordering::Relaxed);
    }

    /// The earliest end of what is; none where nothing is.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        let since = self.0.load(Ordering::Relaxed);
        (since < u64::MAX).then_some(Timestamp(since))
    }
}

/// Who wants to know, if anybody.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listener(Arc<OnceLock<Arc<dyn Acknowledged>>>);

impl Listener {
    /// Only the first one counts.
    pub(crate) fn set(&self, wants: Arc<dyn Acknowledged>) {
        let _ = self.0.set(wants);
    }

    /// The exports are over; what is owed ended at this time or later.
    pub(crate) fn ended(&self, owed: Option<Timestamp>) {
        if let Some(wants) = self.0.get() {
            wants.ended(owed);
        }
    }

    /// What is to be told of a span once it is taken, if anything.
    pub(crate) fn id(&self, span: &SpanData) -> Option<(SpanId, Timestamp)> {
        let is_told = self.0.get().is_some() && is_ours(span);
        let id = || u64::from_be_bytes(span.span_context.span_id().to_bytes());
        is_told.then(|| (SpanId::new(id()), ended_at(span)))
    }

    pub(crate) fn tell(&self, spans: &[(SpanId, Timestamp)]) {
        if let Some(wants) = self.0.get()
            && !spans.is_empty()
        {
            wants.acknowledged(spans);
        }
    }
}
