//! What every journal must do, run against each of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backup;
mod counted;
mod damage;
mod durable;
mod flips;
mod listing;
mod logged;
mod random;
mod removed;
mod searching;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use uuid::Uuid;
use windlass_proto::id::{Digest, FrameId, InstanceId, PartitionId, WorkflowId};
use windlass_proto::time::Timestamp;

use super::memory::MemoryJournal;
use super::sled::{Options, SledJournal};
use super::{
    Commit, Filter, Head, InstanceWrite, Journal, Status, StoredDefinition, StoredFacts, TimerKey,
};

/// Numbers that a seed gives again.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}

/// Removes instances that ended before `before`, at most `limit`; returns how many went.
fn retain(journal: &dyn Journal, before: Timestamp, limit: usize) -> usize {
    let is_over = |it: &Head| it.ended_at.is_some_and(|at| at < before);
    let over = journal.over(&is_over, limit).unwrap();
    for (instance, _) in &over {
        let removed = vec![*instance];
        let partition = instance.partition(journal.partitions());
        journal.commit(&[Commit { partition, removed, ..Commit::default() }]).unwrap();
    }
    while journal.sweep(3).unwrap() > 0 {}
    journal.forget(before).unwrap();
    over.len()
}

/// A journal with four partitions, and what keeps its directory.
struct Made {
    journal: Arc<dyn Journal>,
    _directory: Option<tempfile::TempDir>,
}

fn each(test: impl Fn(&dyn Journal)) {
    for made in [memory(), sled()] {
        test(&*made.journal);
        let report = made.journal.check().unwrap();
        assert_eq!(report.damage, Vec::<String>::new());
    }
}

fn memory() -> Made {
    Made { journal: Arc::new(MemoryJournal::in_memory(4).unwrap()), _directory: None }
}

fn sled() -> Made {
    let directory = tempfile::tempdir().unwrap();
    let journal = Arc::new(open(directory.path()));
    Made { journal, _directory: Some(directory) }
}

fn open(directory: &std::path::Path) -> SledJournal {
    SledJournal::open(directory, &small()).unwrap()
}

fn small() -> Options {
    Options { cache_bytes: 8 << 20, ..Options::default() }
}

/// An id that sorts by `time` and belongs to `partition` of four.
fn id(time: u64, partition: u16) -> InstanceId {
    InstanceId(Uuid::from_u128(u128::from(time) << 80 | 0x7 << 76 | u128::from(partition)))
}

fn head(name: &str, status: Status, started_at: u64) -> Head {
    Head {
        workflow: WorkflowId {
            namespace: "test".into(),
            name: name.into(),
            version: "1.0.0".into(),
        },
        digest: Digest::of(name),
        status,
        started_at: Timestamp(started_at),
        ended_at: status.is_final().then_some(Timestamp(started_at + 10)),
        labels: vec![("name".into(), name.into())],
        parent: None,
        root: None,
        output: None,
        error: None,
    }
}

fn write(instance: InstanceId, sequence: u64, facts: &[u8]) -> InstanceWrite {
    InstanceWrite {
        instance,
        sequence,
        count: 1,
        facts: facts.to_vec().into(),
        head: None,
        hot: None,
        snapshot: None,
    }
}

fn commit(writes: Vec<InstanceWrite>) -> Commit {
    let partition = writes.first().map_or(PartitionId(0), |it| it.instance.partition(4));
    Commit { partition, writes, ..Commit::default() }
}

fn start(instance: InstanceId, at: u64) -> InstanceWrite {
    InstanceWrite {
        head: Some(head("w", Status::Running, at)),
        hot: Some(true),
        ..write(instance, 0, b"started")
    }
}

fn stored(sequence: u64, facts: &[u8]) -> StoredFacts {
    StoredFacts { sequence, count: 1, facts: facts.to_vec() }
}

#[test]
fn facts_come_back_in_order() {
    each(|journal| {
        let instance = id(1, 2);
        assert_eq!(journal.load(instance).unwrap(), None);
        journal.commit(&[commit(vec![start(instance, 1)])]).unwrap();
        for sequence in 1..300_u64 {
            let facts = sequence.to_be_bytes();
            journal.commit(&[commit(vec![write(instance, sequence, &facts)])]).unwrap();
        }
        let loaded = journal.load(instance).unwrap().unwrap();
        assert_eq!(loaded.snapshot, None);
        assert_eq!(loaded.facts.len(), 300);
        assert_eq!(loaded.facts[0], stored(0, b"started"));
        assert_eq!(loaded.facts[299], stored(299, &299_u64.to_be_bytes()));
        let some = journal.facts(instance, 250, 3).unwrap();
        assert_eq!(some.iter().map(|it| it.sequence).collect::<Vec<_>>(), [250, 251, 252]);
        assert_eq!(journal.facts(instance, 300, 3).unwrap(), []);
        assert_eq!(journal.load(id(1, 1)).unwrap(), None);
    });
}

#[test]
fn facts_from_the_middle_of_an_entry_include_that_entry() {
    each(|journal| {
        let instance = id(1, 0);
        let first = InstanceWrite { count: 5, ..write(instance, 0, b"five") };
        journal
            .commit(&[commit(vec![InstanceWrite {
                head: Some(head("w", Status::Running, 1)),
                ..first
            }])])
            .unwrap();
        journal.commit(&[commit(vec![write(instance, 5, b"one")])]).unwrap();
        let from = |sequence| journal.facts(instance, sequence, 10).unwrap();
        assert_eq!(from(0).len(), 2);
        assert_eq!(from(4)[0], StoredFacts { count: 5, ..stored(0, b"five") });
        assert_eq!(from(5), [stored(5, b"one")]);
    });
}

#[test]
fn a_snapshot_shortens_loading_but_not_history() {
    each(|journal| {
        let instance = id(1, 3);
        journal.commit(&[commit(vec![start(instance, 1)])]).unwrap();
        for (sequence, size) in [(1, 100_000), (2, 20_000), (3, 10)] {
            let snapshot = vec![sequence as u8; size];
            let write = InstanceWrite {
                snapshot: Some(snapshot.clone()),
                ..write(instance, sequence, b"more")
            };
            journal.commit(&[commit(vec![write])]).unwrap();
            let loaded = journal.load(instance).unwrap().unwrap();
            assert_eq!(loaded.snapshot, Some((sequence + 1, snapshot)));
            assert_eq!(loaded.facts, []);
        }
        journal.commit(&[commit(vec![write(instance, 4, b"last")])]).unwrap();
        assert_eq!(journal.load(instance).unwrap().unwrap().facts, [stored(4, b"last")]);
        assert_eq!(journal.facts(instance, 0, 100).unwrap().len(), 5);
    });
}

#[test]
fn two_snapshots_in_one_group_leave_the_latter() {
    each(|journal| {
        let instance = id(1, 3);
        journal.commit(&[commit(vec![start(instance, 1)])]).unwrap();
        let with = |sequence, size| {
            let snapshot = Some(vec![sequence as u8; size]);
            commit(vec![InstanceWrite { snapshot, ..write(instance, sequence, b"more") }])
        };
        journal.commit(&[with(1, 50_000), with(2, 9_000)]).unwrap();
        let loaded = journal.load(instance).unwrap().unwrap();
        assert_eq!(loaded.snapshot, Some((3, vec![2; 9_000])));
        journal.commit(&[with(3, 9_000), with(4, 50_000)]).unwrap();
        let loaded = journal.load(instance).unwrap().unwrap();
        assert_eq!(loaded.snapshot, Some((5, vec![4; 50_000])));
    });
}

#[test]
fn large_facts_come_back_whole() {
    each(|journal| {
        let instance = id(1, 1);
        let large: Vec<u8> = (0..5 << 20).map(|index: u32| (index % 251) as u8).collect();
        journal.commit(&[commit(vec![start(instance, 1)])]).unwrap();
        journal.commit(&[commit(vec![write(instance, 1, &large)])]).unwrap();
        journal.commit(&[commit(vec![write(instance, 2, b"small")])]).unwrap();
        let loaded = journal.load(instance).unwrap().unwrap();
        assert_eq!(loaded.facts[1].facts.len(), large.len());
        assert!(loaded.facts[1].facts == large);
        assert_eq!(loaded.facts[2], stored(2, b"small"));
        assert_eq!(journal.facts(instance, 1, 1).unwrap()[0].facts.len(), large.len());
    });
}

#[test]
fn the_hot_index_follows_the_writes() {
    each(|journal| {
        let ids: Vec<_> = (0..10).map(|time| id(time, 1)).collect();
        let starts = ids.iter().map(|it| start(*it, 1)).collect();
        journal.commit(&[commit(starts)]).unwrap();
        let cold = |instance| InstanceWrite { hot: Some(false), ..write(instance, 1, b"waits") };
        journal.commit(&[commit(vec![cold(ids[3]), cold(ids[7])])]).unwrap();
        let hot = journal.hot(PartitionId(1), None, 100).unwrap();
        let expected: Vec<_> =
            ids.iter().copied().filter(|it| *it != ids[3] && *it != ids[7]).collect();
        assert_eq!(hot, expected);
        assert_eq!(journal.hot(PartitionId(1), Some(ids[2]), 2).unwrap(), [ids[4], ids[5]]);
        assert_eq!(journal.hot(PartitionId(0), None, 100).unwrap(), []);
        let again = InstanceWrite { hot: Some(true), ..write(ids[3], 2, b"wakes") };
        journal.commit(&[commit(vec![again, cold(ids[4])])]).unwrap_or_else(|it| panic!("{it}"));
        assert_eq!(journal.hot(PartitionId(1), Some(ids[2]), 1).unwrap(), [ids[3]]);
        assert_eq!(journal.hot(PartitionId(1), Some(ids[3]), 1).unwrap(), [ids[5]]);
    });
}

#[test]
fn timers_come_soonest_first_and_in_pages() {
    each(|journal| {
        let instance = id(5, 2);
        let other = id(4, 2);
        let key = |due, instance, timer| TimerKey { due: Timestamp(due), instance, timer };
        let timers = [
            key(300, instance, 0),
            key(100, instance, 1),
            key(256, other, 7),
            key(256, instance, 2),
            key(256, instance, 3),
            key(u64::MAX - 1, instance, 4),
        ];
        let commit = Commit {
            timers_set: timers.to_vec(),
            ..commit(vec![start(instance, 1), start(other, 1)])
        };
        journal.commit(&[commit]).unwrap();
        let page = |after, until, limit| {
            journal.timers(PartitionId(2), after, Timestamp(until), limit).unwrap()
        };
        let mut sorted = timers.to_vec();
        sorted.sort();
        assert_eq!(page(None, u64::MAX, 10), sorted);
        assert_eq!(page(None, 300, 10), sorted[..4], "due before 300 leaves 300 out");
        assert_eq!(page(Some(sorted[1]), u64::MAX, 2), sorted[2..4]);
        assert_eq!(page(None, 100, 10), []);
        let clear = Commit {
            partition: PartitionId(2),
            timers_set: vec![key(1, instance, 9)],
            timers_cleared: vec![sorted[0], sorted[1], key(1, instance, 9)],
            ..Commit::default()
        };
        journal.commit(&[clear]).unwrap();
        assert_eq!(page(None, u64::MAX, 10), sorted[2..]);
        assert_eq!(journal.timers(PartitionId(1), None, Timestamp(500), 10).unwrap(), []);
    });
}

#[test]
fn subscriptions_are_added_replaced_removed_and_paged() {
    each(|journal| {
        let (a, b) = (id(1, 0), id(2, 0));
        let all = || journal.subscriptions(PartitionId(0), None, 10).unwrap();
        let commit = Commit {
            subscribed: vec![
                (a, FrameId(1), b"one"[..].into()),
                (a, FrameId(300), b"two"[..].into()),
                (b, FrameId(1), vec![3; 100_000].into()),
            ],
            ..commit(vec![start(a, 1), start(b, 2)])
        };
        journal.commit(&[commit]).unwrap();
        assert_eq!(all().len(), 3);
        assert_eq!(all()[2], (b, FrameId(1), vec![3; 100_000]));
        let page = journal.subscriptions(PartitionId(0), Some((a, FrameId(1))), 1).unwrap();
        assert_eq!(page, [(a, FrameId(300), b"two"[..].into())]);
        let change = Commit {
            subscribed: vec![(b, FrameId(1), b"new"[..].into())],
            unsubscribed: vec![(a, FrameId(1))],
            ..Commit::default()
        };
        journal.commit(&[change]).unwrap();
        let expected = [(a, FrameId(300), b"two"[..].into()), (b, FrameId(1), b"new"[..].into())];
        assert_eq!(all(), expected);
    });
}

#[test]
fn keys_are_remembered_by_partition_whatever_their_length() {
    each(|journal| {
        let long = vec![b'x'; 10_000];
        let commit = Commit {
            partition: PartitionId(1),
            seen: vec![
                (b"event"[..].into(), Timestamp(100)),
                (long.as_slice().into(), Timestamp(200)),
            ],
            ..Commit::default()
        };
        journal.commit(&[commit]).unwrap();
        assert!(journal.has_seen(PartitionId(1), b"event").unwrap());
        assert!(journal.has_seen(PartitionId(1), &long).unwrap());
        assert!(!journal.has_seen(PartitionId(2), b"event").unwrap());
        assert!(!journal.has_seen(PartitionId(1), b"even").unwrap());
        assert!(!journal.has_seen(PartitionId(1), &long[1..]).unwrap());
        assert_eq!(journal.forget(Timestamp(100)).unwrap(), 0, "until 100 includes 100");
        assert_eq!(journal.forget(Timestamp(101)).unwrap(), 1);
        assert!(!journal.has_seen(PartitionId(1), b"event").unwrap());
        assert!(journal.has_seen(PartitionId(1), &long).unwrap());
    });
}

#[test]
fn definitions_are_found_by_digest_and_the_latest_is_current() {
    each(|journal| {
        let definition = |name: &str, text: &str| StoredDefinition {
            id: head(name, Status::Running, 1).workflow,
            digest: Digest::of(text),
            text: text.into(),
            deployed_at: Timestamp(5),
            retired_at: None,
        };
        let large = "x".repeat(300_000);
        let (a, b, c) = (definition("a", "first"), definition("a", &large), definition("c", "c"));
        for it in [&a, &b, &c, &b] {
            journal.put_definition(it).unwrap();
        }
        assert_eq!(journal.definition(&a.digest).unwrap(), Some(a.clone()));
        assert_eq!(journal.definition(&Digest::of("never")).unwrap(), None);
        assert_eq!(journal.definitions().unwrap(), [b.clone(), c.clone()]);
        journal.put_definition(&a).unwrap();
        assert_eq!(journal.definitions().unwrap(), [a, c]);
    });
}

#[test]
fn epochs_only_grow() {
    each(|journal| {
        let first = journal.next_epoch().unwrap();
        assert!(first > 0);
        assert_eq!(journal.next_epoch().unwrap(), first + 1);
    });
}

#[test]
fn one_call_commits_for_many_partitions() {
    each(|journal| {
        let ids: Vec<_> = (0..40_u16).map(|number| id(u64::from(number), number % 4)).collect();
        let commits: Vec<_> = ids.iter().map(|it| commit(vec![start(*it, 1)])).collect();
        journal.commit(&commits).unwrap();
        journal.commit(&[]).unwrap();
        for it in ids {
            assert_eq!(journal.load(it).unwrap().unwrap().facts, [stored(0, b"started")]);
            assert_eq!(journal.head(it).unwrap().unwrap(), head("w", Status::Running, 1));
        }
        assert_eq!(journal.head(id(99, 1)).unwrap(), None);
    });
}

#[test]
fn an_instance_of_another_partition_is_refused() {
    each(|journal| {
        let wrong = Commit { partition: PartitionId(1), ..commit(vec![start(id(1, 2), 1)]) };
        assert!(journal.commit(&[wrong]).is_err());
    });
}

#[test]
fn readers_beside_commits_see_all_that_is_durable_and_no_gap() {
    each(|journal| {
        let durable = AtomicU64::new(0);
        let done = AtomicBool::new(false);
        let instance = id(1, 1);
        journal.commit(&[commit(vec![start(instance, 1)])]).unwrap();
        let read = || {
            while !done.load(Ordering::Acquire) {
                let before = durable.load(Ordering::Acquire);
                let facts = journal.facts(instance, 0, usize::MAX).unwrap();
                assert!(facts.len() as u64 > before, "{} of {before}", facts.len());
                assert!(facts.iter().map(|it| it.sequence).eq(0..facts.len() as u64));
                assert_eq!(journal.list(&Filter::default(), None, 9).unwrap().items.len(), 1);
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(read);
            // Facts move between the ring, keys of their own, and the head.
            for sequence in 1..600 {
                let size = if sequence % 50 == 0 { 5_000 } else { 30 };
                let mut write = write(instance, sequence, &vec![1; size]);
                if sequence % 9 == 0 {
                    write.head = Some(head("w", Status::Completed, 1));
                }
                journal.commit(&[commit(vec![write])]).unwrap();
                durable.store(sequence, Ordering::Release);
            }
            done.store(true, Ordering::Release);
        });
    });
}
