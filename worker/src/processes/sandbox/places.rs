//! Which files a sandbox shows, hides and lets be changed.
//!
//! What is laid over what, from below: the machine's files, read-only; empty folders in place of
//! those that are others' business (homes, sockets of daemons, temporary files); what of them comes
//! back (the folder that the worker runs in, those of `PATH`, those that the operator names); the
//! files of the task; and on top nothing in place of what holds the worker's keys and secrets.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use windlass_proto::limits;

use super::{SandboxError, SandboxOptions, own, words};
use crate::processes::TaskUser;

/// Folders that are others' business: homes, the sockets and secrets of daemons and containers, and
/// where the files of `deploy` keep keys and data.
const PRIVATE: [&str; 6] =
    ["/home", "/root", "/run", "/var/run", "/etc/windlass", "/var/lib/windlass"];

/// Folders of which a task gets its own.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// Names are looked up by what this says, which may be kept where others' sockets are.
const RESOLVER: &str = "/etc/resolv.conf";

/// What a sandbox shows, hides and lets be changed.
#[derive(Clone, Debug)]
pub(super) struct Places {
    user: Option<TaskUser>,
    private: Vec<PathBuf>,
    temporary: Vec<PathBuf>,
    /// What comes back of those.
    readable: Vec<PathBuf>,
    writable: Vec<PathBuf>,
    /// What holds keys and secrets, as the worker was told it: links are followed for each process,
    /// as what they lead to may be replaced.
    hidden: Vec<PathBuf>,
}

impl Places {
    pub(super) fn new(
        options: &SandboxOptions,
        user: Option<TaskUser>,
    ) -> Result<Self, SandboxError> {
        let folders = |all: &[&str]| {
            let mut found: Vec<PathBuf> =
                all.iter().filter_map(|it| std::fs::canonicalize(it).ok()).collect();
            found.retain(|it| it.is_dir() && it.parent().is_some());
            found.sort();
            found.dedup();
            found
        };
        let named = |all: &[PathBuf]| all.iter().map(|it| named(it)).collect::<Result<Vec<_>, _>>();
        let mut places = Self {
            user,
            private: folders(&PRIVATE),
            temporary: folders(&TEMPORARY),
            readable: named(&options.readable)?,
            writable: named(&options.writable)?,
            hidden: options.hidden.iter().filter_map(|it| std::path::absolute(it).ok()).collect(),
        };
        places.readable.extend(places.needed());
        Ok(places)
    }

    /// What programs need of the folders that are others' business: themselves, and names.
    fn needed(&self) -> Vec<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(std::fs::canonicalize(RESOLVER).ok());
        folders.filter(|it| it.is_absolute() && self.is_private(it) && self.reaches(it)).collect()
    }

    /// Appends what lays it all out.
    pub(super) fn arrange(&self, directory: &Path, files: Option<&Path>, all: &mut Vec<OsString>) {
        let bind = |how: &str, path: &Path, all: &mut Vec<OsString>| {
            all.extend([how.into(), path.into(), path.into()]);
        };
        let private: Vec<_> = self.private.iter().filter(|it| self.reaches(it)).collect();
        for folder in &private {
            empty(folder, limits::SANDBOX_HIDDEN_BYTES, all);
        }
        for folder in &self.temporary {
            empty(folder, limits::SANDBOX_TMP_BYTES, all);
        }
        let directory = self.comes_back(directory).then_some(directory);
        for path in self.readable.iter().map(PathBuf::as_path).chain(directory) {
            // What is gone since is missed by who needs it, not by everybody.
            bind("--ro-bind-try", path, all);
        }
        for path in &self.writable {
            bind("--bind", path, all);
        }
        if let Some(files) = files {
            bind("--ro-bind", files, all);
        }
        for path in self.secret(directory) {
            if path.is_dir() {
                empty(&path, limits::SANDBOX_HIDDEN_BYTES, all);
                all.extend(["--remount-ro".into(), path.into_os_string()]);
            } else {
                // No device can be opened on what is bound like this, so nobody reads it.
                all.extend(words(&["--ro-bind", "/dev/null"]));
                all.push(path.into_os_string());
            }
        }
        for folder in private {
            all.extend([OsString::from("--remount-ro"), folder.into()]);
        }
    }

    /// Whether the folder that processes start in is brought back: one below the folders that are
    /// others' business, but no home as a whole.
    fn comes_back(&self, directory: &Path) -> bool {
        let above = |it: &&PathBuf| directory.starts_with(it);
        let Some(private) = self.private.iter().find(above) else {
            let inside = |it: &PathBuf| directory.starts_with(it) && directory != it;
            return self.temporary.iter().any(inside) && self.reaches(directory);
        };
        let depth = directory.components().count() - private.components().count();
        let least = if private.ends_with("home") { 2 } else { 1 };
        depth >= least && self.reaches(directory)
    }

    /// What holds keys and secrets and could be seen, with links followed.
    fn secret(&self, directory: Option<&Path>) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for path in &self.hidden {
            let Ok(real) = std::fs::canonicalize(path) else { continue };
            // A link is replaced when a new version comes: then nothing of its folder may be seen.
            let folder = path.is_symlink().then(|| path.parent()?.canonicalize().ok()).flatten();
            found.extend([real].into_iter().chain(folder.filter(|it| it.parent().is_some())));
        }
        found.sort();
        // The folder first, and then nothing in it.
        let mut kept: Vec<PathBuf> = Vec::new();
        for path in found {
            if !kept.iter().any(|it| path.starts_with(it)) {
                kept.push(path);
            }
        }
        kept.retain(|it| self.is_seen(it, directory) && self.reaches(it));
        kept
    }

    /// Whether something that was there before anything was hidden is seen.
    fn is_seen(&self, path: &Path, directory: Option<&Path>) -> bool {
        let shown = self.readable.iter().chain(&self.writable).map(PathBuf::as_path);
        let mut shown = shown.chain(directory);
        !self.is_private(path) || shown.any(|it| path.starts_with(it) || it.starts_with(path))
    }

    fn is_private(&self, path: &Path) -> bool {
        self.private.iter().chain(&self.temporary).any(|it| path.starts_with(it))
    }

    /// Whether a process could get to `path`. What it cannot get to needs no hiding, and nothing
    /// can be laid over it.
    fn reaches(&self, path: &Path) -> bool {
        let user = self.user.unwrap_or_else(own);
        if user == own() && user.user != 0 {
            // It may be in other groups as well.
            return path.parent().is_none_or(|it| access(it, Access::EXEC_OK).is_ok());
        }
        path.ancestors().skip(1).all(|it| user.enters(it))
    }
}

/// An empty folder in place of `path`.
fn empty(path: &Path, most: u64, all: &mut Vec<OsString>) {
    all.extend(words(&["--size", &most.to_string(), "--tmpfs"]));
    all.push(path.into());
}

fn named(path: &Path) -> Result<PathBuf, SandboxError> {
    std::fs::canonicalize(path)
        .map_err(|error| SandboxError::Folder { path: path.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
