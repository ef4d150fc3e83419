//! `windlass bench`: not part of this build yet.

use crate::error::CliError;

/// Measure throughput and latency.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass bench")]
pub(crate) struct Args {}

/// Runs the command.
#[allow(clippy::unused_async)]
pub(crate) async fn run(_: Args) -> Result<(), CliError> {
    Err(CliError::Usage("`bench` is not part of this build".to_owned()))
}
