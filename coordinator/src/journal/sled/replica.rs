//! A directory that follows a log: what others committed is applied as it comes, and it becomes a
//! journal when this coordinator leads.
//!
//! While it follows there is no search index and no witness: both would have to be kept up for
//! nobody. The index is made anew from the heads, and that nothing is missing shows when the
//! journal adds itself up, as what it ought to hold came through the log as well.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use windlass_proto::id::PartitionId;
use windlass_proto::limits::{self, VERIFY_AT_OPEN_RECORDS};

use super::super::ordered::Ordered;
use super::super::replicated::{CommitLog, Followed, LogPosition, is_own};
use super::super::space::{Change, Order, Space};
use super::super::store::{Expected, Missing, Store};
use super::super::{JournalError, backup, disk, index, keys, record};
use super::open::{self, LOG, SETTINGS, in_time};
use super::{Options, Sled, SledJournal, wal, witness};

/// Says which cluster a directory belongs to.
pub const FILE: &str = "cluster.json";

/// Says that what the directory has is being removed, to be filled from the log again.
pub const REFILL: &str = "journal.refill";

#[derive(Serialize, Deserialize)]
struct Note {
    cluster: String,
    /// What tells it from another cluster of the same name; not known before its log was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<u64>,
}

impl Note {
    fn write(&self, directory: &Path) -> Result<(), JournalError> {
        let note =
            serde_json::to_vec(self).map_err(|error| JournalError::Store(error.to_string()))?;
        let path = directory.join(FILE);
        crate::file::replace(&path, &note, 0o600).map_err(|error| disk::error(&path, &error))
    }
}

/// A directory that follows.
pub struct Replica {
    sled: Sled,
    directory: PathBuf,
    options: Options,
    followed: Option<Followed>,
    /// The last batch, until it is known whether the log has it.
    held: Option<(Followed, Vec<Change>)>,
    partitions: Option<u16>,
    note: Note,
}

impl Replica {
    /// Opens the directory, or makes it; what was being removed of it is removed. What it held
    /// before it was of a cluster is checked as any journal is.
    ///
    /// # Errors
    /// As [`SledJournal::open`], and [`JournalError::LogMisfit`] when it is of another cluster.
    pub fn open(directory: &Path, cluster: &str, options: &Options) -> Result<Self, JournalError> {
        let failed = |error: io::Error| disk::error(directory, &error);
        crate::file::private_folder(directory, open::LOCK).map_err(failed)?;
        if directory.join(REFILL).exists() {
            let _lock = open::lock(directory)?;
            remove(directory).map_err(failed)?;
        }
        let note = match belongs(directory, cluster)? {
            Some(note) => note,
            None => {
                if directory.join(LOG).exists() {
                    drop(SledJournal::open(directory, options)?);
                }
                // First: what is made here is never taken for a journal that was alone.
                let note = Note { cluster: cluster.to_owned(), identity: None };
                note.write(directory)?;
                note
            }
        };
        let lock = open::lock(directory)?;
        let (path, settings) = (directory.to_owned(), *options);
        let opened = in_time(directory, options.deadline, move || {
            open::store_holding(&path, &settings, lock)
        });
        let mut sled = opened?;
        if let Some(lost) = sled.found.lost.take() {
            return Err(JournalError::Lost(vec![lost]));
        }
        let held = sled.found.held.take();
        let held = held.and_then(|changes| Followed::of(&changes).map(|it| (it, changes)));
        let stored = sled.get(Space::Common, keys::FOLLOWED)?;
        let followed = stored.map(|value| Followed::of_value(&value)).transpose()?;
        let directory = directory.to_owned();
        let (options, partitions) = (*options, None);
        let mut replica = Self { sled, directory, options, followed, held, partitions, note };
        replica.partitions = replica.stored_partitions()?;
        if replica.held.is_none() {
            replica.go_on()?;
        }
        Ok(replica)
    }

    /// What tells its cluster from another one of the same name, where that is known.
    #[must_use]
    pub fn identity(&self) -> Option<u64> {
        self.note.identity
    }

    /// It is of this cluster from now on.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn identify(&mut self, identity: u64) -> Result<(), JournalError> {
        if self.note.identity == Some(identity) {
            return Ok(());
        }
        self.note.identity = Some(identity);
        self.note.write(&self.directory)
    }

    /// The last entry that is applied for sure; none where nothing ever came from a log.
    #[must_use]
    pub fn followed(&self) -> Option<Followed> {
        self.followed
    }

    /// The last entry of a batch of which it is not known whether the log has it.
    #[must_use]
    pub fn held(&self) -> Option<LogPosition> {
        self.held.as_ref().map(|it| it.0.position)
    }

    /// The batch that is held, as an entry of a log.
    #[must_use]
    pub fn held_batch(&self) -> Option<Vec<u8>> {
        self.held.as_ref().map(|it| backup::batch(&it.1))
    }

    /// True where there is nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.partitions.is_none() && self.followed.is_none() && self.held.is_none()
    }

    /// Whether what is there is a whole journal, or nothing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.followed.is_none_or(|it| it.whole)
    }

    /// Keeps or drops the batch that was held.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn resolve(&mut self, keep: bool) -> Result<(), JournalError> {
        let Some((followed, changes)) = self.held.take() else { return Ok(()) };
        if keep {
            self.sled.base.memtable_mut().add(changes);
            self.followed = Some(followed);
            self.partitions = self.stored_partitions()?;
        } else {
            // What is written next would have the number of what is dropped.
            self.sled.found.usable = false;
        }
        self.go_on()
    }

    /// Begins to write: what only a journal that is led has goes first.
    fn go_on(&mut self) -> Result<(), JournalError> {
        self.sled.start_log(&self.directory)?;
        if self.followed.is_some() {
            let own = [keys::WITNESSED.to_vec(), index::meta()];
            let common = Space::Common;
            let gone = own.map(|key| Change { space: common, key, value: None });
            self.sled.write(gone.to_vec())?;
            let file = self.directory.join(witness::FILE);
            crate::file::remove(&file).map_err(|error| disk::error(&file, &error))?;
        }
        Ok(())
    }

    /// Applies batches, the last of which is the entry at `followed`.
    ///
    /// # Errors
    /// When a batch is malformed, or the directory cannot be written.
    pub fn apply(&mut self, batches: &[Vec<u8>], followed: Followed) -> Result<(), JournalError> {
        let mut changes = Vec::new();
        for batch in batches {
            let all = backup::parse_all(batch).ok_or_else(malformed)?;
            // Nobody who writes the log writes these.
            changes.extend(all.into_iter().filter(|it| !is_own(it.space, &it.key)));
        }
        let makes = changes.iter().any(|it| it.key == keys::PARTITIONS);
        changes.extend(followed.change());
        self.sled.write(changes)?;
        self.followed = Some(followed);
        if makes {
            self.partitions = self.stored_partitions()?;
        }
        Ok(())
    }

    /// Removes all that the directory has of a journal; what it is of stays known.
    ///
    /// # Errors
    /// When it cannot be removed; the next opening goes on with that.
    pub fn emptied(self) -> Result<Self, JournalError> {
        let Self { sled, directory, options, note, .. } = self;
        let mark = directory.join(REFILL);
        crate::file::replace(&mark, b"", 0o600).map_err(|error| disk::error(&mark, &error))?;
        drop(sled);
        Self::open(&directory, &note.cluster, &options)
    }

    /// Hands all records to `take`, as batches of some size.
    ///
    /// # Errors
    /// When they cannot be read, and what `take` returns.
    pub fn records(
        &self,
        take: &mut dyn FnMut(Vec<u8>) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let count = self.partitions.unwrap_or_default();
        let partitions = (0..count).map(|it| Space::Partition(PartitionId(it)));
        for space in std::iter::once(Space::Common).chain(partitions) {
            let mut from = Vec::new();
            loop {
                let (mut batch, mut last) = (Vec::new(), None);
                self.sled.scan(space, &from, &[0xff], Order::Up, &mut |key, value| {
                    if !is_own(space, key) {
                        backup::push(&mut batch, space, key, Some(value));
                    }
                    last = Some(key.to_vec());
                    Ok(match batch.len() >= limits::CLUSTER_SNAPSHOT_BYTES {
                        true => std::ops::ControlFlow::Break(()),
                        false => std::ops::ControlFlow::Continue(()),
                    })
                })?;
                if !batch.is_empty() {
                    take(batch)?;
                }
                let Some(last) = last else { break };
                from = keys::next(last);
            }
        }
        Ok(())
    }

    /// Makes the journal of it that commits to `log`.
    ///
    /// # Errors
    /// As [`SledJournal::open`].
    pub fn lead(self, log: Arc<dyn CommitLog>) -> Result<SledJournal, JournalError> {
        let began = Instant::now();
        let Self { sled, directory, options, .. } = self;
        let expected = Expected { position: None, missing: Missing::Refuse };
        let journal = in_time(&directory, options.deadline, move || {
            let journal = Store::replicated(sled, options.partitions, &expected, log)?;
            if journal.records() <= VERIFY_AT_OPEN_RECORDS {
                while !journal.verify_some(usize::MAX)? {}
            }
            Ok(journal)
        })?;
        open::witnessed(journal, &directory, began)
    }

    fn stored_partitions(&self) -> Result<Option<u16>, JournalError> {
        let Some(value) = self.sled.get(Space::Common, keys::PARTITIONS)? else { return Ok(None) };
        let opened = record::open(keys::PARTITIONS, &value)?;
        let number = <[u8; 8]>::try_from(&*opened.first).ok().map(u64::from_be_bytes);
        let number = number.and_then(|it| u16::try_from(it).ok());
        number.map(Some).ok_or_else(|| record::damaged(keys::PARTITIONS, "is no count"))
    }
}

fn malformed() -> JournalError {
    JournalError::LogDamaged("an entry of the cluster's log holds no changes".to_owned())
}

/// What says which cluster a directory is of, if of any.
fn note(directory: &Path) -> Result<Option<Note>, JournalError> {
    let path = directory.join(FILE);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| disk::error(&path, &error))?,
    };
    let note = serde_json::from_slice(&text);
    note.map(Some).map_err(|error| JournalError::Damaged(format!("{}: {error}", path.display())))
}

/// Whether a directory is of this cluster already.
fn belongs(directory: &Path, cluster: &str) -> Result<Option<Note>, JournalError> {
    let Some(note) = note(directory)? else { return Ok(None) };
    match note.cluster == cluster {
        true => Ok(Some(note)),
        false => Err(JournalError::LogMisfit(format!(
            "{} is of the cluster `{}`, not of `{cluster}`: give this coordinator another --data-dir",
            directory.display(),
            note.cluster
        ))),
    }
}

/// The cluster that a directory is of, if of any.
///
/// # Errors
/// When what says so cannot be read.
pub fn cluster_of(directory: &Path) -> Result<Option<String>, JournalError> {
    Ok(note(directory)?.map(|it| it.cluster))
}

/// Removes the journal's files; the note that says so last.
fn remove(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_folder = entry.file_type()?.is_dir();
        if name == "blobs" && is_folder {
            fs::remove_dir_all(entry.path())?;
        } else if [LOG, SETTINGS, wal::FILE, witness::FILE].contains(&&*name)
            || name.starts_with("snap.")
        {
            fs::remove_file(entry.path())?;
        }
    }
    fs::File::open(directory)?.sync_all()?;
    fs::remove_file(directory.join(REFILL))?;
    fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
#[path = "replica_tests.rs"]
#[allow(clippy::unwrap_used)]
mod tests;
