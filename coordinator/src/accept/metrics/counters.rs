//! What the API counts of itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::text::Text;

/// Counters of the API. Labels have few, fixed values, so that their number is bounded.
pub(in crate::accept) struct Counters {
    started: Instant,
    answers: [AtomicU64; 5],
    starts: AtomicU64,
    repeats: AtomicU64,
    events: AtomicU64,
    unquoted: AtomicU64,
}

impl Counters {
    pub(in crate::accept) fn new() -> Self {
        Self {
            started: Instant::now(),
            answers: Default::default(),
            starts: AtomicU64::new(0),
            repeats: AtomicU64::new(0),
            events: AtomicU64::new(0),
            unquoted: AtomicU64::new(0),
        }
    }

    /// Counts an answer.
    pub(in crate::accept) fn answered(&self, status: u16) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(counter) = self.answers.get(class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts an accepted start.
    pub(in crate::accept) fn start(&self, repeated: bool) {
        let counter = if repeated { &self.repeats } else { &self.starts };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts accepted events.
    pub(in crate::accept) fn event(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an event whose data was a JSON string without its quotes.
    pub(in crate::accept) fn unquoted(&self, unquoted: bool) {
        self.unquoted.fetch_add(u64::from(unquoted), Ordering::Relaxed);
    }

    /// The Prometheus text format.
    pub(super) fn render(&self, requests: usize, watchers: usize) -> Text {
        let mut text = Text::default();
        let version = env!("CARGO_PKG_VERSION");
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let info = [(format!("{{version=\"{version}\"}}"), "1".to_owned())];
        text.family("windlass_build_info", "gauge", "The version that runs.", &info);
        let uptime = [(String::new(), format!("{:.3}", self.started.elapsed().as_secs_f64()))];
        text.family("windlass_uptime_seconds", "gauge", "Seconds since the start.", &uptime);
        let answers: Vec<_> = (1..)
            .zip(&self.answers)
            .map(|(class, counter)| {
                (format!("{{class=\"{class}xx\"}}"), count(counter).to_string())
            })
            .collect();
        text.family("windlass_http_requests_total", "counter", "Requests answered.", &answers);
        let name = "windlass_http_requests_in_flight";
        text.single(name, "gauge", "Requests under way.", requests as u64);
        let help = "Clients that watch an instance.";
        text.single("windlass_http_watchers", "gauge", help, watchers as u64);
        let help = "Starts accepted through the API.";
        text.single("windlass_starts_total", "counter", help, count(&self.starts));
        let help = "Starts that repeated an earlier one.";
        text.single("windlass_starts_repeated_total", "counter", help, count(&self.repeats));
        let help = "Events accepted through the API.";
        text.single("windlass_events_total", "counter", help, count(&self.events));
        let help = "Events through the API whose data was a JSON string without its quotes.";
        text.single("windlass_events_unquoted_total", "counter", help, count(&self.unquoted));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Counters;

    #[test]
    fn every_family_has_help_type_and_samples() {
        let metrics = Counters::new();
        metrics.answered(204);
        metrics.answered(999);
        metrics.start(false);
        let text = metrics.render(3, 0).0;
        assert!(text.contains("windlass_http_requests_total{class=\"2xx\"} 1\n"));
        assert!(text.contains("windlass_http_requests_in_flight 3\n"));
        assert!(text.contains("windlass_starts_total 1\n"));
        for line in text.lines().filter(|it| it.starts_with("# TYPE")) {
            let name = line.split(' ').nth(2).unwrap_or("");
            assert!(text.lines().any(|it| it.starts_with(name)), "{line}");
        }
    }
}
