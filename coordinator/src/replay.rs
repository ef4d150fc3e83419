//! Whether the facts in a journal follow from one another, instance by instance: for `windlass
//! fsck`.

use std::path::Path;

use windlass_proto::id::InstanceId;
use windlass_proto::limits;

use crate::engine::{Instance, decode};
use crate::journal::sled::check_directory_and;
use crate::journal::{CheckReport, Filter, Journal, JournalError};

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
    let mut cursor = None;
    loop {
        let page = journal.list(&Filter::default(), cursor, limits::REPLAY_PAGE)?;
        for (id, _) in page.items {
            // One that cannot be read is damage.
            let Ok(instance) = follow(journal, id) else { continue };
            let misfits = &instance.changes.misfits;
            if let Some(first) = misfits.first().first()
                && lines.len() < limits::REPLAY_LINES
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
    let mut instance = Instance::not_started(id);
    let mut next = 0;
    loop {
        let records = journal.facts(id, next, limits::FACT_RECORDS)?;
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
        if records.len() < limits::FACT_RECORDS {
            return Ok(instance);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use windlass_proto::id::{Digest, FrameId, InstanceId, WorkflowId};
    use windlass_proto::time::Timestamp;
    use windlass_proto::value::Value;

    use super::check_directory;
    use crate::engine::{Fact, Instance, Journaled, encode};
    use crate::journal::sled::{Options, SledJournal};
    use crate::journal::{Commit, InstanceWrite, Journal};

    fn started() -> Fact {
        Fact::Started {
            workflow: WorkflowId { namespace: "n".into(), name: "w".into(), version: "1".into() },
            digest: Digest::of("w"),
            input: Value::Null,
            parent: None,
            labels: Vec::new(),
            priority: 5,
            trace: None,
        }
    }

    fn written(id: InstanceId, facts: Vec<Fact>) -> InstanceWrite {
        let count = u32::try_from(facts.len()).unwrap();
        let mut entry = Vec::new();
        let mut state = Instance::not_started(id);
        facts.iter().for_each(|fact| state.evolve(Timestamp(1), fact));
        encode(&Journaled { at: Timestamp(1), facts }, &mut entry).unwrap();
        let head = Some(crate::view::head(&state));
        InstanceWrite {
            instance: id,
            sequence: 0,
            count,
            facts: entry.into(),
            head,
            hot: None,
            snapshot: None,
        }
    }

    #[test]
    fn an_instance_whose_facts_do_not_follow_is_told_of_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let [sound, odd] = [1, 2].map(|it| InstanceId(uuid::Uuid::from_u128(it)));
        {
            let options = Options { cache_bytes: 8 << 20, ..Options::default() };
            let journal = SledJournal::open(directory.path(), &options).unwrap();
            let partitions = journal.partitions();
            let never = Fact::Dispatched { frame: FrameId(9), delivery: 1 };
            let done = || Fact::Completed(Value::Null);
            for (id, facts) in [
                (sound, vec![started(), done()]),
                (odd, vec![started(), never.clone(), done(), never]),
            ] {
                let partition = id.partition(partitions);
                let writes = vec![written(id, facts)];
                journal.commit(&[Commit { partition, writes, ..Commit::default() }]).unwrap();
            }
        }
        let report = check_directory(directory.path()).unwrap();
        assert!(report.damage.is_empty(), "{:?}", report.damage);
        let [line] = report.misfits.as_slice() else { panic!("{:?}", report.misfits) };
        assert_eq!(
            *line,
            format!(
                "instance {odd}: 2 misfits, the first: the fact Dispatched for visit 9, which is \
                 Closed, where the instance is Active"
            )
        );
    }
}
