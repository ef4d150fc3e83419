//! Listing instances: all partitions merged, newest first, with bounded work a call.

use std::collections::VecDeque;

use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::limits::{self, LIST_SCAN};

use super::ordered::Ordered;
use super::space::{Order, Space};
use super::store::{Store, stored_head};
use super::{Filter, Journal, JournalError, Page, head, keys, record};

/// A partition's heads, greatest id first.
struct Source {
    space: Space,
    /// Heads from this key on have been read.
    end: Vec<u8>,
    read: VecDeque<(InstanceId, Vec<u8>, Vec<u8>)>,
    exhausted: bool,
}

impl Source {
    fn fill<O: Ordered>(&mut self, store: &Store<O>, count: usize) -> Result<(), JournalError> {
        if !self.read.is_empty() || self.exhausted {
            return Ok(());
        }
        let entries = store.entries(self.space, &[keys::HEAD], &self.end, Order::Down, count)?;
        self.exhausted = entries.len() < count;
        for (key, value) in entries {
            let (instance, _) = keys::instance(&key)?;
            self.end.clone_from(&key);
            self.read.push_back((instance, key, value));
        }
        Ok(())
    }
}

pub(super) fn list<O: Ordered>(
    store: &Store<O>,
    filter: &Filter,
    cursor: Option<InstanceId>,
    limit: usize,
) -> Result<Page, JournalError> {
    let end = cursor.map_or_else(
        || keys::end_of(&[keys::HEAD]),
        |before| keys::of_instance(keys::HEAD, before),
    );
    let mut sources: Vec<Source> = (0..store.partitions())
        .map(|number| Source {
            space: Space::Partition(PartitionId(number)),
            end: end.clone(),
            read: VecDeque::new(),
            exhausted: false,
        })
        .collect();
    let ahead = (limit / sources.len().max(1)).saturating_add(2).clamp(8, limits::LIST_READ_AHEAD);
    let mut page = Page::default();
    let mut last = cursor;
    for _ in 0..LIST_SCAN {
        for source in &mut sources {
            source.fill(store, ahead)?;
        }
        let newest = sources
            .iter_mut()
            .max_by_key(|source| source.read.front().map(|(instance, ..)| *instance));
        let Some(source) = newest else { return Ok(page) };
        let space = source.space;
        if source.read.is_empty() {
            return Ok(page);
        }
        if page.items.len() >= limit {
            break;
        }
        let Some((instance, key, value)) = source.read.pop_front() else { return Ok(page) };
        last = Some(instance);
        let not_a_head = || record::damaged(&key, "is not a head");
        // What filters ask for lies at the start, in all but absurd cases in the first part.
        let first = record::open(&key, &value)?.first;
        let (head, _) = stored_head(&first).ok_or_else(not_a_head)?;
        if head::summary(head).is_none_or(|head| head.may_match(filter)) {
            let Some(body) = store.whole(space, &key, value)? else { continue };
            let (head, _) = stored_head(&body).ok_or_else(not_a_head)?;
            let head = head::decode(&key, head)?;
            if head.matches(filter) {
                page.items.push((instance, head));
            }
        }
    }
    page.next = last;
    Ok(page)
}
