//! Lists and retention.

use std::sync::Arc;

use windlass_proto::id::{FrameId, InstanceId, PartitionId};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::super::{Commit, Filter, Head, InstanceWrite, Journal, Status};
use super::{commit, each, head, id, retain, start, write};

fn end(instance: InstanceId, sequence: u64, at: u64) -> InstanceWrite {
    let mut head = head("w", Status::Completed, at);
    head.output = Some(Value::from(Arc::<str>::from("x".repeat(20_000))));
    InstanceWrite { head: Some(head), hot: Some(false), ..write(instance, sequence, b"ended") }
}

fn put(journal: &dyn Journal, instance: InstanceId, head: Head) {
    let write = InstanceWrite { head: Some(head), ..write(instance, 0, b"started") };
    journal.commit(&[commit(vec![write])]).unwrap();
}

fn pages(journal: &dyn Journal, filter: &Filter, limit: usize) -> Vec<InstanceId> {
    let mut cursor = None;
    let mut all = Vec::new();
    loop {
        let page = journal.list(filter, cursor, limit).unwrap();
        assert!(page.items.len() <= limit);
        all.extend(page.items.iter().map(|(id, _)| *id));
        match page.next {
            Some(next) => {
                assert!(cursor.is_none_or(|before| next < before), "the cursor moves on");
                cursor = Some(next);
            }
            None => return all,
        }
    }
}

#[test]
fn lists_merge_the_partitions_newest_first() {
    each(|journal| {
        assert!(journal.list(&Filter::default(), None, 10).unwrap().items.is_empty());
        let ids: Vec<_> = (0..100_u64).map(|time| id(time, (time % 7 % 4) as u16)).collect();
        for instance in &ids {
            journal.commit(&[commit(vec![start(*instance, 1)])]).unwrap();
        }
        let newest_first: Vec<_> = ids.iter().rev().copied().collect();
        for limit in [1, 3, 50, 100, 1000] {
            assert_eq!(pages(journal, &Filter::default(), limit), newest_first, "by {limit}");
        }
        let page = journal.list(&Filter::default(), Some(ids[50]), 2).unwrap();
        assert_eq!(page.items.iter().map(|it| it.0).collect::<Vec<_>>(), [ids[49], ids[48]]);
        assert_eq!(page.next, Some(ids[48]));
    });
}

#[test]
fn filters_hold_together() {
    each(|journal| {
        let mut heads = Vec::new();
        for (time, status) in [
            (1, Status::Running),
            (2, Status::Completed),
            (3, Status::Faulted),
            (4, Status::Running),
            (5, Status::Waiting),
        ] {
            let mut head = head(if time % 2 == 0 { "even" } else { "odd" }, status, time);
            if time == 4 {
                head.workflow.version = "2.0.0".into();
                head.labels.push(("team".into(), "blue".into()));
            }
            put(journal, id(time, (time % 4) as u16), head.clone());
            heads.push(head);
        }
        let found = |filter: Filter| -> Vec<u64> {
            let page = journal.list(&filter, None, 10).unwrap();
            page.items.iter().map(|(_, head)| head.started_at.0).collect()
        };
        let some = |text: &str| Some(text.to_owned());
        let any = Filter::default;
        assert_eq!(found(any()), [5, 4, 3, 2, 1]);
        assert_eq!(found(Filter { name: some("even"), ..any() }), [4, 2]);
        assert_eq!(found(Filter { namespace: some("test"), ..any() }).len(), 5);
        assert_eq!(found(Filter { namespace: some("other"), ..any() }), [0; 0]);
        assert_eq!(found(Filter { version: some("2.0.0"), ..any() }), [4]);
        let running = Filter { statuses: vec![Status::Running, Status::Waiting], ..any() };
        assert_eq!(found(running.clone()), [5, 4, 1]);
        assert_eq!(found(Filter { name: some("odd"), ..running }), [5, 1]);
        let window = Filter {
            started_after: Some(Timestamp(2)),
            started_before: Some(Timestamp(4)),
            ..any()
        };
        assert_eq!(found(window), [3, 2]);
        let label = |value: &str| vec![("team".to_owned(), value.to_owned())];
        assert_eq!(found(Filter { labels: label("blue"), ..any() }), [4]);
        assert_eq!(found(Filter { labels: label("red"), ..any() }), [0; 0]);
        assert_eq!(journal.list(&any(), None, 1).unwrap().items[0].1, heads[4]);
    });
}

#[test]
fn heads_are_replaced_and_keep_large_outputs() {
    each(|journal| {
        let instance = id(1, 1);
        journal.commit(&[commit(vec![start(instance, 7)])]).unwrap();
        journal.commit(&[commit(vec![end(instance, 1, 7)])]).unwrap();
        let expected = end(instance, 1, 7).head;
        assert_eq!(journal.head(instance).unwrap(), expected);
        let page = journal.list(&Filter::default(), None, 10).unwrap();
        assert_eq!(page.items.len(), 1);
        assert_eq!(Some(page.items[0].1.clone()), expected);
        assert_eq!(journal.hot(PartitionId(1), None, 10).unwrap(), []);
    });
}

#[test]
fn retention_removes_what_ended_and_nothing_else() {
    each(|journal| {
        let ids: Vec<_> = (0..30_u64).map(|time| id(time, (time % 4) as u16)).collect();
        for (index, instance) in ids.iter().enumerate() {
            let first = Commit {
                subscribed: vec![(*instance, FrameId(1), b"s"[..].into())],
                seen: vec![(instance.0.as_bytes()[..].into(), Timestamp(100 + index as u64))],
                ..commit(vec![InstanceWrite {
                    snapshot: Some(vec![1; 30_000]),
                    ..start(*instance, 1)
                }])
            };
            journal.commit(&[first]).unwrap();
            let facts = vec![2; 10_000];
            journal.commit(&[commit(vec![write(*instance, 1, &facts)])]).unwrap();
        }
        // Ended at 110, 112, … 128; the rest goes on.
        for (index, instance) in ids.iter().enumerate().filter(|(index, _)| index % 3 == 0) {
            let commit = Commit {
                unsubscribed: vec![(*instance, FrameId(1))],
                ..commit(vec![end(*instance, 2, 100 + index as u64)])
            };
            journal.commit(&[commit]).unwrap();
        }
        assert_eq!(retain(journal, Timestamp(50), 100), 0);
        let before = Timestamp(110 + 15 + 1);
        let mut removed = 0;
        for _ in 0..6 {
            let now = retain(journal, before, 2);
            assert!(now <= 2);
            removed += now;
        }
        assert_eq!(removed, 6, "0, 3, 6, 9, 12 and 15 ended before");
        for (index, instance) in ids.iter().enumerate() {
            let gone = index % 3 == 0 && index <= 15;
            assert_eq!(journal.head(*instance).unwrap().is_none(), gone, "{index}");
            assert_eq!(journal.load(*instance).unwrap().is_none(), gone, "{index}");
            let seen = journal.has_seen(instance.partition(4), instance.0.as_bytes()).unwrap();
            assert_eq!(seen, 100 + index as u64 >= before.0, "{index}");
        }
        assert_eq!(pages(journal, &Filter::default(), 10).len(), 24);
        assert_eq!(retain(journal, before, 100), 0);
    });
}

#[test]
fn retention_of_a_long_history_goes_in_batches() {
    each(|journal| {
        let instance = id(1, 0);
        journal.commit(&[commit(vec![start(instance, 1)])]).unwrap();
        let writes = (1..2_500).map(|sequence| write(instance, sequence, b"fact")).collect();
        journal.commit(&[commit(writes)]).unwrap();
        journal.commit(&[commit(vec![end(instance, 2_500, 1)])]).unwrap();
        assert_eq!(retain(journal, Timestamp(1_000), 10), 1);
        assert_eq!(journal.load(instance).unwrap(), None);
        assert_eq!(journal.head(instance).unwrap(), None);
    });
}
