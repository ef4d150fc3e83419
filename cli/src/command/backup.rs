//! `windlass backup`.

mod protection;
mod take;

pub(crate) use protection::ProtectionArgs;

use std::path::PathBuf;

use serde_json::json;
use windlass_coordinator::backup::{self, BackupError, Backups};
use windlass_coordinator::coordinator::CoordinatorError;

use crate::error::CliError;
use crate::output::{self, Format};

/// Back a coordinator up: journal, keys, policy, tokens and audit trail.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  openssl rand -base64 32 > passphrase\n  \
    windlass backup --to /backups/windlass/ --passphrase-file passphrase\n  \
    windlass backup --data .windlass --to one.backup --passphrase-file passphrase\n  \
    windlass backup list /backups/windlass --passphrase-file passphrase\n  \
    windlass backup verify /backups/windlass --passphrase-file passphrase\n  \
    windlass backup prune /backups/windlass --keep 14 --passphrase-file passphrase\n\n\
    A directory has many backups, each whole by itself, and only what has changed is written. A file \
    has one. A running coordinator goes on meanwhile; whoever asks needs the permission backup.take, and a \
    server without --auth gives nobody one. A backup of a journal with damaged records exits with 1. \
    `windlass restore` makes a data directory of a backup."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    take: take::TakeArgs,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the backups in a directory or an archive, oldest first
    List(ListArgs),
    /// Read all that backups need, and name what is missing or damaged
    Verify(VerifyArgs),
    /// Remove all backups of a directory but the last, and what no other one needs
    Prune(PruneArgs),
}

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  windlass backup list /backups/windlass --passphrase-file passphrase"
)]
struct ListArgs {
    /// A directory or an archive
    #[arg(value_name = "FROM")]
    from: PathBuf,
    #[command(flatten)]
    protection: ProtectionArgs,
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
}

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  windlass backup verify /backups/windlass --passphrase-file passphrase"
)]
struct VerifyArgs {
    /// A directory or an archive
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// One backup alone, by its name in `windlass backup list`
    #[arg(long, value_name = "NAME")]
    backup: Option<String>,
    #[command(flatten)]
    protection: ProtectionArgs,
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass backup prune /backups/windlass --keep 14 \
                        --passphrase-file passphrase")]
struct PruneArgs {
    /// A directory of backups
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// How many of the last backups stay
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    keep: u32,
    #[command(flatten)]
    protection: ProtectionArgs,
}

/// A failure, as the command line tells it.
pub(crate) fn failed(error: BackupError) -> CliError {
    CoordinatorError::from(error).into()
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        None => take::run(args.take).await,
        Some(Command::List(args)) => list(&args),
        Some(Command::Verify(args)) => verify(&args),
        Some(Command::Prune(args)) => prune(&args),
    }
}

fn list(args: &ListArgs) -> Result<(), CliError> {
    let backups = Backups::open(&args.from, &args.protection.to_read()?).map_err(failed)?;
    let items = backups.list().map_err(failed)?;
    let page = json!({ "items": items });
    output::page(
        &page,
        args.output,
        &["BACKUP", "AT", "RECORDS", "DAMAGED", "BYTES", "ADDED"],
        |item| {
            ["backup", "at", "records", "damaged_records", "bytes", "added_bytes"]
                .map(|it| item[it].as_str().map_or_else(|| item[it].to_string(), str::to_owned))
                .to_vec()
        },
    );
    Ok(())
}

fn verify(args: &VerifyArgs) -> Result<(), CliError> {
    let backups = Backups::open(&args.from, &args.protection.to_read()?).map_err(failed)?;
    let report = backup::verify(&backups, args.backup.as_deref()).map_err(failed)?;
    output::json(&report);
    let all = report.sound.len() + report.damaged.len();
    let first = report.damage.first().map_or("", String::as_str);
    let text = if !report.damaged.is_empty() {
        format!("{} of {all} backups cannot be restored: {first}", report.damaged.len())
    } else if !report.damage.is_empty() {
        format!("all backups can be restored, and not all is as it was written: {first}")
    } else if let Some(last) = report.of_damaged_journal.last() {
        let count = report.of_damaged_journal.len();
        format!(
            "{count} of {all} backups, {last} the last of them, are of a journal with damaged records: \
             run `windlass fsck` on its directory, or restore an earlier one"
        )
    } else {
        return Ok(());
    };
    Err(failed(BackupError::Damaged(text)))
}

fn prune(args: &PruneArgs) -> Result<(), CliError> {
    let keep = usize::try_from(args.keep).unwrap_or(usize::MAX);
    let protection = args.protection.to_read()?;
    output::json(&backup::prune(&args.directory, &protection, keep).map_err(failed)?);
    Ok(())
}
