//! `windlass coordinator`: the memory and the judgement of a fleet.

mod backups;
mod cluster;
mod key;

pub(super) use cluster::name as cluster_name;
pub(super) use key::pool;

use backups::BackupArgs;
use cluster::{ClusterArgs, Led};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use windlass_coordinator::coordinator::{Coordinator, Downstream, Options};
use windlass_coordinator::events::lifecycle::Level;
use windlass_coordinator::events::{EventOptions, Events};
use windlass_coordinator::fleet::{Fleet, FleetOptions};
use windlass_coordinator::hangup;
use windlass_coordinator::journal::sled::{self, SledJournal};
use windlass_coordinator::secrets::SecretsOptions;
use windlass_proto::limits;
use windlass_proto::wire::subject::Prefix;
use windlass_telemetry::Role;
use windlass_worker::fleet::bus::Bus;

use crate::bus::Nats;
use crate::code::NOT_STARTED;
use crate::configuration::ConfigOptions;
use crate::definition::{self, Support};
use crate::embedded::StartError;
use crate::error::CliError;
use crate::memory::MemoryOptions;
use crate::options::{InboundOptions, JournalOptions, RetentionOptions, duration};
use crate::secret_options::{IdentityArgs, SecretArgs};
use crate::serve::{Bound, QuotaOptions, ServeOptions};
use crate::telemetry::{self, TelemetryOptions, Told};
use crate::{output, signal};

/// Run the coordinator of a fleet: it keeps every fact and sends tasks to workers over NATS.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  windlass coordinator --nats nats://127.0.0.1:4222 order.yaml\n  \
                  windlass worker --nats nats://127.0.0.1:4222 --key \"$(windlass coordinator key)\""
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
        let environment = Some(self.run.secrets.environment.as_str());
        let told = Told { role: Role::Coordinator, options, environment };
        self.command.is_none().then_some(told)
    }
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print the key that workers need; makes the coordinator's own where there is none
    Key(key::Args),
}

#[derive(clap::Args)]
struct RunArgs {
    #[command(flatten)]
    config: ConfigOptions,
    /// Definitions to deploy at the start
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A further definition to deploy; may be repeated
    #[arg(long = "with", value_name = "FILE")]
    with: Vec<PathBuf>,
    #[command(flatten)]
    support: Support,
    #[command(flatten)]
    data: DataOptions,
    /// A worker that is silent for so long is taken for dead, and its tasks are sent again
    #[arg(long, env = "WINDLASS_LEASE", default_value = "6s", value_name = "DURATION",
        value_parser = lease)]
    lease: Duration,
    /// Tasks of one namespace that may wait for workers; past it, starts in it get 429
    #[arg(long, env = "WINDLASS_MAX_BACKLOG", default_value_t = limits::BACKLOG,
        value_name = "NUMBER")]
    max_backlog: usize,
    /// Workers that one task may take down before it is given up with an error
    #[arg(long, env = "WINDLASS_MAX_LOSSES", default_value_t = limits::DELIVERIES_LOST,
        value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    max_losses: u32,
    /// Take another text for a version that is deployed, where a deployment asks for it
    /// (`windlass deploy --replace`) and for the files given here
    #[arg(long, env = "WINDLASS_ALLOW_REPLACE")]
    allow_replace: bool,
    #[command(flatten)]
    retention: RetentionOptions,
    /// Suspend instances of this namespace (`*` for all) where an error would end them and their
    /// definition does not say `onFault`; may be repeated
    #[arg(long, value_name = "NAMESPACE")]
    suspend_on_fault: Vec<Arc<str>>,
    #[command(flatten)]
    inbound: InboundOptions,
    #[command(flatten)]
    memory: MemoryOptions,
    #[command(flatten)]
    backups: BackupArgs,
    #[command(flatten)]
    events: EventArgs,
    #[command(flatten)]
    serve: ServeOptions,
    #[command(flatten)]
    quotas: QuotaOptions,
    #[command(flatten)]
    nats: Nats,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    secrets: SecretArgs,
    #[command(flatten)]
    task_identity: IdentityArgs,
    #[command(flatten)]
    telemetry: TelemetryOptions,
}

/// What is told over the bus, and how it is kept there.
#[derive(clap::Args)]
struct EventArgs {
    /// What lifecycle events tell of: off, workflow, or task for workflows and their tasks
    #[arg(long, env = "WINDLASS_LIFECYCLE", default_value = "workflow", value_name = "LEVEL")]
    lifecycle: Level,
    /// Servers that keep a copy of each stream that is made; more than 1 needs a cluster
    #[arg(long, env = "WINDLASS_NATS_REPLICAS", default_value_t = 1, value_name = "NUMBER",
        value_parser = clap::value_parser!(u8).range(1..=i64::from(limits::STREAM_REPLICAS)))]
    nats_replicas: u8,
    /// The JetStream domain that has the streams: where the servers are leaf nodes without
    /// JetStream of their own, that of their hub
    #[arg(long, env = "WINDLASS_NATS_DOMAIN", value_name = "NAME", value_parser = domain)]
    nats_domain: Option<String>,
}

/// The name of a JetStream domain: one token of a subject.
fn domain(text: &str) -> Result<String, String> {
    let plain = |it: char| !it.is_whitespace() && !".*>".contains(it);
    match !text.is_empty() && text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("a domain is one word without `.`, `*` and `>`".to_owned()),
    }
}

/// Where a coordinator keeps what makes it this one.
#[derive(clap::Args)]
struct DataOptions {
    /// Where the journal is kept
    #[arg(long, env = "WINDLASS_DATA_DIR", default_value = "./.windlass", value_name = "DIR")]
    data_dir: PathBuf,
    #[command(flatten)]
    journal: JournalOptions,
    /// The coordinator's key, made where there is none [default: coordinator.key in the data
    /// directory]
    #[arg(long, env = "WINDLASS_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl DataOptions {
    fn key_file(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.data_dir.join("coordinator.key"))
    }
}

fn lease(text: &str) -> Result<Duration, String> {
    let lease = duration(text)?;
    if (Duration::from_millis(500)..=Duration::from_secs(3_600)).contains(&lease) {
        Ok(lease)
    } else {
        Err("a lease lasts from 500ms to 1h".to_owned())
    }
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Some(Command::Key(args)) => key::run(&args),
        None => lead(args.run).await,
    }
}

impl RunArgs {
    /// What the coordinator is made with.
    fn options(&self) -> Result<Options, CliError> {
        Ok(Options {
            retention: self.retention.policy(),
            archive: self.retention.archive()?,
            suspending: self.suspend_on_fault.clone(),
            event_ttl: self.inbound.event_ttl,
            webhook_secrets: self.inbound.webhook_secrets.clone(),
            losses: Some(self.max_losses),
            quotas: self.quotas.quotas(),
            replaces: self.allow_replace,
            memory: Some(self.memory.budget()),
            data_dir: Some(self.data.data_dir.clone()),
            log: crate::log::control(),
            tracer: telemetry::tracer(),
            backups: self.backups.schedule()?,
            ..Options::default()
        })
    }
}

async fn lead(args: RunArgs) -> Result<(), CliError> {
    args.serve.exposure()?;
    let files: Vec<_> =
        args.files.iter().chain(&args.with).map(|it| definition::check(it, args.support)).collect();
    let definitions = files.into_iter().collect::<Result<Vec<_>, _>>()?;
    let options = args.options()?;
    let bound = args.serve.bind(false).await?;
    // Before what may take minutes: a tool that renews certificates knows nothing of a start.
    hangup::listen();
    let key = crate::key::coordinator(&args.data.key_file())?;
    let domain = args.events.nats_domain.as_deref();
    let cluster = args.cluster.options(&key, &args.nats.bus, domain, &bound.url())?;
    let events = EventOptions {
        prefix: args.nats.bus.clone(),
        origin: key.name(),
        replicas: args.events.nats_replicas,
        lifecycle: args.events.lifecycle,
        domain: args.events.nats_domain,
    };
    let fleet = FleetOptions {
        prefix: args.nats.bus.clone(),
        key,
        lease: args.lease,
        backlog: args.max_backlog,
    };
    let bus = connected(&args.nats).await?;
    // In a cluster the log says who leads.
    if cluster.is_none() {
        refuse_second(&bus, &fleet.prefix).await?;
    }
    let (data_dir, runtime) = (args.data.data_dir.clone(), Handle::current());
    let tokens = data_dir.clone();
    let missing = args.data.journal.missing();
    let partitions = limits::NEW_PARTITIONS;
    let settings = sled::Options { partitions, missing, ..sled::Options::default() };
    let identity = args.task_identity.options(&bound.url());
    let secrets = args.secrets.options(Some(&data_dir), identity)?;
    let led = match cluster {
        None => None,
        Some(it) => Some(cluster::lead(it, &bound, &bus, &data_dir, &settings).await?),
    };
    let (journal, mut led) = led.unzip();
    let events = Events::open(&bus, events, &runtime);
    let start = move || {
        let journal = journal.map_or_else(|| SledJournal::open(&data_dir, &settings), Ok)?;
        open(Arc::new(journal), options, secrets, bus, fleet, &events, &runtime)
    };
    let opening = tokio::task::spawn_blocking(start);
    let opened = match &led {
        Some(led) => led.while_opening(opening).await?,
        None => opening.await,
    };
    let coordinator =
        opened.map_err(|error| CliError::coded(&NOT_STARTED, &error.to_string()))??;
    let served = serve(&coordinator, bound, definitions, &tokens, &mut led).await;
    led.iter().for_each(Led::stop_soon);
    tokio::select! {
        () = close(coordinator) => {}
        () = signal::stop() => return Err(CliError::Interrupted),
    }
    match led {
        Some(led) => led.release(served).await,
        None => served,
    }
}

/// Serves until the process is to end, or another coordinator is to lead.
async fn serve(
    coordinator: &Coordinator,
    bound: Bound,
    definitions: Vec<definition::Checked>,
    data_dir: &Path,
    led: &mut Option<Led>,
) -> Result<(), CliError> {
    let (stop, data_dir) = (signal::stop(), Some(data_dir));
    let Some(led) = led else {
        return bound.serve(coordinator, definitions, data_dir, None, stop).await;
    };
    let (passed, stop) = (Some(led.passed()), led.until_handed_over(&bound, stop)?);
    let serving = bound.serve(coordinator, definitions, data_dir, passed, stop);
    led.while_leading(coordinator, serving).await
}

/// The bus, which need not be there yet.
async fn connected(nats: &Nats) -> Result<Bus, CliError> {
    let bus = Bus::connect(&nats.options("windlass coordinator")).await;
    let bus = bus.map_err(|error| CliError::coded(&NOT_STARTED, &error.to_string()))?;
    if !bus.ready(Duration::from_millis(limits::BUS_CONNECT_MS)).await {
        output::message("NATS cannot be reached yet; workers can join as soon as it can");
    }
    Ok(bus)
}

/// Refuses to lead a fleet beside another coordinator.
async fn refuse_second(bus: &Bus, prefix: &Prefix) -> Result<(), CliError> {
    if !Fleet::is_led(bus, prefix).await {
        return Ok(());
    }
    let detail = format!(
        "another coordinator leads a fleet under the name `{prefix}` there; give this one another \
         --bus"
    );
    Err(CliError::coded(&NOT_STARTED, &detail))
}

/// Opens the coordinator on its journal. Blocking.
fn open(
    journal: Arc<SledJournal>,
    options: Options,
    secrets: SecretsOptions,
    bus: Bus,
    fleet: FleetOptions,
    events: &Events,
    runtime: &Handle,
) -> Result<Coordinator, StartError> {
    // The journal is locked: the directory is this process's alone.
    let secrets = crate::secret_options::open(secrets, Some(events.audit_publisher()), runtime)?;
    let options = Options { secrets: Some(secrets.clone()), ..options };
    let coordinator = Coordinator::open(journal, options, |catalog, reporter| {
        let outbox = Some(events.outbox(reporter.clone()));
        let queue = Fleet::open(bus, fleet, catalog.clone(), &secrets, reporter, runtime);
        let queue = Arc::new(queue);
        Downstream { queue, outbox }
    })?;
    events.consume(coordinator.clone());
    Ok(coordinator)
}

/// Stops in an orderly way: what is open continues at the next start.
async fn close(coordinator: Coordinator) {
    coordinator.dismiss_workers().await;
    // Joining threads blocks; a panic in one of them was reported by it.
    let _ = tokio::task::spawn_blocking(move || coordinator.stop()).await;
}
