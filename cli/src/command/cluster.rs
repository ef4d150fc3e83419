//! `windlass cluster`: what the coordinators of a cluster say of themselves on the bus, and which
//! of them is to lead.

use std::path::PathBuf;
use std::time::Duration;

use windlass_coordinator::accept::ApiProblem;
use windlass_coordinator::cluster::{self, ClusterOptions, Member, MemberRole};
use windlass_coordinator::code::Code;
use windlass_coordinator::coordinator::CoordinatorError;
use windlass_proto::limits;
use windlass_worker::fleet::bus::Bus;

use crate::bus::Nats;
use crate::code::NOT_STARTED;
use crate::command::coordinator::cluster_name;
use crate::error::CliError;
use crate::key;
use crate::output::{self, Format};

/// See the coordinators of a cluster, and say which of them is to lead.
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
    /// Have another coordinator lead: the leader hands over to it and follows
    Move(Box<MoveArgs>),
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass cluster status prod --key-file coordinator.key")]
struct StatusArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass cluster move prod --to https://b.example.com:7400 \
                        --key-file coordinator.key")]
struct MoveArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The address of a standby, as `windlass cluster status` shows it
    #[arg(long, value_name = "COORDINATOR")]
    to: String,
}

/// Which cluster, and how to reach it.
#[derive(clap::Args)]
struct ClusterArgs {
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
    #[command(flatten)]
    nats: Nats,
}

impl ClusterArgs {
    async fn open(self, name: &str) -> Result<(ClusterOptions, Bus), CliError> {
        let key = key::existing(&self.key_file)?;
        let bus = Bus::connect(&self.nats.options(name)).await;
        let bus = bus.map_err(|error| CliError::coded(&NOT_STARTED, &error.to_string()))?;
        if !bus.ready(Duration::from_millis(limits::BUS_CONNECT_MS)).await {
            return Err(CliError::coded(&NOT_STARTED, "NATS cannot be reached"));
        }
        let mut options = ClusterOptions::new(self.cluster, self.nats.bus.clone(), &key);
        options.domain = self.nats_domain;
        Ok((options, bus))
    }
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::Status(args) => status(*args).await,
        Command::Move(args) => hand_over(*args).await,
    }
}

async fn status(args: StatusArgs) -> Result<(), CliError> {
    let (options, bus) = args.cluster.open("windlass cluster status").await?;
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

async fn hand_over(args: MoveArgs) -> Result<(), CliError> {
    let (options, bus) = args.cluster.open("windlass cluster move").await?;
    // What the audit trail says of it, beside that it was somebody who has the key.
    let user = std::env::var("USER").ok().filter(|it| it.len() <= limits::ACCESS_NAME_BYTES);
    let by = format!("{} with the cluster's key", user.as_deref().unwrap_or("somebody"));
    let moved = cluster::hand_over(&options, &bus, by, args.to.trim_end_matches('/')).await;
    let member = moved.map_err(|why| {
        CliError::Problem(Box::new(ApiProblem::new(Code::NotMoved, why).to_json()))
    })?;
    output::message(&format!("{} leads, epoch {}", member.url, member.epoch));
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
