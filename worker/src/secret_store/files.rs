//! Secrets in files, as Kubernetes, Docker and agents of other stores mount them.

use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use tokio::sync::Semaphore;
use windlass_proto::limits;
use windlass_proto::secret::SecretName;
use zeroize::{Zeroize, Zeroizing};

use super::places::{Places, Rule};
use super::setup::{StoreConfig, StoreError, StoreSettings};
use super::{SecretContext, SecretData, SecretError, SecretStore, SecretValue, payload, remote};
use crate::document;

/// Extensions of files that are structures, tried in this order where a name has none.
const STRUCTURES: [&str; 3] = ["json", "yaml", "yml"];

/// The link inside a volume of Kubernetes that all its files go through.
const DATA: &str = "..data";

/// The section `[files]`.
pub type FilesConfig = StoreConfig<FilesSettings>;

/// What only the section `[files]` has.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub struct FilesSettings {
    /// The directory below which all secrets are.
    pub directory: PathBuf,
}

impl StoreSettings for FilesSettings {
    /// The place of a secret below it; by default `{environment}/{namespace}/{name}`.
    const USUAL_PATH: &str = "{environment}/{namespace}/{name}";
}

/// Reads files anew each time.
///
/// A file is a text, without the line break at its end; one that ends in `.json`, `.yaml` or `.yml`
/// is a structure, and is found without its extension too; a directory is a map from its files'
/// names to their texts. Links that lead out of the directory are not followed.
pub struct FileSecrets {
    directory: Arc<Path>,
    places: Places,
    timeout: Duration,
    reads: Arc<Semaphore>,
}

impl FileSecrets {
    /// A store by these settings. The directory need not exist yet.
    ///
    /// # Errors
    /// When a path is no template.
    pub fn new(StoreConfig { own: config, shared }: FilesConfig) -> Result<Self, StoreError> {
        let rule = Rule { allowed: |it| !it.is_control() && it != '\\', longest: 1024 };
        let places = shared.places(rule)?;
        let (directory, timeout) = (config.directory.into(), shared.timeout);
        let reads = Arc::new(Semaphore::new(limits::FILE_READS));
        Ok(Self { directory, places, timeout, reads })
    }

    async fn find(
        &self,
        name: &SecretName,
        context: &SecretContext,
    ) -> Result<SecretValue, SecretError> {
        let (path, field) = self.places.of(name, context)?;
        let directory = self.directory.clone();
        let stopped = || SecretError::Unavailable("the worker is about to stop".to_owned());
        let turn = self.reads.clone().acquire_owned().await.map_err(|_| stopped())?;
        // A file system that hangs takes threads, but not all of them.
        let field = field.map(str::to_owned);
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let data = read(&directory, &path).map_err(|error| meaning(&error))?;
            payload::take(data, field.as_deref()).map(SecretValue::new)
        });
        read.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl SecretStore for FileSecrets {
    fn read<'a>(
        &'a self,
        name: &'a SecretName,
        context: &'a SecretContext,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>> {
        Box::pin(remote::bounded(self.timeout, self.find(name, context)))
    }
}

/// What an error says of a secret, without its path.
fn meaning(error: &io::Error) -> SecretError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SecretError::Missing,
        io::ErrorKind::PermissionDenied => SecretError::Forbidden,
        io::ErrorKind::FileTooLarge => {
            SecretError::Unavailable(format!("it has more than {} bytes", limits::SECRET_BYTES))
        }
        io::ErrorKind::InvalidData => {
            SecretError::Unavailable("its file cannot be read as what it should be".to_owned())
        }
        other => SecretError::Unavailable(format!("its file cannot be read: {other}")),
    }
}

/// Reads what is at `path` below `directory`.
fn read(directory: &Path, path: &str) -> io::Result<SecretData> {
    // When the directory itself is not there, nothing is known of any secret.
    let gone = |error: io::Error| io::Error::other(error.kind().to_string());
    let root = directory.canonicalize().map_err(gone)?;
    match read_once(&root, path) {
        // Kubernetes has put new files in place of those that were being read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => read_once(&root, path),
        result => result,
    }
}

fn read_once(root: &Path, path: &str) -> io::Result<SecretData> {
    // Slashes at either end or two in a row are harmless; anything else was refused before.
    let relative: PathBuf =
        Path::new(path).components().filter(|it| matches!(it, Component::Normal(_))).collect();
    match inside(root, &root.join(&relative)) {
        Ok(found) if found.is_dir() => read_directory(root, &found),
        // The extension is that of the name that was asked for, whatever it links to.
        Ok(found) => read_file(&found, relative.extension().and_then(|it| it.to_str())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            for extension in STRUCTURES {
                let named = root.join(format!("{}.{extension}", relative.display()));
                match inside(root, &named) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    found => return read_file(&found?, Some(extension)),
                }
            }
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// The real path of `path`, which must be below `root`.
fn inside(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let real = path.canonicalize()?;
    if real.starts_with(root) { Ok(real) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

fn read_file(path: &Path, extension: Option<&str>) -> io::Result<SecretData> {
    let text = read_text(path, limits::SECRET_BYTES)?;
    if extension.is_some_and(|it| STRUCTURES.contains(&it)) {
        // The parser's message may quote the text, so it is not passed on.
        let value = document::parse_document(&text).map_err(|_| io::ErrorKind::InvalidData)?;
        return Ok(SecretData::from_value(&value));
    }
    Ok(payload::text(text))
}

struct Entries(Vec<(String, SecretData)>);

impl Zeroize for Entries {
    fn zeroize(&mut self) {
        self.0.iter_mut().for_each(|(_, value)| value.zeroize());
    }
}

/// A map of the files in a directory; directories inside are left out.
fn read_directory(root: &Path, directory: &Path) -> io::Result<SecretData> {
    // All files of one state: Kubernetes replaces `..data` at once.
    let directory = match inside(root, &directory.join(DATA)) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => directory.to_owned(),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in directory.read_dir()? {
        let name = entry?.file_name().into_string().map_err(|_| io::ErrorKind::InvalidData)?;
        if !name.starts_with("..") {
            names.push(name);
        }
        if names.len() > limits::SECRET_FILES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
    names.sort();
    let mut left = limits::SECRET_BYTES;
    // Wiped should one of the files turn out not to be readable.
    let mut entries = Zeroizing::new(Entries(Vec::with_capacity(names.len())));
    for name in names {
        let path = inside(root, &directory.join(&name))?;
        if path.is_dir() {
            continue;
        }
        let text = read_text(&path, left)?;
        left -= text.len();
        entries.0.push((name, payload::text(text)));
    }
    Ok(SecretData::Map(std::mem::take(&mut entries.0)))
}

/// The text of a regular file of at most `limit` bytes.
fn read_text(path: &Path, limit: usize) -> io::Result<Zeroizing<String>> {
    // Opening a pipe would wait for a writer.
    if !path.metadata()?.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4 << 10));
    let more = limit as u64 + 1;
    std::fs::File::open(path)?.take(more).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // Editors and `echo` end a file with a line break that belongs to no secret.
    let without = bytes.strip_suffix(b"\n").map(|it| it.strip_suffix(b"\r").unwrap_or(it));
    Ok(payload::from_bytes(without.unwrap_or(&bytes)))
}

#[cfg(test)]
mod tests;
