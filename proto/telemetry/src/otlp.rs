//! A snapshot of metrics as OTLP has it.
//!
//! The SDK's meters keep each histogram behind a lock, give no exemplars, and take nothing that was
//! counted elsewhere; so what the registry has counted is written here, as it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge,
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    exemplar, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use windlass_proto::metric::{Distribution, Entry, Family, Kind, Measured, Sample, Snapshot};

/// What metrics are sent with.
pub(crate) struct Sender {
    /// Who sends.
    resource: Resource,
    /// Since when is counted, in nanoseconds of Unix time.
    start: AtomicU64,
    /// Whether histograms have explicit buckets in place of exponential ones.
    explicit_buckets: bool,
}

impl Sender {
    /// Of what is counted from `start` on.
    pub(crate) fn new(resource: Resource, start: SystemTime, explicit_buckets: bool) -> Self {
        Self { resource, start: nanoseconds(start).into(), explicit_buckets }
    }

    /// The export of what was counted until `now`.
    pub(crate) fn export(
        &self,
        snapshot: &Snapshot,
        now: SystemTime,
    ) -> ExportMetricsServiceRequest {
        let now = nanoseconds(now);
        // Where the clock was set back to before the start, that is when it began by this clock.
        let start = self.start.fetch_min(now, Ordering::Relaxed).min(now);
        let span = Span { start, now, explicit_buckets: self.explicit_buckets };
        let scope = InstrumentationScope {
            name: "windlass".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_metrics = ScopeMetrics {
            scope: Some(scope),
            metrics: snapshot.entries().iter().map(|it| span.metric(it)).collect(),
            ..ScopeMetrics::default()
        };
        let resource_metrics = ResourceMetrics {
            resource: Some(self.resource.clone()),
            scope_metrics: vec![scope_metrics],
            ..ResourceMetrics::default()
        };
        ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Since when, and until when, in nanoseconds of Unix time; and how histograms are told.
struct Span {
    start: u64,
    now: u64,
    explicit_buckets: bool,
}

impl Span {
    fn metric(&self, entry: &Entry) -> Metric {
        let Entry { family, samples } = entry;
        let aggregation_temporality = AggregationTemporality::Cumulative.into();
        let numbers = || samples.iter().map(|it| self.number(family, it)).collect();
        let data = match family.kind {
            Kind::Counter => metric::Data::Sum(Sum {
                data_points: numbers(),
                aggregation_temporality,
                is_monotonic: true,
            }),
            Kind::Gauge => metric::Data::Gauge(Gauge { data_points: numbers() }),
            Kind::Histogram(_) if self.explicit_buckets => metric::Data::Histogram(Histogram {
                data_points: samples.iter().filter_map(|it| self.explicit(family, it)).collect(),
                aggregation_temporality,
            }),
            Kind::Histogram(_) => metric::Data::ExponentialHistogram(ExponentialHistogram {
                data_points: samples.iter().filter_map(|it| self.spread(family, it)).collect(),
                aggregation_temporality,
            }),
        };
        Metric {
            name: family.name.to_owned(),
            description: family.help.to_owned(),
            unit: family.unit().to_owned(),
            data: Some(data),
            ..Metric::default()
        }
    }

    fn number(&self, family: &Family, sample: &Sample) -> NumberDataPoint {
        let value = match &sample.value {
            Measured::Number(value) => {
                number_data_point::Value::AsInt(i64::try_from(*value).unwrap_or(i64::MAX))
            }
            Measured::Float(value) => number_data_point::Value::AsDouble(*value),
            // A family that is none has no histogram.
            Measured::Spread(spread) => number_data_point::Value::AsDouble(spread.sum),
        };
        NumberDataPoint {
            attributes: attributes(family, sample),
            start_time_unix_nano: self.start,
            time_unix_nano: self.now,
            value: Some(value),
            ..NumberDataPoint::default()
        }
    }

    /// With the buckets that Prometheus is told.
    fn explicit(&self, family: &Family, sample: &Sample) -> Option<HistogramDataPoint> {
        let Measured::Spread(spread) = &sample.value else { return None };
        let (explicit_bounds, below): (Vec<f64>, Vec<u64>) = spread.cumulative().unzip();
        let all = below.iter().copied().chain([spread.count()]);
        let before = [0].into_iter().chain(below.iter().copied());
        Some(HistogramDataPoint {
            attributes: attributes(family, sample),
            start_time_unix_nano: self.start,
            time_unix_nano: self.now,
            count: spread.count(),
            sum: Some(spread.sum),
            bucket_counts: all.zip(before).map(|(to, from)| to.saturating_sub(from)).collect(),
            explicit_bounds,
            exemplars: exemplars(spread),
            ..HistogramDataPoint::default()
        })
    }

    fn spread(&self, family: &Family, sample: &Sample) -> Option<ExponentialHistogramDataPoint> {
        let Measured::Spread(spread) = &sample.value else { return None };
        Some(ExponentialHistogramDataPoint {
            attributes: attributes(family, sample),
            start_time_unix_nano: self.start,
            time_unix_nano: self.now,
            count: spread.count(),
            sum: Some(spread.sum),
            scale: spread.scale(),
            zero_count: spread.zero,
            zero_threshold: spread.zero_threshold(),
            positive: Some(buckets(spread)),
            exemplars: exemplars(spread),
            ..ExponentialHistogramDataPoint::default()
        })
    }
}

/// The buckets from the first one that has something on; what is beyond the last is in it.
fn buckets(spread: &Distribution) -> Buckets {
    let empty = spread.counts.iter().take_while(|it| **it == 0).count();
    let mut bucket_counts = spread.counts[empty..].to_vec();
    let mut offset = spread.offset() + i32::try_from(empty).unwrap_or(0);
    if spread.over > 0 {
        if bucket_counts.is_empty() {
            offset = spread.offset() + spread.buckets() - 1;
            bucket_counts.push(0);
        } else {
            let all = spread.buckets() - offset + spread.offset();
            bucket_counts.resize(usize::try_from(all).unwrap_or(bucket_counts.len()), 0);
        }
        if let Some(last) = bucket_counts.last_mut() {
            *last += spread.over;
        }
    }
    Buckets { offset, bucket_counts }
}

fn exemplars(spread: &Distribution) -> Vec<Exemplar> {
    let exemplar = |it: &windlass_proto::metric::Exemplar| Exemplar {
        time_unix_nano: it.traced.at.0.saturating_mul(1_000_000),
        span_id: it.traced.span.to_be_bytes().to_vec(),
        trace_id: it.traced.trace.to_be_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(it.value)),
        ..Exemplar::default()
    };
    spread.exemplars.iter().map(exemplar).collect()
}

fn attributes(family: &Family, sample: &Sample) -> Vec<KeyValue> {
    let labels = family.labels.iter().zip(&sample.labels);
    let attribute = |(name, value): (&&str, &std::sync::Arc<str>)| KeyValue {
        key: (*name).to_owned(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_string())) }),
        ..KeyValue::default()
    };
    labels.map(attribute).collect()
}

#[cfg(test)]
mod tests;
