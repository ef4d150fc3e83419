//! `windlass secret`: who may read which. Names only; values stay in their store.

mod check;
mod existence;
mod list;
mod policy;
pub(crate) mod setup;
pub(crate) mod vault;

use crate::error::CliError;

/// See who uses which secrets, and say who may.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass secret list\n  windlass secret check order.yaml\n  \
                        windlass secret policy set policy.toml\n  windlass secret setup vault")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Set a store of secrets up for tasks
    Setup(setup::Args),
    /// List the secrets that deployed workflows use
    List(list::Args),
    /// Show or replace the policy of who may read which
    Policy(policy::Args),
    /// Say of each secret of definitions whether it is declared and permitted
    Check(check::Args),
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::Setup(args) => setup::run(args).await,
        Command::List(args) => list::run(args).await,
        Command::Policy(args) => policy::run(args).await,
        Command::Check(args) => check::run(args).await,
    }
}
