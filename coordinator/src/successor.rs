//! That a copy which was restored from a backup has taken over, so that this one stays away: a
//! service manager starts again what has ended, when no worker may hold a task that shows it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use windlass_proto::wire::GENERATION_SHIFT;

use crate::file;
use crate::journal::JournalError;

/// The file in the data directory that says so. A backup does not have it: what is restored of one
/// comes after all that were.
const FILE: &str = "superseded.json";

/// Who has taken over, if somebody has.
#[derive(Debug, Default)]
pub struct Successor {
    /// The data directory; none where nothing outlives the process.
    directory: Option<PathBuf>,
    /// Held while it is written: any partition may see it.
    writing: Mutex<()>,
}

#[derive(Serialize, Deserialize)]
struct Seen {
    /// The term of a task that a worker has shown.
    term: u64,
}

impl Successor {
    /// What is known of it in a data directory.
    #[must_use]
    pub fn of(directory: Option<PathBuf>) -> Self {
        Self { directory, ..Self::default() }
    }

    /// Takes note of a task of a later generation, before this coordinator stops for it. Blocking.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn seen(&self, term: u64) -> Result<(), JournalError> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let path = directory.join(FILE);
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let text = serde_json::to_vec(&Seen { term })
            .map_err(|error| JournalError::Store(error.to_string()))?;
        file::replace(&path, &text, 0o600).map_err(|error| unusable(&path, &error))
    }

    /// Refuses to lead in the term `own` where a copy of a later generation was seen.
    ///
    /// # Errors
    /// [`JournalError::Superseded`] then, others where nobody can tell.
    pub fn refuse(&self, own: u64) -> Result<(), JournalError> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let path = directory.join(FILE);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text.map_err(|error| unusable(&path, &error))?,
        };
        let seen: Seen = serde_json::from_slice(&text)
            .map_err(|error| JournalError::Damaged(format!("{}: {error}", path.display())))?;
        match seen.term >> GENERATION_SHIFT > own >> GENERATION_SHIFT {
            true => Err(JournalError::Superseded { own, theirs: seen.term }),
            false => Ok(()),
        }
    }
}

fn unusable(path: &Path, error: &io::Error) -> JournalError {
    JournalError::Store(format!("{}: {error}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use windlass_proto::wire::GENERATION_SHIFT;

    use super::{FILE, Successor};
    use crate::journal::JournalError;

    #[test]
    fn who_was_replaced_does_not_lead_again_until_it_is_restored_itself() {
        let folder = tempfile::tempdir().unwrap();
        let successor = || Successor::of(Some(folder.path().to_owned()));
        let term = |generation: u64| (generation << GENERATION_SHIFT) + 3;
        successor().refuse(term(0)).unwrap();
        successor().seen(term(5)).unwrap();
        for generation in [0, 4] {
            let refused = successor().refuse(term(generation));
            assert!(matches!(refused, Err(JournalError::Superseded { .. })), "{refused:?}");
        }
        successor().refuse(term(5)).unwrap();
        successor().refuse(term(6)).unwrap();
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(successor().refuse(term(6)).is_err());
        // Where nothing is kept there is nothing to come back to.
        Successor::default().seen(term(5)).unwrap();
        Successor::default().refuse(term(0)).unwrap();
    }
}
