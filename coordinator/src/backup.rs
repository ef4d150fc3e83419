//! Backups: the journal and the files beside it, in a place of their own, and back.
//!
//! ```text
//!                    ┌─ pieces of the journal, then files (`source`)
//!  a coordinator ────┤
//!                    └─ over the API: frames (`stream`) ──> `writer` ──> objects and a manifest in a
//!                                                                       directory or an archive
//! ```
//!
//! A backup is a manifest that names objects: pieces of the journal, cut where its keys say so, and
//! pieces of files. An object is called by a keyed hash of what is in it, so what has not changed
//! is stored once for all backups of a directory, each of which is whole by itself: there is no
//! chain to lose a link of. What is encrypted, is so under a key of the directory, which a
//! passphrase opens.
//!
//! **Invariant:** a manifest is written only after all that it names was read back from the disk as
//! it was written.
//!
//! **Invariant:** nothing is removed from a directory while one of its manifests cannot be read.

mod archive;
mod directory;
mod files;
mod manifest;
mod place;
mod restore;
mod seal;
mod source;
mod stream;
mod verify;
mod writer;

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use windlass_proto::time::Timestamp;

use crate::journal::JournalError;

pub use directory::{Pruned, prune};
pub use files::{LEFT, kept_names};
pub use manifest::BackupSummary;
pub(crate) use place::LastBackup;
pub use place::{Backups, Target};
pub use restore::{Restored, forget_restored, restore, restored};
pub(crate) use seal::keyed;
pub use seal::{Passphrase, Protection};
pub use source::{Source, take};
pub use stream::{Sender, receive};
pub use verify::{VerifyReport, verify};
pub use writer::Writer;

/// Why a backup cannot be taken, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It makes no sense as it is asked for, or it is no backup.
    #[error("{0}")]
    Unusable(String),
    /// A file cannot be read or written.
    #[error("{path}: {error}; check free space and permissions there")]
    Io {
        /// Which.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// What is in it is not what was put there.
    #[error("{0}")]
    Damaged(String),
    /// It does not open with what was given.
    #[error("{0}")]
    Locked(&'static str),
    /// Another one is being taken.
    #[error("another backup is being taken: wait until it is done")]
    Running,
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl BackupError {
    fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.display().to_string(), error }
    }

    fn unusable(text: impl Into<String>) -> Self {
        Self::Unusable(text.into())
    }
}

/// What a backup is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// When it was begun.
    pub at: Timestamp,
    /// The version that takes it.
    pub version: String,
    /// Partitions of its journal.
    pub partitions: u16,
    /// Which coordinator it is of, with the copies that were restored of it; none where that is not
    /// known, as in the first backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// A file that goes along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHead {
    /// Its name in the data directory.
    pub name: String,
    /// Its permissions.
    pub mode: u32,
}

/// What was read in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Records read, and changes made meanwhile.
    pub changes: u64,
    /// Records that fail their checksum; they are in the backup as they are.
    pub damaged: u64,
}

/// Who takes what a backup is made of, in this order: once what it is of, the pieces of the
/// journal, each file with its content, and the end.
pub trait Sink {
    /// What it is of.
    ///
    /// # Errors
    /// When it cannot be written; so for the others.
    fn begin(&mut self, about: About) -> Result<(), BackupError>;

    /// A piece of the journal.
    ///
    /// # Errors
    /// See [`Sink::begin`].
    fn piece(&mut self, bytes: Vec<u8>) -> Result<(), BackupError>;

    /// A file.
    ///
    /// # Errors
    /// See [`Sink::begin`].
    fn file(&mut self, head: FileHead) -> Result<(), BackupError>;

    /// More of the last file.
    ///
    /// # Errors
    /// See [`Sink::begin`].
    fn content(&mut self, bytes: Vec<u8>) -> Result<(), BackupError>;

    /// The end.
    ///
    /// # Errors
    /// See [`Sink::begin`].
    fn end(&mut self, totals: Totals) -> Result<(), BackupError>;
}
