//! How many instances are open.

use std::fs;

use windlass_proto::id::PartitionId;

use super::super::sled::{SledJournal, salvage};
use super::super::space::{Change, Space};
use super::super::{Commit, Journal, OpenInstances, Status, keys};
use super::{InstanceWrite, commit, each, head, id, open, start, write};

fn counted(name: &str, count: u64) -> OpenInstances {
    OpenInstances { namespace: "test".into(), name: name.into(), count }
}

fn of(journal: &dyn Journal, partition: u16) -> Vec<OpenInstances> {
    journal.open_instances(PartitionId(partition)).unwrap().unwrap()
}

#[test]
fn the_latest_count_stays_until_none_is_open() {
    each(|journal| {
        let says = |open: Vec<OpenInstances>| Commit { open, ..commit(vec![start(id(1, 0), 1)]) };
        journal.commit(&[says(vec![counted("w", 3), counted("v", 200)])]).unwrap();
        let later = Commit { open: vec![counted("w", 5)], ..Commit::default() };
        let latest = Commit { open: vec![counted("w", u64::MAX)], ..Commit::default() };
        journal.commit(&[later, latest]).unwrap();
        assert_eq!(of(journal, 0), [counted("v", 200), counted("w", u64::MAX)]);
        assert_eq!(of(journal, 1), []);
        let none = Commit { open: vec![counted("v", 0)], ..Commit::default() };
        journal.commit(&[none]).unwrap();
        assert_eq!(of(journal, 0), [counted("w", u64::MAX)]);
    });
}

/// As an earlier version has left it: instances, and nobody counted them.
fn uncounted(directory: &std::path::Path) {
    let journal = open(directory);
    let named = |time, name, status| InstanceWrite {
        head: Some(head(name, status, time)),
        ..write(id(time, (time % 4) as u16), 0, b"started")
    };
    let mut large = named(9, "w", Status::Waiting);
    // What stands before the status does not fit into the first part.
    if let Some(head) = &mut large.head {
        head.labels = vec![("long".into(), "x".repeat(1 << 20).into())];
    }
    for it in [
        named(1, "w", Status::Running),
        named(5, "w", Status::Waiting),
        named(13, "v", Status::Suspended),
        named(17, "w", Status::Completed),
        named(2, "w", Status::Faulted),
        large,
    ] {
        journal.commit(&[commit(vec![it])]).unwrap();
    }
    let key = keys::COUNTED.to_vec();
    journal.write(vec![Change { space: Space::Common, key, value: None }]).unwrap();
    assert_eq!(journal.open_instances(PartitionId(1)).unwrap(), None);
}

fn expect_counted(journal: &SledJournal) {
    assert_eq!(of(journal, 1), [counted("v", 1), counted("w", 3)]);
    assert_eq!(of(journal, 2), []);
    assert_eq!(journal.check().unwrap().damage, [] as [String; 0]);
}

#[test]
fn a_journal_of_an_earlier_version_is_counted_when_it_opens() {
    let folder = tempfile::tempdir().unwrap();
    uncounted(folder.path());
    expect_counted(&open(folder.path()));
    expect_counted(&open(folder.path()));
}

#[test]
fn what_is_saved_is_counted_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    fs::create_dir(&from).unwrap();
    uncounted(&from);
    // Of a workflow of which nothing is left.
    let gone = Commit { open: vec![counted("gone", 7)], ..Commit::default() };
    open(&from).commit(&[gone]).unwrap();
    assert!(salvage(&from, &to).unwrap().is_all());
    let journal = open(&to);
    expect_counted(&journal);
    assert_eq!(of(&journal, 0), []);
}
