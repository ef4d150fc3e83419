//! Small files that must be whole at any moment, and the folder that is nobody else's business.

use std::io::Write as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::{fs, io};

use rustix::fs::{FlockOperation, OFlags, flock};

/// Replaces a file, durably: after a crash there is the old one or the new one. Blocking.
///
/// # Errors
/// When it cannot be written; the old one is there then.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let draft = beside(path, ".new");
    // A draft that a crash has left may have other permissions.
    remove(&draft)?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.and_then(|()| fs::rename(&draft, path)).inspect_err(|_| {
        // What is left is replaced the next time.
        let _ = fs::remove_file(&draft);
    })?;
    sync_folder(path)
}

/// Removes a file, if it is there. Blocking.
///
/// # Errors
/// When it cannot be removed.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The path of what is beside a file or a folder, under its name with an ending.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The bits of a mode that are about others than the owner.
const OTHERS: u32 = 0o077;

/// Makes a folder that only its owner may enter, whatever the mask of this process. One that is
/// there is closed to others if it is empty or has `mark` in it, and with it the files that `mark`
/// makes ours: it may have been made by a version that did not, and any other folder, such as `.`
/// or `/tmp`, is not ours to close. What belongs to somebody else stays as it is. Blocking.
///
/// # Errors
/// When it cannot be made or read.
pub(crate) fn private_folder(path: &Path, mark: &str) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let mut entries = fs::read_dir(path)?.peekable();
    if entries.peek().is_some() && !path.join(mark).exists() {
        return Ok(());
    }
    close(path);
    for entry in entries {
        let entry = entry?;
        // A link could lead anywhere.
        if entry.file_type()?.is_file() {
            close(&entry.path());
        }
    }
    Ok(())
}

/// Takes from others what rights they have.
fn close(path: &Path) {
    let Ok(found) = fs::metadata(path) else { return };
    let mode = found.permissions().mode();
    if mode & OTHERS != 0 {
        let closed = fs::Permissions::from_mode(mode & !OTHERS & 0o7777);
        // Only its owner can; a volume that is shared by group stays so.
        let _ = fs::set_permissions(path, closed);
    }
}

/// Makes durable which files the folder of `path` has. Blocking.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if folder != Path::new("") => fs::File::open(folder)?.sync_all(),
        _ => fs::File::open(".")?.sync_all(),
    }
}

/// A file that this process alone has locked, made where there is none; none while another one has
/// it. Whoever has it may rename or remove it. No link is followed. Blocking.
///
/// # Errors
/// When it cannot be opened.
pub(crate) fn held(path: &Path) -> io::Result<Option<fs::File>> {
    loop {
        let mut options = fs::OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let options = options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        let file = options.open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            locked => locked?,
        }
        // The one before may have removed it in between: then this locks nothing that others see.
        let (locked, there) = (file.metadata()?, fs::symlink_metadata(path));
        match there {
            Ok(it) if (it.dev(), it.ino()) == (locked.dev(), locked.ino()) => {
                return Ok(Some(file));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{private_folder, replace};

    fn mode(path: &std::path::Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_folder_of_ours_is_closed_to_others_and_no_other_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let open = |path: &std::path::Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let (new, old) = (folder.path().join("a/new"), folder.path().join("old"));
        private_folder(&new, "lock").unwrap();
        assert_eq!(mode(&new), 0o700);
        // Of a version that left it open.
        std::fs::create_dir(&old).unwrap();
        for name in ["lock", "db"] {
            std::fs::write(old.join(name), "").unwrap();
            open(&old.join(name), 0o644);
        }
        open(&old, 0o755);
        private_folder(&old, "lock").unwrap();
        assert_eq!((mode(&old), mode(&old.join("db"))), (0o700, 0o600));
        // Somebody else's.
        let other = folder.path().join("other");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("thesis"), "").unwrap();
        open(&other, 0o755);
        open(&other.join("thesis"), 0o644);
        private_folder(&other, "lock").unwrap();
        assert_eq!((mode(&other), mode(&other.join("thesis"))), (0o755, 0o644));
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_with_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        std::fs::write(folder.path().join("it.new"), "half").unwrap();
        for text in ["one", "two"] {
            replace(&path, text.as_bytes(), 0o600).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace(&folder.path().join("no/it"), b"", 0o600).is_err());
    }
}
