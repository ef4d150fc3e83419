//! A small map whose entries grow stale.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// Values that are used until their time is over. Holds at most `capacity` of them: the one that
/// ends first makes room.
pub(crate) struct Cache<K, V> {
    capacity: usize,
    /// The most that all values weigh together.
    weight: usize,
    entries: Mutex<HashMap<K, Entry<V>>>,
}

struct Entry<V> {
    value: V,
    until: Instant,
    weight: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self::weighing(capacity, usize::MAX)
    }

    /// A cache whose values weigh at most `weight` together.
    pub(crate) fn weighing(capacity: usize, weight: usize) -> Self {
        Self { capacity, weight, entries: Mutex::new(HashMap::new()) }
    }

    /// The value of `key` while it is fresh.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        // A panic elsewhere cannot leave the map half changed, so a poisoned lock is still good.
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(key)?;
        (entry.until > Instant::now()).then(|| entry.value.clone())
    }

    /// The value of `key`, fresh or not, if it is still there.
    pub(crate) fn stale<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(key).map(|entry| entry.value.clone())
    }

    /// Keeps `value` until `until`.
    pub(crate) fn put(&self, key: K, value: V, until: Instant) {
        self.put_weighing(key, value, until, 0);
    }

    /// Keeps `value` until `until`, unless it alone weighs more than all may.
    pub(crate) fn put_weighing(&self, key: K, value: V, until: Instant, weight: usize) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(&key);
        if weight > self.weight {
            return;
        }
        let mut total: usize = entries.values().map(|it| it.weight).sum();
        while entries.len() >= self.capacity || total > self.weight - weight {
            let first = entries.iter().min_by_key(|(_, entry)| entry.until);
            let Some(first) = first.map(|(key, _)| key.clone()) else { break };
            total -= entries.remove(&first).map_or(0, |it| it.weight);
        }
        entries.insert(key, Entry { value, until, weight });
    }

    /// Forgets `key`.
    pub(crate) fn remove<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Cache;

    #[test]
    fn stale_entries_are_not_given_and_the_oldest_makes_room() {
        let cache = Cache::new(2);
        let now = Instant::now();
        cache.put("past", 1, now);
        assert_eq!((cache.get("past"), cache.stale("past")), (None, Some(1)));
        cache.put("soon", 2, now + Duration::from_secs(60));
        cache.put("late", 3, now + Duration::from_secs(120));
        assert_eq!((cache.get("soon"), cache.get("late")), (Some(2), Some(3)));
        cache.put("later", 4, now + Duration::from_secs(180));
        assert_eq!((cache.get("soon"), cache.get("later")), (None, Some(4)));
    }
    #[test]
    fn heavy_entries_make_room_by_weight() {
        let cache = Cache::weighing(9, 10);
        let at = |seconds| Instant::now() + Duration::from_secs(seconds);
        cache.put_weighing("a", 1, at(60), 4);
        cache.put_weighing("b", 2, at(120), 6);
        cache.put_weighing("a", 3, at(180), 4);
        assert_eq!((cache.get("a"), cache.get("b")), (Some(3), Some(2)));
        cache.put_weighing("c", 4, at(240), 5);
        assert_eq!((cache.get("a"), cache.get("b"), cache.get("c")), (Some(3), None, Some(4)));
        cache.put_weighing("d", 5, at(300), 11);
        assert_eq!((cache.get("a"), cache.get("d")), (Some(3), None));
    }
}
