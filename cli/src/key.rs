//! Keys in files: a coordinator's, made once, and those that workers are given.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use windlass_proto::wire::key::{CoordinatorKey, WorkerKey};
use zeroize::Zeroizing;

use crate::error::CliError;
use crate::output;

/// The coordinator's key: read, or made where there is none.
///
/// # Errors
/// When the file cannot be read or made, or holds something else.
pub(crate) fn coordinator(path: &Path) -> Result<CoordinatorKey, CliError> {
    let (key, is_new) = kept(path)?;
    if is_new {
        // Workers admitted by another key are refused: who looked for that one sees it here.
        output::message(&format!("made a new key in {}", path.display()));
    }
    Ok(key)
}

/// The same without a word, and whether it was made.
///
/// # Errors
/// As [`coordinator`].
pub(crate) fn kept(path: &Path) -> Result<(CoordinatorKey, bool), CliError> {
    if let Some(key) = read(path)? {
        return Ok((key, false));
    }
    if let Some(folder) = path.parent() {
        crate::profile::make(folder).map_err(|error| unusable(folder, &error))?;
    }
    let key = CoordinatorKey::generate();
    match make(path, &key) {
        Ok(()) => Ok((key, true)),
        // Somebody else was faster: theirs counts.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            read(path)?.map(|it| (it, false)).ok_or_else(|| unusable(path, &error))
        }
        Err(error) => Err(unusable(path, &error)),
    }
}

/// A coordinator's key that must be there.
///
/// # Errors
/// When it is not, or cannot be read, or is none.
pub(crate) fn existing(path: &Path) -> Result<CoordinatorKey, CliError> {
    let none = || CliError::Usage(format!("there is no key in {}", path.display()));
    read(path)?.ok_or_else(none)
}

fn read(path: &Path) -> Result<Option<CoordinatorKey>, CliError> {
    match std::fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) => CoordinatorKey::parse(&text)
            .map(Some)
            .map_err(|error| CliError::Usage(format!("{}: {error}", path.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(path, &error)),
    }
}

/// Makes the file under another name first, so that nobody reads half a key.
fn make(path: &Path, key: &CoordinatorKey) -> std::io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let draft = PathBuf::from(draft);
    let written = (|| {
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        writeln!(file, "{}", *key.to_text())?;
        file.sync_all()?;
        std::fs::hard_link(&draft, path)
    })();
    let removed = std::fs::remove_file(&draft);
    written.and(removed)
}

/// A worker key, from a file.
///
/// # Errors
/// When the file cannot be read, or holds something else.
pub(crate) fn worker(path: &Path) -> Result<WorkerKey, CliError> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| unusable(path, &error))?;
    WorkerKey::parse(&text).map_err(|error| CliError::Usage(format!("{}: {error}", path.display())))
}

fn unusable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::Usage(format!("cannot use {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{coordinator, worker};

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/coordinator.key");
        let made = coordinator(&path).unwrap();
        assert_eq!(*coordinator(&path).unwrap().to_text(), *made.to_text());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let data = folder.path().join("data");
        assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(folder.path().join("data")).unwrap().count(), 1);
        let given = folder.path().join("worker.key");
        std::fs::write(&given, format!("{}\n", *made.worker_key(Some("gpu")).to_text())).unwrap();
        assert_eq!(worker(&given).unwrap().pool(), Some("gpu"));
        assert!(worker(&path).is_err() && coordinator(&given).is_err());
    }
}
