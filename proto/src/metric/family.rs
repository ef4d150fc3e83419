//! A family of the table: its name, what it measures, and by which labels.

/// One family of metrics.
#[derive(Debug, PartialEq)]
pub struct Family {
    /// Its name, by Prometheus's conventions: the unit at its end, `_total` for counters.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The names of its labels, in the order in which samples give their values.
    pub labels: &'static [&'static str],
    /// What it says, for people.
    pub help: &'static str,
}

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A number that only grows.
    Counter,
    /// A number that goes up and down.
    Gauge,
    /// How measurements spread.
    Histogram(&'static Buckets),
}

/// How fine a histogram is. All bounds are powers of two, so that the fine exponential buckets
/// that OTLP wants and the few that Prometheus wants are sums of the same counts.
#[derive(Debug, PartialEq, Eq)]
pub struct Buckets {
    /// The exponent of two of one tick, in which measurements are counted.
    pub(super) tick: i32,
    /// The exponent of two, in ticks, up to which measurements count as zero.
    pub(super) lowest: i32,
    /// By how many bits a measurement is shortened before it is added to the sum.
    pub(super) shortened: u32,
    /// Exponents of two of the upper bounds for Prometheus, in the family's unit.
    pub(super) bounds: &'static [i32],
}

impl Buckets {
    /// Seconds of what should take milliseconds: 122 microseconds to 16 seconds.
    pub const BRIEF: Self =
        Self::seconds(&[-13, -12, -11, -10, -9, -8, -7, -6, -5, -4, -3, -2, -1, 0, 2, 4]);
    /// Seconds of what may take days: a millisecond to 12 days.
    pub const LONG: Self =
        Self::seconds(&[-10, -8, -6, -4, -3, -2, -1, 0, 1, 2, 4, 6, 8, 10, 12, 16, 20]);
    /// Numbers of things: 1 to 65,536.
    pub const NUMBER: Self = Self::number(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16]);
    /// Bytes: 256 bytes to 64 MiB.
    pub const BYTES: Self = Self::number(&[8, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 26]);

    /// Ticks of 2^-30 seconds, just under a nanosecond; up to 2^-20 seconds, just under a
    /// microsecond, counts as nothing. Sums are kept to that, or days would overflow them.
    const fn seconds(bounds: &'static [i32]) -> Self {
        Self { tick: -30, lowest: 10, shortened: 10, bounds }
    }

    const fn number(bounds: &'static [i32]) -> Self {
        Self { tick: 0, lowest: -1, shortened: 0, bounds }
    }

    /// The upper bounds of Prometheus's buckets, in the family's unit.
    pub fn upper_bounds(&self) -> impl Iterator<Item = f64> + '_ {
        self.bounds.iter().map(|exponent| f64::exp2(f64::from(*exponent)))
    }
}

impl Family {
    /// Its unit in UCUM, as OTLP wants it; empty where it is a number of something.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        let is = |unit: &str| name.ends_with(unit);
        match (is("_seconds"), is("_bytes")) {
            (true, _) => "s",
            (_, true) => "By",
            _ => "",
        }
    }

    /// The name with what Prometheus adds to that of a histogram or takes from that of a counter
    /// in the text of `OpenMetrics`.
    #[must_use]
    pub fn base(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram(_) => self.name,
        }
    }

    /// The names under which its samples are found: its own, or those of a histogram's parts.
    #[must_use]
    pub fn sample_names(&self) -> Vec<String> {
        match self.kind {
            Kind::Counter | Kind::Gauge => vec![self.name.to_owned()],
            Kind::Histogram(_) => {
                ["_bucket", "_sum", "_count"].map(|part| format!("{}{part}", self.name)).into()
            }
        }
    }
}
