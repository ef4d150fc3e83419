//! Who of a group's members takes which partitions, as Java's `range` and `roundrobin` have it. One
//! member decides for all of them, also of other makes.

use std::collections::{BTreeMap, BTreeSet};

use super::wire::{Read, Reader, Writer};

/// The ways of assigning, best first.
pub(super) const WAYS: [&str; 2] = ["range", "roundrobin"];

/// What a member takes: partitions by topic.
pub(super) type Taken = BTreeMap<String, Vec<i32>>;

/// What a member says that it wants.
pub(super) fn wants(topic: &str) -> Writer {
    let mut wants = Writer::default();
    wants.short(0).each([topic].iter(), |it, topic| it.text(topic)).int(-1);
    wants
}

/// The topics that a member wants.
pub(super) fn wanted(mut told: Reader) -> Read<Vec<String>> {
    told.short()?;
    told.each(Reader::text)
}

pub(super) fn takes(taken: &Taken) -> Writer {
    let mut takes = Writer::default();
    takes.short(0).each(taken.iter(), |it, (topic, partitions)| {
        it.text(topic).each(partitions.iter(), |it, number| it.int(*number))
    });
    takes.int(-1);
    takes
}

/// The partitions of `topic` that a member was given; nothing at all is none.
pub(super) fn given(mut told: Reader, topic: &str) -> Read<Vec<i32>> {
    if told.0.is_empty() {
        return Ok(Vec::new());
    }
    told.short()?;
    let all = told.each(|it| Ok((it.text()?, it.each(Reader::int)?)))?;
    Ok(all.into_iter().filter(|(of, _)| of == topic).flat_map(|(_, all)| all).collect())
}

/// What each of `members`, with the topics it wants, takes of `topics`.
pub(super) fn assigned(
    way: &str,
    members: &BTreeMap<String, Vec<String>>,
    topics: &BTreeMap<String, Vec<i32>>,
) -> BTreeMap<String, Taken> {
    let mut all: BTreeMap<_, _> = members.keys().map(|it| (it.clone(), Taken::new())).collect();
    let mut give = |member: &str, topic: &str, partition: i32| {
        let taken = all.entry(member.to_owned()).or_default();
        taken.entry(topic.to_owned()).or_default().push(partition);
    };
    let wants = |topic: &str| -> Vec<&str> {
        let wants = |it: &Vec<String>| it.iter().any(|it| it == topic);
        let all = members.iter().filter(|(_, it)| wants(it));
        all.map(|(member, _)| member.as_str()).collect()
    };
    if way == "roundrobin" {
        let members: Vec<_> = members.keys().map(String::as_str).collect();
        let mut turn = 0_usize;
        for (topic, partitions) in topics {
            let who: BTreeSet<_> = wants(topic).into_iter().collect();
            for partition in partitions.iter().filter(|_| !who.is_empty()) {
                let next = members.iter().cycle().skip(turn % members.len());
                let next = next.enumerate().find(|(_, it)| who.contains(*it));
                if let Some((passed, member)) = next {
                    give(member, topic, *partition);
                    turn += passed + 1;
                }
            }
        }
        return all;
    }
    for (topic, partitions) in topics {
        let who = wants(topic);
        let (each, more) = match who.len() {
            0 => continue,
            count => (partitions.len() / count, partitions.len() % count),
        };
        let mut rest = partitions.iter();
        for (at, member) in who.iter().enumerate() {
            let share = each + usize::from(at < more);
            rest.by_ref().take(share).for_each(|it| give(member, topic, *it));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{assigned, given, takes, wanted, wants};
    use crate::perform::asyncapi::kafka::wire::Reader;

    fn by(way: &str) -> String {
        let topics = |all: &str| all.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let members = [("m1", "a b"), ("m2", "b"), ("m3", "a b")];
        let members = members.map(|(name, all)| (name.to_owned(), topics(all))).into();
        let topics = [("a", 0..3), ("b", 0..4), ("c", 0..2)];
        let topics: BTreeMap<_, _> =
            topics.map(|(name, all)| (name.to_owned(), all.collect())).into();
        let all = assigned(way, &members, &topics);
        let told = all.iter().map(|(member, taken)| format!("{member} {taken:?}"));
        told.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn each_partition_goes_to_one_member_that_wants_it() {
        let range = r#"m1 {"a": [0, 1], "b": [0, 1]}; m2 {"b": [2]}; m3 {"a": [2], "b": [3]}"#;
        assert_eq!(by("range"), range);
        let round = r#"m1 {"a": [0, 2], "b": [2]}; m2 {"b": [0, 3]}; m3 {"a": [1], "b": [1]}"#;
        assert_eq!(by("roundrobin"), round);
    }

    #[test]
    fn what_members_say_is_read_as_it_was_written() {
        let told = Reader(wants("orders").0.freeze());
        assert_eq!(wanted(told), Ok(vec!["orders".to_owned()]));
        let taken = [("orders".to_owned(), vec![1, 2]), ("x".to_owned(), vec![3])].into();
        let told = Reader(takes(&taken).0.freeze());
        assert_eq!(given(told.clone(), "orders"), Ok(vec![1, 2]));
        assert_eq!(given(told, "other"), Ok(vec![]));
        assert_eq!(given(Reader(bytes::Bytes::new()), "orders"), Ok(vec![]));
    }
}
