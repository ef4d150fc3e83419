//! `windlass worker`: the hands of a fleet.

mod check;
mod list;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use windlass_proto::limits;
use windlass_proto::plan::DEFAULT_POOL;
use windlass_proto::wire::key::WorkerKey;
use windlass_telemetry::Role;
use windlass_worker::fleet::bus::Bus;
use windlass_worker::fleet::{Event, FleetError, FleetOptions, host_name};
use windlass_worker::{Egress, SandboxMode, TaskUser, Worker};

use crate::bus::Nats;
use crate::code::NOT_STARTED;
use crate::configuration::ConfigOptions;
use crate::error::CliError;
use crate::options::isolate;
use crate::options::{WorkerOptions, describe_egress, describe_processes, duration};
use crate::telemetry::{self, TelemetryOptions, Told};
use crate::worker::Files;
use crate::{output, signal};

/// Run a worker of a fleet: it takes tasks over NATS, performs them, and keeps nothing.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  windlass worker --nats nats://127.0.0.1:4222 --key-file worker.key\n\n\
                  --allow shell,script lets tasks run programs here; without it they wait for \
                  another worker. They run in a sandbox where this machine can make one\n\
                  (--sandbox required: nowhere else).\n\
                  --egress-allow lets tasks call private addresses; without it they reach the \
                  internet alone.\n\
                  SIGTERM drains: what runs is finished, at most --drain long, the rest handed back."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

impl Args {
    /// What is told of it, and how; nothing of commands that end soon.
    pub(crate) fn told(&self) -> Option<Told<'_>> {
        let options = &self.run.telemetry;
        let environment = self.run.environment.as_deref();
        let told = Told { role: Role::Worker, options, environment };
        self.command.is_none().then_some(told)
    }
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the workers of a coordinator
    List(list::Args),
    /// Check a worker in any language against the protocol
    Check(Box<check::Args>),
}

#[derive(clap::Args)]
struct RunArgs {
    #[command(flatten)]
    config: ConfigOptions,
    /// What its telemetry says that it works for (`deployment.environment.name`), such as the
    /// coordinator's --environment
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// What lets it join, as `windlass coordinator key` prints it: shows in process lists for a
    /// moment, so prefer --key-file [env: WINDLASS_WORKER_KEY]
    // Not by clap's own means: it was taken out of the environment.
    #[arg(long, value_name = "KEY", conflicts_with = "key_file")]
    key: Option<String>,
    /// A file with that key
    #[arg(long, env = "WINDLASS_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// It takes tasks of this pool only [default: the key's, or `default`]
    #[arg(long, env = "WINDLASS_POOL", value_name = "NAME",
        value_parser = super::coordinator::pool)]
    pool: Option<String>,
    /// Tasks it takes at once
    #[arg(long, env = "WINDLASS_CONCURRENCY", default_value_t = 256, value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::WORKER_CONCURRENCY)))]
    concurrency: u32,
    /// What people know it by [default: the host's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Serve /healthz, /readyz and /metrics here; they tell no secrets and take no commands
    #[arg(long, env = "WINDLASS_HEALTH", value_name = "ADDR:PORT",
        value_parser = crate::serve::address)]
    health: Option<SocketAddr>,
    /// How long it may finish what it works on when it is told to stop
    #[arg(long, env = "WINDLASS_DRAIN", default_value = "30s", value_name = "DURATION",
        value_parser = duration)]
    drain: Duration,
    /// Register so often: to measure what idle workers cost
    #[arg(long, hide = true, default_value_t = 1)]
    sessions: u32,
    #[command(flatten)]
    nats: Nats,
    #[command(flatten)]
    worker: WorkerOptions,
    #[command(flatten)]
    telemetry: TelemetryOptions,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Some(Command::List(args)) => list::run(args).await,
        Some(Command::Check(args)) => check::run(*args).await,
        None => work(args.run).await,
    }
}

async fn work(args: RunArgs) -> Result<(), CliError> {
    let name = args.name.clone().unwrap_or_else(host_name);
    let key = key(&args)?;
    let pool = args.pool.clone().or_else(|| key.pool().map(str::to_owned));
    let options = FleetOptions {
        bus: args.nats.options(&format!("windlass worker {name}")),
        prefix: args.nats.bus.clone(),
        pool: pool.unwrap_or_else(|| DEFAULT_POOL.to_owned()),
        key,
        name,
        concurrency: args.concurrency,
        drain: args.drain,
        health: args.health,
    };
    if args.sessions > 1 {
        return idle(&args, &options).await;
    }
    let mut processes = args.worker.processes(&[])?;
    if TaskUser::is_root() && args.worker.task_user.is_none() {
        // They are other people's tasks.
        processes.user = Some(TaskUser::NOBODY);
    }
    let keys = args.nats.credentials().into_iter().chain(args.key_file.clone()).collect();
    let processes = isolate(&args.worker, processes, SandboxMode::Auto, keys).await?;
    if let Some(text) = describe_processes(&processes) {
        output::message(&text);
    }
    output::message(&describe_egress(&args.worker.egress(Egress::public())?));
    let builder = crate::worker::builder(args.worker, Files::default(), Egress::public())?
        .processes(processes);
    let (builder, push) = telemetry::observe(builder)?;
    let tell = |event| match event {
        Event::Joined(session) => output::message(&format!("joined as {session}")),
        Event::Lost => output::message("the session is gone; joining again"),
        Event::Draining => output::message("stopping; finishing what runs"),
    };
    let stopped = builder.serve(options, signal::stop(), tell).await;
    push.finish().await;
    stopped.map_err(|error| match error {
        FleetError::Worker(_) => CliError::Usage(error.to_string()),
        _ => CliError::coded(&NOT_STARTED, &error.to_string()),
    })
}

/// Registers many times over one connection.
async fn idle(args: &RunArgs, options: &FleetOptions) -> Result<(), CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::coded(&NOT_STARTED, &error.to_string());
    let bus = Bus::connect(&options.bus).await.map_err(|error| failed(&error))?;
    let serve = |_| {
        let builder = Worker::builder();
        builder.serve_on(bus.clone(), options.clone(), signal::stop(), |_| {})
    };
    let all = futures_util::future::try_join_all((0..args.sessions).map(serve)).await;
    all.map(drop).map_err(|error| failed(&error))
}

fn key(args: &RunArgs) -> Result<WorkerKey, CliError> {
    let parse = |text: &str, what: &str| {
        WorkerKey::parse(text).map_err(|error| CliError::Usage(format!("{what}: {error}")))
    };
    let variable = windlass_worker::variable("WINDLASS_WORKER_KEY");
    match (&args.key, &args.key_file) {
        (Some(text), _) => parse(text, "--key"),
        (None, Some(_)) if variable.is_some() => Err(CliError::Usage(
            "WINDLASS_WORKER_KEY and --key-file both name a key: give one of them".to_owned(),
        )),
        (None, None) if variable.is_some() => {
            let text = variable.map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
            parse(&text, "WINDLASS_WORKER_KEY")
        }
        (None, Some(path)) => crate::key::worker(path),
        (None, None) => Err(CliError::Usage(
            "a worker needs a key: --key-file, or WINDLASS_WORKER_KEY; `windlass coordinator key` \
             prints it"
                .to_owned(),
        )),
    }
}
