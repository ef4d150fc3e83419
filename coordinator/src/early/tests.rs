use std::collections::BTreeSet;
use std::sync::Arc;

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::{EarlyEvent, EarlyEvents, HANDED_OUT, Kept, Whose, early_key};
use crate::engine::{Key, Route};
use crate::journal::memory::MemoryJournal;
use crate::journal::{Commit, EarlyWrite, Journal};

const FIRST: PartitionId = PartitionId(0);
const OTHER: PartitionId = PartitionId(1);
const NOBODY: InstanceId = InstanceId(uuid::Uuid::nil());

fn event(namespace: &str, id: u64, order: &str) -> EarlyEvent {
    let text = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"paid","data":{{"order":"{order}"}}}}"#
    );
    let event = CloudEvent::from_value(Value::from_json(&text).unwrap()).unwrap();
    EarlyEvent {
        key: early_key(namespace, &id.to_be_bytes(), None),
        namespace: namespace.into(),
        instance: None,
        event: Arc::new(event),
        at: Timestamp(id),
        until: Timestamp(1_000),
    }
}

fn keep(early: &EarlyEvents, event: EarlyEvent, now: u64) -> Kept {
    early.keep(Arc::new(event), Timestamp(now))
}

fn kept(early: &EarlyEvents, event: EarlyEvent) {
    let key = event.key;
    assert_eq!(keep(early, event, 0), Kept::New);
    early.shown(key);
}

fn whose(namespace: &str, instance: InstanceId, partition: PartitionId) -> Whose<'_> {
    Whose { namespace, instance, partition }
}

fn empty() -> (Arc<MemoryJournal>, EarlyEvents) {
    let journal = Arc::new(MemoryJournal::in_memory(2).unwrap());
    let early = EarlyEvents::open(journal.clone(), 1_000).unwrap();
    (journal, early)
}

fn order(order: &str) -> Route {
    let places = vec![vec!["data".into(), "order".into()]];
    Route { kind: Some("paid".into()), places, digest: Key::digest(&[Key::Text(order)]) }
}

fn paid() -> Route {
    Route { kind: Some("paid".into()), places: Vec::new(), digest: Key::digest(&[]) }
}

#[test]
fn the_first_to_wait_gets_it_and_who_asked_meanwhile_is_told() {
    let (_, early) = empty();
    let one = event("shop", 1, "a");
    let key = one.key;
    assert_eq!(keep(&early, one, 0), Kept::New);
    let now = Timestamp(10);
    let (first, other) = (whose("shop", NOBODY, FIRST), whose("shop", NOBODY, OTHER));
    assert!(early.is_empty() && early.take(key, &first, now).is_none(), "it is not durable");
    assert_eq!(keep(&early, event("shop", 1, "a"), 10), Kept::Already(Timestamp(1_000)));
    early.shown(key);
    assert!(early.take(key, &whose("other", NOBODY, FIRST), now).is_none(), "not of others");
    assert!(early.take(key, &first, now).is_some());
    assert!(early.take(key, &other, now).is_none(), "the first one looks at it");
    assert_eq!(early.put_back(key), BTreeSet::from([(OTHER, NOBODY)]));
    assert!(early.take(key, &other, now).is_some());
    assert!(early.holds(key, now));
    early.consumed(key);
    assert!(early.is_empty() && early.take(key, &first, now).is_none());
    assert!(early.holds(key, now), "it is on its way out");
    assert_eq!(keep(&early, event("shop", 1, "a"), 10), Kept::Already(Timestamp(0)));
    early.gone(key);
    assert!(!early.holds(key, now));
    assert_eq!(early.held(), (0, 0));
}

#[test]
fn events_are_found_by_what_they_hold_in_the_order_in_which_they_came() {
    let (_, early) = empty();
    for id in (1..=40).rev() {
        kept(&early, event("shop", id, if id % 10 == 0 { "round" } else { "odd" }));
    }
    let now = Timestamp(50);
    let all = |route: Route, namespace: &str| {
        let (mut after, mut found) = (None, Vec::new());
        while let Some(it) =
            early.find(&whose(namespace, NOBODY, FIRST), std::slice::from_ref(&route), after, now)
        {
            after = Some((it.at, it.key));
            found.push(it.at.0);
            let _ = early.put_back(it.key);
        }
        found
    };
    assert_eq!(all(order("round"), "shop"), [10, 20, 30, 40]);
    assert_eq!(all(order("round"), "shop"), [10, 20, 30, 40], "by the index");
    assert_eq!(all(paid(), "shop"), (1..=40).collect::<Vec<_>>());
    assert_eq!(all(order("none"), "shop"), [0_u64; 0]);
    assert_eq!(all(paid(), "other"), [0_u64; 0], "another namespace has its own");
    kept(&early, event("shop", 41, "round"));
    assert_eq!(all(order("round"), "shop"), [10, 20, 30, 40, 41]);
    early.consumed(event("shop", 20, "round").key);
    early.gone(event("shop", 20, "round").key);
    assert_eq!(all(order("round"), "shop"), [10, 30, 40, 41]);
    let any = Route { kind: None, ..order("round") };
    assert_eq!(all(any, "shop"), [10, 30, 40, 41]);
}

#[test]
fn what_is_for_one_instance_is_for_nobody_else() {
    let (_, early) = empty();
    let mine = InstanceId(uuid::Uuid::from_u128(7));
    kept(&early, EarlyEvent { instance: Some(mine), ..event("shop", 1, "a") });
    let find = |id| early.find(&whose("shop", id, FIRST), &[paid()], None, Timestamp(5));
    assert!(find(NOBODY).is_none());
    assert!(find(mine).is_some());
}

#[test]
fn a_namespace_keeps_no_more_than_its_share_and_says_what_it_dropped() {
    let (_, early) = empty();
    let large = |namespace: &str, id| event(namespace, id, &"x".repeat(1 << 20));
    let fits = limits::EARLY_BYTES >> 20;
    for id in 1..fits {
        kept(&early, large("greedy", id));
    }
    assert_eq!(keep(&early, large("greedy", 99), 3), Kept::Full);
    let dead = early.list("greedy", true, Timestamp(3));
    assert_eq!(dead.iter().map(|it| it.dead.unwrap().word()).collect::<Vec<_>>(), ["no-room"]);
    assert!(early.show(dead[0].key, Timestamp(3)).is_some_and(|it| it.event.is_none()));
    assert_eq!(early.list("greedy", false, Timestamp(3)).len() as u64, fits - 1);
    for namespace in ["b", "c", "d", "e"] {
        for id in 1..fits {
            let _ = keep(&early, large(namespace, id), 3);
        }
    }
    assert_eq!(keep(&early, large("f", 1), 3), Kept::Full, "all is taken");
    assert_eq!(keep(&early, event("f", 2, "a"), 3), Kept::New, "but a little");
}

#[test]
fn what_was_kept_in_vain_is_shown_for_a_day_and_then_forgotten() {
    let (journal, early) = empty();
    let one = event("shop", 1, "a");
    let put = EarlyWrite::Put(one.key, one.encode().unwrap());
    journal.commit(&[Commit { early: vec![put], ..Commit::default() }]).unwrap();
    let key = one.key;
    kept(&early, one);
    let late = Timestamp(1_000);
    assert_eq!(early.forget(late).unwrap(), 0);
    assert!(early.take(key, &whose("shop", NOBODY, FIRST), late).is_none(), "its time is over");
    assert_eq!(early.list("shop", true, late)[0].dead.unwrap().word(), "expired");
    let again = EarlyEvents::open(journal.clone(), 1_000).unwrap();
    assert_eq!(again.list("shop", true, late).len(), 1);
    assert_eq!(early.forget(Timestamp(1_000 + limits::EARLY_DEAD_MS)).unwrap(), 1);
    assert_eq!((early.held(), early.is_empty()), ((0, 0), true));
    assert!(journal.early_events(None, 10).unwrap().is_empty());
}

#[test]
fn what_was_in_vain_leaves_its_room_to_the_living() {
    let (journal, early) = empty();
    let large = |id, until| EarlyEvent {
        until: Timestamp(until),
        ..event("shop", id, &"x".repeat(1 << 20))
    };
    let fits = limits::EARLY_BYTES >> 20;
    for id in 1..fits {
        kept(&early, large(id, 1_000));
    }
    assert_eq!(keep(&early, large(99, 2_000), 999), Kept::Full);
    let late = Timestamp(1_000);
    assert_eq!(early.forget(late).unwrap() as u64, fits - 1, "they are too much to be shown");
    for id in 101..100 + fits {
        assert_eq!(keep(&early, large(id, 2_000), 1_000), Kept::New, "{id}");
    }
    assert_eq!(keep(&early, large(200, 2_000), 1_000), Kept::Full);
    assert!(journal.early_events(None, 1).unwrap().is_empty());
}

#[test]
fn dead_letters_have_a_bound_of_their_own() {
    let (_, early) = empty();
    let namespaces = 20;
    for namespace in 0..namespaces {
        for id in 0..3 {
            let large = event(&format!("n{namespace}"), id, &"x".repeat(400 << 10));
            kept(&early, large);
        }
    }
    let late = Timestamp(1_000);
    let went = early.forget(late).unwrap();
    assert!(went >= namespaces, "two of each namespace are shown at most: {went}");
    let dead: usize =
        (0..namespaces).map(|it| early.list(&format!("n{it}"), true, late).len()).sum();
    assert_eq!(dead, namespaces * 3 - went);
    assert!(early.held().1 <= limits::EARLY_DEAD_TOTAL_BYTES);
    assert_eq!(early.forget(late).unwrap(), 0);
}

#[test]
fn what_was_in_vain_is_kept_again_when_it_is_sent_again() {
    let (_, early) = empty();
    let one = event("shop", 1, "a");
    let key = one.key;
    kept(&early, one);
    let late = Timestamp(1_500);
    assert!(!early.holds(key, late));
    let again = EarlyEvent { at: late, until: Timestamp(2_500), ..event("shop", 1, "a") };
    assert_eq!(keep(&early, again, 1_500), Kept::New);
    assert!(early.is_empty());
    early.shown(key);
    assert!(early.take(key, &whose("shop", NOBODY, FIRST), late).is_some());
    assert!(early.put_back(key).is_empty());
    assert!(early.list("shop", true, late).is_empty());
    early.consumed(key);
    early.gone(key);
    assert_eq!((early.held(), early.is_empty()), ((0, 0), true));
}

#[test]
fn nobody_asks_for_marks_where_there_can_be_none() {
    let (journal, early) = empty();
    assert!(!early.may_know(Timestamp(0)));
    let one = event("default", 1, "a");
    let key = one.key;
    kept(&early, one);
    assert!(early.may_know(Timestamp(0)));
    early.gone(key);
    assert!(!early.may_know(Timestamp(0)));
    early.handed_out(Timestamp(50));
    early.handed_out(Timestamp(40));
    assert!(early.may_know(Timestamp(49)) && !early.may_know(Timestamp(50)));

    // After a restart the journal says so, until all that it says is over.
    let seen = vec![(Arc::from(HANDED_OUT), Timestamp(60))];
    journal.commit(&[Commit { partition: OTHER, seen, ..Commit::default() }]).unwrap();
    let again = EarlyEvents::open(journal, 1_000).unwrap();
    assert!(again.may_know(Timestamp(10)));
    again.forget(Timestamp(10)).unwrap();
    let over = 10 + limits::EVENT_REMEMBERED_MS + limits::EARLY_HANDED_OUT_MS;
    assert!(again.may_know(Timestamp(over - 1)) && !again.may_know(Timestamp(over)));
}
