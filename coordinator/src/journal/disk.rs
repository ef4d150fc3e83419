//! What a disk says when it refuses: not damage, and each with its own remedy.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::JournalError;

/// Why a disk refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// ENOSPC, EDQUOT.
    Full,
    /// EMFILE, ENFILE.
    Descriptors,
    /// EROFS.
    ReadOnly,
    /// EACCES, EPERM.
    Denied,
    /// EIO.
    Device,
}

impl Refusal {
    /// What an error of the system means; `None` for all others.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        let by_kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Self::Full),
            io::ErrorKind::ReadOnlyFilesystem => Some(Self::ReadOnly),
            io::ErrorKind::PermissionDenied => Some(Self::Denied),
            _ => None,
        };
        let by_number = || error.raw_os_error().and_then(Self::of_number);
        by_kind.or_else(by_number).or_else(|| Self::of_text(&error.to_string()))
    }

    fn of_number(number: i32) -> Option<Self> {
        match Errno::from_raw_os_error(number) {
            Errno::NOSPC | Errno::DQUOT => Some(Self::Full),
            Errno::MFILE | Errno::NFILE => Some(Self::Descriptors),
            Errno::ROFS => Some(Self::ReadOnly),
            Errno::ACCESS | Errno::PERM => Some(Self::Denied),
            Errno::IO => Some(Self::Device),
            _ => None,
        }
    }

    /// sled hands errors on as text, of which the number is the part that can be relied on.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        ["(os error ", "code: "].into_iter().find_map(|before| {
            let (_, rest) = text.split_once(before)?;
            let digits = rest.split(|it: char| !it.is_ascii_digit()).next()?;
            Self::of_number(digits.parse().ok()?)
        })
    }

    /// What is the matter and what to do, after the name of what is concerned.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Full => {
                "the disk is full (ENOSPC); the journal is not damaged: free space there, or raise \
                 the quota, and start again"
            }
            Self::Descriptors => {
                "no file can be opened (EMFILE); the journal is not damaged: raise the limit of \
                 open files (`ulimit -n`, LimitNOFILE=) and start again"
            }
            Self::ReadOnly => {
                "the file system is read-only (EROFS); if it was not mounted so, the kernel's log \
                 says why: mount it writable, or choose another --data-dir"
            }
            Self::Denied => {
                "permission is denied (EACCES); the journal is not damaged: give the user that \
                 windlass runs as the directory and all files in it"
            }
            Self::Device => {
                "the disk fails to read or write (EIO): see the kernel's log, copy the directory \
                 to a sound disk and run `windlass fsck` on the copy"
            }
        }
    }
}

/// The error of the journal for one of the system.
pub(crate) fn error(path: &Path, error: &io::Error) -> JournalError {
    match Refusal::of(error) {
        Some(refusal) => JournalError::Disk { path: path.display().to_string(), refusal },
        None => JournalError::Store(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io;

    use super::Refusal;

    #[test]
    fn each_refusal_is_told_from_the_others_by_number_and_by_text() {
        for (number, refusal) in [
            (28, Refusal::Full),
            (122, Refusal::Full),
            (24, Refusal::Descriptors),
            (23, Refusal::Descriptors),
            (30, Refusal::ReadOnly),
            (13, Refusal::Denied),
            (1, Refusal::Denied),
            (5, Refusal::Device),
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(Refusal::of(&error), Some(refusal), "{error}");
            assert_eq!(Refusal::of(&io::Error::other(format!("{error:?}"))), Some(refusal));
            assert_eq!(Refusal::of_text(&format!("IO error: {error}")), Some(refusal));
        }
        assert_eq!(Refusal::of(&io::Error::from_raw_os_error(2)), None);
        assert_eq!(Refusal::of_text("no code: here"), None);
    }
}
