//! `windlass fsck`.

use std::path::PathBuf;

use windlass_coordinator::backup::BackupError;
use windlass_coordinator::coordinator::CoordinatorError;
use windlass_coordinator::journal::JournalError;
use windlass_coordinator::journal::sled::{WITNESS, salvage};
use windlass_coordinator::recovery;
use windlass_coordinator::replay::check_directory;

use super::backup::failed;
use crate::code::{FACTS_MISFIT, JOURNAL_DAMAGED, JOURNAL_SALVAGED};
use crate::error::CliError;
use crate::output;

/// Check the journal in a data directory.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass fsck .windlass\n  \
    windlass fsck .windlass --repair --to repaired\n  \
    windlass fsck .windlass --salvage saved\n\n\
    --repair makes a data directory to start on: what can be read of the journal, the files beside it \
    (keys, policy, tokens, audit trail), and repair.json, the list of what could not be saved; tasks that \
    were done after what was saved run again, under the same idempotency keys. --salvage makes the \
    journal alone.\n\n\
    What `lost` gives as null is not known. `stored` counts the records in the store, those of its own bookkeeping and parts of large values \
    among them; `saved` counts those that --salvage wrote into the new journal, where there are fewer.\n\n\
    Each record is read, then the history of each instance is followed: `misfits` lists those whose \
    facts cannot be where they are, and workflows of which another number of instances is open than is \
    counted.\n\n\
    No windlass may have it open. A copy of the journal is looked at, within DIR, or within TO: so \
    much room is needed there.")]
pub(crate) struct Args {
    /// The data directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Save what can be read into a new journal in this directory; DIR stays as it is
    #[arg(long, value_name = "TO")]
    salvage: Option<PathBuf>,
    /// Save what can be read into a new data directory, which --to names; DIR stays as it is
    #[arg(long, requires = "to", conflicts_with = "salvage")]
    repair: bool,
    /// The data directory that --repair makes; it must not exist or be empty
    #[arg(long, value_name = "NEW_DIR", requires = "repair")]
    to: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), CliError> {
    if !args.directory.is_dir() {
        let path = args.directory.display();
        return Err(CliError::Usage(format!("there is no directory {path}")));
    }
    match (&args.salvage, &args.to) {
        (Some(to), _) => save(args, to),
        (None, Some(to)) => repair(args, to),
        (None, None) => check(args),
    }
}

fn repair(args: &Args, to: &std::path::Path) -> Result<(), CliError> {
    let report = recovery::repair(&args.directory, to).map_err(|error| match error {
        BackupError::Journal(error) => CoordinatorError::from(error).into(),
        error => failed(error),
    })?;
    output::json(&report);
    if report.is_all() {
        return Ok(());
    }
    let detail = format!(
        "{} instances are saved in {}; {} has what could not be; parts were found of {}, {} do not add \
         up, {} files could not be read",
        report.salvaged.instances,
        to.display(),
        recovery::REPORT,
        report.salvaged.incomplete.len(),
        report.misfits.len(),
        report.lost_files.len()
    );
    Err(CliError::coded(&JOURNAL_SALVAGED, &detail))
}

fn check(args: &Args) -> Result<(), CliError> {
    let report = check_directory(&args.directory).map_err(CoordinatorError::from)?;
    output::json(&report);
    if !args.directory.join(WITNESS).exists() {
        output::message(&format!("there is no {WITNESS}: what may be lost cannot be seen"));
    }
    if !report.lost.is_empty() {
        return Err(CoordinatorError::from(JournalError::Lost(report.lost)).into());
    }
    if report.damage.is_empty() && report.misfits.is_empty() {
        return Ok(());
    }
    if report.damage.is_empty() {
        let detail = format!("{} of instances and workflows", report.misfits.len());
        return Err(CliError::coded(&FACTS_MISFIT, &detail));
    }
    let detail = format!("{} damaged records", report.damage.len());
    Err(CliError::coded(&JOURNAL_DAMAGED, &detail))
}

fn save(args: &Args, to: &std::path::Path) -> Result<(), CliError> {
    if std::fs::read_dir(to).is_ok_and(|mut it| it.next().is_some()) {
        let text = format!(
            "{} is not empty: --salvage makes a new journal, take another TO",
            to.display()
        );
        return Err(CliError::Usage(text));
    }
    let report = salvage(&args.directory, to).map_err(CoordinatorError::from)?;
    output::json(&report);
    output::message(
        "only the journal is saved: copy the other files (keys, policy, audit trail) beside it, or \
         workers will not know this coordinator",
    );
    if report.missing.is_none() {
        output::message(&format!("{WITNESS} cannot be read: what may be missing cannot be seen"));
    }
    if report.is_all() {
        return Ok(());
    }
    let missing = match &report.missing {
        Some(missing) => {
            let missing: u64 = missing.values().sum();
            format!("{missing} that the journal's witness knows of are missing")
        }
        None => "how many are missing nobody knows, as there is no witness".to_owned(),
    };
    let places = report.damaged + report.passed_over + report.unreadable;
    let detail = format!(
        "{} instances are saved in {}; {missing}; parts were found of {}; damaged places passed \
         over: {places}",
        report.instances,
        to.display(),
        report.incomplete.len()
    );
    Err(CliError::coded(&JOURNAL_SALVAGED, &detail))
}
