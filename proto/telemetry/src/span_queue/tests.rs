use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span as WireSpan;
use opentelemetry_sdk::trace::SpanProcessor as _;
use prost::Message as _;
use tokio::runtime::Runtime;
use windlass_proto::time::Timestamp;
use windlass_proto::trace::SpanId;

use super::SpanQueue;
use crate::acknowledged::{Acknowledged, Listener};
use crate::counts::TelemetryCounts;
use crate::settings::Batching;
use crate::span::Spans;
use crate::span_exporter::{SpanExporter, SpanWay};
use crate::testing::{finished_span, span};
use crate::wire::Resource;

const LONG: Duration = Duration::from_secs(60);

/// What was said to be taken, and to be owed at the end.
#[derive(Debug, Default)]
struct Heard {
    taken: Mutex<usize>,
    owed: Mutex<Vec<Option<Timestamp>>>,
}

impl Acknowledged for Heard {
    fn acknowledged(&self, spans: &[(SpanId, Timestamp)]) {
        *self.taken.lock().unwrap() += spans.len();
    }

    fn ended(&self, owed: Option<Timestamp>) {
        self.owed.lock().unwrap().push(owed);
    }
}

/// A queue, and what it has exported.
struct Stage {
    queue: SpanQueue,
    spans: Spans,
    counts: Arc<TelemetryCounts>,
    heard: Arc<Heard>,
    exported: Receiver<Vec<u8>>,
    _runtime: Runtime,
}

impl Stage {
    fn new(queue: usize, export: usize, delay: Duration) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (counts, told) = (Arc::<TelemetryCounts>::default(), Listener::default());
        let (sender, exported) = channel();
        let (way, resource) = (SpanWay::Kept(sender), Resource::default());
        let exporter = SpanExporter::new(way, resource, counts.clone(), told.clone());
        let batching = Batching { queue, export, delay };
        let handle = runtime.handle().clone();
        let queue = SpanQueue::start(exporter, batching, handle, counts.clone(), told).unwrap();
        let spans = Spans::new(queue.clone());
        let heard = Arc::<Heard>::default();
        spans.acknowledge(heard.clone());
        Self { queue, spans, counts, heard, exported, _runtime: runtime }
    }

    /// The spans of each export so far.
    fn exports(&self) -> Vec<Vec<WireSpan>> {
        let spans = |body: Vec<u8>| {
            let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
            let scopes = request.resource_spans.into_iter().flat_map(|it| it.scope_spans);
            scopes.flat_map(|it| it.spans).collect()
        };
        self.exported.try_iter().map(spans).collect()
    }
}

/// As the SDK makes them where the clock was set back meanwhile.
#[test]
fn no_span_ends_before_it_began() {
    let stage = Stage::new(8, 8, LONG);
    let began = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
    let mut span = span();
    (span.start_time, span.end_time) = (began, began - Duration::from_secs(50));
    stage.queue.on_end(span);
    assert!(stage.queue.force_flush().is_ok());
    let exports = stage.exports();
    let times: Vec<_> =
        exports[0].iter().map(|it| (it.start_time_unix_nano, it.end_time_unix_nano)).collect();
    assert_eq!(times, [(100_000_000_000, 100_000_000_000)]);
}

#[test]
fn full_batches_leave_at_once_and_the_rest_at_the_end() {
    let stage = Stage::new(64, 4, LONG);
    (1..=10).for_each(|end| stage.spans.record(finished_span(1, end)));
    stage.queue.push(span());
    let first = stage.exported.recv_timeout(LONG).unwrap();
    assert_eq!(
        ExportTraceServiceRequest::decode(first.as_slice()).unwrap().resource_spans.len(),
        1
    );
    assert!(stage.queue.close(LONG).is_ok());
    let sizes: Vec<_> = stage.exports().iter().map(Vec::len).collect();
    assert_eq!(sizes, [4, 3]);
    let totals = stage.counts.traces.totals();
    assert_eq!((totals.exported, totals.queued, totals.dropped), (11, 0, 0));
    assert_eq!(*stage.heard.taken.lock().unwrap(), 10, "that of a worker is nobody's to tell");
    // Nothing is taken after the end, and that is counted.
    stage.queue.push(span());
    let totals = stage.counts.traces.totals();
    assert_eq!((totals.queued, totals.dropped), (0, 1));
    assert!(stage.queue.close(LONG).is_ok());
    assert_eq!(*stage.heard.owed.lock().unwrap(), [None], "the end is told once");
}

#[test]
fn fewer_than_a_batch_leave_after_the_delay() {
    let stage = Stage::new(64, 4, Duration::from_millis(1));
    for _ in 0..3 {
        stage.spans.record(finished_span(1, 2));
        assert!(!stage.exported.recv_timeout(LONG).unwrap().is_empty());
    }
}

#[test]
fn what_found_no_room_is_owed_since_the_first_of_it_ended() {
    type Fill = fn(&Stage);
    let cases: [(&str, Fill, Option<u64>); 5] = [
        ("nothing is", |_| (), None),
        (
            "some is",
            |it| [90, 50, 70].into_iter().for_each(|end| it.spans.record(finished_span(1, end))),
            Some(50),
        ),
        ("nobody tells a worker's again", |it| it.queue.push(span()), None),
        ("what cannot be read is not told later", |it| it.spans.untold(), None),
        ("what was left is of any time", |it| it.spans.missed(), Some(0)),
    ];
    for (what, fill, owed) in cases {
        let stage = Stage::new(1, 1, LONG);
        // Another one waits meanwhile.
        assert!(stage.counts.traces.enter(1));
        fill(&stage);
        stage.counts.traces.leave(1);
        assert!(stage.queue.close(LONG).is_ok());
        assert_eq!(*stage.heard.owed.lock().unwrap(), [owed.map(Timestamp)], "{what}");
    }
}
