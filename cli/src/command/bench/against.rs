//! `--against`: the same load by another build, run in turns with this one, so that what else the
//! machine does falls on both.

use std::ffi::OsString;
use std::path::Path;
use std::pin::{Pin, pin};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use serde_json::Value as Json;
use tokio::process::Command;
use windlass_proto::limits;

use super::Args;
use super::report::{rounded, word};
use crate::code::BENCH_FAILED;
use crate::error::CliError;
use crate::{output, signal};

/// The figures of a report that are compared, where both builds give them.
const FIGURES: [&str; 15] = [
    "/seconds",
    "/workflows_per_second",
    "/events_per_second",
    "/steps_per_second",
    "/latency_ms/p50",
    "/latency_ms/p99",
    "/cpu_seconds_per_1000_steps",
    "/peak_rss_mib",
    "/bytes_per_1000_steps",
    "/disk_bytes_per_1000_steps",
    "/journal_bytes",
    "/history/entries_per_second",
    "/wakeups_per_second",
    "/secrets/attempts_per_second",
    "/secrets/store_cpu_ms_per_attempt",
];

/// What the pairs gave.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pairs: Vec<Pair>,
    figures: Vec<Figure>,
}

/// One run of each build.
#[derive(Debug, Serialize)]
struct Pair {
    this: Json,
    other: Json,
}

/// One figure of all pairs: medians, and this build's as a share of the other's.
#[derive(Debug, PartialEq, Serialize)]
struct Figure {
    name: String,
    this: f64,
    other: f64,
    ratio: f64,
    /// Of each pair.
    ratios: Vec<f64>,
}

/// Runs the load `args.pairs` times with each build.
pub(super) async fn run(args: &Args, other: &Path) -> Result<Comparison, CliError> {
    let this = std::env::current_exe().map_err(|error| broken(&error.to_string()))?;
    let arguments = arguments(args);
    let mut stop = pin!(signal::stop());
    let mut run = async |build: &Path| one(build, &arguments, stop.as_mut()).await;
    let mut pairs = Vec::new();
    for number in 0..args.pairs {
        // Who comes second finds the disk as the first has left it, so they take turns in that.
        let (this, other) = if number % 2 == 0 {
            let this = run(&this).await?;
            (this, run(other).await?)
        } else {
            let other = run(other).await?;
            (run(&this).await?, other)
        };
        pairs.push(Pair { this, other });
    }
    let figures = FIGURES.iter().filter_map(|it| figure(it, &pairs)).collect();
    Ok(Comparison { pairs, figures })
}

/// The command line of one run.
fn arguments(args: &Args) -> Vec<OsString> {
    let mut line: Vec<OsString> =
        ["bench", "--output", "json", "--workload"].map(Into::into).into();
    line.push(args.workload.word().into());
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            line.extend([name.into(), value.into()]);
        }
    };
    add("--workflows", args.workflows.map(|it| it.to_string()));
    add("--events", args.events.map(|it| it.to_string()));
    add("--steps", args.steps.map(|it| it.to_string()));
    add("--concurrency", args.concurrency.map(|it| it.to_string()));
    add("--login", args.login.map(word));
    add("--tokens", args.tokens.map(word));
    add("--nats", args.nats.clone());
    add("--workers", args.nats.as_ref().map(|_| args.workers.to_string()));
    line
}

/// One run: the report that the build prints. At `stop` the build is told to end, and given time to
/// take away the journal that it has in a temporary directory.
async fn one(
    build: &Path,
    arguments: &[OsString],
    stop: Pin<&mut impl Future<Output = ()>>,
) -> Result<Json, CliError> {
    let failed = |error: std::io::Error| broken(&format!("{}: {error}", build.display()));
    let mut command = Command::new(build);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.kill_on_drop(true).spawn().map_err(failed)?;
    let id = child.id();
    let mut output = pin!(child.wait_with_output());
    let ended = tokio::select! {
        ended = &mut output => ended.map_err(failed)?,
        () = stop => {
            // Of a terminal's Ctrl-C it has heard already; once more does no harm.
            if let Some(id) = id.and_then(|it| Pid::from_raw(it.try_into().ok()?)) {
                let _ = kill_process(id, Signal::TERM);
            }
            let most = Duration::from_millis(limits::BENCH_ENDING_MS);
            let _ = tokio::time::timeout(most, output).await;
            return Err(CliError::Interrupted);
        }
    };
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        let why = format!("{} ended with {}: {}", build.display(), ended.status, said.trim());
        return Err(broken(&why));
    }
    serde_json::from_slice(&ended.stdout)
        .map_err(|error| broken(&format!("{} printed no report: {error}", build.display())))
}

fn broken(why: &str) -> CliError {
    CliError::coded(&BENCH_FAILED, &format!("a build could not be measured: {why}"))
}

/// A figure, where each run of both builds has it and it is no zero.
fn figure(pointer: &str, pairs: &[Pair]) -> Option<Figure> {
    let value = |report: &Json| report.pointer(pointer)?.as_f64().filter(|it| *it > 0.0);
    let both = |pair: &Pair| Some((value(&pair.this)?, value(&pair.other)?));
    let values: Vec<(f64, f64)> = pairs.iter().map(both).collect::<Option<_>>()?;
    let ratios: Vec<f64> = values.iter().map(|(this, other)| this / other).collect();
    Some(Figure {
        name: pointer.trim_start_matches('/').replace('/', "."),
        this: rounded(median(values.iter().map(|it| it.0).collect())?),
        other: rounded(median(values.iter().map(|it| it.1).collect())?),
        ratio: rounded(median(ratios.clone())?),
        ratios: ratios.into_iter().map(rounded).collect(),
    })
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) =
        (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some((low + high) / 2.0)
}

/// Prints the figures, a row each.
pub(super) fn table(comparison: &Comparison) {
    let row = |it: &Figure| {
        let ratios: Vec<String> = it.ratios.iter().map(f64::to_string).collect();
        let numbers = [it.this, it.other, it.ratio].map(|it| it.to_string());
        std::iter::once(it.name.clone()).chain(numbers).chain([ratios.join(" ")]).collect()
    };
    let rows: Vec<Vec<String>> = comparison.figures.iter().map(row).collect();
    output::table(&["", "this", "other", "ratio", "of each pair"], &rows);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::super::tests::parse;
    use super::{Pair, arguments, figure, median};

    #[test]
    fn both_builds_are_given_the_same_load() {
        let given = "bench --workload secrets --workflows 30 --steps 2 --login shared --tokens batch \
                     --against other --pairs 9";
        assert_eq!(
            arguments(&parse(given).unwrap()).join(" ".as_ref()).to_str(),
            Some(
                "bench --output json --workload secrets --workflows 30 --steps 2 --login shared \
                 --tokens batch"
            )
        );
    }

    #[test]
    fn medians_are_of_all_values() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn only_what_every_run_tells_is_compared() {
        let report =
            |p50: f64, events: Option<f64>| json!({"latency_ms": {"p50": p50}, "events": events});
        let pair = |this, other| Pair { this: report(this, None), other: report(other, Some(7.0)) };
        let pairs = [pair(1.0, 2.0), pair(3.0, 4.0), pair(3.0, 2.0)];
        let figure_of = |it| figure(it, &pairs);
        let latency = figure_of("/latency_ms/p50").unwrap();
        assert_eq!(
            (latency.name.as_str(), latency.this, latency.other),
            ("latency_ms.p50", 3.0, 2.0)
        );
        assert_eq!((latency.ratio, latency.ratios), (0.75, vec![0.5, 0.75, 1.5]));
        assert_eq!(figure_of("/events"), None);
        assert_eq!(figure_of("/none"), None);
    }
}
