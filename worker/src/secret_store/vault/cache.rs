//! Secrets that were read before, where the configuration allows to use them again. Off by default:
//! while a secret is here, a right that was taken away in Vault still works, and Vault's audit log
//! does not show who used it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use windlass_proto::limits;
use windlass_proto::secret::Secret;

use crate::secret_store::{SecretData, SecretValue};

/// Whose rights, and which secret: its mount and path, and which field of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) scope: String,
    pub(super) path: String,
    pub(super) field: Option<String>,
}

pub(super) struct SecretCache {
    /// Zero keeps nothing.
    fresh: Duration,
    entries: Mutex<HashMap<Key, Entry>>,
}

struct Entry {
    data: Secret<SecretData>,
    version: Option<Arc<str>>,
    until: Instant,
}

impl SecretCache {
    pub(super) fn new(fresh: Duration) -> Self {
        Self { fresh, entries: Mutex::default() }
    }

    pub(super) fn is_on(&self) -> bool {
        !self.fresh.is_zero()
    }

    pub(super) fn get(&self, key: &Key) -> Option<SecretValue> {
        // A panic elsewhere cannot leave the map half changed.
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        wipe_stale(&mut entries);
        let entry = entries.get(key)?;
        let mut value = SecretValue::new(entry.data.expose().duplicate());
        value.version.clone_from(&entry.version);
        Some(value)
    }

    pub(super) fn put(&self, key: Key, value: &SecretValue) {
        if !self.is_on() {
            return;
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        wipe_stale(&mut entries);
        if entries.len() >= limits::CACHED_SECRETS {
            let first = entries.iter().min_by_key(|(_, entry)| entry.until);
            if let Some(first) = first.map(|(key, _)| key.clone()) {
                entries.remove(&first);
            }
        }
        let data = Secret::new(value.data.expose().duplicate());
        let until = Instant::now() + self.fresh;
        entries.insert(key, Entry { data, version: value.version.clone(), until });
    }
}

fn wipe_stale(entries: &mut HashMap<Key, Entry>) {
    let now = Instant::now();
    entries.retain(|_, entry| entry.until > now);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;
    use windlass_proto::limits;

    use super::{Key, SecretCache};
    use crate::secret_store::{SecretData, SecretValue};

    fn key(scope: &str) -> Key {
        Key { scope: scope.to_owned(), path: "path".to_owned(), field: None }
    }

    #[tokio::test(start_paused = true)]
    async fn entries_are_of_one_identity_grow_stale_and_are_counted() {
        let cache = SecretCache::new(Duration::from_secs(10));
        let value = SecretValue::new(SecretData::Text("c4nary".to_owned()));
        cache.put(key("one"), &value);
        assert!(cache.get(&key("one")).is_some() && cache.get(&key("other")).is_none());
        advance(Duration::from_secs(10)).await;
        assert!(cache.get(&key("one")).is_none());
        assert!(cache.entries.lock().unwrap_or_else(|it| it.into_inner()).is_empty(), "wiped");

        for number in 0..=limits::CACHED_SECRETS {
            cache.put(key(&number.to_string()), &value);
            advance(Duration::from_millis(1)).await;
        }
        assert!(cache.get(&key("0")).is_none() && cache.get(&key("1")).is_some());

        let off = SecretCache::new(Duration::ZERO);
        off.put(key("one"), &value);
        assert!(off.get(&key("one")).is_none());
    }
}
