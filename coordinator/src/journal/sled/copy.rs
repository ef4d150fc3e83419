//! A copy of a store's files to look at: sled mends what it opens, and what it drops in doing so is
//! gone from the original.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::{JournalError, disk};
use super::open::LOG;
use super::wal;

/// Its name, in the directory that has room for it.
const FOLDER: &str = "journal.scratch";

/// A copy, removed when dropped.
pub(super) struct Copy(PathBuf);

impl Copy {
    /// Copies the store in `directory` to a folder of `place`; where the file system can, without
    /// copying what the files hold. The caller has the directory locked.
    pub(super) fn take(directory: &Path, place: &Path) -> Result<Self, JournalError> {
        let folder = place.join(FOLDER);
        let failed = |error: io::Error| disk::error(&folder, &error);
        // What a process that ended in the middle has left.
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        fs::create_dir_all(&folder).map_err(failed)?;
        let copy = Self(folder.clone());
        for entry in fs::read_dir(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let text = name.to_string_lossy();
            if [LOG, "conf", wal::FILE].contains(&&*text) || text.starts_with("snap.") {
                fs::copy(entry.path(), folder.join(&name)).map_err(failed)?;
            }
        }
        Ok(copy)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Takes away what only makes opening faster: sled does not open when it is damaged.
    pub(super) fn without_snapshots(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("snap.") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Takes away the settings too, which sled then makes anew: ours are always the same.
    pub(super) fn without_settings(&self) -> io::Result<()> {
        self.without_snapshots()?;
        fs::remove_file(self.0.join("conf"))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "a copy could not be removed");
        }
    }
}
