//! Backups, restored, and journals of earlier versions.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use windlass_proto::id::{Digest, FrameId, InstanceId, PartitionId};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::super::sled::{SledJournal, assemble, restore};
use super::super::{
    Commit, Head, InstanceWrite, Journal, JournalError, Status, StoredDefinition, StoredFacts,
    TimerKey,
};
use super::{commit, head, id, memory, open, start, stored, write};

/// A journal with something of every kind in it. Journals recorded by earlier versions hold just
/// this: it must never change.
fn fill(journal: &dyn Journal) {
    let [ended, waiting, long, hot] = golden_ids();
    let definition = StoredDefinition {
        id: head("golden", Status::Running, 1).workflow,
        digest: Digest::of("golden"),
        text: "golden".into(),
        deployed_at: Timestamp(1),
        retired_at: None,
    };
    journal.put_definition(&definition).unwrap();
    journal.next_epoch().unwrap();
    let starts = |instance| commit(vec![start(instance, 1_000)]);
    journal.commit(&[starts(ended), starts(waiting), starts(long), starts(hot)]).unwrap();
    let end = InstanceWrite {
        head: Some(golden_head()),
        hot: Some(false),
        count: 3,
        ..write(ended, 1, b"ended")
    };
    let timer = Commit {
        timers_set: vec![TimerKey { due: Timestamp(5_000), instance: waiting, timer: 7 }],
        subscribed: vec![(waiting, FrameId(2), b"filter"[..].into())],
        seen: vec![(b"source/event"[..].into(), Timestamp(9_000))],
        ..commit(vec![InstanceWrite { hot: Some(false), ..write(waiting, 1, b"waits") }])
    };
    journal.commit(&[commit(vec![end]), timer]).unwrap();
    let large = InstanceWrite { snapshot: Some(vec![3; 9_000]), ..write(long, 1, &[9; 20_000]) };
    journal.commit(&[commit(vec![large])]).unwrap();
    journal.commit(&[commit(vec![write(long, 2, b"after the snapshot")])]).unwrap();
}

fn golden_ids() -> [InstanceId; 4] {
    [id(10, 0), id(20, 1), id(30, 2), id(40, 3)]
}

fn golden_head() -> Head {
    Head {
        output: Some(Value::object([("answer", Value::Int(42))])),
        ..head("w", Status::Completed, 1_000)
    }
}

/// All of what [`fill`] wrote is there.
fn expect_filled(journal: &dyn Journal) {
    let [ended, waiting, long, hot] = golden_ids();
    assert_eq!(journal.partitions(), 4);
    assert_eq!(journal.definitions().unwrap()[0].text, "golden".into());
    assert_eq!(journal.head(ended).unwrap(), Some(golden_head()));
    let facts = [stored(0, b"started"), StoredFacts { count: 3, ..stored(1, b"ended") }];
    assert_eq!(journal.facts(ended, 0, 9).unwrap(), facts);
    assert_eq!(journal.facts(waiting, 1, 9).unwrap(), [stored(1, b"waits")]);
    assert_eq!(journal.head(waiting).unwrap(), Some(head("w", Status::Running, 1_000)));
    let timer = TimerKey { due: Timestamp(5_000), instance: waiting, timer: 7 };
    assert_eq!(journal.timers(PartitionId(1), None, Timestamp(5_001), 9).unwrap(), [timer]);
    let subscription = (waiting, FrameId(2), b"filter"[..].into());
    assert_eq!(journal.subscriptions(PartitionId(1), None, 9).unwrap(), [subscription]);
    assert!(journal.has_seen(PartitionId(1), b"source/event").unwrap());
    assert_eq!(journal.hot(PartitionId(1), None, 9).unwrap(), []);
    assert_eq!(journal.hot(PartitionId(3), None, 9).unwrap(), [hot]);
    let loaded = journal.load(long).unwrap().unwrap();
    assert_eq!(loaded.snapshot, Some((2, vec![3; 9_000])));
    assert_eq!(loaded.facts, [stored(2, b"after the snapshot")]);
    assert_eq!(journal.facts(long, 1, 1).unwrap(), [stored(1, &[9; 20_000])]);
    assert_eq!(journal.check().unwrap().damage, Vec::<String>::new());
    assert_eq!(journal.next_epoch().unwrap(), 2);
}

fn backup(journal: &dyn Journal) -> Vec<u8> {
    let mut bytes = Vec::new();
    let report = journal.backup(&mut bytes).unwrap();
    assert_eq!(report.damaged, 0);
    bytes
}

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data").join(name)
}

#[test]
fn a_journal_recorded_by_format_1_opens() {
    let directory = tempfile::tempdir().unwrap();
    for file in ["db", "conf"] {
        let path = recorded("journal-1").join(file);
        fs::copy(path, directory.path().join(file)).unwrap();
    }
    let journal = open(directory.path());
    expect_filled(&journal);
    let instance = golden_ids()[1];
    journal.commit(&[commit(vec![write(instance, 2, b"goes on")])]).unwrap();
    drop(journal);
    assert_eq!(open(directory.path()).facts(instance, 0, 9).unwrap().len(), 3);
}

#[test]
fn a_backup_recorded_by_format_1_restores() {
    let directory = tempfile::tempdir().unwrap();
    let mut bytes = fs::File::open(recorded("journal-1.backup")).unwrap();
    restore(directory.path(), &mut bytes).unwrap();
    expect_filled(&open(directory.path()));
}

#[test]
fn what_is_backed_up_comes_back() {
    for made in [memory(), super::sled()] {
        fill(&*made.journal);
        let bytes = backup(&*made.journal);
        expect_filled(&*made.journal);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("restored");
        assert!(restore(&path, &mut bytes.as_slice()).unwrap() > 0);
        expect_filled(&open(&path));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left");
    }
}

#[test]
fn a_backup_taken_while_commits_go_on_is_whole() {
    let made = super::sled();
    let journal = &*made.journal;
    let ids: Vec<_> = (0..40_u64).map(|number| id(number, (number % 4) as u16)).collect();
    for instance in &ids {
        journal.commit(&[commit(vec![start(*instance, 1)])]).unwrap();
    }
    let round = AtomicU64::new(1);
    let write_round = || {
        let sequence = round.load(Ordering::Acquire);
        for instance in &ids {
            let size = if sequence.is_multiple_of(5) { 5_000 } else { 50 };
            let mut write = write(*instance, sequence, &vec![1; size]);
            if sequence.is_multiple_of(7) {
                write.head = Some(head("w", Status::Completed, 1));
            }
            journal.commit(&[commit(vec![write])]).unwrap();
        }
        round.store(sequence + 1, Ordering::Release);
    };
    for _ in 0..10 {
        write_round();
    }
    let before = round.load(Ordering::Acquire);
    let bytes = thread::scope(|scope| {
        let taking = scope.spawn(|| backup(journal));
        while !taking.is_finished() {
            write_round();
        }
        taking.join().unwrap()
    });
    let after = round.load(Ordering::Acquire);
    let directory = tempfile::tempdir().unwrap();
    restore(directory.path(), &mut bytes.as_slice()).unwrap();
    let restored = open(directory.path());
    assert_eq!(restored.check().unwrap().damage, Vec::<String>::new());
    for instance in ids {
        let facts = restored.facts(instance, 0, usize::MAX).unwrap();
        let count = facts.len() as u64;
        assert!((before..=after).contains(&count), "{before} <= {count} <= {after}");
        assert_eq!(facts, journal.facts(instance, 0, facts.len()).unwrap());
    }
}

#[test]
fn a_journal_that_needs_a_newer_version_is_refused_by_name_and_others_have_no_mark() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    fill(&journal);
    assert!(!journal.is_marked(), "the release before reads all of it");
    journal.need_version(1).unwrap();
    assert!(!journal.is_marked());
    journal.need_version(2).unwrap();
    assert!(journal.is_marked());
    assert_eq!(journal.check().unwrap().damage, Vec::<String>::new());
    drop(journal);
    let error = SledJournal::open(directory.path(), &super::small()).err().unwrap();
    let named = JournalError::UnknownFormat { found: 2, known: 1 };
    assert_eq!(error.to_string(), named.to_string());
}

fn pieces(journal: &dyn Journal) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let report = journal.pieces(&mut |piece| {
        all.push(piece);
        Ok(())
    });
    assert_eq!(report.unwrap().damaged, 0);
    all
}

/// A journal of pieces, and the last term before its own first one.
fn assembled(pieces: Vec<Vec<u8>>, generation: u32) -> (tempfile::TempDir, u64) {
    let directory = tempfile::tempdir().unwrap();
    let mut pieces = pieces.into_iter();
    let mut next = || Ok(pieces.next());
    let mut beside = |_: &Path, _| Ok(());
    let made = assemble(directory.path(), generation, &mut next, &mut beside).unwrap();
    (directory, made.epoch)
}

#[test]
fn what_is_cut_into_pieces_comes_back_in_a_generation_of_its_own() {
    for made in [memory(), super::sled()] {
        fill(&*made.journal);
        let (directory, epoch) = assembled(pieces(&*made.journal), 7);
        assert_eq!(epoch, 7 << 32);
        let journal = open(directory.path());
        assert_eq!(journal.next_epoch().unwrap(), (7 << 32) + 1);
        let again = pieces(&journal);
        drop(journal);
        // Later than the one before, whatever the clock says.
        let (_directory, epoch) = assembled(again, 3);
        assert_eq!(epoch, 8 << 32);
    }
}

#[test]
fn what_has_not_changed_is_cut_into_the_same_pieces() {
    let made = super::sled();
    let journal = &*made.journal;
    let started = |number: u64| {
        let instance = id(number, (number % 4) as u16);
        commit(vec![start(instance, 1)])
    };
    journal.commit(&(0..12_000).map(started).collect::<Vec<_>>()).unwrap();
    let first: BTreeSet<_> = pieces(journal).into_iter().collect();
    journal.commit(&[started(20_000)]).unwrap();
    let second = pieces(journal);
    let new = second.iter().filter(|it| !first.contains(*it)).count();
    assert!(second.len() > 8 && new * 2 < second.len(), "{new} of {}", second.len());
}

#[test]
fn pieces_taken_while_commits_go_on_are_whole() {
    let made = super::sled();
    let journal = &*made.journal;
    let ids: Vec<_> = (0..600_u64).map(|number| id(number, (number % 4) as u16)).collect();
    for instance in &ids {
        journal.commit(&[commit(vec![start(*instance, 1)])]).unwrap();
    }
    let mut sequence = 1;
    // Each piece is taken with a round of commits in between, to what was read and what was not.
    let mut all = Vec::new();
    let mut write_round = || {
        for instance in &ids {
            let mut write = write(*instance, sequence, &[1; 60]);
            if sequence % 3 == 0 {
                write.head = Some(head("w", Status::Completed, 1));
            }
            journal.commit(&[commit(vec![write])]).unwrap();
        }
        sequence += 1;
    };
    journal
        .pieces(&mut |piece| {
            all.push(piece);
            write_round();
            Ok(())
        })
        .unwrap();
    let (directory, _) = assembled(all, 1);
    let restored = open(directory.path());
    assert_eq!(restored.check().unwrap().damage, Vec::<String>::new());
    for instance in ids {
        let facts = restored.facts(instance, 0, usize::MAX).unwrap();
        assert_eq!(facts, journal.facts(instance, 0, facts.len()).unwrap());
        assert!(facts.len() > 1);
    }
}

#[test]
fn a_damaged_backup_is_refused_and_leaves_nothing() {
    let made = memory();
    fill(&*made.journal);
    let bytes = backup(&*made.journal);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("restored");
    let refused = |bytes: &[u8]| {
        let error = restore(&path, &mut &*bytes).unwrap_err();
        assert!(!path.exists());
        error
    };
    for length in [0, 5, 18, 100, bytes.len() / 2, bytes.len() - 16, bytes.len() - 1] {
        let error = refused(&bytes[..length]);
        assert!(matches!(error, JournalError::Backup(_)), "cut to {length}: {error}");
    }
    for place in [3, 30, bytes.len() / 2, bytes.len() - 3] {
        let mut wrong = bytes.clone();
        wrong[place] ^= 1;
        let error = refused(&wrong);
        assert!(matches!(error, JournalError::Backup(_)), "byte {place}: {error}");
    }
    let mut newer = bytes.clone();
    newer[17] = 2;
    assert!(matches!(refused(&newer), JournalError::UnknownFormat { found: 2, .. }));
    // What was left by the attempts is not in the way.
    restore(&path, &mut bytes.as_slice()).unwrap();
    expect_filled(&SledJournal::open(&path, &super::small()).unwrap());
}

#[test]
fn nothing_is_restored_over_something() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("precious"), b"data").unwrap();
    let made = memory();
    let bytes = backup(&*made.journal);
    let error = restore(directory.path(), &mut bytes.as_slice()).unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_backup_fails_when_it_cannot_be_written() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let made = memory();
    fill(&*made.journal);
    assert!(matches!(made.journal.backup(&mut Full), Err(JournalError::Backup(_))));
    backup(&*made.journal);
    expect_filled(&*made.journal);
}
