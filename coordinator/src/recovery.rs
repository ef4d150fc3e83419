//! What is left of a damaged data directory, in a new one that a coordinator can start on: for
//! `windlass fsck --repair`.
//!
//! The journal is salvaged, which leaves out what is not whole; its facts are followed, and what
//! does not add up is told; the files beside it go along. What workers hold may be ahead of what
//! was saved, so the new journal has a generation of its own, as a restored backup has.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Serialize;
use windlass_proto::wire::GENERATION_SHIFT;

use crate::backup::{self, BackupError};
use crate::clock;
use crate::file;
use crate::journal::sled::{self, SalvageReport, Unfinished};
use crate::replay;

/// What came of a repair.
#[derive(Clone, Debug, Serialize)]
pub struct RepairReport {
    /// What was saved of the journal, and what was not.
    #[serde(flatten)]
    pub salvaged: SalvageReport,
    /// One line for each instance that was saved and whose facts do not follow from one another.
    pub misfits: Vec<String>,
    /// Files that were put beside the journal.
    pub files: BTreeSet<String>,
    /// Files that could not be read.
    pub lost_files: BTreeSet<String>,
    /// The generation that the new journal has for its own.
    pub generation: u64,
}

impl RepairReport {
    /// True when nothing is known to be missing.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.salvaged.is_all() && self.misfits.is_empty() && self.lost_files.is_empty()
    }
}

/// The report, in the new directory.
pub const REPORT: &str = "repair.json";

/// Makes a data directory in `to`, which must not exist or be empty, of what can be read in
/// `directory`, which stays as it is; the report is in it. What fails halfway leaves `to` as it
/// was.
///
/// # Errors
/// When nothing can be read, or `to` cannot be written.
pub fn repair(directory: &Path, to: &Path) -> Result<RepairReport, BackupError> {
    let failed = |error| BackupError::Io { path: to.display().to_string(), error };
    let making = Unfinished::begin(to, ".repairing")?;
    let unfinished = making.path();
    let salvaged = sled::salvage(directory, unfinished)?;
    let epoch = sled::begin_generation(unfinished, clock::generation())?;
    let checked = replay::check_directory(unfinished)?;
    let mut report = RepairReport {
        salvaged,
        misfits: checked.misfits,
        files: BTreeSet::new(),
        lost_files: BTreeSet::new(),
        generation: epoch >> GENERATION_SHIFT,
    };
    for name in backup::kept_names(directory)? {
        // The disk may not give one: the others go along all the same.
        match fs::copy(directory.join(&name), unfinished.join(&name)) {
            Ok(_) => report.files.insert(name),
            Err(_) => {
                let _ = fs::remove_file(unfinished.join(&name));
                report.lost_files.insert(name)
            }
        };
    }
    let text = serde_json::to_vec_pretty(&report)
        .map_err(|error| BackupError::Unusable(error.to_string()))?;
    file::replace(&unfinished.join(REPORT), &text, 0o600).map_err(failed)?;
    for name in &report.files {
        let synced = fs::File::open(unfinished.join(name)).and_then(|it| it.sync_all());
        synced.map_err(failed)?;
    }
    making.finish()?;
    Ok(report)
}
