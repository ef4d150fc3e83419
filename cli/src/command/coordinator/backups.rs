//! Backups that a coordinator takes by itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use windlass_coordinator::backup::{Passphrase, Protection};
use windlass_coordinator::coordinator::BackupSchedule;

use crate::command::backup::failed;
use crate::error::CliError;
use crate::options::duration;

/// Where they go, how often, and how many stay. In a configuration file: the table `[backup]`.
#[derive(clap::Args)]
pub(super) struct BackupArgs {
    /// Back this coordinator up to this directory by itself
    #[arg(long, env = "WINDLASS_BACKUP_TO", value_name = "DIR")]
    backup_to: Option<PathBuf>,
    /// The time between two backups
    #[arg(long, env = "WINDLASS_BACKUP_EVERY", default_value = "6h", value_name = "DURATION",
        value_parser = every)]
    backup_every: Duration,
    /// How many of the last backups stay
    #[arg(long, env = "WINDLASS_BACKUP_KEEP", default_value_t = 28, value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..))]
    backup_keep: u32,
    /// The file whose first line is the passphrase that encrypts them
    #[arg(
        long,
        env = "WINDLASS_BACKUP_PASSPHRASE_FILE",
        value_name = "FILE",
        conflicts_with = "backup_unencrypted"
    )]
    backup_passphrase_file: Option<PathBuf>,
    /// They are not encrypted: whoever has one has the keys of this coordinator
    #[arg(long)]
    backup_unencrypted: bool,
}

fn every(text: &str) -> Result<Duration, String> {
    let every = duration(text)?;
    match every >= Duration::from_secs(60) {
        true => Ok(every),
        false => Err("backups are at least a minute apart".to_owned()),
    }
}

impl BackupArgs {
    /// None where they are not wanted.
    ///
    /// # Errors
    /// When nothing says whether they are encrypted, or the passphrase cannot be read.
    pub(super) fn schedule(&self) -> Result<Option<Arc<BackupSchedule>>, CliError> {
        let Some(to) = self.backup_to.clone() else { return Ok(None) };
        let protection = match (&self.backup_passphrase_file, self.backup_unencrypted) {
            (Some(file), _) => Protection::Passphrase(Passphrase::read(file).map_err(failed)?),
            (None, true) => Protection::None,
            (None, false) => {
                return Err(CliError::Usage(
                    "backups hold keys, so they are encrypted: give --backup-passphrase-file FILE, or \
                     --backup-unencrypted"
                        .to_owned(),
                ));
            }
        };
        let keep = usize::try_from(self.backup_keep).unwrap_or(usize::MAX);
        Ok(Some(Arc::new(BackupSchedule { to, every: self.backup_every, keep, protection })))
    }
}
