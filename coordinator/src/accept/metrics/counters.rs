//! What the API counts of itself.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use windlass_proto::metric::table::{api as table, process};
use windlass_proto::metric::{Counter, Histogram, OTHER, Snapshot, Traced};

/// The classes of answers: 1xx to 5xx.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Counters of the API. Labels have few, fixed values, so that their number is bounded.
pub(in crate::accept) struct Counters {
    started: Instant,
    answers: [Counter; CLASSES.len()],
    /// How long answers took, by the template of their route.
    routes: HashMap<String, Route>,
    /// Of what leads nowhere.
    elsewhere: Route,
    starts: Counter,
    repeats: Counter,
    events: Counter,
    unquoted: Counter,
}

/// Times by class of answer; most classes never come.
type Route = [OnceLock<Histogram>; CLASSES.len()];

impl Counters {
    /// With these templates of routes.
    pub(in crate::accept) fn new(routes: impl IntoIterator<Item = String>) -> Self {
        let (starts, repeats, events, unquoted) = Default::default();
        Self {
            started: Instant::now(),
            answers: Default::default(),
            routes: routes.into_iter().map(|it| (it, Route::default())).collect(),
            elsewhere: Route::default(),
            starts,
            repeats,
            events,
            unquoted,
        }
    }

    /// Counts an answer.
    pub(in crate::accept) fn answered(&self, status: u16) {
        if let Some(counter) = self.answers.get(class(status)) {
            counter.one();
        }
    }

    /// Counts how long an answer took, to a request that matched the template `route`; `traced` is
    /// the span that it was done in, if it is recorded.
    pub(in crate::accept) fn took(
        &self,
        route: Option<&str>,
        status: u16,
        time: Duration,
        traced: Option<Traced>,
    ) {
        let route = route.and_then(|it| self.routes.get(it)).unwrap_or(&self.elsewhere);
        if let Some(histogram) = route.get(class(status)) {
            let histogram = histogram.get_or_init(|| Histogram::of(&table::REQUEST_SECONDS));
            histogram.traced_time(time, traced);
        }
    }

    /// Counts an accepted start.
    pub(in crate::accept) fn start(&self, repeated: bool) {
        let counter = if repeated { &self.repeats } else { &self.starts };
        counter.one();
    }

    /// Counts accepted events.
    pub(in crate::accept) fn event(&self) {
        self.events.one();
    }

    /// Counts an event whose data was a JSON string without its quotes.
    pub(in crate::accept) fn unquoted(&self, unquoted: bool) {
        self.unquoted.add(u64::from(unquoted));
    }

    /// What there is to tell, with what others know.
    pub(super) fn measured(&self, requests: usize, watchers: usize) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.labelled(&process::BUILD_INFO, [env!("CARGO_PKG_VERSION")], 1_u64);
        snapshot.add(&process::UPTIME, self.started.elapsed().as_secs_f64());
        for (class, count) in CLASSES.into_iter().zip(&self.answers) {
            snapshot.labelled(&table::REQUESTS, [class], count);
        }
        snapshot.add(&table::IN_FLIGHT, requests);
        snapshot.add(&table::WATCHERS, watchers);
        snapshot.add(&table::STARTS, &self.starts);
        snapshot.add(&table::STARTS_REPEATED, &self.repeats);
        snapshot.add(&table::EVENTS, &self.events);
        snapshot.add(&table::EVENTS_UNQUOTED, &self.unquoted);
        let mut routes: Vec<(&str, &Route)> =
            self.routes.iter().map(|(template, times)| (&**template, times)).collect();
        routes.sort_by_key(|it| it.0);
        for (template, times) in routes.into_iter().chain([(OTHER, &self.elsewhere)]) {
            for (class, times) in CLASSES.into_iter().zip(times) {
                if let Some(times) = times.get() {
                    snapshot.labelled(&table::REQUEST_SECONDS, [template, class], times);
                }
            }
        }
        snapshot
    }
}

/// The place of a status among the classes.
fn class(status: u16) -> usize {
    usize::from(status / 100).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use windlass_proto::metric::Traced;
    use windlass_proto::metric::text::Format;
    use windlass_proto::time::Timestamp;

    use super::Counters;

    #[test]
    fn answers_are_counted_by_class_and_route() {
        let counters = Counters::new(["/v1/instances/{id}".to_owned()]);
        counters.answered(204);
        counters.answered(999);
        counters.start(false);
        let traced = Traced { trace: 7, span: 9, at: Timestamp(1_500) };
        counters.took(Some("/v1/instances/{id}"), 200, Duration::from_millis(3), Some(traced));
        counters.took(None, 404, Duration::from_millis(3), None);
        let text = Format::Prometheus.write(&counters.measured(3, 0));
        for line in [
            "windlass_http_requests_total{class=\"2xx\"} 1\n",
            "windlass_http_requests_in_flight 3\n",
            "windlass_starts_total 1\n",
            "_duration_seconds_count{route=\"/v1/instances/{id}\",class=\"2xx\"} 1\n",
            "_duration_seconds_count{route=\"_other\",class=\"4xx\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let text = Format::OpenMetrics.write(&counters.measured(3, 0));
        let exemplars: Vec<_> = text.lines().filter(|it| it.contains(" # {trace_id")).collect();
        let [line] = exemplars[..] else { panic!("{text}") };
        assert!(line.contains("span_id=\"0000000000000009\"} 0.003 1.500"), "{line}");
    }
}
