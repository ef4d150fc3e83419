//! Instances that are removed: gone at once, whatever of them is still to go.

use windlass_proto::id::InstanceId;

use super::super::memory::{CrashPoint, MemoryJournal};
use super::super::{Commit, Filter, InstanceWrite, Journal, Status};
use super::{commit, each, head, id, start, stored, write};

/// One that has ended, in all places that something of it can be in.
fn ended(journal: &dyn Journal, instance: InstanceId) {
    journal.commit(&[commit(vec![start(instance, 1)])]).unwrap();
    let snapshot = Some(vec![1; 30_000]);
    let large = InstanceWrite { snapshot, ..write(instance, 1, &[2; 40_000]) };
    journal.commit(&[commit(vec![large])]).unwrap();
    let last = InstanceWrite {
        head: Some(head("w", Status::Completed, 1)),
        hot: Some(false),
        ..write(instance, 2, &[3; 20_000])
    };
    journal.commit(&[commit(vec![last])]).unwrap();
    // As another one that goes on for it notes.
    journal.commit(&[commit(vec![write(instance, 3, b"succeeded")])]).unwrap();
}

fn removal(instance: InstanceId) -> Commit {
    let partition = instance.partition(4);
    Commit { partition, removed: vec![instance], ..Commit::default() }
}

fn is_gone(journal: &dyn Journal, instance: InstanceId) -> bool {
    let listed = journal.list(&Filter::default(), None, 10).unwrap().items;
    let found = journal.search(&Filter::default(), None, 10).unwrap().items;
    let counted = journal.count(&Filter::default()).unwrap().count;
    let is_listed = listed.iter().any(|(id, _)| *id == instance);
    let is_found = found.iter().any(|(id, _)| *id == instance);
    assert_eq!((listed.len(), found.len()), (counted as usize, counted as usize));
    let head = journal.head(instance).unwrap();
    assert_eq!((is_listed, is_found), (head.is_some(), head.is_some()));
    let damage = journal.check().unwrap().damage;
    assert_eq!(damage, Vec::<String>::new());
    head.is_none()
}

#[test]
fn what_is_removed_is_gone_at_once_and_leaves_nothing() {
    each(|journal| {
        let (one, other) = (id(1, 0), id(2, 0));
        ended(journal, other);
        while journal.index().unwrap() {}
        let before = journal.check().unwrap().stored;
        ended(journal, one);
        journal.commit(&[removal(one)]).unwrap();
        assert!(is_gone(journal, one) && !is_gone(journal, other));
        // Again, as whoever asks twice does.
        journal.commit(&[removal(one)]).unwrap();
        assert_eq!((journal.sweep(10).unwrap(), journal.sweep(10).unwrap()), (1, 0));
        let rest = journal.load(one).unwrap();
        assert_eq!((is_gone(journal, one), rest), (true, None));
        // Slots of the ring are overwritten in their turn.
        let after = journal.check().unwrap().stored;
        assert!(after <= before + 10, "{before} records, {after} after it");
        assert_eq!(journal.load(other).unwrap().unwrap().facts.len(), 2);
    });
}

#[test]
fn an_id_is_free_at_once() {
    each(|journal| {
        let instance = id(1, 2);
        ended(journal, instance);
        journal.commit(&[removal(instance)]).unwrap();
        journal.commit(&[commit(vec![start(instance, 50)])]).unwrap();
        assert_eq!(journal.sweep(10).unwrap(), 0);
        let loaded = journal.load(instance).unwrap().unwrap();
        assert_eq!((loaded.snapshot, loaded.facts), (None, vec![stored(0, b"started")]));
        assert!(!is_gone(journal, instance));
    });
}

#[test]
fn a_crash_at_any_write_of_a_removal_leaves_all_of_it_or_nothing() {
    let (one, other) = (id(1, 0), id(2, 0));
    for point in
        [CrashPoint::BeforeWrite, CrashPoint::AfterWrite { kept: true }, CrashPoint::AfterSync]
    {
        let mut was_whole = false;
        for writes in 0.. {
            let journal = MemoryJournal::in_memory(4).unwrap();
            ended(&journal, one);
            ended(&journal, other);
            journal.crash_at(writes, point);
            let removed = journal.commit(&[removal(one)]);
            let done = removed.and_then(|()| journal.sweep(10)).is_ok();
            let journal = MemoryJournal::reopen(journal.durable(), 4).unwrap();
            if is_gone(&journal, one) {
                while journal.sweep(10).unwrap() > 0 {}
                assert!(is_gone(&journal, one));
                assert_eq!(journal.load(one).unwrap(), None);
            } else {
                was_whole = true;
                assert_eq!(journal.load(one).unwrap().unwrap().facts.len(), 2);
            }
            assert_eq!(journal.load(other).unwrap().unwrap().facts.len(), 2);
            // Nothing of it comes back.
            journal.commit(&[commit(vec![start(id(3, 0), 60)])]).unwrap();
            let journal = MemoryJournal::reopen(journal.durable(), 4).unwrap();
            assert_eq!(journal.load(one).unwrap().is_none(), is_gone(&journal, one));
            if done {
                break;
            }
        }
        assert!(was_whole || point != CrashPoint::BeforeWrite);
    }
}
