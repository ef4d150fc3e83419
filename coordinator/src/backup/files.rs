//! Which files of a data directory a backup has, and how they are read together.
//!
//! The journal is not among them: it is read through the store. Every other file is either kept or
//! left, each for a reason; a test holds both lists against a data directory that was used.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use windlass_proto::limits;

use super::{BackupError, FileHead};

/// Kept, in the order in which they are opened: the last head of the audit trail is never ahead of
/// the trail then.
const KEPT: [&str; 9] = [
    "coordinator.key",
    "identity.json",
    "tokens.json",
    "secret-policy.toml",
    "secret-policy.proposal.json",
    "webhooks.json",
    AUDIT_KEY,
    "audit.head",
    TRAIL,
];

/// The key of the audit trail.
pub(super) const AUDIT_KEY: &str = "audit.key";

/// The file of the audit trail that is written.
const TRAIL: &str = "audit.jsonl";

/// What is left: what the store consists of, which is read through it; what says how far that came;
/// what only this process's life is about.
pub const LEFT: [&str; 16] = [
    "db",
    "conf",
    "blobs",
    "journal.wal",
    "journal.witness",
    "journal.scratch",
    "windlass.lock",
    // Which cluster it belongs to: what is restored belongs to none.
    "cluster.json",
    "journal.refill",
    // Which instances this process works on, and how often it died of them.
    "working",
    "deaths",
    // What a collector of traces has: another process tells it again.
    "traces-0.told",
    "traces-1.told",
    "traces.lives",
    // That it was restored is told once.
    "restored.json",
    // What is restored comes after whoever took over.
    "superseded.json",
];

/// True for a name that a backup may have.
pub(super) fn is_kept(name: &str) -> bool {
    KEPT.contains(&name) || rotated(name).is_some()
}

/// The number of a file of the audit trail that is full.
fn rotated(name: &str) -> Option<u32> {
    let number = name.strip_prefix("audit.")?.strip_suffix(".jsonl")?;
    number.parse().ok().filter(|it| (1..=limits::AUDIT_FILES_MOST).contains(it))
}

/// The names of all that is kept of a directory.
///
/// # Errors
/// When the directory cannot be read.
pub fn kept_names(directory: &Path) -> Result<Vec<String>, BackupError> {
    let listed = listed(directory).map_err(|error| BackupError::io(directory, error))?;
    Ok(listed.into_iter().map(|it| it.0).collect())
}

/// A file that was opened, and how much of it is to be read.
pub(super) struct Opened {
    pub(super) head: FileHead,
    pub(super) file: File,
    pub(super) length: u64,
}

/// Names and identities of all that is kept.
fn listed(directory: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if is_kept(&name) && entry.file_type()?.is_file() {
            let place = KEPT.iter().position(|it| *it == name).unwrap_or(KEPT.len());
            // Full files of the trail come first of it, the oldest before the others.
            found.push((place, std::cmp::Reverse(rotated(&name)), name, entry.metadata()?.ino()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, _, name, ino)| (name, ino)).collect())
}

/// Opens all that is kept, as it is at one moment: the trail may begin another file, which renames
/// those before.
pub(super) fn open(directory: &Path) -> Result<Vec<Opened>, BackupError> {
    let unreadable = |error| BackupError::io(directory, error);
    for _ in 0..limits::READ_ATTEMPTS {
        let before = listed(directory).map_err(unreadable)?;
        let opened: io::Result<Vec<_>> =
            before.iter().map(|(name, _)| open_one(directory, name)).collect();
        let opened = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened.map_err(unreadable)?,
        };
        let ids: io::Result<Vec<_>> =
            opened.iter().map(|it| Ok((it.head.name.clone(), it.file.metadata()?.ino()))).collect();
        let ids = ids.map_err(unreadable)?;
        if ids == before && listed(directory).map_err(unreadable)? == before {
            return Ok(opened);
        }
    }
    Err(BackupError::unusable("the files of the data directory change too fast to be read"))
}

fn open_one(directory: &Path, name: &str) -> io::Result<Opened> {
    let file = File::open(directory.join(name))?;
    let metadata = file.metadata()?;
    let mode = metadata.permissions().mode() & 0o777;
    let head = FileHead { name: name.to_owned(), mode };
    Ok(Opened { head, length: metadata.len(), file })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::{KEPT, LEFT, is_kept, open};

    #[test]
    fn a_name_leads_nowhere_else() {
        for name in ["", "..", "../audit.jsonl", "audit.0.jsonl", "audit.x.jsonl", "db", "a/b"] {
            assert!(!is_kept(name), "{name}");
        }
        assert!(is_kept("audit.3.jsonl") && KEPT.iter().all(|it| is_kept(it)));
        assert!(LEFT.iter().all(|it| !is_kept(it)));
    }

    #[test]
    fn the_trail_is_read_from_its_beginning_and_after_its_head() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["audit.jsonl", "audit.2.jsonl", "audit.1.jsonl", "audit.head", "db", "x"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let opened = open(folder.path()).unwrap();
        let names: Vec<_> = opened.iter().map(|it| &*it.head.name).collect();
        assert_eq!(names, ["audit.head", "audit.jsonl", "audit.2.jsonl", "audit.1.jsonl"]);
    }
}
