//! Where backups are: a directory that has many, or an archive that has one.

use std::path::Path;

use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use zeroize::Zeroizing;

use super::archive::{Archive, ArchiveDraft};
use super::directory::{Directory, DirectoryDraft};
use super::manifest::{BackupSummary, Manifest};
use super::seal::{FORMAT, Header, Keys, ObjectId, Protection};
use super::{BackupError, directory};

/// What has backups.
pub(super) trait Place: Send {
    /// What it says of itself.
    fn header(&self) -> &Header;

    /// The names of its backups, the oldest first.
    fn names(&self) -> Result<Vec<String>, BackupError>;

    /// What is wrong with it that hinders nobody yet.
    fn notes(&self) -> &[String] {
        &[]
    }

    /// A manifest, sealed.
    fn manifest(&self, name: &str) -> Result<Vec<u8>, BackupError>;

    /// An object, sealed; none where it is not there.
    fn object(&self, id: &ObjectId) -> Result<Option<Vec<u8>>, BackupError>;
}

/// What an object that is to be written is already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Not there.
    No,
    /// There, as it was written.
    Sound,
    /// There, and something else.
    Damaged,
}

/// A backup that is being written.
pub(super) trait Draft: Send {
    /// Whether an object is there.
    fn known(&mut self, id: &ObjectId, keys: &Keys) -> Result<Known, BackupError>;

    /// The name of the last backup that is there.
    fn last_name(&self) -> Result<Option<String>, BackupError> {
        Ok(None)
    }

    /// The last backup there that can be read.
    fn last(&self, _: &Keys) -> Result<Option<Manifest>, BackupError> {
        Ok(None)
    }

    /// Adds an object.
    fn add(&mut self, id: &ObjectId, sealed: &[u8]) -> Result<(), BackupError>;

    /// Makes it durable, reads back what was added, and gives the backup its name.
    fn commit(&mut self, keys: &Keys, name: &str, sealed: &[u8]) -> Result<(), BackupError>;
}

/// Where a backup is to go.
pub enum Target {
    /// A directory, which may have others.
    Directory,
    /// An archive of its own, in place of the one that may be there.
    Archive,
}

impl Target {
    /// What `path` is, or is to be: a directory when it is one or ends in a slash.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let slash = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        if slash || path.is_dir() { Self::Directory } else { Self::Archive }
    }

    pub(super) fn draft(
        &self,
        path: &Path,
        protection: &Protection,
        now: Timestamp,
    ) -> Result<(Box<dyn Draft>, Keys), BackupError> {
        Ok(match self {
            Self::Directory => {
                let (draft, keys) = DirectoryDraft::open(path, protection, now)?;
                (Box::new(draft), keys)
            }
            Self::Archive => {
                let (draft, keys) = ArchiveDraft::make(path, protection, now)?;
                (Box::new(draft), keys)
            }
        })
    }
}

/// The last backup of a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastBackup {
    /// When it was begun.
    pub(crate) at: Timestamp,
    /// When it was done.
    pub(crate) done_at: Timestamp,
    /// Bytes of all that is in it.
    pub(crate) bytes: u64,
    /// Records in it that fail their checksum.
    pub(crate) damaged: u64,
}

/// Backups that are there, opened to be read.
pub struct Backups {
    pub(super) place: Box<dyn Place>,
    pub(super) keys: Keys,
}

impl Backups {
    /// Opens a directory or an archive.
    ///
    /// # Errors
    /// When it is neither, or does not open with what was given.
    pub fn open(path: &Path, protection: &Protection) -> Result<Self, BackupError> {
        let place: Box<dyn Place> = if path.is_dir() {
            Box::new(Directory::open(path)?)
        } else {
            Box::new(Archive::open(path)?)
        };
        let keys = place.header().open(protection)?;
        Ok(Self { place, keys })
    }

    /// All of them, the oldest first.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn list(&self) -> Result<Vec<BackupSummary>, BackupError> {
        let names = self.place.names()?;
        names.iter().map(|name| Ok(self.manifest(name)?.summary(name))).collect()
    }

    /// The last one; none where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn last(&self) -> Result<Option<LastBackup>, BackupError> {
        let Some(name) = self.place.names()?.pop() else { return Ok(None) };
        let manifest = self.manifest(&name)?;
        Ok(Some(LastBackup {
            at: manifest.about.at,
            done_at: manifest.done_at,
            bytes: manifest.bytes,
            damaged: manifest.totals.damaged,
        }))
    }

    /// The name of the one that is meant: the last one unless it is named.
    pub(super) fn chosen(&self, named: Option<&str>) -> Result<String, BackupError> {
        let mut names = self.place.names()?;
        match named {
            None => {
                names.pop().ok_or_else(|| BackupError::unusable("there is no backup in it yet"))
            }
            Some(named) if names.iter().any(|it| it == named) => Ok(named.to_owned()),
            Some(named) => Err(BackupError::Unusable(format!(
                "there is no backup {named} in it: `windlass backup list` shows those that are"
            ))),
        }
    }

    pub(super) fn manifest(&self, name: &str) -> Result<Manifest, BackupError> {
        manifest(&*self.place, &self.keys, name)
    }

    /// An object, opened.
    pub(super) fn object(&self, id: &ObjectId) -> Result<Zeroizing<Vec<u8>>, BackupError> {
        let what = || directory::object_name(id);
        let Some(sealed) = self.place.object(id)? else {
            return Err(BackupError::Damaged(format!("the object {} is missing", what())));
        };
        self.keys.open_object(id, &sealed).ok_or_else(|| {
            BackupError::Damaged(format!("the object {} is not as it was written", what()))
        })
    }
}

/// A manifest, opened.
pub(super) fn manifest(
    place: &dyn Place,
    keys: &Keys,
    name: &str,
) -> Result<Manifest, BackupError> {
    let sealed = place.manifest(name)?;
    let damaged = || {
        let what = directory::manifest_name(name);
        BackupError::Damaged(format!("the manifest {what} is not as it was written"))
    };
    let bytes = keys.open(name.as_bytes(), &sealed).ok_or_else(damaged)?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
    if manifest.format == FORMAT {
        return Ok(manifest);
    }
    Err(BackupError::Unusable(format!(
        "the backup {name} has format {}, this version reads {FORMAT}: use a newer windlass",
        manifest.format
    )))
}

/// Bytes of a sealed object at most.
pub(super) fn most_sealed() -> u64 {
    limits::BACKUP_OBJECT_BYTES + limits::BACKUP_SEAL_BYTES
}

/// The name of a backup: when it was begun, and something of its own.
pub(super) fn name(at: Timestamp) -> String {
    let time: String = at.to_rfc3339().chars().filter(|it| !"-:".contains(*it)).collect();
    let own = uuid::Uuid::new_v4().simple().to_string();
    format!("{time}-{}", own.get(..8).unwrap_or_default())
}

/// The name of a backup that comes after the last one there, also when that was taken while the
/// clock was ahead: the order of names is that of backups.
pub(super) fn name_after(now: Timestamp, last: Option<&str>) -> String {
    let own = name(now);
    match last.filter(|last| **last >= *own).and_then(begun) {
        Some(last) => name(last.plus(1)),
        None => own,
    }
}

/// When a backup was begun, as its name says.
fn begun(name: &str) -> Option<Timestamp> {
    let (date, time) = name.split_once('T')?;
    let time = time.split_once('-')?.0;
    let date = [date.get(..4)?, date.get(4..6)?, date.get(6..)?].join("-");
    let time = [time.get(..2)?, time.get(2..4)?, time.get(4..)?].join(":");
    Timestamp::parse(&format!("{date}T{time}"))
}

/// True for what may be such a name.
pub(super) fn is_name(text: &str) -> bool {
    let plain = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '.';
    (1..=64).contains(&text.len()) && text.chars().all(plain) && !text.starts_with('.')
}

#[cfg(test)]
mod tests {
    use windlass_proto::time::Timestamp;

    use super::{is_name, name, name_after};

    #[test]
    fn a_backup_comes_after_one_that_was_taken_while_the_clock_was_ahead() {
        let now = Timestamp(1_795_000_000_000);
        let ahead = name(now.plus(5 * 365 * 86_400_000));
        let mut last = ahead;
        for _ in 0..3 {
            let next = name_after(now, Some(&last));
            assert!(next > last && is_name(&next), "{next} after {last}");
            last = next;
        }
        let before = name(Timestamp(1_790_000_000_000));
        for last in [None, Some(&*before), Some("zzz"), Some("9T9-9")] {
            assert_eq!(name_after(now, last).get(..16), name(now).get(..16), "{last:?}");
        }
    }
}
