//! What keeps backups from those who have their files.

use std::path::PathBuf;

use windlass_coordinator::backup::{Passphrase, Protection};

use super::failed;
use crate::error::CliError;

/// What encrypts a backup, and opens it again.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct ProtectionArgs {
    /// The file whose first line is the passphrase. Without it nobody can read the backup: keep it
    /// elsewhere too
    #[arg(
        long,
        env = "WINDLASS_BACKUP_PASSPHRASE_FILE",
        value_name = "FILE",
        conflicts_with = "unencrypted"
    )]
    passphrase_file: Option<PathBuf>,
    /// The backup is not encrypted: whoever has it has the keys of the coordinator, and can read
    /// all that its workflows were given
    #[arg(long)]
    unencrypted: bool,
}

impl ProtectionArgs {
    /// For a backup that is to be written: nothing is left open that nobody asked for.
    ///
    /// # Errors
    /// When nothing is said, or the passphrase cannot be read.
    pub(crate) fn to_write(&self) -> Result<Protection, CliError> {
        if self.passphrase_file.is_none() && !self.unencrypted {
            return Err(CliError::Usage(
                "a backup holds keys, so it is encrypted: give --passphrase-file FILE (`openssl rand \
                 -base64 32 > FILE` makes one), or --unencrypted"
                    .to_owned(),
            ));
        }
        self.to_read()
    }

    /// For one that is there, which says itself whether it needs a passphrase.
    ///
    /// # Errors
    /// When the passphrase cannot be read.
    pub(crate) fn to_read(&self) -> Result<Protection, CliError> {
        match &self.passphrase_file {
            Some(file) => Passphrase::read(file).map(Protection::Passphrase).map_err(failed),
            None => Ok(Protection::None),
        }
    }
}
