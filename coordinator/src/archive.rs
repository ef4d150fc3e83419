//! Instances that were removed, kept as files: written and synced before they are removed.
//!
//! A file an instance, in 256 folders by the end of its id, so that it is found without an index:
//! `DIR/6f/ID.MILLISECONDS.json`, with the time of its start, as an id may be used again. Each has
//! one line, so all of them one after the other are NDJSON:
//!
//! ```text
//! {"windlass":"archive/1","instance":{…},"history":[{…},…],"checksum":"sha256, hexadecimal"}
//! ```
//!
//! The checksum is that of the bytes before `,"checksum"`. Secrets stay sealed: what is not shown
//! is not in here either.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use crate::catalog::Catalog;
use crate::file::{self, sync_folder};
use crate::history::{HistoryEntry, Reader, States};
use crate::journal::{Journal, JournalError};
use crate::partition::fold;
use crate::view::{InstanceView, view};

/// What a file begins with.
const BEGIN: &str = "{\"windlass\":\"archive/1\",\"instance\":";

/// What stands before the checksum.
const CHECKSUM: &str = ",\"checksum\":\"";

/// What stands after it.
const END: &str = "\"}\n";

/// Bytes that a file ends with: the checksum, 64 digits, between two texts.
fn end_bytes() -> u64 {
    (CHECKSUM.len() + 64 + END.len()) as u64
}

/// How instances and their histories are written: as the API shows them.
#[derive(Clone, Copy, Debug)]
pub struct Rendering {
    /// An instance.
    pub instance: fn(InstanceView) -> serde_json::Result<Vec<u8>>,
    /// An entry of a history.
    pub entry: fn(HistoryEntry) -> serde_json::Result<Vec<u8>>,
}

/// A directory of such files.
#[derive(Clone, Debug)]
pub struct Archive {
    directory: PathBuf,
    rendering: Option<Rendering>,
}

/// An instance as it is archived.
#[derive(Clone, Debug)]
pub struct ArchivedInstance {
    /// `document.namespace`
    pub namespace: Arc<str>,
    /// `document.name`
    pub name: Arc<str>,
    /// The instance as the API shows it: JSON.
    pub text: Box<str>,
}

/// Why something is not archived, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The disk refuses.
    #[error("{0}: {1}; make room there, or mend its permissions")]
    File(PathBuf, io::Error),
    /// A file is not as it was written.
    #[error("{0} is damaged: {1}; put it back from a backup, or remove it")]
    Damaged(PathBuf, &'static str),
    /// The instance cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Makes a folder for its owner alone, durably, where it is not there.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    sync_folder(folder)
}

impl Archive {
    /// The archive in a directory, which is made where it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(directory: &Path, rendering: Rendering) -> Result<Self, ArchiveError> {
        let refused = |error| ArchiveError::File(directory.to_owned(), error);
        make_folder(directory).map_err(refused)?;
        Ok(Self { directory: directory.to_owned(), rendering: Some(rendering) })
    }

    /// An archive that is only read.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), rendering: None }
    }

    fn folder(&self, id: InstanceId) -> PathBuf {
        let [.., last] = id.0.into_bytes();
        self.directory.join(format!("{last:02x}"))
    }

    /// Writes an instance that has ended, durably; again it is replaced. Blocking. False where
    /// there is no such instance.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(crate) fn write(
        &self,
        journal: &dyn Journal,
        catalog: &Catalog,
        id: InstanceId,
    ) -> Result<bool, ArchiveError> {
        let Some(rendering) = self.rendering else { return Ok(false) };
        let Some(head) = journal.head(id)? else { return Ok(false) };
        let Some(stored) = journal.load(id)? else { return Ok(false) };
        let plan = catalog.required(&head.digest)?;
        let (instance, _) = fold(id, &stored)?;
        let shown = (rendering.instance)(view(&plan, &instance, None));
        drop(stored);
        let folder = self.folder(id);
        let path = folder.join(format!("{id}.{}.json", head.started_at.0));
        let refused = |error| ArchiveError::File(path.clone(), error);
        make_folder(&folder).map_err(refused)?;
        let mut draft = Draft::begin(&path).map_err(refused)?;
        let mut put = |bytes: &[u8]| draft.put(bytes).map_err(refused);
        put(BEGIN.as_bytes())?;
        put(&shown.map_err(|error| refused(error.into()))?)?;
        put(b",\"history\":[")?;
        let states = States::default();
        let reader = Reader { journal, catalog, states: &states };
        let (mut from, mut is_first) = (Some(0), true);
        while let Some(next) = from {
            let Some(page) = reader.read(id, next, limits::ARCHIVE_PAGE)? else { return Ok(false) };
            for entry in page.entries {
                if !std::mem::take(&mut is_first) {
                    put(b",")?;
                }
                put(&(rendering.entry)(entry).map_err(|error| refused(error.into()))?)?;
            }
            from = page.next;
        }
        put(b"]")?;
        draft.finish(&path).map_err(refused)?;
        Ok(true)
    }

    /// The instance of this id that started last, if one is archived. Blocking.
    ///
    /// # Errors
    /// When it is damaged, or cannot be read.
    pub fn read(&self, id: InstanceId) -> Result<Option<ArchivedInstance>, ArchiveError> {
        self.newest(id)?.map(|path| read(&path)).transpose()
    }

    /// The file of the instance of this id that started last. Blocking.
    ///
    /// # Errors
    /// When its folder cannot be read.
    pub fn newest(&self, id: InstanceId) -> Result<Option<PathBuf>, ArchiveError> {
        let all = files(&self.folder(id))?.into_iter().filter(|it| it.0 == id);
        Ok(all.max_by_key(|(_, started, _)| *started).map(|(_, _, path)| path))
    }

    /// All files, those of one folder after the other. Blocking.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn files(
        &self,
    ) -> impl Iterator<Item = Result<Vec<(InstanceId, Timestamp, PathBuf)>, ArchiveError>> {
        let folders = (0..=u8::MAX).map(|it| self.directory.join(format!("{it:02x}")));
        folders.map(|folder| files(&folder))
    }
}

/// Instance, start and path of each file in a folder, in order; none where there is no folder.
fn files(folder: &Path) -> Result<Vec<(InstanceId, Timestamp, PathBuf)>, ArchiveError> {
    let refused = |error| ArchiveError::File(folder.to_owned(), error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(refused)?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.map_err(refused)?.path();
        // What a crash left of one that was being written has another ending.
        let name = path.file_name().and_then(|it| it.to_str());
        let parts = name.and_then(|it| it.strip_suffix(".json")?.split_once('.'));
        let parsed = parts.and_then(|(id, started)| {
            Some((id.parse::<InstanceId>().ok()?, Timestamp(started.parse().ok()?)))
        });
        if let Some((id, started)) = parsed {
            all.push((id, started, path));
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// A file that is being written, under another name.
struct Draft {
    path: PathBuf,
    file: BufWriter<File>,
    sum: Sha256,
}

impl Draft {
    fn begin(path: &Path) -> io::Result<Self> {
        let path = path.with_extension("new");
        file::remove(&path)?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { path, file: BufWriter::new(file), sum: Sha256::new() })
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.file.write_all(bytes)
    }

    fn finish(self, path: &Path) -> io::Result<()> {
        let Self { path: draft, mut file, sum } = self;
        write!(file, "{CHECKSUM}{:x}{END}", sum.finalize())?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        sync_folder(path)
    }
}

/// What is read of a line: its history is passed over.
#[derive(Deserialize)]
struct Line {
    instance: Box<RawValue>,
    #[serde(rename = "history")]
    _history: IgnoredAny,
}

/// What says whose it is.
#[derive(Deserialize)]
struct Whose {
    workflow: Named,
}

#[derive(Deserialize)]
struct Named {
    namespace: Arc<str>,
    name: Arc<str>,
}

/// Reads a file, once it is known to be as it was written. Blocking.
///
/// # Errors
/// When it is damaged, or cannot be read.
pub fn read(path: &Path) -> Result<ArchivedInstance, ArchiveError> {
    verify(path)?;
    let damaged = |_| ArchiveError::Damaged(path.to_owned(), "it is no instance");
    let file = File::open(path).map_err(|error| ArchiveError::File(path.to_owned(), error))?;
    let line: Line = serde_json::from_reader(BufReader::new(file)).map_err(damaged)?;
    let Whose { workflow } = serde_json::from_str(line.instance.get()).map_err(damaged)?;
    let Named { namespace, name } = workflow;
    Ok(ArchivedInstance { namespace, name, text: line.instance.into() })
}

/// Holds a file against its checksum. Blocking.
///
/// # Errors
/// When it is damaged, or cannot be read.
pub fn verify(path: &Path) -> Result<(), ArchiveError> {
    let refused = |error| ArchiveError::File(path.to_owned(), error);
    let damaged = |what| ArchiveError::Damaged(path.to_owned(), what);
    let file = File::open(path).map_err(refused)?;
    let length = file.metadata().map_err(refused)?.len();
    let body = length.checked_sub(end_bytes()).ok_or_else(|| damaged("it is cut off"))?;
    let mut file = BufReader::new(file);
    let mut sum = Sha256::new();
    let hashed = io::copy(&mut (&mut file).take(body), &mut sum).map_err(refused)?;
    let mut end = Vec::new();
    (&mut file).take(2 * end_bytes()).read_to_end(&mut end).map_err(refused)?;
    let due = format!("{CHECKSUM}{:x}{END}", sum.finalize());
    match hashed == body && end == due.as_bytes() {
        true => Ok(()),
        false => Err(damaged("it does not have its checksum")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::{Draft, read, verify};

    #[test]
    fn a_file_that_was_changed_or_cut_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.1.json");
        let mut draft = Draft::begin(&path).unwrap();
        let line = "{\"windlass\":\"archive/1\",\"instance\":{\"workflow\":{\"namespace\":\"n\",\
                    \"name\":\"w\"},\"input\":1e400},\"history\":[]";
        draft.put(line.as_bytes()).unwrap();
        draft.finish(&path).unwrap();
        let archived = read(&path).unwrap();
        assert_eq!((&*archived.namespace, &*archived.name), ("n", "w"));
        assert!(archived.text.ends_with("\"input\":1e400}"), "{archived:?}");
        let whole = fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut other = whole.clone();
            other[place] ^= 1;
            fs::write(&path, &other).unwrap();
            assert!(verify(&path).is_err(), "byte {place}");
            fs::write(&path, &whole[..place]).unwrap();
            assert!(verify(&path).is_err(), "the first {place} bytes");
        }
        fs::write(&path, &whole).unwrap();
        assert!(verify(&path).is_ok());
    }
}
