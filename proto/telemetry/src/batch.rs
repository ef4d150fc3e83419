//! Queues of spans and log records before their export, which count what finds no room.
//!
//! The SDK's own queues drop in silence; so how many wait is counted outside of them, and none is
//! handed over for which there is no room.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::logs::{Logger as _, LoggerProvider as _};
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{BatchLogProcessor, LogProcessor, SdkLogRecord, SdkLoggerProvider};
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanProcessor};

use windlass_proto::time::Timestamp;

use crate::acknowledged::{Listener, Owed, ended_at, is_ours};
use crate::counts::TelemetryCounts;
use crate::settings::Batching;
use crate::{names, record, shorten};

/// Spans before their export.
#[derive(Clone, Debug)]
pub(crate) struct SpanQueue {
    // Set once, before the first clone: the resource.
    processor: Arc<BatchSpanProcessor>,
    counts: Arc<TelemetryCounts>,
    bound: u64,
    /// Who wants to know of the end.
    ends: Arc<OnceLock<Listener>>,
    owed: Arc<Owed>,
}

/// Log records before their export.
#[derive(Debug)]
pub(crate) struct LogQueue {
    processor: BatchLogProcessor,
    /// A record without content: the SDK makes none but through a logger.
    blank: SdkLogRecord,
    counts: Arc<TelemetryCounts>,
    bound: u64,
}

impl SpanQueue {
    pub(crate) fn new(
        exporter: impl opentelemetry_sdk::trace::SpanExporter + 'static,
        batching: Batching,
        resource: &Resource,
        counts: Arc<TelemetryCounts>,
    ) -> Self {
        let config = opentelemetry_sdk::trace::BatchConfigBuilder::default()
            .with_max_queue_size(batching.queue)
            .with_max_export_batch_size(batching.export)
            .with_scheduled_delay(batching.delay)
            .build();
        let mut processor = BatchSpanProcessor::new(exporter, config);
        processor.set_resource(resource);
        counts.traces.set_bound(batching.queue as u64);
        let (processor, bound) = (Arc::new(processor), batching.queue as u64);
        Self { processor, counts, bound, ends: Arc::default(), owed: Arc::default() }
    }

    /// Says who wants to know of the end. Only the first counts.
    pub(crate) fn tell_end(&self, to: Listener) {
        let _ = self.ends.set(to);
    }

    /// Takes a span that is over, if there is room.
    pub(crate) fn push(&self, mut span: SpanData) {
        if self.counts.traces.enter(self.bound) {
            shorten::span(&mut span);
            // A clock that was set back makes no span of negative length.
            span.end_time = span.end_time.max(span.start_time);
            self.processor.on_end(span);
        } else if is_ours(&span) {
            self.owed.note(ended_at(&span));
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

    /// Exports what waits, and takes nothing more. Blocks, at most for `within`.
    pub(crate) fn close(&self, within: Duration) -> OTelSdkResult {
        self.counts.traces.close();
        let failed = self.counts.traces.totals().failed;
        let closed = self.processor.shutdown_with_timeout(within);
        let after = self.counts.traces.totals();
        if let Some(listener) = self.ends.get() {
            let has_rest = closed.is_ok() && after.queued == 0 && after.failed == failed;
            // What found no room is told after the next start, like what was lost with a crash; of
            // what was not taken in the end nobody knows when it ended.
            listener.ended(if has_rest { self.owed.since() } else { Some(Timestamp(0)) });
        }
        closed
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
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.close(timeout)
    }
}

impl LogQueue {
    pub(crate) fn new(
        exporter: impl opentelemetry_sdk::logs::LogExporter + 'static,
        batching: Batching,
        counts: Arc<TelemetryCounts>,
    ) -> Self {
        let config = opentelemetry_sdk::logs::BatchConfigBuilder::default()
            .with_max_queue_size(batching.queue)
            .with_max_export_batch_size(batching.export)
            .with_scheduled_delay(batching.delay)
            .build();
        let processor = BatchLogProcessor::builder(exporter).with_batch_config(config).build();
        counts.logs.set_bound(batching.queue as u64);
        let blank = SdkLoggerProvider::builder().build().logger(names::SCOPE).create_log_record();
        Self { processor, blank, counts, bound: batching.queue as u64 }
    }
}

impl LogProcessor for LogQueue {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.counts.logs.enter(self.bound) {
            record::complete(record);
            shorten::record(record, &self.blank);
            self.processor.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.counts.logs.close();
        self.processor.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, SystemTime};

    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::{InMemorySpanExporterBuilder, SpanProcessor as _};
    use windlass_proto::time::Timestamp;
    use windlass_proto::trace::SpanId;

    use super::SpanQueue;
    use crate::acknowledged::{Acknowledged, Listener};
    use crate::counts::TelemetryCounts;
    use crate::settings::Batching;
    use crate::span::Spans;
    use crate::testing::finished_span;

    /// As the SDK makes them where the clock was set back meanwhile.
    #[test]
    fn no_span_ends_before_it_began() {
        let exporter = InMemorySpanExporterBuilder::new().build();
        let batching = Batching { queue: 8, export: 8, delay: Duration::from_secs(60) };
        let queue = SpanQueue::new(
            exporter.clone(),
            batching,
            &Resource::builder().build(),
            Arc::default(),
        );
        let began = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let mut span = crate::testing::span();
        (span.start_time, span.end_time) = (began, began - Duration::from_secs(50));
        queue.on_end(span);
        assert!(queue.force_flush().is_ok());
        let spans = exporter.get_finished_spans().unwrap_or_default();
        let times: Vec<_> = spans.iter().map(|it| (it.start_time, it.end_time)).collect();
        assert_eq!(times, [(began, began)]);
    }
    /// What was said to be owed at the end.
    #[derive(Debug, Default)]
    struct Heard(Mutex<Vec<Option<Timestamp>>>);

    impl Acknowledged for Heard {
        fn acknowledged(&self, _: &[(SpanId, Timestamp)]) {}

        fn ended(&self, owed: Option<Timestamp>) {
            self.0.lock().unwrap().push(owed);
        }
    }

    #[test]
    fn what_found_no_room_is_owed_since_the_first_of_it_ended() {
        type Fill = fn(&Spans, &SpanQueue);
        let cases: [(&str, Fill, Option<u64>); 5] = [
            ("nothing is", |_, _| (), None),
            (
                "some is",
                |it, _| [90, 50, 70].into_iter().for_each(|end| it.record(finished_span(1, end))),
                Some(50),
            ),
            ("nobody tells a worker's again", |_, it| it.push(crate::testing::span()), None),
            ("what cannot be read is not told later", |it, _| it.untold(), None),
            ("what was left is of any time", |it, _| it.missed(), Some(0)),
        ];
        for (what, fill, owed) in cases {
            let counts = Arc::<TelemetryCounts>::default();
            let exporter = InMemorySpanExporterBuilder::new().build();
            let batching = Batching { queue: 1, export: 1, delay: Duration::from_secs(60) };
            let resource = Resource::builder().build();
            let queue = SpanQueue::new(exporter, batching, &resource, counts.clone());
            let spans = Spans::new(queue.clone(), Listener::default());
            let heard = Arc::<Heard>::default();
            spans.acknowledge(heard.clone());
            // Another one waits meanwhile.
            assert!(counts.traces.enter(1));
            fill(&spans, &queue);
            counts.traces.leave(1);
            assert!(queue.close(Duration::from_secs(60)).is_ok());
            assert_eq!(*heard.0.lock().unwrap(), [owed.map(Timestamp)], "{what}");
        }
    }
}
