//! A small map whose entries grow stale.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Values that are used until their time is over. Holds at most `capacity` of them: the one that
/// ends first makes room.
pub(crate) struct Cache<K, V> {
    capacity: usize,
    entries: Mutex<HashMap<K, (V, Instant)>>,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, entries: Mutex::new(HashMap::new()) }
    }

    /// The value of `key` while it is fresh.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        // A panic elsewhere cannot leave the map half changed, so a poisoned lock is still good.
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, until) = entries.get(key)?;
        (*until > Instant::now()).then(|| value.clone())
    }

    /// Keeps `value` until `until`.
    pub(crate) fn put(&self, key: K, value: V, until: Instant) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= self.capacity && !entries.contains_key(&key) {
            let first = entries.iter().min_by_key(|(_, (_, until))| *until);
            if let Some(first) = first.map(|(key, _)| key.clone()) {
                entries.remove(&first);
            }
        }
        entries.insert(key, (value, until));
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
    use std::time::{Duration, Instant};

    use super::Cache;

    #[test]
    fn stale_entries_are_not_given_and_the_oldest_makes_room() {
        let cache = Cache::new(2);
        let now = Instant::now();
        cache.put("past", 1, now);
        assert_eq!(cache.get("past"), None);
        cache.put("soon", 2, now + Duration::from_secs(60));
        cache.put("late", 3, now + Duration::from_secs(120));
        assert_eq!((cache.get("soon"), cache.get("late")), (Some(2), Some(3)));
        cache.put("later", 4, now + Duration::from_secs(180));
        assert_eq!((cache.get("soon"), cache.get("later")), (None, Some(4)));
    }
}
