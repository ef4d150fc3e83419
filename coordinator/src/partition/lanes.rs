//! Messages that wait for their turn: namespaces take turns, so that one with a million messages
//! delays another by one of them.
//!
//! Messages that belong to one instance, and events, keep their order among themselves.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use windlass_proto::id::InstanceId;

use super::events::Offer;
use super::message::Message;
use crate::memory::Charge;

/// A row of messages that are decided one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// What operators and those who watch ask for.
    Operators,
    /// Events, which are for any namespace.
    Events,
    /// What belongs to the instances of a namespace.
    Namespace(Arc<str>),
    /// What belongs to instances that are not in memory.
    Elsewhere,
}

/// Something to decide on.
pub(super) enum Item {
    /// A message, with the memory it takes in line where that is much.
    Message(Message, Option<Charge>),
    /// What is left to do for an event.
    Offer(Box<Offer>),
}

/// Everything that waits.
#[derive(Default)]
pub(super) struct Lanes {
    rows: HashMap<Lane, VecDeque<(Option<InstanceId>, Item)>>,
    /// Rows with something in them, the next one first.
    turns: VecDeque<Lane>,
    /// Where the instances are that something waits for, and how much.
    places: HashMap<InstanceId, (Lane, usize)>,
    length: usize,
    /// True when the last one was for an operator.
    operated: bool,
}

impl Lanes {
    /// True when none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The row in which something waits for this instance already.
    pub(super) fn place(&self, instance: InstanceId) -> Option<Lane> {
        self.places.get(&instance).map(|(lane, _)| lane.clone())
    }

    /// Puts something in line; `instance` is the one among whose messages it keeps its place.
    pub(super) fn push(&mut self, lane: Lane, instance: Option<InstanceId>, item: Item) {
        if let Some(instance) = instance {
            self.places.entry(instance).or_insert_with(|| (lane.clone(), 0)).1 += 1;
        }
        self.row(lane).push_back((instance, item));
        self.length += 1;
    }

    /// Puts back what is left of an event, before all others.
    pub(super) fn put_back(&mut self, offer: Box<Offer>) {
        self.row(Lane::Events).push_front((None, Item::Offer(offer)));
        self.length += 1;
    }

    fn row(&mut self, lane: Lane) -> &mut VecDeque<(Option<InstanceId>, Item)> {
        let row = self.rows.entry(lane.clone()).or_default();
        if row.is_empty() {
            self.turns.push_back(lane);
        }
        row
    }

    /// The next one: one for operators, one for the row whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Item> {
        let wanted = |it: &Lane| (*it == Lane::Operators) != self.operated;
        let first = self.turns.iter().position(wanted).unwrap_or(0);
        let lane = self.turns.remove(first)?;
        self.operated = lane == Lane::Operators;
        let row = self.rows.get_mut(&lane)?;
        let (instance, item) = row.pop_front()?;
        if row.is_empty() {
            self.rows.remove(&lane);
        } else {
            self.turns.push_back(lane);
        }
        self.length -= 1;
        if let Some(instance) = instance
            && let Some((_, count)) = self.places.get_mut(&instance)
        {
            *count -= 1;
            if *count == 0 {
                self.places.remove(&instance);
            }
        }
        Some(item)
    }

    /// How many wait in each namespace, and as `None` how many events.
    pub(super) fn depths(&self) -> HashMap<Option<Arc<str>>, usize> {
        let depth = |(lane, row): (&Lane, &VecDeque<_>)| match lane {
            Lane::Namespace(namespace) => Some((Some(namespace.clone()), row.len())),
            Lane::Events => Some((None, row.len())),
            Lane::Operators | Lane::Elsewhere => None,
        };
        self.rows.iter().filter_map(depth).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;
    use windlass_proto::id::{FrameId, InstanceId};

    use super::{Item, Lane, Lanes, Message};

    fn id(number: u128) -> InstanceId {
        InstanceId(Uuid::from_u128(number))
    }

    fn push(lanes: &mut Lanes, namespace: &str, number: u128) {
        let message = Message::EmitAgain { instance: id(number), frame: FrameId(0) };
        let lane = Lane::Namespace(namespace.into());
        lanes.push(lane, Some(id(number)), Item::Message(message, None));
    }

    fn drain(lanes: &mut Lanes) -> Vec<u128> {
        std::iter::from_fn(|| lanes.pop())
            .map(|item| match item {
                Item::Message(Message::EmitAgain { instance, .. }, _) => instance.0.as_u128(),
                _ => 0,
            })
            .collect()
    }

    #[test]
    fn namespaces_take_turns() {
        let mut lanes = Lanes::default();
        for number in 1..=4 {
            push(&mut lanes, "many", number);
        }
        push(&mut lanes, "few", 5);
        let depths = lanes.depths();
        assert_eq!(depths.get(&Some(Arc::from("many"))), Some(&4));
        assert_eq!(drain(&mut lanes), [1, 5, 2, 3, 4]);
        assert!(lanes.is_empty() && lanes.depths().is_empty());
    }

    #[test]
    fn what_waits_for_an_instance_is_found_until_it_is_done() {
        let mut lanes = Lanes::default();
        push(&mut lanes, "a", 1);
        push(&mut lanes, "a", 1);
        assert_eq!(lanes.place(id(1)), Some(Lane::Namespace("a".into())));
        assert!(lanes.pop().is_some());
        assert!(lanes.place(id(1)).is_some());
        assert!(lanes.pop().is_some());
        assert_eq!((lanes.place(id(1)), lanes.is_empty()), (None, true));
    }

    #[test]
    fn operators_go_first_and_keep_nobody_out() {
        let mut lanes = Lanes::default();
        push(&mut lanes, "a", 1);
        push(&mut lanes, "b", 2);
        for number in 3..=6 {
            let message = Message::EmitAgain { instance: id(number), frame: FrameId(0) };
            lanes.push(Lane::Operators, None, Item::Message(message, None));
        }
        assert_eq!(drain(&mut lanes), [3, 1, 4, 2, 5, 6]);
    }
}
