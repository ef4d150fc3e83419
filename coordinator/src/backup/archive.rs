//! A backup in one file.
//!
//! ```text
//! "windlass backup\n" | length: u32, header | objects | manifest | its place: u64 | "end of backup\n"
//! object: 'o' | id: 32 bytes | length: u32 | sealed        manifest: 'm' | two lengths: u32, name, sealed
//! ```
//!
//! It is written under another name and gets its own when it is whole, so a former one is there
//! until then.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::BackupError;
use super::place::{Draft, Known, Place, is_name, most_sealed};
use super::seal::{Header, Keys, ObjectId, Protection};
use crate::file;

const MAGIC: &[u8] = b"windlass backup\n";
const END: &[u8] = b"end of backup\n";
const OBJECT: u8 = b'o';
const MANIFEST: u8 = b'm';
/// Bytes of an object before what is sealed.
const OBJECT_HEAD: u64 = 37;

/// Where in a file something is.
#[derive(Clone, Copy)]
struct Extent {
    at: u64,
    length: u32,
}

/// An archive, to be read.
pub(super) struct Archive {
    path: PathBuf,
    file: File,
    header: Header,
    objects: BTreeMap<ObjectId, Extent>,
    name: String,
    manifest: Extent,
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self, BackupError> {
        let file = File::open(path).map_err(|error| BackupError::io(path, error))?;
        Self::read(path, file)
    }

    fn read(path: &Path, file: File) -> Result<Self, BackupError> {
        let io = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged(path, "it is cut short"),
            _ => BackupError::io(path, error),
        };
        let length = file.metadata().map_err(io)?.len();
        let mut start = [0; MAGIC.len()];
        let read = file.read_exact_at(&mut start, 0);
        if read.is_err() || start != MAGIC {
            return Err(BackupError::Unusable(format!("{} is not a backup", path.display())));
        }
        let mut at = MAGIC.len() as u64;
        let header = extent(&file, at, limits::BACKUP_HEADER_BYTES).map_err(io)?;
        let header = header.ok_or_else(|| damaged(path, "its header is too large"))?;
        at = header.at + u64::from(header.length);
        let text = bytes(&file, header).map_err(io)?;
        let header = Header::read(&text)
            .map_err(|error| damaged(path, &format!("its header cannot be read: {error}")))?;
        let foot = (END.len() + 8) as u64;
        let mut end = [0; END.len() + 8];
        let last = length.checked_sub(foot).filter(|it| *it >= at);
        let last = last.ok_or_else(|| damaged(path, "it is cut short"))?;
        file.read_exact_at(&mut end, last).map_err(io)?;
        let (place, mark) = end.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let place = u64::from_le_bytes(*place);
        if mark != END || !(at..last).contains(&place) {
            return Err(damaged(path, "it is cut short"));
        }
        let objects = index(&file, at, place).map_err(io)?;
        let objects = objects.ok_or_else(|| damaged(path, "its objects cannot be told apart"))?;
        let (name, manifest) = named(&file, place)
            .map_err(io)?
            .ok_or_else(|| damaged(path, "its manifest cannot be found"))?;
        Ok(Self { path: path.to_owned(), file, header, objects, name, manifest })
    }
}

/// Refuses to replace what is no backup.
fn expect_replaceable(path: &Path) -> Result<(), BackupError> {
    let failed = |error| BackupError::io(path, error);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => {
            let is_file = found.map_err(failed)?.is_file();
            let mut start = Vec::new();
            if is_file {
                let file = File::open(path).map_err(failed)?;
                file.take(MAGIC.len() as u64).read_to_end(&mut start).map_err(failed)?;
            }
            if is_file && (start.is_empty() || start == MAGIC) {
                return Ok(());
            }
        }
    }
    Err(BackupError::Unusable(format!(
        "{} is there and is no backup: name another file, or remove it",
        path.display()
    )))
}

fn damaged(path: &Path, what: &str) -> BackupError {
    BackupError::Damaged(format!("{}: {what}", path.display()))
}

/// What has its length before it; none when that is more than `most`.
fn extent(file: &File, at: u64, most: u64) -> io::Result<Option<Extent>> {
    let mut length = [0; 4];
    file.read_exact_at(&mut length, at)?;
    let length = u32::from_le_bytes(length);
    Ok((u64::from(length) <= most).then_some(Extent { at: at + 4, length }))
}

fn bytes(file: &File, extent: Extent) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; extent.length as usize];
    file.read_exact_at(&mut bytes, extent.at)?;
    Ok(bytes)
}

/// Where each object is; none when that cannot be told.
fn index(file: &File, from: u64, to: u64) -> io::Result<Option<BTreeMap<ObjectId, Extent>>> {
    let (mut objects, mut at) = (BTreeMap::new(), from);
    while at < to {
        let mut head = [0; OBJECT_HEAD as usize];
        file.read_exact_at(&mut head, at)?;
        let [OBJECT, rest @ ..] = head else { return Ok(None) };
        let Some((id, length)) = rest.split_first_chunk::<32>() else { return Ok(None) };
        let length = u32::from_le_bytes(length.try_into().unwrap_or_default());
        if u64::from(length) > most_sealed() {
            return Ok(None);
        }
        objects.insert(ObjectId(*id), Extent { at: at + OBJECT_HEAD, length });
        at += OBJECT_HEAD + u64::from(length);
    }
    Ok((at == to).then_some(objects))
}

/// The name of the backup, and where its manifest is.
fn named(file: &File, place: u64) -> io::Result<Option<(String, Extent)>> {
    let mut kind = [0];
    file.read_exact_at(&mut kind, place)?;
    let Some(name) = extent(file, place + 1, 64)?.filter(|_| kind == [MANIFEST]) else {
        return Ok(None);
    };
    let after = name.at + u64::from(name.length);
    let name = String::from_utf8(bytes(file, name)?).ok().filter(|it| is_name(it));
    let manifest = extent(file, after, limits::BACKUP_MANIFEST_BYTES)?;
    Ok(name.zip(manifest))
}

impl Place for Archive {
    fn header(&self) -> &Header {
        &self.header
    }

    fn names(&self) -> Result<Vec<String>, BackupError> {
        Ok(vec![self.name.clone()])
    }

    fn manifest(&self, _: &str) -> Result<Vec<u8>, BackupError> {
        bytes(&self.file, self.manifest).map_err(|error| BackupError::io(&self.path, error))
    }

    fn object(&self, id: &ObjectId) -> Result<Option<Vec<u8>>, BackupError> {
        let read = self.objects.get(id).map(|extent| bytes(&self.file, *extent));
        read.transpose().map_err(|error| BackupError::io(&self.path, error))
    }
}

/// An archive that is being written.
pub(super) struct ArchiveDraft {
    path: PathBuf,
    unfinished: PathBuf,
    writer: BufWriter<File>,
    /// Objects that are in it.
    known: std::collections::BTreeSet<ObjectId>,
    done: bool,
}

impl ArchiveDraft {
    /// Begins one.
    pub(super) fn make(
        path: &Path,
        protection: &Protection,
        now: Timestamp,
    ) -> Result<(Self, Keys), BackupError> {
        let unfinished = file::beside(path, ".partial");
        let failed = |error| BackupError::io(&unfinished, error);
        let (header, keys) = Header::new(now, protection)?;
        let header = header.text()?;
        expect_replaceable(path)?;
        let file = file::held(&unfinished).map_err(failed)?.ok_or_else(|| {
            BackupError::Unusable(format!(
                "another windlass writes {}: wait until it is done",
                unfinished.display()
            ))
        })?;
        // What somebody else has put there would stay theirs to read.
        let ours = file.metadata().map_err(failed)?.uid() == rustix::process::geteuid().as_raw();
        if !ours {
            return Err(BackupError::Unusable(format!(
                "{} belongs to another user: remove it, or name another file",
                unfinished.display()
            )));
        }
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(failed)?;
        file.set_len(0).map_err(failed)?;
        let mut writer = BufWriter::new(file);
        let length = u32::try_from(header.len()).unwrap_or(u32::MAX).to_le_bytes();
        writer.write_all(&[MAGIC, &length, &header].concat()).map_err(failed)?;
        let (known, path) = (Default::default(), path.to_owned());
        Ok((Self { path, unfinished, writer, known, done: false }, keys))
    }

    fn write(&mut self, parts: &[&[u8]]) -> Result<(), BackupError> {
        let Self { writer, unfinished, .. } = self;
        let written = parts.iter().try_for_each(|it| writer.write_all(it));
        written.map_err(|error| BackupError::io(unfinished, error))
    }
}

impl Draft for ArchiveDraft {
    fn known(&mut self, id: &ObjectId, _: &Keys) -> Result<Known, BackupError> {
        Ok(if self.known.contains(id) { Known::Sound } else { Known::No })
    }

    fn add(&mut self, id: &ObjectId, sealed: &[u8]) -> Result<(), BackupError> {
        let length = u32::try_from(sealed.len()).map_err(|_| BackupError::unusable("too large"))?;
        self.write(&[&[OBJECT], &id.0, &length.to_le_bytes(), sealed])?;
        self.known.insert(*id);
        Ok(())
    }

    fn commit(&mut self, keys: &Keys, name: &str, sealed: &[u8]) -> Result<(), BackupError> {
        let unfinished = self.unfinished.clone();
        let failed = |error| BackupError::io(&unfinished, error);
        let place = self.writer.stream_position().map_err(failed)?;
        let lengths = [name.len(), sealed.len()].map(|it| u32::try_from(it).unwrap_or(u32::MAX));
        let [name_length, length] = lengths.map(u32::to_le_bytes);
        self.write(&[&[MANIFEST], &name_length, name.as_bytes(), &length, sealed])?;
        self.write(&[&place.to_le_bytes(), END])?;
        self.writer.flush().map_err(failed)?;
        let file = self.writer.get_ref();
        file.sync_all().map_err(failed)?;
        let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
        let written = Archive::open(&unfinished)?;
        let wrong = || damaged(&unfinished, "it is not what was just written: look at the disk");
        for id in &self.known {
            let sealed = written.object(id)?.unwrap_or_default();
            keys.open_object(id, &sealed).ok_or_else(wrong)?;
        }
        if written.manifest(name)? != sealed {
            return Err(wrong());
        }
        fs::rename(&unfinished, &self.path).map_err(failed)?;
        self.done = true;
        file::sync_folder(&self.path).map_err(failed)
    }
}

impl Drop for ArchiveDraft {
    fn drop(&mut self) {
        if !self.done {
            // What is left is overwritten the next time.
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use windlass_proto::time::Timestamp;

    use super::{ArchiveDraft, Protection};

    #[test]
    fn no_link_is_followed_and_nothing_replaced_that_is_no_backup() {
        let folder = tempfile::tempdir().unwrap();
        let (to, thesis) = (folder.path().join("one.backup"), folder.path().join("thesis"));
        let make = |to| ArchiveDraft::make(to, &Protection::None, Timestamp(1)).map(|it| it.0);
        fs::write(&thesis, "chapter one").unwrap();
        std::os::unix::fs::symlink(&thesis, folder.path().join("one.backup.partial")).unwrap();
        assert!(make(&to).is_err());
        assert!(make(&thesis).is_err());
        assert_eq!(fs::read_to_string(&thesis).unwrap(), "chapter one");
        fs::remove_file(folder.path().join("one.backup.partial")).unwrap();
        let first = make(&to).unwrap();
        let second = make(&to).err().unwrap().to_string();
        assert!(second.contains("another windlass writes"), "{second}");
        drop(first);
        drop(make(&to).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
