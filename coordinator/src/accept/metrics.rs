//! `/metrics`, `/healthz`, `/readyz`.

mod connections;
mod events;
mod fleet;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::ApiProblem;
use super::state::Api;
use crate::code::Code;
use crate::journal::Filter;

/// How long the journal may take to show that it answers.
const READY: Duration = Duration::from_secs(2);

/// Counters of the API. Labels have few, fixed values, so that their number is bounded.
pub(super) struct Metrics {
    started: Instant,
    answers: [AtomicU64; 5],
    starts: AtomicU64,
    repeats: AtomicU64,
    events: AtomicU64,
    unquoted: AtomicU64,
}

impl Metrics {
    pub(super) fn new() -> Self {
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
    pub(super) fn answered(&self, status: u16) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(counter) = self.answers.get(class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts an accepted start.
    pub(super) fn start(&self, repeated: bool) {
        let counter = if repeated { &self.repeats } else { &self.starts };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts accepted events.
    pub(super) fn event(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an event whose data was a JSON string without its quotes.
    pub(super) fn unquoted(&self, unquoted: bool) {
        self.unquoted.fetch_add(u64::from(unquoted), Ordering::Relaxed);
    }

    /// The Prometheus text format.
    fn render(&self, requests: usize, watchers: usize) -> Text {
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

/// The Prometheus text format, as it grows.
#[derive(Default)]
struct Text(String);

impl Text {
    /// One family with its samples: labels and value.
    fn family(&mut self, name: &str, kind: &str, help: &str, samples: &[(String, String)]) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    /// A family of one sample without labels.
    fn single(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help, &[(String::new(), value.to_string())]);
    }
}

/// Counters for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operation", operation_id = "getMetrics",
    responses((status = 200, description = "Prometheus text format", body = String,
        content_type = "text/plain", example = "windlass_uptime_seconds 12.5\n")))]
pub(super) async fn metrics(State(api): State<Api>) -> Response {
    let requests = api.requests.used() + api.operators.used();
    let watchers = api.watchers.used();
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let mut text = api.metrics.render(requests, watchers);
    connections::add(&mut text, &api.sockets, &api.waits);
    if let Some(view) = api.coordinator.fleet().await {
        fleet::add(&mut text, &view, crate::clock::now());
    }
    if let Some(view) = api.coordinator.bus_events() {
        events::add(&mut text, &view);
    }
    let (started, too_dear) = api.coordinator.admission_counts();
    let help = "Open instances that other instances have started, as far as they count for quotas.";
    text.single("windlass_started_by_instances", "gauge", help, started as u64);
    let help = "Filters of events that took too many steps, and so did not match.";
    text.single("windlass_event_filters_too_dear_total", "counter", help, too_dear);
    let help = "Impossible states that instances were met in: each is a defect.";
    let misfits = api.coordinator.misfits();
    let misfits =
        misfits.map(|(of, count)| (format!("{{kind=\"{}\"}}", of.word()), count.to_string()));
    text.family("windlass_engine_misfits_total", "counter", help, &misfits);
    let help = "Audit events that are not on disk; past a limit no more secrets are read.";
    let waiting = api.coordinator.audit_waiting();
    text.single("windlass_audit_events_waiting", "gauge", help, waiting as u64);
    let room = api.coordinator.disk_room();
    let help = "1 while the journal's disk is full and nothing new is taken up.";
    text.single("windlass_journal_paused", "gauge", help, u64::from(room.paused));
    if let Some(free) = room.free_bytes {
        let help = "Bytes free on the journal's disk.";
        text.single("windlass_journal_disk_free_bytes", "gauge", help, free);
    }
    let (used, budget) = api.coordinator.memory();
    let help = "Bytes that instances, and what waits for them, take of the memory.";
    text.single("windlass_memory_bytes", "gauge", help, used);
    let help = "Bytes that they may take; starts are refused from three quarters of it on.";
    text.single("windlass_memory_budget_bytes", "gauge", help, budget);
    let help = "Instances set aside at the start, because the process had ended over them.";
    let name = "windlass_instances_quarantined_total";
    text.single(name, "counter", help, api.coordinator.quarantined());
    (kind, text.0).into_response()
}

/// Tells that the process runs.
#[utoipa::path(get, path = "/healthz", tag = "operation", operation_id = "getHealth",
    responses((status = 200, description = "It runs", body = String, example = "ok\n")))]
pub(super) async fn healthy() -> &'static str {
    "ok\n"
}

/// Tells whether requests can be served: the journal answers.
#[utoipa::path(get, path = "/readyz", tag = "operation", operation_id = "getReadiness", responses(
    (status = 200, description = "It takes requests", body = String, example = "ready\n"),
    (status = 503, description = "It does not", body = super::problem::ProblemBody)))]
pub(super) async fn ready(
    State(api): State<Api>,
) -> Result<(StatusCode, &'static str), ApiProblem> {
    let probe = api.coordinator.list(Filter::default(), None, 1);
    match tokio::time::timeout(READY, probe).await {
        Ok(Ok(_)) => Ok((StatusCode::OK, "ready\n")),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(ApiProblem::new(Code::JournalFailed, format!("no answer within {READY:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    #[test]
    fn every_family_has_help_type_and_samples() {
        let metrics = Metrics::new();
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
