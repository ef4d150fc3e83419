//! Whether the facts in a journal follow from one another, instance by instance: for `windlass fsck`.

use std::path::Path;

use windlass_proto::id::InstanceId;

use crate::engine::{Instance, decode};
use crate::journal::sled::check_directory_and;
use crate::journal::{CheckReport, Filter, Journal, JournalError};

/// Lines that a report has at most.
const LINES: usize = 1_000;

/// Checks the journal in `directory` record by record, then applies the facts of each instance from
/// the first one on; [`CheckReport::misfits`] has what they do not allow.
///
/// # Errors
/// As for [`crate::journal::sled::check_directory`].
pub fn check_directory(directory: &Path) -> Result<CheckReport, JournalError> {
    check_directory_and(directory, |journal, report| {
        // What cannot be read is damage, which the report has already.
        if let Err(error) = follow_all(journal, &mut report.misfits)
            && report.damage.is_empty()
        {
            report.damage.push(error.to_string());
        }
    })
}

/// One line for each instance with facts that cannot be where they are.
fn follow_all(journal: &dyn Journal, lines: &mut Vec<String>) -> Result<(), JournalError> {
    /// Instances listed at once.
    const PAGE: usize = 256;
    let mut cursor = None;
    loop {
        let page = journal.list(&Filter::default(), cursor, PAGE)?;
        for (id, _) in page.items {
            // One that cannot be read is damage.
            let Ok(instance) = follow(journal, id) else { continue };
            let misfits = &instance.changes.misfits;
            if let Some(first) = misfits.first().first()
                && lines.len() < LINES
            {
                lines.push(format!(
                    "instance {id}: {} misfits, the first: {first}",
                    misfits.count()
                ));
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// The state that all facts of an instance add up to, snapshots left aside.
fn follow(journal: &dyn Journal, id: InstanceId) -> Result<Instance, JournalError> {
    /// Records read at once: each may hold one of the largest payloads.
    const RECORDS: usize = 8;
    let mut instance = Instance::unborn(id);
    let mut next = 0;
    loop {
        let records = journal.facts(id, next, RECORDS)?;
        for stored in &records {
            next = stored.sequence + u64::from(stored.count);
            let turns = decode(&stored.facts)
                .map_err(|error| JournalError::Damaged(format!("instance {id}: {error}")))?;
            for turn in turns {
                turn.facts.iter().for_each(|fact| instance.evolve(turn.at, fact));
            }
            let misfits = std::mem::take(&mut instance.changes.misfits);
            instance.changes = Default::default();
            instance.changes.misfits = misfits;
        }
        if records.len() < RECORDS {
            return Ok(instance);
        }
    }
}
