//! Whether backups are as they were written.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use windlass_proto::limits;

use super::BackupError;
use super::place::Backups;
use super::seal::ObjectId;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Backups that are as they were written.
    pub sound: Vec<String>,
    /// Of these, backups of a journal that had damaged records: a restored copy has them too, or is
    /// refused for what it lacks.
    pub of_damaged_journal: Vec<String>,
    /// Backups that cannot.
    pub damaged: Vec<String>,
    /// Objects that were read.
    pub objects: u64,
    /// One line for each manifest and object that is missing or is not as it was written; at most a
    /// thousand.
    pub damage: Vec<String>,
}

/// Reads all that the backups need, or the one that is named.
///
/// # Errors
/// When there is no such backup, or the place cannot be read at all; damage is in the report.
pub fn verify(backups: &Backups, named: Option<&str>) -> Result<VerifyReport, BackupError> {
    let names = match named {
        Some(named) => vec![backups.chosen(Some(named))?],
        None => backups.place.names()?,
    };
    let mut report = VerifyReport::default();
    backups.place.notes().iter().for_each(|it| note(&mut report, it.clone()));
    let mut needed: BTreeMap<ObjectId, Vec<usize>> = BTreeMap::new();
    let mut broken = BTreeSet::new();
    for (number, name) in names.iter().enumerate() {
        match backups.manifest(name) {
            Ok(manifest) => {
                if manifest.totals.damaged > 0 {
                    report.of_damaged_journal.push(name.clone());
                }
                for id in manifest.objects() {
                    needed.entry(id).or_default().push(number);
                }
            }
            Err(error) => {
                note(&mut report, told(error));
                broken.insert(number);
            }
        }
    }
    for (id, by) in needed {
        report.objects += 1;
        if let Err(error) = backups.object(&id) {
            let of: Vec<_> = by.iter().filter_map(|it| names.get(*it)).map(|it| &**it).collect();
            note(&mut report, format!("{}, and is needed by {}", told(error), of.join(", ")));
            broken.extend(by);
        }
    }
    for (number, name) in names.into_iter().enumerate() {
        match broken.contains(&number) {
            true => report.damaged.push(name),
            false => report.sound.push(name),
        }
    }
    Ok(report)
}

fn note(report: &mut VerifyReport, line: String) {
    if report.damage.len() < limits::CHECK_LINES {
        report.damage.push(line);
    }
}

/// What is wrong, without what to do about it.
fn told(error: BackupError) -> String {
    match error {
        BackupError::Damaged(what) => what,
        other => other.to_string(),
    }
}
