//! Making a data directory of a backup.
//!
//! The directory gets its name when all is in it. Its journal has terms of ownership of a
//! generation of its own, later than all before it: what workers hold of the coordinator that the
//! backup was taken of, or of an earlier restore of it, is not accepted, and that one stops when it
//! hears of this one.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use windlass_proto::wire::GENERATION_SHIFT;

use super::manifest::StoredFile;
use super::place::Backups;
use super::{BackupError, files};
use crate::clock;
use crate::file;
use crate::journal::JournalError;
use crate::journal::sled::{self, Assembled};

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The backup.
    pub backup: String,
    /// When that was begun: what happened later is not in it.
    pub at: String,
    /// Records of the journal, and changes, that were applied.
    pub records: u64,
    /// Files that were put beside it.
    pub files: Vec<String>,
    /// The generation that the copy has for its own.
    pub generation: u64,
}

/// Says in a directory that it was restored, until the coordinator has told of it.
const NOTE: &str = "restored.json";

/// Makes a data directory in `to`, which must not exist or be empty, of the backup that is named,
/// or of the last one.
///
/// # Errors
/// When something in the backup is damaged, or `to` cannot be written; `to` is as it was then.
pub fn restore(backups: &Backups, named: Option<&str>, to: &Path) -> Result<Restored, BackupError> {
    let name = backups.chosen(named)?;
    let manifest = backups.manifest(&name)?;
    let mut refused = None;
    let mut pieces = manifest.journal.iter();
    let mut next = || {
        let Some(id) = pieces.next() else { return Ok(None) };
        backups.object(id).map(|mut it| Some(std::mem::take(&mut *it))).map_err(|error| {
            let told = JournalError::Backup(error.to_string());
            refused = Some(error);
            told
        })
    };
    let generation = clock::generation();
    let (mut restored, mut beside_refused) = (None, None);
    let mut beside = |directory: &Path, made: Assembled| {
        let note = Restored {
            backup: name.clone(),
            at: manifest.about.at.to_rfc3339(),
            records: made.changes,
            files: manifest.files.iter().map(|it| it.head.name.clone()).collect(),
            generation: made.epoch >> GENERATION_SHIFT,
        };
        let put = put_files(backups, &manifest.files, directory)
            .and_then(|()| put_note(directory, &note));
        restored = Some(note);
        put.map_err(|error| {
            let told = JournalError::Backup(error.to_string());
            beside_refused = Some(error);
            told
        })
    };
    let made = sled::assemble(to, generation, &mut next, &mut beside);
    made.map_err(|error| refused.or(beside_refused).unwrap_or(BackupError::Journal(error)))?;
    restored.ok_or_else(|| BackupError::unusable("nothing was restored"))
}

fn put_note(directory: &Path, note: &Restored) -> Result<(), BackupError> {
    let text =
        serde_json::to_vec(note).map_err(|error| BackupError::unusable(error.to_string()))?;
    let path = directory.join(NOTE);
    file::replace(&path, &text, 0o600).map_err(|error| BackupError::io(&path, error))
}

fn put_files(backups: &Backups, files: &[StoredFile], directory: &Path) -> Result<(), BackupError> {
    for stored in files {
        let name = &stored.head.name;
        // A backup that is not encrypted may be anybody's.
        if !files::is_kept(name) {
            return Err(BackupError::Damaged(format!("`{name}` has no place in a backup")));
        }
        let path = directory.join(name);
        let failed = |error| BackupError::io(&path, error);
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(stored.head.mode & 0o660);
        let mut file = options.open(&path).map_err(failed)?;
        for id in &stored.objects {
            file.write_all(&backups.object(id)?).map_err(failed)?;
        }
        file.sync_all().map_err(failed)?;
    }
    Ok(())
}

/// What a directory was restored from, if that was not told yet.
///
/// # Errors
/// When it cannot be read.
pub fn restored(directory: &Path) -> Result<Option<Restored>, BackupError> {
    let path = directory.join(NOTE);
    let text = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| BackupError::io(&path, error))?,
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| BackupError::Unusable(format!("{}: {error}", path.display())))
}

/// It was told.
///
/// # Errors
/// When what says it cannot be removed.
pub fn forget_restored(directory: &Path) -> Result<(), BackupError> {
    let path = directory.join(NOTE);
    std::fs::remove_file(&path).map_err(|error| BackupError::io(&path, error))
}
