//! What is there after closing, crashing and opening again.

use std::fs;

use super::super::memory::{CrashPoint, MemoryJournal};
use super::super::sled::{Options, SledJournal};
use super::super::{Journal, JournalError};
use super::{commit, head, id, open, small, start, stored, write};
use crate::journal::Status;

#[test]
fn a_closed_journal_opens_with_everything_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("made/on/demand");
    let ids: Vec<_> = (0..50).map(|number| id(number, (number % 3) as u16)).collect();
    let mut epoch = 0;
    for round in 0..4_u64 {
        let options = Options { partitions: if round == 0 { 4 } else { 9 }, ..small() };
        let journal = SledJournal::open(&path, &options).unwrap();
        assert_eq!(journal.partitions(), 4, "the count of partitions is fixed");
        for instance in &ids {
            let write =
                if round == 0 { start(*instance, 1) } else { write(*instance, round, b"more") };
            journal.commit(&[commit(vec![write])]).unwrap();
        }
        let next = journal.next_epoch().unwrap();
        assert!(next > epoch);
        epoch = next;
        for instance in &ids {
            let loaded = journal.load(*instance).unwrap().unwrap();
            assert_eq!(loaded.facts.len() as u64, round + 1);
        }
    }
    let journal = open(&path);
    assert_eq!(journal.head(ids[7]).unwrap(), Some(head("w", Status::Running, 1)));
    assert_eq!(journal.check().unwrap().damage, Vec::<String>::new());
}

#[test]
fn no_value_is_stored_outside_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let instance = id(1, 0);
    journal.commit(&[commit(vec![start(instance, 1)])]).unwrap();
    for sequence in 1..40_u64 {
        let size = if sequence == 20 { 3 << 20 } else { 6_100 };
        let facts = vec![sequence as u8; size];
        journal.commit(&[commit(vec![write(instance, sequence, &facts)])]).unwrap();
    }
    let blobs = fs::read_dir(directory.path().join("blobs")).unwrap().count();
    assert_eq!(blobs, 0, "such files are never synced");
}

#[test]
fn an_unfinished_snapshot_does_not_keep_the_journal_closed() {
    let directory = tempfile::tempdir().unwrap();
    let instance = id(1, 0);
    open(directory.path()).commit(&[commit(vec![start(instance, 1)])]).unwrap();
    let leftover = directory.path().join("snap.0000000000000001.generating");
    fs::write(&leftover, b"half of a snapshot").unwrap();
    let journal = open(directory.path());
    assert!(!leftover.exists());
    assert_eq!(journal.load(instance).unwrap().unwrap().facts, [stored(0, b"started")]);
}

#[test]
fn a_journal_is_open_once() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let second = SledJournal::open(directory.path(), &small());
    assert!(matches!(second, Err(JournalError::Locked(_))), "{:?}", second.err());
    drop(journal);
    open(directory.path());
}

#[test]
fn a_journal_that_is_not_one_says_how_to_go_on() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("conf"), b"not a configuration").unwrap();
    fs::write(directory.path().join("db"), b"").unwrap();
    let error = SledJournal::open(directory.path(), &small()).err().unwrap();
    assert!(matches!(error, JournalError::Unopenable { .. }), "{error:?}");
    assert!(error.to_string().contains("restore"), "{error}");
}

#[test]
fn crash_points_keep_what_they_say() {
    let (a, b) = (id(1, 0), id(2, 1));
    let group = || [commit(vec![start(a, 1)]), commit(vec![start(b, 1)])];
    for (point, kept) in [
        (CrashPoint::BeforeWrite, 0),
        (CrashPoint::AfterWrite { kept: false }, 0),
        (CrashPoint::AfterWrite { kept: true }, 2),
        (CrashPoint::AfterSync, 2),
    ] {
        let journal = MemoryJournal::in_memory(4).unwrap();
        let other = id(3, 2);
        journal.crash_at(1, point);
        journal.commit(&[commit(vec![start(other, 1)])]).unwrap();
        assert!(!journal.has_crashed());
        assert!(journal.commit(&group()).is_err());
        assert!(journal.has_crashed());
        assert!(journal.commit(&group()).is_err(), "after a crash nothing is written");
        let after = MemoryJournal::reopen(journal.durable(), 9).unwrap();
        assert_eq!(after.partitions(), 4);
        let found = [a, b].iter().filter(|it| after.load(**it).unwrap().is_some()).count();
        assert_eq!(found, kept, "{point:?}");
        assert!(after.load(other).unwrap().is_some());
        assert_eq!(after.check().unwrap().damage, Vec::<String>::new());
    }
}

#[test]
fn a_silent_instance_outlives_the_turn_of_the_ring() {
    let journal = MemoryJournal::in_memory(4).unwrap();
    let (silent, busy, later) = (id(1, 0), id(2, 1), id(3, 2));
    journal.commit(&[commit(vec![start(silent, 1)])]).unwrap();
    journal.commit(&[commit(vec![start(busy, 1)]), commit(vec![start(later, 1)])]).unwrap();
    for sequence in 1..2_200_u64 {
        journal.commit(&[commit(vec![write(busy, sequence, b"busy")])]).unwrap();
        // Around the moment at which the first slots are written over.
        if (2_040..2_060).contains(&journal.slots_written()) {
            let after = MemoryJournal::reopen(journal.durable(), 4).unwrap();
            for instance in [silent, later] {
                let loaded = after.load(instance).unwrap().unwrap();
                assert_eq!(loaded.facts, [stored(0, b"started")]);
                assert_eq!(after.hot(instance.partition(4), None, 9).unwrap(), [instance]);
            }
            assert_eq!(after.facts(busy, 0, 9_999).unwrap().len() as u64, sequence + 1);
        }
    }
    assert!(journal.slots_written() > 2_100);
    assert_eq!(journal.check().unwrap().damage, Vec::<String>::new());
}
