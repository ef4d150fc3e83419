//! Writes a backup to its place.

use std::path::Path;

use zeroize::Zeroizing;

use super::manifest::{BackupSummary, Manifest, StoredFile};
use super::place::{self, Draft, Known, Target};
use super::seal::{FORMAT, Keys, ObjectId, Protection};
use super::{About, BackupError, FileHead, Sink, Totals, files};
use crate::clock;

/// A backup that is being written. Unless it comes to its end, it is none, and what was there
/// before stays.
pub struct Writer {
    draft: Box<dyn Draft>,
    keys: Keys,
    manifest: Manifest,
    name: String,
    /// Which coordinator the last backup there is of.
    last_of: Option<String>,
    done: bool,
}

impl Writer {
    /// Begins one in a directory or an archive.
    ///
    /// # Errors
    /// When nothing can be written there, or what is there is closed by another passphrase.
    pub fn open(path: &Path, protection: &Protection) -> Result<Self, BackupError> {
        Self::in_target(&Target::of(path), path, protection)
    }

    /// Begins one in a directory that is there.
    ///
    /// # Errors
    /// As for [`Writer::open`], and when it is not: what it is on may not be mounted.
    pub fn in_directory(path: &Path, protection: &Protection) -> Result<Self, BackupError> {
        if !path.is_dir() {
            return Err(BackupError::Unusable(format!(
                "{0} is not there: mount what it is on, or make it once (`mkdir -m 700 {0}`)",
                path.display()
            )));
        }
        Self::in_target(&Target::Directory, path, protection)
    }

    fn in_target(
        target: &Target,
        path: &Path,
        protection: &Protection,
    ) -> Result<Self, BackupError> {
        let now = clock::now();
        let (draft, keys) = target.draft(path, protection, now)?;
        let about = About { at: now, version: String::new(), partitions: 0, of: None };
        let manifest = Manifest {
            format: FORMAT,
            about,
            totals: Totals::default(),
            done_at: now,
            journal: Vec::new(),
            files: Vec::new(),
            bytes: 0,
            added_bytes: 0,
            added_objects: 0,
            mended_objects: 0,
        };
        let last = draft.last(&keys)?;
        let name = place::name_after(now, draft.last_name()?.as_deref());
        let last_of = last.and_then(|it| it.about.of);
        Ok(Self { draft, keys, manifest, name, last_of, done: false })
    }

    /// What was written.
    ///
    /// # Errors
    /// When it did not come to its end.
    pub fn finish(self) -> Result<BackupSummary, BackupError> {
        match self.done {
            true => Ok(self.manifest.summary(&self.name)),
            false => Err(BackupError::unusable("the backup did not come to its end")),
        }
    }

    /// Keeps some bytes under their name, unless they are there.
    fn keep(&mut self, bytes: &[u8]) -> Result<ObjectId, BackupError> {
        let id = self.keys.name(bytes);
        self.manifest.bytes += bytes.len() as u64;
        let known = self.draft.known(&id, &self.keys)?;
        if known != Known::Sound {
            let sealed = self.keys.seal_object(&id, bytes)?;
            self.draft.add(&id, &sealed)?;
            self.manifest.added_bytes += sealed.len() as u64;
            self.manifest.added_objects += 1;
        }
        self.manifest.mended_objects += u64::from(known == Known::Damaged);
        Ok(id)
    }
}

impl Sink for Writer {
    fn begin(&mut self, about: About) -> Result<(), BackupError> {
        if let (Some(last), Some(this)) = (&self.last_of, &about.of)
            && last != this
        {
            return Err(BackupError::unusable(
                "the backups in that directory are of another coordinator: name a directory of its \
                 own for this one",
            ));
        }
        self.manifest.about = about;
        Ok(())
    }

    fn piece(&mut self, bytes: Vec<u8>) -> Result<(), BackupError> {
        let id = self.keep(&Zeroizing::new(bytes))?;
        self.manifest.journal.push(id);
        Ok(())
    }

    fn file(&mut self, head: FileHead) -> Result<(), BackupError> {
        if !files::is_kept(&head.name) {
            return Err(BackupError::Unusable(format!("`{}` has no place in a backup", head.name)));
        }
        self.manifest.files.push(StoredFile { head, objects: Vec::new() });
        Ok(())
    }

    fn content(&mut self, bytes: Vec<u8>) -> Result<(), BackupError> {
        let id = self.keep(&Zeroizing::new(bytes))?;
        let Some(file) = self.manifest.files.last_mut() else {
            return Err(BackupError::unusable("there is content of no file"));
        };
        file.objects.push(id);
        Ok(())
    }

    fn end(&mut self, totals: Totals) -> Result<(), BackupError> {
        self.manifest.totals = totals;
        self.manifest.done_at = clock::now();
        let text = serde_json::to_vec(&self.manifest)
            .map(Zeroizing::new)
            .map_err(|error| BackupError::unusable(error.to_string()))?;
        let sealed = self.keys.seal(self.name.as_bytes(), &text)?;
        self.draft.commit(&self.keys, &self.name, &sealed)?;
        self.done = true;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use windlass_proto::time::Timestamp;

    use super::{About, Protection, Sink as _, Totals, Writer};
    use crate::backup::Backups;

    fn about(of: &str) -> About {
        let of = Some(of.to_owned()).filter(|it| !it.is_empty());
        About { at: Timestamp(1), version: "1".to_owned(), partitions: 1, of }
    }

    #[test]
    fn a_directory_is_of_one_coordinator() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all");
        assert!(Writer::in_directory(&path, &Protection::None).is_err(), "it may not be mounted");
        std::fs::create_dir(&path).unwrap();
        for (of, fits) in [("", true), ("one", true), ("two", false), ("one", true)] {
            let mut writer = Writer::in_directory(&path, &Protection::None).unwrap();
            assert_eq!(writer.begin(about(of)).is_ok(), fits, "{of}");
            if fits {
                writer.end(Totals::default()).unwrap();
            }
        }
        let all = Backups::open(&path, &Protection::None).unwrap().list().unwrap();
        assert_eq!(all.len(), 3);
    }
}
