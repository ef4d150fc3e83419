//! Who wants to know which spans a collector has taken.

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

    /// The process ends in order and tells nothing more; whether collectors have taken, or refused,
    /// all that waited.
    fn ended(&self, has_all: bool);
}

/// Who wants to know, if anybody.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listener(Arc<OnceLock<Arc<dyn Acknowledged>>>);

impl Listener {
    /// Only the first one counts.
    pub(crate) fn set(&self, wants: Arc<dyn Acknowledged>) {
        let _ = self.0.set(wants);
    }

    /// The exports are over.
    pub(crate) fn ended(&self, has_all: bool) {
        if let Some(wants) = self.0.get() {
            wants.ended(has_all);
        }
    }

    /// What is to be told of spans once they are taken.
    pub(crate) fn ids(&self, spans: &[SpanData]) -> Vec<(SpanId, Timestamp)> {
        if self.0.get().is_none() {
            return Vec::new();
        }
        let ours = spans.iter().filter(|it| it.instrumentation_scope.name() == names::SCOPE);
        ours.map(|it| {
            let id = u64::from_be_bytes(it.span_context.span_id().to_bytes());
            let end = it.end_time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            (SpanId::new(id), Timestamp(u64::try_from(end.as_millis()).unwrap_or(u64::MAX)))
        })
        .collect()
    }

    pub(crate) fn tell(&self, spans: &[(SpanId, Timestamp)]) {
        if let Some(wants) = self.0.get()
            && !spans.is_empty()
        {
            wants.acknowledged(spans);
        }
    }
}
