//! Whether the facts in a journal follow from one another, instance by instance, and as many are
//! open as it counts: for `windlass fsck`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use windlass_proto::id::{InstanceId, PartitionId};
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

/// Open instances by partition, namespace and name.
type OpenInstances = BTreeMap<(PartitionId, Arc<str>, Arc<str>), u64>;

/// One line for each instance with facts that cannot be where they are, and for each workflow of
/// which another number is open than is counted.
fn follow_all(journal: &dyn Journal, lines: &mut Vec<String>) -> Result<(), JournalError> {
    let (mut cursor, mut open) = (None, OpenInstances::new());
    loop {
        let page = journal.list(&Filter::default(), cursor, limits::REPLAY_PAGE)?;
        for (id, head) in page.items {
            if !head.status.is_final() {
                let workflow = head.workflow;
                let partition = id.partition(journal.partitions());
                *open.entry((partition, workflow.namespace, workflow.name)).or_default() += 1;
            }
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
            return compare(journal, &open, lines);
        }
    }
}

/// One line for each workflow of which another number is open than the journal counts.
fn compare(
    journal: &dyn Journal,
    open: &OpenInstances,
    lines: &mut Vec<String>,
) -> Result<(), JournalError> {
    let mut counted = OpenInstances::new();
    for partition in (0..journal.partitions()).map(PartitionId) {
        let Some(known) = journal.open_instances(partition)? else { return Ok(()) };
        counted.extend(known.into_iter().map(|it| ((partition, it.namespace, it.name), it.count)));
    }
    let workflows: BTreeSet<_> = open.keys().chain(counted.keys()).collect();
    for workflow in workflows {
        let of = |it: &OpenInstances| it.get(workflow).copied().unwrap_or_default();
        let (found, counted) = (of(open), of(&counted));
        if found != counted && lines.len() < limits::REPLAY_LINES {
            let (PartitionId(partition), namespace, name) = workflow;
            lines.push(format!(
                "partition {partition} has {found} open instances of {namespace}/{name} and counts \
                 {counted}"
            ));
        }
    }
    Ok(())
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
    use crate::journal::{Commit, InstanceWrite, Journal, OpenInstances};

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
    #[test]
    fn a_count_that_is_not_how_many_are_open_is_told_of() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { cache_bytes: 8 << 20, ..Options::default() };
        let journal = SledJournal::open(directory.path(), &options).unwrap();
        let of =
            |name: &str, count| OpenInstances { namespace: "n".into(), name: name.into(), count };
        let id = InstanceId(uuid::Uuid::from_u128(4));
        let commit = |open| {
            let partition = id.partition(journal.partitions());
            let writes = vec![written(id, vec![started()])];
            Commit { partition, writes, open, ..Commit::default() }
        };
        journal.commit(&[commit(vec![of("w", 2), of("gone", 1)])]).unwrap();
        drop(journal);
        let report = check_directory(directory.path()).unwrap();
        assert_eq!(
            report.misfits,
            [
                "partition 0 has 0 open instances of n/gone and counts 1",
                "partition 0 has 1 open instances of n/w and counts 2"
            ]
        );
    }
}
