//! `windlass fsck`.

use std::path::PathBuf;

use windlass_coordinator::coordinator::CoordinatorError;
use windlass_coordinator::journal::sled::check_directory;

use crate::code::JOURNAL_DAMAGED;
use crate::error::CliError;
use crate::output;

/// Check the journal in a data directory.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass fsck .windlass\n\nNo windlass may have it open.")]
pub(crate) struct Args {
    /// The data directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), CliError> {
    let report = check_directory(&args.directory).map_err(CoordinatorError::from)?;
    output::json(&report);
    if report.damage.is_empty() {
        return Ok(());
    }
    let detail = format!("{} damaged records", report.damage.len());
    Err(CliError::coded(&JOURNAL_DAMAGED, &detail))
}
