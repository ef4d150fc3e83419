//! The memtable: changes that are durable in the write-ahead log and not in the store yet.
//!
//! Readers look here first. Changes arrive in the active table; once that is sealed, a checkpoint
//! moves it to the store, and readers find its changes in both until it is dropped.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::super::space::{Change, Order};
use super::place;

/// Keys in the store and what became of them: a value, or none for a key that was removed.
pub(super) type Table = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Changes shown at a time: copying more would be idle for those who read one record.
const PAGE: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Memtable {
    active: Table,
    /// What is being moved to the store.
    sealed: Option<Arc<Table>>,
}

/// Some of the changes of a range of keys, in its order.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Whether the range has more of them, behind the last one.
    pub(super) more: bool,
}

impl Memtable {
    /// Takes changes in, all at once for readers.
    pub(super) fn add(&mut self, changes: Vec<Change>) {
        for Change { space, key, value } in changes {
            self.active.insert(place(space, &key), value);
        }
    }

    /// What became of a key; `None` where the store knows.
    pub(super) fn get(&self, place: &[u8]) -> Option<&Option<Vec<u8>>> {
        let sealed = || self.sealed.as_ref().and_then(|it| it.get(place));
        self.active.get(place).or_else(sealed)
    }

    /// The first changes of a range that is not empty.
    pub(super) fn page(&self, from: &[u8], to: &[u8], order: Order) -> Page {
        // Each has the first of its own, so what comes first of all is among them.
        let mut first = Table::new();
        for table in self.sealed.as_deref().into_iter().chain([&self.active]) {
            let range = table.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
            let copied = |(key, value): (&Vec<u8>, &Option<Vec<u8>>)| (key.clone(), value.clone());
            match order {
                Order::Up => first.extend(range.take(PAGE + 1).map(copied)),
                Order::Down => first.extend(range.rev().take(PAGE + 1).map(copied)),
            }
        }
        let more = first.len() > PAGE;
        let changes = match order {
            Order::Up => first.into_iter().take(PAGE).collect(),
            Order::Down => first.into_iter().rev().take(PAGE).collect(),
        };
        Page { changes, more }
    }

    /// Seals the active table; none when it is empty, or another one is sealed still.
    pub(super) fn seal(&mut self) -> Option<Arc<Table>> {
        if self.sealed.is_some() || self.active.is_empty() {
            return None;
        }
        let sealed = Arc::new(std::mem::take(&mut self.active));
        self.sealed = Some(sealed.clone());
        Some(sealed)
    }

    /// What is sealed.
    pub(super) fn sealed(&self) -> Option<Arc<Table>> {
        self.sealed.clone()
    }

    /// Drops what was sealed: it is in the store.
    pub(super) fn drop_sealed(&mut self) {
        self.sealed = None;
    }

    /// All changes.
    pub(super) fn all(&self) -> Table {
        let mut all = self.sealed.as_deref().cloned().unwrap_or_default();
        all.extend(self.active.clone());
        all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.active.is_empty() && self.sealed.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::space::{Change, Order, Space};
    use super::{Memtable, PAGE, place};

    fn change(key: u8, value: Option<u8>) -> Change {
        Change { space: Space::Common, key: vec![key], value: value.map(|it| vec![it]) }
    }

    #[test]
    fn the_newest_change_counts_and_pages_go_on_where_the_last_one_ended() {
        let mut table = Memtable::default();
        table.add((0..200).map(|it| change(it, Some(1))).collect());
        assert!(table.seal().is_some());
        assert!(table.seal().is_none(), "one at a time");
        table.add((0..100).map(|it| change(it * 2, (it % 2 == 0).then_some(2))).collect());
        let at = |key| place(Space::Common, &[key]);
        assert_eq!(table.get(&at(1)), Some(&Some(vec![1])));
        assert_eq!(table.get(&at(4)), Some(&Some(vec![2])));
        assert_eq!(table.get(&at(2)), Some(&None));
        assert_eq!(table.get(&at(201)), None);
        let (from, to) = (place(Space::Common, &[]), at(200));
        for order in [Order::Up, Order::Down] {
            let page = table.page(&from, &to, order);
            assert!(page.more && page.changes.len() == PAGE);
            let due = |it: u8| if order == Order::Up { it } else { 199 - it };
            for (number, (key, value)) in (0_u8..).zip(&page.changes) {
                let key_due = due(number);
                let value_due = match key_due % 4 {
                    0 => Some(vec![2]),
                    2 => None,
                    _ => Some(vec![1]),
                };
                assert_eq!((key, value), (&at(key_due), &value_due));
            }
        }
        table.drop_sealed();
        assert_eq!(table.get(&at(1)), None);
        let page = table.page(&at(190), &to, Order::Up);
        assert!(!page.more);
        assert_eq!(page.changes.len(), 5);
    }
}
