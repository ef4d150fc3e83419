//! What is read while sled and what is in front of it differ, against a model.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use windlass_proto::id::PartitionId;

use super::super::contract::Random;
use super::super::keys;
use super::super::ordered::Ordered as _;
use super::super::space::{Change, Order, Space};
use super::{Options, Sled, open, place};

/// What is in a store, by space and key.
type Model = BTreeMap<(Space, Vec<u8>), Vec<u8>>;

const SPACES: [Space; 3] =
    [Space::Common, Space::Partition(PartitionId(0)), Space::Partition(PartitionId(1))];

impl Random {
    fn key(&mut self) -> (Space, Vec<u8>) {
        let space = SPACES[self.below(3) as usize];
        let kind = [keys::HEAD, keys::HEAD, keys::HEAD, keys::TIMER][self.below(4) as usize];
        let mut key = vec![kind];
        key.extend_from_slice(&self.below(2_000).to_be_bytes());
        (space, key)
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        let size = [1, 40, 300, 3_000][self.below(4) as usize];
        (self.below(4) > 0).then(|| (0..size).map(|_| self.below(200) as u8).collect())
    }
}

fn start(directory: &Path) -> Sled {
    let mut sled = open::empty(directory, &Options::default()).unwrap();
    assert!(sled.found.lost.is_none());
    sled.start_log(directory).unwrap();
    sled
}

fn read(sled: &Sled, space: Space, from: &[u8], to: &[u8], order: Order) -> Model {
    let (mut found, mut keys) = (Model::new(), Vec::new());
    sled.scan(space, from, to, order, &mut |key, value| {
        keys.push(key.to_vec());
        found.insert((space, key.to_vec()), value.to_vec());
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    let due = |two: &[Vec<u8>]| (two[0] < two[1]) == (order == Order::Up) && two[0] != two[1];
    assert!(keys.windows(2).all(due), "out of order");
    found
}

fn expect(sled: &Sled, model: &Model, random: &mut Random) {
    for space in SPACES {
        for order in [Order::Up, Order::Down] {
            for (mut from, mut to) in [
                (vec![0], vec![0xfe]),
                (random.key().1, random.key().1),
                (random.key().1, vec![0xfe]),
            ] {
                if from > to {
                    std::mem::swap(&mut from, &mut to);
                }
                let due = model.range((space, from.clone())..(space, to.clone()));
                let due: Model = due.map(|(key, value)| (key.clone(), value.clone())).collect();
                assert!(read(sled, space, &from, &to, order) == due, "{from:?} to {to:?}");
            }
        }
    }
    for _ in 0..300 {
        let (space, key) = random.key();
        let found = sled.get(space, &key).unwrap();
        assert_eq!(found, model.get(&(space, key.clone())).cloned(), "{space:?} {key:?}");
    }
}

#[test]
fn whatever_is_written_is_read_from_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("data");
    let (mut random, mut model) = (Random(20_261_129), Model::new());
    let mut sled = start(&directory);
    for round in 0..12 {
        for _ in 0..40 {
            let mut changes = Vec::new();
            for _ in 0..=random.below(20) {
                let ((space, key), value) = (random.key(), random.value());
                match &value {
                    Some(value) => model.insert((space, key.clone()), value.clone()),
                    None => model.remove(&(space, key.clone())),
                };
                changes.push(Change { space, key, value });
            }
            sled.write(changes).unwrap();
        }
        expect(&sled, &model, &mut random);
        if round % 3 < 2 {
            // Every other time without a log, as in a copy.
            drop(sled);
            sled = open::empty(&directory, &Options::default()).unwrap();
            expect(&sled, &model, &mut random);
            if round % 3 == 0 {
                drop(sled);
                sled = start(&directory);
            }
        } else {
            drop(sled);
            sled = start(&directory);
        }
    }
}

#[test]
fn a_placeholder_stands_for_what_waits_or_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sled = start(folder.path());
    let change =
        |key: u8| Change { space: SPACES[0], key: vec![b'x', key], value: Some(vec![key; 90]) };
    sled.write(vec![change(1), change(4)]).unwrap();
    for key in 1..=3 {
        sled.base.db.insert(place(SPACES[0], &[b'x', key]), &[]).unwrap();
    }
    for order in [Order::Up, Order::Down] {
        let found = read(&sled, SPACES[0], b"x", b"y", order);
        assert_eq!(found.into_values().map(|it| it[0]).collect::<Vec<_>>(), [1, 4]);
    }
    assert_eq!(sled.get(SPACES[0], b"x\x02").unwrap(), None);
    drop(sled);
    let sled = open::empty(folder.path(), &Options::default()).unwrap();
    let stored = sled.base.db.get(place(SPACES[0], b"x\x01")).unwrap().unwrap();
    assert_eq!(stored, vec![1; 90], "the checkpoint has put the value there");
}
