//! Which version of the journal's format its records need to be read.
//!
//! A release reads what the one before has written, and goes back one step as long as nothing of
//! its own kind was written. So whoever is about to write a new kind of record, or a fact with a
//! letter that the release before does not know, raises the version first
//! ([`Store::need_version`]): the release before then refuses the journal by name, instead of
//! meeting what it cannot read in the middle of its work. Fields with a default need no new
//! version.

use super::{JournalError, Ordered, Store, keys, record};

/// The newest version that this build reads and writes; the first one has no mark.
const VERSION: u8 = 1;

impl<O: Ordered> Store<O> {
    /// Takes note, durably, that this version is needed from now on.
    ///
    /// # Errors
    /// When the store cannot write.
    pub fn need_version(&self, version: u8) -> Result<(), JournalError> {
        let _exclusive = self.exclusive();
        if self.needed_version()? >= version {
            return Ok(());
        }
        self.put_number(keys::VERSION, u64::from(version))
    }

    /// The version that its records need.
    fn needed_version(&self) -> Result<u8, JournalError> {
        let Some(number) = self.number(keys::VERSION)? else { return Ok(1) };
        u8::try_from(number).map_err(|_| record::damaged(keys::VERSION, "is no version"))
    }

    /// Refuses a journal that needs a newer version.
    pub(super) fn refuse_newer(&self) -> Result<(), JournalError> {
        let found = self.needed_version()?;
        match found <= VERSION {
            true => Ok(()),
            false => Err(JournalError::UnknownFormat { found, known: VERSION }),
        }
    }

    /// True where anything was written that the first version does not read.
    #[cfg(test)]
    pub(in super::super) fn is_marked(&self) -> bool {
        self.ordered.get(super::Space::Common, keys::VERSION).is_ok_and(|it| it.is_some())
    }
}
