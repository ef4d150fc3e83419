//! What was counted is in the export, in the buckets that OTLP means.

use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::metrics::v1::{Metric, metric};
use opentelemetry_proto::tonic::resource::v1::Resource;
use windlass_proto::metric::table::{instances, journal};
use windlass_proto::metric::{Histogram, Snapshot, Traced};
use windlass_proto::time::Timestamp;

use super::Sender;

fn exported(snapshot: &Snapshot) -> Vec<Metric> {
    sent(snapshot, false)
}

fn sent(snapshot: &Snapshot, explicit_buckets: bool) -> Vec<Metric> {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let sender = Sender::new(Resource::default(), start, explicit_buckets);
    let mut export = sender.export(snapshot, start + Duration::from_secs(1));
    export.resource_metrics.remove(0).scope_metrics.remove(0).metrics
}

/// The bucket of an exponential histogram with exactly one measurement.
fn bounds(record: impl Fn(&Histogram)) -> (f64, f64) {
    let histogram = Histogram::of(&instances::DURATION);
    record(&histogram);
    let mut snapshot = Snapshot::default();
    snapshot.labelled(&instances::DURATION, ["shop", "order"], &histogram);
    let metric = exported(&snapshot).remove(0);
    let Some(metric::Data::ExponentialHistogram(data)) = metric.data else { panic!("{metric:?}") };
    let point = &data.data_points[0];
    let buckets = point.positive.as_ref().unwrap();
    assert_eq!((point.count, point.zero_count), (1, 0));
    let at = buckets.bucket_counts.iter().position(|it| *it == 1).unwrap();
    assert_eq!(buckets.bucket_counts.iter().sum::<u64>(), 1);
    let index = buckets.offset + i32::try_from(at).unwrap();
    let base = f64::exp2(f64::exp2(f64::from(-point.scale)));
    (base.powi(index), base.powi(index + 1))
}

#[test]
fn measurements_are_between_the_bounds_of_their_buckets() {
    for milliseconds in [1, 3, 240, 1_001, 59_999, 86_400_001] {
        let (above, to) = bounds(|it| it.milliseconds(milliseconds));
        let seconds = Duration::from_millis(milliseconds).as_secs_f64();
        assert!(above < seconds && seconds <= to, "{seconds} in {above}..{to}");
        assert!(to / above < 1.2, "a bucket is no wider than a fifth");
    }
    // What is beyond all buckets is in the last one.
    let (_, to) = bounds(|it| it.milliseconds(u64::MAX));
    assert!((to / f64::exp2(22.0) - 1.0).abs() < 1e-9, "{to}");
}

#[test]
fn counters_gauges_labels_units_and_exemplars_are_there() {
    let histogram = Histogram::of(&instances::DURATION);
    let traced = Traced { trace: 0xab, span: 0xc, at: Timestamp(1_500) };
    histogram.traced_milliseconds(250, Some(traced));
    let mut snapshot = Snapshot::default();
    snapshot.labelled(&instances::STARTED, ["shop", "order"], 7_u64);
    snapshot.add(&journal::FREE, 42_u64);
    snapshot.labelled(&instances::DURATION, ["shop", "order"], &histogram);
    let metrics = exported(&snapshot);
    let named: Vec<_> = metrics.iter().map(|it| (&*it.name, &*it.unit)).collect();
    assert_eq!(
        named,
        [
            ("windlass_instances_started_total", ""),
            ("windlass_journal_disk_free_bytes", "By"),
            ("windlass_instance_duration_seconds", "s"),
        ]
    );
    let Some(metric::Data::Sum(sum)) = &metrics[0].data else { panic!("{metrics:?}") };
    assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
    let point = &sum.data_points[0];
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1_000_000_000, 2_000_000_000));
    let keys: Vec<_> = point.attributes.iter().map(|it| &*it.key).collect();
    assert_eq!(keys, ["namespace", "workflow"]);
    let Some(metric::Data::ExponentialHistogram(data)) = &metrics[2].data else { panic!() };
    let exemplar = &data.data_points[0].exemplars[0];
    assert_eq!(exemplar.trace_id, 0xab_u128.to_be_bytes());
    assert_eq!(exemplar.span_id, 0xc_u64.to_be_bytes());
}

#[test]
fn no_point_begins_after_its_time_though_the_clock_is_set_back() {
    let second = |count| SystemTime::UNIX_EPOCH + Duration::from_secs(count);
    let sender = Sender::new(Resource::default(), second(100), false);
    let mut snapshot = Snapshot::default();
    snapshot.labelled(&instances::STARTED, ["shop", "order"], 7_u64);
    let times = [100, 110, 40, 50, 120].map(|at| {
        let mut export = sender.export(&snapshot, second(at));
        let metric = export.resource_metrics.remove(0).scope_metrics.remove(0).metrics.remove(0);
        let Some(metric::Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
        let point = &sum.data_points[0];
        [point.start_time_unix_nano, point.time_unix_nano].map(|it| it / 1_000_000_000)
    });
    assert_eq!(times, [[100, 100], [100, 110], [40, 40], [40, 50], [40, 120]]);
}

#[test]
fn histograms_have_the_buckets_of_prometheus_where_that_is_asked_for() {
    let histogram = Histogram::of(&instances::DURATION);
    [1, 300, 300, 9_000_000_000].into_iter().for_each(|it| histogram.milliseconds(it));
    let mut snapshot = Snapshot::default();
    snapshot.labelled(&instances::DURATION, ["shop", "order"], &histogram);
    let metric = sent(&snapshot, true).remove(0);
    let Some(metric::Data::Histogram(data)) = metric.data else { panic!("{metric:?}") };
    let point = &data.data_points[0];
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    assert_eq!((point.count, point.bucket_counts.iter().sum::<u64>()), (4, 4));
    assert_eq!(point.bucket_counts.last(), Some(&1), "beyond all bounds");
    let bucket = point.explicit_bounds.iter().position(|bound| 0.3 <= *bound).unwrap();
    assert_eq!(point.bucket_counts[bucket], 2, "{point:?}");
}
