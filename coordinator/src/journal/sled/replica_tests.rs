use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use uuid::Uuid;
use windlass_proto::id::InstanceId;
use windlass_proto::metric::Snapshot;

use super::{FILE, Options, REFILL, Replica, SledJournal};
use crate::journal::replicated::{Appending, CommitLog, Followed, LogPosition};
use crate::journal::{Commit, InstanceWrite, Journal, JournalError};

/// A log that keeps batches in memory, and may take one and say that it did not.
#[derive(Default)]
struct Kept {
    batches: Mutex<Vec<Vec<u8>>>,
    fails: AtomicBool,
}

struct Place<'a> {
    batches: MutexGuard<'a, Vec<Vec<u8>>>,
    batch: Option<Vec<u8>>,
    fails: bool,
}

fn position(sequence: usize) -> LogPosition {
    LogPosition { epoch: 1, term: 7, sequence: sequence as u64 }
}

impl CommitLog for Kept {
    fn append(&self, batch: Vec<u8>) -> Result<Box<dyn Appending + '_>, JournalError> {
        let (batches, fails) = (self.batches.lock().unwrap(), self.fails.load(Ordering::Relaxed));
        Ok(Box::new(Place { batches, batch: Some(batch), fails }))
    }

    fn is_unheard(&self) -> bool {
        false
    }

    fn is_away(&self) -> bool {
        self.fails.load(Ordering::Relaxed)
    }

    fn measured(&self, _: &mut Snapshot) {}
}

impl Appending for Place<'_> {
    fn position(&self) -> LogPosition {
        position(self.batches.len() + 1)
    }

    fn wait(&mut self) -> Result<(), JournalError> {
        if self.fails {
            return Err(JournalError::Fenced("as arranged".to_owned()));
        }
        self.batches.extend(self.batch.take());
        Ok(())
    }
}

fn instance(number: u16) -> InstanceId {
    InstanceId(Uuid::from_u128(0x7 << 76 | u128::from(number)))
}

fn commit(journal: &SledJournal, number: u16, bytes: usize) -> Result<(), JournalError> {
    let instance = instance(number);
    let write = InstanceWrite {
        instance,
        sequence: 0,
        count: 1,
        facts: (0..bytes).map(|it| (it * 31 % 251) as u8).collect::<Vec<_>>().into(),
        head: None,
        hot: None,
        snapshot: None,
    };
    let partition = instance.partition(journal.partitions());
    journal.commit(&[Commit { partition, writes: vec![write], ..Commit::default() }])
}

fn has(journal: &SledJournal, number: u16) -> bool {
    !journal.facts(instance(number), 0, 10).unwrap().is_empty()
}

fn open(directory: &Path) -> Replica {
    Replica::open(directory, "c", &Options::default()).unwrap()
}

#[test]
fn who_follows_has_what_the_leader_has_and_can_lead() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = Arc::new(Kept::default());
    let leader = open(here.path()).lead(log.clone()).unwrap();
    for (number, bytes) in [(1, 10), (2, 20_000), (3, 5 << 20), (4, 10)] {
        commit(&leader, number, bytes).unwrap();
    }
    let mut follower = open(there.path());
    assert!(follower.is_empty());
    let batches = log.batches.lock().unwrap().clone();
    for (number, batch) in batches.iter().enumerate() {
        let followed = Followed { position: position(number + 1), whole: true };
        // Once more changes nothing.
        for _ in 0..2 {
            follower.apply(std::slice::from_ref(batch), followed).unwrap();
        }
    }
    drop(follower);
    let mut follower = open(there.path());
    let held = follower.held().or(follower.followed().map(|it| it.position));
    assert_eq!(held, Some(position(batches.len())));
    follower.resolve(true).unwrap();
    let successor = follower.lead(log.clone()).unwrap();
    assert_eq!(successor.position(), leader.position());
    assert!((1..=4).all(|it| has(&successor, it)));
    assert_eq!(successor.check().unwrap().damage, leader.check().unwrap().damage);
    commit(&successor, 5, 10).unwrap();
    assert!(has(&successor, 5));
}

#[test]
fn a_batch_that_the_log_did_not_take_is_met_by_nobody_and_can_be_kept_or_dropped() {
    for keep in [false, true] {
        let here = tempfile::tempdir().unwrap();
        let log = Arc::new(Kept::default());
        let journal = open(here.path()).lead(log.clone()).unwrap();
        commit(&journal, 1, 10).unwrap();
        log.fails.store(true, Ordering::Relaxed);
        assert!(matches!(commit(&journal, 2, 10), Err(JournalError::Fenced(_))));
        assert!(!has(&journal, 2), "nobody meets what is not in the log");
        assert!(journal.room().log_away);
        // Nothing is written after that.
        assert!(commit(&journal, 3, 10).is_err());
        drop(journal);
        log.fails.store(false, Ordering::Relaxed);
        let last = log.batches.lock().unwrap().len();
        let mut replica = open(here.path());
        if replica.held().is_none() {
            // Closing moved what was whole out of the write-ahead log.
            assert_eq!(replica.followed().unwrap().position, position(last));
        } else {
            assert_eq!(replica.held(), Some(position(last + 1)));
        }
        replica.resolve(keep).unwrap();
        let journal = replica.lead(log.clone()).unwrap();
        assert!(has(&journal, 1));
        commit(&journal, 4, 10).unwrap();
        drop(journal);
        let mut replica = open(here.path());
        replica.resolve(true).unwrap();
        let journal = replica.lead(log).unwrap();
        assert!(has(&journal, 1) && has(&journal, 4));
    }
}

#[test]
fn a_directory_belongs_to_one_cluster_and_can_be_emptied() {
    let here = tempfile::tempdir().unwrap();
    let log = Arc::new(Kept::default());
    let journal = open(here.path()).lead(log.clone()).unwrap();
    commit(&journal, 1, 10).unwrap();
    drop(journal);
    let other = Replica::open(here.path(), "d", &Options::default());
    assert!(matches!(other, Err(JournalError::LogMisfit(_))));
    let alone = SledJournal::open(here.path(), &Options::default());
    assert!(matches!(alone, Err(JournalError::LogMisfit(_))));
    let mut replica = open(here.path());
    assert_eq!(replica.identity(), None);
    replica.identify(1 << 63).unwrap();
    let emptied = replica.emptied().unwrap();
    assert!(emptied.is_empty());
    assert_eq!(emptied.identity(), Some(1 << 63), "a directory that is filled anew stays of it");
    drop(emptied);
    // One that was cut off is gone on with.
    std::fs::write(here.path().join(REFILL), "").unwrap();
    assert!(open(here.path()).is_empty());
    assert!(!here.path().join(REFILL).exists());
    // Out of the cluster it is a journal of its own, which nobody takes for what it was.
    std::fs::remove_file(here.path().join(FILE)).unwrap();
    let alone = SledJournal::open(here.path(), &Options::default()).unwrap();
    commit(&alone, 2, 10).unwrap();
    drop(alone);
    let replica = open(here.path());
    assert!(replica.followed().is_none() && !replica.is_empty());
    let mut batches = Vec::new();
    let mut take = |batch| {
        batches.push(batch);
        Ok(())
    };
    replica.records(&mut take).unwrap();
    drop(replica);
    let there = tempfile::tempdir().unwrap();
    let mut filled = open(there.path());
    filled.apply(&batches, Followed { position: position(1), whole: true }).unwrap();
    assert!(has(&filled.lead(log).unwrap(), 2));
}
