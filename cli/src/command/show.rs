//! `windlass show`.

use crate::client::Client;
use crate::error::CliError;
use crate::options::Remote;
use crate::output;

/// Show an instance: input, context, what it does now.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass show 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f")]
pub(crate) struct Args {
    /// The instance
    id: String,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    output::json(&client.get(&["v1", "instances", &args.id], &[]).await?);
    Ok(())
}
