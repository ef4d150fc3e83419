//! Damage is found, named, and never believed.

use windlass_proto::id::{Digest, FrameId, InstanceId, PartitionId};
use windlass_proto::time::Timestamp;

use super::super::memory::MemoryJournal;
use super::super::ordered::Ordered;
use super::super::sled::{SledJournal, check_directory};
use super::super::space::{Change, Space};
use super::super::store::Store;
use super::super::{Commit, InstanceWrite, Journal, JournalError, TimerKey, keys};
use super::{commit, head, id, open, start, write};
use crate::journal::{Status, StoredDefinition};

const SPACE: Space = Space::Partition(PartitionId(1));

fn memory() -> MemoryJournal {
    MemoryJournal::in_memory(4).unwrap()
}

fn plant<O: Ordered>(journal: &Store<O>, space: Space, key: Vec<u8>, value: Option<Vec<u8>>) {
    journal.ordered.write(vec![Change { space, key, value }]).unwrap();
}

/// Flips a byte in the middle of a stored value.
fn flip<O: Ordered>(journal: &Store<O>, space: Space, key: &[u8]) {
    let mut value = journal.ordered.get(space, key).unwrap().unwrap();
    let middle = value.len() / 2;
    value[middle] ^= 0x10;
    plant(journal, space, key.to_vec(), Some(value));
}

/// Takes the head of an instance away, past all that keeps count.
pub(super) fn take_away<O: Ordered>(journal: &Store<O>, instance: InstanceId) {
    let space = Space::Partition(instance.partition(4));
    plant(journal, space, keys::of_instance(keys::HEAD, instance), None);
}

fn damaged<T>(result: Result<T, JournalError>) -> bool {
    matches!(result, Err(JournalError::Damaged(_)))
}

fn damage(journal: &dyn Journal) -> String {
    let report = journal.check().unwrap();
    assert_eq!(report.damage.len(), 1, "{:?}", report.damage);
    report.damage[0].clone()
}

#[test]
fn a_flipped_byte_on_disk_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let instance = id(1, 1);
    {
        let journal = open(directory.path());
        journal.commit(&[commit(vec![start(instance, 1)])]).unwrap();
        let facts = vec![7; 50_000];
        journal.commit(&[commit(vec![write(instance, 1, &facts)])]).unwrap();
        assert_eq!(journal.facts(instance, 0, 9).unwrap().len(), 2);
        flip(&journal, SPACE, &keys::part(&keys::facts(instance, 0), 3));
        assert!(damaged(journal.load(instance)));
        assert!(damaged(journal.facts(instance, 0, 9)));
        assert!(journal.head(instance).unwrap().is_some(), "what is whole stays readable");
    }
    let report = check_directory(directory.path()).unwrap();
    assert!(report.damage.iter().any(|line| line.contains("checksum")), "{:?}", report.damage);
    assert_eq!(report.instances, 1);
}

#[test]
fn checking_a_directory_without_a_journal_makes_none() {
    let directory = tempfile::tempdir().unwrap();
    let error = check_directory(directory.path()).unwrap_err();
    assert!(matches!(error, JournalError::NoJournal(_)), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_record_of_a_newer_format_stops_with_its_number() {
    let journal = memory();
    let instance = id(1, 1);
    journal.commit(&[commit(vec![start(instance, 1)])]).unwrap();
    let key = keys::of_instance(keys::HEAD, instance);
    let mut value = journal.ordered.get(SPACE, &key).unwrap().unwrap();
    value[0] = 9;
    plant(&journal, SPACE, key, Some(value));
    let error = journal.head(instance).unwrap_err();
    assert!(matches!(error, JournalError::UnknownFormat { found: 9, .. }), "{error}");
    assert!(error.to_string().contains("newer windlass"), "{error}");
}

#[test]
fn a_damaged_slot_of_the_ring_keeps_the_journal_closed() {
    let journal = memory();
    journal.commit(&[commit(vec![start(id(1, 1), 1)])]).unwrap();
    flip(&journal, Space::Common, &keys::slot(0));
    assert!(damage(&journal).contains("checksum"));
    assert!(damaged(MemoryJournal::reopen(journal.durable(), 4).map(|_| ())));
}

#[test]
fn a_missing_slot_of_the_ring_is_noticed() {
    let journal = memory();
    let instance = id(1, 1);
    for sequence in 0..3 {
        journal.commit(&[commit(vec![write(instance, sequence, b"fact")])]).unwrap();
    }
    plant(&journal, Space::Common, keys::slot(1), None);
    assert!(damaged(MemoryJournal::reopen(journal.durable(), 4).map(|_| ())));
}

#[test]
fn gaps_between_facts_are_found() {
    let journal = memory();
    let instance = id(1, 1);
    journal.commit(&[commit(vec![start(instance, 1)])]).unwrap();
    journal.commit(&[commit(vec![write(instance, 1, &[1; 10_000])])]).unwrap();
    journal.commit(&[commit(vec![write(instance, 2, &[2; 10_000])])]).unwrap();
    assert_eq!(journal.check().unwrap().damage, Vec::<String>::new());
    let key = keys::facts(instance, 0);
    for number in 0..2 {
        plant(&journal, SPACE, keys::part(&key, number), None);
    }
    plant(&journal, SPACE, key, None);
    assert!(damage(&journal).contains("where 0 was due"));
}

#[test]
fn what_belongs_to_nobody_is_found() {
    let instance = id(1, 1);
    let timer = TimerKey { due: Timestamp(1), instance, timer: 1 };
    for (what, orphan) in [
        ("a timer", Commit { timers_set: vec![timer], ..Commit::default() }),
        (
            "a subscription",
            Commit {
                subscribed: vec![(instance, FrameId(1), b"s"[..].into())],
                ..Commit::default()
            },
        ),
        ("facts", commit(vec![write(instance, 0, &[1; 5_000])])),
        (
            "a mark as hot",
            commit(vec![InstanceWrite { hot: Some(true), count: 0, ..write(instance, 0, b"") }]),
        ),
    ] {
        let journal = memory();
        journal.commit(&[Commit { partition: PartitionId(1), ..orphan }]).unwrap();
        let line = damage(&journal);
        assert!(line.contains(what) && line.contains("does not exist"), "{line}");
    }
}

#[test]
fn parts_and_definitions_must_fit_together() {
    let journal = memory();
    let instance = id(1, 1);
    journal.commit(&[commit(vec![start(instance, 1)])]).unwrap();
    let stray = keys::part(&keys::facts(instance, 5), 0);
    let part = keys::part(&keys::facts(instance, 0), 0);
    journal.commit(&[commit(vec![write(instance, 1, &[1; 10_000])])]).unwrap();
    let value = journal.ordered.get(SPACE, &part).unwrap();
    plant(&journal, SPACE, stray.clone(), value);
    assert!(damage(&journal).contains("checksum"), "a part under another key is not believed");
    plant(&journal, SPACE, stray, None);
    let definition = StoredDefinition {
        id: head("a", Status::Running, 1).workflow,
        digest: Digest::of("text"),
        text: "text".into(),
        deployed_at: Timestamp(1),
        retired_at: None,
    };
    journal.put_definition(&definition).unwrap();
    assert_eq!(journal.check().unwrap().damage, Vec::<String>::new());
    plant(&journal, Space::Common, keys::definition(&definition.digest), None);
    assert!(damage(&journal).contains("definition that is missing"));
    assert!(damaged(journal.definitions()));
}

#[test]
fn after_a_failed_write_nothing_more_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let journal: SledJournal = open(directory.path());
    let instance = id(1, 1);
    journal.commit(&[commit(vec![start(instance, 1)])]).unwrap();
    let refused = journal.commit(&[commit(vec![write(instance, 1, b"")])]);
    assert!(refused.is_err(), "facts without a count");
    journal.commit(&[commit(vec![write(instance, 1, b"more")])]).unwrap();
    assert_eq!(journal.load(instance).unwrap().unwrap().facts.len(), 2);
}
