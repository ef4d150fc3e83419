use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::{Eager, before};
use crate::early::EarlyPlace;
use crate::journal::EarlyKey;

fn place(at: u64) -> EarlyPlace {
    (Timestamp(at), EarlyKey([7; 16]))
}

fn instance(number: u128) -> InstanceId {
    InstanceId(uuid::Uuid::from_u128(number))
}

#[test]
fn a_new_event_is_all_that_those_look_at_who_have_seen_the_others() {
    let mut eager = Eager::default();
    for number in 0..10 {
        eager.one(instance(number), place(5));
        eager.one(instance(number), place(5));
    }
    for number in 0..10 {
        let (id, look) = eager.next().unwrap();
        assert_eq!((id, look.after), (instance(number), None));
        assert_eq!(Vec::from_iter(look.only), [place(5)]);
    }
    assert!(eager.is_empty());
}

#[test]
fn one_in_the_middle_goes_on_where_it_is() {
    let (mut eager, id) = (Eager::default(), instance(1));
    eager.add(id);
    let (_, mut look) = eager.next().unwrap();
    assert_eq!(look.after, Some(None));
    look.after = Some(Some(place(20)));
    eager.one(id, place(30));
    eager.one(id, place(10));
    eager.join(id, look);
    let (_, look) = eager.next().unwrap();
    assert_eq!(look.after, Some(Some(place(20))));
    assert_eq!(Vec::from_iter(look.only), [place(10)], "it comes to the other one anyway");
    assert!(eager.is_empty());
}

#[test]
fn many_single_ones_become_all_that_follow_the_first() {
    let (mut eager, id) = (Eager::default(), instance(1));
    for at in 1..=limits::EARLY_ONES as u64 + 1 {
        eager.one(id, place(at));
    }
    let (_, look) = eager.next().unwrap();
    assert_eq!(look.after, Some(before(place(1))));
    assert!(look.only.is_empty());
    assert!(before(place(1)) < Some(place(1)) && before(place(1)) > Some(place(0)));
    let first = (Timestamp(3), EarlyKey([0; 16]));
    assert_eq!(before(first), Some((Timestamp(2), EarlyKey([255; 16]))));
    assert_eq!(before((Timestamp(0), EarlyKey([0; 16]))), None);
}

#[test]
fn who_has_enough_to_do_goes_on_later_where_it_was() {
    let (mut eager, id) = (Eager::default(), instance(1));
    eager.one(id, place(5));
    let (_, look) = eager.next().unwrap();
    eager.rest(id, look);
    assert!(eager.is_empty());
    eager.went_on(id);
    let (_, look) = eager.next().unwrap();
    assert_eq!((look.after, Vec::from_iter(look.only)), (None, vec![place(5)]));
    eager.went_on(id);
    assert!(eager.is_empty());
}
