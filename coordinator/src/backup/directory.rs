//! A directory that has backups.
//!
//! ```text
//! windlass-backup.json                 what it is, and its key, sealed
//! windlass-backup.json.2               the same once more: without it nothing opens
//! backups/20261130T170500Z-1a2b3c4d.backup     a manifest each
//! objects/ab/abcd…                     what they name
//! ```
//!
//! Whoever writes there has a lock on it, whoever reads shares one. What a process that was killed
//! leaves are objects that no manifest names: they are used again, or swept.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Advice, FlockOperation, fadvise, flock, syncfs};
use serde::Serialize;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::BackupError;
use super::manifest::Manifest;
use super::place::{self, Backups, Draft, Known, Place, is_name, most_sealed};
use super::seal::{Header, Keys, ObjectId, Protection};
use crate::file;

const HEADER: &str = "windlass-backup.json";
/// The second copy of it.
const COPY: &str = "windlass-backup.json.2";
const LOCK: &str = "windlass-backup.lock";
const BACKUPS: &str = "backups";
const OBJECTS: &str = "objects";
const MANIFEST: &str = ".backup";
/// Ends the name of an object that is being written.
const PARTIAL: &str = ".partial";

/// Where a manifest is, below the directory.
pub(super) fn manifest_name(name: &str) -> String {
    format!("{BACKUPS}/{name}{MANIFEST}")
}

/// Where an object is, below the directory.
pub(super) fn object_name(id: &ObjectId) -> String {
    let name = String::from(*id);
    format!("{OBJECTS}/{}/{name}", name.get(..2).unwrap_or_default())
}

/// A directory, to be read.
pub(super) struct Directory {
    path: PathBuf,
    header: Header,
    /// What is wrong with one of the two copies of it.
    notes: Vec<String>,
    /// None where nothing can be locked, as on a disk that is read-only.
    _lock: Option<File>,
}

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Self, BackupError> {
        let none = || BackupError::Unusable(format!("there are no backups in {}", path.display()));
        read_header(path)?.ok_or_else(none)?;
        let lock = match File::open(path.join(LOCK)) {
            Ok(file) => Some(locked(file, FlockOperation::NonBlockingLockShared, path)?),
            Err(_) => None,
        };
        // Whoever had it may have mended one.
        let (header, notes) = read_header(path)?.ok_or_else(none)?;
        Ok(Self { path: path.to_owned(), header, notes, _lock: lock })
    }
}

/// The header, where there is one, and what is wrong with one of its two copies.
fn read_header(path: &Path) -> Result<Option<(Header, Vec<String>)>, BackupError> {
    let [first, second] = [HEADER, COPY].map(|name| read_copy(&path.join(name)));
    Ok(match (first, second) {
        (Ok(None), Ok(None)) if has_manifests(path)? => {
            return Err(BackupError::Damaged(format!(
                "{HEADER} and {COPY} are missing in {}, and without one of them the backups there do \
                 not open: put it back from wherever else the directory was copied to, or name \
                 another directory",
                path.display()
            )));
        }
        (Ok(None), Ok(None)) => None,
        (Ok(Some(first)), Ok(Some(second))) if first != second => {
            return Err(BackupError::Damaged(format!(
                "{HEADER} and {COPY} in {} are of two places: move that away which came from \
                 elsewhere",
                path.display()
            )));
        }
        (Ok(Some(header)), Ok(Some(_))) => Some((header, Vec::new())),
        // Places of the first versions have one alone.
        (Ok(Some(header)), Ok(None)) if !header.is_checked() => Some((header, Vec::new())),
        (Ok(Some(header)), other) => Some((header, vec![wrong(COPY, other)])),
        (other, Ok(Some(header))) => Some((header, vec![wrong(HEADER, other)])),
        (Err(error), _) | (_, Err(error)) => return Err(error),
    })
}

/// What is wrong with a copy while the other one is sound.
fn wrong(name: &str, read: Result<Option<Header>, BackupError>) -> String {
    match read {
        Err(error) => format!("{error}; the next backup to this directory writes it anew"),
        Ok(_) => format!("{name} is missing; the next backup to this directory writes it anew"),
    }
}

fn read_copy(place: &Path) -> Result<Option<Header>, BackupError> {
    let Some(text) = read_at_most(place, limits::BACKUP_HEADER_BYTES)? else { return Ok(None) };
    Header::read(&text).map(Some).map_err(|error| {
        BackupError::Damaged(format!("{} cannot be read: {error}", place.display()))
    })
}

fn has_manifests(path: &Path) -> Result<bool, BackupError> {
    match names(path) {
        Err(BackupError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        names => Ok(!names?.is_empty()),
    }
}

/// Locks a file, once whoever has it is done, for as long as that may take.
fn locked(file: File, how: FlockOperation, path: &Path) -> Result<File, BackupError> {
    let until = Instant::now() + Duration::from_millis(limits::BACKUP_LOCK_MS);
    loop {
        match flock(&file, how) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(limits::BACKUP_LOCK_AGAIN_MS));
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(BackupError::Unusable(format!(
                    "another windlass uses the backups in {}: wait until it is done",
                    path.display()
                )));
            }
            Err(error) => return Err(BackupError::io(path, error.into())),
        }
    }
}

/// The names of the backups in a directory, the oldest first.
fn names(path: &Path) -> Result<Vec<String>, BackupError> {
    let folder = path.join(BACKUPS);
    let unreadable = |error| BackupError::io(&folder, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let name = name.to_str().and_then(|it| it.strip_suffix(MANIFEST));
        names.extend(name.filter(|it| is_name(it)).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// A file, if it is there.
fn read_at_most(path: &Path, most: u64) -> Result<Option<Vec<u8>>, BackupError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|error| BackupError::io(path, error))?,
    };
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| BackupError::io(path, error))?;
    if bytes.len() as u64 > most {
        return Err(BackupError::Damaged(format!("{} is too large", path.display())));
    }
    Ok(Some(bytes))
}

impl Place for Directory {
    fn header(&self) -> &Header {
        &self.header
    }

    fn names(&self) -> Result<Vec<String>, BackupError> {
        names(&self.path)
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn manifest(&self, name: &str) -> Result<Vec<u8>, BackupError> {
        let path = self.path.join(manifest_name(name));
        read_at_most(&path, limits::BACKUP_MANIFEST_BYTES)?
            .ok_or_else(|| BackupError::Damaged(format!("{} is missing", path.display())))
    }

    fn object(&self, id: &ObjectId) -> Result<Option<Vec<u8>>, BackupError> {
        read_at_most(&self.path.join(object_name(id)), most_sealed())
    }
}

/// A directory to which a backup is added.
pub(super) struct DirectoryDraft {
    inner: Directory,
    /// What was added.
    added: Vec<ObjectId>,
}

impl DirectoryDraft {
    /// Opens a directory, or makes one of what is not there or empty.
    pub(super) fn open(
        path: &Path,
        protection: &Protection,
        now: Timestamp,
    ) -> Result<(Self, Keys), BackupError> {
        let failed = |error| BackupError::io(path, error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        if read_header(path)?.is_none() {
            // What a process that was killed has begun may be there, and nothing of others.
            let ours = [HEADER, LOCK, BACKUPS, OBJECTS];
            for entry in fs::read_dir(path).map_err(failed)? {
                let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
                if !ours.iter().any(|it| name.starts_with(it)) {
                    return Err(BackupError::Unusable(format!(
                        "{} has no backups and is not empty ({name}): name another directory",
                        path.display()
                    )));
                }
            }
        }
        let mut options = fs::OpenOptions::new();
        let options = options.append(true).create(true).mode(0o600);
        let lock = options.open(path.join(LOCK)).map_err(failed)?;
        let lock = Some(locked(lock, FlockOperation::NonBlockingLockExclusive, path)?);
        let (header, keys) = match read_header(path)? {
            Some((header, _)) => {
                let keys = header.open(protection)?;
                (header, keys)
            }
            None => Header::new(now, protection)?,
        };
        keep_copies(path, &header)?;
        for folder in [BACKUPS, OBJECTS] {
            make_folder(&path.join(folder))?;
        }
        let inner = Directory { path: path.to_owned(), header, notes: Vec::new(), _lock: lock };
        Ok((Self { inner, added: Vec::new() }, keys))
    }

    fn place(&self, id: &ObjectId) -> PathBuf {
        self.inner.path.join(object_name(id))
    }

    /// Reads an object from the disk, not from memory.
    fn read_back(&self, id: &ObjectId, keys: &Keys) -> Result<(), BackupError> {
        let path = self.place(id);
        if let Ok(file) = File::open(&path) {
            // Where that is not possible it is read from memory, which is still what was written.
            let _ = fadvise(&file, 0, None, Advice::DontNeed);
        }
        let sealed = self.inner.object(id)?.unwrap_or_default();
        match keys.open_object(id, &sealed) {
            Some(_) => Ok(()),
            None => Err(BackupError::Damaged(format!(
                "{} is not what was just written: look at the disk",
                path.display()
            ))),
        }
    }
}

/// Writes both copies of the header, where they are not as they are to be.
fn keep_copies(path: &Path, header: &Header) -> Result<(), BackupError> {
    let text = header.text()?;
    for place in [COPY, HEADER].map(|name| path.join(name)) {
        if !matches!(read_copy(&place), Ok(Some(there)) if there == *header) {
            file::replace(&place, &text, 0o600).map_err(|error| BackupError::io(&place, error))?;
        }
    }
    Ok(())
}

fn make_folder(path: &Path) -> Result<(), BackupError> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(BackupError::io(path, error))
        }
        _ => Ok(()),
    }
}

impl Draft for DirectoryDraft {
    fn known(&mut self, id: &ObjectId, keys: &Keys) -> Result<Known, BackupError> {
        Ok(match self.inner.object(id) {
            Ok(None) => Known::No,
            Ok(Some(sealed)) if keys.open_object(id, &sealed).is_some() => Known::Sound,
            // Whatever is there, it is written again.
            Ok(Some(_)) | Err(_) => Known::Damaged,
        })
    }

    fn last_name(&self) -> Result<Option<String>, BackupError> {
        Ok(self.inner.names()?.pop())
    }

    fn last(&self, keys: &Keys) -> Result<Option<Manifest>, BackupError> {
        for name in self.inner.names()?.iter().rev() {
            match place::manifest(&self.inner, keys, name) {
                Err(BackupError::Damaged(_)) => {}
                manifest => return manifest.map(Some),
            }
        }
        Ok(None)
    }

    fn add(&mut self, id: &ObjectId, sealed: &[u8]) -> Result<(), BackupError> {
        let path = self.place(id);
        let failed = |error| BackupError::io(&path, error);
        path.parent().map_or(Ok(()), make_folder)?;
        let partial = file::beside(&path, PARTIAL);
        let mut options = fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&partial).map_err(failed)?;
        file.write_all(sealed).map_err(failed)?;
        drop(file);
        // They are synced all at once, before a manifest names them.
        fs::rename(&partial, &path).map_err(failed)?;
        self.added.push(*id);
        Ok(())
    }

    fn commit(&mut self, keys: &Keys, name: &str, sealed: &[u8]) -> Result<(), BackupError> {
        let path = self.inner.path.clone();
        let failed = |error| BackupError::io(&path, error);
        let folder = File::open(&path).map_err(failed)?;
        syncfs(&folder).map_err(|error| failed(error.into()))?;
        for id in &self.added {
            self.read_back(id, keys)?;
        }
        let place = path.join(manifest_name(name));
        file::replace(&place, sealed, 0o600).map_err(|error| BackupError::io(&place, error))?;
        match self.inner.manifest(name)? == sealed {
            true => Ok(()),
            false => Err(BackupError::Damaged(format!(
                "{} is not what was just written: look at the disk",
                place.display()
            ))),
        }
    }
}

/// What was removed from a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Backups that are left.
    pub kept: u64,
    /// Backups that were removed.
    pub removed: Vec<String>,
    /// Objects that none of those needs that are left.
    pub removed_objects: u64,
    /// Bytes of these.
    pub removed_bytes: u64,
}

/// Removes all backups of a directory but the last `keep` and the last one whose records are all
/// sound, and what no other one needs.
///
/// # Errors
/// When a manifest cannot be read: nothing is removed then, as what it needs is not known.
pub fn prune(path: &Path, protection: &Protection, keep: usize) -> Result<Pruned, BackupError> {
    if !path.is_dir() {
        return Err(BackupError::Unusable(format!(
            "{} is not a directory: an archive has one backup",
            path.display()
        )));
    }
    if read_header(path)?.is_none() {
        return Err(BackupError::Unusable(format!("there are no backups in {}", path.display())));
    }
    let (draft, keys) = DirectoryDraft::open(path, protection, Timestamp::default())?;
    let backups = Backups { place: Box::new(draft.inner), keys };
    let names = backups.place.names()?;
    let first_kept = names.len().saturating_sub(keep.max(1));
    // One that cannot be read is for somebody to look at, not to be swept away.
    let manifests: Result<Vec<_>, _> = names.iter().map(|name| backups.manifest(name)).collect();
    let manifests = manifests?;
    // Later ones may all be of a journal that is damaged by now.
    let clean = manifests.iter().rposition(|it| it.totals.damaged == 0);
    let stays = |place: usize| place >= first_kept || clean == Some(place);
    let mut needed = BTreeSet::new();
    let (mut pruned, mut gone) = (Pruned::default(), Vec::new());
    for (place, (name, manifest)) in names.into_iter().zip(manifests).enumerate() {
        if stays(place) {
            pruned.kept += 1;
            needed.extend(manifest.objects());
        } else {
            gone.push(name);
        }
    }
    for name in &gone {
        let place = path.join(manifest_name(name));
        fs::remove_file(&place).map_err(|error| BackupError::io(&place, error))?;
        pruned.removed.push(name.clone());
    }
    file::sync_folder(&path.join(manifest_name("any")))
        .map_err(|error| BackupError::io(path, error))?;
    sweep(&path.join(OBJECTS), &needed, &mut pruned)?;
    Ok(pruned)
}

/// Removes objects that nobody needs, and what was written of some by half.
fn sweep(
    objects: &Path,
    needed: &BTreeSet<ObjectId>,
    pruned: &mut Pruned,
) -> Result<(), BackupError> {
    let unreadable = |error| BackupError::io(objects, error);
    for folder in fs::read_dir(objects).map_err(unreadable)? {
        let folder = folder.map_err(unreadable)?;
        // Somebody may have left a file there.
        if !folder.file_type().map_err(unreadable)?.is_dir() {
            continue;
        }
        let folder = folder.path();
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let whole = name.strip_suffix(PARTIAL).unwrap_or(&name);
            let Ok(id) = ObjectId::try_from(whole.to_owned()) else { continue };
            if whole == name && needed.contains(&id) {
                continue;
            }
            pruned.removed_bytes += entry.metadata().map_or(0, |it| it.len());
            pruned.removed_objects += 1;
            fs::remove_file(entry.path()).map_err(unreadable)?;
        }
    }
    Ok(())
}
