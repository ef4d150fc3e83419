//! `windlass restore`.

use std::path::PathBuf;

use windlass_coordinator::backup::{self, Backups};

use super::backup::{ProtectionArgs, failed};
use crate::error::CliError;
use crate::output;

/// Make a data directory of a backup.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    windlass restore /backups/windlass --to .windlass --passphrase-file passphrase\n  \
    windlass restore one.backup --to .windlass --passphrase-file passphrase\n\n\
    All of it is checked while it is read, and TO is there only when all is in it. What happened after \
    the backup was taken is not known there. The copy replaces the coordinator that it was taken of: \
    what workers still hold of that one is cancelled and done again under the same idempotency keys. Stop \
    that one for good; should it run on, it stops when a worker tells it of the copy.")]
pub(crate) struct Args {
    /// A directory of backups, or an archive
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// The data directory to make; it must not exist or be empty
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Which backup, by its name in `windlass backup list`; the last one unless given
    #[arg(long, value_name = "NAME")]
    backup: Option<String>,
    #[command(flatten)]
    protection: ProtectionArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), CliError> {
    let backups = Backups::open(&args.from, &args.protection.to_read()?).map_err(failed)?;
    let restored = backup::restore(&backups, args.backup.as_deref(), &args.to).map_err(failed)?;
    output::json(&restored);
    if !restored.files.iter().any(|it| it == "coordinator.key") {
        output::message(
            "there is no coordinator.key in the backup: put the key that workers know beside the \
             journal, or name it by --key-file",
        );
    }
    Ok(())
}
