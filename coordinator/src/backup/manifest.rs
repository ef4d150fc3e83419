//! What a backup consists of.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use windlass_proto::time::Timestamp;

use super::seal::ObjectId;
use super::{About, FileHead, Totals};

/// A manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The format of what it names.
    pub(super) format: u8,
    /// What it is of.
    pub(super) about: About,
    /// What was read in all.
    pub(super) totals: Totals,
    /// When it was done.
    pub(super) done_at: Timestamp,
    /// The pieces of the journal, in order.
    pub(super) journal: Vec<ObjectId>,
    /// The files beside it.
    pub(super) files: Vec<StoredFile>,
    /// Bytes of all that, before it is packed.
    pub(super) bytes: u64,
    /// Bytes that this backup has added to the place, sealed.
    pub(super) added_bytes: u64,
    /// Objects that this backup has added to the place.
    pub(super) added_objects: u64,
    /// Objects that were there, and were not as they were written: written again.
    pub(super) mended_objects: u64,
}

/// A file in a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredFile {
    /// What it is.
    #[serde(flatten)]
    pub(super) head: FileHead,
    /// Its content, in order.
    pub(super) objects: Vec<ObjectId>,
}

impl Manifest {
    /// Everything it names.
    pub(super) fn objects(&self) -> BTreeSet<ObjectId> {
        let files = self.files.iter().flat_map(|it| &it.objects);
        self.journal.iter().chain(files).copied().collect()
    }

    /// The same for people.
    pub(super) fn summary(&self, name: &str) -> BackupSummary {
        BackupSummary {
            backup: name.to_owned(),
            at: self.about.at.to_rfc3339(),
            version: self.about.version.clone(),
            records: self.totals.changes,
            damaged_records: self.totals.damaged,
            files: self.files.iter().map(|it| it.head.name.clone()).collect(),
            objects: self.objects().len() as u64,
            bytes: self.bytes,
            added_objects: self.added_objects,
            added_bytes: self.added_bytes,
            mended_objects: self.mended_objects,
            duration_ms: self.done_at.since(self.about.at),
        }
    }
}

/// A backup, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupSummary {
    /// Its name in its place.
    pub backup: String,
    /// When it was begun.
    pub at: String,
    /// The version that took it.
    pub version: String,
    /// Records of the journal in it, and changes made while it was taken.
    pub records: u64,
    /// Of these, records that fail their checksum, as they did in the journal.
    pub damaged_records: u64,
    /// Files in it.
    pub files: Vec<String>,
    /// Objects that it needs.
    pub objects: u64,
    /// Bytes of all that is in it, before it is packed.
    pub bytes: u64,
    /// Objects that it has added to its place: the others were there.
    pub added_objects: u64,
    /// Bytes that it has added to its place.
    pub added_bytes: u64,
    /// Objects that were there and damaged, and were written again.
    pub mended_objects: u64,
    /// Milliseconds that it took.
    pub duration_ms: u64,
}
