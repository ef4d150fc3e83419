//! What is printed.

use serde::Serialize;

use super::drive::Measured;
use super::measure;
use super::schedules::Taken;
use super::searching::Asked;
use super::target::Target;
use super::workload::{Load, Login, Tokens, Way};
use crate::output;

/// The figures of one run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    workload: &'static str,
    workflows: u64,
    steps: u32,
    concurrency: u32,
    seconds: f64,
    workflows_per_second: Option<f64>,
    events: Option<u64>,
    events_per_second: Option<f64>,
    steps_per_second: Option<f64>,
    latency_ms: Option<Latency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_seconds: Option<f64>,
    cpu_seconds_per_1000_steps: Option<f64>,
    peak_rss_mib: Option<f64>,
    rss_mib_at: Option<Vec<f64>>,
    bytes_per_1000_steps: Option<f64>,
    disk_bytes_per_1000_steps: Option<f64>,
    journal_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<History>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wakeups_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<Secrets>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedules: Option<Taken>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<Vec<Asked>>,
}

/// How attempts got at their secrets, and what that cost.
#[derive(Debug, Serialize)]
struct Secrets {
    login: Login,
    tokens: Tokens,
    attempts_per_second: f64,
    store_cpu_ms_per_attempt: Option<f64>,
}

/// How histories were read.
#[derive(Debug, Serialize)]
struct History {
    entries: u64,
    entries_per_second: f64,
    first_page_ms: f64,
    last_page_ms: f64,
}

/// From start to end of a workflow, or from an event to the answer that it is consumed, as the
/// caller sees it.
#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Report {
    /// The figures of a run that has just ended.
    pub(super) fn new(load: &Load, measured: Measured, target: &Target) -> Self {
        let Measured { elapsed, mut latencies, usage, store_cpu, memory, .. } = measured;
        let Measured { pages, wakeups, taken, asked, .. } = measured;
        latencies.sort_unstable();
        let seconds = elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        let operations = load.operations() as f64;
        let steps = operations * f64::from(load.steps);
        let local = target.directory();
        // Nothing is done where the coordinator is left alone, so nothing can be by step.
        let busy = load.idle.is_none();
        let by_step = |value: f64| Some(rounded(value / steps * 1000.0)).filter(|_| busy);
        let bytes = |of: Option<u64>| of.and_then(|it| by_step(it as f64));
        let here = |value: Option<f64>| value.filter(|_| local.is_some());
        let milliseconds = |share| rounded(f64::from(percentile(&latencies, share)) / 1000.0);
        Self {
            workload: load.word,
            workflows: load.workflows,
            steps: load.steps,
            concurrency: load.concurrency,
            seconds: rounded(seconds),
            workflows_per_second: Some(rounded(operations / seconds))
                .filter(|_| busy && load.events.is_none()),
            events: load.events,
            events_per_second: load.events.map(|_| rounded(operations / seconds)),
            steps_per_second: Some(rounded(steps / seconds)).filter(|_| busy),
            latency_ms: busy.then(|| Latency {
                p50: milliseconds(0.50),
                p99: milliseconds(0.99),
                max: milliseconds(1.0),
            }),
            cpu_seconds: here(Some(rounded(usage.cpu.as_secs_f64()))).filter(|_| !busy),
            cpu_seconds_per_1000_steps: here(by_step(usage.cpu.as_secs_f64())),
            peak_rss_mib: here(measure::peak_mib()).map(rounded),
            rss_mib_at: local.map(|_| memory.into_iter().map(rounded).collect()),
            bytes_per_1000_steps: here(bytes(usage.written)),
            disk_bytes_per_1000_steps: here(bytes(usage.device)),
            journal_bytes: local.and_then(measure::occupied),
            history: pages.map(|it| History {
                entries: it.entries,
                entries_per_second: rounded(it.entries as f64 / seconds),
                first_page_ms: rounded(f64::from(it.first) / 1000.0),
                last_page_ms: rounded(f64::from(it.last) / 1000.0),
            }),
            wakeups_per_second: wakeups.map(|it| rounded(it as f64 / seconds)),
            secrets: load.secrets.map(|Way { login, tokens }| Secrets {
                login,
                tokens,
                attempts_per_second: rounded(steps / seconds),
                store_cpu_ms_per_attempt: store_cpu
                    .map(|it| rounded(it.as_secs_f64() * 1000.0 / steps)),
            }),
            search: asked,
            schedules: taken.map(|it| Taken {
                bytes_a_definition: it.bytes_a_definition.map(rounded),
                bytes_a_schedule: it.bytes_a_schedule.map(rounded),
            }),
        }
    }

    /// Names and values, for a table.
    fn rows(&self) -> Vec<(&'static str, String)> {
        let unknown = || "-".to_owned();
        let shown = |value: Option<f64>| value.map_or_else(unknown, |it| it.to_string());
        let latency = |of: fn(&Latency) -> f64| self.latency_ms.as_ref().map(of);
        let of_history =
            |of: fn(&History) -> String| self.history.as_ref().map_or_else(unknown, of);
        let of_secrets =
            |of: fn(&Secrets) -> String| self.secrets.as_ref().map_or_else(unknown, of);
        vec![
            ("workflows", self.workflows.to_string()),
            ("steps", self.steps.to_string()),
            ("concurrency", self.concurrency.to_string()),
            ("seconds", self.seconds.to_string()),
            ("workflows/s", shown(self.workflows_per_second)),
            ("events/s", shown(self.events_per_second)),
            ("steps/s", shown(self.steps_per_second)),
            ("p50 ms", shown(latency(|it| it.p50))),
            ("p99 ms", shown(latency(|it| it.p99))),
            ("max ms", shown(latency(|it| it.max))),
            ("CPU s", shown(self.cpu_seconds)),
            ("CPU s/1000 steps", shown(self.cpu_seconds_per_1000_steps)),
            ("peak MiB", shown(self.peak_rss_mib)),
            ("bytes/1000 steps", shown(self.bytes_per_1000_steps)),
            ("disk bytes/1000 steps", shown(self.disk_bytes_per_1000_steps)),
            ("journal bytes", self.journal_bytes.map_or_else(unknown, |it| it.to_string())),
            ("history entries", of_history(|it| it.entries.to_string())),
            ("first page ms", of_history(|it| it.first_page_ms.to_string())),
            ("last page ms", of_history(|it| it.last_page_ms.to_string())),
            ("wake-ups/s", shown(self.wakeups_per_second)),
            ("bytes/schedule", shown(self.schedules.and_then(|it| it.bytes_a_schedule))),
            ("login", of_secrets(|it| word(it.login))),
            ("tokens", of_secrets(|it| word(it.tokens))),
            ("attempts/s", of_secrets(|it| it.attempts_per_second.to_string())),
            (
                "store CPU ms/attempt",
                of_secrets(|it| {
                    it.store_cpu_ms_per_attempt.map_or("-".to_owned(), |it| it.to_string())
                }),
            ),
        ]
    }
}

/// As the command line calls it.
pub(super) fn word(value: impl clap::ValueEnum) -> String {
    value.to_possible_value().map(|it| it.get_name().to_owned()).unwrap_or_default()
}

/// Prints reports side by side.
pub(super) fn table(reports: &[Report]) {
    let Some(first) = reports.first() else { return };
    let mut heading = vec![""];
    heading.extend(reports.iter().map(|it| it.workload));
    let columns: Vec<_> = reports.iter().map(Report::rows).collect();
    let row = |(at, (name, _)): (usize, (&str, String))| {
        let values = columns.iter().filter_map(|column| column.get(at)).map(|it| it.1.clone());
        std::iter::once(name.to_owned()).chain(values).collect()
    };
    let rows: Vec<Vec<String>> = first.rows().into_iter().enumerate().map(row).collect();
    output::table(&heading, &rows);
    let asked: Vec<_> = reports.iter().flat_map(|it| it.search.iter().flatten()).collect();
    if !asked.is_empty() {
        let row = |it: &&Asked| {
            let figures = [it.first_page_ms, it.first_page_max_ms, it.count_ms];
            let words = [it.filter.to_owned(), it.matches.to_string()];
            words.into_iter().chain(figures.map(|it| it.to_string())).collect()
        };
        let heading = ["FILTER", "MATCHES", "PAGE MS", "PAGE MAX MS", "COUNT MS"];
        output::table(&heading, &asked.iter().map(row).collect::<Vec<_>>());
    }
}

/// The least value that at least `share` of all values do not exceed; `sorted` goes upwards.
pub(super) fn percentile(sorted: &[u32], share: f64) -> u32 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0)
}

/// Three digits after the point: more would only look exact.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::{percentile, rounded};

    #[test]
    fn percentiles_are_values_that_occurred() {
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 0.50), 50);
        assert_eq!(percentile(&hundred, 0.99), 99);
        assert_eq!(percentile(&hundred, 1.0), 100);
        assert_eq!(percentile(&hundred, 0.0), 1);
        assert_eq!(percentile(&[7], 0.99), 7);
        assert_eq!(percentile(&[1, 2, 3], 0.50), 2);
        assert_eq!(percentile(&[], 0.50), 0);
    }

    #[test]
    fn figures_are_rounded() {
        assert_eq!(rounded(0.123_456).to_string(), "0.123");
        assert_eq!(rounded(3_000.0).to_string(), "3000");
    }
}
