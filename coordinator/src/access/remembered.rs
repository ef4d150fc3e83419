//! Credentials that were verified a moment ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::principal::Principal;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    all: Mutex<HashMap<[u8; 32], Entry>>,
}

#[derive(Debug)]
struct Entry {
    principal: Arc<Principal>,
    until: Timestamp,
}

impl Remembered {
    /// Whoever showed this, if that counts still.
    pub(super) fn get(&self, hash: &[u8; 32], now: Timestamp) -> Option<Arc<Principal>> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(hash).filter(|it| it.until > now).map(|it| it.principal.clone())
    }

    /// Remembers it for a while, and not beyond its end.
    pub(super) fn put(&self, hash: [u8; 32], principal: Arc<Principal>, now: Timestamp) {
        let until = now.plus(limits::ACCESS_REMEMBERED_MS);
        let until = principal.expires.map_or(until, |it| it.min(until));
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= limits::ACCESS_REMEMBERED {
            all.retain(|_, it| it.until > now);
        }
        if all.len() >= limits::ACCESS_REMEMBERED {
            // More are about than are remembered: each costs its verification again.
            all.clear();
        }
        all.insert(hash, Entry { principal, until });
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
