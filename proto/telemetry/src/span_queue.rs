//! Spans before their export, and the thread that exports them.

use std::io;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::runtime::Handle;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use crate::acknowledged::{Listener, Owed, ended_at, is_ours};
use crate::counts::TelemetryCounts;
use crate::settings::Batching;
use crate::shorten;
use crate::span_batch::Batches;
use crate::span_exporter::SpanExporter;

/// Spans before their export. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct SpanQueue {
    waiting: Arc<Waiting>,
    counts: Arc<TelemetryCounts>,
    bound: u64,
    /// Who wants to know which are taken, and of the end.
    told: Listener,
    /// True once somebody is told of the end.
    ends: Arc<OnceLock<()>>,
    owed: Arc<Owed>,
}

/// What waits; the thread ends with the last who may add to it.
#[derive(Debug)]
struct Waiting(Arc<Batches>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl SpanQueue {
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        exporter: SpanExporter,
        batching: Batching,
        runtime: Handle,
        counts: Arc<TelemetryCounts>,
        told: Listener,
    ) -> io::Result<Self> {
        let batches = Arc::new(Batches::new(batching));
        let of_thread = batches.clone();
        thread::Builder::new().name("spans".to_owned()).spawn(move || {
            // What is said of exports is not to be exported, and so on.
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            while let Some(batch) = of_thread.next() {
                runtime.block_on(exporter.export(batch));
            }
        })?;
        let bound = batching.queue as u64;
        counts.traces.set_bound(bound);
        let (ends, owed) = (Arc::default(), Arc::default());
        Ok(Self { waiting: Arc::new(Waiting(batches)), counts, bound, told, ends, owed })
    }

    /// Takes a span that is over, if there is room.
    pub(crate) fn push(&self, mut span: SpanData) {
        if !self.counts.traces.enter(self.bound) {
            if is_ours(&span) {
                self.owed.note(ended_at(&span));
            }
            return;
        }
        shorten::span(&mut span);
        // A clock that was set back makes no span of negative length.
        span.end_time = span.end_time.max(span.start_time);
        if !self.waiting.0.push(&span, &self.told) {
            if is_ours(&span) {
                self.owed.note(ended_at(&span));
            }
            self.counts.traces.leave(1);
            self.counts.traces.miss();
        }
    }

    /// Counts as dropped what is not told now, and is owed.
    pub(crate) fn missed(&self) {
        self.counts.traces.miss();
        // It may be of any time.
        self.owed.note(Timestamp(0));
    }

    /// Counts as dropped what cannot be told, now or later.
    pub(crate) fn untold(&self) {
        self.counts.traces.miss();
    }

    /// Who wants to know which spans are taken, and of the end.
    pub(crate) fn told(&self) -> &Listener {
        &self.told
    }

    /// Exports what waits, and takes nothing more. Blocks, at most for `within`.
    pub(crate) fn close(&self, within: Duration) -> OTelSdkResult {
        self.counts.traces.close();
        let failed = self.counts.traces.totals().failed;
        let is_closed = self.waiting.0.close(within);
        let after = self.counts.traces.totals();
        if self.ends.set(()).is_ok() {
            let has_rest = is_closed && after.queued == 0 && after.failed == failed;
            // What found no room is told after the next start, like what was lost with a crash; of
            // what was not taken in the end nobody knows when it ended.
            self.told.ended(if has_rest { self.owed.since() } else { Some(Timestamp(0)) });
        }
        if is_closed { Ok(()) } else { Err(OTelSdkError::Timeout(within)) }
    }
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        let within = Duration::from_millis(limits::TELEMETRY_SHUTDOWN_MS);
        if self.waiting.0.flush(within) { Ok(()) } else { Err(OTelSdkError::Timeout(within)) }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.close(timeout)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
