//! Buckets have what belongs into them, by both ways of reading them.

use std::time::Duration;

use super::super::family::{Buckets, Family, Kind};
use super::{Histogram, PARTS, Traced, place};
use crate::time::Timestamp;

static TIME: Family = Family {
    name: "test_seconds",
    kind: Kind::Histogram(&Buckets::BRIEF),
    labels: &[],
    help: "Of a test.",
};
static NUMBER: Family = Family {
    name: "test_things",
    kind: Kind::Histogram(&Buckets::NUMBER),
    labels: &[],
    help: "Of a test.",
};

/// The bounds of an exponential bucket, computed with floats.
fn bounds(place: usize, lowest: i32) -> (f64, f64) {
    let at = |it: usize| f64::exp2(f64::from(lowest) + it as f64 / f64::from(PARTS));
    (at(place), at(place + 1))
}

#[test]
fn every_measurement_is_between_the_bounds_of_its_bucket() {
    for lowest in [-1, 10] {
        for shift in 0..52 {
            for near in [0, 1, 2, 3, 5, 9] {
                for value in [(1_u64 << shift) + near, (1_u64 << shift).saturating_sub(near)] {
                    let Some(place) = place(value, lowest) else {
                        assert!(value as f64 <= f64::exp2(f64::from(lowest)), "{value}");
                        continue;
                    };
                    let (above, to) = bounds(place, lowest);
                    // Of powers of two a float is exact, of the others nothing is near.
                    let value = value as f64;
                    assert!(above < value && value <= to, "{value} in {above}..{to}");
                }
            }
        }
    }
}

#[test]
fn prometheus_counts_what_is_no_larger_than_each_bound() {
    let histogram = Histogram::of(&NUMBER);
    let all = [0, 1, 1, 2, 3, 4, 5, 64, 65, 65_536, 65_537, u64::MAX];
    all.iter().for_each(|it| histogram.number(*it));
    let distribution = histogram.distribution();
    for (bound, count) in distribution.cumulative() {
        let expected = all.iter().filter(|it| **it as f64 <= bound).count() as u64;
        assert_eq!(count, expected, "up to {bound}");
    }
    assert_eq!((distribution.count(), distribution.over, distribution.zero), (12, 1, 1));
}

#[test]
fn times_are_counted_in_seconds() {
    let histogram = Histogram::of(&TIME);
    for nanoseconds in [0, 400, 250_000_000, 250_000_001, 16_000_000_000, 1 << 60] {
        histogram.time(Duration::from_nanos(nanoseconds));
    }
    let distribution = histogram.distribution();
    let up_to = |bound: f64| distribution.cumulative().find(|it| it.0 == bound).unwrap().1;
    assert_eq!((up_to(0.125), up_to(0.25), up_to(0.5), up_to(16.0)), (2, 3, 4, 5));
    let expected = 16.5 + f64::from(1 << 30) * 1.073_741_824;
    assert!((distribution.sum - expected).abs() < 1e-3, "{}", distribution.sum);
    assert_eq!(distribution.zero_threshold(), f64::exp2(-20.0));
    assert_eq!((distribution.scale(), distribution.offset()), (2, -80));
}

#[test]
fn each_bucket_has_its_latest_exemplar() {
    let histogram = Histogram::of(&TIME);
    let traced = |span| Some(Traced { trace: 7, span, at: Timestamp(1) });
    histogram.traced_milliseconds(200, traced(1));
    histogram.traced_milliseconds(240, traced(2));
    histogram.traced_milliseconds(3_000, traced(3));
    histogram.traced_milliseconds(9, None);
    let exemplars = histogram.distribution().exemplars;
    let spans: Vec<_> = exemplars.iter().map(|it| (it.traced.span, it.value)).collect();
    assert_eq!(spans, [(2, 0.24), (3, 3.0)]);
}
