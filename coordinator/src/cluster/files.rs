//! The small files beside the journal that a successor needs: tokens, identities, policies and
//! webhooks. They go through the log when they have changed.
//!
//! The audit trail stays where it is, as each coordinator has a chain of its own; the key that all
//! coordinators share does not travel either.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use windlass_proto::limits::CLUSTER_FILE_BYTES;

use super::appender::Appender;
use super::entry::Entry;
use crate::file;
use crate::journal::{JournalError, disk};

/// Their names, and their permissions.
const NAMES: [(&str, u32); 5] = [
    ("identity.json", 0o600),
    ("tokens.json", 0o600),
    ("secret-policy.toml", 0o644),
    ("secret-policy.proposal.json", 0o600),
    ("webhooks.json", 0o600),
];

/// Puts a file where it belongs, or removes it.
pub(super) fn put(directory: &Path, name: &str, bytes: Option<&[u8]>) -> Result<(), JournalError> {
    let Some((name, mode)) = NAMES.iter().find(|it| it.0 == name) else {
        // A later version may have more of them.
        tracing::warn!(name, "the cluster's log has a file that is not known here: left out");
        return Ok(());
    };
    let path = directory.join(name);
    let done = match bytes {
        Some(bytes) => file::replace(&path, bytes, *mode),
        None => file::remove(&path),
    };
    done.map_err(|error| disk::error(&path, &error))
}

/// What was told of them.
#[derive(Default)]
pub(super) struct Told(HashMap<&'static str, Option<[u8; 32]>>);

impl Told {
    /// Appends those that have changed since. Blocking.
    pub(super) fn tell(
        &mut self,
        appender: &Appender,
        directory: &Path,
    ) -> Result<(), JournalError> {
        for (name, _) in NAMES {
            let path = directory.join(name);
            let bytes = read(&path).map_err(|error| disk::error(&path, &error))?;
            let digest = bytes.as_deref().map(|it| Sha256::digest(it).into());
            // What is not there is told once as well: it may have been removed while nobody was
            // told.
            if self.0.get(name) == Some(&digest) {
                continue;
            }
            appender.append_entry(&Entry::File { name: name.to_owned(), bytes })?;
            self.0.insert(name, digest);
        }
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(CLUSTER_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > CLUSTER_FILE_BYTES {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too large for the log")),
        false => Ok(Some(bytes)),
    }
}
