//! `windlass fsck`.

use std::path::PathBuf;

use windlass_coordinator::journal::CheckReport;

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
    let report = check(args)?;
    output::json(&report);
    if report.damage.is_empty() {
        return Ok(());
    }
    let detail = format!("{} damaged records", report.damage.len());
    Err(CliError::coded(&JOURNAL_DAMAGED, &detail))
}

fn check(args: &Args) -> Result<CheckReport, CliError> {
    let detail = format!("{}: the journal is not wired yet", args.directory.display());
    Err(CliError::coded(&crate::code::NOT_STARTED, &detail))
}
