//! The journal on disk, in sled 0.34. No other file names sled.
//!
//! sled's own flush starts the writing but does not wait for the disk's cache
//! (`sync_file_range`), so every commit ends with an `fdatasync` of its log through a handle of
//! ours. One commit of one partition is one batch of one tree: sled keeps that whole.

mod open;

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::store::{Batch, Order, Ordered, Space, Store, Visit};
use super::{CheckReport, Journal, JournalError};

pub use open::Options;

/// A journal in a directory.
pub type SledJournal = Store<Sled>;

/// The store under a [`SledJournal`].
pub struct Sled {
    db: ::sled::Db,
    common: ::sled::Tree,
    trees: Vec<::sled::Tree>,
    /// sled's log, for `fdatasync`.
    log: File,
    /// Held for as long as the journal is open.
    _lock: File,
}

impl SledJournal {
    /// Opens the journal in `directory`, or makes one there.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when another process has it open, [`JournalError::Unopenable`] when
    /// it is damaged or does not open in time, [`JournalError::Store`] when the directory cannot be
    /// used.
    pub fn open(directory: &Path, options: &Options) -> Result<Self, JournalError> {
        let mut store = Self::new(open::open(directory, options)?, options.partitions)?;
        store.ordered.open_trees(store.partitions())?;
        Ok(store)
    }
}

/// Opens and checks the journal in `directory`, for the command line.
///
/// # Errors
/// When it cannot be opened; damage to records is in the report.
pub fn check_directory(directory: &Path) -> Result<CheckReport, JournalError> {
    if !directory.join(open::LOG).exists() {
        return Err(JournalError::Unopenable {
            path: directory.display().to_string(),
            reason: "it holds no journal".to_owned(),
        });
    }
    SledJournal::open(directory, &Options::default())?.check()
}

impl Sled {
    fn open_trees(&mut self, partitions: u16) -> Result<(), JournalError> {
        for number in 0..partitions {
            let [high, low] = number.to_be_bytes();
            self.trees.push(self.db.open_tree([b'p', high, low]).map_err(unusable)?);
        }
        Ok(())
    }

    fn tree(&self, space: Space) -> Result<&::sled::Tree, JournalError> {
        match space {
            Space::Common => Ok(&self.common),
            Space::Partition(partition) => {
                self.trees.get(usize::from(partition.0)).ok_or_else(|| {
                    JournalError::Store(format!("there is no partition {}", partition.0))
                })
            }
        }
    }
}

impl Ordered for Sled {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        let tree = self.tree(space)?;
        guarded(|| Ok(tree.get(key).map_err(unusable)?.map(|value| value.to_vec())))
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), JournalError> {
        if from >= to {
            return Ok(());
        }
        let tree = self.tree(space)?;
        guarded(|| {
            let mut entries = tree.range(from..to);
            while let Some(entry) = match order {
                Order::Up => entries.next(),
                Order::Down => entries.next_back(),
            } {
                let (key, value) = entry.map_err(unusable)?;
                if visit(&key, &value)?.is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn write(&self, batches: Vec<Batch>) -> Result<(), JournalError> {
        guarded(|| {
            for Batch { space, changes } in batches {
                let mut batch = ::sled::Batch::default();
                for (key, value) in changes {
                    match value {
                        Some(value) => batch.insert(key, value),
                        None => batch.remove(key),
                    }
                }
                self.tree(space)?.apply_batch(batch).map_err(unusable)?;
            }
            self.db.flush().map_err(unusable)?;
            self.log.sync_data().map_err(|error| JournalError::Store(error.to_string()))
        })
    }
}

/// sled asserts what it believes about its files: a broken belief is an error here, not the end
/// of the process.
fn guarded<T>(run: impl FnOnce() -> Result<T, JournalError>) -> Result<T, JournalError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        Err(JournalError::Damaged(format!("the store gave up: {}", open::message(&*panic))))
    })
}

fn unusable(error: ::sled::Error) -> JournalError {
    match error {
        ::sled::Error::Corruption { .. } => JournalError::Damaged(error.to_string()),
        error => JournalError::Store(error.to_string()),
    }
}
