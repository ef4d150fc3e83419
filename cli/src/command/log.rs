//! `windlass log`.

use reqwest::Method;
use serde_json::json;

use crate::client::Client;
use crate::error::CliError;
use crate::options::Remote;
use crate::output;

/// Show or change what a coordinator logs while it runs.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass log level\n  windlass log level \
                        warn,windlass_coordinator::fleet=debug\n  windlass log level --reset")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show what is logged, or change it until the process ends; a change is in the audit trail
    Level(LevelArgs),
}

#[derive(clap::Args)]
struct LevelArgs {
    /// A level (off, error, warn, info, debug, trace), and others by module, separated by commas
    #[arg(value_name = "DIRECTIVES")]
    directives: Option<String>,
    /// Log again what the process began with, as WINDLASS_LOG says
    #[arg(long, conflicts_with = "directives")]
    reset: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    let Command::Level(args) = args.command;
    let client = Client::new(&args.remote)?;
    let path = ["v1", "log"];
    let log = if args.directives.is_some() || args.reset {
        let request = client.request(Method::PUT, &path);
        client.send(request.json(&json!({"directives": args.directives}))).await?.1
    } else {
        client.get(&path, &[]).await?
    };
    output::json(&log);
    Ok(())
}
