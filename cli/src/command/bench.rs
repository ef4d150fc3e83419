//! `windlass bench`: a load generator, and what it measures.

mod against;
mod drive;
mod fleet;
mod measure;
mod report;
mod schedules;
mod searching;
mod store;
mod target;
mod workload;

use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use windlass_proto::limits;

use crate::error::CliError;
use crate::output::{self, Format};
use crate::signal;
use report::Report;
use target::{Target, Workers};
use workload::{Chosen, Load, Login, Tokens, Way};

/// Measure throughput and latency.
#[derive(clap::Args)]
#[command(after_help = "\
Workloads:
  w1  throughput: workflows of --steps tasks (default 5), one after the other, each of them an
      assignment to the worker's function `echo` with a constant argument of some 40 bytes;
      5000 workflows, 200 at a time
  w2  latency: the same workflow, 200 times, one at a time
  w3  one workflow that forks --steps branches (default 1000), each one call of `echo`
  w4  10000 workflows that wait 5 s, all started at once; `seconds` is from the first start to
      the last end
  w5  bytes written: the same run as w1, which reports them too
  events  --workflows workflows listen (default 10000), all for one type, each for data of its own;
      then --events events are sent (default 20000), 200 at a time, to one after the other, and each
      must be consumed once. Latency and `events_per_second` are of events alone, durably consumed;
      one event counts as one step
  loop     one workflow, a `for` over --steps items (default 1000, at most 1000000), each iteration one
      call of `echo`: what an iteration writes must not grow with their number
  history  the same workflow (default 10000 items), then its history in pages of 1000 entries: seconds,
      CPU time and latencies are those of the pages, `last_page_ms` the last full one
  payload  --workflows workflows (default 1) whose input holds a text of 10 MiB that does not
      compress, each of --steps tasks (default 5) a `set` that passes it on; the load generator
      shares that text with the workflows, and so takes no memory for it that they would not
  idle     nothing: the coordinator is left alone for 10 s; `wakeups_per_second` is how often one of
      its threads was given a processor, `cpu_seconds` what they took of it; figures of workflows
      and steps are null, as there are none
  secrets  w1 with 400 workflows, 64 at a time, whose every step reads a secret from an OpenBao or Vault
      that is started for it (`bao` or `vault` on the PATH; its storage on disk, its audit log on):
      once for each way to log in (--login) and kind of token (--tokens), on a fresh store each.
      `attempts_per_second` are steps; `store_cpu_ms_per_attempt` is what one costs the store.
      --concurrency 1 gives the latency of a workflow of --steps such steps
  schedules  --workflows workflows (default 10000), each with a schedule that is due once, spread over
      a second for each 1000 (5 s at least), and one task `set`. Latency is by how much each was
      started late, `workflows_per_second` what was started from the first to the last;
      `bytes_a_schedule` is the memory of a definition with a schedule beyond that of one without,
      of which as many are deployed first
  search   --workflows workflows (default 100000), each with a label of its own, one that a thousandth of
      them have and one task, which faults in one of 100; then, 30 times each, the first page of 100
      and the number of those that match some filters: the medians, and of pages the longest. Latency
      is of the workflows
  all w1 to w4, one after the other; --workflows, --steps and --concurrency then keep their defaults

Every outcome is checked: a wrong or missing one ends the command with exit code 1. One workflow is
run before the clock starts (not for w4), so that caches are warm.

Without --remote, coordinator, queue and worker run in this process, on a journal in a temporary
directory, durably: every start and every step is on disk (fdatasync) before it counts. CPU time and
memory are this process's, load generator included; CPU time is user and system. `bytes_per_1000_steps`
is what the process made the system write to disk, whole pages, and on kernels that keep a file in larger
pieces (ext4 since Linux 6.16) whole pieces, of which the disk sees the changed blocks only:
`disk_bytes_per_1000_steps` is what the disk was told to write meanwhile, by all processes, where the
directory has a disk (null on overlays and tmpfs). `journal_bytes` what the journal
occupies in the end. With --nats, CPU time includes that of the workers, not that of NATS. `rss_mib_at` is the memory in use after each tenth of the workflows. With
--remote these are null: measure them at the server. OTEL_EXPORTER_OTLP_ENDPOINT and the variables beside it
switch telemetry on here too, so that its cost can be measured.

Examples:
  windlass bench --workload w1 --workflows 5000 --output json
  windlass bench --workload all --data-dir /mnt/disk/bench
  windlass bench --workload events --workflows 50000 --events 50000
  windlass bench --workload w2 --against ./windlass-before --pairs 7
  windlass bench --workload secrets --login shared
  windlass bench --workload w1 --nats nats://127.0.0.1:4222 --workers 2
  windlass bench --workload w1 --remote http://127.0.0.1:7400 --concurrency 64")]
pub(crate) struct Args {
    /// What to run
    #[arg(long, value_enum, default_value_t = Chosen::W1)]
    workload: Chosen,
    /// Workflows to run; a default for each workload
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    workflows: Option<u64>,
    /// Events to send, of the workload `events`
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    events: Option<u64>,
    /// Tasks of a workflow, or branches of w3
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    steps: Option<u32>,
    /// Workflows under way at the same time
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    concurrency: Option<u32>,
    /// Measure the server at this URL instead of one inside this process
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    remote: Option<String>,
    /// Put workers into processes of their own, with the NATS servers at this URL between
    #[arg(long, value_name = "URL", conflicts_with = "remote")]
    nats: Option<String>,
    /// How many such workers
    #[arg(long, default_value_t = 2, value_name = "COUNT", requires = "nats",
        value_parser = clap::value_parser!(u32).range(1..=1_000))]
    workers: u32,
    /// Let each task read this secret, which the server's workers find in the namespace
    /// windlass-bench
    #[arg(long, value_name = "NAME", requires = "remote")]
    secret: Option<String>,
    /// Run the load with this other build of Windlass too, in turns, and print this build's figures
    /// as a share of the other's
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["remote", "data_dir"])]
    against: Option<PathBuf>,
    /// How often each of the two runs
    #[arg(long, default_value_t = 5, value_name = "COUNT", requires = "against",
        value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pairs: u32,
    /// Who logs in at the store, of the workload `secrets`: measure this way only
    #[arg(long, value_enum)]
    login: Option<Login>,
    /// What a login gives, of the workload `secrets`: measure this way only
    #[arg(long, value_enum)]
    tokens: Option<Tokens>,
    /// Keep the journal here, and keep it afterwards
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// How to print: columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    let loads = loads(&args)?;
    if args.against.is_some() && loads.len() > 1 {
        let text = "`--against` compares one load: one workload, and of `secrets` with --login and \
                    --tokens one way";
        return Err(CliError::Usage(text.to_owned()));
    }
    if let Some(other) = &args.against {
        return compare(&args, other).await;
    }
    let mut reports = Vec::new();
    let mut stop = pin!(signal::stop());
    for load in &loads {
        reports.push(one(load, &args, stop.as_mut()).await?);
    }
    match (Format::or_default(args.output), &*reports) {
        (Format::Json, [report]) => output::json(report),
        (Format::Json, reports) => output::json(&reports),
        (Format::Table, reports) => report::table(reports),
    }
    Ok(())
}

/// Runs the load with two builds.
async fn compare(args: &Args, other: &Path) -> Result<(), CliError> {
    let comparison = against::run(args, other).await?;
    match Format::or_default(args.output) {
        Format::Json => output::json(&comparison),
        Format::Table => against::table(&comparison),
    }
    Ok(())
}

/// The loads that the arguments ask for.
fn loads(args: &Args) -> Result<Vec<Load>, CliError> {
    let chosen = args.workload.workloads();
    let adjusted = args.workflows.is_some() || args.steps.is_some() || args.concurrency.is_some();
    if chosen.len() > 1 && adjusted {
        return Err(CliError::Usage(
            "`--workload all` keeps the defaults of each workload: give --workflows, --steps or \
             --concurrency with a single one"
                .to_owned(),
        ));
    }
    if args.events.is_some() && args.workload != Chosen::Events {
        return Err(CliError::Usage("`--events` belongs to `--workload events`".to_owned()));
    }
    refuse_meaningless(args)?;
    let elsewhere = args.remote.is_some() || args.nats.is_some();
    if matches!(args.workload, Chosen::Schedules | Chosen::Search) && elsewhere {
        let word = args.workload.word();
        return Err(CliError::Usage(format!(
            "`--workload {word}` runs in this process: neither --remote nor --nats"
        )));
    }
    let is_of_secrets = args.login.is_some() || args.tokens.is_some();
    let ways = Way::all(args.login, args.tokens);
    if args.workload == Chosen::Secrets {
        if elsewhere || (args.data_dir.is_some() && ways.len() > 1) {
            return Err(CliError::Usage(
                "`--workload secrets` runs in this process, each way on a journal of its own: \
                 neither --remote nor --nats, and --data-dir with --login and --tokens only"
                    .to_owned(),
            ));
        }
    } else if is_of_secrets {
        let text = "`--login` and `--tokens` belong to `--workload secrets`";
        return Err(CliError::Usage(text.to_owned()));
    }
    let most = chosen.iter().map(|it| it.most_steps()).min();
    if let Some((steps, most)) = args.steps.zip(most).filter(|(steps, most)| steps > most) {
        let word = args.workload.word();
        return Err(CliError::Usage(format!(
            "a workflow of `--workload {word}` has at most {most} steps, not {steps}"
        )));
    }
    let load = |it: &_| {
        let load = Load::new(*it, args.workflows, args.steps, args.concurrency);
        let load = load.sending(args.events);
        match &args.secret {
            Some(secret) => load.reading(secret),
            None => load,
        }
    };
    if args.workload == Chosen::Secrets {
        let load = || Load::new(Chosen::Secrets, args.workflows, args.steps, args.concurrency);
        return Ok(ways.into_iter().map(|way| load().reading_from_a_store(way)).collect());
    }
    Ok(chosen.iter().map(load).collect())
}

/// Refuses numbers that the workload does not have.
fn refuse_meaningless(args: &Args) -> Result<(), CliError> {
    let idles = args.workload == Chosen::Idle;
    let one_step = idles
        || matches!(
            args.workload,
            Chosen::W4 | Chosen::Events | Chosen::Schedules | Chosen::Search
        );
    let given = [
        ("--workflows", args.workflows.is_some() && idles),
        ("--steps", args.steps.is_some() && one_step),
        ("--concurrency", args.concurrency.is_some() && idles),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((name, _)) => {
            let word = args.workload.word();
            Err(CliError::Usage(format!("`{name}` means nothing to `--workload {word}`")))
        }
    }
}

/// Runs one load on a fresh target, which is closed at `stop` as well: only then is its directory
/// gone for good.
async fn one(
    load: &Load,
    args: &Args,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Result<Report, CliError> {
    let workers = args.nats.as_deref().map(|nats| Workers { nats, count: args.workers });
    let (remote, data_dir) = (args.remote.as_deref(), args.data_dir.as_deref());
    let mut opening = pin!(target::open(load, remote, data_dir, workers));
    let (target, stopped) = tokio::select! {
        target = &mut opening => (target?, false),
        () = stop.as_mut() => (opening.await?, true),
    };
    let target = Arc::new(target);
    let measured = tokio::select! {
        biased;
        () = stop, if !stopped => Err(CliError::Interrupted),
        measured = drive::run(load, &target), if !stopped => measured,
        else => Err(CliError::Interrupted),
    };
    let report = measured.map(|it| Report::new(load, it, &target));
    close(target).await;
    report
}

/// Closes a target once nobody else holds it: tasks that were broken off let go of it in a moment.
async fn close(mut target: Arc<Target>) {
    let end = Instant::now() + Duration::from_millis(limits::THREADS_END_MS);
    loop {
        target = match Arc::try_unwrap(target) {
            Ok(target) => return target.close().await,
            Err(_) if Instant::now() > end => return,
            Err(target) => target,
        };
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

impl ValueEnum for Chosen {
    fn value_variants<'a>() -> &'a [Self] {
        use Chosen::{All, Events, History, Idle, Loop, Payload, Schedules, Search, Secrets};
        use Chosen::{W1, W2, W3, W4, W5};
        &[W1, W2, W3, W4, W5, Events, Loop, History, Payload, Idle, Secrets, Schedules, Search, All]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.word()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::{Args, loads};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    pub(super) fn parse(line: &str) -> Result<Args, clap::Error> {
        Line::try_parse_from(line.split_whitespace()).map(|it| it.args)
    }

    #[test]
    fn each_workload_has_its_defaults() {
        let of = |line: &str| {
            let loads = loads(&parse(line).unwrap()).unwrap();
            let shape = |it: &super::Load| (it.word, it.workflows, it.steps, it.concurrency);
            loads.iter().map(shape).collect::<Vec<_>>()
        };
        assert_eq!(of("bench"), [("w1", 5_000, 5, 200)]);
        assert_eq!(of("bench --workload w2"), [("w2", 200, 5, 1)]);
        assert_eq!(of("bench --workload w3"), [("w3", 1, 1_000, 1)]);
        assert_eq!(of("bench --workload w4"), [("w4", 10_000, 1, 10_000)]);
        assert_eq!(of("bench --workload w5"), [("w5", 5_000, 5, 200)]);
        assert_eq!(of("bench --workload loop --steps 4001"), [("loop", 1, 4_001, 1)]);
        assert_eq!(of("bench --workload history"), [("history", 1, 10_000, 1)]);
        assert_eq!(of("bench --workload payload"), [("payload", 1, 5, 1)]);
        assert_eq!(of("bench --workload idle"), [("idle", 1, 1, 1)]);
        assert_eq!(of("bench --workload schedules"), [("schedules", 10_000, 1, 200)]);
        assert_eq!(of("bench --workload search"), [("search", 100_000, 1, 200)]);
        assert_eq!(of("bench --workload secrets"), [("secrets", 400, 5, 64); 4]);
        assert_eq!(of("bench --workload secrets --login shared").len(), 2);
        assert_eq!(of("bench --workload all").len(), 4);
        assert_eq!(of("bench --workload events"), [("events", 10_000, 1, 200)]);
        let given = "bench --workload events --workflows 7 --events 30";
        assert_eq!(of(given), [("events", 7, 1, 30)]);
        let given = "bench --workload w1 --workflows 70 --steps 3 --concurrency 100";
        assert_eq!(of(given), [("w1", 70, 3, 70)], "no more at once than there are");
        assert_eq!(of("bench --workload w4 --workflows 30"), [("w4", 30, 1, 30)]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "bench --workload w6",
            "bench --workflows 0",
            "bench --steps 0",
            "bench --steps 1000001",
            "bench --concurrency 0",
            "bench --remote http://127.0.0.1:1 --data-dir d",
            "bench --output xml",
            "bench --pairs 3",
            "bench --against p --data-dir d",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        for line in [
            "bench --workload all --steps 2",
            "bench --workload w1 --events 2",
            "bench --steps 4001",
            "bench --login shared",
            "bench --workload idle --workflows 2",
            "bench --workload idle --steps 2",
            "bench --workload idle --concurrency 2",
            "bench --workload w4 --steps 2",
            "bench --workload events --steps 2",
            "bench --workload w2 --tokens batch",
            "bench --workload schedules --steps 2",
            "bench --workload search --nats nats://127.0.0.1:1",
            "bench --workload schedules --remote http://127.0.0.1:1",
            "bench --workload secrets --remote http://127.0.0.1:1",
            "bench --workload secrets --data-dir d --login shared",
        ] {
            assert!(loads(&parse(line).unwrap()).is_err(), "{line}");
        }
    }
}
