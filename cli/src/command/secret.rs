//! `windlass secret`: who may read which. Names only; values stay in their store.

mod setup;

use crate::error::CliError;

/// See who uses which secrets, and say who may.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass secret setup vault")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Set a store of secrets up for tasks
    Setup(setup::Args),
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::Setup(args) => setup::run(args).await,
    }
}
