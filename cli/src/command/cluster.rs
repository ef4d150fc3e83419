//! `windlass cluster`: what the coordinators of a cluster say of themselves on the bus.

use std::path::PathBuf;
use std::time::Duration;

use windlass_coordinator::cluster::{self, ClusterOptions, Member, MemberRole};
use windlass_coordinator::coordinator::CoordinatorError;
use windlass_proto::limits;
use windlass_worker::fleet::bus::Bus;

use crate::bus::Nats;
use crate::code::NOT_STARTED;
use crate::command::coordinator::cluster_name;
use crate::error::CliError;
use crate::key;
use crate::output::{self, Format};

/// See the coordinators of a cluster.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  windlass cluster status prod --nats nats://a:4222 --key-file key"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show who leads, who follows, and how far behind
    Status(Box<StatusArgs>),
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass cluster status prod --key-file coordinator.key")]
struct StatusArgs {
    /// The name of the cluster
    #[arg(value_name = "NAME", value_parser = cluster_name)]
    cluster: String,
    /// The key of its coordinators (their --cluster-key, or --key-file)
    #[arg(
        long,
        env = "WINDLASS_KEY_FILE",
        default_value = "./.windlass/coordinator.key",
        value_name = "FILE"
    )]
    key_file: PathBuf,
    /// The JetStream domain that has the streams
    #[arg(long, env = "WINDLASS_NATS_DOMAIN", value_name = "NAME")]
    nats_domain: Option<String>,
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    nats: Nats,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::Status(args) => status(*args).await,
    }
}

async fn status(args: StatusArgs) -> Result<(), CliError> {
    let key = key::existing(&args.key_file)?;
    let bus = Bus::connect(&args.nats.options("windlass cluster status")).await;
    let bus = bus.map_err(|error| CliError::coded(&NOT_STARTED, &error.to_string()))?;
    if !bus.ready(Duration::from_millis(limits::BUS_CONNECT_MS)).await {
        return Err(CliError::coded(&NOT_STARTED, "NATS cannot be reached"));
    }
    let mut options = ClusterOptions::new(args.cluster, args.nats.bus.clone(), &key);
    options.domain = args.nats_domain;
    let status = cluster::status(&options, &bus).await.map_err(CoordinatorError::from)?;
    if Format::or_default(args.output) == Format::Json {
        output::json(&status);
        return Ok(());
    }
    let last = status.sequence;
    let rows: Vec<_> = status.members.iter().map(|it| row(it, last)).collect();
    output::table(&["COORDINATOR", "ROLE", "EPOCH", "SEQUENCE", "BEHIND", "WAITS"], &rows);
    if status.missing > 0 {
        output::message(&format!(
            "{} messages of the log are missing: start the leader again, and it writes all that it \
             has",
            status.missing
        ));
    }
    Ok(())
}

fn row(member: &Member, last: u64) -> Vec<String> {
    let role = match member.role {
        MemberRole::Leader => "leader",
        MemberRole::Standby => "standby",
    };
    vec![
        member.url.clone(),
        role.to_owned(),
        member.epoch.to_string(),
        member.sequence.to_string(),
        last.saturating_sub(member.sequence).to_string(),
        member.waits.clone().unwrap_or_default(),
    ]
}
