//! A directory that is being made, and gets its name when all is in it.
//!
//! **Invariant:** one process at a time makes it: a second one would give the half of the first its
//! name.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::super::{JournalError, disk};
use crate::file;

/// A directory that is being made, beside the one that it is to be. Unless it is finished, nothing
/// is left of it: what was put there so far may be keys.
pub(crate) struct Unfinished {
    directory: PathBuf,
    path: PathBuf,
    lock: PathBuf,
    _held: File,
    done: bool,
}

impl Unfinished {
    /// Begins to make `directory`, which must not exist or be empty, under its name and `ending`.
    ///
    /// # Errors
    /// When it is taken, another process makes it, or nothing can be written beside it.
    pub(crate) fn begin(directory: &Path, ending: &str) -> Result<Self, JournalError> {
        // Without a slash at its end: what is unfinished is beside it, not in it.
        let directory = directory.components().collect::<PathBuf>();
        let unusable = |error: io::Error| disk::error(&directory, &error);
        if let Some(parent) = directory.parent().filter(|it| !it.as_os_str().is_empty()) {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(parent).map_err(unusable)?;
        }
        let path = file::beside(&directory, ending);
        let lock = file::beside(&path, ".lock");
        let Some(held) = file::held(&lock).map_err(unusable)? else {
            return Err(JournalError::Backup(format!(
                "another windlass makes {} at this moment: wait until it is done, or name another \
                 directory",
                directory.display()
            )));
        };
        // From here on nothing is left behind.
        let this = Self { directory, path, lock, _held: held, done: false };
        this.expect_room()?;
        Ok(this)
    }

    /// Refuses a name that is taken, and removes what a process has left that was killed.
    fn expect_room(&self) -> Result<(), JournalError> {
        let directory = &self.directory;
        let unusable = |error: io::Error| disk::error(directory, &error);
        if directory.exists() && fs::read_dir(directory).map_err(unusable)?.next().is_some() {
            return Err(JournalError::Backup(format!(
                "{} is not empty: name another directory",
                directory.display()
            )));
        }
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(error)),
            _ => Ok(()),
        }
    }

    /// Where it is being made.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// When that cannot be done; nothing is left of it then.
    pub(crate) fn finish(mut self) -> Result<(), JournalError> {
        let unusable = |error: io::Error| disk::error(&self.directory, &error);
        fs::rename(&self.path, &self.directory).map_err(unusable)?;
        self.done = true;
        file::sync_folder(&self.directory).map_err(unusable)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_dir_all(&self.path);
        }
        // Whoever has it open by now sees that it is gone, and makes another one.
        let _ = fs::remove_file(&self.lock);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::Unfinished;

    #[test]
    fn one_at_a_time_makes_a_directory_and_leaves_nothing_when_it_fails() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("new/data");
        let first = Unfinished::begin(&to, ".restoring").unwrap();
        fs::create_dir(first.path()).unwrap();
        fs::write(first.path().join("coordinator.key"), "key").unwrap();
        let second = Unfinished::begin(&to, ".restoring").err().unwrap().to_string();
        assert!(second.contains("another windlass makes"), "{second}");
        assert!(first.path().join("coordinator.key").exists());
        drop(first);
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 0);

        let again = Unfinished::begin(&to, ".restoring").unwrap();
        fs::create_dir(again.path()).unwrap();
        fs::write(again.path().join("coordinator.key"), "key").unwrap();
        again.finish().unwrap();
        assert!(to.join("coordinator.key").exists());
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
        let taken = Unfinished::begin(&to, ".restoring").err().unwrap().to_string();
        assert!(taken.contains("is not empty"), "{taken}");
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    }
}
