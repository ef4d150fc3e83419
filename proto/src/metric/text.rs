//! The text formats of Prometheus: its own (version 0.0.4), and `OpenMetrics` (1.0), which has
//! exemplars.
//!
//! The client library of Prometheus writes `OpenMetrics` alone, which `promtool check metrics` and
//! older scrapers do not read, and keeps histograms behind locks; so both are written here.

use std::fmt::Write as _;
use std::sync::Arc;

use super::family::{Family, Kind};
use super::histogram::Distribution;
use super::snapshot::{Measured, Sample, Snapshot};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's own.
    Prometheus,
    /// `OpenMetrics`.
    OpenMetrics,
}

/// How welcome a media type is, in thousandths: 0 where it is not named.
fn quality(accept: &str, media: &str) -> u16 {
    let of = |member: &str| {
        let mut parts = member.split(';').map(str::trim);
        parts.next().filter(|it| it.eq_ignore_ascii_case(media))?;
        let quality = parts.find_map(|it| it.strip_prefix("q=").or_else(|| it.strip_prefix("Q=")));
        let Some(quality) = quality else { return Some(1_000) };
        let quality = quality.trim().parse::<f32>().ok().filter(|it| (0.0..=1.0).contains(it))?;
        // Of 0 to 1.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Some((quality * 1_000.0) as u16)
    };
    accept.split(',').filter_map(of).max().unwrap_or(0)
}

impl Format {
    /// The one for who sends this `Accept`.
    #[must_use]
    pub fn wanted(accept: Option<&str>) -> Self {
        // Where both are as welcome, the one that can do more.
        let wants = |media: &str| quality(accept.unwrap_or_default(), media);
        match wants("application/openmetrics-text") {
            0 => Self::Prometheus,
            wanted if wanted >= wants("text/plain") => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// A snapshot in this format.
    #[must_use]
    pub fn write(self, snapshot: &Snapshot) -> String {
        let mut text = Text { format: self, out: String::new() };
        for entry in snapshot.entries() {
            text.family(entry.family);
            entry.samples.iter().for_each(|it| text.sample(entry.family, it));
        }
        if self == Self::OpenMetrics {
            text.out.push_str("# EOF\n");
        }
        text.out
    }
}

/// A text as it grows. Writing to a string cannot fail.
struct Text {
    format: Format,
    out: String,
}

impl Text {
    fn family(&mut self, family: &Family) {
        let name = match self.format {
            Format::Prometheus => family.name,
            Format::OpenMetrics => family.base(),
        };
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, family: &Family, sample: &Sample) {
        match &sample.value {
            Measured::Number(value) => {
                self.name(family, "", sample, None);
                let _ = writeln!(self.out, " {value}");
            }
            Measured::Float(value) => {
                self.name(family, "", sample, None);
                let _ = writeln!(self.out, " {}", float(*value));
            }
            Measured::Spread(distribution) => self.histogram(family, sample, distribution),
        }
    }

    fn histogram(&mut self, family: &Family, sample: &Sample, spread: &Distribution) {
        let mut below = f64::NEG_INFINITY;
        let count = spread.count();
        for (bound, count) in spread.cumulative().chain([(f64::INFINITY, count)]) {
            self.name(family, "_bucket", sample, Some(bound));
            let _ = write!(self.out, " {count}");
            self.exemplar(spread, below, bound);
            self.out.push('\n');
            below = bound;
        }
        self.name(family, "_sum", sample, None);
        let _ = writeln!(self.out, " {}", float(spread.sum));
        self.name(family, "_count", sample, None);
        let _ = writeln!(self.out, " {count}");
    }

    /// An exemplar of the bucket above `below` and up to `bound`, where the format has them.
    fn exemplar(&mut self, spread: &Distribution, below: f64, bound: f64) {
        let within = |value: f64| value > below && value <= bound;
        let found = spread.exemplars.iter().find(|it| within(it.value));
        if let (Format::OpenMetrics, Some(exemplar)) = (self.format, found) {
            let (trace, span) = (exemplar.traced.trace, exemplar.traced.span);
            let (value, at) = (float(exemplar.value), exemplar.traced.at.0);
            let (seconds, milliseconds) = (at / 1_000, at % 1_000);
            let _ = write!(
                self.out,
                " # {{trace_id=\"{trace:032x}\",span_id=\"{span:016x}\"}} {value} \
                 {seconds}.{milliseconds:03}"
            );
        }
    }

    fn name(&mut self, family: &Family, part: &str, sample: &Sample, bound: Option<f64>) {
        self.out.push_str(family.name);
        self.out.push_str(part);
        let labels = family.labels.iter().copied().zip(sample.labels.iter().cloned());
        let bound = bound.map(|it| ("le", Arc::from(float(it))));
        let mut open = '{';
        for (name, value) in labels.chain(bound) {
            let _ = write!(self.out, "{open}{name}=\"{}\"", escaped(&value));
            open = ',';
        }
        if open == ',' {
            self.out.push('}');
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A number as Go reads it, with a point or an exponent, so that it is a float to all.
fn float(value: f64) -> String {
    match value {
        _ if value == f64::INFINITY => "+Inf".to_owned(),
        _ if value == f64::NEG_INFINITY => "-Inf".to_owned(),
        _ if value.is_nan() => "NaN".to_owned(),
        _ => format!("{value:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::Format;
    use crate::metric::{Buckets, Family, Histogram, Kind, Snapshot, Traced};
    use crate::time::Timestamp;

    static COUNTER: Family = Family {
        name: "test_starts_total",
        kind: Kind::Counter,
        labels: &["name"],
        help: "Of a \\ test.",
    };
    static SPREAD: Family = Family {
        name: "test_run_seconds",
        kind: Kind::Histogram(&Buckets::LONG),
        labels: &[],
        help: "Of a test.",
    };

    #[test]
    fn the_format_is_what_the_client_likes_best() {
        let open = "application/openmetrics-text; version=1.0.0";
        for (accept, wanted) in [
            (None, Format::Prometheus),
            (Some("*/*".to_owned()), Format::Prometheus),
            (Some("text/plain".to_owned()), Format::Prometheus),
            (Some(open.to_owned()), Format::OpenMetrics),
            (
                Some(format!("{open};q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1")),
                Format::OpenMetrics,
            ),
            (Some(format!("text/plain;q=1.0,{open};q=0.1")), Format::Prometheus),
            (Some(format!("{open};q=0,text/plain")), Format::Prometheus),
            (Some(format!("{open};q=x")), Format::Prometheus),
        ] {
            assert_eq!(Format::wanted(accept.as_deref()), wanted, "{accept:?}");
        }
    }

    fn snapshot() -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.labelled(&COUNTER, ["a"], 1_u64);
        let histogram = Histogram::of(&SPREAD);
        let traced = Traced { trace: 0xab, span: 0xc, at: Timestamp(1_500) };
        histogram.traced_milliseconds(500, Some(traced));
        snapshot.add(&SPREAD, &histogram);
        snapshot.labelled(&COUNTER, ["b\"\n\\"], 2_u64);
        snapshot
    }

    #[test]
    fn families_stand_together_and_labels_are_escaped() {
        let text = Format::Prometheus.write(&snapshot());
        assert!(text.starts_with(
            "# HELP test_starts_total Of a \\\\ test.\n# TYPE test_starts_total counter\n\
             test_starts_total{name=\"a\"} 1\ntest_starts_total{name=\"b\\\"\\n\\\\\"} 2\n"
        ));
        assert!(text.contains("\ntest_run_seconds_bucket{le=\"0.25\"} 0\n"), "{text}");
        assert!(text.contains("\ntest_run_seconds_bucket{le=\"0.5\"} 1\n"), "{text}");
        assert!(text.contains("\ntest_run_seconds_bucket{le=\"+Inf\"} 1\n"), "{text}");
        assert!(text.ends_with("\ntest_run_seconds_sum 0.5\ntest_run_seconds_count 1\n"), "{text}");
    }

    #[test]
    fn openmetrics_has_exemplars_and_an_end() {
        let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
        let format = Format::wanted(Some(accept));
        assert_eq!(format, Format::OpenMetrics);
        assert_eq!(Format::wanted(Some("*/*")), Format::Prometheus);
        let text = format.write(&snapshot());
        assert!(text.contains("# TYPE test_starts counter\ntest_starts_total{"), "{text}");
        let trace = format!("{:032x}", 0xab);
        assert!(text.contains(&format!(
            "{{le=\"0.5\"}} 1 # {{trace_id=\"{trace}\",span_id=\"000000000000000c\"}} 0.5 1.500\n"
        )));
        assert!(text.ends_with("\n# EOF\n"), "{text}");
    }
}
