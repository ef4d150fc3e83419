//! How measurements spread: exponential buckets of base 2^(1/4), each an atomic.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::family::{Buckets, Family, Kind};
use crate::limits;
use crate::time::Timestamp;
use crate::trace::TraceContext;

/// Buckets between two powers of two: a bucket is a fifth wider than the one before it. That is
/// scale 2 of OTLP's exponential histograms.
pub(super) const PARTS: i32 = 4;

/// Powers of two that the buckets cover.
const OCTAVES: i32 = 42;

/// Upper bounds of the first three of the four buckets between two powers of two, as a share of
/// 2^63: 2^63.25, 2^63.5, 2^63.75. They are irrational, so no measurement is equal to one.
const QUARTERS: [u64; 3] =
    [10_968_499_650_544_839_023, 13_043_817_825_332_782_212, 15_511_800_964_685_064_948];

/// How measurements spread. Counting takes two relaxed additions.
#[derive(Debug)]
pub struct Histogram {
    buckets: &'static Buckets,
    /// Measurements too small for the first bucket.
    zero: AtomicU64,
    counts: Box<[AtomicU64]>,
    /// Measurements too large for the last bucket.
    over: AtomicU64,
    /// In ticks, shortened.
    sum: AtomicU64,
    /// Never waited for: who finds it taken gives no exemplar.
    exemplars: Mutex<Vec<Exemplar>>,
}

/// What was measured while it was traced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// The trace and the span.
    pub traced: Traced,
    /// The measurement, in the family's unit.
    pub value: f64,
}

/// A span, and when it was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// The trace's id.
    pub trace: u128,
    /// The span's id.
    pub span: u64,
    /// When.
    pub at: Timestamp,
}

impl Traced {
    /// The span of a context, where its trace is recorded: others lead nowhere.
    #[must_use]
    pub fn of(context: &TraceContext, at: Timestamp) -> Option<Self> {
        let (trace, span) = (context.trace_id.number(), context.span_id.number());
        context.sampled.then_some(Self { trace, span, at })
    }
}

impl Histogram {
    /// One that has counted nothing, with the buckets of `family`, which has to be of histograms.
    #[must_use]
    pub fn of(family: &'static Family) -> Self {
        let buckets = match family.kind {
            Kind::Histogram(buckets) => buckets,
            Kind::Counter | Kind::Gauge => {
                debug_assert!(false, "{} is no histogram", family.name);
                &Buckets::LONG
            }
        };
        let counts = (0..PARTS * OCTAVES).map(|_| AtomicU64::new(0)).collect();
        let (zero, over, sum) = Default::default();
        Self { buckets, zero, counts, over, sum, exemplars: Mutex::default() }
    }

    /// Counts a time.
    pub fn time(&self, time: Duration) {
        self.record(ticks(time));
    }

    /// Counts a time of milliseconds.
    pub fn milliseconds(&self, milliseconds: u64) {
        self.time(Duration::from_millis(milliseconds));
    }

    /// Counts a time of milliseconds of what was traced, if it was.
    pub fn traced_milliseconds(&self, milliseconds: u64, traced: Option<Traced>) {
        self.traced_time(Duration::from_millis(milliseconds), traced);
    }

    /// Counts a time of what was traced, if it was.
    pub fn traced_time(&self, time: Duration, traced: Option<Traced>) {
        self.time(time);
        if let Some(traced) = traced {
            self.exemplify(Exemplar { traced, value: time.as_secs_f64() });
        }
    }

    /// Counts a number of things.
    pub fn number(&self, number: u64) {
        self.record(number);
    }

    fn record(&self, ticks: u64) {
        let counter = match place(ticks, self.buckets.lowest) {
            Some(place) => self.counts.get(place).unwrap_or(&self.over),
            None => &self.zero,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(ticks >> self.buckets.shortened, Ordering::Relaxed);
    }

    /// Keeps one for each of Prometheus's buckets, as far as there is room: the latest.
    fn exemplify(&self, exemplar: Exemplar) {
        let Ok(mut kept) = self.exemplars.try_lock() else { return };
        let bucket = |value: f64| self.buckets.upper_bounds().position(|bound| value <= bound);
        let of = bucket(exemplar.value);
        if let Some(same) = kept.iter_mut().find(|it| bucket(it.value) == of) {
            *same = exemplar;
        } else if kept.len() < limits::EXEMPLARS {
            kept.push(exemplar);
        }
    }

    /// What it has counted.
    #[must_use]
    pub fn distribution(&self) -> Distribution {
        let load = |it: &AtomicU64| it.load(Ordering::Relaxed);
        let mut counts: Vec<u64> = self.counts.iter().map(load).collect();
        counts.truncate(counts.iter().rposition(|it| *it > 0).map_or(0, |last| last + 1));
        // Bits of a sum beyond a float's digits are lost: it is a sum of roundings.
        #[allow(clippy::cast_precision_loss)]
        let sum = load(&self.sum) as f64
            * f64::exp2(f64::from(self.buckets.tick) + f64::from(self.buckets.shortened));
        let exemplars = self.exemplars.lock().unwrap_or_else(|it| it.into_inner()).clone();
        let (zero, over) = (load(&self.zero), load(&self.over));
        Distribution { buckets: self.buckets, zero, counts, over, sum, exemplars }
    }
}

/// A time in ticks of 2^-30 seconds.
fn ticks(time: Duration) -> u64 {
    let fraction = (u64::from(time.subsec_nanos()) << 30) / 1_000_000_000;
    if time.as_secs() >= 1 << 34 { u64::MAX } else { (time.as_secs() << 30) + fraction }
}

/// The bucket of a measurement; none where it counts as zero. A bucket has its upper bound in it.
fn place(ticks: u64, lowest: i32) -> Option<usize> {
    let zeros = i32::try_from(ticks.leading_zeros()).unwrap_or(64);
    if zeros == 64 {
        return None;
    }
    // The highest bit says between which powers of two, the others which part of that.
    let shares = ticks << zeros;
    let part = QUARTERS.iter().filter(|bound| shares > **bound).count();
    let is_power = shares == 1 << 63;
    let octave = 63 - zeros - lowest;
    let place = octave * PARTS + i32::try_from(part).unwrap_or(0) - i32::from(is_power);
    usize::try_from(place).ok()
}

/// What a histogram has counted, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    buckets: &'static Buckets,
    /// Measurements that count as zero.
    pub zero: u64,
    /// Measurements in each exponential bucket, from the first one on; what is left out at the end
    /// has none.
    pub counts: Vec<u64>,
    /// Measurements beyond the last bucket.
    pub over: u64,
    /// The sum of all, in the family's unit.
    pub sum: f64,
    /// Some that were traced.
    pub exemplars: Vec<Exemplar>,
}

impl Distribution {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.zero + self.counts.iter().sum::<u64>() + self.over
    }

    /// Prometheus's buckets: upper bound, and how many are no larger.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.buckets.bounds.iter().zip(self.buckets.upper_bounds()).map(|(exponent, bound)| {
            let places = (exponent - self.buckets.tick - self.buckets.lowest) * PARTS;
            let places = usize::try_from(places).unwrap_or(0).min(self.counts.len());
            (bound, self.zero + self.counts[..places].iter().sum::<u64>())
        })
    }

    /// The scale of the exponential buckets, as OTLP has it.
    #[must_use]
    pub fn scale(&self) -> i32 {
        PARTS.ilog2().cast_signed()
    }

    /// The index of the first exponential bucket, as OTLP has it: its lower bound is 2^(1/4) to
    /// that power.
    #[must_use]
    pub fn offset(&self) -> i32 {
        (self.buckets.lowest + self.buckets.tick) * PARTS
    }

    /// How many exponential buckets there are.
    #[must_use]
    pub fn buckets(&self) -> i32 {
        PARTS * OCTAVES
    }

    /// Up to which value measurements count as zero, in the family's unit.
    #[must_use]
    pub fn zero_threshold(&self) -> f64 {
        // Numbers are whole: what is less than the first bucket is zero itself.
        if self.buckets.lowest < 0 {
            return 0.0;
        }
        f64::exp2(f64::from(self.buckets.lowest + self.buckets.tick))
    }
}

#[cfg(test)]
mod tests;
