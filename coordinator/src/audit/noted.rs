//! The last head, noted in a file of its own beside the trail: a trail that ends before it has lost
//! lines, and no number is given twice.

use std::io;
use std::path::{Path, PathBuf};

use super::chain::Position;
use crate::file;

/// Where the last head of a trail is noted.
pub(super) fn place(trail: &Path) -> PathBuf {
    trail.with_extension("head")
}

/// Notes a head that is on disk. It is worth less than the trail: nothing fails for it.
pub(super) fn note(place: &Path, head: Position) {
    // Strings and numbers: this cannot fail.
    let text = serde_json::to_vec(&head).unwrap_or_default();
    if let Err(error) = file::replace(place, &text, 0o640) {
        tracing::warn!(%error, "the last head of the audit trail could not be noted");
    }
}

/// What is noted; nothing where it cannot be read.
pub(super) fn read(place: &Path) -> io::Result<Option<Position>> {
    match std::fs::read(place) {
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
